//! A damaged configuration: a typed error that names the file, or one that a resumed run refuses,
//! or no change at all.

use algodistill::environment::EnvironmentConfig;
use algodistill::history::{generate, GenerateConfig};
use algodistill::model::Dimensions;
use algodistill::progress::NoProgress;
use algodistill::source::SourceConfig;
use algodistill::train::{read_config, train, TrainConfig};
use algodistill_core::PortableRng;

#[test]
fn a_thousand_damaged_configurations() {
    let environment = EnvironmentConfig::preset("dark-room").unwrap();
    let source = SourceConfig::preset("psrl").unwrap();
    let generation = GenerateConfig {
        histories_per_task: 1,
        episodes: 2,
        ..GenerateConfig::recommended(environment, source).unwrap()
    };
    let histories = generate(&generation, &NoProgress).unwrap().training;
    let config = TrainConfig {
        dimensions: Dimensions {
            layers: 1,
            d_model: 16,
            heads: 1,
            d_ff: 16,
            window: 8,
            final_observation: true,
            ..Dimensions::default()
        },
        sequence_length: Some(8),
        batch: 2,
        updates: 2,
        validation_every: 0,
        ..TrainConfig::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    train(&histories, None, &config, &run, false, &NoProgress).unwrap();
    let original = std::fs::read(run.join("config.toml")).unwrap();
    let model = std::fs::read(run.join("model.safetensors")).unwrap();

    let damaged = folder.path().join("config.toml");
    let mut rng = PortableRng::new(1, 0);
    let (mut refused, mut refused_by_the_run, mut unchanged) = (0, 0, 0);
    for round in 0..1000 {
        let mut bytes = original.clone();
        if round % 4 == 0 {
            bytes.truncate(rng.below(bytes.len() as u32) as usize);
        } else {
            let index = rng.below(bytes.len() as u32) as usize;
            bytes[index] = rng.next_u32() as u8;
        }
        std::fs::write(&damaged, &bytes).unwrap();
        let read = read_config(&damaged).and_then(|config| config.validate().map(|()| config));
        let changed = match read {
            Err(error) => {
                let message = error.to_string();
                assert!(message.contains("config.toml") || message.starts_with("train."), "{message}");
                refused += 1;
                continue;
            }
            Ok(changed) => changed,
        };
        match train(&histories, None, &changed, &run, true, &NoProgress) {
            Err(error) => {
                assert!(error.to_string().contains("checkpoint.safetensors"), "{error}");
                refused_by_the_run += 1;
            }
            Ok(_) => {
                assert_eq!(std::fs::read(run.join("model.safetensors")).unwrap(), model, "the model changed");
                unchanged += 1;
            }
        }
    }
    println!("{refused} refused, {refused_by_the_run} refused by the run, {unchanged} without effect");
    assert!(refused > 100 && refused_by_the_run > 10 && unchanged > 10);
}
