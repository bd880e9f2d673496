//! What is done to every element of a vector: loops of four elements a turn, where the compiler's
//! instructions are more than needed.

use super::instructions::{smlad, smmla, sxtb16, sxtb16_high};
use core::arch::asm;

/// See [`crate::model::numerics::maximum`].
#[inline(never)]
pub fn maximum(values: &[i32]) -> u32 {
    let (quads, rest) = values.as_chunks::<4>();
    let range = quads.as_ptr_range();
    let mut largest = 0u32;
    if !quads.is_empty() {
        // SAFETY: reads the quads, of which there is at least one. r6 is as before at the end, and holds
        // no operand.
        unsafe {
            asm!(
                "push {{r6}}",
                "2:",
                "ldm r0!, {{r2, r3, r4, r5}}",
                "eor r6, r2, r2, asr #31",
                "sub r2, r6, r2, asr #31",
                "cmp r2, r12",
                "it hi",
                "movhi r12, r2",
                "eor r6, r3, r3, asr #31",
                "sub r3, r6, r3, asr #31",
                "cmp r3, r12",
                "it hi",
                "movhi r12, r3",
                "eor r6, r4, r4, asr #31",
                "sub r4, r6, r4, asr #31",
                "cmp r4, r12",
                "it hi",
                "movhi r12, r4",
                "eor r6, r5, r5, asr #31",
                "sub r5, r6, r5, asr #31",
                "cmp r5, r12",
                "it hi",
                "movhi r12, r5",
                "cmp r0, r1",
                "bne 2b",
                "pop {{r6}}",
                inout("r0") range.start => _,
                in("r1") range.end,
                inout("r12") largest,
                out("r2") _,
                out("r3") _,
                out("r4") _,
                out("r5") _,
            );
        }
    }
    rest.iter().fold(largest, |largest, value| largest.max(value.unsigned_abs()))
}

/// Sets negative values to 0 and returns the largest.
#[inline(never)]
pub fn rectify(values: &mut [i32]) -> u32 {
    let (quads, rest) = values.as_chunks_mut::<4>();
    let range = quads.as_mut_ptr_range();
    let mut largest = 0u32;
    if !quads.is_empty() {
        // SAFETY: reads and writes the quads, of which there is at least one.
        unsafe {
            asm!(
                "2:",
                "ldm r0, {{r2, r3, r4, r5}}",
                "bic r2, r2, r2, asr #31",
                "cmp r2, r12",
                "it hi",
                "movhi r12, r2",
                "bic r3, r3, r3, asr #31",
                "cmp r3, r12",
                "it hi",
                "movhi r12, r3",
                "bic r4, r4, r4, asr #31",
                "cmp r4, r12",
                "it hi",
                "movhi r12, r4",
                "bic r5, r5, r5, asr #31",
                "cmp r5, r12",
                "it hi",
                "movhi r12, r5",
                "stm r0!, {{r2, r3, r4, r5}}",
                "cmp r0, r1",
                "bne 2b",
                inout("r0") range.start => _,
                in("r1") range.end,
                inout("r12") largest,
                out("r2") _,
                out("r3") _,
                out("r4") _,
                out("r5") _,
                options(nostack),
            );
        }
    }
    rest.iter_mut().fold(largest, |largest, value| {
        *value = (*value).max(0);
        largest.max(*value as u32)
    })
}

/// See [`crate::model::numerics::quantize`]: the values are shifted left, multiplied by the reciprocal of
/// their maximum, and rounded.
#[inline(never)]
pub fn quantize(values: &[i32], shift: u32, reciprocal: i32, quantized: &mut [i8]) {
    const HALF: u32 = 1 << 21;
    let ((quads, rest), (bytes, last)) = (values.as_chunks::<4>(), quantized.as_chunks_mut::<4>());
    let count = quads.len().min(bytes.len());
    if count > 0 {
        // SAFETY: reads and writes as many quads, at least one.
        unsafe {
            asm!(
                "2:",
                "ldm r0!, {{r2, r3, r4, r5}}",
                "lsl r2, r2, r8",
                "lsl r3, r3, r8",
                "lsl r4, r4, r8",
                "lsl r5, r5, r8",
                "smmla r2, r2, r9, r10",
                "smmla r3, r3, r9, r10",
                "smmla r4, r4, r9, r10",
                "smmla r5, r5, r9, r10",
                "lsr r2, r2, #22",
                "lsr r3, r3, #22",
                "lsr r4, r4, #22",
                "lsr r5, r5, #22",
                "strb r2, [r12], #1",
                "strb r3, [r12], #1",
                "strb r4, [r12], #1",
                "strb r5, [r12], #1",
                "cmp r0, r1",
                "bne 2b",
                inout("r0") quads.as_ptr() => _,
                in("r1") quads.as_ptr().wrapping_add(count),
                inout("r12") bytes.as_mut_ptr() => _,
                in("r8") shift,
                in("r9") reciprocal,
                in("r10") HALF,
                out("r2") _,
                out("r3") _,
                out("r4") _,
                out("r5") _,
                options(nostack),
            );
        }
    }
    for (q, value) in last.iter_mut().zip(rest) {
        *q = (smmla((*value << shift) as u32, reciprocal as u32, HALF) >> 22) as i8;
    }
}

/// See [`crate::model::numerics::sum_of_squares`].
#[inline(never)]
pub fn sum_of_squares(values: &[i8]) -> u32 {
    let (words, rest) = values.as_chunks::<4>();
    let sum = words.iter().fold(0, |sum, bytes| {
        let word = u32::from_le_bytes(bytes.map(|byte| byte as u8));
        let (even, odd) = (sxtb16(word), sxtb16_high(word));
        smlad(odd, odd, smlad(even, even, sum))
    });
    rest.iter().fold(sum, |sum, q| sum + (i32::from(*q) * i32::from(*q)) as u32)
}
