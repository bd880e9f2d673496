//! The DSP extension of Cortex-M4, M7 and M33: SMLAD multiplies two pairs of 16 bits and adds both
//! products to a sum; UXTB16 and SXTB16 take every second byte of a word. The intrinsics are
//! unstable in Rust, `asm!` is not. It leaves twelve registers to choose: r6 and r7 belong
//! to the compiler, which may put operands of the class `reg` into them, so that whoever saves and
//! uses them gives every operand a register of its own.

use super::coding::Operand;
use super::scalar;
use core::arch::asm;

mod attention;
mod elementwise;
mod instructions;
mod linear;

pub(super) use attention::{scores, softmax, weighted_values};
pub(crate) use elementwise::{maximum, quantize, rectify, sum_of_squares};
pub(super) use linear::linear;

/// Words of an int8 vector as an operand, and the sum of its elements of even columns.
#[inline(never)]
pub(super) fn prepare(plain: &[[i8; 4]], mixed: &mut [[i16; 4]]) -> i32 {
    const ONES: u32 = 0x0001_0001;
    let count = plain.len().min(mixed.len());
    let mut sum = 0;
    if count > 0 {
        // SAFETY: reads and writes as many elements, at least one.
        unsafe {
            asm!(
                "2:",
                "ldr r3, [r0], #4",
                // 256 times the elements of even columns.
                "and r2, r8, r3, lsl #8",
                "sxtb16 r4, r3, ror #8",
                "sxtb16 r3, r3",
                "ssub16 r5, r2, r4",
                "smlad r10, r3, r9, r10",
                "str r4, [r12], #4",
                "str r5, [r12], #4",
                "cmp r0, r1",
                "bne 2b",
                inout("r0") plain.as_ptr() => _,
                in("r1") plain.as_ptr().wrapping_add(count),
                inout("r12") mixed.as_mut_ptr() => _,
                in("r8") 0xff00_ff00u32,
                in("r9") ONES,
                inout("r10") sum,
                out("r2") _,
                out("r3") _,
                out("r4") _,
                out("r5") _,
                options(nostack),
            );
        }
    }
    sum
}

/// See [`super::Kernels::dots`]. Two rows share the loads of the vector.
pub(super) fn dots(vector: &Operand, rows: &[u8], stride: usize, dots: &mut [i32]) {
    let columns = vector.columns();
    // LDRD and LDM want words; the loop takes eight columns.
    let aligned = is_aligned(rows.as_ptr()) && is_aligned(vector.mixed.as_ptr()) && stride.is_multiple_of(4);
    let Some(available) = rows.len().checked_sub(columns) else { return };
    if !aligned || !columns.is_multiple_of(8) {
        return scalar::dots(vector, rows, stride, dots);
    }
    let whole = available.checked_div(stride).unwrap_or(0) + 1;
    let (pairs, _) = dots.as_chunks_mut::<2>();
    let count = pairs.len().min(whole / 2);
    let pairs = pairs.get_mut(..count).unwrap_or(&mut []);
    pairs.fill([0; 2]);
    let done = 2 * pairs.len();
    let mut first = rows.as_ptr();
    if !pairs.is_empty() {
        for (chunk, start) in vector.chunks() {
            let (mixed, dots) = (chunk.as_ptr_range(), pairs.as_mut_ptr_range());
            let back = (2 * stride).wrapping_sub(4 * chunk.len());
            let pass = Pass {
                mixed: mixed.start,
                mixed_end: mixed.end,
                first,
                stride,
                back,
                dots_end: dots.end,
                dots: dots.start,
                start,
            };
            // SAFETY: neither the chunk nor the pairs are empty; two rows for each pair, `stride` apart, are
            // within `rows`, and the chunk's columns within each of them; all is aligned to
            // words.
            unsafe { add_dots(&pass) };
            first = first.wrapping_add(4 * chunk.len());
        }
    }
    let (rest, last) = (rows.get(done * stride..).unwrap_or(&[]), dots.get_mut(done..).unwrap_or(&mut []));
    scalar::dots(vector, rest, stride, last);
}

/// What [`add_dots`] loads by its offset.
#[repr(C)]
struct Pass {
    mixed: *const [i16; 4],
    mixed_end: *const [i16; 4],
    first: *const u8,
    stride: usize,
    /// From the end of the columns of a row to the begin of those of the row after the next.
    back: usize,
    dots_end: *const [i32; 2],
    dots: *mut [i32; 2],
    start: i32,
}

/// Adds the dot products of one chunk of the columns to `dots`, two rows at a time: 17 instructions
/// for 16 products, and 12 for each pair of rows.
///
/// # Safety
///
/// Neither `mixed` nor `dots` is empty. For each pair of `dots` two rows, `stride` apart, have as
/// many elements as `mixed`, a multiple of eight. All is aligned to words.
#[inline(never)]
unsafe fn add_dots(pass: &Pass) {
    // SAFETY: reads and writes what the caller vouches for. r6 and r7 are as before at the end, and
    // hold no operand.
    unsafe {
        asm!(
            "push {{r6, r7}}",
            "ldrd r6, r7, [lr, #8]",
            "add r7, r6",
            "ldr r12, [lr, #24]",
            // A pair of rows: r6 and r7 in, r8 and r9 the sums.
            "2:",
            "ldrd r0, r1, [lr]",
            "ldr r8, [lr, #28]",
            "mov r9, r8",
            // Eight columns: r2 to r5 of the vector, r10 and r11 of a row.
            "3:",
            "ldm r0!, {{r2, r3, r4, r5}}",
            "ldrd r10, r11, [r6], #8",
            "smlad r8, r10, r2, r8",
            "uxtb16 r10, r10",
            "smlad r8, r10, r3, r8",
            "smlad r8, r11, r4, r8",
            "uxtb16 r11, r11",
            "smlad r8, r11, r5, r8",
            "ldrd r10, r11, [r7], #8",
            "smlad r9, r10, r2, r9",
            "uxtb16 r10, r10",
            "smlad r9, r10, r3, r9",
            "smlad r9, r11, r4, r9",
            "uxtb16 r11, r11",
            "smlad r9, r11, r5, r9",
            "cmp r0, r1",
            "bne 3b",
            "ldrd r0, r1, [r12]",
            "add r0, r0, r8, asr #8",
            "add r1, r1, r9, asr #8",
            "strd r0, r1, [r12], #8",
            "ldrd r0, r1, [lr, #16]",
            "add r6, r0",
            "add r7, r0",
            "cmp r12, r1",
            "bne 2b",
            "pop {{r6, r7}}",
            in("lr") pass,
            out("r0") _,
            out("r1") _,
            out("r2") _,
            out("r3") _,
            out("r4") _,
            out("r5") _,
            out("r8") _,
            out("r9") _,
            out("r10") _,
            out("r11") _,
            out("r12") _,
        );
    }
}

fn is_aligned<T>(pointer: *const T) -> bool {
    pointer.addr().is_multiple_of(4)
}
