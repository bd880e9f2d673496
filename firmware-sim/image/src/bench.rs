//! Measures the matrix-vector kernel at the shapes of the reference model, the rescaling of its
//! outputs included.

use crate::console::Console;
use crate::counter;
use algodistill_core::model::kernels::Operand;
use algodistill_core::model::numerics::{dot_bits, rescale};
use algodistill_core::Kernels;
use core::hint::black_box;
use firmware_session::link::Line;

/// Rows and columns.
const SHAPES: [(usize, usize); 3] = [(64, 64), (64, 256), (256, 64)];
const MOST: usize = 256;
/// The coarsest timer counts 80 instructions per tick.
const REPETITIONS: u32 = 16;
/// A shift that a real model has.
const SHIFT: i32 = 30;

/// Sends a line for each shape. The weights and their scales are bytes of `file`, whatever they
/// mean: integer kernels take the same path for all. The vector is prepared in every repetition, as
/// it is in a step.
#[inline(never)]
pub fn run(file: &[u8], console: &mut Console) -> Option<()> {
    let kernels = Kernels::detect();
    let (inputs, mut outputs) = ([77i8; MOST], [0i32; MOST]);
    let mut memory = Words([[0; 4]; MOST / 4]);
    for (rows, columns) in SHAPES {
        let weights = file.get(..rows * columns)?;
        let (inputs, outputs) = (inputs.get(..columns)?, outputs.get_mut(..rows)?);
        let (scales, _) = weights.as_chunks::<2>();
        let mantissa = black_box(20_000);
        let begin = counter::now();
        for _ in 0..REPETITIONS {
            let operand = Operand::new(black_box(inputs), &mut memory.0);
            kernels.dots(&operand, black_box(weights), columns, outputs);
            let multipliers = scales.iter().map(|scale| u32::from(u16::from_le_bytes(*scale)) * mantissa);
            rescale(outputs, dot_bits(columns), multipliers, black_box(SHIFT));
        }
        let ticks = counter::elapsed(begin);
        let mut line = Line::new("bench");
        console.send(line.number(rows as u32).number(columns as u32).number(REPETITIONS).number(ticks));
    }
    Some(())
}

/// Aligned as the agent's workspace is.
#[repr(align(4))]
struct Words([[i16; 4]; MOST / 4]);
