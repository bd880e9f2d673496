//! The scale of numbers that are seen, which has to be there before the first trial.

use super::config::Rl2Config;
use crate::environment::AnyTask;
use crate::model::{normaliser, numbers};
use crate::nn::random::{stream, Purpose};
use crate::Result;
use algodistill_core::{Interface, Normaliser, PortableRng};

/// Training tasks that are played in, at most.
const TASKS: usize = 256;

/// Normalisers of the words of all vector channels, from an episode of random actions in some of the
/// training tasks. A number outside what was seen there is limited as on the device, far outside.
///
/// # Errors
/// Those of making a task.
pub(super) fn normalisers(config: &Rl2Config, interface: &Interface) -> Result<Vec<Normaliser>> {
    if interface.normalised_words() == 0 {
        return Ok(Vec::new());
    }
    let mut ranges = vec![[i32::MAX, i32::MIN]; interface.normalised_words()];
    let tasks = config.split()?.training;
    for (index, task) in tasks.iter().take(TASKS).enumerate() {
        let mut rng = PortableRng::new(config.seed, stream(Purpose::Ranges, index as u64));
        play(&mut *config.environment.task(*task)?, interface, &mut rng, |observation| {
            for (word, [least, most]) in numbers(interface, observation).zip(&mut ranges) {
                (*least, *most) = ((*least).min(*word), (*most).max(*word));
            }
        });
    }
    Ok(ranges.iter().map(|[least, most]| normaliser(*least.min(most), *most.max(least))).collect())
}

/// An episode of random actions; shows every observation to `see`.
fn play(task: &mut dyn AnyTask, interface: &Interface, rng: &mut PortableRng, mut see: impl FnMut(&[i32])) {
    let mut observation = vec![0; interface.observation_len()];
    task.reset(rng);
    loop {
        task.observe(&mut observation);
        see(&observation);
        let action = rng.below(u32::from(interface.actions)) as usize;
        if task.step(action, rng).done {
            task.observe(&mut observation);
            return see(&observation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::EnvironmentConfig;

    #[test]
    fn numbers_have_the_scale_of_random_play() {
        let environment = EnvironmentConfig::preset("watermaze-pose").unwrap();
        let interface = environment.interface().unwrap();
        let config = Rl2Config { environment, tasks: Some(40), ..Rl2Config::default() };
        let [x, y, cosine, sine] = normalisers(&config, &interface).unwrap().try_into().unwrap();
        // A pool of 12 by 12 in units of 1/1024, of which random actions see some; all of a circle.
        for (place, number) in [(x, 5_000), (y, -5_000)] {
            assert!((3_000..8_000).contains(&place.apply(number).abs()), "{}", place.apply(number));
        }
        for heading in [cosine, sine] {
            assert_eq!([1_024, 0, -1_024].map(|word| heading.apply(word)), [4_096, 0, -4_096]);
        }
        assert_eq!(normalisers(&config, &interface).unwrap()[0], x);
    }
}
