//! An episode as text, for people who watch.

use crate::environment::AnyEnvironment;
use algodistill_core::env::bandit::Bandit;
use algodistill_core::env::dark_room::DarkRoom;
use console::style;
use std::fmt::Write;

/// Columns of the longest bar of an arm.
const BAR: usize = 40;

/// What happened in an episode so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Episode {
    /// The actions.
    pub actions: Vec<usize>,
    /// Their rewards.
    pub rewards: Vec<f32>,
}

impl Episode {
    /// Sum of the rewards so far.
    pub fn total(&self) -> f32 {
        self.rewards.iter().sum()
    }
}

/// Draws `environment` after `episode`. It shows the goal, or what the arms pay: the model sees neither.
pub fn draw(environment: &AnyEnvironment, episode: &Episode) -> String {
    match environment {
        AnyEnvironment::DarkRoom(room) => draw_dark_room(room, episode),
        AnyEnvironment::Bandit(bandit) => draw_bandit(bandit, episode),
    }
}

fn draw_dark_room(room: &DarkRoom, episode: &Episode) -> String {
    let config = room.config();
    let mut trail = vec![config.start];
    for action in &episode.actions {
        let here = trail.last().copied().unwrap_or(config.start);
        trail.push(config.moved(here, *action));
    }
    let here = room.position();
    let mut text = String::new();
    for row in 0..config.size {
        for column in 0..config.size {
            let cell = (row, column);
            let mark = match () {
                () if cell == here && cell == room.goal() => style('@').green().bold(),
                () if cell == here => style('@').cyan().bold(),
                () if cell == room.goal() => style('G').yellow().bold(),
                () if trail.contains(&cell) => style('o').cyan(),
                () => style('.').dim(),
            };
            // Writing to a string cannot fail, here and below.
            let _ = write!(text, " {mark}");
        }
        text.push('\n');
    }
    text.push_str(" @ agent  o trail  G goal (never shown to the model)\n");
    text
}

fn draw_bandit(bandit: &Bandit, episode: &Episode) -> String {
    let pulls_of = |arm: usize| episode.actions.iter().filter(|action| **action == arm).count();
    let most = (0..bandit.probabilities().len()).map(pulls_of).max().unwrap_or(0).max(1);
    let mut text = String::new();
    for (arm, pays) in bandit.probabilities().iter().enumerate() {
        let pulls = pulls_of(arm);
        let pulled_now = if episode.actions.last() == Some(&arm) { '>' } else { ' ' };
        let bar = "#".repeat((pulls * BAR).div_ceil(most));
        let _ = writeln!(text, "{pulled_now}arm {arm:>2} pays {pays:.2}  {pulls:>4} {bar}");
    }
    text.push_str(" what an arm pays is never shown to the model\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::EnvironmentConfig;
    use algodistill_core::{Environment, PortableRng};

    fn after(name: &str, task: u32, actions: &[usize]) -> String {
        let mut environment = EnvironmentConfig::preset(name).and_then(|it| it.make(task)).expect("a preset");
        let mut rng = PortableRng::new(0, 0);
        environment.reset(&mut rng);
        let rewards = actions.iter().map(|action| environment.step(*action, &mut rng).reward).collect();
        draw(&environment, &Episode { actions: actions.to_vec(), rewards })
    }

    #[test]
    fn a_room_shows_agent_trail_and_goal() {
        // Goal (0, 8); from the centre twice up and once right.
        let drawn = after("dark-room", 8, &[1, 1, 2]);
        let rows: Vec<&str> = drawn.lines().collect();
        assert_eq!(rows[0], " . . . . . . . . G");
        assert_eq!(rows[2], " . . . . o @ . . .");
        assert_eq!(rows[3], " . . . . o . . . .");
        assert_eq!(rows[4], " . . . . o . . . .");
    }

    #[test]
    fn arms_show_their_pulls() {
        let drawn = after("bandit", 0, &[3, 3, 7]);
        assert!(drawn
            .lines()
            .nth(3)
            .is_some_and(|arm| arm.starts_with(" arm  3") && arm.contains("   2 ####")));
        assert!(drawn
            .lines()
            .nth(7)
            .is_some_and(|arm| arm.starts_with(">arm  7") && arm.contains("   1 ####")));
    }
}
