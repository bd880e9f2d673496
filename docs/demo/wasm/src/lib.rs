//! What the demo page calls: an agent, a world, and the trace that proves the agent to be the
//! device's.
//!
//! The page makes one instance of this module for the world and another for the agent, so that it
//! can destroy the agent with all its memory and keep the world. Numbers go in and out as arguments
//! and results; bytes and texts go through buffers whose address the page asks for. There is one
//! thread, and the page writes into a buffer only between two calls. Of calls that may go wrong, -1
//! says that something was; [`text`] then says what.

mod player;
mod trace;
mod wish;
mod world;

use algodistill_core::interface::MAX_OBSERVATION_WORDS;
use player::Player;
use std::cell::RefCell;
use world::World;

/// All there is.
struct Page {
    /// What the page hands in, and the bytes it gets.
    bytes: Vec<u8>,
    /// What is said: JSON, or what was wrong.
    text: String,
    /// What the world shows and the agent sees; its place never changes.
    observation: Box<[i32; MAX_OBSERVATION_WORDS]>,
    /// What a person sees of the world.
    view: Vec<f32>,
    player: Option<Player>,
    world: Option<World>,
}

thread_local! {
    static PAGE: RefCell<Page> = RefCell::new(Page {
        bytes: Vec::new(),
        text: String::new(),
        observation: Box::new([0; MAX_OBSERVATION_WORDS]),
        view: Vec::new(),
        player: None,
        world: None,
    });
}

/// What goes wrong, in words.
type Answer = Result<i32, String>;

fn with<T>(call: impl FnOnce(&mut Page) -> T) -> T {
    PAGE.with_borrow_mut(call)
}

/// A call that may go wrong.
fn attempt(call: impl FnOnce(&mut Page) -> Answer) -> i32 {
    with(|page| match call(page) {
        Ok(number) => number,
        Err(problem) => {
            page.text = problem;
            -1
        }
    })
}

impl Page {
    fn player(&mut self) -> Result<&mut Player, String> {
        self.player.as_mut().ok_or_else(|| "there is no agent".into())
    }

    fn world(&mut self) -> Result<&mut World, String> {
        self.world.as_mut().ok_or_else(|| "there is no world".into())
    }
}

/// Room for `len` bytes.
#[no_mangle]
pub extern "C" fn buffer(len: usize) -> *mut u8 {
    with(|page| {
        page.bytes.resize(len, 0);
        page.bytes.as_mut_ptr()
    })
}

/// Where the text is.
#[no_mangle]
pub extern "C" fn text() -> *const u8 {
    with(|page| page.text.as_ptr())
}

/// Bytes of the text.
#[no_mangle]
pub extern "C" fn text_len() -> usize {
    with(|page| page.text.len())
}

/// Where the observation is.
#[no_mangle]
pub extern "C" fn observation() -> *mut i32 {
    with(|page| page.observation.as_mut_ptr())
}

/// Starts an agent with the model in the buffer and an empty context. The text says what it is.
#[no_mangle]
pub extern "C" fn start_agent(seed: u32) -> i32 {
    attempt(|page| {
        let player = Player::new(page.bytes.clone(), seed)?;
        page.text = player.describe();
        page.player = Some(player);
        Ok(0)
    })
}

/// The action that the agent takes on the observation.
#[no_mangle]
pub extern "C" fn act() -> i32 {
    attempt(|page| {
        let observation = *page.observation;
        page.player()?.act(&observation)
    })
}

/// What the action brought; where the episode ended, the observation is the last one of it.
#[no_mangle]
pub extern "C" fn feedback(reward: f32, ended: i32) -> i32 {
    attempt(|page| {
        let observation = *page.observation;
        page.player()?.feedback(reward, (ended != 0).then_some(&observation[..]))
    })
}

/// Probability of each action in the last step, into the view; the result is how many there are.
#[no_mangle]
pub extern "C" fn probabilities() -> i32 {
    attempt(|page| {
        let probabilities = page.player()?.probabilities();
        page.view = probabilities;
        Ok(page.view.len() as i32)
    })
}

/// How actions are drawn; 0 is the most likely one.
#[no_mangle]
pub extern "C" fn set_temperature(temperature: f32) -> i32 {
    attempt(|page| page.player()?.set_temperature(temperature))
}

/// Empties the context.
#[no_mangle]
pub extern "C" fn forget() -> i32 {
    attempt(|page| page.player()?.forget())
}

/// Puts context and generator into the buffer; the result is their length.
#[no_mangle]
pub extern "C" fn snapshot() -> i32 {
    attempt(|page| {
        page.bytes = page.player()?.snapshot()?;
        Ok(page.bytes.len() as i32)
    })
}

/// Takes context and generator from the buffer.
#[no_mangle]
pub extern "C" fn restore() -> i32 {
    attempt(|page| {
        let bytes = std::mem::take(&mut page.bytes);
        page.player()?.restore(&bytes)
    })
}

/// Makes the world whose preset's name is in the buffer, with its task 0. The text says what it is.
#[no_mangle]
pub extern "C" fn open_world(seed: u32) -> i32 {
    attempt(|page| {
        let world = World::open(&page.bytes, seed)?;
        page.text = world.describe();
        page.world = Some(world);
        Ok(0)
    })
}

/// Takes up the task with this number.
#[no_mangle]
pub extern "C" fn set_task(number: u32) -> i32 {
    attempt(|page| page.world()?.set_task(number))
}

/// Takes up the task that comes nearest to the wish, numbers (f32) in the buffer. The result is the
/// task's number, or -2 for a task without one.
#[no_mangle]
pub extern "C" fn wish() -> i32 {
    attempt(|page| {
        let (words, _) = page.bytes.as_chunks::<4>();
        let wish: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
        page.world()?.grant(&wish)
    })
}

/// The tasks that a model's training left out, into the view; the result is how many there are.
#[no_mangle]
pub extern "C" fn held_out(split_seed: u32, count: usize) -> i32 {
    attempt(|page| {
        page.view = page.world()?.held_out(split_seed, count);
        Ok(page.view.len() as i32)
    })
}

/// Begins an episode and shows it.
#[no_mangle]
pub extern "C" fn begin() -> i32 {
    attempt(|page| {
        page.world()?.begin();
        show(page)
    })
}

/// Takes a step and shows where it led: 1 where it ended the episode, else 0.
#[no_mangle]
pub extern "C" fn step(action: usize) -> i32 {
    attempt(|page| {
        let done = page.world()?.step(action);
        show(page)?;
        Ok(i32::from(done))
    })
}

/// Reward of the last step.
#[no_mangle]
pub extern "C" fn reward() -> f32 {
    with(|page| page.world.as_ref().map_or(0.0, World::reward))
}

/// What a person sees of the world, as [`world::World::view`] says; the result is how many numbers.
#[no_mangle]
pub extern "C" fn look() -> i32 {
    attempt(|page| {
        page.view = page.world()?.view();
        Ok(page.view.len() as i32)
    })
}

/// Where the view is.
#[no_mangle]
pub extern "C" fn view() -> *const f32 {
    with(|page| page.view.as_ptr())
}

/// Mean return of so many episodes of random actions. The world stays as it is.
#[no_mangle]
pub extern "C" fn random_return(episodes: u32) -> f64 {
    with(|page| page.world.as_ref().map_or(f64::NAN, |world| world.random_return(episodes)))
}

/// Runs the agent's model in the world whose name is in the buffer as the firmware's runner does,
/// with a new agent. The text is the trace.
#[no_mangle]
pub extern "C" fn trace(task: u32, episodes: u32, seed: u32) -> i32 {
    attempt(|page| {
        let world = World::open(&page.bytes, 0)?;
        page.text = trace::run(page.player()?.model(), world.family(), task, episodes, seed)?;
        Ok(0)
    })
}

fn show(page: &mut Page) -> Answer {
    let Page { world, observation, .. } = page;
    if let Some(world) = world {
        world.observe(&mut observation[..]);
    }
    Ok(0)
}
