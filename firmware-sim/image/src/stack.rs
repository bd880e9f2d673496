//! The stack's high-water mark: paint the free stack, look later how much paint is left. On most
//! QEMU machines a stack overflow is silent, so this is also how to see one coming.

use core::ptr::{addr_of, read_volatile, write_volatile};

const PAINT: u32 = 0xACE1_57AC;

extern "C" {
    /// Where the stack starts, at its highest address; from the linker script.
    static _stack_start: u32;
    /// The lowest address that the stack may reach.
    #[cfg_attr(target_arch = "riscv32", link_name = "__estack")]
    static _stack_end: u32;
}

fn pointer() -> usize {
    let value: usize;
    // SAFETY: reads the stack pointer.
    unsafe {
        #[cfg(target_arch = "arm")]
        core::arch::asm!("mov {}, sp", out(reg) value, options(nomem, nostack, preserves_flags));
        #[cfg(target_arch = "riscv32")]
        core::arch::asm!("mv {}, sp", out(reg) value, options(nomem, nostack, preserves_flags));
    }
    value
}

/// Left unpainted below the stack pointer: the compiler may move the reading of the pointer before
/// the pushes of [`paint`].
const MARGIN: usize = 64;

/// Paints what is free now.
#[inline(never)]
pub fn paint() {
    let mut word = addr_of!(_stack_end).cast_mut();
    let limit = pointer().saturating_sub(MARGIN);
    while (word as usize) < limit {
        // SAFETY: below the stack pointer and above everything static; no interrupt is enabled that could
        // use it.
        unsafe {
            write_volatile(word, PAINT);
            word = word.add(1);
        }
    }
}

/// Bytes from the stack's start to the deepest address written since [`paint`].
pub fn high_water_mark() -> u32 {
    let mut word = addr_of!(_stack_end);
    let start = addr_of!(_stack_start);
    // SAFETY: between the ends of the stack, aligned.
    while word < start && unsafe { read_volatile(word) } == PAINT {
        word = word.wrapping_add(1);
    }
    (start as usize).wrapping_sub(word as usize) as u32
}

/// Whether the stack has reached its end since [`paint`], and perhaps what lies below it.
pub fn is_exhausted() -> bool {
    // SAFETY: the lowest word of the stack.
    unsafe { read_volatile(addr_of!(_stack_end)) != PAINT }
}
