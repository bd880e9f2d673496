//! What can be asked.

use super::Numbers;
use serde::Deserialize;

/// A line of a program.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Request {
    Info {},
    Act {
        observation: Numbers,
        #[serde(default)]
        logits: bool,
    },
    Demonstrate {
        observation: Numbers,
        action: usize,
    },
    Feedback {
        reward: f32,
        done: bool,
        observation: Option<Numbers>,
    },
    Reset {},
    Snapshot {},
    Restore {
        snapshot: String,
    },
}
