//! Observations as lists of numbers in JSON.

use algodistill_core::{Channel, Interface};
use serde::Deserialize;

/// Numbers of an observation; languages for matrices write a single one without brackets, and whole
/// ones with a point.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "observation is neither a list of numbers nor a number")]
pub(crate) enum Numbers {
    One(f64),
    Many(Vec<f64>),
}

impl Numbers {
    /// The words of an observation: an index or a number is one, a picture has four bytes in each.
    ///
    /// # Errors
    /// What is wrong, with the place.
    pub fn words(&self, interface: &Interface) -> Result<Vec<i32>, String> {
        let all = match self {
            Self::One(number) => std::slice::from_ref(number),
            Self::Many(numbers) => numbers,
        };
        let wanted = interface.channels.iter().map(numbers_of).sum::<usize>();
        if all.len() != wanted {
            return Err(format!("observation has {} numbers, expected {wanted}", all.len()));
        }
        let mut words = Vec::with_capacity(interface.observation_len());
        let mut place = 0;
        for channel in &interface.channels {
            let own = &all[place..place + numbers_of(channel)];
            match channel {
                Channel::Pixels { .. } => words.extend(picture(own, place)?),
                Channel::Discrete { .. } | Channel::Vector { .. } => {
                    for (offset, &number) in own.iter().enumerate() {
                        words.push(whole(number, place + offset, i32::MIN, i32::MAX)?);
                    }
                }
            }
            place += own.len();
        }
        Ok(words)
    }
}

/// Numbers of a channel in a request: of a picture, a byte for each colour of each pixel.
fn numbers_of(channel: &Channel) -> usize {
    channel.inputs().max(1)
}

fn picture(bytes: &[f64], first: usize) -> Result<Vec<i32>, String> {
    let mut words = vec![[0; 4]; bytes.len().div_ceil(4)];
    for (offset, &byte) in bytes.iter().enumerate() {
        words[offset / 4][offset % 4] = whole(byte, first + offset, 0, 255)? as u8;
    }
    Ok(words.into_iter().map(i32::from_le_bytes).collect())
}

fn whole(number: f64, place: usize, least: i32, most: i32) -> Result<i32, String> {
    let valid = number.fract() == 0.0 && (f64::from(least)..=f64::from(most)).contains(&number);
    let problem =
        || format!("observation[{place}] is {number}, expected a whole number from {least} to {most}");
    valid.then_some(number as i32).ok_or_else(problem)
}
