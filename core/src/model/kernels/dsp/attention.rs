//! Attention with the DSP extension, over rows that are paired (see `ring_rows`).

use super::instructions::*;
use crate::model::kernels::coding::Operand;
use crate::model::kernels::scalar;
use crate::model::kernels::softmax::{self, Softmax};
use core::arch::asm;

/// See [`crate::Kernels::scores`].
#[inline(never)]
pub fn scores(query: &Operand, keys: &[i8], key_scales: &[u16], factor: i32, scores: &mut [i16]) {
    let slots = scores.len().min(key_scales.len());
    let scores = scores.get_mut(..slots).unwrap_or(&mut []);
    let words: &[u32] = bytemuck::try_cast_slice(keys).unwrap_or(&[]);
    let mixed: &[[u32; 2]] = bytemuck::try_cast_slice(query.mixed).unwrap_or(&[]);
    let mut done = 0;
    if let ([a, b, c, d], true) = (mixed, slots >= 4) {
        let quads = (slots / 4).min(words.len() / 16);
        let pass = Pass {
            factor,
            end: key_scales.as_ptr().wrapping_add(4 * quads),
            scores: scores.as_mut_ptr(),
            keys: words.as_ptr(),
            scales: key_scales.as_ptr(),
            query: [*a, *b, *c, *d],
        };
        if quads > 0 {
            // SAFETY: four slots for each of the quads, at least one, have keys of four words, scales and
            // scores.
            unsafe { scores_of_16(&pass) };
            done = 4 * quads;
        }
    }
    let rest = words.chunks(mixed.len().max(1)).zip(key_scales);
    for (score, (row, scale)) in scores.iter_mut().zip(rest).skip(done) {
        *score = scaled(dot(mixed, row), *scale, factor);
    }
}

/// What [`scores_of_16`] loads by its offset.
#[repr(C)]
struct Pass {
    factor: i32,
    end: *const u16,
    scores: *mut i16,
    keys: *const u32,
    scales: *const u16,
    query: [[u32; 2]; 4],
}

/// Scores of slots in whole fours, of heads as wide as 16: the query stays in registers. 20
/// instructions a slot, and 3 for each four of them.
///
/// # Safety
///
/// `scales` is not `end`. For each of the scales up to it, a multiple of four, there are four words of
/// `keys` and a score.
#[inline(never)]
unsafe fn scores_of_16(pass: &Pass) {
    // A slot: key in r6 and r7, its sum in lr, the query in r0 to r5, r8 and r9.
    macro_rules! slot {
        () => {
            "ldrd r6, r7, [r11], #8
            smuad lr, r6, r0
            sxtb16 r6, r6
            smlad lr, r6, r1, lr
            smlad lr, r7, r2, lr
            sxtb16 r7, r7
            smlad lr, r7, r3, lr
            ldrd r6, r7, [r11], #8
            smlad lr, r6, r4, lr
            sxtb16 r6, r6
            smlad lr, r6, r5, lr
            smlad lr, r7, r8, lr
            sxtb16 r7, r7
            smlad lr, r7, r9, lr
            ldrh r6, [r12], #2
            ldr r7, [sp]
            smulwb lr, lr, r6
            smmul lr, lr, r7
            ssat lr, #16, lr
            strh lr, [r10], #2"
        };
    }
    // SAFETY: reads and writes what the caller vouches for. r6 and r7 are as before at the end, and hold
    // no operand.
    unsafe {
        asm!(
            "push {{r6, r7}}",
            "ldrd r0, r1, [lr]",
            "push {{r0, r1}}",
            "ldr r10, [lr, #8]",
            "ldrd r11, r12, [lr, #12]",
            "ldrd r0, r1, [lr, #20]",
            "ldrd r2, r3, [lr, #28]",
            "ldrd r4, r5, [lr, #36]",
            "ldrd r8, r9, [lr, #44]",
            "2:",
            slot!(),
            slot!(),
            slot!(),
            slot!(),
            "ldr r7, [sp, #4]",
            "cmp r12, r7",
            "bne 2b",
            "add sp, #8",
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

/// 256 times the dot product of a query and a key.
#[inline(always)]
fn dot(query: &[[u32; 2]], key: &[u32]) -> u32 {
    query
        .iter()
        .zip(key)
        .fold(0, |sum, ([odd, mix], word)| smlad(sxtb16(*word), *mix, smlad(*word, *odd, sum)))
}

#[inline(always)]
fn scaled(dot: u32, scale: u16, factor: i32) -> i16 {
    ssat(smmul(smulwb(dot, scale.into()), factor as u32)) as i16
}

/// See [`crate::Kernels::softmax`].
#[inline(never)]
pub fn softmax(scores: &mut [i16], value_scales: &[u16]) -> Softmax {
    // With more slots the scales of values lose bits, which those of a pair would have to keep apart.
    const MOST: usize = 1024;
    let slots = scores.len().min(value_scales.len());
    let (scores, value_scales) =
        (scores.get_mut(..slots).unwrap_or(&mut []), value_scales.get(..slots).unwrap_or(&[]));
    let pairs: &[u32] =
        bytemuck::try_cast_slice(value_scales.get(..slots / 2 * 2).unwrap_or(&[])).unwrap_or(&[]);
    if slots > MOST || pairs.len() != slots / 2 {
        return scalar::softmax(scores, value_scales);
    }
    let odd = value_scales.get(slots / 2 * 2).map_or(0, |scale| u32::from(*scale));
    let all = fold(pairs, odd, |a, b| a | b);
    let mut softmax = Softmax::of(all | all >> 16, slots);
    let (words, last) = scores.split_at_mut_checked(slots / 2 * 2).unwrap_or_default();
    let words: &mut [u32] = bytemuck::try_cast_slice_mut(words).unwrap_or(&mut []);
    let largest = fold(words, last.first().map_or(0x8000_8000, |score| both(*score)), largest16);
    let largest = (largest as i16).max((largest >> 16) as i16);
    // SAFETY: there are as many pairs of scales as words.
    softmax.total = unsafe { weigh(words, pairs, both(largest), softmax.exponent) };
    if let (Some(score), Some(scale)) = (last.first_mut(), value_scales.last()) {
        *score = softmax.weight(softmax::power(largest.abs_diff(*score).into()), *scale);
    }
    softmax
}

/// Replaces two scores a word by two weights and returns the sum of the powers: 20 instructions a word, and
/// 2 for each two of them.
///
/// # Safety
///
/// There are as many `scales` as words.
#[inline(always)]
unsafe fn weigh(words: &mut [u32], scales: &[u32], largest: u32, exponent: i32) -> u32 {
    let range = words.as_mut_ptr_range();
    let mut total = 0;
    if words.is_empty() {
        return total;
    }
    // r6: how far the scores are below the largest; r7: the power of the lower one, then its weight; r12:
    // the same of the upper one.
    macro_rules! word {
        () => {
            "ldr r6, [r0]
            ldr r11, [r1], #4
            ssub16 r6, r2, r6
            lsl r11, r11, r3
            uxtb r7, r6
            mls r12, r7, r4, r5
            mls r7, r7, r12, r8
            ubfx r12, r6, #8, #8
            lsr r7, r7, r12
            add r9, r9, r7, lsr #16
            smultb r7, r7, r11
            uxtb r12, r6, ror #16
            mls lr, r12, r4, r5
            mls r12, r12, lr, r8
            lsr r6, r6, #24
            lsr r12, r12, r6
            add r9, r9, r12, lsr #16
            smultt r12, r12, r11
            pkhtb r12, r12, r7, asr #16
            str r12, [r0], #4"
        };
    }
    // SAFETY: reads and writes what the caller vouches for. r6 and r7 are as before at the end, and hold
    // no operand.
    unsafe {
        asm!(
            "push {{r6, r7}}",
            // Two words a turn; of an odd number, the first turn is the second half.
            "sub r6, r10, r0",
            "tst r6, #4",
            "bne 3f",
            "2:",
            word!(),
            "3:",
            word!(),
            "cmp r0, r10",
            "bne 2b",
            "pop {{r6, r7}}",
            inout("r0") range.start => _,
            in("r10") range.end,
            inout("r1") scales.as_ptr() => _,
            in("r2") largest,
            in("r3") exponent,
            in("r4") softmax::POWER_SQUARE,
            in("r5") softmax::POWER_LINEAR,
            in("r8") i32::MAX,
            inout("r9") total,
            out("r11") _,
            out("r12") _,
            out("lr") _,
        );
    }
    total
}

/// Combines `first` with all words, four a turn of the loop.
#[inline(always)]
fn fold(words: &[u32], first: u32, combine: impl Fn(u32, u32) -> u32) -> u32 {
    let (quads, rest) = words.as_chunks::<4>();
    let all =
        quads.iter().fold(first, |all, [a, b, c, d]| combine(combine(all, *a), combine(combine(*b, *c), *d)));
    rest.iter().fold(all, |all, word| combine(all, *word))
}

/// The same in both halves.
fn both(score: i16) -> u32 {
    u32::from(score as u16) * 0x1_0001
}

/// See [`crate::Kernels::weighted_values`]. Four columns at a time.
#[inline(never)]
pub fn weighted_values(weights: &[i16], values: &[i8], outputs: &mut [i32]) {
    let words: &[u32] = bytemuck::try_cast_slice(values).unwrap_or(&[]);
    let weights: &[[u32; 2]] = bytemuck::try_cast_slice(weights).unwrap_or(&[]);
    let width = outputs.len();
    let groups = weights.len().min(words.len().checked_div(width).unwrap_or(0));
    let weights = weights.get(..groups).unwrap_or(&[]);
    if weights.is_empty() {
        return outputs.fill(0);
    }
    for (index, block) in outputs.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        // SAFETY: `weights` is not empty, and for each of its groups there are `width` words, of which
        // these four are within.
        *block = unsafe { four_columns(weights, words.as_ptr().wrapping_add(4 * index), 4 * width) };
    }
}

/// The weighted sums of four columns: 15 instructions for 16 products, 1 for each group of slots, and 2
/// for each two of them; 1 more for each group of heads that are not as wide as 16.
///
/// # Safety
///
/// For each of `weights`, at least one, four words are readable at `words` and every `stride` bytes
/// behind it.
#[inline(always)]
unsafe fn four_columns(weights: &[[u32; 2]], words: *const u32, stride: usize) -> [i32; 4] {
    let range = weights.as_ptr_range();
    // Sums of odd columns times 256 and even ones, and of even ones alone.
    let [mut low0, mut high0, mut even0, mut low1, mut high1, mut even1] = [0u32; 6];
    // The pointer passes the first two words of a group as it loads them.
    let advance = stride.wrapping_sub(8);
    // Two groups a turn; of an odd number, the first turn is the second half.
    macro_rules! sum {
        ($group:ident) => {
            asm!(
                "push {{r6, r7}}",
                "sub r12, r9, r8",
                "tst r12, #8",
                "bne 3f",
                "2:",
                $group!(),
                "3:",
                $group!(),
                "cmp r8, r9",
                "bne 2b",
                "pop {{r6, r7}}",
                inout("r8") range.start => _,
                in("r9") range.end,
                inout("r10") words => _,
                in("r11") advance,
                inout("r0") low0,
                inout("r1") high0,
                inout("r2") even0,
                inout("r3") low1,
                inout("r4") high1,
                inout("r5") even1,
                out("r12") _,
                out("lr") _,
            )
        };
    }
    macro_rules! group {
        ($second:literal, $advance:literal) => {
            concat!(
                "ldrd r12, lr, [r8], #8\n",
                "ldrd r6, r7, [r10], #8\n",
                "smlald r0, r1, r6, r12\n",
                "sxtb16 r6, r6\n",
                "smlad r2, r6, r12, r2\n",
                "smlald r3, r4, r7, r12\n",
                "sxtb16 r7, r7\n",
                "smlad r5, r7, r12, r5\n",
                "ldrd r6, r7, [r10]",
                $second,
                "\n",
                "smlald r0, r1, r6, lr\n",
                "sxtb16 r6, r6\n",
                "smlad r2, r6, lr, r2\n",
                "smlald r3, r4, r7, lr\n",
                "sxtb16 r7, r7\n",
                "smlad r5, r7, lr, r5\n",
                $advance,
            )
        };
    }
    macro_rules! of_16 {
        () => {
            group!(", #56", "")
        };
    }
    macro_rules! of_any_width {
        () => {
            group!("", "add r10, r11")
        };
    }
    // SAFETY: reads the weights and four words for each group. r6 and r7 are as before at the end, and
    // hold no operand.
    unsafe {
        match stride {
            64 => sum!(of_16),
            _ => sum!(of_any_width),
        }
    }
    let odd = |low: u32, high: u32, even: u32| {
        let sum = i64::from(low) | i64::from(high) << 32;
        ((sum - i64::from(even as i32)) >> 8) as i32
    };
    [even0 as i32, odd(low0, high0, even0), even1 as i32, odd(low1, high1, even1)]
}
