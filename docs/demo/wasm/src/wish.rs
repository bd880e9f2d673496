//! From what a visitor wants to the task that comes nearest: the goal on this cell, the platform
//! here, that arm the best.

use algodistill_core::env::bandit::BanditTask;
use algodistill_core::env::grid::{Cell, Grid};
use algodistill_core::env::key_to_door::KeyToDoor;
use algodistill_core::env::{AnyFamily, AnyTask};
use algodistill_core::Family;

/// First number that is looked at where tasks have no end: no model was trained on these.
const FIRST: u32 = 1_000_000;
/// How many are looked at.
const LOOKED_AT: u32 = 20_000;

/// The task and, where it has one, its number. `None` where the wish makes no sense.
///
/// - Dark Room: row and column of the goal
/// - Key-to-Door: row and column of the key, of the door
/// - Bandit: what each arm pays
/// - other bandits: the arm that should be the best
/// - Watermaze: x and y of the platform
/// - Servo: speed at full drive, share of the velocity that is kept, pull in counts a step
pub fn grant(family: &AnyFamily, wish: &[f32]) -> Option<(Option<u32>, AnyTask)> {
    let number = match (family, wish) {
        (AnyFamily::DarkRoom(room), [row, column]) => room.grid().number(cell(*row, *column)),
        (AnyFamily::KeyToDoor(room), [row, column, door_row, door_column]) => {
            key_and_door(room, cell(*row, *column), cell(*door_row, *door_column))?
        }
        (AnyFamily::Bandit(bandit), arms) if arms.len() == usize::from(bandit.arms) => {
            let task = BanditTask::new(arms, bandit.horizon)?;
            return Some((None, AnyTask::Bandit(task)));
        }
        // The best by so little that it has to be found.
        (AnyFamily::LinearBandit(bandit), [best]) => {
            let best = *best as usize;
            nearest(|number| bandit.task(number).map(|task| (lead(task.means(), best) - 0.5).abs()))
        }
        (AnyFamily::RestlessBandit(bandit), [best]) => {
            let good = |number| bandit.task(number).map(|task| task.good().to_vec());
            let pays =
                |good: Vec<bool>| good.iter().map(|good| f32::from(u8::from(*good))).collect::<Vec<_>>();
            nearest(|number| good(number).map(|good| -lead(&pays(good), *best as usize)))
        }
        (AnyFamily::Watermaze(maze), [x, y]) => nearest(|number| {
            let (px, py) = maze.task(number)?.platform();
            Some((px - x).powi(2) + (py - y).powi(2))
        }),
        (AnyFamily::Servo(servo), [speed, keep, pull]) => nearest(|number| {
            let motor = servo.task(number)?.motor();
            let part = (256 - motor.keep) as f32;
            let of_speed = ((2 * motor.push) as f32 / part - speed) / 160.0;
            let of_keep = (motor.keep as f32 / 256.0 - keep) / 0.5;
            let of_pull = (motor.load as f32 / part - pull) / 40.0;
            Some(of_speed.powi(2) + of_keep.powi(2) + of_pull.powi(2))
        }),
        _ => return None,
    };
    Some((Some(number), family.task(number)?))
}

fn cell(row: f32, column: f32) -> Cell {
    (row as u16, column as u16)
}

/// The number that [`KeyToDoor`] gives this pair of cells; `None` where they are the same.
fn key_and_door(room: &KeyToDoor, key: Cell, door: Cell) -> Option<u32> {
    let grid: Grid = room.grid();
    let (key, door) = (grid.number(key), grid.number(door));
    let others = grid.cells() - 1;
    (key != door).then(|| key * others + door - u32::from(door > key))
}

/// The number whose distance to the wish is the least.
fn nearest(distance: impl Fn(u32) -> Option<f32>) -> u32 {
    let mut best = (f32::INFINITY, FIRST);
    for number in FIRST..FIRST + LOOKED_AT {
        match distance(number) {
            Some(distance) if distance < best.0 => best = (distance, number),
            _ => {}
        }
    }
    best.1
}

/// How much more `arm` pays than the best of the others.
fn lead(pays: &[f32], arm: usize) -> f32 {
    let others = pays.iter().enumerate().filter(|(other, _)| *other != arm).map(|(_, pays)| *pays);
    pays.get(arm).map_or(f32::MIN, |pays| pays - others.fold(f32::MIN, f32::max))
}
