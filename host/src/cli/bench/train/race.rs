//! Contestants that take turns.

use super::contestant::Process;
use crate::cli::progress::Bar;
use crate::Result;
use std::time::Duration;

/// Before each turn: the threads of the one before go to sleep only a moment after their work.
const PAUSE: Duration = Duration::from_millis(300);

/// Rounds, and the length of a turn.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    /// Turns of each contestant.
    pub count: usize,
    /// Seconds of a turn.
    pub seconds: f64,
}

/// Lets each contestant have one turn per round, every other round in reversed order. Tokens per
/// second by contestant and round.
pub fn run(contestants: &mut [Process], rounds: Rounds) -> Result<Vec<Vec<f64>>> {
    let turns = rounds.count * contestants.len();
    let progress = Bar::new("turns", turns as u64);
    let mut rates = vec![Vec::with_capacity(rounds.count); contestants.len()];
    for round in 0..rounds.count {
        let mut order: Vec<usize> = (0..contestants.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            std::thread::sleep(PAUSE);
            let rate = contestants[index].turn(rounds.seconds)?;
            rates[index].push(rate);
            progress.advance(1, || format!("{} {rate:.0} tokens/s", contestants[index].contestant.name()));
        }
    }
    progress.finish(&format!("{turns} done"));
    Ok(rates)
}

/// The middle value, or the mean of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn median_of_odd_and_even_counts() {
        assert_eq!(median(&[3.0, 1.0, 9.0]), 3.0);
        assert_eq!(median(&[4.0, 1.0, 9.0, 2.0]), 3.0);
    }
}
