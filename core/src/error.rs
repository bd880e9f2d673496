//! The error type of the core.

use crate::model::weights::Field;
use core::fmt;

/// What can be wrong with data from outside: a weights file, a snapshot, an observation, a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The bytes end before the header or before what the header announces.
    Truncated,
    /// The bytes do not start with the magic of this kind of file.
    Magic,
    /// The format version is not one this build reads.
    Version(u16),
    /// The length in the header is not the number of bytes given.
    Length,
    /// The CRC-32 does not match: a byte was changed.
    Checksum,
    /// A dimension in the header is out of its limits.
    Dimension {
        /// Which one.
        field: Field,
        /// The value found.
        value: usize,
    },
    /// The metadata is not valid postcard, or the interface in it breaks a limit.
    Metadata,
    /// Reserved or padding bytes are not zero, or bytes are left over.
    Leftover,
    /// The workspace lent by the caller is too small.
    Workspace {
        /// Words of 32 bits that the model needs ([`crate::workspace_words`]).
        needed: usize,
        /// Words given.
        found: usize,
    },
    /// The buffer for a snapshot is too small, or the snapshot's length is not the model's.
    SnapshotLength {
        /// Bytes that the model needs ([`crate::Agent::snapshot_len`]).
        needed: usize,
        /// Bytes given.
        found: usize,
    },
    /// The snapshot was taken with another model.
    SnapshotModel {
        /// CRC-32 of the model it was taken with.
        snapshot: u32,
        /// CRC-32 of the model it was to go on with ([`crate::Model::crc`]).
        model: u32,
    },
    /// The snapshot's counters contradict the model.
    SnapshotState,
    /// The observation does not have [`crate::Interface::observation_len`] words.
    ObservationLength {
        /// Words that the model expects.
        needed: usize,
        /// Words given.
        found: usize,
    },
    /// A word of the observation is out of its channel's range.
    Observation {
        /// Index of the channel.
        channel: usize,
        /// The word found.
        value: i32,
    },
    /// The action is not one of the model's.
    Action(usize),
    /// `act` was called again before `feedback`.
    FeedbackMissing,
    /// `feedback` was called before `act`.
    FeedbackUnexpected,
    /// The reward is NaN, or, where it is to be logged, infinite.
    Reward,
    /// The temperature is not a number between 0.01 and 100.
    Temperature,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Truncated => f.write_str("truncated: fewer bytes than the header announces"),
            Error::Magic => f.write_str("wrong magic: not a file of this kind"),
            Error::Version(found) => {
                let (oldest, newest) = (crate::model::weights::OLDEST_VERSION, crate::model::FORMAT_VERSION);
                let advice = match *found > newest {
                    true => "written by a later version of the program: use that one",
                    false => {
                        "written by an earlier version of the program: export the model again, or train it \
                         again; a snapshot cannot be carried over"
                    }
                };
                write!(f, "format version {found} is not supported, expected {oldest} to {newest}; {advice}")
            }
            Error::Length => f.write_str("the length in the header is not the number of bytes given"),
            Error::Checksum => {
                f.write_str("the CRC-32 does not match: the bytes were damaged; write the file again")
            }
            Error::Dimension { field, value } => {
                let (name, expected) = field.limits();
                write!(f, "{name} is {value}, expected {expected}")
            }
            Error::Metadata => f.write_str("the metadata cannot be decoded or breaks a limit"),
            Error::Leftover => f.write_str("reserved bytes are not zero or bytes are left over"),
            Error::Workspace { needed, found } => {
                write!(f, "the workspace has {found} words of 32 bits, the model needs {needed}")
            }
            Error::SnapshotLength { needed, found } => {
                write!(f, "the snapshot has {found} bytes, the model needs {needed}")
            }
            Error::SnapshotModel { snapshot, model } => write!(
                f,
                "the snapshot was taken with another model: with the one of CRC-32 {snapshot:08x}, and this is \
                 {model:08x}"
            ),
            Error::SnapshotState => f.write_str("the snapshot's counters contradict the model"),
            Error::ObservationLength { needed, found } => {
                write!(f, "the observation has {found} words, the model expects {needed}")
            }
            Error::Observation { channel, value } => {
                write!(f, "observation channel {channel} cannot be {value}")
            }
            Error::Action(action) => write!(f, "action {action} is not one of the model's"),
            Error::FeedbackMissing => f.write_str("act was called again before feedback"),
            Error::FeedbackUnexpected => f.write_str("feedback was called before act"),
            Error::Reward => f.write_str("the reward is not a finite number"),
            Error::Temperature => f.write_str("the temperature must be between 0.01 and 100"),
        }
    }
}

impl core::error::Error for Error {}
