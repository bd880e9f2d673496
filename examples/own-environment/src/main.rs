//! An environment and a source algorithm of one's own, through the public API of the library:
//! learning histories, training, an int8 model, its evaluation against the environment's own
//! optimum, and one task played in text.
//!
//! `cargo run --release [FOLDER]`: about a minute on 2 cores; the files go to FOLDER
//! (runs/own-environment).

mod elimination;
mod lock;

use algodistill::environment::EnvironmentConfig;
use algodistill::evaluate::report::{self, Kind};
use algodistill::evaluate::{evaluate, play, Contestants, EvaluateConfig, PlayConfig};
use algodistill::history::{generate_to_file, GenerateConfig, Mixture};
use algodistill::model::Dimensions;
use algodistill::progress::Progress;
use algodistill::source::SourceConfig;
use algodistill::train::{train, TrainConfig};
use algodistill::{environment, export, source};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;

/// Share of the optimum that the model must reach in the last episodes of a context.
const ENOUGH: f64 = 0.95;

fn main() -> ExitCode {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "runs/own-environment".into());
    match run(folder.as_ref()) {
        Ok(share) => {
            let verdict = if share >= ENOUGH { "enough" } else { "falls short" };
            println!("result: return {share:.3} of the optimum on codes it was not trained on, {ENOUGH} asked for: {verdict}");
            ExitCode::from(u8::from(share < ENOUGH))
        }
        Err(error) => {
            println!("result: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The mean return of the last episodes as a share of the optimum.
fn run(folder: &Path) -> algodistill::Result<f64> {
    // From here on both can be named like those of the library, in configurations and in files.
    environment::register::<lock::Lock>()?;
    source::register::<elimination::Elimination>()?;
    let progress = Stages::default();

    let room = EnvironmentConfig::preset("combination-lock")?;
    let config = GenerateConfig::recommended(room, SourceConfig::preset("elimination")?)?;
    let histories = folder.join("histories.parquet");
    generate_to_file(&config, &histories, &progress)?;

    let config = TrainConfig {
        dimensions: Dimensions {
            layers: 2,
            d_model: 48,
            heads: 4,
            d_ff: 96,
            window: 64,
            ..Dimensions::default()
        },
        // Longer than the window, so that the model learns to go on when it has forgotten how a
        // context began.
        sequence_length: Some(120),
        updates: 3_500,
        ..TrainConfig::default()
    };
    let files = [histories];
    let data = Mixture::read(&files)?;
    let training = folder.join("training");
    train(&data.training, Some(&data.held_out), &config, &training, true, &progress)?;
    let model = folder.join("lock.adw");
    let exported = export::export(&training, &files, &model)?;
    println!("{} int8 parameters, {} bytes of flash", exported.parameters, exported.memory.flash);

    let contestants = Contestants { models: vec![model.clone()], ..Contestants::default() };
    let evaluation = evaluate(&EvaluateConfig::default(), &contestants, &progress)?;
    report::write_files(&evaluation, &folder.join("report"))?;
    println!("{}", report::summary_text(&evaluation));

    let config = PlayConfig { episodes: Some(3), ..PlayConfig::default() };
    play(&model, &config, &mut |moment| {
        if moment.done {
            let drawing = moment.draw().map_or(String::new(), |drawing| drawing.plain());
            print!("episode {}, {drawing}", moment.returns.len() + 1);
        }
        Ok(())
    })?;
    let measured = evaluation.of(Kind::Main).map_or(0.0, |main| main.summary.mean);
    Ok(measured / evaluation.optimal.unwrap_or(f64::INFINITY))
}

/// One line on stderr when a stage ends.
#[derive(Default)]
struct Stages(Mutex<String>);

impl Progress for Stages {
    fn begin(&self, stage: &str, _length: u64) {
        if let Ok(mut name) = self.0.lock() {
            *name = stage.into();
        }
    }

    fn advance(&self, _count: u64, _message: &dyn Fn() -> String) {}

    fn finish(&self, message: &str) {
        if let Ok(name) = self.0.lock() {
            eprintln!("{name}: {message}");
        }
    }
}
