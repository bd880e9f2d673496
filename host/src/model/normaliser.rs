//! The scale of numbers, from what was seen of them.

use algodistill_core::model::numerics::Scale;
use algodistill_core::{Interface, Normaliser};

/// The normaliser that makes the middle of `lowest` to `highest` 0 and the ends -1 and 1; of a number
/// that is always the same, 0.
pub fn normaliser(lowest: i32, highest: i32) -> Normaliser {
    let (lowest, highest) = (i64::from(lowest), i64::from(highest));
    let offset = lowest + (highest - lowest) / 2;
    let half = ((highest - lowest + 1) / 2).max(1) as u64;
    let scale = Scale::new((1 << 62) / half, 62);
    Normaliser {
        offset: offset as i32,
        // 15 bits.
        mantissa: scale.mantissa as u16,
        exponent: scale.exponent as i16,
    }
}

/// The words of an observation that have a normaliser.
pub fn numbers<'o>(interface: &'o Interface, observation: &'o [i32]) -> impl Iterator<Item = &'o i32> {
    let of_channels = interface.split(observation).filter(|(channel, _)| channel.normalised_words() > 0);
    of_channels.flat_map(|(_, words)| words)
}

/// What a normaliser makes -1 and 1, about: [`normaliser`] the other way round.
pub fn normalised_range(normaliser: Normaliser) -> [i64; 2] {
    let half = match normaliser.mantissa {
        0 => 0.0,
        mantissa => 2f64.powi(normaliser.exponent.into()) / f64::from(mantissa),
    };
    // Half of 33 bits at most.
    let half = half.round().min(f64::from(u32::MAX)) as i64;
    let middle = i64::from(normaliser.offset);
    // No word is beyond these.
    [(middle - half).max(i32::MIN.into()), (middle + half).min(i32::MAX.into())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_range_are_one_and_what_is_far_outside_is_limited() {
        for (lowest, highest) in [(-5, 5), (100, 100_001), (-900_000, 70), (i32::MIN, i32::MAX)] {
            let own = normaliser(lowest, highest);
            let [from, to] = normalised_range(own);
            // 15 bits of mantissa.
            let about = 1 + (i64::from(highest) - i64::from(lowest)) / 30_000;
            assert!((from - i64::from(lowest)).abs() <= about && (to - i64::from(highest)).abs() <= about);
            for (word, expected) in [(highest, 4_096), (lowest, -4_096)] {
                let found = i32::from(own.apply(word));
                assert!((found - expected).abs() <= 1, "{word}: {found}");
            }
            if highest < i32::MAX {
                assert_eq!([i32::MAX, i32::MIN].map(|word| own.apply(word)), [32_767, -32_767]);
            }
        }
        // One step apart, and always the same.
        assert_eq!([0, 1].map(|word| normaliser(0, 1).apply(word)), [0, 4_096]);
        assert_eq!([-7, -6].map(|word| normaliser(-7, -7).apply(word)), [0, 4_096]);
    }
}
