//! Instructions of the extension, each as a function: their intrinsics are unstable in Rust.

use core::arch::asm;

macro_rules! instruction {
    ($(#[$documentation:meta])* $name:ident($($operand:ident),+) = $text:literal) => {
        $(#[$documentation])*
        #[inline(always)]
        pub fn $name($($operand: u32),+) -> u32 {
            let result;
            // SAFETY: arithmetic on registers.
            unsafe {
                asm!($text, $($operand = in(reg) $operand,)+ result = lateout(reg) result, options(pure, nomem, nostack, preserves_flags));
            }
            result
        }
    };
}

instruction!(
    /// Bytes 0 and 2, sign-extended to 16 bits.
    sxtb16(word) = "sxtb16 {result}, {word}"
);
instruction!(
    /// Bytes 1 and 3, sign-extended to 16 bits.
    sxtb16_high(word) = "sxtb16 {result}, {word}, ror #8"
);
instruction!(
    /// `a` times the lower half of `b`, shifted right by 16.
    smulwb(a, b) = "smulwb {result}, {a}, {b}"
);
instruction!(
    /// The upper half of the product.
    smmul(a, b) = "smmul {result}, {a}, {b}"
);
instruction!(
    /// The same added to `sum`.
    smmla(a, b, sum) = "smmla {result}, {a}, {b}, {sum}"
);
instruction!(
    /// The same added to `sum`.
    smlad(a, b, sum) = "smlad {result}, {a}, {b}, {sum}"
);
instruction!(
    /// To 16 bits.
    ssat(value) = "ssat {result}, #16, {value}"
);

/// The larger of the lower halves and of the upper halves, signed.
#[inline(always)]
pub fn largest16(a: u32, b: u32) -> u32 {
    let result;
    // SAFETY: arithmetic on registers.
    unsafe {
        asm!(
            "ssub16 {result}, {a}, {b}",
            "sel {result}, {a}, {b}",
            a = in(reg) a,
            b = in(reg) b,
            result = out(reg) result,
            options(pure, nomem, nostack),
        );
    }
    result
}
