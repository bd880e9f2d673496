//! A global allocator that can be sealed: firmware has no heap, so an allocation while it runs ends
//! the program.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

/// The system's allocator until [`SealedAllocator::seal`].
pub struct SealedAllocator {
    sealed: AtomicBool,
}

impl SealedAllocator {
    /// Unsealed.
    pub const fn new() -> Self {
        Self { sealed: AtomicBool::new(false) }
    }

    /// From now on an allocation aborts the program.
    pub fn seal(&self) {
        self.sealed.store(true, Ordering::SeqCst);
    }

    /// Allows allocation again, for the report.
    pub fn unseal(&self) {
        self.sealed.store(false, Ordering::SeqCst);
    }
}

// SAFETY: every call goes to the system's allocator unchanged, or does not return.
unsafe impl GlobalAlloc for SealedAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.sealed.load(Ordering::Relaxed) {
            std::process::abort();
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}
