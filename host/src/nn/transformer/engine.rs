//! The fused engine: loss and gradient of the whole network in one sweep over each sequence, as one
//! operation on dfdx's tape.
//!
//! A worker takes one sequence at a time through all layers, forward and backward, so activations
//! stay in its cache. Gradients are added up along a binary tree over the sequences of the batch
//! ([`crate::nn::parts`]): the result depends on neither the number of threads nor their timing.

use super::loss::{Loss, Passed, Targets};
use super::network::{self, Sequence};
use super::plan::{Plan, Weights, Workspace};
use super::{Batch, LossOptions};
use crate::model::{Dimensions, Parameters, Tokens};
use crate::nn::kernels::elementwise::{add, scale};
use crate::nn::kernels::{zeros, Buffer};
use crate::nn::parts::halves;
use crate::nn::{tape, Masks};
use algodistill_core::Interface;
use dfdx::prelude::{Cpu, Tape};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sequences whose gradients are added up in one buffer: a second one costs less than another
/// buffer to clear and to add.
const LEAF: usize = 2;

/// Loss and gradient on the CPU, with everything that is allocated once.
pub struct Engine {
    plan: Plan,
    weights: Weights,
    pool: rayon::ThreadPool,
    /// One per thread.
    workspaces: Vec<Mutex<Workspace>>,
    /// Gradients that no node of the tree uses now.
    spare: Mutex<Vec<Buffer>>,
}

/// What the sequences of a batch have in common.
struct Sweep<'a, L> {
    batch: &'a Batch,
    loss: &'a L,
    masks: Option<&'a Masks>,
    /// The loss's own parameters.
    own: &'a [f32],
    differentiates: bool,
}

/// The sums over the sequences of a node of the tree.
struct Sums<S> {
    loss: S,
    gradient: Option<Buffer>,
}

impl Engine {
    /// An engine for one model on `threads` threads. The dimensions must have passed
    /// [`Dimensions::validate`].
    pub fn new(dimensions: &Dimensions, interface: &Interface, threads: usize) -> crate::Result<Self> {
        let plan = Plan::new(dimensions, interface);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|e| crate::Error::argument("threads", format!("{threads} threads: {e}")))?;
        let weights = Weights::new(&plan);
        let workspaces = (0..threads).map(|_| Mutex::new(Workspace::new(&plan, 0))).collect();
        Ok(Self { plan, weights, pool, workspaces, spare: Mutex::default() })
    }

    /// Mean loss over all tokens of the batch that have a target, for parameters in the
    /// order of [`crate::model::layout`].
    pub fn loss(&mut self, parameters: &[f32], batch: &Batch, options: &LossOptions) -> f32 {
        let sum = self.sum(parameters, batch, options);
        (sum / batch.target_count().max(1) as f64) as f32
    }

    /// [`Engine::loss`], and its gradient in place of the content of `gradient`.
    pub fn loss_and_gradient(
        &mut self,
        parameters: &[f32],
        batch: &Batch,
        options: &LossOptions,
        gradient: &mut [f32],
    ) -> f32 {
        let sum = self.sum_and_gradient(parameters, batch, options, gradient);
        let tokens = batch.target_count().max(1);
        scale(gradient, 1.0 / tokens as f32);
        (sum / tokens as f64) as f32
    }

    /// Sum of the loss over all tokens of the batch that have a target.
    pub fn sum(&mut self, parameters: &[f32], batch: &Batch, options: &LossOptions) -> f64 {
        let loss = Targets { batch, options, actions: self.plan.actions };
        self.sweep(parameters, batch, &loss, options.masks.as_ref(), false).loss
    }

    /// [`Engine::sum`], and its gradient in place of the content of `gradient`.
    pub fn sum_and_gradient(
        &mut self,
        parameters: &[f32],
        batch: &Batch,
        options: &LossOptions,
        gradient: &mut [f32],
    ) -> f64 {
        let loss = Targets { batch, options, actions: self.plan.actions };
        self.sums_and_gradient(parameters, batch, &loss, options.masks.as_ref(), gradient)
    }

    /// The sums of any loss over the sequences of the batch, and the gradient in place of the
    /// content of `gradient`. The loss's own parameters lie behind those of the model in both.
    pub fn sums_and_gradient<L: Loss>(
        &mut self,
        parameters: &[f32],
        batch: &Batch,
        loss: &L,
        masks: Option<&Masks>,
        gradient: &mut [f32],
    ) -> L::Sums {
        let sums = self.sweep(parameters, batch, loss, masks, true);
        match sums.gradient {
            Some(sum) => {
                gradient.copy_from_slice(&sum);
                lock(&self.spare).push(sum);
            }
            None => gradient.fill(0.0),
        }
        sums.loss
    }

    /// Runs `body` on the engine's threads.
    pub fn install<R: Send>(&self, body: impl FnOnce() -> R + Send) -> R {
        self.pool.install(body)
    }

    /// Logits of all tokens of the batch, `[tokens, actions]`, without masks.
    pub fn logits(&mut self, parameters: &[f32], batch: &Batch) -> Vec<f32> {
        self.weights.set(&self.plan, parameters);
        let (plan, weights) = (&self.plan, &self.weights);
        let of_sequence = |place: &Range<usize>| -> Vec<f32> {
            let mut workspace = lock(&self.workspaces[rayon::current_thread_index().unwrap_or(0)]);
            let sequence = Sequence { inputs: batch.inputs.part(place.clone()), masks: None };
            network::forward(plan, weights, sequence, &mut workspace);
            workspace_logits(plan, &workspace, place.len()).collect()
        };
        let sequences = self.pool.install(|| batch.sequences.par_iter().map(of_sequence).collect::<Vec<_>>());
        sequences.concat()
    }

    fn sweep<L: Loss>(
        &mut self,
        parameters: &[f32],
        batch: &Batch,
        loss: &L,
        masks: Option<&Masks>,
        differentiates: bool,
    ) -> Sums<L::Sums> {
        let (values, own) = parameters.split_at(self.plan.parameters);
        debug_assert_eq!(own.len(), loss.own_parameters());
        self.weights.set(&self.plan, values);
        let sweep = Sweep { batch, loss, masks, own, differentiates };
        self.pool.install(|| self.node(&sweep, 0..batch.sequences.len()))
    }

    /// The sums of a node of the tree: those of its children, which any two threads may compute.
    fn node<L: Loss>(&self, sweep: &Sweep<L>, sequences: Range<usize>) -> Sums<L::Sums> {
        if sequences.len() <= LEAF {
            return self.leaf(sweep, sequences);
        }
        let (left, right) = halves(sequences);
        let (mut sums, other) = rayon::join(|| self.node(sweep, left), || self.node(sweep, right));
        sums.loss += other.loss;
        if let (Some(gradient), Some(other)) = (&mut sums.gradient, other.gradient) {
            add(gradient, &other);
            lock(&self.spare).push(other);
        }
        sums
    }

    fn leaf<L: Loss>(&self, sweep: &Sweep<L>, sequences: Range<usize>) -> Sums<L::Sums> {
        let (plan, weights) = (&self.plan, &self.weights);
        let mut workspace = lock(&self.workspaces[rayon::current_thread_index().unwrap_or(0)]);
        let mut gradient = sweep.differentiates.then(|| self.cleared(plan.parameters + sweep.own.len()));
        let mut sums = L::Sums::default();
        for number in sequences {
            let tokens = sweep.batch.sequences[number].clone();
            let masks = sweep.masks.map(|masks| masks.sequence(sweep.batch.first_sequence + number));
            let sequence =
                Sequence { inputs: sweep.batch.inputs.part(tokens.clone()), masks: masks.as_ref() };
            network::forward(plan, weights, sequence.clone(), &mut workspace);
            let wide = tokens.len() * plan.dimensions.d_model;
            let w = &mut *workspace;
            sums += sweep.loss.of_sequence(Passed {
                hidden: &w.normed.values[..wide],
                hidden_gradient: &mut w.hidden_gradient[..wide],
                logits: &mut w.logits[..tokens.len() * plan.actions_padded],
                stride: plan.actions_padded,
                own: sweep.own,
                own_gradient: gradient.as_mut().map(|gradient| &mut gradient[plan.parameters..]),
                tokens,
            });
            if let Some(gradient) = &mut gradient {
                let gradient = &mut gradient[..plan.parameters];
                network::backward(plan, weights, sequence, L::READS_HIDDEN, w, gradient);
            }
        }
        Sums { loss: sums, gradient }
    }

    /// A buffer of zeros for a gradient, one that was used before if there is one.
    fn cleared(&self, len: usize) -> Buffer {
        match lock(&self.spare).pop() {
            Some(mut gradient) if gradient.len() == len => {
                gradient.fill(0.0);
                gradient
            }
            _ => zeros(len),
        }
    }

    /// The mean loss, `[1, 1]`, as one operation on dfdx's tape, of all parameters, `[1, n]`.
    ///
    /// Forward and backward of a sequence run together, while its activations are in cache; the
    /// operation keeps the gradient until the tape asks for it.
    pub fn loss_on_tape<T: Tape<f32, Cpu>>(
        &mut self,
        parameters: tape::Matrix<T>,
        batch: &Batch,
        options: &LossOptions,
    ) -> tape::Matrix<T> {
        tape::apply(
            [parameters],
            (1, 1),
            |[values]| {
                let mut gradient = vec![0.0; if T::OWNS_TAPE { values.len() } else { 0 }];
                let loss = match T::OWNS_TAPE {
                    true => self.loss_and_gradient(values, batch, options, &mut gradient),
                    false => self.loss(values, batch, options),
                };
                (vec![loss], gradient)
            },
            |_, mut gradient, factor| {
                scale(&mut gradient, factor[0]);
                [gradient]
            },
        )
    }
}

/// A poisoned lock only says that another worker panicked; its content is overwritten before it is
/// read.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Logits `[tokens, actions]` of the full banded forward pass over a stream of any length, without
/// dropout: what one cached token at a time must reproduce.
pub fn forward_logits(parameters: &Parameters, tokens: &Tokens) -> Vec<f32> {
    let plan = Plan::new(&parameters.dimensions, &parameters.interface);
    let mut weights = Weights::new(&plan);
    weights.set(&plan, &parameters.values);
    let inputs = tokens.inputs().all();
    let count = inputs.len();
    let mut workspace = Workspace::new(&plan, count);
    network::forward(&plan, &weights, Sequence { inputs, masks: None }, &mut workspace);
    workspace_logits(&plan, &workspace, count).collect()
}

/// The logits that a forward pass over `tokens` left, without padding.
fn workspace_logits<'a>(
    plan: &'a Plan,
    workspace: &'a Workspace,
    tokens: usize,
) -> impl Iterator<Item = f32> + 'a {
    let rows = workspace.logits.chunks_exact(plan.actions_padded).take(tokens);
    rows.flat_map(|row| &row[..plan.actions]).copied()
}
