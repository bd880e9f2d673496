//! What the tabular sources have in common.

use crate::environment::EnvironmentConfig;
use algodistill_core::interface::MAX_CHANNELS;
use algodistill_core::{Channel, Interface};

/// Observations as the rows of a table: the mixed-radix number of the discrete channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct States {
    /// What a step of each channel adds to the number.
    strides: [usize; MAX_CHANNELS],
    /// How many there are.
    pub count: usize,
}

impl States {
    /// All observations of `interface`; `None` where there are more than `most`, or other channels.
    pub fn of(interface: &Interface, most: usize) -> Option<Self> {
        let mut all = Self { strides: [0; MAX_CHANNELS], count: 1 };
        for (stride, channel) in all.strides.iter_mut().zip(&interface.channels).rev() {
            *stride = all.count;
            let Channel::Discrete { size } = channel else { return None };
            all.count *= usize::from(*size);
            if all.count > most {
                return None;
            }
        }
        Some(all)
    }

    /// The number of an observation.
    #[inline]
    pub fn number(&self, observation: &[i32]) -> usize {
        self.strides.iter().zip(observation).map(|(stride, &word)| stride * word as usize).sum()
    }
}

/// Observations of indices and numbers as the rows of a table: the mixed-radix number of the indices
/// and of the bins that the numbers are in. Of indices only it is that of [`States`].
#[derive(Clone, Debug)]
pub(crate) struct BinnedStates {
    words: Vec<Word>,
    /// How many there are.
    pub count: usize,
}

/// A word of an observation.
#[derive(Clone, Debug)]
struct Word {
    /// What a step of it adds to the number.
    stride: usize,
    /// The least number of each bin but the first; `None` of an index.
    bins: Option<Vec<i32>>,
}

impl BinnedStates {
    /// All observations of `environment`; `None` where there are more than `most`, or there are
    /// numbers of which it does not know the bins, or pictures, or nothing is observed.
    pub fn of(environment: &EnvironmentConfig, most: usize) -> Option<Self> {
        let mut words = Vec::new();
        for channel in &environment.interface().ok()?.channels {
            match channel {
                Channel::Discrete { size } => words.push((usize::from(*size), None)),
                Channel::Vector { size } => {
                    for _ in 0..*size {
                        let bins = environment.bins(words.len())?;
                        words.push((bins.len() + 1, Some(bins)));
                    }
                }
                Channel::Pixels { .. } => return None,
            }
        }
        let mut all = Self { words: Vec::new(), count: 1 };
        for (size, bins) in words.into_iter().rev() {
            all.words.push(Word { stride: all.count, bins });
            all.count *= size;
            if all.count > most {
                return None;
            }
        }
        all.words.reverse();
        (!all.words.is_empty()).then_some(all)
    }

    /// The number of an observation.
    #[inline]
    pub fn number(&self, observation: &[i32]) -> usize {
        let place = |(word, &value): (&Word, &i32)| match &word.bins {
            None => word.stride * value as usize,
            Some(bins) => word.stride * bins.partition_point(|&least| least <= value),
        };
        self.words.iter().zip(observation).map(place).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_have_the_same_number_with_and_without_bins() {
        let environment = EnvironmentConfig::preset("key-to-door").unwrap();
        let indices = States::of(&environment.interface().unwrap(), 1_000).unwrap();
        let binned = BinnedStates::of(&environment, 1_000).unwrap();
        assert_eq!((indices.count, binned.count), (81, 81));
        for observation in [[0, 0], [3, 8], [8, 0], [8, 8]] {
            assert_eq!(indices.number(&observation), binned.number(&observation));
        }
        assert!(BinnedStates::of(&environment, 80).is_none());
    }

    #[test]
    fn numbers_are_counted_by_the_bins_that_they_are_in() {
        let servo = EnvironmentConfig::preset("servo").unwrap();
        let states = BinnedStates::of(&servo, 1_000).unwrap();
        assert_eq!(states.count, 5 * 9);
        let number = |velocity, error| states.number(&[300, velocity, error]);
        assert_eq!([number(i32::MIN, i32::MIN), number(0, 0), number(i32::MAX, i32::MAX)], [0, 22, 44]);
        // The bin around 0 begins at -8 and ends before 9.
        assert_eq!([-9, -8, 8, 9].map(|error| number(0, error)), [21, 22, 22, 23]);
        // Nobody said where to cut the others.
        for other in ["watermaze", "watermaze-pose", "bandit"] {
            assert!(BinnedStates::of(&EnvironmentConfig::preset(other).unwrap(), 1_000).is_none());
        }
    }
}
