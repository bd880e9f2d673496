//! `libalgodistill.a`: the functions are those of [`algodistill_core::capi`], which the linker
//! finds by their C names.
#![no_std]

// Links the crate, although nothing here names it.
extern crate algodistill_core as _;

/// Every `no_std` library that C links needs one. In the release profile no panic is reachable and
/// the optimizer removes it, which `.ci/c-api` checks in the symbols of the library.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
