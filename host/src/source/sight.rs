//! Numbers and pictures as inputs of a network.

use super::networks::{Paid, Sight, MAX_INPUTS};
use crate::environment::EnvironmentConfig;
use algodistill_core::Channel;
use multiversion::multiversion;

/// Observations as they are remembered: their words, a picture's four bytes in each. What follows a
/// step is seen before the next one as well and is remembered once.
///
/// The inputs that are made of one: a byte of a picture, over 255; a number, scaled so that the
/// smallest and the largest seen in this history are -1 and 1; one input for each index, of which
/// one is 1; and 1 or 0, whether the episode has paid.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    channels: Vec<Channel>,
    /// Words of an observation.
    words: usize,
    sees_paid: bool,
    /// Inputs.
    pub count: usize,
    /// Each with a word more: whether the episode has paid.
    observations: Vec<i32>,
    /// How many there may be.
    most: usize,
    newest: Place,
    /// The smallest and the largest of each word that is a number.
    ranges: Vec<(i32, i32)>,
}

/// Where an observation is remembered.
pub(crate) type Place = u32;

impl Seen {
    /// Those of an environment, room for the last `steps` steps and what followed them. `None` where
    /// all is an index ([`super::networks::Inputs`] are for that), there are too many inputs, or
    /// nothing is observed.
    pub fn of(environment: &EnvironmentConfig, paid: Paid, steps: usize) -> Option<Self> {
        let interface = environment.interface().ok()?;
        let channels: Vec<_> = interface.channels.iter().copied().collect();
        let sees_paid = paid != Paid::Unseen;
        let width = |channel: &Channel| channel.inputs() + channel.table_rows();
        let count = channels.iter().map(width).sum::<usize>() + usize::from(sees_paid);
        let dense = channels.iter().any(|channel| channel.inputs() > 0);
        (dense && count <= MAX_INPUTS).then(|| Self {
            words: interface.observation_len(),
            channels,
            sees_paid,
            count,
            observations: Vec::new(),
            // A step is seen to begin and to end; the last of them all is kept beside those.
            most: 2 * steps + 2,
            newest: 0,
            ranges: vec![(i32::MAX, i32::MIN); interface.observation_len()],
        })
    }

    fn at(&self, place: Place) -> &[i32] {
        &self.observations[place as usize * (self.words + 1)..][..self.words + 1]
    }

    /// Writes the inputs of an observation into a row of [`Seen::count`].
    pub fn write(&self, place: Place, row: &mut [f32]) {
        let (mut words, mut ranges, mut row) = (self.at(place), &self.ranges[..], row);
        for channel in &self.channels {
            let (of_channel, inputs);
            (of_channel, words) = words.split_at(channel.words());
            let of_numbers = &ranges[..channel.words()];
            ranges = &ranges[channel.words()..];
            (inputs, row) = row.split_at_mut(channel.inputs() + channel.table_rows());
            match channel {
                Channel::Discrete { .. } => {
                    inputs.fill(0.0);
                    inputs[of_channel[0] as usize] = 1.0;
                }
                Channel::Vector { .. } => {
                    let numbers = of_channel.iter().zip(of_numbers);
                    inputs.iter_mut().zip(numbers).for_each(|(input, (&word, &range))| {
                        *input = scaled(word, range);
                    });
                }
                Channel::Pixels { .. } => brighten(of_channel, inputs),
            }
        }
        if let ([input], [paid]) = (row, words) {
            *input = *paid as f32;
        }
    }
}

impl Sight for Seen {
    type State = Place;

    fn begin_history(&mut self) {
        self.observations.clear();
        self.newest = 0;
        self.ranges.fill((i32::MAX, i32::MIN));
    }

    fn see(&mut self, observation: &[i32], has_paid: bool) -> Place {
        let observation = &observation[..self.words];
        let paid = i32::from(has_paid && self.sees_paid);
        let stride = self.words + 1;
        let count = self.observations.len() / stride;
        if count > 0 && self.at(self.newest).split_last() == Some((&paid, observation)) {
            return self.newest;
        }
        for (range, &word) in self.ranges.iter_mut().zip(observation) {
            *range = (range.0.min(word), range.1.max(word));
        }
        if count < self.most {
            self.observations.extend_from_slice(observation);
            self.observations.push(paid);
            self.newest = count as Place;
        } else {
            self.newest = (self.newest + 1) % self.most as Place;
            let place = &mut self.observations[self.newest as usize * stride..][..stride];
            place[..self.words].copy_from_slice(observation);
            place[self.words] = paid;
        }
        self.newest
    }
}

/// -1 for the smallest, 1 for the largest; 0 where they are the same.
fn scaled(word: i32, (smallest, largest): (i32, i32)) -> f32 {
    // In double precision, which has room for any word.
    let [word, smallest, largest] = [word, smallest, largest].map(f64::from);
    let width = largest - smallest;
    match width > 0.0 {
        true => ((2.0 * word - smallest - largest) / width) as f32,
        false => 0.0,
    }
}

/// The bytes of a picture, over 255.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
fn brighten(words: &[i32], inputs: &mut [f32]) {
    for (inputs, word) in inputs.chunks_mut(4).zip(words) {
        for (input, byte) in inputs.iter_mut().zip(word.to_le_bytes()) {
            *input = f32::from(byte) * (1.0 / 255.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use algodistill_core::env::watermaze::Watermaze;

    #[test]
    fn pictures_are_bytes_over_255() {
        let mut seen = Seen::of(&Watermaze::PIXELS.into(), Paid::Auto, 10).unwrap();
        assert_eq!(seen.count, 8 * 16 * 3 + 1);
        let words: Vec<i32> = (0..96).map(|word| word * 0x0100_0102 - 5).collect();
        let place = seen.see(&words, true);
        let mut row = vec![9.0; seen.count];
        seen.write(place, &mut row);
        for (number, input) in row[..384].iter().enumerate() {
            let byte = words[number / 4].to_le_bytes()[number % 4];
            assert!((input - f32::from(byte) / 255.0).abs() < 1e-6, "{number}");
        }
        assert_eq!(row[384], 1.0);
    }

    #[test]
    fn numbers_lie_between_those_seen_so_far() {
        let mut seen = Seen::of(&Watermaze::POSE.into(), Paid::Unseen, 10).unwrap();
        let mut row = [9.0; 4];
        let first = seen.see(&[5, -7, i32::MIN, 3], true);
        seen.write(first, &mut row);
        assert_eq!(row, [0.0; 4]);
        let second = seen.see(&[9, -9, i32::MAX, 3], false);
        let third = seen.see(&[6, -9, 0, 3], false);
        for (place, expected) in [
            (first, [-1.0, 1.0, -1.0, 0.0]),
            (second, [1.0, -1.0, 1.0, 0.0]),
            (third, [-0.5, -1.0, 0.0, 0.0]),
        ] {
            seen.write(place, &mut row);
            row.iter().zip(expected).for_each(|(a, b)| assert!((a - b).abs() < 1e-6, "{row:?}"));
        }
        seen.begin_history();
        let again = seen.see(&[40; 4], false);
        seen.write(again, &mut row);
        assert_eq!((again, row), (0, [0.0; 4]));
    }

    #[test]
    fn an_observation_is_remembered_once_and_the_oldest_is_forgotten() {
        let mut seen = Seen::of(&Watermaze::POSE.into(), Paid::Auto, 2).unwrap();
        let places: Vec<Place> =
            [1, 1, 2, 3, 4, 5, 6, 7, 7, 8].iter().map(|&word| seen.see(&[word; 4], false)).collect();
        assert_eq!(places, [0, 0, 1, 2, 3, 4, 5, 0, 0, 1]);
        assert_eq!(seen.at(0), [7, 7, 7, 7, 0]);
        assert_eq!(seen.observations.len(), 6 * 5);
        // It has paid since.
        assert_eq!(seen.see(&[8; 4], true), 2);
    }
}
