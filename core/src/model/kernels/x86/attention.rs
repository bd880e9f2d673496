//! Attention. Eight slots at once: rows of slots 0 to 3 are in the lower halves of four vectors, rows
//! of slots 4 to 7 in the upper ones.

use core::arch::x86_64::*;

macro_rules! attention {
    ($features:literal) => {
        /// See [`crate::Kernels::scores`].
        #[target_feature(enable = $features)]
        pub fn scores(query: &[i8], keys: &[i8], key_scales: &[u16], factor: i32, scores: &mut [i16]) {
            let width = query.len();
            let rows = keys.len().checked_div(width).unwrap_or(0);
            let slots = scores.len().min(key_scales.len()).min(rows);
            if slots < 8 {
                return scalar::scores(query, keys, key_scales, factor, scores);
            }
            let start = _mm256_set1_epi32(start(query));
            // Where there are not whole eights, the last eight overlap with those before them.
            for slot in (0..slots - 7).step_by(8).chain([slots - 8]) {
                // SAFETY: eight rows, scales and scores from `slot` on are within the slices; loads and stores
                // have no alignment requirement.
                unsafe {
                    let dots = eight_slots(query, keys.as_ptr().add(slot * width));
                    let dots = _mm256_add_epi32(start, dots);
                    let scales = _mm_loadu_si128(key_scales.as_ptr().add(slot).cast());
                    let found = scaled(dots, scales, factor);
                    _mm_storeu_si128(scores.as_mut_ptr().add(slot).cast(), found);
                }
            }
        }

        /// The products of the query with eight rows of keys.
        ///
        /// # Safety
        ///
        /// Eight rows as wide as the query are readable.
        #[target_feature(enable = $features)]
        unsafe fn eight_slots(query: &[i8], keys: *const i8) -> __m256i {
            let width = query.len();
            let query = query.as_ptr();
            let mut sums = [_mm256_setzero_si256(); 4];
            let (mut query, mut keys) = (query, keys);
            // SAFETY: these are all columns of query and keys.
            unsafe {
                for _ in 0..width / 16 {
                    add_columns::<16>(&mut sums, query, keys, width);
                    (query, keys) = (query.add(16), keys.add(16));
                }
                if width & 8 != 0 {
                    add_columns::<8>(&mut sums, query, keys, width);
                    (query, keys) = (query.add(8), keys.add(8));
                }
                if width & 4 != 0 {
                    add_columns::<4>(&mut sums, query, keys, width);
                }
            }
            let [s0, s1, s2, s3] = sums;
            _mm256_hadd_epi32(_mm256_hadd_epi32(s0, s1), _mm256_hadd_epi32(s2, s3))
        }

        /// # Safety
        ///
        /// `N` elements of the query and of eight rows, `width` apart, are readable.
        #[target_feature(enable = $features)]
        unsafe fn add_columns<const N: usize>(
            sums: &mut [__m256i; 4],
            query: *const i8,
            keys: *const i8,
            width: usize,
        ) {
            // SAFETY: as the caller says.
            unsafe {
                let query = _mm256_broadcastsi128_si256(load::<N>(query));
                for (slot, sum) in sums.iter_mut().enumerate() {
                    let keys = two_rows::<N>(keys.add(slot * width), width);
                    *sum = signed_products(*sum, keys, query);
                }
            }
        }

        /// See [`crate::Kernels::weighted_values`].
        #[target_feature(enable = $features)]
        pub fn weighted_values(weights: &[i16], values: &[i8], outputs: &mut [i32]) {
            let width = outputs.len();
            let slots = weights.len().min(values.len().checked_div(width).unwrap_or(0));
            let weights = weights.get(..slots).unwrap_or(&[]);
            let mut values = values.as_ptr();
            let (blocks, rest) = outputs.as_chunks_mut::<16>();
            // SAFETY: of each row of values as wide as all outputs, the columns of these.
            unsafe {
                for block in blocks {
                    weigh_columns::<16>(weights, values, width, block);
                    values = values.wrapping_add(16);
                }
                let (blocks, rest) = rest.as_chunks_mut::<8>();
                for block in blocks {
                    weigh_columns::<8>(weights, values, width, block);
                    values = values.wrapping_add(8);
                }
                for block in rest.as_chunks_mut::<4>().0 {
                    weigh_columns::<4>(weights, values, width, block);
                }
            }
        }

        /// # Safety
        ///
        /// `N` elements of as many rows as there are weights, `width` apart, are readable.
        #[target_feature(enable = $features)]
        unsafe fn weigh_columns<const N: usize>(
            weights: &[i16],
            values: *const i8,
            width: usize,
            outputs: &mut [i32; N],
        ) {
            // Of the lower seven bits of the weights, and of the rest. The products of a vector are in the
            // order of `transposed`.
            let mut sums = [[_mm256_setzero_si256(); 2]; 4];
            let mut values = values;
            let (eights, rest) = weights.as_chunks::<8>();
            // SAFETY: eight rows for each eight weights; then as many rows as weights are left.
            unsafe {
                for weights in eights {
                    let rows = [0, 1, 2, 3].map(|slot| two_rows::<N>(values.add(slot * width), width));
                    let weights = weight_bytes(_mm_loadu_si128(weights.as_ptr().cast()));
                    add_weighted::<N>(&mut sums, weights, rows);
                    values = values.add(8 * width);
                }
                if !rest.is_empty() {
                    let mut last = [0i16; 8];
                    last.iter_mut().zip(rest).for_each(|(last, weight)| *last = *weight);
                    // Slots that do not exist have no weight and any row.
                    let row = |slot: usize| load::<N>(values.add(slot.min(rest.len() - 1) * width));
                    let rows = [0, 1, 2, 3].map(|slot| _mm256_set_m128i(row(slot + 4), row(slot)));
                    let weights = weight_bytes(_mm_loadu_si128(last.as_ptr().cast()));
                    add_weighted::<N>(&mut sums, weights, rows);
                }
            }
            for (outputs, [low, high]) in outputs.as_chunks_mut::<4>().0.iter_mut().zip(sums) {
                let sum = _mm256_add_epi32(low, _mm256_slli_epi32::<7>(high));
                let sum = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
                // SAFETY: 16 bytes are writable.
                unsafe { _mm_storeu_si128(outputs.as_mut_ptr().cast(), sum) };
            }
        }

        /// Adds eight slots of `N` columns.
        #[target_feature(enable = $features)]
        fn add_weighted<const N: usize>(
            sums: &mut [[__m256i; 2]; 4],
            [low, high]: [__m256i; 2],
            rows: [__m256i; 4],
        ) {
            for (sums, values) in sums.iter_mut().zip(transposed(rows)).take(N / 4) {
                sums[0] = products(sums[0], low, values);
                sums[1] = products(sums[1], high, values);
            }
        }
    };
}
pub(super) use attention;

/// The scores of eight slots, given the products of their keys with the query and their scales: two
/// upper halves of products, as [`super::super::softmax::score`] says.
#[target_feature(enable = "avx2")]
pub(super) fn scaled(dots: __m256i, scales: __m128i, factor: i32) -> __m128i {
    let (dots, scales) =
        (_mm256_slli_epi32::<8>(dots), _mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(scales)));
    let factor = _mm256_set1_epi32(factor);
    let odd = |x| _mm256_srli_epi64::<32>(x);
    // The upper halves are where the next multiplication wants them: those of even lanes lower.
    let even_lanes = _mm256_srli_epi64::<32>(_mm256_mul_epi32(dots, scales));
    let odd_lanes = _mm256_srli_epi64::<32>(_mm256_mul_epi32(odd(dots), odd(scales)));
    let even_lanes = _mm256_srli_epi64::<32>(_mm256_mul_epi32(even_lanes, factor));
    let odd_lanes = _mm256_mul_epi32(odd_lanes, factor);
    let scores = _mm256_blend_epi32::<0b1010_1010>(even_lanes, odd_lanes);
    _mm_packs_epi32(_mm256_castsi256_si128(scores), _mm256_extracti128_si256::<1>(scores))
}

/// `N` elements, 16, 8 or 4, and zeros.
///
/// # Safety
///
/// They are readable.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn load<const N: usize>(elements: *const i8) -> __m128i {
    // SAFETY: as the caller says; loads have no alignment requirement.
    unsafe {
        match N {
            16 => _mm_loadu_si128(elements.cast()),
            8 => _mm_loadl_epi64(elements.cast()),
            _ => _mm_loadu_si32(elements.cast()),
        }
    }
}

/// `N` elements of a row and of the fourth one behind it.
///
/// # Safety
///
/// They are readable.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn two_rows<const N: usize>(row: *const i8, width: usize) -> __m256i {
    // SAFETY: as the caller says.
    unsafe { _mm256_set_m128i(load::<N>(row.add(4 * width)), load::<N>(row)) }
}

/// The lower seven bits of eight weights, and the bits above them: bytes of slots 0 to 3 in each lane
/// of the lower half, of slots 4 to 7 in the upper one.
#[target_feature(enable = "avx2")]
pub(super) fn weight_bytes(weights: __m128i) -> [__m256i; 2] {
    let low = _mm_and_si128(weights, _mm_set1_epi16(0x7f));
    let bytes = _mm256_castsi128_si256(_mm_packus_epi16(low, _mm_srli_epi16::<7>(weights)));
    let spread = |lower, upper| {
        let order = _mm256_setr_epi32(lower, lower, lower, lower, upper, upper, upper, upper);
        _mm256_permutevar8x32_epi32(bytes, order)
    };
    [spread(0, 1), spread(2, 3)]
}

/// Of four rows of 16 bytes in each half, four vectors of which a lane has one column.
#[target_feature(enable = "avx2")]
pub(super) fn transposed([r0, r1, r2, r3]: [__m256i; 4]) -> [__m256i; 4] {
    let (low01, low23) = (_mm256_unpacklo_epi8(r0, r1), _mm256_unpacklo_epi8(r2, r3));
    let (high01, high23) = (_mm256_unpackhi_epi8(r0, r1), _mm256_unpackhi_epi8(r2, r3));
    [
        _mm256_unpacklo_epi16(low01, low23),
        _mm256_unpackhi_epi16(low01, low23),
        _mm256_unpacklo_epi16(high01, high23),
        _mm256_unpackhi_epi16(high01, high23),
    ]
}
