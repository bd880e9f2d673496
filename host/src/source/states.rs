//! What the tabular sources have in common.

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
