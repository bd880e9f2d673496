//! A linear layer in one pass: what the products of two rows add up to is scaled while it is in
//! registers.

use super::is_aligned;
use crate::model::kernels::coding::{Operand, CHUNK};
use core::arch::asm;

/// See [`crate::Kernels::linear`].
#[inline(never)]
pub fn linear(
    vector: &Operand,
    rows: &[u8],
    scales: &[u8],
    mantissa: u32,
    shift: i32,
    outputs: &mut [i32],
) -> usize {
    let columns = vector.columns();
    // The sum is kept times 256.
    let shift = shift + 8;
    let aligned =
        is_aligned(rows.as_ptr()) && is_aligned(scales.as_ptr()) && is_aligned(vector.mixed.as_ptr());
    let fits = columns.is_multiple_of(16) && columns <= CHUNK && (33..=62).contains(&shift);
    let whole = rows.len().checked_div(2 * columns).unwrap_or(0).min(scales.len() / 4).min(outputs.len() / 2);
    if !aligned || !fits || whole == 0 {
        return 0;
    }
    let mut pass = Pass {
        mixed: vector.mixed.as_ptr(),
        mixed_end: vector.mixed.as_ptr_range().end,
        half: 1 << (shift - 33),
        shift: shift - 32,
        mantissa,
        scales: scales.as_ptr(),
        columns,
        outputs_end: outputs.as_ptr().wrapping_add(2 * whole),
        start: vector.start(),
        rest: columns % 64,
        first: rows.as_ptr(),
        second: rows.as_ptr().wrapping_add(columns),
        outputs: outputs.as_mut_ptr(),
    };
    // SAFETY: for each pair of outputs, at least one, there are two rows of so many columns, a multiple of
    // 16, and two scales; all is aligned to words.
    unsafe { pairs_of_rows(&mut pass) };
    2 * whole
}

/// What [`pairs_of_rows`] loads by its offset.
#[repr(C)]
struct Pass {
    mixed: *const [i16; 4],
    mixed_end: *const [i16; 4],
    /// What a rounded shift of a product's upper half begins with.
    half: i32,
    shift: i32,
    mantissa: u32,
    scales: *const u8,
    /// From the end of a row to the begin of the row after the next.
    columns: usize,
    outputs_end: *const i32,
    start: i32,
    /// Columns of the first turn, if not 64; then where it begins in the loop.
    rest: usize,
    first: *const u8,
    second: *const u8,
    outputs: *mut i32,
}

/// 15.25 instructions for 16 products, and 23 for each pair of rows.
///
/// # Safety
///
/// `outputs` is not their end. For each pair of them there are two rows of `columns` elements, a
/// multiple of 16, as many of `mixed`, and two scales. All is aligned to words.
#[inline(never)]
unsafe fn pairs_of_rows(pass: &mut Pass) {
    // Eight columns: r2 to r5 of the vector, r10 and r11 of a row, r8 and r9 the sums.
    macro_rules! eight {
        () => {
            "ldm r0!, {{r2, r3, r4, r5}}
            ldrd r10, r11, [r6], #8
            smlad r8, r10, r2, r8
            uxtb16 r10, r10
            smlad r8, r10, r3, r8
            smlad r8, r11, r4, r8
            uxtb16 r11, r11
            smlad r8, r11, r5, r8
            ldrd r10, r11, [r7], #8
            smlad r9, r10, r2, r9
            uxtb16 r10, r10
            smlad r9, r10, r3, r9
            smlad r9, r11, r4, r9
            uxtb16 r11, r11
            smlad r9, r11, r5, r9"
        };
    }
    // SAFETY: reads and writes what the caller vouches for. r6 and r7 are as before at the end, and hold
    // no operand.
    unsafe {
        asm!(
            // The places in the loop are computed from a word's border, which a function need not begin at.
            ".p2align 2",
            "push {{r6, r7}}",
            "ldrd r6, r7, [lr, #40]",
            "ldr r12, [lr, #48]",
            // 64 columns a turn; where the columns are not in whole turns, the first one is shorter.
            "ldr r0, [lr, #36]",
            "adr.w r1, 3f",
            "cmp r0, #48",
            "it eq",
            "adreq.w r1, 48f",
            "cmp r0, #32",
            "it eq",
            "adreq.w r1, 32f",
            "cmp r0, #16",
            "it eq",
            "adreq.w r1, 16f",
            "orr r1, #1",
            "str r1, [lr, #36]",
            // A pair of rows.
            "2:",
            "ldrd r0, r1, [lr]",
            "ldrd r8, r2, [lr, #32]",
            "mov r9, r8",
            "bx r2",
            "3:",
            eight!(),
            eight!(),
            "48:",
            eight!(),
            eight!(),
            "32:",
            eight!(),
            eight!(),
            "16:",
            eight!(),
            eight!(),
            "cmp r0, r1",
            "bne 3b",
            // Times the rows' scales.
            "ldrd r2, r0, [lr, #16]",
            "ldr r1, [r0], #4",
            "str r0, [lr, #20]",
            "uxth r3, r1",
            "lsr r1, r1, #16",
            "mul r3, r3, r2",
            "mul r1, r1, r2",
            "ldrd r4, r5, [lr, #8]",
            "smmla r8, r8, r3, r4",
            "smmla r9, r9, r1, r4",
            "asr r8, r8, r5",
            "asr r9, r9, r5",
            "strd r8, r9, [r12], #8",
            "ldrd r0, r1, [lr, #24]",
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
