//! The training configuration: the experiment in one place.

use super::objective::{ObjectiveConfig, PARAMETERS};
use crate::history::Histories;
use crate::model::{check, dense_widths, within, Dimensions};
use crate::nn::{Hyperparameters, Schedule};
use crate::parameters::{self, Parameters};
use crate::{Error, Result};
use algodistill_core::Interface;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Where the network runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Device {
    /// The fused engine on the CPU.
    #[default]
    Cpu,
    /// dfdx's own operations on an NVIDIA GPU; needs a build with `--features cuda`.
    Cuda,
}

/// Everything that decides a training run. The defaults are a recipe measured on Dark Room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Sizes of the model.
    #[serde(flatten)]
    pub dimensions: Dimensions,
    /// Tokens of a training sequence; five halves of a window when absent. The band applies, so
    /// that in a sequence of several windows the ring loses tokens as it does on a device.
    pub sequence_length: Option<usize>,
    /// Sequences of a batch.
    pub batch: usize,
    /// Parameter updates.
    pub updates: u64,
    /// Highest learning rate, reached after the warm-up.
    pub learning_rate: f32,
    /// Updates over which the learning rate rises linearly from 0.
    pub warm_up: u64,
    /// Learning rate at the last update, as a fraction of the highest one; a cosine leads there.
    pub final_learning_rate_fraction: f32,
    /// AdamW: decay of the first moment.
    pub beta1: f32,
    /// AdamW: decay of the second moment.
    pub beta2: f32,
    /// AdamW: decoupled weight decay, a rate per unit of learning rate, on the matrices of the
    /// blocks and the head. Not on embeddings (a row that is rarely seen would fade) nor on the
    /// gains of the norms.
    pub weight_decay: f32,
    /// Largest norm of the whole gradient; a longer one is scaled down. 0 turns clipping off.
    pub clip: f32,
    /// Share of the target probability that is spread evenly over all actions.
    pub label_smoothing: f32,
    /// Probability that an attention weight is dropped.
    pub dropout: f32,
    /// Probability that an element of a block's output is dropped before it is added to the
    /// residual stream.
    pub residual_dropout: f32,
    /// Probability that a token's whole embedding is zero.
    pub token_masking: f32,
    /// Share of the training sequences that begin exactly where a history begins; the others begin
    /// at any of its episodes.
    pub history_start_fraction: f32,
    /// What is learned from the histories.
    #[serde(flatten)]
    pub objective: ObjectiveConfig,
    /// Seed of the initial parameters, the batches and the masks.
    pub seed: u64,
    /// Updates between two lines of `metrics.jsonl`.
    pub log_every: u64,
    /// Updates between two validations on held-out tasks; 0 turns them off.
    pub validation_every: u64,
    /// Sequences of a validation.
    #[serde(alias = "validation_windows")]
    pub validation_sequences: usize,
    /// Updates between two checkpoints; 0 writes one at the end only.
    pub checkpoint_every: u64,
    /// Updates between two models that are kept as `model-UPDATE.safetensors`, to be compared along
    /// the way; 0 keeps none but the last.
    pub snapshot_every: u64,
    /// Worker threads, at most 16 of which have work; all that the process may use (`--threads`)
    /// when absent. Does not change the result.
    pub threads: Option<usize>,
    /// Where the network runs.
    pub device: Device,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            dimensions: Dimensions::default(),
            sequence_length: None,
            batch: 32,
            updates: 1500,
            learning_rate: 3e-3,
            warm_up: 100,
            final_learning_rate_fraction: 0.0,
            beta1: 0.9,
            beta2: 0.99,
            weight_decay: 0.01,
            clip: 1.0,
            label_smoothing: 0.0,
            dropout: 0.0,
            residual_dropout: 0.0,
            token_masking: 0.0,
            history_start_fraction: 0.25,
            objective: ObjectiveConfig::default(),
            seed: 0,
            log_every: 10,
            validation_every: 250,
            validation_sequences: 64,
            checkpoint_every: 250,
            snapshot_every: 0,
            threads: None,
            device: Device::Cpu,
        }
    }
}

/// Largest value of every size, so that no product of two of them overflows.
const MAX_SIZE: usize = 1 << 16;
/// Most tokens of a batch.
const MAX_BATCH_TOKENS: usize = 1 << 22;
/// Most numbers that the encoders are given of a batch: a gigabyte.
const MAX_BATCH_INPUTS: usize = 1 << 28;
/// Bounds [`TrainConfig`]'s memory of a sequence to two gigabytes per thread.
const MAX_ACTIVATIONS: usize = 1 << 26;
/// Most parameters of all blocks that can be trained: the gradients of the parts of a batch are in
/// memory together.
const MAX_PARAMETERS: usize = 1 << 26;

impl TrainConfig {
    /// What AdamW is told.
    pub fn hyperparameters(&self) -> Hyperparameters {
        Hyperparameters { beta1: self.beta1, beta2: self.beta2, weight_decay: self.weight_decay }
    }

    /// The learning rate of every update.
    pub fn schedule(&self) -> Schedule {
        Schedule {
            peak: self.learning_rate,
            warm_up: self.warm_up,
            updates: self.updates,
            final_fraction: self.final_learning_rate_fraction,
        }
    }

    /// Replaces one field. A new `objective` begins with its default parameters.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the field as `train.field`, and lists the fields where it is
    /// none of them.
    pub fn set(&mut self, field: &str, value: Value) -> Result<()> {
        let mut fields = parameters::fields(self);
        for open in Dimensions::OPEN {
            fields.entry(open).or_insert(Value::Null);
        }
        if field == "objective" {
            PARAMETERS.iter().for_each(|parameter| fields[*parameter] = Value::Null);
        }
        let change = Parameters(Map::from_iter([(field.to_owned(), value)]));
        *self = parameters::replace("train", "the training configuration", fields, &change)?;
        Ok(())
    }

    /// Numbers of updates after which a model is kept, the last not among them.
    pub fn snapshots(&self) -> impl Iterator<Item = u64> {
        let (every, updates) = (self.snapshot_every, self.updates);
        (1..)
            .map(move |number: u64| number.saturating_mul(every))
            .take_while(move |update| every > 0 && *update < updates)
    }

    /// Tokens of a training sequence.
    pub fn resolved_sequence_length(&self) -> usize {
        self.sequence_length.unwrap_or(self.dimensions.window.saturating_mul(5).div_ceil(2))
    }

    /// The configuration of a run on `histories`: the sequence length is said, and there are no
    /// tables for what no history has. Of several ranks, `any` says whether this is so on any.
    pub(super) fn resolved(&self, histories: &Histories, any: impl FnOnce(bool) -> bool) -> Self {
        let known = any(histories.steps.knows_final_observations());
        let mut resolved = self.clone();
        // What ended an episode is part of the token after it, in the next episode.
        resolved.dimensions.final_observation &= known && self.objective.inner().spans_episodes();
        resolved.dimensions = resolved.dimensions.resolved(&histories.interface);
        resolved.sequence_length = Some(self.resolved_sequence_length());
        resolved
    }

    /// What of a run on `histories` should be thought over before it begins.
    pub fn warnings(&self, histories: &Histories) -> Vec<String> {
        let (window, sequence) = (self.dimensions.window, self.resolved_sequence_length());
        if !self.objective.inner().spans_episodes() {
            return Vec::new();
        }
        let longest = histories.index.iter().map(|history| history.steps.len()).max().unwrap_or(0);
        let (what, instead) = if sequence <= window {
            (format!("sequences of {sequence} tokens"), "longer sequences, for example of 5/2 windows")
        } else if longest * self.objective.inner().tokens_per_step() <= window {
            (format!("histories of at most {longest} steps"), "a shorter window, or longer histories")
        } else {
            return Vec::new();
        };
        vec![format!(
            "{what} are not longer than the window of {window}: the ring never loses a token in training, but every \
             device's does; choose {instead}"
        )]
    }

    /// Number of worker threads.
    pub fn resolved_threads(&self) -> usize {
        self.threads.unwrap_or_else(rayon::current_num_threads)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the field as `train.field`.
    pub fn validate(&self) -> Result<()> {
        self.validate_fields().map_err(|error| match error {
            Error::Argument { argument, problem } => Error::argument(format!("train.{argument}"), problem),
            other => other,
        })
    }

    /// Checks what the fields come to with the encoders of a model with this interface.
    pub(super) fn validate_inputs(&self, interface: &Interface) -> Result<()> {
        let inputs: usize = dense_widths(&self.dimensions, interface).iter().sum();
        let sequence = self.resolved_sequence_length();
        for (field, what, sequences) in [
            ("train.batch", "batch * sequence_length * inputs of the encoders", self.batch),
            (
                "train.validation_sequences",
                "validation_sequences * sequence_length * inputs of the encoders",
                self.validation_sequences,
            ),
        ] {
            product(field, what, &[sequences, sequence, inputs], MAX_BATCH_INPUTS)?;
        }
        Ok(())
    }

    fn validate_fields(&self) -> Result<()> {
        let Dimensions { layers, d_model, d_ff, .. } = self.dimensions;
        self.dimensions.validate()?;
        self.objective.inner().validate()?;
        let sequence = self.resolved_sequence_length();
        within("sequence_length", sequence, MAX_SIZE)?;
        within("batch", self.batch, MAX_SIZE)?;
        check(self.updates >= 1, "updates", self.updates, "at least 1")?;
        check(self.log_every >= 1, "log_every", self.log_every, "at least 1")?;
        check(self.seed <= i64::MAX as u64, "seed", self.seed, "below 2^63 (a TOML integer)")?;
        within("validation_sequences", self.validation_sequences, MAX_SIZE)?;
        product("batch", "batch * sequence_length", &[self.batch, sequence], MAX_BATCH_TOKENS)?;
        let validation = [self.validation_sequences, sequence];
        product(
            "validation_sequences",
            "validation_sequences * sequence_length",
            &validation,
            MAX_BATCH_TOKENS,
        )?;
        let width = d_model + d_ff;
        let activations = [sequence, layers, width];
        product(
            "sequence_length",
            "sequence_length * layers * (d_model + d_ff)",
            &activations,
            MAX_ACTIVATIONS,
        )?;
        let parameters = [d_model, layers, 4 * d_model + 2 * d_ff];
        product("d_model", "d_model * layers * (4 d_model + 2 d_ff)", &parameters, MAX_PARAMETERS)?;
        if let Some(threads) = self.threads {
            within("threads", threads, 1024)?;
        }
        let positive = self.learning_rate > 0.0 && self.learning_rate <= 1.0;
        check(positive, "learning_rate", self.learning_rate, "above 0 and at most 1")?;
        for (field, value) in [("weight_decay", self.weight_decay), ("clip", self.clip)] {
            check(value.is_finite() && value >= 0.0, field, value, "a finite number, 0 or more")?;
        }
        for (field, value) in [
            ("beta1", self.beta1),
            ("beta2", self.beta2),
            ("dropout", self.dropout),
            ("residual_dropout", self.residual_dropout),
            ("token_masking", self.token_masking),
            ("label_smoothing", self.label_smoothing),
        ] {
            check((0.0..1.0).contains(&value), field, value, "0 or more and below 1")?;
        }
        for (field, value) in [
            ("final_learning_rate_fraction", self.final_learning_rate_fraction),
            ("history_start_fraction", self.history_start_fraction),
        ] {
            check((0.0..=1.0).contains(&value), field, value, "between 0 and 1")?;
        }
        Ok(())
    }
}

/// What takes memory has a limit: better refused by name than killed by the system.
fn product(field: &str, formula: &str, factors: &[usize], largest: usize) -> Result<()> {
    let product = factors.iter().fold(1_usize, |product, &factor| product.saturating_mul(factor));
    let expected = format!("such that {formula} = {product} is at most {largest}");
    check(product <= largest, field, factors[0], expected)
}

#[cfg(test)]
mod tests {
    use super::super::objective::Expert;
    use super::*;
    use crate::history::{History, Steps};
    use algodistill_core::Channel;

    #[test]
    fn default_is_valid() {
        TrainConfig::default().validate().unwrap();
    }

    #[test]
    fn what_encoders_are_given_of_a_batch_is_bounded() {
        let channels = |channel| Interface {
            channels: [channel].into_iter().collect(),
            ..Interface::discrete(&[], 2, &[0.0]).unwrap()
        };
        let picture = channels(Channel::Pixels { height: 8, width: 16, colours: 3 });
        let index = channels(Channel::Discrete { size: 4 });
        let large = TrainConfig { batch: 1 << 14, sequence_length: Some(256), ..TrainConfig::default() };
        large.validate().unwrap();
        large.validate_inputs(&index).unwrap();
        let problem = large.validate_inputs(&picture).unwrap_err().to_string();
        assert!(
            problem.starts_with("train.batch: ") && problem.contains("inputs of the encoders"),
            "{problem}"
        );
        let held_out = TrainConfig { batch: 27, validation_sequences: 1 << 14, ..large };
        let problem = held_out.validate_inputs(&picture).unwrap_err().to_string();
        assert!(problem.starts_with("train.validation_sequences: "), "{problem}");
        TrainConfig::default().validate_inputs(&picture).unwrap();
    }

    #[test]
    fn refuses_by_name() {
        let valid = TrainConfig::default();
        let sized = |change: fn(&mut Dimensions)| {
            let mut config = valid.clone();
            change(&mut config.dimensions);
            config
        };
        let expert = ObjectiveConfig::Expert(Expert { fraction: 0.0 });
        for (config, field) in [
            (sized(|d| d.layers = 0), "train.layers"),
            (sized(|d| d.d_model = 60), "train.d_model"),
            (sized(|d| d.heads = 0), "train.heads"),
            (sized(|d| d.heads = 3), "train.heads"),
            (sized(|d| d.heads = 32), "train.heads"),
            (sized(|d| d.kv_heads = Some(0)), "train.kv_heads"),
            (sized(|d| d.kv_heads = Some(3)), "train.kv_heads"),
            (sized(|d| d.kv_heads = Some(8)), "train.kv_heads"),
            (sized(|d| d.d_ff = usize::MAX), "train.d_ff"),
            (sized(|d| d.window = 4097), "train.window"),
            (sized(|d| (d.d_model, d.d_ff) = (4096, 4096)), "train.d_model"),
            (TrainConfig { batch: 0, ..valid.clone() }, "train.batch"),
            (TrainConfig { batch: 1 << 16, ..valid.clone() }, "train.batch"),
            (TrainConfig { validation_sequences: 1 << 16, ..valid.clone() }, "train.validation_sequences"),
            (
                TrainConfig { sequence_length: Some(1 << 16), ..sized(|d| d.layers = 8) },
                "train.sequence_length",
            ),
            (TrainConfig { updates: 0, ..valid.clone() }, "train.updates"),
            (TrainConfig { learning_rate: f32::NAN, ..valid.clone() }, "train.learning_rate"),
            (TrainConfig { clip: f32::INFINITY, ..valid.clone() }, "train.clip"),
            (TrainConfig { dropout: 1.0, ..valid.clone() }, "train.dropout"),
            (TrainConfig { beta2: f32::NAN, ..valid.clone() }, "train.beta2"),
            (TrainConfig { objective: expert, ..valid.clone() }, "train.expert_fraction"),
            (TrainConfig { threads: Some(0), ..valid.clone() }, "train.threads"),
        ] {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{field}: ")), "{error}");
        }
    }

    #[test]
    fn fields_are_set_by_name() {
        let mut config = TrainConfig::default();
        config.set("window", 32.into()).unwrap();
        config.set("kv_heads", 2.into()).unwrap();
        config.set("objective", "expert".into()).unwrap();
        config.set("expert_fraction", 0.25.into()).unwrap();
        config.set("dropout", 0.1.into()).unwrap();
        let expected = TrainConfig {
            dimensions: Dimensions { window: 32, kv_heads: Some(2), ..Dimensions::default() },
            objective: ObjectiveConfig::Expert(Expert { fraction: 0.25 }),
            dropout: 0.1,
            ..TrainConfig::default()
        };
        assert_eq!(config, expected);
        config.set("objective", "decision-pretrained".into()).unwrap();
        for (field, value, problem) in [
            ("windows", 3.into(), "train.windows: is not a parameter of the training configuration; it has"),
            ("batch", 1.5.into(), "train.batch: is 1.5, expected a whole number, 0 or more"),
            ("expert_fraction", 0.1.into(), "train.expert_fraction: expert_fraction belongs to"),
            ("objective", "ad".into(), "train.objective: objective: is \"ad\", must be one of algorithm-"),
        ] {
            let error = config.set(field, value).unwrap_err().to_string();
            assert!(error.starts_with(problem), "{error}");
        }
    }

    #[test]
    fn sequences_are_five_halves_of_a_window_unless_told_otherwise() {
        let lengths = |text: &str| {
            let config: TrainConfig = toml::from_str(text).unwrap();
            (config.dimensions.window, config.resolved_sequence_length())
        };
        assert_eq!(lengths(""), (128, 320));
        assert_eq!(lengths("window = 99"), (99, 248));
        assert_eq!(lengths("sequence_length = 100"), (128, 100));
        assert_eq!(lengths("window = 100\nsequence_length = 1000"), (100, 1000));
    }

    #[test]
    fn warns_where_the_ring_never_loses_a_token() {
        let interface = algodistill_core::Interface::discrete(&[], 2, &[0.0]).unwrap();
        let history = History { task: 0, id: 0, steps: 0..300 };
        let histories = Histories { interface, index: vec![history], steps: Steps::default() };
        let warnings = |window, sequence_length| {
            let dimensions = Dimensions { window, ..Dimensions::default() };
            TrainConfig { dimensions, sequence_length, ..TrainConfig::default() }.warnings(&histories)
        };
        assert!(warnings(128, None).is_empty());
        let sequences = warnings(160, Some(160));
        assert!(sequences[0]
            .starts_with("sequences of 160 tokens are not longer than the window of 160: the ring"));
        let histories = warnings(300, None);
        assert!(histories[0].starts_with("histories of at most 300 steps are not longer"), "{histories:?}");
    }

    #[test]
    fn files_of_earlier_versions_are_read_and_text_is_flat() {
        let old = "layers = 3\nwindow = 20\nbatch = 8\nexpert_fraction = 0.5\nvalidation_windows = 4";
        let config: TrainConfig = toml::from_str(old).unwrap();
        assert_eq!((config.dimensions.layers, config.dimensions.window, config.batch), (3, 20, 8));
        assert_eq!(config.objective, ObjectiveConfig::Expert(Expert { fraction: 0.5 }));
        assert_eq!(config.validation_sequences, 4);
        let text = toml::to_string(&config).unwrap();
        assert!(
            text.starts_with(
                "layers = 3\nd_model = 64\nheads = 4\nd_ff = 256\nwindow = 20\nfinal_observation = true\n"
            ),
            "{text}"
        );
        assert_eq!(toml::from_str::<TrainConfig>(&text).unwrap(), config);
        assert!(toml::from_str::<TrainConfig>("widow = 20").unwrap_err().to_string().contains("widow"));
    }
}
