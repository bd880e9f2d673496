//! Integer kernels. The scalar ones are the oracle; the SIMD ones give the same bits, because
//! integer sums do not depend on their order and none of them can overflow within the limits of the
//! format.

#![allow(unsafe_code)]

mod coding;
mod scalar;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(arm_dsp)]
mod dsp;

pub use coding::{code, decode, value_index, Operand, SLOTS_PER_GROUP};

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
        Kernels::Scalar
    }

    /// Name for reports.
    pub fn name(self) -> &'static str {
        match self {
            Kernels::Scalar => "scalar",
            Kernels::Avx2 => "avx2",
            Kernels::Dsp => "dsp",
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

    /// `dots[row] = vector . rows[row]`, where a coded row starts at `row * stride` of `rows`: a
    /// matrix times a vector, or the keys of a head times its query. Rows that do not exist
    /// leave their elements of `dots` as they are.
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
        scalar::dots(vector, rows, stride, dots)
    }

    /// `outputs[i] = sum_slot weights[slot] * values[slot, i]`, where slots lie as [`value_index`]
    /// says, with a row of `width` elements a slot; the first column is that of `values[0]`.
    /// Both numbers of slots and of outputs are multiples of four. The caller bounds the weights so
    /// that the sum fits 31 bits. Groups of weights for which `values` has no whole group do
    /// not count.
    pub fn weighted_values(self, weights: &[i16], values: &[i8], width: usize, outputs: &mut [i32]) {
        let (weights, _) = weights.as_chunks::<SLOTS_PER_GROUP>();
        #[cfg(target_arch = "x86_64")]
        if self == Kernels::Avx2 && has_avx2::get() {
            // SAFETY: the processor has AVX2, asked one line above.
            return unsafe { avx2::weighted_values(weights, values, width, outputs) };
        }
        #[cfg(arm_dsp)]
        if self == Kernels::Dsp {
            return dsp::weighted_values(weights, values, width, outputs);
        }
        scalar::weighted_values(weights, values, width, outputs)
    }
}
