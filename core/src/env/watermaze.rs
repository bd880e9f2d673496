//! Watermaze (Morris 1981; Laskin et al. 2022, section 4): a pool with a platform under the water.
//! The walls are all that can be seen.

use super::{check_horizon, write_words, Environment, Family, ParameterError, Transition};
use crate::interface::MAX_PIXEL_BYTES;
use crate::{Channel, Interface, PortableRng};
use heapless::Vec;
use serde::{Deserialize, Serialize};

/// What the agent is told of where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// A picture of the walls.
    Pixels,
    /// Four numbers in units of 1/1024: x, y, and the cosine and sine of the heading.
    Pose,
}

/// A square pool of walls with a slow texture. Every episode begins in the middle with a heading at
/// random; the platform, a disc that is never shown, pays +1 when the agent is on it and ends the
/// episode. Actions: forward by 1, turn left and turn right by 45 degrees.
///
/// The task is where the platform is: number `n` is the `n`-th of an endless list of points, uniform
/// in the square that leaves the platform clear of the walls, at least two radii from the middle.
///
/// The picture is that of a cylinder around the agent, a ray a column; the water below the horizon is
/// not shown. A wall is as many rows high as `2 rows / distance`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watermaze {
    /// Half of a side of the pool, 3 to 100.
    pub half_width: f32,
    /// Radius of the platform, 0.6 to 10 and less than a third of `half_width`.
    pub radius: f32,
    /// Most steps of an episode.
    pub horizon: u32,
    /// What is observed.
    pub view: View,
    /// Rows of the picture, 1 to 64.
    pub rows: u16,
    /// Columns of the picture, even, 2 to 64.
    pub columns: u16,
    /// Degrees from the left edge of the picture to the right one, a multiple of 5.625 `columns`, at
    /// most 360.
    pub field_of_view: u16,
    /// 3, or 1 for a picture in grey.
    pub colours: u8,
    /// Whether the agent stays on the platform for one more step, which does nothing and ends the
    /// episode: for agents that are not shown what ended an episode.
    pub linger: bool,
}

/// Where an agent is and where it looks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pose {
    /// To the east of the middle.
    pub x: f32,
    /// To the north of the middle.
    pub y: f32,
    /// In units of 11.25 degrees, counter-clockwise from the east, 0 to 31.
    pub heading: u8,
}

/// Number of actions.
pub const ACTIONS: u16 = 3;
/// Names of the actions.
pub const ACTION_NAMES: [&str; 3] = ["forward", "left", "right"];
/// Headings that an agent can have.
pub const HEADINGS: u8 = 32;
/// Units of a heading that an agent turns at once.
const TURN: u8 = 4;
/// Least distance of an agent from a wall.
const CLEARANCE: f32 = 0.25;
/// Seed of the list of platforms.
const TASK_SEED: u64 = 0x0077_6174_6572;

/// Cosines of the first quarter of the circle in 32 steps.
const QUARTER: [f32; 33] = [
    1.0,
    0.998_795_45,
    0.995_184_7,
    0.989_176_5,
    0.980_785_25,
    0.970_031_26,
    0.956_940_35,
    0.941_544_06,
    0.923_879_5,
    0.903_989_3,
    0.881_921_3,
    0.857_728_6,
    0.831_469_6,
    0.803_207_5,
    0.773_010_43,
    0.740_951_1,
    0.707_106_77,
    0.671_559,
    0.634_393_3,
    0.595_699_3,
    0.555_570_24,
    0.514_102_76,
    0.471_396_74,
    0.427_555_08,
    0.382_683_43,
    0.336_889_86,
    0.290_284_66,
    0.242_980_18,
    0.195_090_32,
    0.146_730_47,
    0.098_017_14,
    0.049_067_676,
    0.0,
];

/// Shades of the walls: 16 points around the pool, with straight lines between them. One slow wave for
/// each colour, a third of a circle apart, tells every place from every other.
const TEXTURE: [[u8; 16]; 3] = [
    [255, 247, 226, 193, 155, 117, 84, 63, 55, 63, 84, 117, 155, 193, 226, 247],
    [105, 142, 181, 216, 242, 254, 252, 234, 205, 168, 129, 94, 68, 56, 58, 76],
    [105, 76, 58, 56, 68, 94, 129, 168, 205, 234, 252, 254, 242, 216, 181, 142],
];

/// Cosine and sine of an angle in 128ths of the circle.
fn direction(angle: usize) -> (f32, f32) {
    let quarter = |place: usize| QUARTER.get(place).copied().unwrap_or(0.0);
    let angle = angle % 128;
    let place = angle % 32;
    let (along, across) = (quarter(place), quarter(32 - place));
    match angle / 32 {
        0 => (along, across),
        1 => (-across, along),
        2 => (-along, -across),
        _ => (across, -along),
    }
}

impl Pose {
    /// Cosine and sine of the heading.
    pub fn direction(&self) -> (f32, f32) {
        direction(4 * usize::from(self.heading))
    }
}

impl Watermaze {
    /// A pool of 12 by 12 with a platform of radius 1, 50 steps, a picture of 8 rows and 16 columns in
    /// three colours, 180 degrees wide.
    pub const PIXELS: Self = Self {
        half_width: 6.0,
        radius: 1.0,
        horizon: 50,
        view: View::Pixels,
        rows: 8,
        columns: 16,
        field_of_view: 180,
        colours: 3,
        linger: false,
    };
    /// The same pool, with the pose in place of the picture.
    pub const POSE: Self = Self { view: View::Pose, ..Self::PIXELS };

    /// Bytes of a picture.
    pub const fn picture_len(&self) -> usize {
        self.rows as usize * self.columns as usize * self.colours as usize
    }

    /// Where an action leads; one out of range is as the first.
    pub fn moved(&self, pose: Pose, action: usize) -> Pose {
        match action {
            1 => Pose { heading: (pose.heading + TURN) % HEADINGS, ..pose },
            2 => Pose { heading: (pose.heading + HEADINGS - TURN) % HEADINGS, ..pose },
            _ => {
                let (dx, dy) = pose.direction();
                let most = self.half_width - CLEARANCE;
                let (x, y) = (pose.x + dx, pose.y + dy);
                // `clamp` may panic.
                Pose { x: x.max(-most).min(most), y: y.max(-most).min(most), ..pose }
            }
        }
    }

    /// Whether someone is on a platform.
    pub fn is_on(&self, pose: Pose, (x, y): (f32, f32)) -> bool {
        let (dx, dy) = (pose.x - x, pose.y - y);
        dx * dx + dy * dy <= self.radius * self.radius
    }

    /// Half of a 128th of the circle: half the angle between two columns.
    const fn half_column(&self) -> usize {
        match (self.field_of_view as usize * 64).checked_div(360 * self.columns as usize) {
            Some(half) => half,
            None => 0,
        }
    }

    /// Writes what is observed at a pose; a shorter slice receives the first words.
    pub fn show(&self, pose: Pose, observation: &mut [i32]) {
        match self.view {
            View::Pixels => self.paint(pose, bytemuck::try_cast_slice_mut(observation).unwrap_or(&mut [])),
            View::Pose => {
                let (cosine, sine) = pose.direction();
                write_words(
                    observation,
                    [pose.x, pose.y, cosine, sine].map(|number| (number * 1024.0) as i32),
                );
            }
        }
    }

    /// Paints what is seen from a pose: [`Watermaze::picture_len`] bytes, as a pixels channel has
    /// them; a shorter slice receives the first rows.
    pub fn paint(&self, pose: Pose, picture: &mut [u8]) {
        let size = self.half_width;
        let to_walls = [size - pose.x, size + pose.x, size - pose.y, size + pose.y].map(|way| 1.0 / way);
        let (columns, colours) = (usize::from(self.columns), usize::from(self.colours));
        let height = 2.0 * f32::from(self.rows);
        for column in 0..columns {
            let right = self.half_column() * 2 * column;
            let middle = self.half_column() * columns.saturating_sub(1);
            let angle = (4 * usize::from(pose.heading) + middle + 4 * 128).saturating_sub(right);
            let (nearness, place) = self.cast(pose, direction(angle), to_walls);
            let corner = place as usize;
            let between = place - corner as f32;
            for (colour, texture) in TEXTURE.iter().take(colours).enumerate() {
                let shade = |corner: usize| f32::from(texture.get(corner % 16).copied().unwrap_or(0));
                let value = shade(corner) + (shade(corner + 1) - shade(corner)) * between;
                for row in 0..usize::from(self.rows) {
                    let above_horizon = usize::from(self.rows) - 1 - row;
                    let covered = (height * nearness - above_horizon as f32).clamp(0.0, 1.0);
                    if let Some(byte) = picture.get_mut((row * columns + column) * colours + colour) {
                        *byte = (value * covered + 0.5) as u8;
                    }
                }
            }
        }
    }

    /// One over the distance of the wall that a ray meets, and where it meets it: 0 to 16 around the
    /// pool.
    fn cast(&self, pose: Pose, (dx, dy): (f32, f32), to_walls: [f32; 4]) -> (f32, f32) {
        let [east, west, north, south] = to_walls;
        let size = self.half_width;
        let x_wall = if dx > 0.0 { dx * east } else { -dx * west };
        let y_wall = if dy > 0.0 { dy * north } else { -dy * south };
        let nearness = x_wall.max(y_wall);
        let distance = 1.0 / nearness;
        let (along, side) = if x_wall > y_wall {
            let y = pose.y + dy * distance;
            if dx > 0.0 {
                (y + size, 0.0)
            } else {
                (size - y, 8.0)
            }
        } else {
            let x = pose.x + dx * distance;
            if dy > 0.0 {
                (size - x, 4.0)
            } else {
                (x + size, 12.0)
            }
        };
        (nearness, (along * (4.0 / (2.0 * size))).clamp(0.0, 3.9999) + side)
    }

    /// Platform `number` of the endless list.
    fn platform(&self, number: u32) -> (f32, f32) {
        let mut rng = PortableRng::new(TASK_SEED, u64::from(number));
        let most = self.half_width - self.radius;
        let mut draw = || (2.0 * rng.uniform() - 1.0) * most;
        let mut platform = (draw(), draw());
        // The square is at least two thirds free: this many misses in a row do not happen.
        for _ in 0..1_000 {
            if platform.0 * platform.0 + platform.1 * platform.1 >= 4.0 * self.radius * self.radius {
                break;
            }
            platform = (draw(), draw());
        }
        platform
    }
}

impl Family for Watermaze {
    const NAME: &'static str = "watermaze";
    const PRESETS: &'static [(&'static str, Self)] =
        &[("watermaze", Self::PIXELS), ("watermaze-pose", Self::POSE)];
    type Task = WatermazeTask;

    fn check(&self) -> Result<(), ParameterError> {
        ParameterError::unless((3.0..=100.0).contains(&self.half_width), "half_width", "3 to 100")?;
        let radius = (0.6..=10.0).contains(&self.radius) && 3.0 * self.radius < self.half_width;
        ParameterError::unless(radius, "radius", "0.6 to 10 and less than a third of half_width")?;
        check_horizon(self.horizon)?;
        ParameterError::unless((1..=64).contains(&self.rows), "rows", "1 to 64")?;
        let columns = (2..=64).contains(&self.columns) && self.columns.is_multiple_of(2);
        ParameterError::unless(columns, "columns", "an even number from 2 to 64")?;
        ParameterError::unless([1, 3].contains(&self.colours), "colours", "1 or 3")?;
        ParameterError::unless(
            self.picture_len() <= MAX_PIXEL_BYTES,
            "rows",
            "a picture of at most 4,096 bytes",
        )?;
        let steps = u32::from(self.field_of_view) * 64;
        let whole =
            (1..=360).contains(&self.field_of_view) && steps.is_multiple_of(360 * u32::from(self.columns));
        ParameterError::unless(
            whole,
            "field_of_view",
            "a multiple of 5.625 times columns of at most 360, such as 90 or 180 with 16 columns",
        )
    }

    fn interface(&self) -> Interface {
        let channel = match self.view {
            View::Pixels => Channel::Pixels { height: self.rows, width: self.columns, colours: self.colours },
            View::Pose => Channel::Vector { size: 4 },
        };
        let mut channels = Vec::new();
        // There is room for eight.
        let _ = channels.push(channel);
        Interface { channels, actions: ACTIONS, reward_levels: Vec::from_array([0.0, 1.0]) }
    }

    fn horizon(&self) -> u32 {
        self.horizon
    }

    fn task_count(&self) -> Option<u32> {
        None
    }

    fn task(&self, number: u32) -> Option<WatermazeTask> {
        self.check().ok()?;
        let platform = self.platform(number);
        Some(WatermazeTask { maze: *self, platform, pose: Pose::default(), time: 0, found: false })
    }
}

/// A Watermaze with its platform.
#[derive(Clone, Debug, PartialEq)]
pub struct WatermazeTask {
    maze: Watermaze,
    platform: (f32, f32),
    pose: Pose,
    time: u32,
    found: bool,
}

impl WatermazeTask {
    /// The pool's parameters.
    pub fn maze(&self) -> &Watermaze {
        &self.maze
    }

    /// The middle of the platform.
    pub fn platform(&self) -> (f32, f32) {
        self.platform
    }

    /// Where the agent is.
    pub fn pose(&self) -> Pose {
        self.pose
    }
}

impl Environment for WatermazeTask {
    fn reset(&mut self, rng: &mut PortableRng) {
        self.pose = Pose { heading: rng.below(u32::from(HEADINGS)) as u8, ..Pose::default() };
        self.time = 0;
        self.found = false;
    }

    fn observe(&self, observation: &mut [i32]) {
        self.maze.show(self.pose, observation);
    }

    fn step(&mut self, action: usize, _rng: &mut PortableRng) -> Transition {
        self.time = self.time.saturating_add(1);
        if self.found {
            return Transition { reward: 0.0, done: true };
        }
        self.pose = self.maze.moved(self.pose, action);
        self.found = self.maze.is_on(self.pose, self.platform);
        let over = self.time >= self.maze.horizon;
        Transition { reward: f32::from(u8::from(self.found)), done: over || self.found && !self.maze.linger }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_are_those_of_the_circle() {
        for (step, cosine) in QUARTER.iter().enumerate() {
            let exact = (step as f64 / 64.0 * core::f64::consts::PI).cos();
            assert_eq!(*cosine, if step == 32 { 0.0 } else { exact as f32 }, "{step}");
        }
        // What f32 makes of a few of them.
        assert_eq!([2, 16, 30].map(|step| QUARTER[step].to_bits()), [0x3f7e_c46d, 0x3f35_04f3, 0x3dc8_bd36]);
        assert_eq!(direction(32), (0.0, 1.0));
        assert_eq!(direction(64), (-1.0, -0.0));
        assert_eq!(direction(128 + 96), (0.0, -1.0));
    }

    fn sum(maze: Watermaze, pose: Pose) -> u32 {
        let mut picture = vec![0; maze.picture_len()];
        maze.paint(pose, &mut picture);
        picture.into_iter().map(u32::from).sum()
    }

    #[test]
    fn pictures_are_those_of_the_specification() {
        let maze = Watermaze { rows: 4, ..Watermaze::PIXELS };
        assert_eq!(sum(maze, Pose::default()), 8_950);
        assert_eq!(sum(maze, Pose { x: 3.5, y: -2.25, heading: 13 }), 7_246);
    }

    #[test]
    fn an_observation_is_the_picture_in_words() {
        let task = Watermaze::PIXELS.task(0).unwrap();
        let mut picture = [0; 384];
        Watermaze::PIXELS.paint(task.pose(), &mut picture);
        let mut words = [0; 96];
        task.observe(&mut words);
        assert_eq!(words[3].to_le_bytes(), picture[12..16]);
        // The upper row is dark, the lower one is not.
        assert_eq!(picture[..48], [0; 48]);
        assert!(picture[336..].iter().all(|byte| *byte > 50));
        let mut first = [0; 5];
        task.observe(&mut first);
        assert_eq!(first, words[..5]);
    }

    /// Success of a policy in the first episode of each of many tasks, and its mean steps.
    fn play(maze: Watermaze, mut act: impl FnMut(&WatermazeTask, &mut PortableRng) -> usize) -> (f64, f64) {
        let (tasks, mut found, mut steps) = (4_000, 0.0, 0.0);
        for number in 0..tasks {
            let (mut task, mut rng) = (maze.task(number).unwrap(), PortableRng::new(1, u64::from(number)));
            task.reset(&mut rng);
            loop {
                let action = act(&task, &mut rng);
                let transition = task.step(action, &mut rng);
                steps += 1.0;
                found += f64::from(transition.reward);
                if transition.done {
                    break;
                }
            }
        }
        (found / f64::from(tasks), steps / f64::from(tasks))
    }

    #[test]
    fn random_actions_find_what_the_specification_says() {
        let (found, _) = play(Watermaze::PIXELS, |_, rng| rng.below(3) as usize);
        // Three standard errors.
        assert!((found - 0.160).abs() < 0.018, "{found}");
    }

    #[test]
    fn whoever_lingers_sees_the_platform_for_one_more_step() {
        let maze = Watermaze { linger: true, ..Watermaze::POSE };
        let mut task = maze.task(3).unwrap();
        let mut rng = PortableRng::new(0, 0);
        task.reset(&mut rng);
        task.pose = Pose { x: task.platform.0 - 1.2, y: task.platform.1, heading: 0 };
        assert_eq!(task.step(0, &mut rng), Transition { reward: 1.0, done: false });
        let pose = task.pose;
        assert_eq!(task.step(0, &mut rng), Transition { reward: 0.0, done: true });
        assert_eq!(task.pose, pose);
    }

    #[test]
    fn impossible_pools_are_refused() {
        let good = Watermaze::PIXELS;
        assert!(good.check().is_ok() && Watermaze::POSE.check().is_ok());
        assert!(Watermaze { field_of_view: 90, ..good }.check().is_ok());
        for (bad, field) in [
            (Watermaze { half_width: f32::NAN, ..good }, "half_width"),
            (Watermaze { radius: 2.5, ..good }, "radius"),
            (Watermaze { horizon: 0, ..good }, "horizon"),
            (Watermaze { rows: 0, ..good }, "rows"),
            (Watermaze { rows: 64, columns: 64, field_of_view: 360, ..good }, "rows"),
            (Watermaze { columns: 3, ..good }, "columns"),
            (Watermaze { field_of_view: 100, ..good }, "field_of_view"),
            (Watermaze { colours: 2, ..good }, "colours"),
        ] {
            assert_eq!(bad.check().map_err(|error| error.field), Err(field));
            assert!(bad.task(0).is_none(), "{bad:?}");
        }
    }
}
