//! What the processor has that runs the program. It is asked once.

#[cfg(target_arch = "x86_64")]
pub use x86::{avx2, avx512_vnni, avx_vnni};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::x86_64::{__cpuid_count, CpuidResult};
    use core::sync::atomic::{AtomicU8, Ordering};

    cpufeatures::new!(has_avx2, "avx2");
    cpufeatures::new!(has_avx512, "avx512f", "avx512bw", "avx512dq", "avx512vl");

    const ASKED: u8 = 1;
    const AVX512_VNNI: u8 = 2;
    const AVX_VNNI: u8 = 4;

    pub fn avx2() -> bool {
        has_avx2::get()
    }

    /// VNNI with AVX-512, its 256-bit vectors and its bytes and words.
    pub fn avx512_vnni() -> bool {
        has_avx512::get() && vnni() & AVX512_VNNI != 0
    }

    /// VNNI in the encoding of AVX2.
    pub fn avx_vnni() -> bool {
        has_avx2::get() && vnni() & AVX_VNNI != 0
    }

    /// The two bits, which the crate `cpufeatures` does not know. Whoever asks knows from
    /// `cpufeatures` that there is CPUID and its leaf 7.
    fn vnni() -> u8 {
        static KNOWN: AtomicU8 = AtomicU8::new(0);
        let known = KNOWN.load(Ordering::Relaxed);
        if known != 0 {
            return known;
        }
        // SAFETY: see above.
        let (first, second) = unsafe { (cpuid_7(0), cpuid_7(1)) };
        let bit = |register: u32, bit: u32, flag| if register >> bit & 1 == 1 { flag } else { 0 };
        let second = if first.eax >= 1 { second.eax } else { 0 };
        let known = ASKED | bit(first.ecx, 11, AVX512_VNNI) | bit(second, 4, AVX_VNNI);
        KNOWN.store(known, Ordering::Relaxed);
        known
    }

    /// # Safety
    ///
    /// The processor has CPUID with leaf 7. (Newer compilers call this safe.)
    unsafe fn cpuid_7(subleaf: u32) -> CpuidResult {
        __cpuid_count(7, subleaf)
    }
}

/// SDOT and UDOT (FEAT_DotProd). Elsewhere than on Linux it is known when the program is compiled.
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
pub fn dot_product() -> bool {
    #[cfg(all(not(target_feature = "dotprod"), target_os = "linux"))]
    return linux_has_dot_product();
    #[cfg(not(all(not(target_feature = "dotprod"), target_os = "linux")))]
    return cfg!(target_feature = "dotprod");
}

/// Linux (4.11 and later) answers a program that reads the registers that describe the processor.
#[cfg(all(
    target_arch = "aarch64",
    target_feature = "neon",
    not(target_feature = "dotprod"),
    target_os = "linux"
))]
fn linux_has_dot_product() -> bool {
    use core::arch::asm;
    use core::sync::atomic::{AtomicU8, Ordering};
    const NOT_ASKED: u8 = 2;
    static KNOWN: AtomicU8 = AtomicU8::new(NOT_ASKED);
    let known = KNOWN.load(Ordering::Relaxed);
    if known != NOT_ASKED {
        return known == 1;
    }
    let features: u64;
    // SAFETY: reads a register.
    unsafe {
        asm!("mrs {}, ID_AA64ISAR0_EL1", out(reg) features, options(pure, nomem, nostack, preserves_flags));
    }
    let found = features >> 44 & 15 != 0;
    KNOWN.store(u8::from(found), Ordering::Relaxed);
    found
}
