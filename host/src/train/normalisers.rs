//! The scale of numbers, from what the histories have seen of them.
//!
//! The range of a word is that between two quantiles of a sample of its values, so that a value far
//! away from all others, such as one that stands for "no reading", does not make the others small.

use super::dataset::slots;
use crate::history::{Histories, History, Window};
use crate::model::{self, normaliser};
use crate::ranks::Ranks;
use crate::Result;
use algodistill_core::Normaliser;
use std::ops::Range;

/// Observations of a sample, more or less: each history has the same share of them.
const SAMPLE: usize = 1 << 15;
/// Of a word with at most so many values, all of them count.
const FEW: usize = 16;
/// The part of the values that is left out at each end.
const LEFT_OUT: usize = 1_000;
/// The range is made wider by this part of it at each end, but not beyond what was seen.
const WIDER: i64 = 16;

/// The normalisers of the words of all vector channels, from histories of which every rank has its
/// share.
///
/// # Errors
/// Those of reading what the histories have on a disk.
pub(super) fn normalisers(ranks: &Ranks, histories: &Histories, batch: usize) -> Result<Vec<Normaliser>> {
    let words = histories.interface.channels.iter().map(|channel| channel.normalised_words()).sum();
    if words == 0 {
        return Ok(Vec::new());
    }
    let sample = Sample::new(histories.index.len(), words);
    let mut all = vec![0; sample.numbers(histories.index.len())];
    let shares = |rank: usize| slots(ranks, rank, batch).histories(histories.index.len());
    let own = sample.draw(histories, shares(ranks.rank()))?;
    let parts = ranks.gather(bytemuck::cast_slice::<i32, u8>(&own).to_vec());
    for (rank, part) in parts.iter().enumerate() {
        let numbers = part.as_chunks::<4>().0.iter().map(|bytes| i32::from_le_bytes(*bytes));
        let place = sample.numbers(shares(rank).start);
        all[place..].iter_mut().zip(numbers).for_each(|(own, number)| *own = number);
    }
    let known = || all.chunks_exact(1 + words).filter(|observation| observation[0] > 0);
    let ranges = (1..=words).map(|word| range(known().map(|observation| observation[word]).collect()));
    Ok(ranges.map(|[lowest, highest]| normaliser(lowest, highest)).collect())
}

/// The range of a word that had these values.
fn range(mut values: Vec<i32>) -> [i32; 2] {
    values.sort_unstable();
    let [Some(&least), Some(&most)] = [values.first(), values.last()] else { return [0, 0] };
    let few = values.chunk_by(|a, b| a == b).take(FEW + 1).count() <= FEW;
    if few {
        return [least, most];
    }
    let out = values.len() / LEFT_OUT;
    let [lowest, highest] = [values[out], values[values.len() - 1 - out]].map(i64::from);
    if lowest == highest {
        // It is nearly always the same: what is told by the others counts.
        return [least, most];
    }
    let more = (highest - lowest) / WIDER;
    [(lowest - more).max(least.into()) as i32, (highest + more).min(most.into()) as i32]
}

/// Which observations are looked at: of every `every`-th history, some that are spread over its
/// steps, and a quarter as many of those after the ends of its episodes. It depends on the history
/// alone, so that the ranks' parts are those of one process.
struct Sample {
    every: usize,
    steps: usize,
    ends: usize,
    words: usize,
}

impl Sample {
    fn new(histories: usize, words: usize) -> Self {
        let every = histories.div_ceil(SAMPLE).max(1);
        let steps = SAMPLE.div_ceil(histories.div_ceil(every).max(1));
        Self { every, steps, ends: steps.div_ceil(4), words }
    }

    /// Numbers that stand for the histories before `history`: each observation is 1 and its words; 0
    /// where there is none.
    fn numbers(&self, history: usize) -> usize {
        history.div_ceil(self.every) * (self.steps + self.ends) * (1 + self.words)
    }

    /// The numbers of some of the histories.
    fn draw(&self, histories: &Histories, part: Range<usize>) -> Result<Vec<i32>> {
        let mut numbers = vec![0; self.numbers(part.end) - self.numbers(part.start)];
        let mut window = Window::default();
        let mut seen = vec![0; histories.interface.observation_len()];
        let of_one = (self.steps + self.ends) * (1 + self.words);
        let sampled = part.filter(|history| history.is_multiple_of(self.every));
        for (history, own) in sampled.zip(numbers.chunks_exact_mut(of_one)) {
            let steps = &histories.steps;
            let History { steps: range, .. } = &histories.index[history];
            let ended: Vec<usize> = steps.ended(range.clone()).collect();
            let mut places = own.chunks_exact_mut(1 + self.words);
            let mut keep = |observed: &[i32]| {
                if let Some([known, own @ ..]) = places.next() {
                    *known = 1;
                    let words = model::numbers(&histories.interface, observed);
                    own.iter_mut().zip(words).for_each(|(own, word)| *own = *word);
                }
            };
            for place in spread(range.len(), self.steps) {
                window.observe(steps, range.start + place, &mut seen)?;
                keep(&seen);
            }
            for place in spread(ended.len(), self.ends) {
                if let Some(words) = window.after(steps, ended[place])? {
                    keep(words);
                }
            }
        }
        Ok(numbers)
    }
}

/// At most `most` of `0..len`, evenly spread.
fn spread(len: usize, most: usize) -> impl Iterator<Item = usize> {
    let count = len.min(most);
    (0..count).map(move |number| (2 * number + 1) * len / (2 * count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Steps;
    use algodistill_core::{Channel, Interface};

    /// Histories of one step an episode, of one number; `last` is seen after the last step of each.
    fn histories(words: &[Vec<i32>], last: Option<i32>) -> Histories {
        let interface = Interface {
            channels: [Channel::Vector { size: 1 }].into_iter().collect(),
            ..Interface::discrete(&[], 2, &[0.0]).unwrap()
        };
        let mut steps = Steps::new(1);
        let mut index = Vec::new();
        for (id, words) in (0..).zip(words) {
            let first = steps.len();
            for word in words {
                steps.observations[0].push(*word);
                steps.episodes.push(0);
                steps.actions.push(0);
                steps.rewards.push(0.0);
                steps.dones.push(true);
            }
            if let Some(last) = last {
                steps.final_observations.push(steps.len() - 1, &[last]);
            }
            index.push(History { task: 0, id, steps: first..steps.len() });
        }
        Histories { interface, index, steps }
    }

    fn own(histories: &Histories) -> Normaliser {
        normalisers(&Ranks::alone(), histories, 4).unwrap()[0]
    }

    #[test]
    fn a_value_far_away_does_not_make_the_others_small() {
        let mut words: Vec<i32> = (0..5_000).map(|number| number % 1_000).collect();
        let clean = own(&histories(&[words.clone()], None));
        assert_eq!(clean, normaliser(0, 999));
        words[77] = i32::MIN;
        words[99] = -1_000_000;
        let found = own(&histories(&[words.clone(), words], None));
        // Wider by a 16th, for want of a bound.
        assert_eq!(found, normaliser(-62, 999));
        assert_eq!(found.apply(i32::MIN), -32_767);
    }

    #[test]
    fn of_few_values_all_count_and_so_do_final_observations() {
        let mut words = vec![0; 5_000];
        words[1] = -40;
        assert_eq!(own(&histories(&[words.clone()], None)), normaliser(-40, 0));
        assert_eq!(own(&histories(&[words.clone()], Some(900))), normaliser(-40, 900));
        assert_eq!(own(&histories(&[], None)), normaliser(0, 0));
        // Nearly always 0: the others are all that tells anything.
        let mut words = vec![0; 50_000];
        (0..20).for_each(|place| words[place * 700] = 100 + 10 * place as i32);
        assert_eq!(own(&histories(&[words], None)), normaliser(0, 290));
        // Nothing but final observations is large here, of many values.
        let words: Vec<Vec<i32>> =
            (0..100).map(|id| (0..50).map(|number| 50 * id + number).collect()).collect();
        assert_eq!(own(&histories(&words, Some(20_000))), normaliser(0, 20_000));
    }

    #[test]
    fn more_histories_than_the_sample_has_observations_are_looked_at_now_and_then() {
        let many = 3 * SAMPLE + 5;
        let words: Vec<Vec<i32>> = (0..many as i32).map(|id| vec![id]).collect();
        let all = histories(&words, None);
        let sample = Sample::new(many, 1);
        assert_eq!((sample.every, sample.steps, sample.ends), (4, 2, 1));
        // The parts of ranks are the whole.
        let whole = sample.draw(&all, 0..many).unwrap();
        let parts =
            [0..many / 3, many / 3..many / 2, many / 2..many].map(|part| sample.draw(&all, part).unwrap());
        assert_eq!(parts.concat(), whole);
        assert_eq!(whole.len(), sample.numbers(many));
        let known = whole.chunks_exact(2).filter(|observation| observation[0] > 0);
        assert_eq!(known.map(|observation| observation[1]).step_by(1_000).nth(2), Some(8_000));
    }
}
