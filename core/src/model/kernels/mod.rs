//! Integer kernels. The scalar ones are the oracle; the SIMD ones give the same bits, because integer sums do not depend on their
//! order and none of them can overflow within the limits of the format.

#![allow(unsafe_code)]

mod scalar;

#[cfg(target_arch = "x86_64")]
mod avx2;

/// Work that is compiled for each set of kernels. A closure would do, could it be marked `inline(always)`.
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
}

#[cfg(target_arch = "x86_64")]
cpufeatures::new!(has_avx2, "avx2");

impl Kernels {
    /// The fastest set that this processor runs.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if has_avx2::get() {
            return Kernels::Avx2;
        }
        Kernels::Scalar
    }

    /// Name for reports.
    pub fn name(self) -> &'static str {
        match self {
            Kernels::Scalar => "scalar",
            Kernels::Avx2 => "avx2",
        }
    }

    /// Calls `work` from a function compiled for this set: what is inlined into `work` uses its instructions.
    pub(crate) fn run(self, work: impl Work) {
        #[cfg(target_arch = "x86_64")]
        if self == Kernels::Avx2 && has_avx2::get() {
            // SAFETY: the processor has AVX2, asked one line above.
            return unsafe { avx2::run(work) };
        }
        work.run()
    }

    /// `outputs[i] = sum_j weights[i, j] * inputs[j]`: `weights` is `[outputs, inputs]` row-major. At most 4096 inputs: no overflow.
    pub fn matvec(self, weights: &[i8], inputs: &[i8], outputs: &mut [i32]) {
        #[cfg(target_arch = "x86_64")]
        if self == Kernels::Avx2 && has_avx2::get() {
            // SAFETY: the processor has AVX2, asked one line above.
            return unsafe { avx2::matvec(weights, inputs, outputs) };
        }
        scalar::matvec(weights, inputs, outputs)
    }

    /// `dots[slot] = query . keys[slot]`, where the key of a slot starts at `slot * stride` of `keys`.
    pub fn query_keys(self, query: &[i8], keys: &[i8], stride: usize, dots: &mut [i32]) {
        #[cfg(target_arch = "x86_64")]
        if self == Kernels::Avx2 && has_avx2::get() {
            // SAFETY: the processor has AVX2, asked one line above.
            return unsafe { avx2::query_keys(query, keys, stride, dots) };
        }
        scalar::query_keys(query, keys, stride, dots)
    }

    /// `outputs[i] = sum_slot weights[slot] * values[slot, i]`, where the value of a slot starts at `slot * stride` of `values`.
    /// The caller bounds the weights so that the sum fits 31 bits.
    pub fn weighted_values(self, weights: &[i16], values: &[i8], stride: usize, outputs: &mut [i32]) {
        #[cfg(target_arch = "x86_64")]
        if self == Kernels::Avx2 && has_avx2::get() {
            // SAFETY: the processor has AVX2, asked one line above.
            return unsafe { avx2::weighted_values(weights, values, stride, outputs) };
        }
        scalar::weighted_values(weights, values, stride, outputs)
    }
}
