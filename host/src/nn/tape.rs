//! The fused operations on dfdx's tape: each function here and in [`super::ops`] that is called
//! `on_tape` makes one custom operation.
//!
//! The [`Engine`](super::transformer::Engine) itself calls the operations directly, on buffers that
//! it keeps, and goes on the tape as a whole: dfdx allocates and clears every result and every
//! gradient, at addresses that do not begin on a cache line.

use dfdx::prelude::{Cpu, PutTape, ReshapeTo, SplitTape, Tape, Tensor, TensorFromVec};

/// A row-major matrix `[rows, columns]`; vectors have one row.
pub type Matrix<T> = Tensor<(usize, usize), f32, Cpu, T>;

/// One custom operation of `COUNT` inputs.
///
/// `forward` maps the inputs' values to those of the output, of shape `[rows, columns]`, and to
/// whatever `backward` needs; `backward` maps the inputs' values, that, and the gradient of the
/// output to the gradients of the inputs.
pub fn apply<const COUNT: usize, T, Saved>(
    inputs: [Matrix<T>; COUNT],
    shape: (usize, usize),
    forward: impl FnOnce([&[f32]; COUNT]) -> (Vec<f32>, Saved),
    backward: impl FnOnce([&[f32]; COUNT], Saved, &[f32]) -> [Vec<f32>; COUNT] + 'static,
) -> Matrix<T>
where
    T: Tape<f32, Cpu>,
    Saved: 'static,
{
    let mut tape = T::default();
    let inputs = inputs.map(|input| {
        // A permuted view's gradient would lie in another order than its values.
        let (input, own) = input.contiguous().split_tape();
        tape = std::mem::take(&mut tape).merge(own);
        input
    });
    let values = inputs.each_ref().map(|input| input.as_vec());
    let (output, saved) = forward(values.each_ref().map(Vec::as_slice));
    let output: Matrix<_> = Cpu::default().tensor_from_vec(output, shape);
    let (inputs, result) = (inputs.map(|input| input.ghost()), output.ghost());
    tape.add_backward_op(move |gradients| {
        let own = gradients.get_or_alloc_mut(&result)?.clone();
        let added = backward(values.each_ref().map(Vec::as_slice), saved, &own);
        for (input, added) in inputs.iter().zip(&added) {
            for (gradient, added) in gradients.get_or_alloc_mut(input)?.iter_mut().zip(added) {
                *gradient += added;
            }
        }
        Ok(())
    });
    output.put_tape(tape)
}

/// The same rows at another distance from each other: cut off, or padded with zeros.
pub(super) fn with_stride(values: &[f32], from: usize, to: usize) -> Vec<f32> {
    let mut moved = vec![0.0; values.len() / from * to];
    for (to, from) in moved.chunks_exact_mut(to).zip(values.chunks_exact(from)) {
        let width = to.len().min(from.len());
        to[..width].copy_from_slice(&from[..width]);
    }
    moved
}
