//! What the dimensions in the header of a weights file may be, in words.

/// A dimension in the header of a weights file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// See [`Dimensions::layers`](super::Dimensions::layers).
    Layers,
    /// See [`Dimensions::d_model`](super::Dimensions::d_model).
    DModel,
    /// See [`Dimensions::heads`](super::Dimensions::heads).
    Heads,
    /// See [`Dimensions::kv_heads`](super::Dimensions::kv_heads).
    KvHeads,
    /// See [`Dimensions::d_ff`](super::Dimensions::d_ff).
    DFf,
    /// See [`Dimensions::window`](super::Dimensions::window).
    Window,
    /// See [`Dimensions::actions`](super::Dimensions::actions).
    Actions,
    /// See [`Dimensions::final_words`](super::Dimensions::final_words).
    FinalWords,
    /// See [`Encoders::columns`](super::Encoders::columns).
    EncoderColumns,
    /// See [`Encoders::pixels_hidden`](super::Encoders::pixels_hidden).
    PixelsHidden,
    /// See [`Encoders::vector_hidden`](super::Encoders::vector_hidden).
    VectorHidden,
}

impl Field {
    /// Its name, and what it may be. A device that prints no error has none of these words in its flash.
    pub const fn limits(self) -> (&'static str, &'static str) {
        match self {
            Self::Layers => ("layers", "1 to 8"),
            Self::DModel => ("d_model", "a multiple of 16, 16 to 4096"),
            Self::Heads => {
                ("heads", "a number that divides d_model into heads of a multiple of 4, at most 512 wide")
            }
            Self::KvHeads => ("kv_heads", "a divisor of heads"),
            Self::DFf => ("d_ff", "a multiple of 16, 16 to 4096"),
            Self::Window => ("window", "1 to 4096"),
            Self::Actions => ("actions", "2 to 256"),
            Self::FinalWords => ("final_words", "at most 1088"),
            Self::EncoderColumns => ("encoder_columns", "a multiple of 8, at most 4608"),
            Self::PixelsHidden => ("pixels_hidden", "a multiple of 16, at most 4096"),
            Self::VectorHidden => ("vector_hidden", "a multiple of 16, at most 4096"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interface::{MAX_ACTIONS, MAX_OBSERVATION_WORDS};
    use crate::model::weights::{MAX_COLUMNS, MAX_HEAD_WIDTH, MAX_LAYERS, MAX_WIDTH, MAX_WINDOW};

    /// The words and the constants say the same.
    #[test]
    fn limits_name_the_constants() {
        for (field, most) in [
            (Field::Layers, MAX_LAYERS),
            (Field::DModel, MAX_WIDTH),
            (Field::Heads, MAX_HEAD_WIDTH),
            (Field::DFf, MAX_WIDTH),
            (Field::Window, MAX_WINDOW),
            (Field::Actions, MAX_ACTIONS),
            (Field::FinalWords, MAX_OBSERVATION_WORDS),
            (Field::EncoderColumns, MAX_COLUMNS),
            (Field::PixelsHidden, MAX_WIDTH),
            (Field::VectorHidden, MAX_WIDTH),
        ] {
            let words = field.limits().1.split(|c: char| !c.is_ascii_digit());
            assert_eq!(words.filter_map(|word| word.parse().ok()).max(), Some(most), "{field:?}");
        }
    }
}
