//! Counts instructions: under `qemu -icount shift=0` an instruction takes one virtual nanosecond,
//! whatever it does, so every timer counts instructions. These are not cycles. DWT's cycle counter
//! reads 0 in QEMU.
//!
//! Ticks have a unit of their own on each board; [`calibrate`] measures it.

pub use board::{between, now, start};

/// Two instructions each.
const CALIBRATION_LOOPS: u32 = 1_000_000;

/// Ticks since `begin`.
pub fn elapsed(begin: u32) -> u32 {
    between(begin, now())
}

/// Instructions of a loop of known length, and the ticks that it took.
pub fn calibrate() -> (u32, u32) {
    let begin = now();
    // SAFETY: changes one register and the flags.
    unsafe {
        #[cfg(target_arch = "arm")]
        core::arch::asm!("2:", "subs {0}, {0}, #1", "bne 2b", inout(reg) CALIBRATION_LOOPS => _, options(nomem, nostack));
        #[cfg(target_arch = "riscv32")]
        core::arch::asm!("2:", "addi {0}, {0}, -1", "bnez {0}, 2b", inout(reg) CALIBRATION_LOOPS => _, options(nomem, nostack));
    }
    (2 * CALIBRATION_LOOPS, elapsed(begin))
}

/// SysTick counts the system clock down, 24 bits.
#[cfg(any(
    board = "microbit",
    board = "lm3s6965evb",
    board = "mps2-an500",
    board = "mps2-an505",
    board = "mps3-an547"
))]
mod board {
    use cortex_m::peripheral::{syst::SystClkSource, Peripherals, SYST};

    const RELOAD: u32 = 0x00ff_ffff;

    pub fn start() {
        // SAFETY: nothing else in the image uses the peripherals.
        let mut systick = unsafe { Peripherals::steal() }.SYST;
        systick.set_reload(RELOAD);
        systick.clear_current();
        systick.set_clock_source(SystClkSource::Core);
        systick.enable_counter();
    }

    pub fn now() -> u32 {
        SYST::get_current()
    }

    pub fn between(begin: u32, end: u32) -> u32 {
        begin.wrapping_sub(end) & RELOAD
    }
}

/// TIM2 of the STM32F4: counts up, 32 bits. (SysTick is too coarse there: QEMU derives it from a
/// clock that does not divide a nanosecond.)
#[cfg(board = "netduinoplus2")]
mod board {
    use core::ptr::{with_exposed_provenance_mut, write_volatile};

    const RCC_APB1ENR: usize = 0x4002_3840;
    const TIM2_CR1: usize = 0x4000_0000;
    const TIM2_CNT: usize = 0x4000_0024;
    const TIM2_PSC: usize = 0x4000_0028;
    const TIM2_ARR: usize = 0x4000_002C;

    pub fn start() {
        for (register, value) in [(RCC_APB1ENR, 1), (TIM2_PSC, 0), (TIM2_ARR, u32::MAX), (TIM2_CR1, 1)] {
            // SAFETY: registers of the STM32F405; nothing else in the image uses them.
            unsafe { write_volatile(with_exposed_provenance_mut::<u32>(register), value) }
        }
    }

    pub fn now() -> u32 {
        // SAFETY: as above.
        unsafe { core::ptr::read_volatile(core::ptr::with_exposed_provenance::<u32>(TIM2_CNT)) }
    }

    pub fn between(begin: u32, end: u32) -> u32 {
        end.wrapping_sub(begin)
    }
}

/// RISC-V counts retired instructions itself.
#[cfg(board = "virt")]
mod board {
    pub fn start() {}

    pub fn now() -> u32 {
        let value: u32;
        // SAFETY: reads a counter.
        unsafe { core::arch::asm!("csrr {}, minstret", out(reg) value, options(nomem, nostack)) }
        value
    }

    pub fn between(begin: u32, end: u32) -> u32 {
        end.wrapping_sub(begin)
    }
}
