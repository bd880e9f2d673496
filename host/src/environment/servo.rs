//! Servo on the host.

use self::returns::{random_return, Values};
use super::{Defaults, Drawing, Episode, Expert, Simulation, Tint};
use crate::source::Outcome;
use algodistill_core::env::servo::{Motor, Servo, ServoTask, ACTION_NAMES, STOP};
use algodistill_core::PortableRng;

mod returns;

impl Simulation for Servo {
    fn describe(&self) -> String {
        format!("Servo, {} steps, band of {} counts", self.horizon, self.band)
    }

    /// A student of few motors remembers them; histories are cheap.
    fn defaults(&self) -> Defaults {
        Defaults {
            tasks: Some(12_000),
            held_out: 64,
            histories_per_task: 1,
            held_out_histories_per_task: 1,
            episodes: 12,
            runs: 2,
            context_episodes: 10,
        }
    }

    fn action_name(&self, action: usize) -> String {
        ACTION_NAMES.get(action).map_or_else(|| format!("action {action}"), |name| (*name).into())
    }

    fn bins(&self, word: usize) -> Option<Vec<i32>> {
        let band = i32::from(self.band);
        let speed = i32::from(self.slowest);
        match word {
            // Where it is does not matter, short of the stops.
            0 => Some(Vec::new()),
            1 => Some(vec![-speed, -speed / 4, speed / 4 + 1, speed + 1]),
            2 => Some(vec![
                -12 * band,
                -5 * band,
                -2 * band,
                -band / 2,
                band / 2 + 1,
                2 * band,
                5 * band,
                12 * band,
            ]),
            _ => None,
        }
    }

    fn optimal_return(&self, task: &ServoTask) -> Option<f64> {
        Some(Values::new(self, task.motor()).mean_return())
    }

    fn random_return(&self, task: &ServoTask) -> Option<f64> {
        Some(random_return(self, task.motor()))
    }

    fn expert(&self, task: &ServoTask) -> Option<Box<dyn Expert>> {
        Some(Box::new(Informed { servo: *self, motor: task.motor(), values: None, time: 0 }))
    }

    fn draw(&self, task: &ServoTask, episode: &Episode) -> Option<Drawing> {
        let now = episode.observations.last()?;
        let mut drawing = track(self, task, episode)?;
        drawing.add(Tint::Plain, "\n velocity ");
        drawing.add(Tint::Plain, format!("{:5}  ", now.get(1)?));
        drawing.add(Tint::Trail, bar(*now.get(1)?));
        let drive = episode.actions.last().map_or_else(|| "-".into(), |action| self.action_name(*action));
        drawing.add(Tint::Plain, format!("\n drive    {drive}\n"));
        let Motor { keep, push, load } = task.motor();
        let part = f64::from(256 - keep);
        let hidden = format!(
            " motor    {:+.1} counts a step at full drive, {:+.1} without, keeps {:.2} of its velocity (never shown to the model)\n",
            f64::from(2 * push) / part,
            f64::from(load) / part,
            f64::from(keep) / 256.0,
        );
        drawing.add(Tint::Dim, hidden);
        drawing.add(Tint::Plain, " @ motor  o trail  = target band  | stops\n");
        Some(drawing)
    }
}

/// The best that can be done by who knows the motor.
struct Informed {
    servo: Servo,
    motor: Motor,
    /// Made when first asked: not everybody who has an expert asks it.
    values: Option<Values>,
    /// Steps of this episode.
    time: u32,
}

impl Expert for Informed {
    fn begin_context(&mut self) {
        self.time = 0;
    }

    fn act(&mut self, observation: &[i32], _rng: &mut PortableRng) -> usize {
        let values = self.values.get_or_insert_with(|| Values::new(&self.servo, self.motor));
        let word = |place: usize| observation.get(place).copied().unwrap_or(0);
        values.best_action(self.servo.horizon.saturating_sub(self.time).max(1), word(2), word(1))
    }

    fn learn(&mut self, outcome: &Outcome) {
        self.time = if outcome.done { 0 } else { self.time.saturating_add(1) };
    }
}

/// The way between the stops, from the left to the right.
fn track(servo: &Servo, task: &ServoTask, episode: &Episode) -> Option<Drawing> {
    const COLUMNS: i32 = 64;
    let column = |position: i32| ((position + STOP) * COLUMNS / (2 * STOP + 1)) as usize;
    let mut letters = [(Tint::Dim, '.'); COLUMNS as usize];
    let band = i32::from(servo.band);
    for letter in
        &mut letters[column((task.target() - band).max(-STOP))..=column((task.target() + band).min(STOP))]
    {
        *letter = (Tint::Goal, '=');
    }
    let places = episode.observations.iter().filter_map(|seen| seen.first());
    for &position in places {
        letters[column(position.clamp(-STOP, STOP))] = (Tint::Trail, 'o');
    }
    let within = (task.target() - task.position()).abs() <= band;
    letters[column(task.position())] = (if within { Tint::Success } else { Tint::Agent }, '@');
    let mut drawing = Drawing::default();
    drawing.add(Tint::Plain, format!(" position {:5} |", task.position()));
    for (tint, letter) in letters {
        drawing.add(tint, letter);
    }
    drawing.add(Tint::Plain, format!("| target {}", task.target()));
    Some(drawing)
}

/// An arrow, a letter for each four counts a step.
fn bar(velocity: i32) -> String {
    let arrow = if velocity < 0 { "<" } else { ">" };
    arrow.repeat(velocity.unsigned_abs().div_ceil(4) as usize)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{played, Always};
    use super::*;
    use algodistill_core::Family;

    #[test]
    fn who_knows_the_motor_comes_nowhere_near_the_stops() {
        let servo = Servo::STANDARD;
        let (mut total, mut farthest) = (0.0, 0);
        for number in 0..200 {
            let mut task = servo.task(number).unwrap();
            let mut expert = Simulation::expert(&servo, &task).unwrap();
            let mut rng = PortableRng::new(1, u64::from(number));
            let episode = played(&servo, &mut task, &mut *expert, &mut rng, usize::MAX);
            total += f64::from(episode.total()) / 200.0;
            farthest = episode.observations.iter().map(|seen| seen[0].abs()).fold(farthest, i32::max);
        }
        assert!((34.8..36.2).contains(&total), "{total}");
        assert!(farthest < STOP / 4 * 3, "{farthest}");
    }

    #[test]
    fn a_track_shows_motor_trail_band_and_what_is_hidden() {
        let servo = Servo::STANDARD;
        let mut task = servo.task(0).unwrap();
        let episode = played(&servo, &mut task, &mut Always(4), &mut PortableRng::new(0, 0), 4);
        let text = Simulation::draw(&servo, &task, &episode).unwrap().plain();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        for letter in ['@', 'o', '='] {
            assert!(lines[0].contains(letter), "{text}");
        }
        assert!(lines[1].contains('>') || lines[1].contains('<'), "{text}");
        assert!(lines[2].contains("full ahead"), "{text}");
        assert!(lines[3].contains("counts a step"), "{text}");
        assert_eq!([bar(-5), bar(0), bar(8)], ["<<", "", ">>"]);
    }
}
