//! The one random number generator of the project: the same stream on every target.

use core::convert::Infallible;
use rand_core::TryRng;

/// xoshiro128++ 1.0 (Blackman and Vigna 2021, "Scrambled linear pseudorandom number generators"),
/// 32-bit operations only.
///
/// Seeded with SplitMix64 from a seed and a stream number, so that parallel work (one stream a
/// task, a history, an evaluation run) needs no shared state. Not for cryptography.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortableRng {
    state: [u32; 4],
}

impl PortableRng {
    /// Generator number `stream` of `seed`.
    // Inlined, it would have the caller keep the state as two 64-bit words, which costs as much as the
    // generator.
    #[inline(never)]
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut mix = SplitMix64(seed ^ SplitMix64(stream).next().rotate_left(17));
        let (a, b) = (mix.next(), mix.next());
        let state = [a as u32, (a >> 32) as u32, b as u32, (b >> 32) as u32];
        Self::from_state(state)
    }

    /// Continues from a state returned by [`PortableRng::state`]. The all-zero state, a fixed point
    /// of the generator, is replaced.
    pub fn from_state(state: [u32; 4]) -> Self {
        if state == [0; 4] {
            return Self { state: [0x9E37_79B9, 0x243F_6A88, 0xB7E1_5162, 1] };
        }
        Self { state }
    }

    /// The whole state, to be saved beside a context snapshot.
    pub fn state(&self) -> [u32; 4] {
        self.state
    }

    /// The next 32 random bits.
    #[inline]
    pub fn next_u32(&mut self) -> u32 {
        let [s0, s1, s2, s3] = &mut self.state;
        let result = s0.wrapping_add(*s3).rotate_left(7).wrapping_add(*s0);
        let t = *s1 << 9;
        *s2 ^= *s0;
        *s3 ^= *s1;
        *s1 ^= *s2;
        *s0 ^= *s3;
        *s2 ^= t;
        *s3 = s3.rotate_left(11);
        result
    }

    /// Uniform in `0..bound`; 0 where `bound` is 0. Multiply-shift (Lemire 2019) without rejection:
    /// the bias is below `bound / 2^32`.
    #[inline]
    pub fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.next_u32()) * u64::from(bound)) >> 32) as u32
    }

    /// Uniform in [0, 1), a multiple of 2^-24.
    #[inline]
    pub fn uniform(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
    }
}

impl TryRng for PortableRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let low = u64::from(self.next_u32());
        Ok(low | u64::from(self.next_u32()) << 32)
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for chunk in dst.chunks_mut(4) {
            for (byte, random) in chunk.iter_mut().zip(self.next_u32().to_le_bytes()) {
                *byte = random;
            }
        }
        Ok(())
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014), recommended for seeding xoshiro.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
