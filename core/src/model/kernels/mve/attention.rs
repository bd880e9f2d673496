//! Attention: 19 instructions for the scores of four slots, 12 for eight weights, 10 for 32 products with
//! values.

use crate::model::kernels::scalar;
use crate::model::kernels::softmax::{power, Softmax};
use core::arch::asm;

/// See [`crate::Kernels::scores`].
pub fn scores(query: &[i8], keys: &[i8], key_scales: &[u16], factor: i32, scores: &mut [i16]) {
    let width = query.len();
    let slots = scores.len().min(key_scales.len()).min(keys.len().checked_div(width).unwrap_or(0));
    let (quads, _) = scores.get_mut(..slots).unwrap_or(&mut []).as_chunks_mut::<4>();
    let done = 4 * quads.len();
    if width == 16 {
        // SAFETY: `slots` keys and scales exist, each key has as many elements as the query, 16.
        unsafe { scores_of_16(query, keys, key_scales, factor, quads) };
    } else {
        let rows = keys.chunks_exact((4 * width).max(1));
        for ((quad, rows), scales) in quads.iter_mut().zip(rows).zip(key_scales.as_chunks::<4>().0) {
            // SAFETY: `rows` are four, each as long as the query.
            let dots = unsafe { four_dots(query, rows) };
            four_scores(dots, scales, factor, quad);
        }
    }
    let (keys, key_scales) = (keys.get(done * width..).unwrap_or(&[]), key_scales.get(done..).unwrap_or(&[]));
    scalar::scores(query, keys, key_scales, factor, scores.get_mut(done..).unwrap_or(&mut []));
}

/// Dots in r0, r2, r4 and r8 become scores of 16 bits in q0; q3 is the factor. See
/// [`crate::model::kernels::softmax::score`] for the arithmetic.
macro_rules! score {
    ($scales:literal, $scores:literal) => {
        concat!(
            "vmov q0[2], q0[0], r0, r4\n",
            "vmov q0[3], q0[1], r2, r8\n",
            "vldrh.u32 q1, [",
            $scales,
            "], #8\n",
            "vshl.i32 q0, q0, #8\n",
            "vshl.i32 q1, q1, #16\n",
            "vmulh.s32 q0, q0, q1\n",
            "vmulh.s32 q0, q0, q3\n",
            "vqmovnb.s32 q0, q0\n",
            "vstrh.32 q0, [",
            $scores,
            "], #8",
        )
    };
}

/// Scores of heads of 16 columns: 18 instructions for four.
///
/// # Safety
///
/// `query` has 16 elements, `keys` as many for each score, `key_scales` one.
#[inline(never)]
unsafe fn scores_of_16(query: &[i8], keys: &[i8], key_scales: &[u16], factor: i32, scores: &mut [[i16; 4]]) {
    // SAFETY: reads and writes what the caller vouches for; without scores the loop is not entered.
    unsafe {
        asm!(
            "vldrb.u8 q2, [r10]",
            "vdup.32 q3, r11",
            "wls lr, r12, 3f",
            "2:",
            "vldrb.u8 q0, [r1], #16",
            "vmladav.s8 r0, q0, q2",
            "vldrb.u8 q1, [r1], #16",
            "vmladav.s8 r2, q1, q2",
            "vldrb.u8 q0, [r1], #16",
            "vmladav.s8 r4, q0, q2",
            "vldrb.u8 q1, [r1], #16",
            "vmladav.s8 r8, q1, q2",
            score!("r5", "r3"),
            "le lr, 2b",
            "3:",
            out("r0") _,
            inout("r1") keys.as_ptr() => _,
            out("r2") _,
            inout("r3") scores.as_mut_ptr() => _,
            out("r4") _,
            inout("r5") key_scales.as_ptr() => _,
            out("r8") _,
            in("r10") query.as_ptr(),
            in("r11") factor,
            in("r12") scores.len(),
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            options(nostack),
        );
    }
}

/// Products of four rows with the query.
///
/// # Safety
///
/// `rows` has four times as many elements as `query`.
#[inline(always)]
unsafe fn four_dots(query: &[i8], rows: &[i8]) -> [i32; 4] {
    let row = |index: usize| rows.as_ptr().wrapping_add(index * query.len());
    let [mut d0, mut d1, mut d2, mut d3] = [0; 4];
    // SAFETY: reads what the caller vouches for.
    unsafe {
        asm!(
            "wlstp.8 lr, r9, 3f",
            "2:",
            "vldrb.u8 q0, [r12], #16",
            "vldrb.u8 q1, [r1], #16",
            "vmladava.s8 r0, q1, q0",
            "vldrb.u8 q1, [r3], #16",
            "vmladava.s8 r2, q1, q0",
            "vldrb.u8 q1, [r5], #16",
            "vmladava.s8 r4, q1, q0",
            "vldrb.u8 q1, [r10], #16",
            "vmladava.s8 r8, q1, q0",
            "letp lr, 2b",
            "3:",
            inout("r0") d0,
            inout("r1") row(0) => _,
            inout("r2") d1,
            inout("r3") row(1) => _,
            inout("r4") d2,
            inout("r5") row(2) => _,
            inout("r8") d3,
            in("r9") query.len(),
            inout("r10") row(3) => _,
            inout("r12") query.as_ptr() => _,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            options(readonly, nostack),
        );
    }
    [d0, d1, d2, d3]
}

#[inline(always)]
fn four_scores([d0, d1, d2, d3]: [i32; 4], key_scales: &[u16; 4], factor: i32, scores: &mut [i16; 4]) {
    // SAFETY: reads four scales and writes four scores.
    unsafe {
        asm!(
            "vdup.32 q3, r11",
            score!("r5", "r3"),
            in("r0") d0,
            in("r2") d1,
            in("r4") d2,
            in("r8") d3,
            inout("r3") scores.as_mut_ptr() => _,
            inout("r5") key_scales.as_ptr() => _,
            in("r11") factor,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d6") _, out("d7") _,
            options(nostack),
        );
    }
}

/// `2^(below / 256)` in Q15 for scores below the largest one, by what they are above a multiple of 256,
/// before a shift by the negative multiple: [`power`] counts from the multiple above.
static POWERS: [u16; 256] = {
    let mut powers = [power(0) as u16; 256];
    let mut above = 1;
    while above < 256 {
        powers[above] = 2 * power(256 - above as u32) as u16;
        above += 1;
    }
    powers
};

/// See [`crate::Kernels::softmax`].
pub fn softmax(scores: &mut [i16], value_scales: &[u16]) -> Softmax {
    if scores.len() != value_scales.len() {
        return scalar::softmax(scores, value_scales);
    }
    let largest = scores.iter().copied().max().unwrap_or(0);
    let mut softmax = Softmax::new(value_scales);
    // SAFETY: both have the same length.
    softmax.total = unsafe { weigh(scores, value_scales, largest, softmax.exponent) };
    softmax
}

/// Makes weights of scores and returns the sum of their powers: 12 instructions for eight. Where the
/// difference of scores saturates, the power is 0.
///
/// # Safety
///
/// `value_scales` has an element for each of `scores`.
#[inline(never)]
unsafe fn weigh(scores: &mut [i16], value_scales: &[u16], largest: i16, exponent: i32) -> u32 {
    let total: u32;
    // SAFETY: reads and writes what the caller vouches for, and elements 0 to 255 of `POWERS`.
    unsafe {
        asm!(
            "vdup.16 q3, r4",
            "wlstp.16 lr, r5, 3f",
            "2:",
            "vldrh.u16 q0, [r0]",
            "vqsub.s16 q0, q0, q3",
            "vmovlb.u8 q1, q0",
            "vldrh.u16 q2, [r3, q1, uxtw #1]",
            "vshr.s16 q0, q0, #8",
            "vshl.u16 q0, q2, q0",
            "vldrh.u16 q1, [r1], #16",
            "vaddva.u16 r2, q0",
            "vshl.u16 q1, r8",
            "vmulh.u16 q0, q0, q1",
            "vstrh.16 q0, [r0], #16",
            "letp lr, 2b",
            "3:",
            inout("r0") scores.as_mut_ptr() => _,
            inout("r1") value_scales.as_ptr() => _,
            inout("r2") 0 => total,
            in("r3") POWERS.as_ptr(),
            in("r4") i32::from(largest),
            in("r5") scores.len(),
            in("r8") exponent,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            options(nostack),
        );
    }
    total
}

/// See [`crate::Kernels::weighted_values`]; [`super::ring`] says how the values lie.
pub fn weighted_values(weights: &[i16], values: &[i8], outputs: &mut [i32]) {
    let slots = values.len().checked_div(outputs.len()).unwrap_or(0);
    let weights = weights.get(..slots).unwrap_or(weights);
    let (blocks, _) = outputs.as_chunks_mut::<4>();
    for (block, values) in blocks.iter_mut().zip(values.chunks_exact((4 * slots).max(1))) {
        // SAFETY: `values` are four columns of `slots` elements, and no more weights exist.
        *block = unsafe { four_columns(weights, values.as_ptr(), slots) };
    }
}

/// # Safety
///
/// A value for each of `weights` is readable at `values` and at one, two and three times `slots` behind.
#[inline(always)]
unsafe fn four_columns(weights: &[i16], values: *const i8, slots: usize) -> [i32; 4] {
    let column = |index: usize| values.wrapping_add(index * slots);
    let [mut s0, mut s1, mut s2, mut s3] = [0; 4];
    // SAFETY: reads what the caller vouches for.
    unsafe {
        asm!(
            "wlstp.16 lr, r9, 3f",
            "2:",
            "vldrh.u16 q0, [r5], #16",
            "vldrb.s16 q1, [r0], #8",
            "vmladava.s16 r4, q1, q0",
            "vldrb.s16 q1, [r1], #8",
            "vmladava.s16 r8, q1, q0",
            "vldrb.s16 q1, [r2], #8",
            "vmladava.s16 r10, q1, q0",
            "vldrb.s16 q1, [r3], #8",
            "vmladava.s16 r12, q1, q0",
            "letp lr, 2b",
            "3:",
            // Widening loads take addresses in low registers only.
            inout("r0") column(0) => _,
            inout("r1") column(1) => _,
            inout("r2") column(2) => _,
            inout("r3") column(3) => _,
            inout("r4") s0,
            inout("r5") weights.as_ptr() => _,
            inout("r8") s1,
            in("r9") weights.len(),
            inout("r10") s2,
            inout("r12") s3,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            options(readonly, nostack),
        );
    }
    [s0, s1, s2, s3]
}
