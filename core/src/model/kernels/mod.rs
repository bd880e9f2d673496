//! Integer kernels. The scalar ones are the oracle; the SIMD ones give the same bits, because
//! integer sums do not depend on their order and none of them can overflow within the limits of the
//! format.

#![allow(unsafe_code)]

mod coding;
mod detect;
#[cfg(not(arm_mve))]
mod ring_rows;
mod scalar;
mod softmax;

#[cfg(arm_dsp)]
pub(crate) mod dsp;
#[cfg(arm_mve)]
pub(crate) mod mve;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon;
#[cfg(riscv_mul)]
mod riscv32;
#[cfg(arm_smlal)]
mod smlal;
#[cfg(arm_thumb1)]
mod thumb;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use coding::{code, decode, Operand};
#[cfg(arm_mve)]
pub use mve::{key, store_key, store_value, value};
#[cfg(not(arm_mve))]
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

/// Calls the function of this name of a set that the processor has, of the scalar kernels otherwise.
macro_rules! dispatch {
    ($set:expr, $function:ident($($argument:expr),*)) => {
        // SAFETY: a function that wants features of the processor is called where it has them.
        #[allow(unused_unsafe)] // some want none
        match $set {
            #[cfg(arm_dsp)]
            Kernels::Dsp => dsp::$function($($argument),*),
            #[cfg(arm_mve)]
            Kernels::Mve => mve::$function($($argument),*),
            #[cfg(arm_thumb1)]
            Kernels::Thumb => thumb::$function($($argument),*),
            #[cfg(arm_smlal)]
            Kernels::Smlal => smlal::$function($($argument),*),
            #[cfg(riscv_mul)]
            Kernels::Riscv32 => riscv32::$function($($argument),*),
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Kernels::Neon => unsafe { neon::plain::$function($($argument),*) },
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Kernels::NeonDot if detect::dot_product() => unsafe { neon::dot_product::$function($($argument),*) },
            #[cfg(target_arch = "x86_64")]
            Kernels::Avx2 if detect::avx2() => unsafe { x86::avx2::$function($($argument),*) },
            #[cfg(target_arch = "x86_64")]
            Kernels::AvxVnni if detect::avx_vnni() => unsafe { x86::avx_vnni::$function($($argument),*) },
            #[cfg(target_arch = "x86_64")]
            Kernels::Avx512Vnni if detect::avx512_vnni() => unsafe { x86::avx512_vnni::$function($($argument),*) },
            _ => scalar::$function($($argument),*),
        }
    };
}

/// The same for rows of the ring. Where those are paired, only the kernels of the DSP extension read them,
/// where they are columns, only those of Helium, and where keys are coded, only those that want it.
macro_rules! dispatch_rows {
    ($set:expr, $function:ident($($argument:expr),*)) => {{
        #[cfg(arm_dsp)]
        return dsp::$function($($argument),*);
        #[cfg(arm_mve)]
        return mve::$function($($argument),*);
        #[cfg(arm_smlal)]
        return smlal::$function($($argument),*);
        #[cfg(riscv_mul)]
        return riscv32::$function($($argument),*);
        #[cfg(not(any(arm_dsp, arm_mve, coded_keys)))]
        dispatch!($set, $function($($argument),*))
    }};
}

/// A set of kernels. Where the processor lacks it, or the program was compiled for another one, the
/// scalar kernels run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kernels {
    /// Portable Rust.
    Scalar,
    /// 256-bit AVX2.
    Avx2,
    /// AVX2 with VNNI.
    AvxVnni,
    /// AVX-512 with VNNI.
    Avx512Vnni,
    /// NEON of AArch64.
    Neon,
    /// NEON with the dot product of ARMv8.2.
    NeonDot,
    /// The DSP extension of Cortex-M4, M7 and M33.
    Dsp,
    /// Helium (MVE) of Cortex-M52, M55 and M85.
    Mve,
    /// Assembly for Cortex-M0, M0+ and M23, which reach few of their registers.
    Thumb,
    /// The long multiplication of Cortex-M3, and of Cortex-M33 without DSP extension.
    Smlal,
    /// RV32IM, with all its registers.
    Riscv32,
}

impl Kernels {
    /// Every set; of those that a processor has, the last is the fastest.
    pub const ALL: &'static [Self] = &[
        Self::Scalar,
        Self::Dsp,
        Self::Mve,
        Self::Thumb,
        Self::Smlal,
        Self::Riscv32,
        Self::Neon,
        Self::NeonDot,
        Self::Avx2,
        Self::AvxVnni,
        Self::Avx512Vnni,
    ];

    /// The fastest set that this processor runs. For a microcontroller it is known when the program
    /// is compiled.
    pub fn detect() -> Self {
        Self::ALL.iter().rev().copied().find(|kernels| kernels.is_available()).unwrap_or(Self::Scalar)
    }

    /// Whether this processor runs the set.
    #[inline(always)]
    pub fn is_available(self) -> bool {
        match self {
            Kernels::Scalar => true,
            Kernels::Dsp => cfg!(arm_dsp),
            Kernels::Mve => cfg!(arm_mve),
            Kernels::Thumb => cfg!(arm_thumb1),
            Kernels::Smlal => cfg!(arm_smlal),
            Kernels::Riscv32 => cfg!(riscv_mul),
            #[cfg(target_arch = "x86_64")]
            Kernels::Avx2 => detect::avx2(),
            #[cfg(target_arch = "x86_64")]
            Kernels::AvxVnni => detect::avx_vnni(),
            #[cfg(target_arch = "x86_64")]
            Kernels::Avx512Vnni => detect::avx512_vnni(),
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Kernels::Neon => true,
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Kernels::NeonDot => detect::dot_product(),
            _ => false,
        }
    }

    /// Name for reports.
    pub fn name(self) -> &'static str {
        match self {
            Kernels::Scalar => "scalar",
            Kernels::Avx2 => "avx2",
            Kernels::AvxVnni => "avx-vnni",
            Kernels::Avx512Vnni => "avx512-vnni",
            Kernels::Neon => "neon",
            Kernels::NeonDot => "neon-dotprod",
            Kernels::Dsp => "dsp",
            Kernels::Mve => "mve",
            Kernels::Thumb => "thumb",
            Kernels::Smlal => "smlal",
            Kernels::Riscv32 => "riscv32",
        }
    }

    /// Calls `work` from a function compiled for this set: what is inlined into `work` uses its
    /// instructions.
    pub(crate) fn run(self, work: impl Work) {
        // Elsewhere all sets have the same features.
        #[cfg(target_arch = "x86_64")]
        dispatch!(self, run(work));
        #[cfg(not(target_arch = "x86_64"))]
        work.run()
    }

    /// `dots[row] = vector . rows[row]`, where a coded row starts at `row * stride` of `rows`. Rows that
    /// do not exist leave their elements of `dots` as they are.
    pub fn dots(self, vector: &Operand, rows: &[u8], stride: usize, dots: &mut [i32]) {
        dispatch!(self, dots(vector, rows, stride, dots))
    }

    /// The front rows of a linear layer in one pass: `outputs[row] = round_shift(vector . rows[row] *
    /// scales[row] * mantissa, shift)`, where coded rows lie side by side and scales are u16,
    /// little-endian. Returns how many rows it has done: 0 where the set has no such kernel, or where
    /// the operands do not suit it.
    pub fn linear(
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
        #[cfg(arm_mve)]
        if self == Kernels::Mve {
            return mve::linear(vector, rows, scales, mantissa, shift, outputs);
        }
        let _ = (vector, rows, scales, mantissa, shift, outputs);
        0
    }

    /// The scores of the slots of a head, in units of 2^-8 of a binary logarithm: `query . keys[slot] *
    /// key_scales[slot] * factor * 2^-40`, for a factor of at most 15 bits before zeros. `keys` are rows
    /// of the ring, as wide as the query, at most 512 elements. Slots without a row or a scale leave their
    /// scores as they are.
    pub fn scores(self, query: &Operand, keys: &[i8], key_scales: &[u16], factor: i32, scores: &mut [i16]) {
        #[cfg(not(any(paired_ring, coded_keys)))]
        let query = query.plain.as_flattened();
        dispatch_rows!(self, scores(query, keys, key_scales, factor, scores))
    }

    /// Makes weights of scores: `2^score` times the scale of the slot's value. Slots without a scale leave
    /// their scores as they are.
    pub fn softmax(self, scores: &mut [i16], value_scales: &[u16]) -> Softmax {
        dispatch!(self, softmax(scores, value_scales))
    }

    /// `outputs[i] = sum_slot weights[slot] * values[slot, i]`: `values` are rows of the ring, as wide as
    /// `outputs`, a multiple of four. The weights are those of [`Kernels::softmax`], so that the sum
    /// fits 31 bits. Slots without a row do not count.
    pub fn weighted_values(self, weights: &[i16], values: &[i8], outputs: &mut [i32]) {
        dispatch_rows!(self, weighted_values(weights, values, outputs))
    }
}
