//! Random masks: dropout and token masking.
//!
//! Every element of every mask is a hash of where it stands (seed, update, sequence, site, row,
//! column). So the same element is found in any order and on any thread, the backward pass needs no
//! stored mask, and a resumed run draws the masks that it would have drawn. Kept elements are
//! scaled by `1 / (1 - rate)` (Srivastava et al. 2014), token masks are not.

use super::random::{stream, Purpose};
use algodistill_core::PortableRng;

/// The probabilities of one training run, and the update whose masks are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Masks {
    /// Seed of the run.
    pub seed: u64,
    /// Number of the update.
    pub update: u64,
    /// Probability that an attention weight is dropped.
    pub attention: f32,
    /// Probability that an element of a block's output is dropped before it is added to the
    /// residual stream.
    pub residual: f32,
    /// Probability that a token's whole embedding is zero.
    pub token: f32,
}

/// The masks of one sequence of the batch.
#[derive(Clone, Copy, Debug)]
pub struct SequenceMasks {
    key: u32,
    /// See [`Masks::attention`].
    pub attention: Rate,
    /// See [`Masks::residual`].
    pub residual: Rate,
    token: Rate,
}

/// What a mask is applied to.
#[derive(Clone, Copy, Debug)]
pub enum Site {
    /// The embeddings.
    Token,
    /// The attention weights of a head, counted through all layers (`layer * heads + head`).
    Attention(usize),
    /// The attention output of a layer.
    AttentionOutput(usize),
    /// The feed-forward output of a layer.
    FeedForward(usize),
}

/// A drop probability in the form that the masks compare with.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    threshold: u32,
    scale: f32,
}

impl Rate {
    /// `probability` in 0..1.
    fn new(probability: f32) -> Self {
        Self {
            threshold: (f64::from(probability) * 4_294_967_296.0) as u32,
            scale: 1.0 / (1.0 - probability),
        }
    }

    /// Whether nothing is ever dropped.
    pub fn is_zero(self) -> bool {
        self.threshold == 0
    }

    /// 0 or `1 / (1 - probability)`: what element `column` of the row with `key` is multiplied
    /// with.
    #[inline(always)]
    pub fn factor(self, key: u32, column: u32) -> f32 {
        if mix(key ^ column.wrapping_mul(0x9E37_79B9)) >= self.threshold {
            self.scale
        } else {
            0.0
        }
    }
}

impl Masks {
    /// Whether nothing is ever dropped.
    pub fn is_zero(&self) -> bool {
        self.attention == 0.0 && self.residual == 0.0 && self.token == 0.0
    }

    /// The masks of sequence number `sequence` of the batch.
    pub fn sequence(&self, sequence: usize) -> SequenceMasks {
        let mut rng = PortableRng::new(self.seed, stream(Purpose::Masks, self.update));
        let key = mix(rng.next_u32() ^ mix(sequence as u32 ^ rng.next_u32()));
        SequenceMasks {
            key,
            attention: Rate::new(self.attention),
            residual: Rate::new(self.residual),
            token: Rate::new(self.token),
        }
    }
}

impl SequenceMasks {
    /// Key of row `row` (a position) at `site`, for [`Rate::factor`].
    pub fn key(&self, site: Site, row: usize) -> u32 {
        let site = match site {
            Site::Token => 0,
            Site::Attention(head) => 3 * head + 1,
            Site::AttentionOutput(layer) => 3 * layer + 2,
            Site::FeedForward(layer) => 3 * layer + 3,
        };
        mix(mix(self.key ^ mix(site as u32)) ^ row as u32)
    }

    /// Whether the embedding of the token at `position` is zero.
    pub fn hides(&self, position: usize) -> bool {
        self.token.factor(self.key(Site::Token, position), 0) == 0.0
    }
}

/// A bijective 32-bit mixer (Wellons 2018, "Prospecting for Hash Functions": lowbias32).
#[inline(always)]
fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x7FEB_352D);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846C_A68B);
    x ^ (x >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_at_the_rate_and_depends_on_every_coordinate() {
        let masks = Masks { seed: 7, update: 3, attention: 0.3, residual: 0.5, token: 0.2 };
        let sequence = masks.sequence(4);
        let key = sequence.key(Site::Attention(1), 9);
        let dropped = (0..100_000).filter(|&column| sequence.attention.factor(key, column) == 0.0).count();
        assert!((29_000..31_000).contains(&dropped), "{dropped}");
        let hidden = (0..10_000).filter(|&position| sequence.hides(position)).count();
        assert!((1_800..2_200).contains(&hidden), "{hidden}");
        assert_ne!(key, sequence.key(Site::Attention(1), 10));
        assert_ne!(key, sequence.key(Site::AttentionOutput(1), 9));
        assert_ne!(key, masks.sequence(5).key(Site::Attention(1), 9));
        assert_ne!(key, Masks { update: 4, ..masks }.sequence(4).key(Site::Attention(1), 9));
        assert_eq!(key, masks.sequence(4).key(Site::Attention(1), 9));
    }
}
