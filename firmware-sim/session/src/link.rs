//! What goes over the link between device and host.
//!
//! The device sends lines of text, a word that names the line and then numbers:
//!
//! ```text
//! kernels NAME                                  at start-up
//! calibration INSTRUCTIONS TICKS                a loop of known length, by the instruction counter
//! stack start-up BYTES                          high-water mark of decoding the model
//! step INDEX ACTION LOGITS_CRC32 OBSERVATIONS_CRC32 TICKS OBSERVE_TICKS ENCODE_TICKS
//!                                               after every step; the CRCs are of its logits,
//!                                               little-endian, and of all observations so far; the
//!                                               ticks of acting, of the world that showed the
//!                                               observation, and of the encoders within acting
//! bench ROWS COLUMNS REPETITIONS TICKS          of a linear layer
//! autoencoder MULTIPLICATIONS REPETITIONS TICKS  of all layers of a network
//! probe MARKS TICKS                             of a profile: marks in a row, and the ticks that they took
//! part NAME MARKS TICKS_HIGH TICKS_LOW          a part of the steps with a full ring: how often it began,
//!                                               and its ticks, 64 bits
//! stack act BYTES                               high-water mark of the loop
//! log BYTES                                     so many bytes follow the line: the next of the log of
//!                                               steps, as in docs/steps-log.md
//! end STEPS RETURN_BITS ACTIONS_CRC32 LOGITS_CRC32 OBSERVATIONS_CRC32
//! error STAGE                                   instead of any of these
//! ```
//!
//! In a fed run the host sends frames: [`OBSERVATION`] and the observation, and after the device's
//! step line [`FEEDBACK`], the reward (f32, little-endian), the done flag and, where that is not 0,
//! the observation that ended the episode; [`END`] in place of an observation ends the run.
//!
//! An observation is sent channel by channel: a word in four bytes, little-endian; a picture as a
//! camera sends it, a byte for each colour of each pixel and none to fill up the last word.

use algodistill_core::{Channel, Interface};

/// Frame: an observation follows.
pub const OBSERVATION: u8 = b'O';
/// Frame: reward, done flag and, after the last step of an episode, an observation follow.
pub const FEEDBACK: u8 = b'F';
/// Frame: the run is over.
pub const END: u8 = b'E';

/// CRC-32 of actions and logits.
pub const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// CRC-32 of the logits of one step.
pub fn logits_crc(logits: &[i32]) -> u32 {
    let mut digest = CRC.digest();
    for logit in logits {
        digest.update(&logit.to_le_bytes());
    }
    digest.finalize()
}

/// Bytes of each word of the channel on the link: four, fewer of a picture's last word.
pub fn word_lens(channel: &Channel) -> impl Iterator<Item = usize> {
    let bytes = match channel {
        Channel::Discrete { .. } | Channel::Vector { .. } => 4 * channel.words(),
        Channel::Pixels { .. } => channel.inputs(),
    };
    (0..channel.words()).map(move |word| bytes.saturating_sub(4 * word).min(4))
}

/// Gives `take` the bytes of an observation as they go over the link, piece by piece.
pub fn observation_bytes(interface: &Interface, observation: &[i32], mut take: impl FnMut(&[u8])) {
    for (channel, words) in interface.split(observation) {
        for (word, len) in words.iter().zip(word_lens(channel)) {
            take(word.to_le_bytes().get(..len).unwrap_or(&[]));
        }
    }
}

/// CRC-32 of all that was observed, as it goes over the link: what the renderer of one target does
/// differently is seen here, even where it changes no logit.
#[derive(Clone)]
pub struct Seen(crc::Digest<'static, u32>);

impl Seen {
    /// Of nothing.
    pub fn nothing() -> Self {
        Self(CRC.digest())
    }

    /// Takes in one more observation.
    pub fn add(&mut self, interface: &Interface, observation: &[i32]) {
        observation_bytes(interface, observation, |bytes| self.0.update(bytes));
    }

    /// Of all observations so far.
    pub fn crc(&self) -> u32 {
        self.0.clone().finalize()
    }
}

/// A line being written. What does not fit is dropped; the longest line fits. It is written in place:
/// a line that moved from call to call would take a device's stack several times.
pub struct Line {
    bytes: [u8; 128],
    len: usize,
}

impl Line {
    /// A line that starts with `word`.
    pub fn new(word: &str) -> Self {
        let mut line = Self { bytes: [0; 128], len: 0 };
        line.put(word.as_bytes());
        line
    }

    /// Appends a space and `word`.
    pub fn word(&mut self, word: &str) -> &mut Self {
        self.put(b" ");
        self.put(word.as_bytes());
        self
    }

    /// Appends a space and `number` in decimal digits.
    pub fn number(&mut self, number: u32) -> &mut Self {
        self.put(b" ");
        let mut divisor = 1_000_000_000;
        while divisor > 1 && number < divisor {
            divisor /= 10;
        }
        while divisor > 0 {
            self.put(&[b'0' + (number / divisor % 10) as u8]);
            divisor /= 10;
        }
        self
    }

    /// Appends a space and `number` in eight hexadecimal digits.
    pub fn hex(&mut self, number: u32) -> &mut Self {
        self.put(b" ");
        for nibble in (0..8).rev() {
            let digit = (number >> (4 * nibble) & 0xf) as u8;
            self.put(&[if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }]);
        }
        self
    }

    /// The line with its end.
    pub fn end(&mut self) -> &[u8] {
        self.put(b"\n");
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    fn put(&mut self, text: &[u8]) {
        for byte in text {
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = *byte;
                self.len += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_the_runner_reads() {
        let mut line = Line::new("step");
        line.number(0).number(4_294_967_295).number(10).hex(0x00ab_cdef).word("x");
        assert_eq!(line.end(), b"step 0 4294967295 10 00abcdef x\n");
    }

    #[test]
    fn a_picture_is_sent_as_a_camera_does() {
        let mut interface = Interface::discrete(&[4, 4], 2, &[0.0]).unwrap();
        interface.channels[0] = Channel::Pixels { height: 3, width: 1, colours: 2 };
        let sent = |words: &[i32]| {
            let mut bytes = Vec::new();
            observation_bytes(&interface, words, |part| bytes.extend_from_slice(part));
            bytes
        };
        // Six bytes of the picture, not eight; what fills up its last word does not matter.
        assert_eq!(sent(&[0x0403_0201, 0x6605, 3]), [1, 2, 3, 4, 5, 0x66, 3, 0, 0, 0]);
        assert_eq!(sent(&[0x0403_0201, 0x7777_6605, 3]), sent(&[0x0403_0201, 0x6605, 3]));
    }

    #[test]
    fn the_longest_line_fits() {
        let most = u32::MAX;
        let mut line = Line::new("step");
        line.number(most).number(most).hex(most).hex(most);
        assert!(line.number(most).number(most).number(most).end().len() < 128);
    }

    #[test]
    fn a_line_too_long_is_cut() {
        let mut line = Line::new(core::str::from_utf8(&[b'a'; 200]).unwrap());
        assert_eq!(line.end(), [b'a'; 128]);
    }
}
