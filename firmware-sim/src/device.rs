//! A session with the image: what it is asked, what it answers.

use crate::host::Run;
use crate::image::Image;
use crate::qemu::Machine;
use crate::target::Target;
use crate::trace::Step;
use algodistill_core::interface::MAX_OBSERVATION_WORDS;
use algodistill_core::PortableRng;
use anyhow::{anyhow, bail, Context};
use firmware_session::link::{observation_bytes, END, FEEDBACK, OBSERVATION};
use firmware_session::session::World;
use std::path::Path;
use std::str::SplitAsciiWhitespace;
use std::time::Duration;

/// Linear layers, measured.
pub struct Count {
    pub multiplications: u64,
    repetitions: u64,
    /// Of all repetitions.
    instructions: u64,
}

impl Count {
    /// Instructions for each multiplication and its addition.
    pub fn per_multiplication(&self) -> f64 {
        self.instructions as f64 / (self.multiplications * self.repetitions) as f64
    }
}

/// One of them.
pub struct Bench {
    pub rows: u64,
    pub columns: u64,
    pub count: Count,
}

/// A part of a step in an image that counts these.
struct PartSum {
    name: String,
    /// How often it began.
    marks: u64,
    /// Of all steps with a full ring.
    ticks: u64,
}

/// What the device reported.
#[derive(Default)]
pub struct Report {
    pub kernels: String,
    pub steps: Vec<Step>,
    /// Instructions of each step, acting alone.
    pub instructions: Vec<u64>,
    /// Instructions of the environment that showed each step's observation.
    pub observe: Vec<u64>,
    /// Instructions of the encoders in each step.
    pub encode: Vec<u64>,
    /// High-water marks in bytes: decoding the model, then the loop.
    pub stack_start_up: u32,
    pub stack_act: u32,
    pub total_return: f64,
    pub actions_crc: u32,
    pub logits_crc: u32,
    pub observations_crc: u32,
    /// Of linear layers of the reference model.
    pub bench: Vec<Bench>,
    /// Of all layers of the autoencoder of MLPerf Tiny.
    pub autoencoder: Option<Count>,
    /// The log of the steps, where one was asked for.
    pub log: Vec<u8>,
    /// Marks in a row, and the ticks that they took.
    probe: (u64, u64),
    parts: Vec<PartSum>,
    calibration: (u64, u64),
    ended: bool,
}

impl Report {
    /// Instructions of a number of ticks.
    fn instructions(&self, elapsed: u64) -> anyhow::Result<u64> {
        let (instructions, ticks) = self.calibration;
        elapsed
            .checked_mul(instructions)
            .and_then(|product| product.checked_div(ticks))
            .context("no instruction counter")
    }

    /// Instructions of each part of a step with a full ring, of which there were so many steps; what
    /// the marks at the borders cost is taken off. `None` where the image does not count parts.
    pub fn parts(&self, steps: usize) -> Option<Vec<(String, u64)>> {
        let per_mark = self.probe.1 as f64 / self.probe.0 as f64;
        let per_tick = self.calibration.0 as f64 / self.calibration.1 as f64;
        let mean = |part: &PartSum| {
            let ticks = part.ticks as f64 - part.marks as f64 * per_mark;
            (part.name.clone(), (ticks * per_tick / steps as f64).round().max(0.0) as u64)
        };
        let is_counted = self.probe.0 > 0 && self.calibration.1 > 0 && steps > 0;
        is_counted.then(|| self.parts.iter().map(mean).collect())
    }

    /// Takes in what is left of a session.
    fn read_to_end(&mut self, mut machine: Machine) -> anyhow::Result<()> {
        while let Some(line) = machine.line()? {
            self.read(&line).with_context(|| line)?;
        }
        self.log = machine.take_log();
        machine.finish()
    }

    /// Takes in a line; whether it was that of a step.
    fn read(&mut self, line: &str) -> anyhow::Result<bool> {
        let mut words = line.split_ascii_whitespace();
        let word = words.next();
        match word {
            Some("kernels") => self.kernels = words.next().context("no name")?.to_string(),
            Some("calibration") => self.calibration = (decimal(&mut words)?, decimal(&mut words)?),
            Some("stack") => match words.next() {
                Some("start-up") => self.stack_start_up = decimal(&mut words)?,
                _ => self.stack_act = decimal(&mut words)?,
            },
            Some("step") => {
                if decimal::<usize>(&mut words)? != self.steps.len() {
                    bail!("the device skipped a step");
                }
                self.steps.push(Step {
                    action: decimal(&mut words)?,
                    logits_crc: hexadecimal(&mut words)?,
                    observations_crc: hexadecimal(&mut words)?,
                });
                let mut count = || self.instructions(decimal(&mut words)?);
                let [act, observe, encode] = [count()?, count()?, count()?];
                self.instructions.push(act);
                self.observe.push(observe);
                self.encode.push(encode);
            }
            Some("bench") => {
                let [rows, columns, repetitions, ticks] = {
                    let mut next = || decimal(&mut words);
                    [next()?, next()?, next()?, next()?]
                };
                let instructions = self.instructions(ticks)?;
                let count = Count { multiplications: rows * columns, repetitions, instructions };
                self.bench.push(Bench { rows, columns, count });
            }
            Some("autoencoder") => {
                let (multiplications, repetitions) = (decimal(&mut words)?, decimal(&mut words)?);
                let instructions = self.instructions(decimal(&mut words)?)?;
                self.autoencoder = Some(Count { multiplications, repetitions, instructions });
            }
            Some("probe") => self.probe = (decimal(&mut words)?, decimal(&mut words)?),
            Some("part") => {
                let name = words.next().context("no name")?.to_string();
                let mut next = || decimal::<u64>(&mut words);
                let (marks, high, low) = (next()?, next()?, next()?);
                self.parts.push(PartSum { name, marks, ticks: high << 32 | low });
            }
            Some("end") => {
                if decimal::<usize>(&mut words)? != self.steps.len() {
                    bail!("the device lost a step");
                }
                self.total_return = f64::from(f32::from_bits(hexadecimal(&mut words)?));
                (self.actions_crc, self.logits_crc) = (hexadecimal(&mut words)?, hexadecimal(&mut words)?);
                self.observations_crc = hexadecimal(&mut words)?;
                self.ended = true;
            }
            Some("error") => bail!("the device stopped: {}", words.collect::<Vec<_>>().join(" ")),
            _ => bail!("the device said {line:?}"),
        }
        Ok(word == Some("step"))
    }
}

/// The mean over the steps with the ring filled with `window` others; `None` in a shorter run.
pub fn mean_with_full_ring(instructions: &[u64], window: usize) -> Option<u64> {
    let full = instructions.get(window..).filter(|steps| !steps.is_empty())?;
    Some(full.iter().sum::<u64>() / full.len() as u64)
}

fn decimal<T: std::str::FromStr>(words: &mut SplitAsciiWhitespace) -> anyhow::Result<T> {
    words.next().and_then(|word| word.parse().ok()).ok_or_else(|| anyhow!("a number is missing"))
}

fn hexadecimal(words: &mut SplitAsciiWhitespace) -> anyhow::Result<u32> {
    let word = words.next().ok_or_else(|| anyhow!("a number is missing"))?;
    u32::from_str_radix(word, 16).with_context(|| word.to_string())
}

/// Runs `run` on the target; the environment is in the image, or here where `run.apart`.
pub fn run(target: &Target, image: &Image, run: &Run, timeout: Duration) -> anyhow::Result<Report> {
    let (task, episodes, seed) = (run.task.to_string(), run.episodes.to_string(), run.seed.to_string());
    let mut request = match run.apart {
        false => vec!["simulate", run.environment.preset, &task, &episodes, &seed],
        true => vec!["feed", &seed],
    };
    request.extend(run.log.then_some("log"));
    let mut machine = Machine::start(target, &image.path, &request, timeout)?;
    let mut report = Report::default();
    if run.apart {
        feed(&mut machine, &mut report, run)?;
    }
    report.read_to_end(machine)?;
    if !report.ended {
        bail!("the image ended after {} steps", report.steps.len());
    }
    Ok(report)
}

/// Whether the device accepts its weights at start-up.
pub fn decodes(target: &Target, image: &Path, timeout: Duration) -> anyhow::Result<bool> {
    let mut machine = Machine::start(target, image, &["simulate", "dark-room", "0", "1", "0"], timeout)?;
    while let Some(line) = machine.line()? {
        match line.as_str() {
            "error decode" => return Ok(false),
            line if line.starts_with("kernels") => return Ok(true),
            _ => {}
        }
    }
    bail!("the image ended before it had decoded the model")
}

/// Measures the kernels on the target.
pub fn bench(target: &Target, image: &Image, timeout: Duration) -> anyhow::Result<Report> {
    let machine = Machine::start(target, &image.path, &["bench"], timeout)?;
    let mut report = Report::default();
    report.read_to_end(machine)?;
    Ok(report)
}

/// Plays the environment for a device that has none: sends observations, waits for actions, sends
/// what they bring.
fn feed(machine: &mut Machine, report: &mut Report, run: &Run) -> anyhow::Result<()> {
    let mut world = run.world()?;
    let mut unused = PortableRng::new(0, 0);
    let mut buffer = [0i32; MAX_OBSERVATION_WORDS];
    let interface = run.environment.family.interface();
    let observation = buffer.get_mut(..interface.observation_len()).context("the observation is too long")?;
    while world.observe(observation, &mut unused) {
        let mut frame = vec![OBSERVATION];
        observation_bytes(&interface, observation, |bytes| frame.extend(bytes));
        machine.send(&frame)?;
        let action = answer(machine, report)?;
        let transition = world.apply(action, observation, &mut unused);
        let mut frame = vec![FEEDBACK];
        frame.extend(transition.reward.to_le_bytes());
        frame.push(transition.done.into());
        if transition.done {
            observation_bytes(&interface, observation, |bytes| frame.extend(bytes));
        }
        machine.send(&frame)?;
    }
    machine.send(&[END])
}

/// The device's next action.
fn answer(machine: &mut Machine, report: &mut Report) -> anyhow::Result<usize> {
    while let Some(line) = machine.line()? {
        if report.read(&line).with_context(|| line)? {
            return report.steps.last().map(|step| step.action as usize).context("no step");
        }
    }
    bail!("the image ended while it was fed")
}
