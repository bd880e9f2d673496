//! Helium (MVE, integer) of Cortex-M52, M55 and M85: vectors of 128 bits, and loops whose end costs
//! one instruction. Stable Rust has no intrinsics for it, but `asm!`, which does not know the vector
//! registers: their halves d0 to d15 are named as overwritten. Nor does it know the predicate: what
//! writes it is not inlined, and a call preserves none. r6 and r7 belong to the compiler, and lr
//! counts loops.

mod attention;
mod elementwise;
mod ring;

pub use attention::{scores, softmax, weighted_values};
pub use elementwise::{add_row, quantize, rescale, Shifts};
pub use ring::{key, store_key, store_value, value};

use super::coding::Operand;
use super::scalar;
use crate::model::numerics::dot_bits;
use core::arch::asm;

/// Sum of the elements of even columns.
#[inline(never)]
pub fn even_sum(vector: &[[i8; 4]]) -> i32 {
    let sum: i32;
    // SAFETY: reads the elements of `vector`; without any the loop is not entered.
    unsafe {
        asm!(
            "vmov.i16 q1, #0x0001",
            "wlstp.8 lr, r1, 3f",
            "2:",
            "vldrb.u8 q0, [r0], #16",
            "vmladava.s8 r2, q0, q1",
            "letp lr, 2b",
            "3:",
            inout("r0") vector.as_ptr() => _,
            in("r1") 4 * vector.len(),
            inout("r2") 0 => sum,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            options(readonly, nostack),
        );
    }
    sum
}

/// See [`super::Kernels::dots`]. Up to 64 elements of the vector stay in registers while the rows
/// pass by.
pub fn dots(vector: &Operand, rows: &[u8], stride: usize, dots: &mut [i32]) {
    let columns = vector.columns();
    // VLD2 wants words.
    let aligned = is_aligned(rows.as_ptr()) && is_aligned(vector.plain.as_ptr()) && stride.is_multiple_of(4);
    let Some(available) = rows.len().checked_sub(columns) else { return };
    if !aligned {
        return scalar::dots(vector, rows, stride, dots);
    }
    let whole = available.checked_div(stride).unwrap_or(0) + 1;
    let count = dots.len().min(whole);
    let dots = dots.get_mut(..count).unwrap_or(&mut []);
    let mut pass = Pass {
        rows: rows.as_ptr(),
        vector: vector.plain.as_ptr().cast(),
        dots: dots.as_mut_ptr(),
        stride,
        count,
    };
    if columns == 64 && stride == 64 {
        // SAFETY: `count` rows of 64 columns are within `rows`, `count` elements within `dots`; all is
        // aligned to words.
        return unsafe { whole_rows(&pass) };
    }
    dots.fill(0);
    let mut left = columns;
    while left > 0 {
        // SAFETY: as above, where a row is what is left of it.
        let done = unsafe {
            match left {
                64.. => add_64(&pass),
                32.. => add_32(&pass),
                _ => add_16(&pass, left.min(16)),
            }
        };
        pass.rows = pass.rows.wrapping_add(done);
        pass.vector = pass.vector.wrapping_add(done);
        left = left.saturating_sub(done);
    }
}

/// See [`super::Kernels::linear`].
pub fn linear(
    vector: &Operand,
    rows: &[u8],
    scales: &[u8],
    mantissa: u32,
    shift: i32,
    outputs: &mut [i32],
) -> usize {
    let columns = vector.columns();
    let shifts = elementwise::Shifts::new(dot_bits(columns), shift);
    // Halfwords want halfwords' addresses.
    let (Some(shifts), Ok(scales)) = (shifts, bytemuck::try_cast_slice(scales)) else { return 0 };
    dots(vector, rows, columns, outputs);
    elementwise::rescale_rows(outputs, scales, mantissa, shifts);
    outputs.len()
}

/// Some columns of all rows.
struct Pass {
    /// The first of the columns.
    rows: *const u8,
    vector: *const i8,
    dots: *mut i32,
    stride: usize,
    /// Of rows and `dots`.
    count: usize,
}

/// Assembly with the operands of all passes: r0 rows, r1 the vector, r2 a sum, r3 `dots`, r4 from the
/// end of the columns to their begin in the next row, r5 rows left, r8 columns; q3 turns coded
/// elements of even columns into plain ones, q4 to q7 are the vector. VLD20 and VLD21 load even and
/// odd columns into a register each, so that one VEOR serves 32 columns.
macro_rules! pass {
    ($pass:ident, $columns:expr, $($line:literal,)*) => {
        asm!(
            $($line,)*
            inout("r0") $pass.rows => _,
            inout("r1") $pass.vector => _,
            out("r2") _,
            inout("r3") $pass.dots => _,
            inout("r4") $pass.stride.wrapping_sub($columns) => _,
            in("r5") $pass.count,
            in("r8") $columns,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            out("d6") _, out("d7") _, out("d8") _, out("d9") _,
            out("d10") _, out("d11") _, out("d12") _, out("d13") _,
            out("d14") _, out("d15") _,
            options(nostack),
        )
    };
}

/// Dot products of rows of 64 columns, one behind the other: 12 instructions each.
///
/// # Safety
///
/// `count` rows of 64 elements and as many elements of `dots` exist, and 64 elements of the vector;
/// all is aligned to words.
#[inline(never)]
unsafe fn whole_rows(pass: &Pass) {
    // SAFETY: reads and writes what the caller vouches for.
    unsafe {
        pass!(
            pass,
            64usize,
            "vmov.i8 q3, #0x80",
            "vld20.8 {{q4, q5}}, [r1]",
            "vld21.8 {{q4, q5}}, [r1]!",
            "vld20.8 {{q6, q7}}, [r1]",
            "vld21.8 {{q6, q7}}, [r1]",
            "wls lr, r5, 3f",
            "2:",
            "vld20.8 {{q0, q1}}, [r0]",
            "vld21.8 {{q0, q1}}, [r0]!",
            "veor q0, q0, q3",
            "vmladav.s8 r2, q1, q5",
            "vmladava.s8 r2, q0, q4",
            "vld20.8 {{q0, q1}}, [r0]",
            "vld21.8 {{q0, q1}}, [r0]!",
            "veor q0, q0, q3",
            "vmladava.s8 r2, q1, q7",
            "vmladava.s8 r2, q0, q6",
            "str r2, [r3], #4",
            "le lr, 2b",
            "3:",
        )
    }
}

/// Adds the products of 64 columns to `dots` and returns how many they are.
///
/// # Safety
///
/// `count` rows, `stride` apart, have 64 elements here, and as many elements of `dots` exist, and
/// 64 elements of the vector; all is aligned to words.
#[inline(never)]
unsafe fn add_64(pass: &Pass) -> usize {
    // SAFETY: reads and writes what the caller vouches for.
    unsafe {
        pass!(
            pass,
            64usize,
            "vmov.i8 q3, #0x80",
            "vld20.8 {{q4, q5}}, [r1]",
            "vld21.8 {{q4, q5}}, [r1]!",
            "vld20.8 {{q6, q7}}, [r1]",
            "vld21.8 {{q6, q7}}, [r1]",
            "wls lr, r5, 3f",
            "2:",
            "vld20.8 {{q0, q1}}, [r0]",
            "vld21.8 {{q0, q1}}, [r0]!",
            "ldr r2, [r3]",
            "veor q0, q0, q3",
            "vmladava.s8 r2, q1, q5",
            "vmladava.s8 r2, q0, q4",
            "vld20.8 {{q0, q1}}, [r0]",
            "vld21.8 {{q0, q1}}, [r0]!",
            "veor q0, q0, q3",
            "vmladava.s8 r2, q1, q7",
            "vmladava.s8 r2, q0, q6",
            "add r0, r4",
            "str r2, [r3], #4",
            "le lr, 2b",
            "3:",
        )
    }
    64
}

/// The same for 32 columns.
///
/// # Safety
///
/// As for [`add_64`], with 32 elements.
#[inline(never)]
unsafe fn add_32(pass: &Pass) -> usize {
    // SAFETY: reads and writes what the caller vouches for.
    unsafe {
        pass!(
            pass,
            32usize,
            "vmov.i8 q3, #0x80",
            "vld20.8 {{q4, q5}}, [r1]",
            "vld21.8 {{q4, q5}}, [r1]",
            "wls lr, r5, 3f",
            "2:",
            "vld20.8 {{q0, q1}}, [r0]",
            "vld21.8 {{q0, q1}}, [r0]!",
            "ldr r2, [r3]",
            "veor q0, q0, q3",
            "vmladava.s8 r2, q1, q5",
            "vmladava.s8 r2, q0, q4",
            "add r0, r4",
            "str r2, [r3], #4",
            "le lr, 2b",
            "3:",
        )
    }
    32
}

/// The same for at most 16 columns: the loads are predicated, lanes without a column are 0.
///
/// # Safety
///
/// As for [`add_64`], with `columns` elements.
#[inline(never)]
unsafe fn add_16(pass: &Pass, columns: usize) -> usize {
    // SAFETY: reads and writes what the caller vouches for.
    unsafe {
        pass!(
            pass,
            columns,
            "vmov.i16 q3, #0x0080",
            "vctp.8 r8",
            "vpst",
            "vldrbt.u8 q4, [r1]",
            // The loads below do not step forward.
            "add r4, r8",
            "wls lr, r5, 3f",
            "2:",
            "vpst",
            "vldrbt.u8 q0, [r0]",
            "ldr r2, [r3]",
            "veor q0, q0, q3",
            "vmladava.s8 r2, q0, q4",
            "add r0, r4",
            "str r2, [r3], #4",
            "le lr, 2b",
            "3:",
        )
    }
    columns
}

fn is_aligned<T>(pointer: *const T) -> bool {
    pointer.addr().is_multiple_of(4)
}
