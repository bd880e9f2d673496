//! x86-64: vectors of 256 bits, and one instruction that multiplies 32 bytes by 32 others and adds the
//! products of four neighbours exactly to an int32: `vpdpbusd` of VNNI. It has two encodings, that of
//! AVX-512 and that of AVX-VNNI for processors without AVX-512; in AVX2 three instructions are as
//! good. Hence a macro: a function is compiled for the features that it names.
//!
//! One factor of `vpdpbusd` is unsigned. VNNI makes weights and keys unsigned by adding 128 to them,
//! which is flipping the highest bit, and begins with what that is in excess, 128 times the sum of the
//! vector. AVX2 moves their signs to the vector.

mod attention;

macro_rules! kernels {
    ($module:ident, $features:literal) => {
        pub(super) mod $module {
            use super::super::coding::Operand;
            use super::super::softmax::Softmax;
            use super::super::{scalar, Work};
            use super::attention::{attention, load, scaled, transposed, two_rows, weight_bytes};
            use super::sum;
            use core::arch::x86_64::*;

            /// See [`crate::Kernels::run`].
            #[target_feature(enable = $features)]
            pub fn run(work: impl Work) {
                work.run()
            }

            /// See [`crate::Kernels::softmax`].
            #[target_feature(enable = $features)]
            pub fn softmax(scores: &mut [i16], value_scales: &[u16]) -> Softmax {
                scalar::softmax(scores, value_scales)
            }

            attention!($features);

            /// See [`crate::Kernels::dots`]. Eight rows at once share the loads of the vector and the sum across
            /// lanes.
            #[target_feature(enable = $features)]
            pub fn dots(vector: &Operand, rows: &[u8], stride: usize, dots: &mut [i32]) {
                let Some(available) = rows.len().checked_sub(vector.columns()) else { return };
                let available = available.checked_div(stride).map_or(usize::MAX, |others| others + 1);
                let count = available.min(dots.len());
                let start = start(vector.plain.as_flattened());
                let mut row = rows.as_ptr();
                let (eights, rest) = dots.get_mut(..count).unwrap_or(&mut []).as_chunks_mut::<8>();
                for eight in eights {
                    // SAFETY: eight rows of those that are available; 32 bytes are writable. Loads and stores have
                    // no alignment requirement.
                    unsafe {
                        let sums =
                            _mm256_add_epi32(_mm256_set1_epi32(start), eight_dots(vector, row, stride));
                        _mm256_storeu_si256(eight.as_mut_ptr().cast(), sums);
                    }
                    row = row.wrapping_add(8 * stride);
                }
                for dot in rest {
                    // SAFETY: one row of those that are available.
                    *dot = start + unsafe { one_dot(vector, row) };
                    row = row.wrapping_add(stride);
                }
            }

            /// # Safety
            ///
            /// Eight rows of `vector.columns()` bytes are readable.
            #[target_feature(enable = $features)]
            unsafe fn eight_dots(vector: &Operand, rows: *const u8, stride: usize) -> __m256i {
                let mut sums = [_mm256_setzero_si256(); 8];
                let mut halves = [rows, rows.wrapping_add(4 * stride)];
                let (blocks, rest) = vector.plain.as_chunks::<8>();
                for x in blocks {
                    // SAFETY: the 32 elements of `x` and of each row.
                    unsafe {
                        let x = _mm256_loadu_si256(x.as_ptr().cast());
                        for (row, sum) in sums.iter_mut().enumerate() {
                            let w = halves[row / 4].add(row % 4 * stride);
                            *sum = coded_products(*sum, _mm256_loadu_si256(w.cast()), x);
                        }
                    }
                    halves = halves.map(|half| half.wrapping_add(32));
                }
                for x in rest {
                    // SAFETY: the four elements of `x` and of each row.
                    unsafe {
                        let x = _mm256_zextsi128_si256(load::<4>(x.as_ptr()));
                        for (row, sum) in sums.iter_mut().enumerate() {
                            let w = halves[row / 4].add(row % 4 * stride);
                            *sum = coded_products(*sum, _mm256_castsi128_si256(load::<4>(w.cast())), x);
                        }
                    }
                    halves = halves.map(|half| half.wrapping_add(4));
                }
                // Transposing sum: lane i of the result is the sum of accumulator i.
                let [s0, s1, s2, s3, s4, s5, s6, s7] = sums;
                let low = _mm256_hadd_epi32(_mm256_hadd_epi32(s0, s1), _mm256_hadd_epi32(s2, s3));
                let high = _mm256_hadd_epi32(_mm256_hadd_epi32(s4, s5), _mm256_hadd_epi32(s6, s7));
                let lower = _mm256_permute2x128_si256::<0x20>(low, high);
                let upper = _mm256_permute2x128_si256::<0x31>(low, high);
                _mm256_add_epi32(lower, upper)
            }

            /// # Safety
            ///
            /// `vector.columns()` bytes are readable.
            #[target_feature(enable = $features)]
            unsafe fn one_dot(vector: &Operand, row: *const u8) -> i32 {
                let mut sums = _mm256_setzero_si256();
                let mut row = row;
                let (blocks, rest) = vector.plain.as_chunks::<8>();
                for x in blocks {
                    // SAFETY: the 32 elements of `x` and of the row.
                    unsafe {
                        let x = _mm256_loadu_si256(x.as_ptr().cast());
                        sums = coded_products(sums, _mm256_loadu_si256(row.cast()), x);
                        row = row.add(32);
                    }
                }
                for x in rest {
                    // SAFETY: the four elements of `x` and of the row.
                    unsafe {
                        let x = _mm256_zextsi128_si256(load::<4>(x.as_ptr()));
                        let w = _mm256_castsi128_si256(load::<4>(row.cast()));
                        sums = coded_products(sums, w, x);
                        row = row.add(4);
                    }
                }
                sum(sums)
            }

            instructions!($module, $features);
        }
    };
}

/// `products(sums, a, b)`: adds the products of four neighbouring bytes, those of `a` unsigned and at
/// most 128, those of `b` signed. `coded_products(sums, w, x)`: the same of coded rows and a vector;
/// `signed_products(sums, k, x)`: of keys and a vector; both without `start(x)`.
macro_rules! instructions {
    (avx2, $features:literal) => {
        /// Two products fit 16 bits.
        #[target_feature(enable = $features)]
        fn products(sums: __m256i, a: __m256i, b: __m256i) -> __m256i {
            let pairs = _mm256_maddubs_epi16(a, b);
            _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }

        #[target_feature(enable = $features)]
        fn coded_products(sums: __m256i, w: __m256i, x: __m256i) -> __m256i {
            signed_products(sums, _mm256_xor_si256(w, _mm256_set1_epi16(0x80)), x)
        }

        #[target_feature(enable = $features)]
        fn signed_products(sums: __m256i, k: __m256i, x: __m256i) -> __m256i {
            products(sums, _mm256_abs_epi8(k), _mm256_sign_epi8(x, k))
        }

        fn start(_vector: &[i8]) -> i32 {
            0
        }
    };
    (avx_vnni, $features:literal) => {
        use _mm256_dpbusd_avx_epi32 as products;
        instructions!(vnni, $features);
    };
    (avx512_vnni, $features:literal) => {
        use _mm256_dpbusd_epi32 as products;
        instructions!(vnni, $features);
    };
    (vnni, $features:literal) => {
        #[target_feature(enable = $features)]
        fn coded_products(sums: __m256i, w: __m256i, x: __m256i) -> __m256i {
            products(sums, _mm256_xor_si256(w, _mm256_set1_epi16(-0x8000)), x)
        }

        #[target_feature(enable = $features)]
        fn signed_products(sums: __m256i, k: __m256i, x: __m256i) -> __m256i {
            products(sums, _mm256_xor_si256(k, _mm256_set1_epi8(-0x80)), x)
        }

        /// -128 times the sum of the vector.
        #[target_feature(enable = $features)]
        fn start(vector: &[i8]) -> i32 {
            let mut sums = _mm256_setzero_si256();
            let (blocks, rest) = vector.as_chunks::<4>().0.as_chunks::<8>();
            for x in blocks {
                // SAFETY: 32 elements; the load has no alignment requirement.
                let x = unsafe { _mm256_loadu_si256(x.as_ptr().cast()) };
                sums = products(sums, _mm256_set1_epi8(-0x80), x);
            }
            for x in rest {
                // SAFETY: four elements.
                let x = _mm256_zextsi128_si256(unsafe { load::<4>(x.as_ptr()) });
                sums = products(sums, _mm256_set1_epi8(-0x80), x);
            }
            -sum(sums)
        }
    };
}

kernels!(avx2, "avx2");
kernels!(avx_vnni, "avx2,avxvnni");
kernels!(avx512_vnni, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni");

/// Of all lanes.
#[target_feature(enable = "avx2")]
fn sum(lanes: core::arch::x86_64::__m256i) -> i32 {
    use core::arch::x86_64::*;
    let lanes = _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256::<1>(lanes));
    let lanes = _mm_hadd_epi32(lanes, lanes);
    _mm_cvtsi128_si32(_mm_hadd_epi32(lanes, lanes))
}
