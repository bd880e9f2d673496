//! What the operations are made of: matrix products, the softmax of attention scores, and
//! everything done element by element.

pub mod elementwise;
pub mod product;
pub mod softmax;

use aligned_vec::{avec, AVec, ConstAlign};

/// Numbers that begin on a cache line. A vector load that straddles two lines takes twice as long,
/// and with rows of a multiple of 16 numbers every load of the matrix products would.
pub type Buffer = AVec<f32, ConstAlign<64>>;

/// A buffer of `len` zeros.
pub fn zeros(len: usize) -> Buffer {
    avec![[64]| 0.0; len]
}
