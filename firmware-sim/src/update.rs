//! A model replaced by another in two slots of flash (`examples/ab-update`), with the power cut at
//! every operation of the flash.

use crate::flash::{FlashError, Shape, SimulatedFlash, Supply};
use ab_update::{start, Mismatch, Requirements, Start, UpdateError, Updater};
use algodistill_core::interface::MAX_CHANNELS;
use algodistill_core::{Agent, Channel, Error, Model, PortableRng};
use anyhow::{anyhow, bail, ensure, Context};
use serde_json::{json, Value};

/// What the cuts came to.
#[derive(Clone, Copy, Default)]
pub struct Cuts {
    /// Pages erased and units programmed by the updates that were not cut.
    pub operations: usize,
    /// Updates in which the power failed: before every operation, and in the midst of it.
    pub power_cuts: usize,
    /// After so many of them the old model ran, with its context.
    pub old_model: usize,
    /// After the others the new one ran, with an empty context: the snapshot of the old one was refused.
    pub new_model: usize,
    /// Damaged, foreign, incomplete and too large models that were refused, with the old one at work.
    pub refused: usize,
}

impl Cuts {
    /// For a person.
    pub fn text(&self, Shape { page, unit }: Shape) -> String {
        let Self { operations, power_cuts, old_model, new_model, refused } = self;
        format!(
            "  model update, to a model with random weights and back: {operations} pages of {page} bytes erased or \
             units of {unit} programmed,\n    the power cut before each and in the midst of it, {power_cuts} times: \
             the old model ran after {old_model}, the new one after {new_model}, and every update was completed; \
             {refused} wrong models refused"
        )
    }

    /// For a program.
    pub fn json(&self, Shape { page, unit }: Shape) -> Value {
        json!({
            "flash_page_bytes": page,
            "flash_unit_bytes": unit,
            "flash_operations": self.operations,
            "power_cuts": self.power_cuts,
            "old_model_after": self.old_model,
            "new_model_after": self.new_model,
            "wrong_models_refused": self.refused,
        })
    }
}

type Slots = [SimulatedFlash; 2];

/// Replaces model `one` by `other`, and that by `one` again, so that either slot is written while the
/// other runs. Every update is cut at every operation and then made once more.
pub fn cuts(one: &[u8], other: &[u8], shape: Shape, seed: u64) -> anyhow::Result<Cuts> {
    let model = Model::decode(one)?;
    let interface = model.interface();
    let requirements = Requirements {
        channels: &interface.channels,
        actions: interface.actions,
        environment: None,
        workspace_words: model.workspace_words().max(Model::decode(other)?.workspace_words()),
    };
    let mut rng = PortableRng::new(seed, STREAM);
    let length = one.len().max(other.len());
    let empty = [(); 2].map(|()| SimulatedFlash::new(shape, length, &mut rng));
    let mut device = Device { slots: empty, requirements, seed, cuts: Cuts::default() };
    ensure!(device.running()?.is_none(), "a model was found in flash that nobody wrote to");
    device.slots = device.updated(device.slots.clone(), one)?;
    for (old, new) in [(one, other), (other, one)] {
        let update = Update::new(old, new)?;
        device.refuse(&update)?;
        ensure!(
            device.running()? == Some(update.old_crc),
            "after refused updates the old model does not run"
        );
        device.cut_everywhere(&update)?;
        device.age(&update)?;
    }
    Ok(device.cuts)
}

/// Of the generator: beside those of the world, the agent, the sensor and the task.
const STREAM: u64 = 4;

/// Bytes that a link brings at once: whole units of any flash.
const CHUNK: usize = 1024;

/// A model that takes the place of another.
struct Update<'m> {
    new: &'m [u8],
    old_crc: u32,
    new_crc: u32,
    /// Of the old model, with an action that waits for its feedback.
    snapshot: Vec<u8>,
}

impl<'m> Update<'m> {
    fn new(old: &[u8], new: &'m [u8]) -> anyhow::Result<Self> {
        let model = Model::decode(old)?;
        let (old_crc, new_crc) = (model.crc(), Model::decode(new)?.crc());
        ensure!(old_crc != new_crc, "the new model is the old one");
        let mut memory = vec![0; model.workspace_words()];
        let mut agent = Agent::new(model, &mut memory)?;
        agent.demonstrate(&vec![0; agent.model().interface().observation_len()], 0)?;
        let mut snapshot = vec![0; agent.snapshot_len()];
        agent.snapshot(&mut snapshot)?;
        Ok(Self { new, old_crc, new_crc, snapshot })
    }

    /// Whether `model` is the new one, of which the context of the old one must be refused; of the old
    /// one it must be accepted.
    fn is_new(&self, model: Model) -> anyhow::Result<bool> {
        let Self { old_crc, new_crc, .. } = *self;
        let crc = model.crc();
        let mut memory = vec![0; model.workspace_words()];
        let mut agent = Agent::new(model, &mut memory)?;
        let (restored, feedback) = (agent.restore(&self.snapshot), agent.feedback(0.0, None));
        let refused = Error::SnapshotModel { snapshot: old_crc, model: new_crc };
        match (restored, feedback) {
            (Ok(()), Ok(())) if crc == old_crc => Ok(false),
            // Refused, and the context is empty: no action waits for feedback.
            (Err(error), Err(Error::FeedbackUnexpected)) if crc == new_crc && error == refused => Ok(true),
            outcome => bail!("model {crc:08x} runs, and the snapshot of {old_crc:08x} gives {outcome:?}"),
        }
    }
}

struct Device<'m> {
    slots: Slots,
    requirements: Requirements<'m>,
    seed: u64,
    cuts: Cuts,
}

impl Device<'_> {
    /// The power fails before and in every operation; the new model is at work in the end.
    fn cut_everywhere(&mut self, update: &Update) -> anyhow::Result<()> {
        let mut begun = self.slots.clone();
        start(&mut begun, &self.requirements).updater.begin(update.new.len()).map_err(failed)?;
        let done = self.updated(self.slots.clone(), update.new)?;
        for operation in 0.. {
            for torn in [false, true] {
                let supply = match torn {
                    true => Supply::Torn(operation, PortableRng::new(self.seed ^ operation as u64, STREAM)),
                    false => Supply::Cut(operation),
                };
                let mut slots = self.slots.clone().map(|slot| slot.with_supply(supply.clone()));
                let complete = match self.update(&mut slots, update.new) {
                    Err(UpdateError::Flash(FlashError::PowerCut)) => false,
                    Err(error) => return Err(failed(error)),
                    // The power fails after it.
                    Ok(()) => true,
                };
                self.cuts.power_cuts += 1;
                let slots = slots.map(|slot| slot.with_supply(Supply::Steady));
                self.restarted(slots, update, &begun)
                    .with_context(|| format!("after a power cut at operation {operation} (torn: {torn})"))?;
                if complete {
                    self.cuts.operations += operation;
                    self.slots = done;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// What a device finds after a power cut, and that the update can be made there. `begun` are the
    /// slots after an update that was not cut has erased.
    fn restarted(&mut self, mut slots: Slots, update: &Update, begun: &Slots) -> anyhow::Result<()> {
        let Start { running, mut updater } = start(&mut slots, &self.requirements);
        let model = running.context("no slot holds a valid model")?;
        if update.is_new(model)? {
            self.cuts.new_model += 1;
        } else {
            self.cuts.old_model += 1;
        }
        updater.begin(update.new.len()).map_err(failed)?;
        // The same flash and the same model at work: all that follows is the update that was not cut.
        if slots.iter().zip(begun).all(|(slot, begun)| slot.is_like(begun)) {
            return Ok(());
        }
        let mut slots = self.updated(slots, update.new)?;
        let running = start(&mut slots, &self.requirements).running.context("no model after the update")?;
        ensure!(running.crc() == update.new_crc, "the update did not replace the model");
        Ok(())
    }

    /// Models that are refused, each for its reason, while the old one goes on.
    fn refuse(&mut self, update: &Update) -> anyhow::Result<()> {
        let (new, needed) = (update.new, self.requirements);
        let mut damaged = new.to_vec();
        damaged[new.len() / 2] ^= 1;
        let blind = Requirements { channels: &[Channel::Vector { size: 1 }; MAX_CHANNELS], ..needed };
        let elsewhere = Requirements { environment: Some("elsewhere"), ..needed };
        let other_actions = Requirements { actions: needed.actions + 1, ..needed };
        let smaller = Requirements { workspace_words: 1, ..needed };
        let found = [
            self.refused(new.len(), &damaged, &needed),
            self.refused(new.len(), &new[..CHUNK], &needed),
            self.refused(new.len(), new, &blind),
            self.refused(new.len(), new, &elsewhere),
            self.refused(new.len(), new, &other_actions),
            self.refused(new.len(), new, &smaller),
            self.refused(usize::MAX, new, &needed),
        ];
        let reasons = [
            matches!(found[0], Err(UpdateError::Model(Error::Checksum))),
            matches!(found[1], Err(UpdateError::Length { .. })),
            matches!(found[2], Err(UpdateError::Mismatch(Mismatch::Channels))),
            matches!(found[3], Err(UpdateError::Mismatch(Mismatch::Environment))),
            matches!(found[4], Err(UpdateError::Mismatch(Mismatch::Actions { .. }))),
            matches!(found[5], Err(UpdateError::Mismatch(Mismatch::Workspace { .. }))),
            matches!(found[6], Err(UpdateError::Room { .. })),
        ];
        ensure!(reasons == [true; 7], "wrong models were not refused for their reasons: {found:?}");
        self.cuts.refused += found.len();
        Ok(())
    }

    /// A bit of either slot flips: the other one runs, the old model too.
    fn age(&self, update: &Update) -> anyhow::Result<()> {
        let mut found = Vec::new();
        for slot in 0..2 {
            let mut slots = self.slots.clone();
            slots[slot].age();
            found.extend(start(&mut slots, &self.requirements).running.map(|model| model.crc()));
        }
        found.sort_by_key(|crc| *crc == update.new_crc);
        ensure!(found == [update.old_crc, update.new_crc], "a damaged slot leaves models {found:x?}");
        Ok(())
    }

    /// An update in a firmware that asks for `requirements`.
    fn refused(
        &mut self,
        length: usize,
        sent: &[u8],
        requirements: &Requirements,
    ) -> Result<(), UpdateError<FlashError>> {
        let mut updater = start(&mut self.slots, &self.requirements).updater;
        transfer(&mut updater, length, sent, requirements)
    }

    /// Slots in which an update was made, and is what runs.
    fn updated(&self, mut slots: Slots, new: &[u8]) -> anyhow::Result<Slots> {
        self.update(&mut slots, new).map_err(failed)?;
        Ok(slots)
    }

    /// An update, in chunks as a link brings them.
    fn update(&self, slots: &mut Slots, new: &[u8]) -> Result<(), UpdateError<FlashError>> {
        transfer(&mut start(slots, &self.requirements).updater, new.len(), new, &self.requirements)
    }

    /// CRC-32 of the model at work.
    fn running(&mut self) -> anyhow::Result<Option<u32>> {
        Ok(start(&mut self.slots, &self.requirements).running.map(|model| model.crc()))
    }
}

/// A model of `length` bytes over a link that brings `sent`.
fn transfer(
    updater: &mut Updater<SimulatedFlash>,
    length: usize,
    sent: &[u8],
    requirements: &Requirements,
) -> Result<(), UpdateError<FlashError>> {
    let mut update = updater.begin(length)?;
    for chunk in sent.chunks(CHUNK) {
        update.write(chunk)?;
    }
    update.finish(requirements)
}

fn failed(error: UpdateError<FlashError>) -> anyhow::Error {
    anyhow!("the update failed without a power cut: {error:?}")
}
