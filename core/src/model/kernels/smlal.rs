//! Cortex-M3, and other 32-bit Arm cores with a long multiplication and without the DSP extension: SMLAL
//! adds a product of 32 x 32 bits to a sum of 64. With two elements in each factor, 24 bits apart, it
//! adds two products of int8 at once:
//!
//! ```text
//! (w0 + 2^24 w3) * (x3 + 2^24 x0)  =  w0 x3 + 2^24 (w0 x0 + w3 x3) + 2^48 w3 x0
//! ```
//!
//! A word of a row has such a pair in its outer bytes, and another in its inner ones, which a rotation
//! by 16 bits makes the outer ones. One AND, which rotates for nothing, takes a pair out of the word: the
//! lower element must not be negative, so elements of even columns have 128 added, as in coded rows. The
//! middle 24 bits of the sum are the dot product.

use super::coding::Operand;
use super::scalar;
use super::softmax::score;
use core::arch::asm;

pub(super) use super::softmax::softmax_in_fours as softmax;

/// Most groups of four columns of a sum whose parts stay apart: `64 * 2 * (255 + 128) * 127 < 2^23`.
const CHUNK: usize = 64;

/// Writes the words of an int8 vector as an operand, and returns the sum of its elements of even columns.
pub(super) fn prepare(plain: &[[i8; 4]], mixed: &mut [[i16; 4]]) -> i32 {
    let mut sum = 0;
    for (plain, mixed) in plain.iter().zip(mixed) {
        let [x0, x1, x2, x3] = plain.map(i32::from);
        sum += x0 + x2;
        let [outer, inner] = [x3 + (x0 << 24), x1 + (x2 << 24)];
        *mixed = [outer as i16, (outer >> 16) as i16, inner as i16, (inner >> 16) as i16];
    }
    sum
}

/// See [`super::Kernels::dots`]. Two rows share the loads of the vector.
pub(super) fn dots(vector: &Operand, rows: &[u8], stride: usize, dots: &mut [i32]) {
    let columns = vector.columns();
    let aligned = is_aligned(rows.as_ptr()) && is_aligned(vector.mixed.as_ptr()) && stride.is_multiple_of(4);
    let Some(available) = rows.len().checked_sub(columns) else { return };
    if !aligned || !columns.is_multiple_of(8) {
        return scalar::dots(vector, rows, stride, dots);
    }
    let whole = available.checked_div(stride).unwrap_or(0) + 1;
    let count = (dots.len() / 2).min(whole / 2);
    let (pairs, rest) = dots.split_at_mut_checked(2 * count).unwrap_or_default();
    pairs.fill(vector.plain_start());
    let mut first = rows.as_ptr();
    if !pairs.is_empty() {
        for chunk in vector.mixed.chunks(CHUNK) {
            let mut pass = Pass {
                mixed: chunk.as_ptr(),
                first,
                stride,
                back: (2 * stride).wrapping_sub(4 * chunk.len()),
                mixed_end: chunk.as_ptr_range().end,
                dots_end: pairs.as_ptr_range().end,
                odd: chunk.len() & 2,
                dots: pairs.as_mut_ptr(),
            };
            // SAFETY: neither the chunk nor the pairs are empty; two rows for each pair, `stride` apart, are
            // within `rows`, and the chunk's columns, a multiple of eight, within each of them; all is
            // aligned to words.
            unsafe { add_products(&mut pass) };
            first = first.wrapping_add(4 * chunk.len());
        }
    }
    scalar::dots(vector, rows.get(2 * count * stride..).unwrap_or(&[]), stride, rest);
}

/// What [`add_products`] loads by its offset.
#[repr(C)]
struct Pass {
    mixed: *const [i16; 4],
    first: *const u8,
    stride: usize,
    /// From the end of the columns of a row to the begin of those of the row after the next.
    back: usize,
    mixed_end: *const [i16; 4],
    dots_end: *const i32,
    /// Whether the columns are an odd number of eights.
    odd: usize,
    dots: *mut i32,
}

/// Eight columns of two rows: r0 to r3 of the vector, r5 of a row; r4, r6 and r7 point at them, r8 to r11
/// are the sums, r12 is the mask of the outer bytes, lr is free.
macro_rules! eight {
    () => {
        "ldm r4!, {{r0, r1, r2, r3}}
        ldr r5, [r6], #4
        and lr, r12, r5
        smlal r8, r9, lr, r0
        and lr, r12, r5, ror #16
        smlal r8, r9, lr, r1
        ldr r5, [r7], #4
        and lr, r12, r5
        smlal r10, r11, lr, r0
        and lr, r12, r5, ror #16
        smlal r10, r11, lr, r1
        ldr r5, [r6], #4
        and lr, r12, r5
        smlal r8, r9, lr, r2
        and lr, r12, r5, ror #16
        smlal r8, r9, lr, r3
        ldr r5, [r7], #4
        and lr, r12, r5
        smlal r10, r11, lr, r2
        and lr, r12, r5, ror #16
        smlal r10, r11, lr, r3"
    };
}

/// Adds the dot products of one chunk of the columns to `dots`, two rows at a time: 45 instructions
/// for 32 products, and 22 for each pair of rows.
///
/// # Safety
///
/// Neither `mixed` nor `dots` is empty, and `mixed` has at most [`CHUNK`] elements. For each pair of
/// `dots` two rows, `stride` apart, have as many columns as `mixed`, a multiple of eight. All is
/// aligned to words.
#[inline(never)]
unsafe fn add_products(pass: &mut Pass) {
    // SAFETY: reads and writes what the caller vouches for. r6 and r7 are as before at the end, and hold
    // no operand.
    unsafe {
        asm!(
            "push {{r6, r7}}",
            "ldrd r0, r1, [lr, #16]",
            "push {{r0, r1, r12, lr}}",
            "ldrd r6, r7, [lr, #4]",
            "add r7, r6",
            "mov r12, #255",
            "orr r12, #0xff000000",
            // A pair of rows. The lowest part of a sum may be negative: its half of 2^24 keeps it from
            // borrowing.
            "2:",
            "ldr r4, [lr]",
            "ldr r5, [lr, #24]",
            "mov r8, #0x800000",
            "mov r9, #0",
            "mov r10, r8",
            "mov r11, r9",
            // 16 columns a turn; of an odd number of eights, the first turn is the second half.
            "cbnz r5, 4f",
            "3:",
            eight!(),
            "4:",
            eight!(),
            "ldr lr, [sp]",
            "cmp r4, lr",
            "bne 3b",
            "ldr lr, [sp, #12]",
            "ldr r4, [lr, #28]",
            "ldrd r0, r1, [r4]",
            "lsr r8, r8, #16",
            "orr r8, r8, r9, lsl #16",
            "add r0, r0, r8, asr #8",
            "lsr r10, r10, #16",
            "orr r10, r10, r11, lsl #16",
            "add r1, r1, r10, asr #8",
            "strd r0, r1, [r4], #8",
            "str r4, [lr, #28]",
            "ldr r1, [sp, #4]",
            "ldr r0, [lr, #12]",
            "add r6, r0",
            "add r7, r0",
            "cmp r4, r1",
            "bne 2b",
            "add sp, #16",
            "pop {{r6, r7}}",
            inout("lr") pass => _,
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

/// See [`super::Kernels::scores`]. Two slots share the loads of the query.
#[inline(never)]
pub(super) fn scores(query: &Operand, keys: &[i8], key_scales: &[u16], factor: i32, scores: &mut [i16]) {
    let width = query.columns();
    let start = query.plain_start();
    let aligned = is_aligned(keys.as_ptr()) && is_aligned(query.mixed.as_ptr());
    let fits = width.is_multiple_of(8) && width <= 4 * CHUNK;
    let slots = scores.len().min(key_scales.len()).min(keys.len().checked_div(width).unwrap_or(0));
    let mut done = 0;
    if aligned && fits && slots >= 2 {
        done = slots / 2 * 2;
        let mut pass = ScorePass {
            mixed: query.mixed.as_ptr(),
            odd: query.mixed.len() & 2,
            start: (i64::from(start) << 24) + (1 << 23),
            mixed_end: query.mixed.as_ptr_range().end,
            scales_end: key_scales.as_ptr().wrapping_add(done),
            keys: keys.as_ptr(),
            width,
            factor,
            scales: key_scales.as_ptr(),
            scores: scores.as_mut_ptr(),
        };
        // SAFETY: so many slots, at least two, have keys of `width` columns, a multiple of eight, scales and
        // scores; all is aligned to words.
        unsafe { scores_of_pairs(&mut pass) };
    }
    let rest = keys.chunks(width.max(1)).zip(key_scales);
    for (stored, (row, scale)) in scores.iter_mut().zip(rest).skip(done) {
        let row = bytemuck::try_cast_slice(row).unwrap_or(&[]);
        *stored = score(start + scalar::dot(row, query.plain), *scale, factor);
    }
}

/// What [`scores_of_pairs`] loads by its offset.
#[repr(C)]
struct ScorePass {
    mixed: *const [i16; 4],
    /// Whether the columns are an odd number of eights.
    odd: usize,
    start: i64,
    mixed_end: *const [i16; 4],
    scales_end: *const u16,
    keys: *const i8,
    width: usize,
    factor: i32,
    scales: *const u16,
    scores: *mut i16,
}

/// Scores of slots in pairs: 47 instructions for each pair, and 45 for 32 products.
///
/// # Safety
///
/// `scales` is not their end, and `mixed`, of which there is at most a [`CHUNK`], is not empty. For each
/// of the scales, an even number, there is a score, and a key that has as many columns as `mixed`, a
/// multiple of eight. Keys are aligned to words.
#[inline(never)]
unsafe fn scores_of_pairs(pass: &mut ScorePass) {
    // SAFETY: reads and writes what the caller vouches for. r6 and r7 are as before at the end, and hold
    // no operand.
    unsafe {
        asm!(
            "push {{r6, r7}}",
            "ldrd r0, r1, [lr, #16]",
            "push {{r0, r1, r12, lr}}",
            "ldrd r6, r7, [lr, #24]",
            "add r7, r6",
            "mov r12, #255",
            "orr r12, #0xff000000",
            // Two slots.
            "2:",
            "ldrd r4, r5, [lr]",
            "ldrd r8, r9, [lr, #8]",
            "mov r10, r8",
            "mov r11, r9",
            // 16 columns a turn; of an odd number of eights, the first turn is the second half.
            "cbnz r5, 4f",
            "3:",
            eight!(),
            "4:",
            eight!(),
            "ldr lr, [sp]",
            "cmp r4, lr",
            "bne 3b",
            // 256 times the dot products.
            "lsr r8, r8, #16",
            "orr r8, r8, r9, lsl #16",
            "bic r8, #255",
            "lsr r10, r10, #16",
            "orr r10, r10, r11, lsl #16",
            "bic r10, #255",
            // Times scales and factor.
            "ldr lr, [sp, #12]",
            "ldrd r0, r1, [lr, #32]",
            "ldr r4, [lr, #40]",
            "ldrh r2, [r1], #2",
            "ldrh r3, [r1], #2",
            "lsl r2, r2, #16",
            "lsl r3, r3, #16",
            "smull r5, r2, r8, r2",
            "smull r5, r3, r10, r3",
            "smull r5, r2, r2, r0",
            "smull r5, r3, r3, r0",
            "ssat r2, #16, r2",
            "ssat r3, #16, r3",
            "strh r2, [r4], #2",
            "strh r3, [r4], #2",
            "strd r1, r4, [lr, #36]",
            // The next keys lie behind the second one.
            "ldr r2, [lr, #28]",
            "mov r6, r7",
            "add r7, r2",
            "ldr r2, [sp, #4]",
            "cmp r1, r2",
            "bne 2b",
            "add sp, #16",
            "pop {{r6, r7}}",
            inout("lr") pass => _,
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

/// See [`super::Kernels::weighted_values`]. Eight columns at a time.
#[inline(never)]
pub(super) fn weighted_values(weights: &[i16], values: &[i8], outputs: &mut [i32]) {
    let width = outputs.len();
    let rows = values.len().checked_div(width).unwrap_or(0);
    if weights.is_empty() || !weights.len().is_multiple_of(4) || rows < weights.len() {
        return scalar::weighted_values(weights, values, outputs);
    }
    let mut columns = values;
    let (blocks, rest) = outputs.as_chunks_mut::<8>();
    for block in blocks {
        // SAFETY: each of the weights, at least four and in whole fours, has a row of `width` values, of
        // which these eight are within.
        unsafe { eight_columns(weights, columns.as_ptr(), width, block) };
        columns = columns.get(8..).unwrap_or(&[]);
    }
    for block in rest.as_chunks_mut::<4>().0 {
        *block = scalar::some_columns(weights, columns, width);
        columns = columns.get(4..).unwrap_or(&[]);
    }
}

/// The weighted sums of eight columns: 18.5 instructions for each slot.
///
/// # Safety
///
/// There are weights, in whole fours. For each of them eight values are readable at `values` and every
/// `stride` bytes behind it.
#[inline(always)]
unsafe fn eight_columns(weights: &[i16], values: *const i8, stride: usize, sums: &mut [i32; 8]) {
    macro_rules! slot {
        () => {
            "ldrsh r7, [r11], #2
            ldrsb r6, [r10]
            mla r0, r6, r7, r0
            ldrsb r6, [r10, #1]
            mla r1, r6, r7, r1
            ldrsb r6, [r10, #2]
            mla r2, r6, r7, r2
            ldrsb r6, [r10, #3]
            mla r3, r6, r7, r3
            ldrsb r6, [r10, #4]
            mla r4, r6, r7, r4
            ldrsb r6, [r10, #5]
            mla r5, r6, r7, r5
            ldrsb r6, [r10, #6]
            mla r8, r6, r7, r8
            ldrsb r6, [r10, #7]
            mla r9, r6, r7, r9
            add r10, r12"
        };
    }
    let range = weights.as_ptr_range();
    *sums = [0; 8];
    let [s0, s1, s2, s3, s4, s5, s6, s7] = sums;
    // SAFETY: reads what the caller vouches for. r6 and r7 are as before at the end, and hold no operand.
    unsafe {
        asm!(
            "push {{r6, r7}}",
            "2:",
            slot!(),
            slot!(),
            slot!(),
            slot!(),
            "cmp r11, lr",
            "bne 2b",
            "pop {{r6, r7}}",
            inout("r0") *s0,
            inout("r1") *s1,
            inout("r2") *s2,
            inout("r3") *s3,
            inout("r4") *s4,
            inout("r5") *s5,
            inout("r8") *s6,
            inout("r9") *s7,
            inout("r10") values => _,
            inout("r11") range.start => _,
            in("r12") stride,
            in("lr") range.end,
        );
    }
}

fn is_aligned<T>(pointer: *const T) -> bool {
    pointer.addr().is_multiple_of(4)
}
