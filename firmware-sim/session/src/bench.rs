//! The linear layers that the image measures.

/// Rows and columns of matrices of the reference model.
pub const SHAPES: [(usize, usize); 3] = [(64, 64), (64, 256), (256, 64)];

/// The same of the anomaly-detection autoencoder of MLPerf Tiny (Banbury et al. 2021), layer by layer.
pub const AUTOENCODER: [(usize, usize); 10] = [
    (128, 640),
    (128, 128),
    (128, 128),
    (128, 128),
    (8, 128),
    (128, 8),
    (128, 128),
    (128, 128),
    (128, 128),
    (640, 128),
];

/// Most rows or columns.
pub const WIDEST: usize = 640;

/// Multiplications, each with an addition, of the autoencoder.
pub const MULTIPLICATIONS: usize = {
    let (mut sum, mut layer) = (0, 0);
    while layer < AUTOENCODER.len() {
        sum += AUTOENCODER[layer].0 * AUTOENCODER[layer].1;
        layer += 1;
    }
    sum
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_autoencoder_is_that_of_mlperf_tiny() {
        assert!(AUTOENCODER.windows(2).all(|pair| pair[0].0 == pair[1].1), "{AUTOENCODER:?}");
        let biases: usize = AUTOENCODER.iter().map(|(rows, _)| rows).sum();
        // The parameters of the network as it is published, batch normalisation folded in.
        assert_eq!(MULTIPLICATIONS + biases, 265_864);
        assert_eq!(MULTIPLICATIONS, 264_192);
        assert!(AUTOENCODER.iter().chain(&SHAPES).all(|(rows, columns)| *rows.max(columns) <= WIDEST));
    }
}
