//! The fused engine: loss and gradient of the whole network in one sweep over each sequence, as one operation on dfdx's tape.
//!
//! A worker takes one sequence at a time through all layers, forward and backward, so activations stay in its cache. The batch is cut
//! into a fixed number of chunks, each with its own gradient, which are added in a fixed order: the result
//! depends on neither the number of threads nor their timing.

mod attention;
mod elementwise;
mod network;
mod plan;
mod product;

use super::batch::Batch;
use super::masks::Masks;
use crate::model::{Dimensions, Parameters};
use algodistill_core::Interface;
use dfdx::prelude::{Cpu, Rank0, SplitTape, Tape, Tensor, TensorFromVec};
use network::Sequence;
use plan::{Plan, Weights, Workspace};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Parts of a batch with a gradient of their own: at most so many threads have work.
const CHUNKS: usize = 16;

/// How a batch's loss is computed.
#[derive(Clone, Copy, Debug, Default)]
pub struct LossOptions {
    /// Share of the target probability that is spread evenly over all actions.
    pub label_smoothing: f32,
    /// Dropout and token masking; none for validation.
    pub masks: Option<Masks>,
}

/// Loss and gradient on the CPU, with everything that is allocated once.
pub struct Engine {
    plan: Plan,
    weights: Weights,
    pool: rayon::ThreadPool,
    workspaces: Vec<Mutex<Workspace>>,
    chunks: Vec<Mutex<Chunk>>,
}

/// Sums over the sequences of a chunk.
struct Chunk {
    loss: f64,
    gradient: Vec<f32>,
}

impl Engine {
    /// An engine for one model on `threads` threads. The dimensions must have passed
    /// [`TrainConfig::validate`](super::TrainConfig::validate).
    pub fn new(dimensions: &Dimensions, interface: &Interface, threads: usize) -> crate::Result<Self> {
        let plan = Plan::new(dimensions, interface);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|e| crate::Error::argument("--threads", format!("{threads} threads: {e}")))?;
        let weights = Weights::new(&plan);
        let workspaces = (0..threads).map(|_| Mutex::default()).collect();
        let chunks = (0..CHUNKS).map(|_| Mutex::new(Chunk { loss: 0.0, gradient: Vec::new() })).collect();
        Ok(Self { plan, weights, pool, workspaces, chunks })
    }

    /// Mean cross-entropy over all tokens of the batch, for parameters in the order of [`crate::model::layout`].
    pub fn loss(&mut self, parameters: &[f32], batch: &Batch, options: &LossOptions) -> f32 {
        self.sweep(parameters, batch, options, None)
    }

    /// [`Engine::loss`], and its gradient in place of the content of `gradient`.
    pub fn loss_and_gradient(
        &mut self,
        parameters: &[f32],
        batch: &Batch,
        options: &LossOptions,
        gradient: &mut [f32],
    ) -> f32 {
        self.sweep(parameters, batch, options, Some(gradient))
    }

    fn sweep(
        &mut self,
        parameters: &[f32],
        batch: &Batch,
        options: &LossOptions,
        gradient: Option<&mut [f32]>,
    ) -> f32 {
        self.weights.set(&self.plan, parameters);
        let tokens = batch.targets.len();
        let scale = 1.0 / tokens.max(1) as f32;
        let count = batch.sequences.len();
        let next = AtomicUsize::new(0);
        let learns = gradient.is_some();
        let (plan, weights) = (&self.plan, &self.weights);
        self.pool.broadcast(|context| {
            let mut workspace = lock(&self.workspaces[context.index()]);
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(chunk) = self.chunks.get(index) else { break };
                let mut chunk = lock(chunk);
                chunk.loss = 0.0;
                chunk.gradient.clear();
                chunk.gradient.resize(if learns { plan.parameters } else { 0 }, 0.0);
                for number in index * count / CHUNKS..(index + 1) * count / CHUNKS {
                    let place = batch.sequences[number].clone();
                    let masks = options.masks.as_ref().map(|masks| masks.sequence(number));
                    let rows = &batch.rows[place.start * plan.tables..place.end * plan.tables];
                    let sequence = Sequence { rows, masks: masks.as_ref() };
                    network::forward(plan, weights, sequence, &mut workspace);
                    let targets = &batch.targets[place];
                    chunk.loss +=
                        network::loss(plan, targets, options.label_smoothing, scale, &mut workspace);
                    if learns {
                        network::backward(plan, weights, sequence, &mut workspace, &mut chunk.gradient);
                    }
                }
            }
        });
        let mut loss = 0.0;
        for chunk in &self.chunks {
            loss += lock(chunk).loss;
        }
        if let Some(gradient) = gradient {
            gradient.fill(0.0);
            for chunk in &self.chunks {
                elementwise::add(gradient, &lock(chunk).gradient);
            }
        }
        (loss / tokens.max(1) as f64) as f32
    }

    /// The loss as one operation on dfdx's tape: its backward puts the gradient of `parameters` in place.
    ///
    /// Forward and backward of a sequence run together, while its activations are in cache; the operation keeps the
    /// gradient until the tape asks for it.
    pub fn loss_on_tape<T: Tape<f32, Cpu>>(
        &mut self,
        parameters: Tensor<(usize,), f32, Cpu, T>,
        batch: &Batch,
        options: &LossOptions,
    ) -> Tensor<Rank0, f32, Cpu, T> {
        let (parameters, mut tape) = parameters.split_tape();
        let values = parameters.as_vec();
        let mut own = vec![0.0; if T::OWNS_TAPE { values.len() } else { 0 }];
        let loss = self.sweep(&values, batch, options, T::OWNS_TAPE.then_some(&mut own[..]));
        let output: Tensor<Rank0, f32, Cpu> = Cpu::default().tensor_from_vec(vec![loss], ());
        let (parameters, result) = (parameters.ghost(), output.ghost());
        tape.add_backward_op(move |gradients| {
            let factor = gradients.get_or_alloc_mut(&result)?[0];
            let gradient = gradients.get_or_alloc_mut(&parameters)?;
            for (gradient, own) in gradient.iter_mut().zip(&own) {
                *gradient += factor * own;
            }
            Ok(())
        });
        dfdx::prelude::PutTape::put_tape(output, tape)
    }
}

/// A poisoned lock only says that another worker panicked; its content is overwritten before it is read.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Logits `[tokens, actions]` of the full banded forward pass over a stream of any length, without dropout: what one
/// cached token at a time must reproduce.
pub fn forward_logits(parameters: &Parameters, tokens: &super::batch::Tokens) -> Vec<f32> {
    let plan = Plan::new(&parameters.dimensions, &parameters.interface);
    let mut weights = Weights::new(&plan);
    weights.set(&plan, &parameters.values);
    let mut workspace = Workspace::default();
    network::forward(&plan, &weights, Sequence { rows: tokens.rows(), masks: None }, &mut workspace);
    let rows = workspace.logits.chunks_exact(plan.actions_padded).take(tokens.len());
    rows.flat_map(|row| &row[..plan.actions]).copied().collect()
}
