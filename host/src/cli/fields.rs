//! Fields of a configuration as options: one table of names and helps, from which the options are
//! made. Their types and defaults are those of the configuration itself.

use crate::model::Dimensions;
use crate::parameters::{fields, Assignment};
use crate::rl2::Rl2Config;
use crate::train::{objective, TrainConfig};
use crate::{Error, Result};
use clap::builder::PossibleValuesParser;
use clap::{value_parser, Arg, ArgAction, ArgMatches, Command, FromArgMatches};
use serde_json::{Map, Value};

/// A field that is an option, `--its-name`.
struct Field {
    name: &'static str,
    help: &'static str,
    takes: Takes,
}

/// What an option takes.
#[derive(Clone, Copy)]
enum Takes {
    /// A whole number, 0 or more.
    Count,
    Number,
    /// `true` or `false`.
    Truth,
    /// One of some words.
    Word(fn() -> Vec<&'static str>),
}

const fn field(name: &'static str, takes: Takes, help: &'static str) -> Field {
    Field { name, help, takes }
}

/// The sizes among the fields of [`Dimensions`].
const DIMENSIONS: [Field; 6] = [
    field("layers", Takes::Count, "Transformer blocks"),
    field("d_model", Takes::Count, "Width of the residual stream, a multiple of 16"),
    field("heads", Takes::Count, "Attention heads"),
    field(
        "kv_heads",
        Takes::Count,
        "Heads of keys and values, each shared by heads / kv_heads of the others [default: as many as heads]",
    ),
    field("d_ff", Takes::Count, "Hidden width of the feed-forward network, a multiple of 16"),
    field("window", Takes::Count, "Context window in steps"),
];

/// The other fields of [`TrainConfig`] but for `threads`, which is an option of every command.
const TRAINING: [Field; 37] = [
    field(
        "final_observation",
        Takes::Truth,
        "Whether the model sees what ended an episode, where the histories have it",
    ),
    field(
        "pixels_hidden",
        Takes::Count,
        "Hidden units of the encoder of a picture, 0 for a linear one [default: 32]",
    ),
    field(
        "vector_hidden",
        Takes::Count,
        "Hidden units of the encoder of numbers, 0 for a linear one [default: 64]",
    ),
    field("sequence_length", Takes::Count, "Tokens of a training sequence [default: 5/2 windows]"),
    field("batch", Takes::Count, "Sequences of a batch"),
    field("updates", Takes::Count, "Parameter updates"),
    field("learning_rate", Takes::Number, "Highest learning rate"),
    field("warm_up", Takes::Count, "Updates of linear warm-up"),
    field(
        "final_learning_rate_fraction",
        Takes::Number,
        "Learning rate at the end, as a fraction of the highest one",
    ),
    field("beta1", Takes::Number, "AdamW: decay of the first moment"),
    field("beta2", Takes::Number, "AdamW: decay of the second moment"),
    field("weight_decay", Takes::Number, "AdamW: decoupled weight decay"),
    field("clip", Takes::Number, "Largest norm of the gradient, 0 for no clipping"),
    field("label_smoothing", Takes::Number, "Share of the target probability spread over all actions"),
    field("dropout", Takes::Number, "Probability that an attention weight is dropped"),
    field("residual_dropout", Takes::Number, "Probability that an element of a block's output is dropped"),
    field("token_masking", Takes::Number, "Probability that a token's whole embedding is zero"),
    field(
        "history_start_fraction",
        Takes::Number,
        "Share of the training sequences that begin where a history begins",
    ),
    field("objective", Takes::Word(objective::names), "What is learned from the histories"),
    field(
        "expert_fraction",
        Takes::Number,
        "Objective expert: the last fraction of each history's episodes that is trained on [default: 0.1]",
    ),
    field(
        "q_discount",
        Takes::Number,
        "Objective offline-q: what a reward one step later is worth [default: 0.95]",
    ),
    field(
        "q_lambda",
        Takes::Number,
        "Objective offline-q: weight of the rewards that followed against bootstrapped values [default: 0.7]",
    ),
    field(
        "q_conservatism",
        Takes::Number,
        "Objective offline-q: weight of the cross-entropy with the actions taken [default: 0.05]",
    ),
    field(
        "q_temperature",
        Takes::Number,
        "Objective offline-q: values over this are the logits of the policy [default: 0.05]",
    ),
    field(
        "q_copy_rate",
        Takes::Number,
        "Objective offline-q: part of the way that the slow copy goes at each update [default: 0.02]",
    ),
    field(
        "q_across_episodes",
        Takes::Truth,
        "Objective offline-q: whether values bootstrap over the ends of episodes [default: true]",
    ),
    field(
        "return_lowest",
        Takes::Number,
        "Objective decision-transformer: the lowest return to go that is told from others [default: 0]",
    ),
    field(
        "return_unit",
        Takes::Number,
        "Objective decision-transformer: distance between two returns that are told apart [default: 1]",
    ),
    field(
        "return_levels",
        Takes::Count,
        "Objective decision-transformer: returns that are told apart [default: 32]",
    ),
    field(
        "time_steps",
        Takes::Count,
        "Objective decision-transformer: time steps that are told apart [default: 64]",
    ),
    field("seed", Takes::Count, "Seed of the initial parameters, the batches and the masks"),
    field("log_every", Takes::Count, "Updates between two lines of metrics.jsonl"),
    field("validation_every", Takes::Count, "Updates between two validations on held-out tasks, 0 for none"),
    field("validation_sequences", Takes::Count, "Sequences of a validation"),
    field("checkpoint_every", Takes::Count, "Updates between two checkpoints, 0 for one at the end only"),
    field(
        "snapshot_every",
        Takes::Count,
        "Updates between two models that are kept along the way, 0 for none",
    ),
    field("device", Takes::Word(|| vec!["cpu", "cuda"]), "Where the network runs"),
];

/// The fields of [`Rl2Config`] beside those of [`DIMENSIONS`], but for the environment and `threads`.
const RL2: [Field; 26] = [
    field("tasks", Takes::Count, "Training tasks [default: all that are not held out; 20000 of a bandit, 2500 of the restless one]"),
    field("held_out", Takes::Count, "Tasks held out from training [default: 16; 64 in Key-to-Door; 500 of a bandit, 100 of the restless one]"),
    field("split_seed", Takes::Count, "Seed of the split into training and held-out tasks"),
    field("episodes", Takes::Count, "Episodes of a trial [default: 10; 1 of a bandit but the restless one]"),
    field("iterations", Takes::Count, "Iterations: trials are made, and learned from"),
    field("trials", Takes::Count, "Trials of an iteration"),
    field("minibatch", Takes::Count, "Trials of a parameter update"),
    field("epochs", Takes::Count, "Times that an iteration goes through its trials"),
    field("discount", Takes::Number, "What a reward one step later is worth, also over the ends of episodes"),
    field("gae_lambda", Takes::Number, "Decay of the generalized advantage estimate"),
    field("clip_ratio", Takes::Number, "How far the probability of an action may change in an iteration"),
    field("target_kl", Takes::Number, "Divergence of the policy that ends an iteration early, 0 for never"),
    field("entropy", Takes::Number, "Weight of the policy's entropy in the first iteration"),
    field("final_entropy", Takes::Number, "Weight of the policy's entropy in the last iteration"),
    field(
        "novelty",
        Takes::Number,
        "What a new observation is worth where the trial does not know yet what pays next",
    ),
    field(
        "barren",
        Takes::Number,
        "Fraction of the trials that pay nothing, so that it learns to go on looking",
    ),
    field("value_weight", Takes::Number, "Weight of the error of the values"),
    field("learning_rate", Takes::Number, "Highest learning rate"),
    field("warm_up", Takes::Count, "Iterations of linear warm-up"),
    field(
        "final_learning_rate_fraction",
        Takes::Number,
        "Learning rate at the end, as a fraction of the highest one",
    ),
    field("weight_decay", Takes::Number, "AdamW: decoupled weight decay"),
    field("clip", Takes::Number, "Largest norm of the gradient, 0 for no clipping"),
    field("seed", Takes::Count, "Seed of the initial parameters and the trials"),
    field("evaluate_every", Takes::Count, "Iterations between two evaluations, 0 for none"),
    field("evaluation_trials", Takes::Count, "Trials of an evaluation, on training and on held-out tasks"),
    field("checkpoint_every", Takes::Count, "Iterations between two checkpoints, 0 for one at the end only"),
];

/// The fields of [`TrainConfig`] that are options of `train`.
fn options() -> impl Iterator<Item = &'static Field> {
    DIMENSIONS.iter().chain(&TRAINING)
}

/// The options of fields, with the defaults that they have in `defaults`.
fn add<'a>(
    command: Command,
    fields: impl IntoIterator<Item = &'a Field>,
    defaults: &Map<String, Value>,
) -> Command {
    fields.into_iter().fold(command, |command, field| {
        // What is open is not written.
        let default = match defaults.get(field.name).unwrap_or(&Value::Null) {
            Value::Null => String::new(),
            // 1 rather than 1.0.
            Value::Number(number) if number.is_f64() => {
                format!(" [default: {}]", number.as_f64().unwrap_or_default())
            }
            Value::String(word) => format!(" [default: {word}]"),
            other => format!(" [default: {other}]"),
        };
        let option = Arg::new(field.name)
            .long(field.name.replace('_', "-"))
            .value_name(field.name.to_uppercase())
            .help(format!("{}{default}", field.help));
        command.arg(match field.takes {
            Takes::Count => option.value_parser(value_parser!(u64)),
            Takes::Number => option.value_parser(value_parser!(f64)),
            Takes::Truth => option.value_parser(value_parser!(bool)),
            Takes::Word(words) => option.value_parser(PossibleValuesParser::new(words())),
        })
    })
}

/// The fields of the configuration `of` that were given, in the order of the table.
fn given<'a>(
    of: &str,
    matches: &ArgMatches,
    fields: impl IntoIterator<Item = &'a Field>,
) -> Result<Vec<(String, Value)>> {
    let mut given = Vec::new();
    for &Field { name, takes, .. } in fields {
        let value = match takes {
            Takes::Count => matches.get_one::<u64>(name).map(|&count| Ok(count.into())),
            Takes::Number => matches.get_one::<f64>(name).map(|&number| finite(of, name, number)),
            Takes::Truth => matches.get_one::<bool>(name).map(|&truth| Ok(truth.into())),
            Takes::Word(_) => matches.get_one::<String>(name).map(|word| Ok(word.as_str().into())),
        };
        if let Some(value) = value {
            given.push((name.to_owned(), value?));
        }
    }
    Ok(given)
}

/// JSON has no words for other numbers.
fn finite(of: &str, field: &str, number: f64) -> Result<Value> {
    if number.is_finite() {
        return Ok(number.into());
    }
    Err(Error::argument(format!("{of}.{field}"), format!("is {number}, must be a finite number")))
}

/// Dimensions of a model as options of the benchmarks: the reference model unless told otherwise,
/// which stays the same where the trainer's defaults change.
#[derive(Clone, Copy, Debug)]
pub struct DimensionArgs(pub Dimensions);

/// The reference model. What ends an episode takes no time worth measuring.
fn reference() -> TrainConfig {
    let dimensions = Dimensions { window: 160, final_observation: false, ..Dimensions::default() };
    TrainConfig { dimensions, ..TrainConfig::default() }
}

impl clap::Args for DimensionArgs {
    fn augment_args(command: Command) -> Command {
        add(command, &DIMENSIONS, &fields(&reference()))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for DimensionArgs {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        let mut config = reference();
        let given = given("train", matches, &DIMENSIONS);
        let set =
            given.and_then(|given| given.into_iter().try_for_each(|(name, value)| config.set(&name, value)));
        set.map_err(wrong_usage)?;
        Ok(Self(config.dimensions))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> std::result::Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Departures from a training configuration: an option per field, and `--set FIELD=VALUE`.
#[derive(Clone, Debug, Default)]
pub struct Overrides(Vec<(String, Value)>);

impl Overrides {
    /// Puts the given values in place of the configuration's.
    ///
    /// # Errors
    /// Those of [`TrainConfig::set`].
    pub fn apply(&self, config: &mut TrainConfig) -> Result<()> {
        self.0.iter().try_for_each(|(name, value)| config.set(name, value.clone()))
    }
}

impl clap::Args for Overrides {
    fn augment_args(command: Command) -> Command {
        let config = fields(&TrainConfig::default());
        let expert = Arg::new("expert").long("expert").action(ArgAction::SetTrue);
        let set = Arg::new("set").long("set").value_name("FIELD=VALUE").action(ArgAction::Append);
        let set = set.value_parser(|text: &str| text.parse::<Assignment>());
        add(command, options(), &config)
            .mut_arg("validation_sequences", |arg| arg.alias("validation-windows"))
            .arg(expert.conflicts_with("objective").help("The same as --objective expert"))
            .arg(set.help("Set any field of the [train] table by its name; may be repeated"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Overrides {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        let mut all = given("train", matches, options()).map_err(wrong_usage)?;
        let has = |name: &str| all.iter().any(|(given, _)| given == name);
        if matches.get_flag("expert") || (has("expert_fraction") && !has("objective")) {
            all.insert(0, ("objective".into(), "expert".into()));
        }
        for Assignment { field, value } in matches.get_many::<Assignment>("set").into_iter().flatten() {
            all.push((field.clone(), value.clone()));
        }
        Ok(Self(all))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> std::result::Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Departures from a configuration of RL2: an option per field.
#[derive(Clone, Debug, Default)]
pub struct Rl2Overrides(Vec<(String, Value)>);

impl Rl2Overrides {
    fn options() -> impl Iterator<Item = &'static Field> {
        DIMENSIONS.iter().chain(&RL2)
    }

    /// Puts the given values in place of the configuration's.
    ///
    /// # Errors
    /// Those of [`Rl2Config::set`].
    pub fn apply(&self, config: &mut Rl2Config) -> Result<()> {
        self.0.iter().try_for_each(|(name, value)| config.set(name, value.clone()))
    }
}

impl clap::Args for Rl2Overrides {
    fn augment_args(command: Command) -> Command {
        let window = "Context window in steps [default: a whole trial]";
        add(command, Self::options(), &fields(&Rl2Config::default()))
            .mut_arg("window", |option| option.help(window))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Rl2Overrides {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        given("rl2", matches, Self::options()).map(Self).map_err(wrong_usage)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> std::result::Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn wrong_usage(error: Error) -> clap::Error {
    clap::Error::raw(clap::error::ErrorKind::ValueValidation, format!("{error}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Args;

    fn apply(arguments: &[&str]) -> std::result::Result<TrainConfig, String> {
        let command = Overrides::augment_args(Command::new("train").no_binary_name(true));
        let matches = command.try_get_matches_from(arguments).map_err(|error| error.to_string())?;
        let overrides = Overrides::from_arg_matches(&matches).map_err(|error| error.to_string())?;
        let mut config = TrainConfig::default();
        overrides.apply(&mut config).map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn the_options_are_the_fields_of_the_configuration() {
        let mut options: Vec<&str> = options().map(|field| field.name).collect();
        let fields = fields(&TrainConfig::default());
        let mut fields: Vec<&str> = fields
            .keys()
            .map(String::as_str)
            .filter(|name| *name != "threads")
            .chain(Dimensions::OPEN)
            .collect();
        options.sort_unstable();
        fields.sort_unstable();
        assert_eq!(options, fields);
    }

    #[test]
    fn the_options_of_rl2_are_the_fields_of_its_configuration() {
        let mut options: Vec<&str> = Rl2Overrides::options().map(|field| field.name).collect();
        let fields = fields(&Rl2Config::default());
        let others = ["threads", "environment"];
        let mut fields: Vec<&str> = fields.keys().map(String::as_str).chain(Rl2Config::OPEN).collect();
        fields.retain(|name| !others.contains(name));
        options.sort_unstable();
        fields.sort_unstable();
        assert_eq!(options, fields);
    }

    #[test]
    fn options_and_set_change_the_same_fields() {
        let one = apply(&["--window", "32", "--dropout", ".1", "--objective", "expert"]).unwrap();
        let other =
            apply(&["--set", "window=32", "--set", "dropout=.1", "--set", "objective=expert"]).unwrap();
        assert_eq!(one, other);
        assert_eq!((one.dimensions.window, one.dropout), (32, 0.1));
        assert_eq!(one.objective.inner().name(), "expert");
        assert_eq!(apply(&["--expert"]).unwrap().objective, one.objective);
        let quarter = apply(&["--expert-fraction", "0.25"]).unwrap();
        let quarter = fields(&quarter);
        assert_eq!((&quarter["objective"], &quarter["expert_fraction"]), (&"expert".into(), &0.25.into()));
        assert_eq!(apply(&["--validation-windows", "3"]).unwrap().validation_sequences, 3);
    }

    #[test]
    fn what_is_wrong_is_said_by_the_name_of_the_field() {
        for (arguments, problem) in [
            (
                ["--set", "widow=3"],
                "train.widow: is not a parameter of the training configuration; it has batch,",
            ),
            (["--set", "window=many"], "train.window: is \"many\", expected a whole number, 0 or more"),
            (["--set", "window"], "expected FIELD=VALUE"),
            (["--learning-rate", "nan"], "train.learning_rate: is NaN"),
            (["--set", "kv_heads=many"], "train.kv_heads: is \"many\", expected a whole number, 0 or more"),
            (
                ["--objective", "clone"],
                "[possible values: algorithm-distillation, expert, decision-pretrained, ",
            ),
        ] {
            let error = apply(&arguments).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }
}
