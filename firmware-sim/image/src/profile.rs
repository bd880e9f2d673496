//! Instructions of a step by part: at every border between two parts the counter is read.

use crate::console::Console;
use crate::counter;
use algodistill_core::model::probe::{Part, Probe};
use algodistill_core::{Agent, Error, PortableRng};
use core::cell::Cell;
use core::hint::black_box;
use firmware_session::link::Line;

/// Marks in a row, whose own cost is measured: enough for the coarsest timer.
const MARKS: u32 = 4096;
/// More than the instructions of a tick of the coarsest timer.
const PHASES: u32 = 97;

/// Sums up over the steps with a full ring.
pub struct Profile {
    steps: u32,
    tally: Tally,
}

impl Profile {
    pub fn new() -> Self {
        Self { steps: 0, tally: Tally::new() }
    }

    /// [`Agent::act`], its parts counted.
    pub fn act(
        &mut self,
        agent: &mut Agent,
        observation: &[i32],
        rng: &mut PortableRng,
    ) -> Result<usize, Error> {
        // Steps take the same time one as the other: from a start that moves along, a coarse timer cuts each
        // at another place, and the mean is finer than its ticks.
        for _ in 0..black_box(self.steps * 53 % PHASES) {
            black_box(());
        }
        if self.steps as usize == agent.model().dimensions().window {
            self.tally = Tally::new();
        }
        self.steps += 1;
        self.tally.start();
        agent.act_profiled(observation, rng, &self.tally)
    }

    /// Sends what marks cost, and the sum of each part.
    pub fn send(&self, console: &mut Console) {
        console.send(Line::new("probe").number(MARKS).number(ticks_of_marks()));
        for (part, sum) in Part::ALL.iter().zip(&self.tally.sums) {
            let (marks, ticks) = (sum.marks.get(), sum.ticks.get());
            let mut line = Line::new("part");
            line.word(part.name()).number(marks).number((ticks >> 32) as u32).number(ticks as u32);
            console.send(&mut line);
        }
    }
}

/// Ticks of [`MARKS`] marks, in two parts by turns.
#[inline(never)]
fn ticks_of_marks() -> u32 {
    let tally = Tally::new();
    tally.start();
    for _ in 0..MARKS / 4 {
        // Four, so that the loop itself is next to nothing.
        (&tally).begins(Part::Scores);
        (&tally).begins(Part::Softmax);
        (&tally).begins(Part::Scores);
        (&tally).begins(Part::Softmax);
    }
    tally.sums.iter().map(|sum| sum.ticks.get() as u32).sum()
}

/// Ticks of each part.
struct Tally {
    sums: [Sum; Part::ALL.len()],
    /// The part that is at work, and when it began.
    part: Cell<Part>,
    begin: Cell<u32>,
}

struct Sum {
    ticks: Cell<u64>,
    marks: Cell<u32>,
}

impl Tally {
    fn new() -> Self {
        let sums = [(); Part::ALL.len()].map(|()| Sum { ticks: Cell::new(0), marks: Cell::new(0) });
        Self { sums, part: Cell::new(Part::Other), begin: Cell::new(0) }
    }

    fn start(&self) {
        self.part.set(Part::Other);
        self.begin.set(counter::now());
    }
}

impl Probe for &Tally {
    /// The end of one part and the beginning of the next; a function of its own, whose cost is the same
    /// wherever it is called.
    #[inline(never)]
    fn begins(self, part: Part) {
        let now = counter::now();
        let elapsed = counter::between(self.begin.replace(now), now);
        let ended = self.part.replace(part);
        if let Some(sum) = self.sums.get(ended as usize) {
            sum.ticks.set(sum.ticks.get() + u64::from(elapsed));
            sum.marks.set(sum.marks.get() + 1);
        }
    }
}
