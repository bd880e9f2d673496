//! What a model's encoders of numbers and pictures are, and what they cost a device.

use crate::model::normalised_range;
use algodistill_core::model::weights::NORMALISER_LEN;
use algodistill_core::{Channel, Dimensions, Encoders, Model};

/// The encoders of a model, and what all of them need together.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct EncoderPlan {
    /// One for each channel that has no table, in the order of the channels.
    pub encoders: Vec<Encoder>,
    /// Bytes of the weights file, in flash.
    pub flash: usize,
    /// Bytes of ring and scratch that would not be there without encoders.
    pub ram: usize,
    /// Bytes of an observation, in a buffer of whoever calls the agent.
    pub observation: usize,
}

/// An encoder.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Encoder {
    /// Number of its channel, from 0.
    pub channel: usize,
    /// What is observed there.
    pub observes: String,
    /// Hidden units; 0 where it is linear.
    pub hidden: usize,
    /// int8 parameters.
    pub parameters: usize,
    /// Bytes of the weights file: parameters, row scales and normalisers, without padding.
    pub flash: usize,
    /// Of each word of numbers what becomes -1 and what becomes 1; up to eight times as far from the
    /// middle is told apart.
    pub ranges: Vec<[i64; 2]>,
}

impl EncoderPlan {
    /// Of a decoded model; `None` where every channel has a table.
    pub fn new(model: &Model) -> Option<Self> {
        let (dimensions, interface) = (model.dimensions(), model.interface());
        let channels = interface.channels.iter().enumerate().filter(|(_, channel)| channel.inputs() > 0);
        let encoders: Vec<Encoder> = channels
            .map(|(number, channel)| {
                let normalisers: Vec<_> = model.normalisers(number).collect();
                let (parameters, scales) = tensors(&dimensions, channel);
                Encoder {
                    channel: number,
                    observes: channel.to_string(),
                    hidden: dimensions.encoders.hidden(channel),
                    parameters,
                    flash: parameters + 2 * scales + NORMALISER_LEN * normalisers.len(),
                    ranges: normalisers.into_iter().map(normalised_range).collect(),
                }
            })
            .collect();
        let words: usize = encoders.iter().map(|encoder| interface.channels[encoder.channel].words()).sum();
        let without = Dimensions {
            encoders: Encoders::NONE,
            final_words: dimensions.final_words.saturating_sub(words),
            ..dimensions
        };
        (!encoders.is_empty()).then(|| Self {
            flash: encoders.iter().map(|encoder| encoder.flash).sum(),
            ram: 4 * (dimensions.workspace_words() - without.workspace_words()),
            observation: 4 * interface.observation_len(),
            encoders,
        })
    }

    /// For people.
    pub fn text(&self) -> String {
        let Self { encoders, flash, ram, observation } = self;
        let mut text = String::new();
        for Encoder { channel, observes, hidden, parameters, flash, ranges } in encoders {
            let layers = match hidden {
                0 => "linear".into(),
                hidden => format!("{hidden} hidden units"),
            };
            text += &format!(
                "encoder    channel {channel}, {observes}: {layers}, {parameters} parameters, flash {flash} bytes\n"
            );
            for (word, [from, to]) in ranges.iter().enumerate() {
                text += &format!("           word {word} from {from} to {to}\n");
            }
        }
        text + &format!(
            "encoders   {flash} of the bytes of flash and {ram} of those of RAM; \
             an observation of {observation} bytes is not among them\n"
        )
    }
}

/// Parameters of the matrices of an encoder, and their rows.
fn tensors(dimensions: &Dimensions, channel: &Channel) -> (usize, usize) {
    let (columns, hidden) = (channel.encoder_columns(), dimensions.encoders.hidden(channel));
    let outputs = dimensions.d_model * if dimensions.final_words > 0 { 2 } else { 1 };
    match hidden {
        0 => (outputs * columns, outputs),
        _ => (hidden * columns + outputs * hidden, hidden + outputs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::normaliser;
    use algodistill_core::model::weights::{shapes, write, TensorParts};
    use algodistill_core::Interface;

    #[test]
    fn the_plan_is_that_of_the_tensors_and_the_normalisers_of_the_file() {
        let mut interface = Interface::discrete(&[5, 2, 2], 3, &[0.0, 1.0]).unwrap();
        interface.channels[1] = Channel::Vector { size: 2 };
        interface.channels[2] = Channel::Pixels { height: 5, width: 5, colours: 3 };
        let encoders = Encoders::new(&interface, 32, 0);
        let dimensions = Dimensions {
            layers: 1,
            d_model: 16,
            heads: 2,
            kv_heads: 2,
            d_ff: 32,
            window: 8,
            actions: 3,
            final_words: interface.observation_len(),
            encoders,
        };
        let shapes = shapes(&dimensions, &interface);
        let tensors: Vec<_> =
            shapes.iter().map(|[rows, columns]| (vec![1; *rows], vec![1; rows * columns])).collect();
        let parts: Vec<_> =
            tensors.iter().map(|(scales, data)| TensorParts { scales, data, exponent: 20 }).collect();
        let normalisers = [normaliser(-100, 100), normaliser(1_000, 5_000)];
        let file = write(&dimensions, &interface, &normalisers, &parts, "{}").unwrap();
        let model = Model::decode(&file).unwrap();
        let plan = EncoderPlan::new(&model).unwrap();
        let [vector, pixels] = &plan.encoders[..] else { panic!("{plan:?}") };
        assert_eq!((vector.channel, vector.hidden, pixels.channel, pixels.hidden), (1, 0, 2, 32));
        assert_eq!(vector.ranges, [[-100, 100], [1_000, 5_000]]);
        assert!(pixels.ranges.is_empty());
        // Behind tables of the channel (two), the actions and the feedback.
        let all =
            |range: std::ops::Range<usize>| shapes[range].iter().map(|[rows, columns]| rows * columns).sum();
        assert_eq!((vector.parameters, pixels.parameters), (all(4..6), all(6..9)));
        // The observation that ends an episode, 2 words and 75 bytes, and wider scratch.
        assert!(plan.ram > 4 * (2 + 19), "{plan:?}");
        let text = plan.text();
        assert!(text.contains("channel 2, 5x5x3 pixels: 32 hidden units"), "{text}");
        assert!(text.contains("word 1 from 1000 to 5000"), "{text}");
    }
}
