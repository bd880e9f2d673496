//! Dimensions of a model as arguments of the benchmarks.

use crate::model::Dimensions;

/// The reference model unless told otherwise.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct DimensionArgs {
    /// Transformer blocks.
    #[arg(long, default_value_t = 2)]
    pub layers: usize,
    /// Width of the residual stream, a multiple of 16.
    #[arg(long, default_value_t = 64)]
    pub d_model: usize,
    /// Attention heads.
    #[arg(long, default_value_t = 4)]
    pub heads: usize,
    /// Hidden width of the feed-forward network, a multiple of 16.
    #[arg(long, default_value_t = 256)]
    pub d_ff: usize,
    /// Context window in steps.
    #[arg(long, default_value_t = 160)]
    pub window: usize,
}

impl DimensionArgs {
    /// The dimensions, not validated.
    pub fn dimensions(&self) -> Dimensions {
        let Self { layers, d_model, heads, d_ff, window } = *self;
        Dimensions { layers, d_model, heads, d_ff, window }
    }
}
