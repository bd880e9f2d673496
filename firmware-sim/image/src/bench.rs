//! Measures the matrix-vector kernel at the shapes of the reference model, the rescaling of its outputs included.

use crate::console::Console;
use crate::counter;
use algodistill_core::model::numerics::rescale;
use algodistill_core::Kernels;
use core::hint::black_box;
use firmware_session::link::Line;

/// Rows and columns.
const SHAPES: [(usize, usize); 3] = [(64, 64), (64, 256), (256, 64)];
const MOST: usize = 256;
/// The coarsest timer counts 80 instructions a tick.
const REPETITIONS: u32 = 16;
/// A shift that a real model has.
const SHIFT: i32 = 30;

/// Sends a line for each shape. The weights are bytes of `file`, whatever they mean: integer kernels take the same path for all.
pub fn run(file: &[u8], console: &mut Console) -> Option<()> {
    let kernels = Kernels::detect();
    let (inputs, mut outputs) = ([77i8; MOST], [0i32; MOST]);
    for (rows, columns) in SHAPES {
        let bytes = file.get(..rows * columns)?;
        // SAFETY: i8 has the layout of u8.
        let weights = unsafe { core::slice::from_raw_parts(bytes.as_ptr().cast::<i8>(), bytes.len()) };
        let (inputs, outputs) = (inputs.get(..columns)?, outputs.get_mut(..rows)?);
        let begin = counter::now();
        for _ in 0..REPETITIONS {
            kernels.matvec(black_box(weights), black_box(inputs), outputs);
            rescale(outputs, core::iter::repeat_n(0x4567_0123, rows), black_box(SHIFT));
        }
        let ticks = counter::elapsed(begin);
        let line = Line::new("bench").number(rows as u32).number(columns as u32);
        console.send(line.number(REPETITIONS).number(ticks));
    }
    Some(())
}
