//! Cores that have little more than the first Thumb instruction set: Cortex-M0, M0+ and M23. Most of their
//! instructions reach eight registers only, a product overwrites a factor, and a load extends a sign only
//! from an address that is the sum of two registers. So the index of a column is a register that all rows
//! share, and the sums stay in the upper registers, to which ADD can add: 14 instructions for a
//! column of four rows. A compiler spills the sums, and takes twice as many.

use super::coding::Operand;
use super::scalar;
use super::softmax::{Factor, Softmax, POWER_LINEAR, POWER_SQUARE};
use core::arch::{asm, naked_asm};

/// Slots whose dots are on the stack at a time.
const DOTS: usize = 16;

/// See [`super::Kernels::dots`].
pub(super) fn dots(vector: &Operand, rows: &[u8], stride: usize, dots: &mut [i32]) {
    let columns = vector.columns();
    let (quads, rest) = dots.as_chunks_mut::<4>();
    let needed = (4 * quads.len()).saturating_mul(stride);
    if columns == 0 || rows.len() < needed.saturating_sub(stride).saturating_add(columns) {
        return scalar::dots(vector, rows, stride, dots);
    }
    if !quads.is_empty() {
        let (x, first, count) = (vector.plain.as_ptr().cast(), rows.as_ptr(), quads.len());
        // SAFETY: there are columns, a multiple of four, and four rows for each of the quads, as was
        // compared above.
        unsafe { coded_rows(x, first, stride, columns, quads.as_mut_ptr(), count, vector.plain_start()) };
    }
    if !rest.is_empty() {
        scalar::dots(vector, rows.get(needed..).unwrap_or(&[]), stride, rest);
    }
}

/// See [`super::Kernels::scores`].
pub(super) fn scores(query: &[i8], keys: &[i8], key_scales: &[u16], factor: i32, scores: &mut [i16]) {
    let width = query.len();
    let whole = scores.len().min(key_scales.len()) / 4 * 4;
    if width == 0 || !width.is_multiple_of(4) || keys.len() < whole.saturating_mul(width) {
        return scalar::scores(query, keys, key_scales, factor, scores);
    }
    let (first, last) = scores.split_at_mut_checked(whole).unwrap_or_default();
    let mut rest = keys;
    let parts = Factor::new(factor);
    for (scores, scales) in first.chunks_mut(DOTS).zip(key_scales.chunks(DOTS)) {
        let mut dots = [[0; 4]; DOTS / 4];
        let (x, rows, quads) = (query.as_ptr(), rest.as_ptr().cast(), scores.len() / 4);
        // SAFETY: there are columns, a multiple of four; a row for each score, as was compared above, and
        // four scores for each of the quads, at least one and no more than `dots`.
        unsafe { plain_rows(x, rows, width, width, dots.as_mut_ptr(), quads, 0) };
        for ((score, dot), scale) in scores.iter_mut().zip(dots.as_flattened()).zip(scales) {
            *score = parts.score(*dot, *scale);
        }
        rest = rest.get(scores.len() * width..).unwrap_or(&[]);
    }
    if !last.is_empty() {
        scalar::scores(query, rest, key_scales.get(whole..).unwrap_or(&[]), factor, last);
    }
}

/// See [`super::Kernels::weighted_values`].
pub(super) fn weighted_values(weights: &[i16], values: &[i8], outputs: &mut [i32]) {
    let width = outputs.len();
    let (quads, rest) = outputs.as_chunks_mut::<4>();
    let whole =
        !quads.is_empty() && rest.is_empty() && !weights.is_empty() && weights.len().is_multiple_of(4);
    if !whole || values.len() < weights.len().saturating_mul(width) {
        return scalar::weighted_values(weights, values, outputs);
    }
    // SAFETY: there are outputs and slots, multiples of four, and a row of values for each slot.
    unsafe {
        let end = weights.as_ptr_range().end;
        columns(weights.as_ptr(), values.as_ptr(), width, end, quads.as_mut_ptr(), quads.len());
    }
}

/// See [`super::Kernels::softmax`].
pub(super) fn softmax(scores: &mut [i16], value_scales: &[u16]) -> Softmax {
    let mut softmax = Softmax::new(value_scales);
    let (slots, Ok(exponent)) = (scores.len(), u32::try_from(softmax.exponent)) else {
        // More slots than such a processor has room for.
        return scalar::softmax(scores, value_scales);
    };
    if slots == 0 || value_scales.len() < slots {
        return scalar::softmax(scores, value_scales);
    }
    let largest = scores.iter().copied().max().unwrap_or(0);
    // SAFETY: there is a score, and a scale for each.
    softmax.total = unsafe {
        weights(scores.as_mut_ptr(), i32::from(largest), value_scales.as_ptr(), 2 * slots, exponent)
    };
    softmax
}

/// `floor(upper * 2^32 / divisor)` for `upper < divisor` and a divisor of 31 bits, bit by bit: in six
/// instructions each, where a division of 32 bits is a subroutine of 100.
#[inline(never)]
pub fn divide(upper: u32, divisor: u32) -> u32 {
    let quotient;
    // SAFETY: arithmetic on registers.
    unsafe {
        asm!(
            "2:",
            "lsls {rest}, {rest}, #1",
            "cmp {rest}, {divisor}",
            "blo 3f",
            "subs {rest}, {rest}, {divisor}",
            // The carry is the next bit of the quotient; the one before all of these ends the loop.
            "3:",
            "adcs {quotient}, {quotient}, {quotient}",
            "bcc 2b",
            rest = inout(reg) upper => _,
            divisor = in(reg) divisor,
            quotient = inout(reg) 1u32 => quotient,
            options(pure, nomem, nostack),
        );
    }
    quotient
}

/// Saves r4 to r11 and lr: 36 bytes.
macro_rules! save {
    () => {
        "push {{r4-r7, lr}}
         mov r4, r8
         mov r5, r9
         mov r6, r10
         mov r7, r11
         push {{r4-r7}}"
    };
}

/// Returns.
macro_rules! restore {
    () => {
        "pop {{r4-r7}}
         mov r8, r4
         mov r9, r5
         mov r10, r6
         mov r11, r7
         pop {{r4-r7, pc}}"
    };
}

/// Adds the product of r5 with a byte of each of four rows, at r1 to r4, to r8 to r11. r7 is the offset.
macro_rules! four_products {
    ($load:literal) => {
        concat!(
            $load,
            " r6, [r1, r7]\n muls r6, r5, r6\n add r8, r6\n",
            $load,
            " r6, [r2, r7]\n muls r6, r5, r6\n add r9, r6\n",
            $load,
            " r6, [r3, r7]\n muls r6, r5, r6\n add r10, r6\n",
            $load,
            " r6, [r4, r7]\n muls r6, r5, r6\n add r11, r6\n",
        )
    };
}

/// Stores r8 to r11 at the address on the stack, which it advances.
macro_rules! store {
    () => {
        "ldr r5, [sp, #36]
         mov r6, r8
         str r6, [r5]
         mov r6, r9
         str r6, [r5, #4]
         mov r6, r10
         str r6, [r5, #8]
         mov r6, r11
         str r6, [r5, #12]
         adds r5, #16
         str r5, [sp, #36]"
    };
}

macro_rules! rows {
    ($name:ident, $load_even:literal, $doc:literal) => {
        #[doc = $doc]
        ///
        /// # Safety
        /// `columns` is a multiple of four, `quads` at least one, and neither is zero; `x` has as many
        /// elements as columns; `rows` has four rows for each of the quads, and `sums` a place.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            x: *const i8,
            rows: *const u8,
            stride: usize,
            columns: usize,
            sums: *mut [i32; 4],
            quads: usize,
            start: i32,
        ) {
            naked_asm!(
                save!(),
                "mov r12, r3",
                "mov lr, r2",
                "1:",
                "mov r2, r1",
                "add r2, lr",
                "mov r3, r2",
                "add r3, lr",
                "mov r4, r3",
                "add r4, lr",
                "ldr r5, [sp, #44]",
                "mov r8, r5",
                "mov r9, r5",
                "mov r10, r5",
                "mov r11, r5",
                "movs r7, #0",
                "2:",
                "ldrsb r5, [r0, r7]",
                four_products!($load_even),
                "adds r7, #1",
                "ldrsb r5, [r0, r7]",
                four_products!("ldrsb"),
                "adds r7, #1",
                "ldrsb r5, [r0, r7]",
                four_products!($load_even),
                "adds r7, #1",
                "ldrsb r5, [r0, r7]",
                four_products!("ldrsb"),
                "adds r7, #1",
                "cmp r7, r12",
                "blo 2b",
                store!(),
                "mov r1, r4",
                "add r1, lr",
                "ldr r5, [sp, #40]",
                "subs r5, #1",
                "str r5, [sp, #40]",
                "bne 1b",
                restore!(),
            )
        }
    };
}

rows!(coded_rows, "ldrb", "`sums = start + x . rows` of coded rows, those of even columns with their 128.");
rows!(plain_rows, "ldrsb", "`sums = start + x . rows`.");

/// Makes weights of scores and returns the sum of their powers: [`super::softmax::power`] and
/// [`Softmax::weight`] in 21 instructions.
///
/// # Safety
/// `bytes` is even and not zero; `scores` and `scales` have as many bytes.
#[unsafe(naked)]
unsafe extern "C" fn weights(
    scores: *mut i16,
    largest: i32,
    scales: *const u16,
    bytes: usize,
    exponent: u32,
) -> u32 {
    naked_asm!(
        save!(),
        "mov r12, r3",
        "ldr r3, [sp, #36]",
        "mov r8, r3",
        "ldr r3, ={minus_linear}",
        "mov r9, r3",
        "movs r7, #0",
        "mov r11, r7",
        "mvns r3, r7",
        "lsrs r3, r3, #1",
        "mov r10, r3",
        "ldr r3, ={square}",
        "2:",
        "ldrsh r4, [r0, r7]",
        "subs r4, r1, r4",
        "uxtb r5, r4",
        "lsrs r4, r4, #8",
        "mov r6, r5",
        "muls r6, r3, r6",
        "add r6, r9",
        "muls r6, r5, r6",
        "add r6, r10",
        // In two steps: a shift is by eight bits of a register.
        "lsrs r6, r6, #16",
        "lsrs r6, r4",
        "add r11, r6",
        "ldrh r5, [r2, r7]",
        "mov r4, r8",
        "lsls r5, r4",
        "muls r5, r6, r5",
        "lsrs r5, r5, #16",
        "strh r5, [r0, r7]",
        "adds r7, #2",
        "cmp r7, r12",
        "blo 2b",
        "mov r0, r11",
        restore!(),
        ".ltorg",
        minus_linear = const -(POWER_LINEAR as i32),
        square = const POWER_SQUARE,
    )
}

/// `sums[i] = sum_slot weights[slot] * values[slot, i]`.
///
/// # Safety
/// `weights` to `end` are a multiple of four and at least four, none negative; `values` has a row of `width`
/// for each; `quads` is at least one, `sums` has a place for each, and a row four values.
#[unsafe(naked)]
unsafe extern "C" fn columns(
    weights: *const i16,
    values: *const i8,
    width: usize,
    end: *const i16,
    sums: *mut [i32; 4],
    quads: usize,
) {
    naked_asm!(
        save!(),
        "push {{r0}}",
        "mov r12, r3",
        "mov lr, r2",
        "1:",
        "adds r2, r1, #1",
        "adds r3, r1, #2",
        "adds r4, r1, #3",
        "movs r7, #0",
        "mov r8, r7",
        "mov r9, r7",
        "mov r10, r7",
        "mov r11, r7",
        "2:",
        "ldrh r5, [r0]",
        four_products!("ldrsb"),
        "add r7, lr",
        "ldrh r5, [r0, #2]",
        four_products!("ldrsb"),
        "add r7, lr",
        "ldrh r5, [r0, #4]",
        four_products!("ldrsb"),
        "add r7, lr",
        "ldrh r5, [r0, #6]",
        four_products!("ldrsb"),
        "add r7, lr",
        "adds r0, #8",
        "cmp r0, r12",
        "blo 2b",
        "pop {{r0}}",
        store!(),
        "ldr r5, [sp, #40]",
        "subs r5, #1",
        "str r5, [sp, #40]",
        "beq 3f",
        "push {{r0}}",
        "adds r1, #4",
        "b 1b",
        "3:",
        restore!(),
    )
}
