//! What the dimensions in the header of a weights file may be, in words.

/// What a dimension may be.
#[derive(Debug, PartialEq, Eq)]
pub struct Limits {
    /// Name of the field, as `docs/weights-format.md` has it.
    pub field: &'static str,
    /// What is expected.
    pub expected: &'static str,
}

const fn limits(field: &'static str, expected: &'static str) -> Limits {
    Limits { field, expected }
}

pub(super) static LAYERS: Limits = limits("layers", "1 to 8");
pub(super) static D_MODEL: Limits = limits("d_model", "a multiple of 16, 16 to 4096");
pub(super) static HEADS: Limits =
    limits("heads", "a number that divides d_model into heads of a multiple of 4, at most 512 wide");
pub(super) static KV_HEADS: Limits = limits("kv_heads", "a divisor of heads");
pub(super) static D_FF: Limits = limits("d_ff", "a multiple of 16, 16 to 4096");
pub(super) static WINDOW: Limits = limits("window", "1 to 4096");
pub(super) static ACTIONS: Limits = limits("actions", "2 to 256");
pub(super) static FINAL_WORDS: Limits = limits("final_words", "at most 1088");
pub(super) static COLUMNS: Limits = limits("encoder_columns", "a multiple of 8, at most 4608");
pub(super) static PIXELS_HIDDEN: Limits = limits("pixels_hidden", "a multiple of 16, at most 4096");
pub(super) static VECTOR_HIDDEN: Limits = limits("vector_hidden", "a multiple of 16, at most 4096");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interface::{MAX_ACTIONS, MAX_OBSERVATION_WORDS};
    use crate::model::weights::{MAX_COLUMNS, MAX_HEAD_WIDTH, MAX_LAYERS, MAX_WIDTH, MAX_WINDOW};

    /// The words and the constants say the same.
    #[test]
    fn limits_name_the_constants() {
        for (limits, most) in [
            (&LAYERS, MAX_LAYERS),
            (&D_MODEL, MAX_WIDTH),
            (&HEADS, MAX_HEAD_WIDTH),
            (&D_FF, MAX_WIDTH),
            (&WINDOW, MAX_WINDOW),
            (&ACTIONS, MAX_ACTIONS),
            (&FINAL_WORDS, MAX_OBSERVATION_WORDS),
            (&COLUMNS, MAX_COLUMNS),
            (&PIXELS_HIDDEN, MAX_WIDTH),
            (&VECTOR_HIDDEN, MAX_WIDTH),
        ] {
            let words =
                || limits.expected.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
            assert_eq!(words().filter_map(|word| word.parse().ok()).max(), Some(most), "{limits:?}");
        }
    }
}
