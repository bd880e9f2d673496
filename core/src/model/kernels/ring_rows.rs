//! How keys and values lie in the ring: int8 rows `[slot, d_head]` of each head.
//!
//! With the Arm DSP extension two neighbouring columns are *paired*: the 16-bit integer
//! H = 256 v1 + v0 lies in their place. SMLAD multiplies two such integers at once, SXTB16 takes v0
//! out of two of them, and
//!
//! ```text
//! H * x1 + v0 * (256 x0 - x1)  =  256 (v1 x1 + v0 x0)          keys, x of the query
//! sum H * w - sum v0 * w       =  256 sum v1 * w               values, w of the slot
//! ```
//!
//! so that nothing is widened, and one instruction takes two elements apart, not four. Of values, four
//! slots of four columns lie together: a word has two slots, 16 bytes have what four weights want.

/// Writes row `slot` of the keys of a head.
#[cfg_attr(target_arch = "x86_64", inline(always))]
pub fn store_key(key: &[i8], slot: usize, keys: &mut [i8]) {
    let row = keys.get_mut(key_index(slot, 0, key.len())..).unwrap_or(&mut []);
    for (stored, pair) in row.as_chunks_mut::<2>().0.iter_mut().zip(key.as_chunks::<2>().0) {
        *stored = layout::code_key(*pair);
    }
}

/// Writes row `slot` of the values of a head.
#[cfg_attr(target_arch = "x86_64", inline(always))]
pub fn store_value(value: &[i8], slot: usize, values: &mut [i8]) {
    let row = values.get_mut(layout::value_index(slot, 0, value.len())..).unwrap_or(&mut []);
    layout::store_value(value, row);
}

/// Elements `column`, which is even, and `column + 1` of row `slot` of the keys of a head.
pub fn key(keys: &[i8], slot: usize, column: usize, width: usize) -> [i8; 2] {
    layout::decode_key(get(keys, key_index(slot, column, width)))
}

/// The same of the values.
pub fn value(values: &[i8], slot: usize, column: usize, width: usize) -> [i8; 2] {
    layout::decode(get(values, layout::value_index(slot, column, width)))
}

fn get(rows: &[i8], index: usize) -> [i8; 2] {
    rows.get(index..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default()
}

pub(super) const fn key_index(slot: usize, column: usize, width: usize) -> usize {
    slot * width + column
}

#[cfg(paired_ring)]
use paired as layout;
#[cfg(not(paired_ring))]
use plain as layout;

#[cfg(not(paired_ring))]
mod plain {
    pub(super) use super::key_index as value_index;

    /// As coded rows of matrices, where one function multiplies both.
    pub const fn code_key([v0, v1]: [i8; 2]) -> [i8; 2] {
        [if cfg!(coded_keys) { v0 ^ i8::MIN } else { v0 }, v1]
    }

    pub(super) use code_key as decode_key;

    pub const fn decode(pair: [i8; 2]) -> [i8; 2] {
        pair
    }

    #[inline(always)]
    pub fn store_value(value: &[i8], row: &mut [i8]) {
        row.iter_mut().zip(value).for_each(|(stored, element)| *stored = *element);
    }
}

#[cfg(any(paired_ring, test))]
mod paired {
    /// `[group of four slots, four columns, two slots, two columns, slot of the two]`, pairs.
    pub const fn value_index(slot: usize, column: usize, width: usize) -> usize {
        let group = slot / 4 * 4 * width + column / 4 * 16;
        group + slot % 4 / 2 * 8 + column % 4 / 2 * 4 + slot % 2 * 2
    }

    /// From the place of the row's first pair on, 16 bytes have four columns.
    pub fn store_value(value: &[i8], row: &mut [i8]) {
        // The last four columns need six bytes, not 16.
        for (fours, place) in value.as_chunks::<4>().0.iter().zip(row.chunks_mut(16)) {
            let [v0, v1, v2, v3] = *fours;
            if let Some([a, b, _, _, c, d]) = place.first_chunk_mut::<6>() {
                [*a, *b] = code([v0, v1]);
                [*c, *d] = code([v2, v3]);
            }
        }
    }

    /// 256 v1 + v0; elements are -127 to 127, so that nothing wraps.
    pub const fn code([v0, v1]: [i8; 2]) -> [i8; 2] {
        [v0, v1.wrapping_sub((v0 < 0) as i8)]
    }

    pub const fn decode([v0, upper]: [i8; 2]) -> [i8; 2] {
        [v0, upper.wrapping_add((v0 < 0) as i8)]
    }

    #[cfg(paired_ring)]
    pub(super) use {code as code_key, decode as decode_key};
}

#[cfg(test)]
mod tests {
    use super::paired::*;

    #[test]
    fn pairs_are_256_times_the_odd_element_and_the_even_one() {
        for v0 in -127..=127i8 {
            for v1 in -127..=127i8 {
                let coded = code([v0, v1]);
                let [low, high] = coded.map(|byte| byte as u8);
                assert_eq!(i32::from(i16::from_le_bytes([low, high])), 256 * i32::from(v1) + i32::from(v0));
                assert_eq!(decode(coded), [v0, v1]);
            }
        }
    }

    #[test]
    fn every_pair_of_a_group_has_a_place_of_its_own() {
        for width in [4, 8, 12, 16] {
            let pairs = (0..8).flat_map(|slot| (0..width).step_by(2).map(move |column| (slot, column)));
            let mut places: Vec<_> = pairs.map(|(slot, column)| value_index(slot, column, width)).collect();
            places.sort_unstable();
            assert_eq!(places, (0..8 * width).step_by(2).collect::<Vec<_>>());

            // A row is stored in the places of its pairs.
            let (row, slot) = ((1..=width as i8).collect::<Vec<_>>(), 5);
            let mut ring = vec![0; 8 * width];
            store_value(&row, &mut ring[value_index(slot, 0, width)..]);
            for (index, pair) in row.as_chunks::<2>().0.iter().enumerate() {
                let place = value_index(slot, 2 * index, width);
                assert_eq!(decode([ring[place], ring[place + 1]]), *pair);
            }
        }
    }
}
