//! `algodistill histories`: look into files of learning histories, and check those of other
//! programs.

mod filter;
mod import;

use super::generate::returns_table;
use super::Report;
use crate::environment::EnvironmentConfig;
use crate::history::card::{card_path, Card};
use crate::history::{describe, read, Foreign, Histories, Window};
use crate::{Error, Result};
use algodistill_core::Channel;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Look into a file of learning histories, or check one that another program wrote.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Show the card, how the source improved, and the first steps.
    Show {
        /// Parquet file.
        file: PathBuf,
        /// Steps of the first history to show.
        #[arg(long, default_value_t = 20)]
        steps: usize,
    },
    /// Check every row of a file; describe it where it has no card.
    Check {
        /// Parquet file.
        file: PathBuf,
        /// Write the card of a file that another program wrote, so that it can be trained on.
        #[arg(long)]
        write_card: bool,
        #[command(flatten)]
        known: Known,
    },
    /// Write another file with the histories that show learning best.
    Filter(filter::Args),
    /// Make histories of the logs of steps that devices write.
    Import(import::Args),
}

/// What a new card says beyond what occurs in the rows.
#[derive(clap::Args, Clone, Debug, Default)]
struct Known {
    /// Tasks held out from training when a card is written [default: one in ten].
    #[arg(long)]
    held_out: Option<u32>,
    /// Seed of the split when a card is written [default: 0].
    #[arg(long)]
    split_seed: Option<u64>,
    /// Values of each column of integers of an observation when a card is written, such as 16,9
    /// [default: those that occur].
    #[arg(long, value_name = "N,N,...", value_delimiter = ',')]
    observation_sizes: Option<Vec<u16>>,
    /// Height, width and colours of each column of pictures of an observation when a card is written,
    /// such as 8x16x3.
    #[arg(long, value_name = "HxWxC,...", value_delimiter = ',', value_parser = shape)]
    pixels: Option<Vec<[u16; 3]>>,
    /// Number of actions when a card is written [default: those that occur].
    #[arg(long, value_name = "N")]
    actions: Option<u16>,
}

impl Known {
    /// An option that only a new card has use for.
    fn given(&self) -> Option<&'static str> {
        let given = [
            ("held_out", self.held_out.is_some()),
            ("split_seed", self.split_seed.is_some()),
            ("observation_sizes", self.observation_sizes.is_some()),
            ("pixels", self.pixels.is_some()),
            ("actions", self.actions.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(option, _)| option)
    }
}

/// The shape of a picture from `8x16x3`.
fn shape(text: &str) -> std::result::Result<[u16; 3], String> {
    let numbers: Vec<u16> = text.split('x').filter_map(|number| number.parse().ok()).collect();
    match (<[u16; 3]>::try_from(numbers), text.matches('x').count()) {
        (Ok(shape), 2) => Ok(shape),
        _ => Err("expected HEIGHTxWIDTHxCOLOURS, such as 8x16x3".into()),
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Report> {
    match &args.command {
        Command::Show { file, steps } => show(file, *steps),
        Command::Check { file, write_card, known } => check(file, *write_card, known),
        Command::Filter(args) => filter::run(args),
        Command::Import(args) => import::run(args),
    }
}

fn show(path: &Path, steps: usize) -> Result<Report> {
    let file = read(path)?;
    let first = if file.training.index.is_empty() { &file.held_out } else { &file.training };
    let tokens = tokens(&file.card.environment, first, steps)?;
    let mut text = summary(path, &file.card);
    for filtering in &file.card.filters {
        let asked = serde_json::to_string(&filtering.asked).unwrap_or_default();
        text += &format!("\nfiltered by {asked}\n{}", filter::table(filtering));
    }
    text += &format!("\n{}", returns_table(&file.card.returns));
    if let Some(history) = first.index.first() {
        text += &format!("\nhistory {} of task {}\n{}\n", history.id, history.task, tokens.join("\n"));
    }
    Ok(Report {
        text,
        json: json!({ "file": path.display().to_string(), "card": file.card, "first_steps": tokens }),
    })
}

fn check(path: &Path, write_card: bool, known: &Known) -> Result<Report> {
    let (card, verdict) = match (read(path), known.given()) {
        (Ok(_), Some(option)) => {
            let card = card_path(path);
            let problem =
                format!("{0} describes the file already; remove {0} to describe it anew", card.display());
            return Err(Error::argument(option, problem));
        }
        (Ok(file), None) => (file.card, "every row is good, and the card describes it"),
        (Err(problem), _) if card_path(path).exists() && !write_card => return Err(problem),
        // There is no card yet, or it is to be replaced: the data may still be good.
        (Err(_), _) => {
            let foreign = Foreign {
                observation_sizes: known.observation_sizes.clone(),
                pixels: known.pixels.clone().unwrap_or_default(),
                actions: known.actions,
                held_out: known.held_out,
                split_seed: known.split_seed.unwrap_or(0),
                ..Foreign::default()
            };
            let (mut card, _) = describe(path, &foreign)?;
            if write_card {
                card.write(path)?;
                (card, "every row is good; the card was written")
            } else {
                (card, "every row is good; add --write-card to be able to train on it")
            }
        }
    };
    let text = format!("{}{verdict}\n", summary(path, &card));
    Ok(Report {
        text,
        json: json!({ "file": path.display().to_string(), "good": true, "has_card": card_path(path).exists(), "card": card }),
    })
}

fn summary(path: &Path, card: &Card) -> String {
    let interface = &card.interface;
    let channels: Vec<String> = interface.channels.iter().map(ToString::to_string).collect();
    let source = match &card.generation {
        Some(config) => format!(
            "{}, seed {}, {} episodes, every {} kept{}",
            config.source.name(),
            config.seed,
            config.episodes,
            config.keep_every,
            match config.tasks_per_history.is_one() {
                true => String::new(),
                false => format!(", tasks per history: {}", config.tasks_per_history),
            }
        ),
        None => "another program".into(),
    };
    let (training, held_out) = (card.split.training.len(), card.split.held_out.len());
    let tasks = match training + held_out {
        1 => "1 task".into(),
        tasks => format!("{tasks} tasks"),
    };
    format!(
        "file         {}\nenvironment  {}\nsource       {source}\n\
         histories    {} of {tasks} ({training} for training, {held_out} held out), {} steps\n\
         interface    observation [{}], {} actions, rewards {:?}\nsha256       {}\n",
        path.display(),
        card.environment.name(),
        card.histories,
        card.steps,
        channels.join(", "),
        interface.actions,
        interface.reward_levels.as_slice(),
        card.sha256
    )
}

/// The first steps as a model reads them: time, observation, action, reward.
fn tokens(environment: &EnvironmentConfig, histories: &Histories, count: usize) -> Result<Vec<String>> {
    let steps = &histories.steps;
    let history = histories.index.first().map_or(0..0, |history| history.steps.clone());
    let mut words = vec![0; histories.interface.observation_len()];
    let mut window = Window::default();
    let mut time = 0;
    let mut lines = Vec::new();
    for step in history.take(count) {
        let action = environment.action_name(steps.actions[step].into());
        window.observe(steps, step, &mut words)?;
        let seen: Vec<String> =
            histories.interface.split(&words).map(|(channel, own)| seen(channel, own)).collect();
        let observation = if seen.is_empty() { String::new() } else { format!(" ({})", seen.join(",")) };
        let done = if steps.dones[step] { " done" } else { "" };
        let task = steps.tasks.get(step).filter(|_| time == 0);
        let task = task.map_or_else(String::new, |task| format!(" (task {task})"));
        lines.push(format!("t{time}{observation} -{action}-> r{}{done}{task}", steps.rewards[step]));
        time = if steps.dones[step] { 0 } else { time + 1 };
    }
    Ok(lines)
}

/// Numbers of a list that are shown.
const SHOWN: usize = 8;

/// What a channel saw: an index, the first numbers of a list, or the shape of a picture and the mean
/// of its bytes.
fn seen(channel: &Channel, words: &[i32]) -> String {
    match channel {
        Channel::Discrete { .. } => words.first().map_or_else(String::new, i32::to_string),
        Channel::Vector { .. } => {
            let numbers: Vec<String> = words.iter().take(SHOWN).map(i32::to_string).collect();
            let more =
                if words.len() > SHOWN { format!(" ... {} in all", words.len()) } else { String::new() };
            format!("[{}{more}]", numbers.join(" "))
        }
        Channel::Pixels { height, width, colours } => {
            let bytes = words.iter().flat_map(|word| word.to_le_bytes()).take(channel.inputs());
            let sum: usize = bytes.map(usize::from).sum();
            let mean = sum as f64 / channel.inputs().max(1) as f64;
            format!("{height}x{width}x{colours} mean {mean:.1}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{generate_to_file, GenerateConfig};
    use crate::progress::NoProgress;
    use crate::source::SourceConfig;

    #[test]
    fn numbers_and_pictures_are_shown_in_short() {
        let folder = tempfile::tempdir().unwrap();
        for (preset, expected) in [("watermaze", "t0 (8x16x3 mean "), ("watermaze-pose", "t0 ([")] {
            let path = folder.path().join(format!("{preset}.parquet"));
            let environment = EnvironmentConfig::preset(preset).unwrap();
            let config = GenerateConfig {
                tasks: Some(2),
                held_out: 1,
                histories_per_task: 1,
                episodes: 2,
                ..GenerateConfig::recommended(environment, SourceConfig::preset("psrl").unwrap()).unwrap()
            };
            generate_to_file(&config, &path, &NoProgress).unwrap();
            let shown = show(&path, 3).unwrap();
            let first = shown.json["first_steps"][0].as_str().unwrap();
            assert!(first.starts_with(expected) && first.len() < 80, "{first}");
        }
        let words: Vec<i32> = (-1..9).collect();
        assert_eq!(seen(&Channel::Vector { size: 10 }, &words), "[-1 0 1 2 3 4 5 6 ... 10 in all]");
        let picture = Channel::Pixels { height: 1, width: 2, colours: 3 };
        assert_eq!(seen(&picture, &[i32::from_le_bytes([1, 2, 3, 4]), 0x7fff_0605]), "1x2x3 mean 3.5");
    }

    #[test]
    fn a_file_is_shown_checked_and_described() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let environment = EnvironmentConfig::preset("dark-room").unwrap();
        let config = GenerateConfig {
            tasks: Some(3),
            histories_per_task: 2,
            ..GenerateConfig::recommended(environment, SourceConfig::preset("psrl").unwrap()).unwrap()
        };
        generate_to_file(&config, &path, &NoProgress).unwrap();
        let shown = show(&path, 21).unwrap();
        let tokens = shown.json["first_steps"].as_array().unwrap();
        assert!(tokens[0].as_str().unwrap().starts_with("t0 (4,4) -"), "{}", tokens[0]);
        assert!(tokens[19].as_str().unwrap().ends_with(" done"), "{}", tokens[19]);
        assert!(tokens[20].as_str().unwrap().starts_with("t0 (4,4) -"), "{}", tokens[20]);
        let counted = "histories    70 of 19 tasks (3 for training, 16 held out), ";
        assert!(shown.text.contains(counted), "{}", shown.text);

        let nothing = Known::default();
        assert!(check(&path, false, &nothing).unwrap().text.contains("the card describes it"));
        let three = Known { held_out: Some(3), ..Known::default() };
        let known = Known { observation_sizes: Some(vec![16, 9]), actions: Some(7), ..three.clone() };
        for (known, field) in [
            (&three, "held_out: "),
            (&Known { split_seed: Some(1), ..Known::default() }, "split_seed: "),
            (&Known { held_out: None, ..known.clone() }, "observation_sizes: "),
        ] {
            let problem = check(&path, true, known).unwrap_err().to_string();
            assert!(problem.starts_with(field) && problem.contains("a.card.json"), "{problem}");
        }
        std::fs::remove_file(card_path(&path)).unwrap();
        assert!(show(&path, 1).is_err());
        assert!(check(&path, false, &nothing).unwrap().text.contains("--write-card"));
        assert!(!card_path(&path).exists());
        assert!(check(&path, true, &known).unwrap().text.contains("was written"));
        let shown = show(&path, 1).unwrap();
        assert_eq!(shown.json["card"]["environment"]["name"], "custom");
        assert_eq!(shown.json["card"]["split"]["held_out"].as_array().unwrap().len(), 3);
        assert_eq!(shown.json["card"]["interface"]["actions"], 7);
    }
}
