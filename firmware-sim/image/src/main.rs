//! The image: start-up, the model in flash, its workspace in RAM, and the session.
#![no_std]
#![no_main]

#[cfg(feature = "bench")]
mod bench;
#[cfg(feature = "brown-outs")]
mod brown_outs;
mod console;
mod counter;
mod device;
mod log;
#[cfg(feature = "profile")]
mod profile;
mod semihosting;
mod stack;

use core::panic::PanicInfo;
use firmware_session::link::Line;

#[cfg_attr(target_arch = "arm", cortex_m_rt::entry)]
#[cfg_attr(target_arch = "riscv32", riscv_rt::entry)]
fn main() -> ! {
    let Some(mut console) = console::Console::open() else { semihosting::exit(false) };
    let outcome = device::run(console);
    if let Err(stage) = outcome {
        console.send(Line::new("error").word(stage));
    }
    semihosting::exit(outcome.is_ok())
}

/// Formats nothing: the formatting machinery would be the largest part of the image. The runner's
/// gate shows that not even this is linked.
#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    semihosting::exit(false)
}
