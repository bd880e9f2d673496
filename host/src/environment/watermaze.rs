//! Watermaze on the host.

use super::{Defaults, Drawing, Episode, Expert, Mark, Simulation, Tint, Trajectory};
use crate::source::Outcome;
use algodistill_core::env::watermaze::{Pose, View, Watermaze, WatermazeTask, ACTION_NAMES, HEADINGS};
use algodistill_core::PortableRng;

impl Simulation for Watermaze {
    fn describe(&self) -> String {
        let side = 2.0 * self.half_width;
        let seen = match self.view {
            View::Pixels => format!("{}x{}x{} pixels", self.rows, self.columns, self.colours),
            View::Pose => "pose".into(),
        };
        format!("Watermaze {side}x{side}, {} steps, {seen}", self.horizon)
    }

    fn defaults(&self) -> Defaults {
        Defaults {
            tasks: Some(12_000),
            held_out: 64,
            histories_per_task: 1,
            held_out_histories_per_task: 1,
            episodes: 30,
            runs: 2,
            context_episodes: 20,
        }
    }

    fn action_name(&self, action: usize) -> String {
        ACTION_NAMES.get(action).map_or_else(|| format!("action {action}"), |name| (*name).into())
    }

    /// 1 where there is time to turn around and to go to a corner and more; not known otherwise.
    fn optimal_return(&self, _task: &WatermazeTask) -> Option<f64> {
        let way = 1.5 * self.half_width * 2f32.sqrt();
        (self.horizon as f32 > way + 8.0).then_some(1.0)
    }

    fn part_of_horizon(&self) -> f64 {
        0.2
    }

    fn expert(&self, task: &WatermazeTask) -> Option<Box<dyn Expert>> {
        Some(Box::new(Straight { pilot: Pilot::new(*self), platform: task.platform() }))
    }

    fn draw(&self, task: &WatermazeTask, episode: &Episode) -> Option<Drawing> {
        let mut drawing = from_above(self, task, &path(self, episode)?);
        if self.view == View::Pixels {
            drawing.add(Tint::Plain, "\n");
            drawing.add(Tint::Plain, picture(self, task.pose()));
        }
        drawing.add(Tint::Plain, " @ agent  o trail  # platform (never shown to the model)\n");
        Some(drawing)
    }

    fn trajectory(&self, task: &WatermazeTask, episode: &Episode) -> Option<Trajectory> {
        let side = 2.0 * self.half_width;
        let place = |x: f32, y: f32| ((x + self.half_width) / side, (self.half_width - y) / side);
        let (x, y) = task.platform();
        let platform = Mark { name: "platform", at: place(x, y), radius: self.radius / side };
        let path = path(self, episode)?;
        let path = path.iter().map(|pose| place(pose.x, pose.y)).collect();
        Some(Trajectory { path, marks: vec![platform], cells: None })
    }
}

/// Keeps count of where an agent is, from what it sees at the start of an episode and does from then
/// on.
#[derive(Clone, Debug)]
pub(crate) struct Pilot {
    maze: Watermaze,
    /// Where it may be.
    poses: Vec<Pose>,
    /// On the platform, where it lingers.
    stays: bool,
}

impl Pilot {
    /// Before an episode.
    pub fn new(maze: Watermaze) -> Self {
        let mut pilot = Self { maze, poses: Vec::new(), stays: false };
        pilot.restart();
        pilot
    }

    /// An episode begins: in the middle, with any heading.
    pub fn restart(&mut self) {
        self.poses.clear();
        self.poses.extend((0..HEADINGS).map(|heading| Pose { heading, ..Pose::default() }));
        self.stays = false;
    }

    /// Where it is, by what is seen there.
    pub fn see(&mut self, observation: &[i32]) -> Pose {
        if self.poses.len() > 1 {
            let mut seen = vec![0; observation.len()];
            let maze = &self.maze;
            let all = self.poses.clone();
            self.poses.retain(|pose| {
                maze.show(*pose, &mut seen);
                seen == observation
            });
            if self.poses.is_empty() {
                // Not an observation of this pool.
                self.poses = all;
            }
        }
        self.poses[0]
    }

    /// What an action led to. The end of an episode is the start of the next.
    pub fn follow(&mut self, outcome: &Outcome) {
        if outcome.done {
            return self.restart();
        }
        if !self.stays {
            self.poses.iter_mut().for_each(|pose| *pose = self.maze.moved(*pose, outcome.action));
        }
        self.stays |= outcome.reward > 0.0;
    }

    /// Whether it is on the platform, where the next action does nothing.
    pub fn is_lingering(&self) -> bool {
        self.stays
    }

    /// Where the last action led, before [`Pilot::follow`].
    pub fn after(&self, action: usize) -> Pose {
        match self.stays {
            true => self.poses[0],
            false => self.maze.moved(self.poses[0], action),
        }
    }
}

/// Where a point is to an agent: how far ahead, how far to the left, and how far away. Of
/// multiplications and a root only, which are the same on every machine.
fn bearing(pose: Pose, (x, y): (f32, f32)) -> (f32, f32, f32) {
    let (cosine, sine) = pose.direction();
    let (dx, dy) = (x - pose.x, y - pose.y);
    (cosine * dx + sine * dy, cosine * dy - sine * dx, (dx * dx + dy * dy).sqrt())
}

/// Cosines of the angles from which another turn by 45 degrees is worth it: a hair more than 22.5,
/// 67.5, 112.5 and 157.5 degrees, as who is halfway between two headings would turn to and fro.
const WORTH_A_TURN: [f32; 4] = [0.923, 0.382, -0.383, -0.924];

/// The action that brings an agent nearer to a point.
pub(crate) fn steer(pose: Pose, target: (f32, f32)) -> usize {
    let (ahead, left, distance) = bearing(pose, target);
    match (ahead < WORTH_A_TURN[0] * distance, left > 0.0) {
        (true, true) => 1,
        (true, false) => 2,
        (false, _) => 0,
    }
}

/// About how many actions a point is away.
pub(crate) fn actions_to(pose: Pose, target: (f32, f32)) -> f32 {
    let (ahead, _, distance) = bearing(pose, target);
    let turns = WORTH_A_TURN.iter().filter(|cosine| ahead < **cosine * distance).count();
    distance + turns as f32
}

/// Goes straight to the platform.
struct Straight {
    pilot: Pilot,
    platform: (f32, f32),
}

impl Expert for Straight {
    fn begin_context(&mut self) {
        self.pilot.restart();
    }

    fn act(&mut self, observation: &[i32], _rng: &mut PortableRng) -> usize {
        steer(self.pilot.see(observation), self.platform)
    }

    fn learn(&mut self, outcome: &Outcome) {
        self.pilot.follow(outcome);
    }
}

/// Where an agent has been in an episode.
fn path(maze: &Watermaze, episode: &Episode) -> Option<Vec<Pose>> {
    let mut pilot = Pilot::new(*maze);
    let mut poses = vec![pilot.see(episode.observations.first()?)];
    for (action, reward) in episode.actions.iter().zip(&episode.rewards) {
        poses.push(pilot.after(*action));
        pilot.follow(&Outcome { action: *action, reward: *reward, next_observation: &[], done: false });
    }
    Some(poses)
}

/// The pool from above, the north at the top.
fn from_above(maze: &Watermaze, task: &WatermazeTask, path: &[Pose]) -> Drawing {
    const LINES: usize = 13;
    let unit = 2.0 * maze.half_width / LINES as f32;
    let place = |pose: &Pose| {
        let column = ((pose.x + maze.half_width) / unit) as usize;
        let line = ((maze.half_width - pose.y) / unit) as usize;
        (line.min(LINES - 1), column.min(LINES - 1))
    };
    let here = path.last().map(place);
    let mut drawing = Drawing::default();
    for line in 0..LINES {
        for column in 0..LINES {
            let centre = Pose {
                x: (column as f32 + 0.5) * unit - maze.half_width,
                y: maze.half_width - (line as f32 + 0.5) * unit,
                heading: 0,
            };
            let platform = maze.is_on(centre, task.platform());
            let (tint, letter) = match (here == Some((line, column)), platform) {
                (true, true) => (Tint::Success, "@"),
                (true, false) => (Tint::Agent, "@"),
                (false, true) => (Tint::Goal, "#"),
                _ if path.iter().any(|pose| place(pose) == (line, column)) => (Tint::Trail, "o"),
                _ => (Tint::Dim, "."),
            };
            drawing.add(Tint::Plain, " ");
            drawing.add(tint, letter);
        }
        drawing.add(Tint::Plain, "\n");
    }
    drawing
}

/// What the agent sees, in shades of grey.
fn picture(maze: &Watermaze, pose: Pose) -> String {
    const SHADES: &[u8] = b" .:-=+*#%@";
    let mut bytes = vec![0; maze.picture_len()];
    maze.paint(pose, &mut bytes);
    let mut text = String::new();
    for row in bytes.chunks(usize::from(maze.columns) * usize::from(maze.colours)) {
        text.push(' ');
        for pixel in row.chunks(usize::from(maze.colours)) {
            let mean = pixel.iter().map(|byte| usize::from(*byte)).sum::<usize>() / pixel.len();
            let shade = char::from(SHADES[mean * SHADES.len() / 256]);
            text.extend([shade, shade]);
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::testing::{played, Always};
    use super::*;
    use algodistill_core::Family;

    /// Success and mean steps of the expert, in `tasks` first episodes.
    fn expert(maze: Watermaze, tasks: u32) -> (f64, f64, u32) {
        let (mut found, mut steps, mut most) = (0.0, 0, 0);
        for number in 0..tasks {
            let mut task = maze.task(number).unwrap();
            let mut expert = Simulation::expert(&maze, &task).unwrap();
            let mut rng = PortableRng::new(1, u64::from(number));
            let episode = played(&maze, &mut task, &mut *expert, &mut rng, usize::MAX);
            found += f64::from(episode.total());
            steps += episode.actions.len() as u32;
            most = most.max(episode.actions.len() as u32);
        }
        (found / f64::from(tasks), f64::from(steps) / f64::from(tasks), most)
    }

    #[test]
    fn who_knows_the_platform_goes_there_in_the_steps_of_the_specification() {
        let (found, steps, most) = expert(Watermaze::POSE, 4_000);
        assert_eq!(found, 1.0);
        assert!((steps - 7.2).abs() < 0.15 && most <= 18, "{steps} {most}");
        // The smallest platform that can be: it never goes around it.
        assert_eq!(expert(Watermaze { radius: 0.6, ..Watermaze::POSE }, 20_000).0, 1.0);
        // From the picture, on the platform for another step.
        let (found, steps, _) = expert(Watermaze { linger: true, ..Watermaze::PIXELS }, 300);
        assert_eq!(found, 1.0);
        assert!((steps - 8.2).abs() < 0.5, "{steps}");
    }

    #[test]
    fn a_pool_shows_agent_trail_platform_and_picture() {
        let maze = Watermaze::PIXELS;
        let mut task = maze.task(0).unwrap();
        let episode = played(&maze, &mut task, &mut Always(0), &mut PortableRng::new(0, 0), 3);
        let text = Simulation::draw(&maze, &task, &episode).unwrap().plain();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 13 + 1 + 8 + 1);
        assert!(text.contains("@"));
        assert!(lines[..13].iter().any(|line| line.contains('#')), "{text}");
        assert!(lines[..13].iter().any(|line| line.contains('o')), "{text}");
        assert!(lines[21].chars().all(|letter| letter != '.'), "{text}");
        let Trajectory { path, marks, .. } = Simulation::trajectory(&maze, &task, &episode).unwrap();
        // From the middle to where it is, the north at the top.
        let end = ((task.pose().x + 6.0) / 12.0, (6.0 - task.pose().y) / 12.0);
        assert_eq!((path.len(), path[0], path[3]), (4, (0.5, 0.5), end));
        assert_eq!((marks[0].name, marks[0].radius), ("platform", 1.0 / 12.0));
    }
}
