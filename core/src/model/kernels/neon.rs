//! AArch64: SDOT adds the products of four neighbours to an int32. Processors before ARMv8.2 may
//! lack it; there SMULL and SMLAL2 add two products to 16 bits, which have room for them (2 * 128 *
//! 127), and SADALP adds neighbours to 32 bits. The intrinsic of SDOT is unstable, `asm!` is not.

use core::arch::aarch64::*;
use core::arch::asm;

/// `sums + a0 b0 + a1 b1 + ...`, in four lanes. None of `b` is -128.
#[target_feature(enable = "neon")]
fn dot(sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    let products = vmull_s8(vget_low_s8(a), vget_low_s8(b));
    vpadalq_s16(sums, vmlal_high_s8(products, a, b))
}

/// The same with SDOT.
#[target_feature(enable = "neon,dotprod")]
fn sdot(sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    let mut sums = sums;
    // SAFETY: arithmetic on registers.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {a:v}.16b, {b:v}.16b",
            sums = inout(vreg) sums,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}

macro_rules! kernels {
    ($module:ident, $features:literal, $dot:ident) => {
        pub(super) mod $module {
            use super::super::coding::Operand;
            use super::super::scalar;
            use super::{load_4, scaled, transposing_sum, $dot};
            use core::arch::aarch64::*;

            // The compiler vectorizes these; NEON is part of every AArch64 processor.
            pub(in super::super) use super::super::scalar::{softmax, weighted_values};

            /// See [`crate::Kernels::scores`]. Four slots at once.
            #[target_feature(enable = $features)]
            pub fn scores(query: &[i8], keys: &[i8], key_scales: &[u16], factor: i32, scores: &mut [i16]) {
                let width = query.len();
                let rows = keys.len().checked_div(width).unwrap_or(0);
                let slots = scores.len().min(key_scales.len()).min(rows);
                if slots < 4 {
                    return scalar::scores(query, keys, key_scales, factor, scores);
                }
                // Where there are not whole fours, the last four overlap with those before them.
                for slot in (0..slots - 3).step_by(4).chain([slots - 4]) {
                    // SAFETY: four rows, scales and scores from `slot` on are within the slices.
                    unsafe {
                        let dots = four_slots(query, keys.as_ptr().add(slot * width));
                        let found = scaled(dots, vld1_u16(key_scales.as_ptr().add(slot)), factor);
                        vst1_s16(scores.as_mut_ptr().add(slot), found);
                    }
                }
            }

            /// The products of the query with four rows of keys.
            ///
            /// # Safety
            ///
            /// Four rows as wide as the query are readable.
            #[target_feature(enable = $features)]
            unsafe fn four_slots(query: &[i8], keys: *const i8) -> int32x4_t {
                let width = query.len();
                let mut sums = [vdupq_n_s32(0); 4];
                let mut keys = keys;
                let (blocks, rest) = query.as_chunks::<4>().0.as_chunks::<4>();
                // SAFETY: 16 or four columns of the query and of each row.
                unsafe {
                    for x in blocks {
                        let x = vld1q_s8(x.as_ptr().cast());
                        for (slot, sum) in sums.iter_mut().enumerate() {
                            *sum = $dot(*sum, vld1q_s8(keys.add(slot * width)), x);
                        }
                        keys = keys.add(16);
                    }
                    for x in rest {
                        let x = load_4(x.as_ptr());
                        for (slot, sum) in sums.iter_mut().enumerate() {
                            *sum = $dot(*sum, load_4(keys.add(slot * width)), x);
                        }
                        keys = keys.add(4);
                    }
                }
                transposing_sum(sums)
            }

            /// See [`crate::Kernels::dots`]. Four rows at once share the loads of the vector.
            #[target_feature(enable = $features)]
            pub fn dots(vector: &Operand, rows: &[u8], stride: usize, dots: &mut [i32]) {
                let Some(available) = rows.len().checked_sub(vector.columns()) else { return };
                let available = available.checked_div(stride).map_or(usize::MAX, |others| others + 1);
                let count = available.min(dots.len());
                let mut first = 0;
                for dots in dots.get_mut(..count).unwrap_or(&mut []).chunks_mut(4) {
                    // Where there are fewer than four, the last one is there several times.
                    let last = dots.len() - 1;
                    let rows = [0, 1, 2, 3]
                        .map(|row: usize| rows.as_ptr().wrapping_add((first + row.min(last)) * stride));
                    // SAFETY: row number `first + last` is below `count`, so that its columns, and those of
                    // the rows before it, are within the slice.
                    let sums = unsafe { four_dots(vector, rows) };
                    dots.iter_mut().zip(sums).for_each(|(dot, sum)| *dot = sum);
                    first += 4;
                }
            }

            /// # Safety
            ///
            /// `vector.columns()` bytes are readable at each row.
            #[target_feature(enable = $features)]
            unsafe fn four_dots(vector: &Operand, rows: [*const u8; 4]) -> [i32; 4] {
                // Coded rows: 128 was added to the elements of even columns.
                let even = vreinterpretq_s8_s16(vdupq_n_s16(0x80));
                let mut sums = [vdupq_n_s32(0); 4];
                let mut column = 0;
                let (blocks, rest) = vector.plain.as_chunks::<4>();
                for x in blocks {
                    // SAFETY: the 16 elements of `x` and of each row.
                    unsafe {
                        let x = vld1q_s8(x.as_ptr().cast());
                        for (row, sum) in rows.iter().zip(&mut sums) {
                            let w = veorq_s8(vld1q_s8(row.wrapping_add(column).cast()), even);
                            *sum = $dot(*sum, w, x);
                        }
                    }
                    column += 16;
                }
                for x in rest {
                    // SAFETY: the four elements of `x` and of each row; loads have no alignment requirement.
                    unsafe {
                        let x = load_4(x.as_ptr());
                        for (row, sum) in rows.iter().zip(&mut sums) {
                            let w = veorq_s8(load_4(row.wrapping_add(column).cast()), even);
                            *sum = $dot(*sum, w, x);
                        }
                    }
                    column += 4;
                }
                let sums = transposing_sum(sums);
                let mut dots = [0; 4];
                // SAFETY: 16 bytes are writable.
                unsafe { vst1q_s32(dots.as_mut_ptr(), sums) };
                dots
            }
        }
    };
}

kernels!(plain, "neon", dot);
kernels!(dot_product, "neon,dotprod", sdot);

/// # Safety
///
/// Four bytes are readable.
#[target_feature(enable = "neon")]
unsafe fn load_4(bytes: *const i8) -> int8x16_t {
    // SAFETY: as the caller says; the load has no alignment requirement.
    let word = unsafe { bytes.cast::<i32>().read_unaligned() };
    vreinterpretq_s8_s32(vsetq_lane_s32::<0>(word, vdupq_n_s32(0)))
}

/// Lane i of the result is the sum of the lanes of vector i.
#[target_feature(enable = "neon")]
fn transposing_sum([s0, s1, s2, s3]: [int32x4_t; 4]) -> int32x4_t {
    vpaddq_s32(vpaddq_s32(s0, s1), vpaddq_s32(s2, s3))
}

/// The scores of four slots, given the products of their keys with the query and their scales: two
/// upper halves of products, as [`super::softmax::score`] says.
#[target_feature(enable = "neon")]
fn scaled(dots: int32x4_t, scales: uint16x4_t, factor: i32) -> int16x4_t {
    let scales = vreinterpretq_s32_u32(vshll_n_u16::<16>(scales));
    let scaled = high_products(vshlq_n_s32::<8>(dots), scales);
    vqmovn_s32(high_products(scaled, vdupq_n_s32(factor)))
}

#[target_feature(enable = "neon")]
fn high_products(a: int32x4_t, b: int32x4_t) -> int32x4_t {
    let low = vreinterpretq_s32_s64(vmull_s32(vget_low_s32(a), vget_low_s32(b)));
    let high = vreinterpretq_s32_s64(vmull_high_s32(a, b));
    vuzp2q_s32(low, high)
}
