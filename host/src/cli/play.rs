//! `play`: watch a model learn one task, step by step.

use super::EnvironmentParameters;
use super::Report;
use crate::environment::{Drawing, Tint};
use crate::evaluate::{play, Moment, PlayConfig, Played};
use crate::{Error, Result};
use clap::value_parser;
use console::style;
use serde_json::json;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `play`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Weights file.
    #[arg(default_value = "models/dark-room.adw", value_name = "MODEL.adw")]
    model: PathBuf,
    /// Environment [default: the one that the model was trained in].
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Parameters that differ from the preset's.
    #[command(flatten)]
    parameters: EnvironmentParameters,
    /// Task [default: a held-out one, by the seed].
    #[arg(long, value_name = "N")]
    task: Option<u32>,
    /// Episodes to play [default: 10; bandits 1].
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=100_000))]
    episodes: Option<u32>,
    /// Seed of everything random.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Choose the likeliest action in place of sampling.
    #[arg(long)]
    greedy: bool,
    /// Pause after each step, on a terminal.
    #[arg(long, value_name = "MS", default_value_t = 60)]
    delay_ms: u64,
}

/// Runs the command and draws into `out`, where there is one: on a terminal every step, elsewhere
/// the end of every episode.
pub fn run(args: &Args, out: Option<&mut dyn Write>) -> Result<Report> {
    let config = PlayConfig {
        environment: args.environment.clone(),
        parameters: args.parameters.collect(),
        task: args.task,
        episodes: args.episodes,
        seed: args.seed,
        greedy: args.greedy,
    };
    let mut screen = Screen {
        live: out.is_some() && std::io::stdout().is_terminal(),
        delay: Duration::from_millis(args.delay_ms),
        out,
        lines: 0,
    };
    let Played { environment, task, returns, optimal } = play(&args.model, &config, &mut |moment| {
        let shown = screen.show(moment.done, || frame(moment));
        shown.map_err(|error| Error::io("standard output", error))
    })?;
    let listed: Vec<String> = returns.iter().map(|&total| rounded(total)).collect();
    let optimum = optimal.map_or(String::new(), |optimal| format!(" (optimum {optimal:.1})"));
    let text = format!("returns by episode: {}{optimum}", listed.join(" "));
    let json = json!({"environment": environment, "task": task, "returns": returns, "optimal": optimal});
    Ok(Report { text, json })
}

fn frame(moment: &Moment) -> String {
    let Moment { environment, task, episodes, horizon, episode, returns, .. } = moment;
    let earlier = match returns {
        [] => " none".into(),
        returns => returns.iter().map(|&total| format!(" {}", rounded(total))).collect::<String>(),
    };
    format!(
        "{environment}, task {task}, episode {} of {episodes}, step {} of {horizon}, return {}\nearlier returns:{earlier}\n{}",
        returns.len() + 1,
        episode.actions.len(),
        rounded(episode.total()),
        moment.draw().map_or(String::new(), |drawing| tinted(&drawing)),
    )
}

/// A return for people: two digits at most after the point, and none of a whole number.
fn rounded(total: f32) -> String {
    format!("{}", (f64::from(total) * 100.0).round() / 100.0)
}

/// A drawing in the colours of a terminal, where there is one.
fn tinted(drawing: &Drawing) -> String {
    let piece = |(tint, text): &(Tint, String)| match tint {
        Tint::Plain => text.clone(),
        Tint::Dim => style(text).dim().to_string(),
        Tint::Agent => style(text).cyan().bold().to_string(),
        Tint::Success => style(text).green().bold().to_string(),
        Tint::Goal => style(text).yellow().bold().to_string(),
        Tint::Trail => style(text).cyan().to_string(),
    };
    drawing.pieces.iter().map(piece).collect()
}

/// Where the frames go.
struct Screen<'a> {
    out: Option<&'a mut dyn Write>,
    /// Whether every step replaces the one before, as on a terminal.
    live: bool,
    delay: Duration,
    /// Lines of the frame that is shown.
    lines: usize,
}

impl Screen<'_> {
    fn show(&mut self, episode_ends: bool, frame: impl FnOnce() -> String) -> std::io::Result<()> {
        let Some(out) = self.out.as_mut().filter(|_| self.live || episode_ends) else { return Ok(()) };
        let frame = frame();
        if self.live && self.lines > 0 {
            // Up to the first line of the last frame, and erase from there.
            write!(out, "\x1b[{}A\x1b[J", self.lines)?;
        }
        out.write_all(frame.as_bytes())?;
        out.flush()?;
        self.lines = frame.lines().count();
        if self.live {
            std::thread::sleep(self.delay);
        }
        Ok(())
    }
}
