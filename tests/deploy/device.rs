//! Dark Room in place of a device: what the loop of the project does, as a fingerprint, is compared with
//! the Rust agent's on the host. The same as `device.c`.

use crate::model::OBSERVATION_WORDS;
use algodistill_core::env::dark_room::{DarkRoom, DarkRoomTask};
use algodistill_core::{Environment, Family, PortableRng};

const TASK: u32 = 65;
const EPISODES: u32 = 40;
const SEED: u64 = 7;

pub struct Feedback {
    pub reward: f32,
    pub done: bool,
}

pub struct Device {
    room: DarkRoomTask,
    /// Nothing in this room is random.
    rng: PortableRng,
    episodes: u32,
    actions_crc32: u32,
    logits_crc32: u32,
}

impl Device {
    pub fn new() -> Self {
        let Some(room) = DarkRoom::STANDARD.task(TASK) else { exit(false) };
        Self { room, rng: PortableRng::new(0, 0), episodes: 0, actions_crc32: 0, logits_crc32: 0 }
    }

    pub async fn sense(&mut self, observation: &mut [i32; OBSERVATION_WORDS]) {
        self.room.observe(observation);
    }

    pub async fn actuate(&mut self, action: usize, logits: &[i32]) -> Feedback {
        self.actions_crc32 = crc32(self.actions_crc32, &[action as u8]);
        for logit in logits {
            self.logits_crc32 = crc32(self.logits_crc32, &logit.to_le_bytes());
        }
        let transition = self.room.step(action, &mut self.rng);
        Feedback { reward: transition.reward, done: transition.done }
    }

    pub async fn begin_episode(&mut self) {
        if self.episodes == EPISODES {
            print("actions CRC-32 ");
            print_hexadecimal(self.actions_crc32);
            print(", logits CRC-32 ");
            print_hexadecimal(self.logits_crc32);
            print("\n");
            exit(true);
        }
        self.episodes += 1;
        self.room.reset(&mut self.rng);
    }

    pub fn seed(&mut self) -> u64 {
        SEED
    }

    pub fn stop(&mut self, _error: algodistill_core::Error) {
        print("the agent refused\n");
        exit(false);
    }
}

/// Of zip and Ethernet, bit by bit.
fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    let shift = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(!crc, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), shift))
}

fn print_hexadecimal(value: u32) {
    for place in (0..8).rev() {
        let digit = (value >> (4 * place) & 15) as usize;
        print(&"0123456789abcdef"[digit..=digit]);
    }
}

/// Semihosting: operations of Arm's document 100863, which QEMU serves on both architectures.
fn print(text: &str) {
    for byte in text.bytes() {
        call(0x03, core::ptr::from_ref(&byte).expose_provenance());
    }
}

fn exit(success: bool) -> ! {
    loop {
        call(0x18, if success { 0x20026 } else { 0x20023 });
    }
}

fn call(operation: usize, argument: usize) {
    // SAFETY: QEMU reads one byte, or nothing.
    unsafe {
        #[cfg(target_arch = "arm")]
        core::arch::asm!("bkpt #0xab", inlateout("r0") operation => _, in("r1") argument, options(nostack));
        #[cfg(target_arch = "riscv32")]
        core::arch::asm!(
            ".balign 16", ".option push", ".option norvc",
            "slli x0, x0, 0x1f", "ebreak", "srai x0, x0, 7",
            ".option pop",
            inlateout("a0") operation => _, in("a1") argument, options(nostack)
        );
    }
}
