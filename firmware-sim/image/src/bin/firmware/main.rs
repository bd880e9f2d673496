//! The image: start-up, the model in flash, its workspace in RAM, and the session.
#![no_std]
#![no_main]

mod console;
mod counter;
mod device;
mod stack;

use core::panic::PanicInfo;
use semihosting::process::ExitCode;

#[cfg_attr(target_arch = "arm", cortex_m_rt::entry)]
#[cfg_attr(target_arch = "riscv32", riscv_rt::entry)]
fn main() -> ! {
    match device::run() {
        Ok(()) => ExitCode::SUCCESS.exit_process(),
        Err(stage) => {
            console::report_error(stage);
            ExitCode::FAILURE.exit_process()
        }
    }
}

/// Formats nothing: the formatting machinery would be the largest part of the image. The gate of the runner shows that this is not even linked.
#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    ExitCode::FAILURE.exit_process()
}
