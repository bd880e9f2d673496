//! What the device does.

#[cfg(feature = "brown-outs")]
use crate::brown_outs;
use crate::console::Console;
use crate::log::Log;
#[cfg(feature = "profile")]
use crate::profile;
use crate::{counter, semihosting, stack};
use algodistill_core::env::{AnyFamily, AnyTask};
use algodistill_core::log::About;
use algodistill_core::{workspace_words, Agent, Dimensions, Interface, Model, PortableRng, Transition};
use core::ptr::addr_of_mut;
use crc::{Digest, Table};
use firmware_session::link::{logits_crc, word_lens, Line, Seen, CRC, END, FEEDBACK, OBSERVATION};
use firmware_session::request::Request;
use firmware_session::session::{self, Monitor, Simulated, World, AGENT_STREAM};

/// Tensors are read in words.
#[repr(C, align(16))]
pub struct Aligned<T: ?Sized>(pub T);

/// The weights file, in flash.
pub static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!(env!("ALGODISTILL_MODEL")));

/// A model that is damaged in its header does not compile; one that is too big for the chip does
/// not link.
const WORDS: usize = workspace_words(&MODEL.0).unwrap();
static mut WORKSPACE: [u32; WORDS] = [0; WORDS];

const OBSERVATION_WORDS: usize = Dimensions::read(&MODEL.0).unwrap().max_observation_words();
static mut SEEN: [i32; OBSERVATION_WORDS] = [0; OBSERVATION_WORDS];

/// Runs what the host asks for; the stage that failed otherwise.
///
/// What is large is looked at where it was made, and every part has a function of its own: a value
/// that is moved takes the stack twice, and what the compiler puts into one function lies side by side.
pub fn run(mut console: Console) -> Result<(), &'static str> {
    let request = request().ok_or("request")?;
    calibrate(&mut console);
    stack::paint();
    match &mut agent() {
        Ok(agent) => serve(&request, agent, console),
        Err(stage) => Err(*stage),
    }
}

#[inline(never)]
fn request() -> Option<Request> {
    let mut buffer = [0; 96];
    semihosting::command_line(&mut buffer)?;
    Request::parse(&buffer)
}

#[inline(never)]
fn calibrate(console: &mut Console) {
    counter::start();
    let (instructions, ticks) = counter::calibrate();
    console.send(Line::new("calibration").number(instructions).number(ticks));
}

#[inline(never)]
fn agent() -> Result<Agent<'static>, &'static str> {
    let model = Model::decode(&MODEL.0).map_err(|_| "decode")?;
    // SAFETY: the only reference to the workspace, made once.
    let workspace = unsafe { &mut *addr_of_mut!(WORKSPACE) };
    Agent::new(model, workspace).map_err(|_| "workspace")
}

#[inline(never)]
fn serve(request: &Request, agent: &mut Agent, mut console: Console) -> Result<(), &'static str> {
    started(agent, &mut console);
    if stack::is_exhausted() {
        return Err("stack: too little of it to decode the model");
    }
    stack::paint();
    let about = request.log_of(agent.model().crc());
    match request {
        Request::Simulate { environment, task, episodes, seed, .. } => {
            let rng = PortableRng::new(*seed, 0);
            match &mut simulated(environment, *task, *episodes) {
                Some(world) => steps(agent, world, rng, console, about),
                None => Err("task"),
            }
        }
        Request::Feed { seed, .. } => fed(agent, PortableRng::new(*seed, AGENT_STREAM), console, about),
        #[cfg(feature = "bench")]
        Request::Bench => crate::bench::run(&MODEL.0, &mut console).ok_or("bench"),
        #[cfg(not(feature = "bench"))]
        Request::Bench => Err("bench: not in this image"),
    }
}

#[inline(never)]
fn started(agent: &Agent, console: &mut Console) {
    console.send(Line::new("kernels").word(agent.kernels().name()));
    console.send(Line::new("stack").word("start-up").number(stack::high_water_mark()));
}

#[inline(never)]
fn fed(
    agent: &mut Agent,
    rng: PortableRng,
    console: Console,
    about: Option<About<'static>>,
) -> Result<(), &'static str> {
    let interface = agent.model().interface().clone();
    steps(agent, &mut Fed { console, interface }, rng, console, about)
}

#[inline(never)]
fn simulated(environment: &AnyFamily, task: u32, episodes: u32) -> Option<Simulated<AnyTask>> {
    Some(Simulated::new(environment.task(task)?, episodes))
}

#[inline(never)]
fn steps(
    agent: &mut Agent,
    world: &mut impl World,
    mut rng: PortableRng,
    console: Console,
    about: Option<About<'static>>,
) -> Result<(), &'static str> {
    let mut report = Report::new(console, about);
    // SAFETY: the only reference to the observation, made once.
    let buffer = unsafe { &mut *addr_of_mut!(SEEN) };
    session::run(agent, world, &mut rng, &mut report, buffer).map_err(|_| "act")?;
    if stack::is_exhausted() {
        return Err("stack: too little of it to act");
    }
    report.finish()
}

/// Measures every step and sends it.
struct Report {
    console: Console,
    begin: u32,
    observe_ticks: u32,
    encode_ticks: u32,
    steps: u32,
    total_return: f32,
    actions: Digest<'static, u32, Table<1>>,
    logits: Digest<'static, u32, Table<1>>,
    seen: Seen,
    log: Option<Log>,
    #[cfg(feature = "profile")]
    profile: profile::Profile,
    #[cfg(feature = "brown-outs")]
    brown_outs: Result<(), algodistill_core::Error>,
}

impl Report {
    fn new(console: Console, about: Option<About<'static>>) -> Self {
        let digest = || CRC.digest();
        Self {
            console,
            begin: 0,
            observe_ticks: 0,
            encode_ticks: 0,
            steps: 0,
            total_return: 0.0,
            actions: digest(),
            logits: digest(),
            seen: Seen::nothing(),
            log: about.map(|about| Log::new(console, about)),
            #[cfg(feature = "profile")]
            profile: profile::Profile::new(),
            #[cfg(feature = "brown-outs")]
            brown_outs: Ok(()),
        }
    }

    fn finish(mut self) -> Result<(), &'static str> {
        self.log.as_ref().map_or(Ok(()), Log::outcome).map_err(|_| "log")?;
        #[cfg(feature = "brown-outs")]
        self.brown_outs.map_err(|_| "brown-outs")?;
        #[cfg(feature = "profile")]
        self.profile.send(&mut self.console);
        self.console.send(Line::new("stack").word("act").number(stack::high_water_mark()));
        let mut line = Line::new("end");
        line.number(self.steps).hex(self.total_return.to_bits());
        line.hex(self.actions.finalize()).hex(self.logits.finalize()).hex(self.seen.crc());
        self.console.send(&mut line);
        Ok(())
    }
}

impl Monitor for Report {
    fn observing(&mut self) {
        self.begin = counter::now();
    }

    fn observed(&mut self, agent: &mut Agent, observation: &[i32]) {
        self.observe_ticks = counter::elapsed(self.begin);
        #[cfg(feature = "brown-outs")]
        if self.brown_outs.is_ok() {
            self.brown_outs = brown_outs::lose_power(agent, observation);
        }
        self.seen.add(agent.model().interface(), observation);
        let begin = counter::now();
        // `act` will say what is wrong with it.
        let _ = agent.encode(observation);
        self.encode_ticks = counter::elapsed(begin);
        self.begin = counter::now();
    }

    #[cfg(feature = "profile")]
    fn act(
        &mut self,
        agent: &mut Agent,
        observation: &[i32],
        rng: &mut PortableRng,
    ) -> Result<usize, algodistill_core::Error> {
        self.profile.act(agent, observation, rng)
    }

    fn acted(&mut self, agent: &Agent, observation: &[i32], action: usize) {
        let ticks = counter::elapsed(self.begin);
        let logits = agent.logits();
        self.actions.update(&[action as u8]);
        for logit in logits {
            self.logits.update(&logit.to_le_bytes());
        }
        let mut line = Line::new("step");
        line.number(self.steps).number(action as u32).hex(logits_crc(logits)).hex(self.seen.crc());
        line.number(ticks).number(self.observe_ticks).number(self.encode_ticks);
        self.console.send(&mut line);
        if let Some(log) = &mut self.log {
            log.acted(agent.model().interface(), observation, action);
        }
    }

    fn fed_back(&mut self, interface: &Interface, transition: Transition, seen: Option<&[i32]>) {
        self.steps += 1;
        self.total_return += transition.reward;
        if let Some(seen) = seen {
            self.seen.add(interface, seen);
        }
        if let Some(log) = &mut self.log {
            log.fed_back(interface, transition.reward, seen);
        }
    }
}

/// The world at the other end of the link. A link that breaks ends the run.
struct Fed {
    console: Console,
    interface: Interface,
}

impl Fed {
    /// Whether all of the observation came.
    fn receive(&mut self, observation: &mut [i32]) -> bool {
        let lens = self.interface.channels.iter().flat_map(word_lens);
        observation.iter_mut().zip(lens).all(|(word, len)| {
            let mut bytes = [0; 4];
            let received = bytes.get_mut(..len).and_then(|part| self.console.receive(part));
            *word = i32::from_le_bytes(bytes);
            received.is_some()
        })
    }
}

impl World for Fed {
    fn observe(&mut self, observation: &mut [i32], _rng: &mut PortableRng) -> bool {
        let mut kind = [END];
        self.console.receive(&mut kind).is_some() && kind == [OBSERVATION] && self.receive(observation)
    }

    fn apply(&mut self, _action: usize, observation: &mut [i32], _rng: &mut PortableRng) -> Transition {
        // A reward that the agent refuses.
        const BROKEN: Transition = Transition { reward: f32::NAN, done: true };
        let mut frame = [0; 6];
        let received = self.console.receive(&mut frame).is_some();
        let [kind, a, b, c, d, done] = frame;
        if !received || kind != FEEDBACK || done != 0 && !self.receive(observation) {
            return BROKEN;
        }
        Transition { reward: f32::from_le_bytes([a, b, c, d]), done: done != 0 }
    }
}
