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
    use crate::model::weights::{MAX_COLUMNS, MAX_LAYERS, MAX_WIDTH, MAX_WINDOW};
    use crate::{Dimensions, Encoders, Error};

    const USUAL: Dimensions = Dimensions {
        layers: 2,
        d_model: 64,
        heads: 4,
        kv_heads: 4,
        d_ff: 256,
        window: 160,
        actions: 5,
        final_words: 2,
        encoders: Encoders::NONE,
    };

    /// Whether `value` is refused, and for itself.
    fn is_refused(field: Field, value: usize) -> bool {
        let mut dimensions = USUAL;
        let Encoders { columns, pixels_hidden, vector_hidden } = &mut dimensions.encoders;
        match field {
            Field::Layers => dimensions.layers = value,
            // Heads of 16 columns.
            Field::DModel => {
                let heads = (value / 16).max(1);
                dimensions = Dimensions { d_model: value, heads, kv_heads: heads, ..dimensions };
            }
            Field::Heads => dimensions = Dimensions { heads: value, kv_heads: value, ..dimensions },
            Field::KvHeads => dimensions.kv_heads = value,
            Field::DFf => dimensions.d_ff = value,
            Field::Window => dimensions.window = value,
            Field::Actions => dimensions.actions = value,
            Field::FinalWords => dimensions.final_words = value,
            Field::EncoderColumns => *columns = value,
            Field::PixelsHidden => *pixels_hidden = value,
            Field::VectorHidden => *vector_hidden = value,
        }
        match dimensions.check() {
            Ok(()) => false,
            error => {
                assert_eq!(error, Err(Error::Dimension { field, value }));
                true
            }
        }
    }

    /// The words, the constants and the check say the same.
    #[test]
    fn limits_are_those_of_the_check() {
        for (field, least, most, multiple) in [
            (Field::Layers, 1, MAX_LAYERS, 1),
            (Field::DModel, 16, MAX_WIDTH, 16),
            (Field::DFf, 16, MAX_WIDTH, 16),
            (Field::Window, 1, MAX_WINDOW, 1),
            (Field::Actions, 2, MAX_ACTIONS, 1),
            (Field::FinalWords, 0, MAX_OBSERVATION_WORDS, 1),
            (Field::EncoderColumns, 0, MAX_COLUMNS, 8),
            (Field::PixelsHidden, 0, MAX_WIDTH, 16),
            (Field::VectorHidden, 0, MAX_WIDTH, 16),
        ] {
            let (_, expected) = field.limits();
            assert_eq!(
                expected,
                match (multiple, least) {
                    (1, 0) => format!("at most {most}"),
                    (1, _) => format!("{least} to {most}"),
                    (_, 0) => format!("a multiple of {multiple}, at most {most}"),
                    (_, _) => format!("a multiple of {multiple}, {least} to {most}"),
                }
            );
            for value in [least, most] {
                assert!(!is_refused(field, value), "{field:?} {value}");
            }
            let below = least.checked_sub(multiple);
            let between = [least + multiple / 2, most - multiple / 2].into_iter().filter(|_| multiple > 1);
            for value in below.into_iter().chain(between).chain([most + multiple]) {
                assert!(is_refused(field, value), "{field:?} {value}");
            }
        }
        // Heads of 64, 32, 16, 8 and 4 columns.
        let accepted = |field, values: [usize; 8]| values.map(|value| !is_refused(field, value));
        let [yes, no] = [true, false];
        assert_eq!(accepted(Field::Heads, [0, 1, 2, 3, 4, 8, 16, 32]), [no, yes, yes, no, yes, yes, yes, no]);
        assert_eq!(accepted(Field::KvHeads, [0, 1, 2, 3, 4, 5, 8, 12]), [no, yes, yes, no, yes, no, no, no]);
        // 512 columns a head, and more.
        let one_head = |d_model| Dimensions { d_model, heads: 1, kv_heads: 1, ..USUAL }.check();
        assert_eq!(one_head(512), Ok(()));
        assert_eq!(one_head(528), Err(Error::Dimension { field: Field::Heads, value: 1 }));
    }
}
