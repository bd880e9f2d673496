//! The header and the blocks of a log: their bytes, and whether the values in them can be.

use super::Head;
use algodistill_core::interface::{MAX_CHANNELS, MAX_REWARD_LEVELS};
use algodistill_core::log::{
    channel_bytes, BLOCK_BYTES, CRC, CUT_OFF, ENDED, END_BITS, EXACT_REWARD, FINAL_OBSERVATION,
    HEADER_MARKER, LEVEL_BITS, MAX_NAME, STEPS_MARKER, TERMINATED, VERSION,
};
use algodistill_core::{Channel, Interface};
use std::fmt::Display;

/// Why there is nothing to read at some place.
#[derive(Debug)]
pub(super) enum Problem {
    /// Bytes were changed or lost on the way: what comes later may be good.
    Damage(String),
    /// The bytes are as they were written, and cannot be: how many bytes further on; field, value, what
    /// was expected.
    Content(usize, String),
}

fn damage<T>(problem: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::Damage(problem.into()))
}

fn content<T>(problem: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::Content(0, problem.into()))
}

/// A whole header, and its bytes.
pub(super) struct Header<'a> {
    pub head: Head,
    pub bytes: &'a [u8],
    crc: u32,
}

/// A whole block of steps.
pub(super) struct Block {
    pub episode: u32,
    /// Number of the first step within its episode.
    pub step: u32,
    pub records: Vec<Record>,
    /// Bytes of all of it.
    pub len: usize,
}

/// A step.
pub(super) struct Record {
    /// The words of what was observed before the action.
    pub observation: Vec<i32>,
    pub action: u16,
    pub reward: f32,
    /// `None` where the episode goes on; whether it was cut off, where that is known.
    pub ended: Option<Option<bool>>,
    /// What was observed after it.
    pub last: Option<Vec<i32>>,
}

/// Takes little-endian numbers from the front of what is left.
#[derive(Clone)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let found = self.slice(N)?;
        found.try_into().ok()
    }

    fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let found = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(found)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    fn short(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn word(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn float(&mut self) -> Option<f32> {
        self.take().map(f32::from_le_bytes)
    }
}

/// The header at the front of `bytes`.
pub(super) fn header(bytes: &[u8]) -> Result<Header<'_>, Problem> {
    let mut reader = Reader { bytes, at: HEADER_MARKER.len() };
    let whole = (|| {
        let (version, len) = (reader.byte()?, reader.short()?);
        let payload = reader.slice(len.into())?;
        let end = reader.at;
        Some((version, payload, end, reader.word()?))
    })();
    let Some((version, payload, end, crc)) = whole else { return damage("the header is not whole") };
    if CRC.checksum(&bytes[..end]) != crc {
        return damage("the CRC-32 of the header is wrong");
    }
    if version != VERSION {
        let advice = match version > VERSION {
            true => "written by a later version of the program: use that one",
            false => "there is no such version",
        };
        return content(format!("version is {version}, expected {VERSION}; {advice}"));
    }
    let mut reader = Reader { bytes: payload, at: 0 };
    let Some(head) = fields(&mut reader).transpose()? else {
        return content(format!("length is {}, too short for its fields", payload.len()));
    };
    if reader.at != payload.len() {
        return content(format!("length is {}, expected {} by its fields", payload.len(), reader.at));
    }
    Ok(Header { head, bytes: &bytes[..end + 4], crc })
}

/// What stands in a header; `None` where it ends too soon.
fn fields(reader: &mut Reader) -> Option<Result<Head, Problem>> {
    let (model_crc, device, known) = (reader.word()?, reader.word()?, reader.byte()?);
    let (task, seed) = (reader.word()?, reader.take().map(u64::from_le_bytes)?);
    let actions = reader.short()?;
    let [name, levels, channels] = reader.take()?;
    let name = reader.slice(name.into())?;
    let levels: Vec<f32> = (0..levels).map(|_| reader.float()).collect::<Option<_>>()?;
    let channels: Vec<[u16; 4]> = (0..channels)
        .map(|_| Some([reader.byte()?.into(), reader.short()?, reader.short()?, reader.short()?]))
        .collect::<Option<_>>()?;
    let head = || {
        if known > 3 {
            return content(format!("the bits of what is known are {known}, expected 0 to 3"));
        }
        if name.len() > MAX_NAME {
            let len = name.len();
            return content(format!(
                "the name of the environment has {len} bytes, expected at most {MAX_NAME}"
            ));
        }
        let Ok(environment) = std::str::from_utf8(name) else {
            return content("the name of the environment is not UTF-8");
        };
        let task = if_known("task", task, known & 1 != 0)?;
        let seed = if_known("seed", seed, known & 2 != 0)?;
        let interface = interface(actions, &levels, &channels)?;
        Ok(Head { model_crc, device, task, seed, environment: environment.into(), interface })
    };
    Some(head())
}

/// A number that is 0 where it is not known.
fn if_known<T: Copy + Default + PartialEq + Display>(
    field: &str,
    number: T,
    is_known: bool,
) -> Result<Option<T>, Problem> {
    match is_known {
        true => Ok(Some(number)),
        false if number == T::default() => Ok(None),
        false => content(format!("{field} is {number}, expected 0: it is not said to be known")),
    }
}

fn interface(actions: u16, levels: &[f32], channels: &[[u16; 4]]) -> Result<Interface, Problem> {
    let limits =
        [("reward levels", levels.len(), MAX_REWARD_LEVELS), ("channels", channels.len(), MAX_CHANNELS)];
    for (name, found, most) in limits {
        if found > most {
            return content(format!("has {found} {name}, expected at most {most}"));
        }
    }
    let mut interface =
        Interface { channels: Default::default(), actions, reward_levels: levels.iter().copied().collect() };
    for (number, [kind, a, b, c]) in channels.iter().copied().enumerate() {
        if kind < 2 && (b, c) != (0, 0) {
            let problem = format!("the unused numbers of channel {number} are {b} and {c}, expected 0 and 0");
            return content(problem);
        }
        let channel = match (kind, u8::try_from(c)) {
            (0, _) => Channel::Discrete { size: a },
            (1, _) => Channel::Vector { size: a },
            (2, Ok(colours)) => Channel::Pixels { height: a, width: b, colours },
            (2, Err(_)) => return content(format!("channel {number} has {c} colours, expected at most 255")),
            _ => return content(format!("the kind of channel {number} is {kind}, expected 0 to 2")),
        };
        // There are at most so many, counted above.
        let _ = interface.channels.push(channel);
    }
    match interface.is_valid() {
        true => Ok(interface),
        false => content(format!(
            "has {actions} actions, reward levels {levels:?} and channels {:?}, which no model can have: see \
             docs/steps-log.md",
            interface.channels.as_slice()
        )),
    }
}

/// The block of steps at the front of `bytes`, of a log with `header`.
pub(super) fn steps(bytes: &[u8], header: &Header) -> Result<Block, Problem> {
    let interface = &header.head.interface;
    let mut reader = Reader { bytes, at: STEPS_MARKER.len() };
    let Some((episode, step, raw)) = raw_block(&mut reader, interface) else {
        return damage("the block of steps is not whole");
    };
    let mut crc = CRC.digest();
    crc.update(&header.crc.to_le_bytes());
    crc.update(&bytes[..reader.at]);
    match reader.word() {
        None => return damage("the block of steps is not whole"),
        Some(found) if found != crc.finalize() => return damage("the CRC-32 of the block of steps is wrong"),
        Some(_) => {}
    }
    if i32::try_from(episode).is_err() {
        return content(format!("episode is {episode}, expected 0 to {}", i32::MAX));
    }
    let records = raw.into_iter().map(|raw| raw.checked(interface)).collect::<Result<_, _>>()?;
    Ok(Block { episode, step, records, len: reader.at })
}

/// A step as it stands there.
struct Raw {
    at: usize,
    observation: Vec<i32>,
    action: u8,
    feedback: u8,
    exact: Option<f32>,
    last: Option<Vec<i32>>,
}

/// Numbers of the episode and of the step, and the records up to the one that ends a block; `None`
/// where the bytes end before.
fn raw_block(reader: &mut Reader, interface: &Interface) -> Option<(u32, u32, Vec<Raw>)> {
    let (episode, step) = (reader.word()?, reader.word()?);
    let (first, mut records) = (reader.at, Vec::new());
    loop {
        let at = reader.at;
        let (observation, action, feedback) =
            (observation(reader, interface)?, reader.byte()?, reader.byte()?);
        let exact = match feedback & EXACT_REWARD {
            0 => None,
            _ => Some(reader.float()?),
        };
        let last = match feedback & FINAL_OBSERVATION {
            0 => None,
            _ => Some(self::observation(reader, interface)?),
        };
        records.push(Raw { at, observation, action, feedback, exact, last });
        if feedback & END_BITS != 0 || reader.at - first >= BLOCK_BYTES {
            return Some((episode, step, records));
        }
    }
}

fn observation(reader: &mut Reader, interface: &Interface) -> Option<Vec<i32>> {
    let mut words = Vec::with_capacity(interface.observation_len());
    for channel in &interface.channels {
        for piece in reader.slice(channel_bytes(channel))?.chunks(4) {
            let mut word = [0; 4];
            word[..piece.len()].copy_from_slice(piece);
            words.push(i32::from_le_bytes(word));
        }
    }
    Some(words)
}

impl Raw {
    /// The step, with every value in its range.
    fn checked(self, interface: &Interface) -> Result<Record, Problem> {
        let Self { at, observation, action, feedback, exact, last } = self;
        let wrong = |problem: String| Err(Problem::Content(at, problem));
        for (name, words) in [("observation", Some(&observation)), ("final_observation", last.as_ref())] {
            for (number, (channel, words)) in interface.split(words.map_or(&[], Vec::as_slice)).enumerate() {
                if let Err(word) = channel.check(words) {
                    return wrong(format!("{name}_{number} is {word}, expected {channel}"));
                }
            }
        }
        let last_action = interface.actions - 1;
        if u16::from(action) > last_action {
            return wrong(format!("action is {action}, expected 0 to {last_action}"));
        }
        let level = usize::from(feedback & LEVEL_BITS);
        let reward = match (exact, interface.reward_levels.get(level)) {
            (Some(reward), _) if level == 0 && reward.is_finite() => reward,
            (Some(reward), _) if level == 0 => {
                return wrong(format!("reward is {reward}, expected a finite one"))
            }
            (None, Some(reward)) => *reward,
            (Some(_), _) => {
                return wrong(format!("feedback has a reward of its own and level {level}, expected 0"))
            }
            (None, None) => {
                let most = interface.reward_levels.len() - 1;
                return wrong(format!("reward is level {level}, expected 0 to {most}"));
            }
        };
        let ended = match feedback & END_BITS {
            TERMINATED => Some(Some(false)),
            CUT_OFF => Some(Some(true)),
            ENDED => Some(None),
            _ if last.is_some() => {
                return wrong("final_observation is there, but no end of the episode".into())
            }
            _ => None,
        };
        Ok(Record { observation, action: action.into(), reward, ended, last })
    }
}
