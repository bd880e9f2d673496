//! Integer kernels. The scalar ones are the oracle; the SIMD ones give the same bits, because
//! integer sums do not depend on their order and none of them can overflow within the limits of the
//! format.

#![allow(unsafe_code)]

mod coding;
mod ring_rows;
mod scalar;
mod softmax;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(arm_dsp)]
pub(crate) mod dsp;
#[cfg(arm_thumb1)]
mod thumb;

pub use coding::{code, decode, Operand};
pub use ring_rows::{key, store_key, store_value, value};
pub use softmax::Softmax;
#[cfg(arm_thumb1)]
pub(super) use thumb::divide;

/// Work that is compiled for each set of kernels. A closure would do, could it be marked
/// `inline(always)`.
pub(crate) trait Work {
    /// Must be `inline(always)`.
    fn run(self);
}

/// A set of kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kernels {
    /// Portable Rust.
    Scalar,
    /// 256-bit AVX2. Where the processor lacks it, the scalar kernels run.
    Avx2,
    /// The DSP extension of Cortex-M4, M7 and M33. Where the program was compiled without it, the
    /// scalar kernels run.
    Dsp,
    /// Assembly for Cortex-M0, M0+ and M23, which reach few of their registers. Where the program was
    /// compiled for others, the scalar kernels run.
    Thumb,
}

#[cfg(target_arch = "x86_64")]
cpufeatures::new!(has_avx2, "avx2");

impl Kernels {
    /// The fastest set that this processor runs. For a microcontroller it is known when the program
    /// is compiled.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if has_avx2::get() {
            return Kernels::Avx2;
        }
        if cfg!(arm_dsp) {
            return Kernels::Dsp;
        }
        if cfg!(arm_thumb1) {
            return Kernels::Thumb;
        }
        Kernels::Scalar
    }

    /// Name for reports.
    pub fn name(self) -> &'static str {
        match self {
            Kernels::Scalar => "scalar",
            Kernels::Avx2 => "avx2",
            Kernels::Dsp => "dsp",
            Kernels::Thumb => "thumb",
        }
    }

    /// Calls `work` from a function compiled for this set: what is inlined into `work` uses its
    /// instructions.
    pub(crate) fn run(self, work: impl Work) {
        #[cfg(target_arch = "x86_64")]
        if self == Kernels::Avx2 && has_avx2::get() {
            // SAFETY: the processor has AVX2, asked one line above.
            return unsafe { avx2::run(work) };
        }
        work.run()
    }

    /// `dots[row] = vector . rows[row]`, where a coded row starts at `row * stride` of `rows`. Rows that
    /// do not exist leave their elements of `dots` as they are.
    pub fn dots(self, vector: &Operand, rows: &[u8], stride: usize, dots: &mut [i32]) {
        #[cfg(target_arch = "x86_64")]
        if self == Kernels::Avx2 && has_avx2::get() {
            // SAFETY: the processor has AVX2, asked one line above.
            return unsafe { avx2::dots(vector, rows, stride, dots) };
        }
        #[cfg(arm_dsp)]
        if self == Kernels::Dsp {
            return dsp::dots(vector, rows, stride, dots);
        }
        #[cfg(arm_thumb1)]
        if self == Kernels::Thumb {
            return thumb::dots(vector, rows, stride, dots);
        }
        scalar::dots(vector, rows, stride, dots)
    }

    /// The front rows of a linear layer in one pass: `outputs[row] = round_shift(vector . rows[row] *
    /// scales[row] * mantissa, shift)`, where coded rows lie side by side and scales are u16,
    /// little-endian. Returns how many rows it has done: 0 where the set has no such kernel, or where
    /// the operands do not suit it.
    pub(crate) fn linear(
        self,
        vector: &Operand,
        rows: &[u8],
        scales: &[u8],
        mantissa: u32,
        shift: i32,
        outputs: &mut [i32],
    ) -> usize {
        #[cfg(arm_dsp)]
        if self == Kernels::Dsp {
            return dsp::linear(vector, rows, scales, mantissa, shift, outputs);
        }
        let _ = (vector, rows, scales, mantissa, shift, outputs);
        0
    }

    /// The scores of the slots of a head, in units of 2^-8 of a binary logarithm: `query . keys[slot] *
    /// key_scales[slot] * factor * 2^-40`, for a factor of at most 15 bits before zeros. `keys` are rows of the
    /// ring, as wide as the query, at most 512 elements. Slots without a row or a scale leave their scores as they are.
    pub fn scores(self, query: &Operand, keys: &[i8], key_scales: &[u16], factor: i32, scores: &mut [i16]) {
        #[cfg(arm_thumb1)]
        if self == Kernels::Thumb {
            return thumb::scores(query.plain.as_flattened(), keys, key_scales, factor, scores);
        }
        #[cfg(arm_dsp)]
        return dsp::scores(query, keys, key_scales, factor, scores);
        #[cfg(not(arm_dsp))]
        scalar::scores(query.plain.as_flattened(), keys, key_scales, factor, scores)
    }

    /// Makes weights of scores: `2^score` times the scale of the slot's value. Slots without a scale leave
    /// their scores as they are.
    pub fn softmax(self, scores: &mut [i16], value_scales: &[u16]) -> Softmax {
        #[cfg(arm_dsp)]
        if self == Kernels::Dsp {
            return dsp::softmax(scores, value_scales);
        }
        #[cfg(arm_thumb1)]
        if self == Kernels::Thumb {
            return thumb::softmax(scores, value_scales);
        }
        scalar::softmax(scores, value_scales)
    }

    /// `outputs[i] = sum_slot weights[slot] * values[slot, i]`: `values` are rows of the ring, as wide as
    /// `outputs`, a multiple of four. The weights are those of [`Kernels::softmax`], so that the sum
    /// fits 31 bits. Slots without a row do not count.
    pub fn weighted_values(self, weights: &[i16], values: &[i8], outputs: &mut [i32]) {
        #[cfg(arm_thumb1)]
        if self == Kernels::Thumb {
            return thumb::weighted_values(weights, values, outputs);
        }
        #[cfg(arm_dsp)]
        return dsp::weighted_values(weights, values, outputs);
        #[cfg(not(arm_dsp))]
        scalar::weighted_values(weights, values, outputs)
    }
}
