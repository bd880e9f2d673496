//! `play`: watch a model learn one task, step by step.

use super::EnvironmentParameters;
use super::Report;
use crate::environment::{AnyTask, Drawing, Episode, Tint};
use crate::evaluate::models::{Int8Model, Int8Policy};
use crate::evaluate::policy::Policy;
use crate::evaluate::{untrained_tasks, EvaluateConfig, TrainingCard};
use crate::{Error, Result};
use algodistill_core::{PortableRng, Sampling};
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

/// Runs the command and draws into `out`, where there is one: on a terminal every step, elsewhere the end of every episode.
pub fn run(args: &Args, out: Option<&mut dyn Write>) -> Result<Report> {
    let sampling = if args.greedy { Sampling::Greedy } else { Sampling::Temperature(1.0) };
    let model = Int8Model::read(&args.model, sampling)?;
    let card = TrainingCard::parse(&args.model, model.decode()?.card())?;
    let (environment, parameters) = (args.environment.clone(), args.parameters.collect());
    let config = EvaluateConfig { environment, parameters, ..EvaluateConfig::default() };
    let (name, environment) = config.environment(&card)?;
    model.check_interface(&name, &environment)?;
    let task = match args.task {
        Some(task) => task,
        None => {
            let held_out = untrained_tasks(&environment, &[card], None, args.seed)?;
            held_out[PortableRng::new(args.seed, 1).below(held_out.len() as u32) as usize]
        }
    };
    let usual = environment.defaults()?.context_episodes.min(10);
    let game = Game {
        task: environment.task(task)?,
        words: environment.interface()?.observation_len(),
        horizon: environment.horizon().unwrap_or(0),
        title: format!("{name}, task {task}"),
        episodes: args.episodes.unwrap_or(usual),
        rng: PortableRng::new(args.seed, 0),
        returns: Vec::new(),
    };
    let mut screen = Screen {
        live: out.is_some() && std::io::stdout().is_terminal(),
        delay: Duration::from_millis(args.delay_ms),
        out,
        lines: 0,
    };
    let returns = model.with_agent(|policy| game.play(policy, &mut screen))?;
    let optimal = environment.optimal_return(task)?;
    let listed: Vec<String> = returns.iter().map(|total| format!("{total}")).collect();
    let optimum = optimal.map_or(String::new(), |optimal| format!(" (optimum {optimal:.1})"));
    let text = format!("returns by episode: {}{optimum}", listed.join(" "));
    let json = json!({"environment": name, "task": task, "returns": returns, "optimal": optimal});
    Ok(Report { text, json })
}

/// Episodes of one task, in one context.
struct Game {
    task: Box<dyn AnyTask>,
    words: usize,
    horizon: u32,
    title: String,
    episodes: u32,
    rng: PortableRng,
    /// Returns of the finished episodes.
    returns: Vec<f32>,
}

impl Game {
    fn play(mut self, mut policy: Int8Policy, screen: &mut Screen) -> Result<Vec<f32>> {
        let mut observation = vec![0; self.words];
        for _ in 0..self.episodes {
            let mut episode = Episode::default();
            self.task.reset(&mut self.rng);
            self.task.observe(&mut observation);
            episode.observations.push(observation.clone());
            let mut done = false;
            while !done {
                let action = policy.act(&observation, &mut self.rng)?;
                let transition = self.task.step(action, &mut self.rng);
                self.task.observe(&mut observation);
                policy.feedback(transition.reward, transition.done.then_some(&observation[..]))?;
                episode.observations.push(observation.clone());
                episode.actions.push(action);
                episode.rewards.push(transition.reward);
                done = transition.done;
                screen
                    .show(done, || self.frame(&episode))
                    .map_err(|error| Error::io("standard output", error))?;
            }
            self.returns.push(episode.total());
        }
        Ok(self.returns)
    }

    fn frame(&self, episode: &Episode) -> String {
        let earlier = match self.returns.as_slice() {
            [] => " none".into(),
            returns => returns.iter().map(|total| format!(" {total}")).collect::<String>(),
        };
        format!(
            "{}, episode {} of {}, step {} of {}, return {}\nearlier returns:{earlier}\n{}",
            self.title,
            self.returns.len() + 1,
            self.episodes,
            episode.actions.len(),
            self.horizon,
            episode.total(),
            self.task.draw(episode).map_or(String::new(), |drawing| tinted(&drawing)),
        )
    }
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
