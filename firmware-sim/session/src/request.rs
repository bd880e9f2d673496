//! What the image is asked to do: the command line that the runner gives QEMU, read by semihosting.

use algodistill_core::env::AnyFamily;

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// The environment runs in the image.
    Simulate {
        /// Which one.
        environment: AnyFamily,
        /// Which of its tasks.
        task: u32,
        /// How many episodes.
        episodes: u32,
        /// Decides everything random.
        seed: u64,
    },
    /// The kernels are measured; no agent runs.
    Bench,
    /// Observations and feedback come over the link; the seed decides how actions are drawn.
    Feed {
        /// Of the agent's generator.
        seed: u64,
    },
}

impl Request {
    /// From `simulate PRESET TASK EPISODES SEED`, `feed SEED` or `bench`; the zero byte ends the
    /// text.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let text = line.split(|byte| *byte == 0).next()?;
        let mut words = text.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
        let request = match words.next()? {
            b"simulate" => {
                let environment = AnyFamily::preset(core::str::from_utf8(words.next()?).ok()?)?;
                let task = number(words.next()?)?.try_into().ok()?;
                let episodes = number(words.next()?)?.try_into().ok()?;
                Self::Simulate { environment, task, episodes, seed: number(words.next()?)? }
            }
            b"bench" => Self::Bench,
            b"feed" => Self::Feed { seed: number(words.next()?)? },
            _ => return None,
        };
        words.next().is_none().then_some(request)
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
        let environment = AnyFamily::preset("dark-room").unwrap();
        let simulate = Request::Simulate { environment, task: 8, episodes: 40, seed: u64::MAX };
        assert_eq!(Request::parse(b"simulate dark-room 8 40 18446744073709551615\0x"), Some(simulate));
        assert_eq!(Request::parse(b"feed 7"), Some(Request::Feed { seed: 7 }));
        assert_eq!(Request::parse(b"bench"), Some(Request::Bench));
        for wrong in [
            "",
            "feed",
            "feed 7 8",
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
