//! Semihosting: a breakpoint with an operation's number, which a debugger or emulator carries out.
//! The calls that the image needs, by Arm's "Semihosting for AArch32 and AArch64" and, for RISC-V,
//! "RISC-V Semihosting". The crates for it have panics in them, which the image must not.

const OPEN: usize = 0x01;
const WRITE: usize = 0x05;
const READ: usize = 0x06;
const GET_CMDLINE: usize = 0x15;
const EXIT: usize = 0x18;

/// `fopen` modes.
const MODE_READ: usize = 0;
const MODE_WRITE: usize = 4;
/// Reasons of [`EXIT`]; QEMU makes exit codes 0 and 1 of them.
const APPLICATION_EXIT: usize = 0x20026;
const RUN_TIME_ERROR: usize = 0x20023;

/// A stream that the host has opened.
#[derive(Clone, Copy)]
pub struct Stream(usize);

impl Stream {
    /// The host's standard input.
    pub fn input() -> Option<Self> {
        Self::open(MODE_READ)
    }

    /// The host's standard output.
    pub fn output() -> Option<Self> {
        Self::open(MODE_WRITE)
    }

    fn open(mode: usize) -> Option<Self> {
        let name = c":tt";
        let block = [name.as_ptr().expose_provenance(), mode, name.count_bytes()];
        // SAFETY: the block of this operation; the host reads the name.
        let stream = unsafe { call(OPEN, block.as_ptr().expose_provenance()) };
        (stream != usize::MAX).then_some(Self(stream))
    }

    /// Sends the front of `bytes`; how many the host did not take.
    pub fn write(self, bytes: &[u8]) -> usize {
        let block = [self.0, bytes.as_ptr().expose_provenance(), bytes.len()];
        // SAFETY: the block of this operation; the host reads the bytes.
        unsafe { call(WRITE, block.as_ptr().expose_provenance()) }
    }

    /// Receives into the front of `bytes`; how many were not filled.
    pub fn read(self, bytes: &mut [u8]) -> usize {
        let block = [self.0, bytes.as_mut_ptr().expose_provenance(), bytes.len()];
        // SAFETY: the block of this operation; the host writes at most the length.
        unsafe { call(READ, block.as_ptr().expose_provenance()) }
    }
}

/// Writes the command line, with its zero byte, into `buffer`; `None` where it does not fit.
pub fn command_line(buffer: &mut [u8]) -> Option<()> {
    let mut block = [buffer.as_mut_ptr().expose_provenance(), buffer.len()];
    // SAFETY: the block of this operation, which the host updates; it writes at most the length.
    let status = unsafe { call(GET_CMDLINE, block.as_mut_ptr().expose_provenance()) };
    (status == 0).then_some(())
}

/// Ends the emulation.
pub fn exit(success: bool) -> ! {
    let reason = if success { APPLICATION_EXIT } else { RUN_TIME_ERROR };
    loop {
        // SAFETY: the operation takes no block.
        unsafe { call(EXIT, reason) };
    }
}

/// # Safety
/// The argument must be what the operation takes: for most the address of a block of words, valid
/// for what the host does with them.
unsafe fn call(operation: usize, argument: usize) -> usize {
    let result;
    // SAFETY: the caller's promise. The host may read and write memory, which is what the default
    // options say.
    unsafe {
        #[cfg(target_arch = "arm")]
        core::arch::asm!("bkpt #0xab", inlateout("r0") operation => result, in("r1") argument, options(nostack));
        // The three instructions must be uncompressed and in one page: that is how the host tells them from
        // a breakpoint.
        #[cfg(target_arch = "riscv32")]
        core::arch::asm!(
            ".balign 16", ".option push", ".option norvc",
            "slli x0, x0, 0x1f", "ebreak", "srai x0, x0, 7",
            ".option pop",
            inlateout("a0") operation => result, in("a1") argument, options(nostack)
        );
    }
    result
}
