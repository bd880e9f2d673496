//! Whether the rows of a file are what the format asks for.

use crate::history::columns::{Kind, Problem, Rows};
use crate::history::{History, Window};
use algodistill_core::Interface;

/// Whether the columns of the observations hold what the channels of an interface are.
pub(super) fn check_kinds(found: &[Kind], interface: &Interface) -> std::result::Result<(), String> {
    let expected: Vec<Kind> = interface.channels.iter().map(Kind::of).collect();
    if found.len() != expected.len() {
        return Err(format!("has {} observation columns, expected {}", found.len(), expected.len()));
    }
    match found.iter().zip(&expected).position(|(found, expected)| !found.fits(*expected)) {
        None => Ok(()),
        Some(number) => {
            Err(format!("observation_{number} holds {}, expected {}", found[number], expected[number]))
        }
    }
}

/// Checks rows in order, and finds the histories.
pub(super) struct Checker<'a> {
    interface: &'a Interface,
    /// Whether an episode may be of another task than that before.
    pub(super) several: bool,
    pub(super) index: Vec<History>,
    pub(super) row: usize,
    last: Option<Last>,
}

/// The row before.
#[derive(Clone, Copy)]
struct Last {
    task: u32,
    history: u32,
    episode: u32,
    number: u32,
    done: bool,
}

impl<'a> Checker<'a> {
    pub(super) fn new(interface: &'a Interface, several: bool) -> Self {
        Self { interface, several, index: Vec::new(), row: 0, last: None }
    }

    pub(super) fn check(&mut self, rows: &Rows) -> std::result::Result<(), Problem> {
        check_kinds(&rows.kinds, self.interface)?;
        self.check_columns(rows)?;
        self.check_final_observations(rows)?;
        let steps = &rows.steps;
        for row in 0..steps.len() {
            let now = Last {
                task: rows.tasks[row],
                history: rows.histories[row],
                episode: steps.episodes[row],
                number: rows.numbers[row],
                done: steps.dones[row],
            };
            self.follow(now).map_err(|problem| format!("{problem} in row {}", self.row))?;
            self.row += 1;
        }
        Ok(())
    }

    /// Whether every value is in its range.
    fn check_columns(&self, rows: &Rows) -> std::result::Result<(), String> {
        let steps = &rows.steps;
        let mut columns = steps.observations.iter();
        for (channel, kind) in self.interface.channels.iter().enumerate() {
            let own = columns.by_ref().take(kind.words());
            // Only a discrete channel refuses words.
            let Some(column) = own.last().filter(|_| kind.table_rows() > 0) else { continue };
            if let Some(row) = column.iter().position(|&word| kind.check(&[word]).is_err()) {
                let (word, row) = (column[row], self.row + row);
                return Err(format!("observation_{channel} is {word} in row {row}, expected {kind}"));
            }
        }
        if let Some(row) = steps.actions.iter().position(|&action| action >= self.interface.actions) {
            let (action, row) = (steps.actions[row], self.row + row);
            return Err(format!(
                "action is {action} in row {row}, expected 0 to {}",
                self.interface.actions - 1
            ));
        }
        let unknown = |action: u16| action == u16::MAX;
        let wrong = |&action: &u16| action >= self.interface.actions && !unknown(action);
        if let Some(row) = steps.optimal_actions.iter().position(wrong) {
            let (action, row) = (steps.optimal_actions[row], self.row + row);
            let last = self.interface.actions - 1;
            return Err(format!("optimal_action is {action} in row {row}, expected 0 to {last}"));
        }
        let mut ends = steps.truncations.iter().zip(&steps.dones);
        if let Some(row) = ends.position(|(truncated, done)| *truncated == Some(true) && !done) {
            let row = self.row + row;
            return Err(format!("truncated is true in row {row}, where no episode ends: done is false"));
        }
        Ok(())
    }

    /// Whether final observations are where episodes end, and in their range.
    fn check_final_observations(&self, rows: &Rows) -> std::result::Result<(), Problem> {
        let steps = &rows.steps;
        let mut window = Window::default();
        // Numbers and pictures may be anything.
        let refuses = self.interface.channels.iter().any(|channel| channel.table_rows() > 0);
        for row in steps.ended(0..steps.len()) {
            let in_file = self.row + row;
            if !steps.dones[row] {
                let problem = format!("final_observation is set in row {in_file}, where no episode ends");
                return Err(Problem::Content(problem));
            }
            let words = if refuses { window.after(steps, row)? } else { None };
            if let Some(Err(problem)) = words.map(|words| self.interface.check(words)) {
                return Err(Problem::Content(format!("final_observation in row {in_file}: {problem}")));
            }
        }
        Ok(())
    }

    fn follow(&mut self, now: Last) -> std::result::Result<(), String> {
        let expected_number = match self.last {
            Some(last) if last.history == now.history => {
                if now.task != last.task && !(self.several && now.episode != last.episode) {
                    return Err(format!(
                        "task_id changes from {} to {} within history {}",
                        last.task, now.task, now.history
                    ));
                }
                if now.episode < last.episode {
                    return Err(format!(
                        "episode falls from {} to {}; rows must be sorted by history_id, episode, step",
                        last.episode, now.episode
                    ));
                }
                match (now.episode > last.episode, last.done) {
                    (false, false) => last.number + 1,
                    (true, true) => 0,
                    (true, false) => {
                        return Err(format!(
                            "episode {} begins, but the last step of episode {} is not done",
                            now.episode, last.episode
                        ))
                    }
                    (false, true) => {
                        return Err(format!("episode {} goes on after a step that is done", now.episode))
                    }
                }
            }
            Some(last) if last.history > now.history => {
                return Err(format!(
                    "history_id falls from {} to {}; rows must be sorted by history_id, episode, step",
                    last.history, now.history
                ));
            }
            _ => 0,
        };
        if now.number != expected_number {
            return Err(format!(
                "step is {}, expected {expected_number}: no step may be missing",
                now.number
            ));
        }
        match self.index.last_mut() {
            Some(history) if self.last.is_some_and(|last| last.history == now.history) => {
                history.steps.end += 1
            }
            _ => self.index.push(History { task: now.task, id: now.history, steps: self.row..self.row + 1 }),
        }
        self.last = Some(now);
        Ok(())
    }
}
