//! What can be earned with a motor, by dynamic programming over integers.

use algodistill_core::env::servo::{Motor, Servo, ACTIONS, REACH, STOP};

/// Largest error of the tables, in counts: that of the farthest start and a little more. What is
/// beyond is as good as this.
const FAR: i32 = 2 * REACH + 32;
/// Errors of a table.
const ERRORS: usize = 2 * FAR as usize + 1;
const DRIVES: usize = ACTIONS as usize;

/// The velocities that a motor can have, and what each drive makes of each.
struct Velocities {
    lowest: i32,
    /// From the lowest velocity on.
    after: Vec<[i32; DRIVES]>,
}

impl Velocities {
    fn of(motor: Motor) -> Self {
        // The dynamics are monotonic: the ends lead to the ends.
        let (mut lowest, mut highest) = (0, 0);
        let after = |velocity| -> [i32; DRIVES] {
            std::array::from_fn(|action| motor.velocity(velocity, Motor::drive(action)))
        };
        loop {
            let ends = [after(lowest), after(highest)].concat();
            let lower = ends.iter().copied().fold(lowest, i32::min);
            let higher = ends.into_iter().fold(highest, i32::max);
            if (lower, higher) == (lowest, highest) {
                return Self { lowest, after: (lowest..=highest).map(after).collect() };
            }
            (lowest, highest) = (lower, higher);
        }
    }

    /// The row of a velocity; of one that the motor cannot have, the nearest.
    fn row(&self, velocity: i32) -> usize {
        usize::try_from(velocity - self.lowest).unwrap_or(0).min(self.after.len() - 1)
    }

    /// Those from the lowest on.
    fn rows(&self) -> impl Iterator<Item = (i32, &[i32; DRIVES])> {
        (self.lowest..).zip(&self.after)
    }
}

/// What can still be earned with so many steps to go, by error (target minus position) and velocity.
///
/// It is as if there were no stops: who controls a motor well comes nowhere near them, so these are
/// the values with them as well (the tests compare the two).
pub(super) struct Values {
    servo: Servo,
    velocities: Velocities,
    /// A table for 0, 1, 2 ... steps to go, of rows of errors, one for each velocity; until one step
    /// more earns 1 more everywhere, as it does from then on.
    tables: Vec<Vec<u8>>,
}

impl Values {
    pub fn new(servo: &Servo, motor: Motor) -> Self {
        let velocities = Velocities::of(motor);
        let band = i32::from(servo.band);
        let paid = (FAR - band) as usize..=(FAR + band) as usize;
        let mut tables = vec![vec![0_u8; velocities.after.len() * ERRORS]];
        let mut worth = Vec::new();
        while tables.len() <= servo.horizon as usize {
            let last = &tables[tables.len() - 1];
            // Of a step that ends there, by where it ends.
            worth.clone_from(last);
            for row in worth.chunks_exact_mut(ERRORS) {
                row[paid.clone()].iter_mut().for_each(|value| *value += 1);
            }
            let mut table = vec![0; last.len()];
            for (row, (_, after)) in table.chunks_exact_mut(ERRORS).zip(velocities.rows()) {
                for &velocity in after {
                    let from = velocities.row(velocity) * ERRORS;
                    raise(row, &worth[from..from + ERRORS], velocity);
                }
            }
            let settled = table.iter().zip(last).all(|(now, before)| *now == before + 1);
            tables.push(table);
            if settled {
                break;
            }
        }
        Self { servo: *servo, velocities, tables }
    }

    /// With `steps` to go.
    fn value(&self, steps: u32, error: i32, velocity: i32) -> u32 {
        let last = (self.tables.len() - 1) as u32;
        let place = self.velocities.row(velocity) * ERRORS + (error.clamp(-FAR, FAR) + FAR) as usize;
        let table = &self.tables[steps.min(last) as usize];
        u32::from(table[place]) + steps.saturating_sub(last)
    }

    /// An action that earns the most in `steps` steps, at least one. Of several it is the one that
    /// leaves the motor nearest to the target and slowest.
    pub fn best_action(&self, steps: u32, error: i32, velocity: i32) -> usize {
        let rank = |velocity: i32| {
            let error = error - velocity;
            let paid = error.abs() <= i32::from(self.servo.band);
            (u32::from(paid) + self.value(steps - 1, error, velocity), -error.abs() - velocity.abs())
        };
        let after = &self.velocities.after[self.velocities.row(velocity)];
        // The first of several that are equal.
        (0..DRIVES).rev().max_by_key(|&action| rank(after[action])).unwrap_or(0)
    }

    /// Of an episode, in the mean over where it begins and where the target is.
    pub fn mean_return(&self) -> f64 {
        let places = i64::from(2 * REACH + 1);
        let of_error = |error: i32| {
            // So many pairs of start and target are this far apart.
            let pairs = places - i64::from(error.abs());
            pairs * i64::from(self.value(self.servo.horizon, error, 0))
        };
        let sum: i64 = (-2 * REACH..=2 * REACH).map(of_error).sum();
        sum as f64 / (places * places) as f64
    }
}

/// Raises each value of `row` to what it is worth to end a step with `velocity` there, `velocity`
/// counts nearer to the target or farther.
fn raise(row: &mut [u8], worth: &[u8], velocity: i32) {
    let shift = velocity.unsigned_abs() as usize;
    let inner = ERRORS - shift;
    let (edge, to, from, beyond) = match velocity < 0 {
        false => (worth[0], shift..ERRORS, 0..inner, 0..shift),
        true => (worth[ERRORS - 1], 0..inner, shift..ERRORS, inner..ERRORS),
    };
    row[to].iter_mut().zip(&worth[from]).for_each(|(value, other)| *value = (*value).max(*other));
    row[beyond].iter_mut().for_each(|value| *value = (*value).max(edge));
}

/// Expected return of random actions: the distribution of position and velocity, step by step, with
/// the stops. The target has no part in where they lead.
pub(super) fn random_return(servo: &Servo, motor: Motor) -> f64 {
    const POSITIONS: usize = 2 * STOP as usize + 1;
    const TARGETS: usize = 2 * REACH as usize + 1;
    const EACH: f32 = 1.0 / DRIVES as f32;
    let velocities = Velocities::of(motor);
    let resting = velocities.row(0) * POSITIONS;
    let place = |position: i32| (position + STOP) as usize;
    let band = i32::from(servo.band);
    // Share of the targets whose band a position is in.
    let paid: Vec<f32> = (-STOP..=STOP)
        .map(|position| {
            let targets = (position - band).max(-REACH)..=(position + band).min(REACH);
            targets.count() as f32 / TARGETS as f32
        })
        .collect();

    let mut now = vec![0.0_f32; velocities.after.len() * POSITIONS];
    now[resting + place(-REACH)..=resting + place(REACH)].fill(1.0 / TARGETS as f32);
    let mut total = 0.0;
    for _ in 0..servo.horizon {
        let mut next = vec![0.0_f32; now.len()];
        for (row, (_, after)) in now.chunks_exact(POSITIONS).zip(velocities.rows()) {
            if row.iter().all(|share| *share == 0.0) {
                continue;
            }
            for &velocity in after {
                let shift = velocity.unsigned_abs() as usize;
                // Those that reach a stop stand there.
                let (to, from, stopped, stop) = match velocity < 0 {
                    false => {
                        let free = POSITIONS - 1 - shift;
                        (shift..POSITIONS - 1, 0..free, free..POSITIONS, POSITIONS - 1)
                    }
                    true => (1..POSITIONS - shift, 1 + shift..POSITIONS, 0..1 + shift, 0),
                };
                let first = velocities.row(velocity) * POSITIONS;
                let free = next[first..first + POSITIONS][to].iter_mut().zip(&row[from]);
                free.for_each(|(share, other)| *share += EACH * other);
                next[resting + stop] += EACH * row[stopped].iter().sum::<f32>();
            }
        }
        now = next;
        let mut anywhere = vec![0.0_f32; POSITIONS];
        for row in now.chunks_exact(POSITIONS) {
            anywhere.iter_mut().zip(row).for_each(|(sum, share)| *sum += share);
        }
        total += anywhere.iter().zip(&paid).map(|(share, paid)| f64::from(share * paid)).sum::<f64>();
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use algodistill_core::Family;

    /// The largest return of each start for one target: dynamic programming over position and
    /// velocity, with the stops.
    fn with_stops(servo: &Servo, motor: Motor, target: i32) -> Vec<u32> {
        let velocities = Velocities::of(motor);
        let count = velocities.after.len();
        let index =
            |(position, velocity): (i32, i32)| (position + STOP) as usize * count + velocities.row(velocity);
        let states: Vec<(i32, i32)> = (-STOP..=STOP)
            .flat_map(|position| velocities.rows().map(move |(velocity, _)| (position, velocity)))
            .collect();
        let mut values = vec![0; states.len()];
        for _ in 0..servo.horizon {
            let best = |&state: &(i32, i32)| {
                let worth = |action| {
                    let next = motor.step(state, Motor::drive(action));
                    u32::from((target - next.0).abs() <= i32::from(servo.band)) + values[index(next)]
                };
                (0..DRIVES).map(worth).max().unwrap()
            };
            values = states.iter().map(best).collect();
        }
        (-REACH..=REACH).map(|start| values[index((start, 0))]).collect()
    }

    #[test]
    fn the_stops_make_no_difference_to_who_controls_well() {
        let servo = Servo::STANDARD;
        for number in 0..6 {
            let motor = servo.task(number).unwrap().motor();
            let values = Values::new(&servo, motor);
            for target in [-REACH, 17, REACH] {
                let found = (-REACH..=REACH).map(|start| values.value(servo.horizon, target - start, 0));
                assert_eq!(found.collect::<Vec<_>>(), with_stops(&servo, motor, target), "{motor:?}");
            }
        }
    }

    #[test]
    fn the_mean_is_that_of_all_starts_and_targets() {
        let servo = Servo { horizon: 7, ..Servo::STANDARD };
        let values = Values::new(&servo, servo.task(3).unwrap().motor());
        let places = || -REACH..=REACH;
        let sum: u64 = places()
            .flat_map(|start| places().map(move |target| target - start))
            .map(|error| u64::from(values.value(7, error, 0)))
            .sum();
        assert_eq!(values.mean_return(), sum as f64 / f64::from(places().count() as u32).powi(2));
    }

    #[test]
    fn one_step_of_random_actions_is_the_mean_of_the_five() {
        let servo = Servo { horizon: 1, ..Servo::STANDARD };
        let motor = servo.task(5).unwrap().motor();
        let mut within = 0;
        for (start, action) in
            (-REACH..=REACH).flat_map(|start| (0..DRIVES).map(move |action| (start, action)))
        {
            let position = motor.step((start, 0), Motor::drive(action)).0;
            within += (-REACH..=REACH).filter(|target| (target - position).abs() <= 16).count();
        }
        let expected = within as f64 / (5.0 * 513.0 * 513.0);
        let found = random_return(&servo, motor);
        assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
    }
}
