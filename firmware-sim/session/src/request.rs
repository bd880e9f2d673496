//! What the image is asked to do: the command line that the runner gives QEMU, read by semihosting.

use algodistill_core::env::AnyFamily;
use algodistill_core::log::About;

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// The environment runs in the image.
    Simulate {
        /// The name of its preset.
        preset: &'static str,
        /// Which one.
        environment: AnyFamily,
        /// Which of its tasks.
        task: u32,
        /// How many episodes.
        episodes: u32,
        /// Decides everything random.
        seed: u64,
        /// Whether the steps are logged.
        log: bool,
    },
    /// The kernels are measured; no agent runs.
    Bench,
    /// Observations and feedback come over the link; the seed decides how actions are drawn.
    Feed {
        /// Of the agent's generator.
        seed: u64,
        /// Whether the steps are logged.
        log: bool,
    },
}

impl Request {
    /// From `simulate PRESET TASK EPISODES SEED`, `feed SEED`, either with ` log`, or `bench`; the
    /// zero byte ends the text.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let text = line.split(|byte| *byte == 0).next()?;
        let mut words = text.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
        let request = match words.next()? {
            b"simulate" => {
                let name = words.next()?;
                let preset = AnyFamily::preset_names().find(|preset| preset.as_bytes() == name)?;
                let environment = AnyFamily::preset(preset)?;
                let task = number(words.next()?)?.try_into().ok()?;
                let episodes = number(words.next()?)?.try_into().ok()?;
                let seed = number(words.next()?)?;
                Self::Simulate { preset, environment, task, episodes, seed, log: log(words.next())? }
            }
            b"bench" => Self::Bench,
            b"feed" => Self::Feed { seed: number(words.next()?)?, log: log(words.next())? },
            _ => return None,
        };
        words.next().is_none().then_some(request)
    }

    /// What the log of the run is of; `None` where none is asked for. A device that is fed knows
    /// neither environment nor task.
    pub fn log_of(&self, model_crc: u32) -> Option<About<'static>> {
        let about = About { model_crc, ..About::default() };
        match *self {
            Self::Simulate { preset, task, seed, log: true, .. } => {
                Some(About { task: Some(task), seed: Some(seed), environment: preset, ..about })
            }
            Self::Feed { seed, log: true } => Some(About { seed: Some(seed), ..about }),
            Self::Simulate { .. } | Self::Feed { .. } | Self::Bench => None,
        }
    }
}

/// Whether the last word asks for a log.
fn log(word: Option<&[u8]>) -> Option<bool> {
    match word {
        None => Some(false),
        Some(b"log") => Some(true),
        Some(_) => None,
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value.checked_mul(10)?.checked_add(digit.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_parsed_and_anything_else_is_refused() {
        let simulate = |log| {
            let (preset, seed) = ("dark-room", u64::MAX);
            let environment = AnyFamily::preset(preset).unwrap();
            Some(Request::Simulate { preset, environment, task: 8, episodes: 40, seed, log })
        };
        assert_eq!(Request::parse(b"simulate dark-room 8 40 18446744073709551615\0x"), simulate(false));
        assert_eq!(Request::parse(b"simulate dark-room 8 40 18446744073709551615 log"), simulate(true));
        assert_eq!(Request::parse(b"feed 7"), Some(Request::Feed { seed: 7, log: false }));
        assert_eq!(Request::parse(b"feed 7 log"), Some(Request::Feed { seed: 7, log: true }));
        assert_eq!(Request::parse(b"bench"), Some(Request::Bench));
        for wrong in [
            "",
            "feed",
            "feed 7 8",
            "feed 7 log log",
            "bench log",
            "feed -7",
            "feed 18446744073709551616",
            "simulate mars 0 1 2",
            "simulate bandit 0 4294967296 1",
            "simulate bandit 4294967296 1 1",
            "simulate bandit 1 1",
        ] {
            assert_eq!(Request::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
