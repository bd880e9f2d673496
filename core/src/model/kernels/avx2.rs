//! AVX2: int8 is widened to int16, `vpmaddwd` multiplies and adds pairs exactly into int32.

use core::arch::x86_64::*;

/// See [`super::Kernels::run`].
#[target_feature(enable = "avx2")]
pub(super) fn run(work: impl super::Work) {
    work.run()
}

/// See [`super::Kernels::matvec`].
#[target_feature(enable = "avx2")]
pub(super) fn matvec(weights: &[i8], inputs: &[i8], outputs: &mut [i32]) {
    if inputs.is_empty() {
        return outputs.fill(0);
    }
    strided_dots(inputs, weights, inputs.len(), outputs);
}

/// See [`super::Kernels::query_keys`].
#[target_feature(enable = "avx2")]
pub(super) fn query_keys(query: &[i8], keys: &[i8], stride: usize, dots: &mut [i32]) {
    if stride != 0 {
        strided_dots(query, keys, stride, dots);
    }
}

/// `dots[row] = inputs . rows[row]`, where a row starts at `row * stride`; four rows at once.
#[target_feature(enable = "avx2")]
fn strided_dots(inputs: &[i8], rows: &[i8], stride: usize, dots: &mut [i32]) {
    let mut rest = rows;
    let (quads, last) = dots.as_chunks_mut::<4>();
    for quad in quads {
        let (r0, after) = take_row(rest, stride, inputs.len());
        let (r1, after) = take_row(after, stride, inputs.len());
        let (r2, after) = take_row(after, stride, inputs.len());
        let (r3, after) = take_row(after, stride, inputs.len());
        *quad = four_dots([r0, r1, r2, r3], inputs);
        rest = after;
    }
    for output in last {
        let (row, after) = take_row(rest, stride, inputs.len());
        *output = dot(row, inputs);
        rest = after;
    }
}

/// The first `len` elements of `rows`, and what follows after `stride`.
#[inline(always)]
fn take_row(rows: &[i8], stride: usize, len: usize) -> (&[i8], &[i8]) {
    (rows.get(..len).unwrap_or(rows), rows.get(stride..).unwrap_or(&[]))
}

/// See [`super::Kernels::weighted_values`].
#[target_feature(enable = "avx2")]
pub(super) fn weighted_values(weights: &[i16], values: &[i8], stride: usize, outputs: &mut [i32]) {
    outputs.fill(0);
    if stride == 0 {
        return;
    }
    let (blocks, rest) = outputs.as_chunks_mut::<16>();
    for (index, block) in blocks.iter_mut().enumerate() {
        sixteen_values(weights, values.get(16 * index..).unwrap_or(&[]), stride, block);
    }
    let tail = values.get(16 * blocks.len()..).unwrap_or(&[]);
    for (value, weight) in tail.chunks(stride).zip(weights) {
        for (output, v) in rest.iter_mut().zip(value) {
            *output += i32::from(*weight) * i32::from(*v);
        }
    }
}

/// Sixteen columns of the weighted sum. Two slots at a time: their bytes are interleaved, so that one `vpmaddwd` multiplies both by
/// their weights and adds them.
#[target_feature(enable = "avx2")]
fn sixteen_values(weights: &[i16], values: &[i8], stride: usize, outputs: &mut [i32; 16]) {
    let zero: [i8; 16] = [0; 16];
    let (mut low, mut high) = (_mm256_setzero_si256(), _mm256_setzero_si256());
    let mut slots = values.chunks(stride).map(|value| value.first_chunk::<16>().unwrap_or(&zero));
    for pair in weights.chunks(2) {
        let (Some(first), second) = (slots.next(), slots.next()) else { break };
        let (w0, w1, second) = match (pair, second) {
            ([w0, w1], Some(second)) => (*w0, *w1, second),
            ([w0, ..], _) => (*w0, 0, &zero),
            ([], _) => break,
        };
        let weight = _mm256_set1_epi32((i32::from(w1) << 16) | i32::from(w0 as u16));
        let (a, b) = (load16(first), load16(second));
        low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_cvtepi8_epi16(_mm_unpacklo_epi8(a, b)), weight));
        high =
            _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_cvtepi8_epi16(_mm_unpackhi_epi8(a, b)), weight));
    }
    // SAFETY: `outputs` is 64 bytes; unaligned stores of 32 bytes at offsets 0 and 32.
    unsafe {
        let out = outputs.as_mut_ptr().cast::<__m256i>();
        _mm256_storeu_si256(out, low);
        _mm256_storeu_si256(out.add(1), high);
    }
}

/// Four rows at once: the input is widened once for all of them. A row shorter than the input counts as padded with zeros.
#[target_feature(enable = "avx2")]
fn four_dots(rows: [&[i8]; 4], inputs: &[i8]) -> [i32; 4] {
    let [r0, r1, r2, r3] = rows;
    let shortest = r0.len().min(r1.len()).min(r2.len()).min(r3.len());
    if shortest < inputs.len() {
        return [
            scalar_dot(r0, inputs),
            scalar_dot(r1, inputs),
            scalar_dot(r2, inputs),
            scalar_dot(r3, inputs),
        ];
    }
    let (x, x_tail) = inputs.as_chunks::<16>();
    let (a0, t0) = r0.as_chunks::<16>();
    let (a1, t1) = r1.as_chunks::<16>();
    let (a2, t2) = r2.as_chunks::<16>();
    let (a3, t3) = r3.as_chunks::<16>();
    let mut s0 = _mm256_setzero_si256();
    let (mut s1, mut s2, mut s3) = (s0, s0, s0);
    for ((((x, a0), a1), a2), a3) in x.iter().zip(a0).zip(a1).zip(a2).zip(a3) {
        let x = widen(x);
        s0 = _mm256_add_epi32(s0, _mm256_madd_epi16(x, widen(a0)));
        s1 = _mm256_add_epi32(s1, _mm256_madd_epi16(x, widen(a1)));
        s2 = _mm256_add_epi32(s2, _mm256_madd_epi16(x, widen(a2)));
        s3 = _mm256_add_epi32(s3, _mm256_madd_epi16(x, widen(a3)));
    }
    // Transposing sum: lane i of the result is the sum of accumulator i.
    let sums = _mm256_hadd_epi32(_mm256_hadd_epi32(s0, s1), _mm256_hadd_epi32(s2, s3));
    let sums = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    [
        _mm_extract_epi32::<0>(sums) + scalar_dot(t0, x_tail),
        _mm_extract_epi32::<1>(sums) + scalar_dot(t1, x_tail),
        _mm_extract_epi32::<2>(sums) + scalar_dot(t2, x_tail),
        _mm_extract_epi32::<3>(sums) + scalar_dot(t3, x_tail),
    ]
}

/// Over the shorter of the two.
#[target_feature(enable = "avx2")]
fn dot(a: &[i8], b: &[i8]) -> i32 {
    let len = a.len().min(b.len());
    let (a, b) = (a.get(..len).unwrap_or(&[]), b.get(..len).unwrap_or(&[]));
    let (a, a_tail) = a.as_chunks::<16>();
    let (b, b_tail) = b.as_chunks::<16>();
    let mut sum = _mm256_setzero_si256();
    for (x, y) in a.iter().zip(b) {
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(widen(x), widen(y)));
    }
    let sum = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
    let sum = _mm_add_epi32(sum, _mm_shuffle_epi32::<0b01_00_11_10>(sum));
    let sum = _mm_add_epi32(sum, _mm_shuffle_epi32::<0b10_11_00_01>(sum));
    _mm_cvtsi128_si32(sum) + scalar_dot(a_tail, b_tail)
}

fn scalar_dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum()
}

/// Sixteen int8 as sixteen int16.
#[target_feature(enable = "avx2")]
fn widen(bytes: &[i8; 16]) -> __m256i {
    _mm256_cvtepi8_epi16(load16(bytes))
}

#[target_feature(enable = "avx2")]
fn load16(bytes: &[i8; 16]) -> __m128i {
    // SAFETY: 16 bytes are readable, and the load has no alignment requirement.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}
