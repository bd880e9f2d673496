//! What is done to every element of a vector, where the compiler's instructions are more than needed.
//! Loops take four elements a turn: the compiler does not unroll loops with assembly in them.

use super::instructions::{magnitude, smlad, smmla, sxtb16, sxtb16_high};

/// See [`crate::model::numerics::maximum`].
#[inline(never)]
pub fn maximum(values: &[i32]) -> u32 {
    let (quads, rest) = values.as_chunks::<4>();
    let larger = |largest: u32, value: &i32| largest.max(magnitude(*value as u32));
    let largest = quads.iter().fold(0, |largest, quad| quad.iter().fold(largest, larger));
    rest.iter().fold(largest, larger)
}

/// See [`crate::model::numerics::quantize`]: the values are shifted left, multiplied by the reciprocal of
/// their maximum, and rounded.
#[inline(never)]
pub fn quantize(values: &[i32], shift: u32, reciprocal: i32, quantized: &mut [i8]) {
    const HALF: u32 = 1 << 21;
    let quantize = |value: i32| (smmla((value << shift) as u32, reciprocal as u32, HALF) >> 22) as i8;
    let ((quads, rest), (bytes, last)) = (values.as_chunks::<4>(), quantized.as_chunks_mut::<4>());
    for (q, [a, b, c, d]) in bytes.iter_mut().zip(quads) {
        *q = [quantize(*a), quantize(*b), quantize(*c), quantize(*d)];
    }
    for (q, value) in last.iter_mut().zip(rest) {
        *q = quantize(*value);
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
