//! AVX2: `vpmaddwd` multiplies 16 pairs of 16 bits and adds neighbours exactly into int32.

use super::coding::Operand;
use core::arch::x86_64::*;

/// See [`super::Kernels::run`].
#[target_feature(enable = "avx2")]
pub(super) fn run(work: impl super::Work) {
    work.run()
}

/// See [`super::Kernels::dots`]. Four rows at once share the loads of the vector.
#[target_feature(enable = "avx2")]
pub(super) fn dots(vector: &Operand, rows: &[u8], stride: usize, dots: &mut [i32]) {
    let columns = vector.columns();
    let mut rest = rows;
    let (quads, _) = dots.as_chunks_mut::<4>();
    let mut done = 0;
    let needed = stride.saturating_mul(3).saturating_add(columns);
    for quad in quads {
        // Where the last of four rows lies within the slice, all do.
        if rest.len() < needed {
            break;
        }
        // SAFETY: every row of `columns` elements that begins at a multiple of the stride, up to the third,
        // is within `rest`.
        *quad = unsafe { four_dots(vector, rest.as_ptr(), stride) };
        rest = rest.get(4 * stride..).unwrap_or(&[]);
        done += 4;
    }
    super::scalar::dots(vector, rest, stride, dots.get_mut(done..).unwrap_or(&mut []));
}

/// # Safety
///
/// Rows of `vector.columns()` elements are readable at `rows`, and at one, two and three strides
/// behind it.
#[target_feature(enable = "avx2")]
unsafe fn four_dots(vector: &Operand, rows: *const u8, stride: usize) -> [i32; 4] {
    let mut totals = _mm_setzero_si128();
    let mut column = 0;
    for (chunk, start) in vector.chunks() {
        let mut sums = [_mm256_setzero_si256(); 4];
        let (sixteens, fours) = chunk.as_chunks::<4>();
        for x in sixteens {
            // SAFETY: the 16 elements of `x` and of each row; loads have no alignment requirement.
            unsafe {
                let x = _mm256_loadu_si256(x.as_ptr().cast());
                for (row, sum) in sums.iter_mut().enumerate() {
                    let w = _mm_loadu_si128(rows.add(row * stride + column).cast());
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(split(w), x));
                }
            }
            column += 16;
        }
        for x in fours {
            // SAFETY: the four elements of `x` and of each row.
            unsafe {
                let x = _mm256_zextsi128_si256(_mm_loadl_epi64(x.as_ptr().cast()));
                for (row, sum) in sums.iter_mut().enumerate() {
                    let w = _mm_loadu_si32(rows.add(row * stride + column));
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(split(w), x));
                }
            }
            column += 4;
        }
        // Transposing sum: lane i of the result is the sum of accumulator i.
        let [s0, s1, s2, s3] = sums;
        let sums = _mm256_hadd_epi32(_mm256_hadd_epi32(s0, s1), _mm256_hadd_epi32(s2, s3));
        let sums = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
        let sums = _mm_srai_epi32::<8>(_mm_add_epi32(sums, _mm_set1_epi32(start)));
        totals = _mm_add_epi32(totals, sums);
    }
    let mut dots = [0; 4];
    // SAFETY: `dots` is 16 bytes; the store has no alignment requirement.
    unsafe { _mm_storeu_si128(dots.as_mut_ptr().cast(), totals) };
    dots
}

/// Four words of coded elements, each twice: as it is, and with the elements of odd columns
/// cleared.
#[target_feature(enable = "avx2")]
fn split(words: __m128i) -> __m256i {
    const Z: i8 = -1; // clears the byte
    let order = _mm256_setr_epi8(
        0, 1, 2, 3, 0, Z, 2, Z, 4, 5, 6, 7, 4, Z, 6, Z, //
        8, 9, 10, 11, 8, Z, 10, Z, 12, 13, 14, 15, 12, Z, 14, Z,
    );
    _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(words), order)
}
