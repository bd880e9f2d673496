//! Measures linear layers as a step computes them: the preparation of the vector, the kernel and the
//! rescaling of its outputs.

use crate::console::Console;
use crate::counter;
use algodistill_core::model::kernels::Operand;
use algodistill_core::model::numerics::{dot_bits, maximum, quantize, rectify, rescale};
use algodistill_core::Kernels;
use core::hint::black_box;
use firmware_session::bench::{AUTOENCODER, MULTIPLICATIONS, SHAPES, WIDEST};
use firmware_session::link::Line;

/// The coarsest timer counts 80 instructions per tick.
const REPETITIONS: u32 = 16;
/// Of the inputs, 15 bits.
const MANTISSA: u32 = 20_000;
/// A shift that a real model has.
const SHIFT: i32 = 30;

/// Sends a line for each shape, and one for the autoencoder. The weights and their scales are the bytes
/// of `file`, whatever they mean: the kernels take the same path for all. (All but one: that of RISC-V
/// leaves out columns where the vector is 0, which behind a ReLU is about every other one, here too.)
#[inline(never)]
pub fn run(file: &[u8], console: &mut Console) -> Option<()> {
    let kernels = Kernels::detect();
    let mut memory = Memory { operand: [[0; 4]; WIDEST / 4], inputs: [77; WIDEST], outputs: [0; WIDEST] };
    for (rows, columns) in SHAPES {
        let begin = counter::now();
        for _ in 0..REPETITIONS {
            memory.linear(kernels, file, rows, columns)?;
        }
        let ticks = counter::elapsed(begin);
        let mut line = Line::new("bench");
        console.send(line.number(rows as u32).number(columns as u32).number(REPETITIONS).number(ticks));
    }
    let mut ticks = 0;
    for _ in 0..REPETITIONS {
        for (index, input) in memory.inputs.iter_mut().enumerate() {
            // From -127 to 127.
            *input = ((index * 89) % 255) as u8 as i8;
        }
        let begin = counter::now();
        memory.autoencoder(kernels, file)?;
        ticks += counter::elapsed(begin);
    }
    console.send(Line::new("autoencoder").number(MULTIPLICATIONS as u32).number(REPETITIONS).number(ticks));
    Some(())
}

/// Aligned as the agent's workspace is.
#[repr(C, align(4))]
struct Memory {
    operand: [[i16; 4]; WIDEST / 4],
    inputs: [i8; WIDEST],
    outputs: [i32; WIDEST],
}

impl Memory {
    /// All layers, a ReLU between them, int8 from one to the next.
    fn autoencoder(&mut self, kernels: Kernels, file: &[u8]) -> Option<()> {
        for (layer, (rows, columns)) in AUTOENCODER.into_iter().enumerate() {
            self.linear(kernels, file, rows, columns)?;
            let outputs = self.outputs.get_mut(..rows)?;
            let is_last = layer + 1 == AUTOENCODER.len();
            let largest = if is_last { maximum(outputs) } else { rectify(outputs) };
            quantize(outputs, largest, self.inputs.get_mut(..rows)?);
        }
        Some(())
    }

    /// `outputs = weights . inputs`, in one pass where the set has a kernel for it, else products and
    /// then their rescaling.
    ///
    /// The weights of the autoencoder are more than the flash of the smaller boards holds, so every layer
    /// has the same ones, the front of `file`; and where that is shorter than a layer (81,920 bytes), its rows
    /// come in blocks, each with the same weights.
    #[inline(never)]
    fn linear(&mut self, kernels: Kernels, file: &[u8], rows: usize, columns: usize) -> Option<()> {
        let Self { operand, inputs, outputs } = self;
        let operand = Operand::new(black_box(inputs.get(..columns)?), operand);
        let mut rest = outputs.get_mut(..rows)?;
        // Whole eights, as the kernels take them.
        let most = file.len().checked_div(columns)? / 8 * 8;
        while !rest.is_empty() {
            let (block, after) = rest.split_at_mut_checked(most.min(rest.len()))?;
            rest = after;
            let (weights, scales) = (file.get(..block.len() * columns)?, file.get(..2 * block.len())?);
            let done =
                kernels.linear(&operand, weights, scales, black_box(MANTISSA), black_box(SHIFT), block);
            let left = block.get_mut(done..)?;
            if !left.is_empty() {
                kernels.dots(&operand, weights.get(done * columns..)?, columns, left);
                let (scales, _) = scales.get(2 * done..)?.as_chunks::<2>();
                let scales = scales.iter().map(|scale| u32::from(u16::from_le_bytes(*scale)) * MANTISSA);
                rescale(left, dot_bits(columns), scales, black_box(SHIFT));
            }
            if most == 0 {
                return None;
            }
        }
        Some(())
    }
}
