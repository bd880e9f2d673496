//! Matrix products of the sizes a small transformer needs: tens to hundreds of rows, columns in
//! panels of 16.
//!
//! A general library packs both sides and dispatches at every call. Here the right-hand side either
//! lies packed already (weights, once an update) or is small enough to be read in place, and one
//! register tile is swept over the rows. With operands on cache lines ([`Buffer`](super::Buffer))
//! the larger products of the model run at the machine's multiply-add peak; one that straddles them
//! costs a third. This is the only module below [`crate::nn`] with `unsafe` code: [`product`]
//! checks every index before it starts.

/// Columns of the right-hand side come in panels of this many.
pub const PANEL: usize = 16;

/// The left-hand side: element `(row, column)` is `values[row * row_stride + column *
/// column_stride]`. Swapping the strides transposes it.
#[derive(Clone, Copy)]
pub struct Left<'a> {
    /// The elements.
    pub values: &'a [f32],
    /// Distance from one row to the next.
    pub row_stride: usize,
    /// Distance from one column to the next.
    pub column_stride: usize,
}

impl<'a> Left<'a> {
    /// A row-major matrix with rows of `columns` elements.
    pub fn rows(values: &'a [f32], columns: usize) -> Self {
        Self { values, row_stride: columns, column_stride: 1 }
    }

    /// The transpose of a row-major matrix with rows of `columns` elements.
    pub fn transposed(values: &'a [f32], columns: usize) -> Self {
        Self { values, row_stride: 1, column_stride: columns }
    }
}

/// The right-hand side: element `(row, column)` is `values[row * row_stride + column / 16 *
/// panel_stride + column % 16]`.
#[derive(Clone, Copy)]
pub struct Right<'a> {
    /// The elements.
    pub values: &'a [f32],
    /// Distance from one row to the next.
    pub row_stride: usize,
    /// Distance from one panel of 16 columns to the next.
    pub panel_stride: usize,
}

impl<'a> Right<'a> {
    /// A row-major matrix with rows of `columns` elements.
    pub fn rows(values: &'a [f32], columns: usize) -> Self {
        Self { values, row_stride: columns, panel_stride: PANEL }
    }

    /// A matrix of `rows` rows packed panel by panel ([`pack`], [`pack_transposed`]).
    pub fn packed(values: &'a [f32], rows: usize) -> Self {
        Self { values, row_stride: PANEL, panel_stride: rows * PANEL }
    }
}

/// Rows, columns and inner length of a product. Columns are a multiple of 4; where they are not one
/// of [`PANEL`], the last panel of the right-hand side is narrower.
#[derive(Clone, Copy)]
pub struct Size {
    /// Rows of the left-hand side and of the result.
    pub rows: usize,
    /// Columns of the right-hand side and of the result.
    pub columns: usize,
    /// Columns of the left-hand side, rows of the right-hand side.
    pub inner: usize,
}

/// `result = left * right`, or `result += left * right` with `accumulate`. The result is row-major
/// with rows of `result_stride` elements, of which the first `size.columns` are written. The order
/// of every sum is fixed.
pub fn product(
    result: &mut [f32],
    result_stride: usize,
    left: Left,
    right: Right,
    size: Size,
    accumulate: bool,
) {
    let Size { rows, columns, inner } = size;
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(
        columns % 4 == 0 && columns <= result_stride && result.len() >= (rows - 1) * result_stride + columns
    );
    if inner > 0 {
        assert!(left.values.len() > (rows - 1) * left.row_stride + (inner - 1) * left.column_stride);
        let last = columns - 1;
        let last = last / PANEL * right.panel_stride + last % PANEL;
        assert!(right.values.len() > (inner - 1) * right.row_stride + last);
    }
    let operands = Operands {
        left: left.values.as_ptr(),
        left_row: left.row_stride,
        left_column: left.column_stride,
        right: right.values.as_ptr(),
        right_row: right.row_stride,
        right_panel: right.panel_stride,
        result: result.as_mut_ptr(),
        result_row: result_stride,
        inner,
        accumulate,
    };
    // SAFETY: the assertions above bound every element that the tiles read and write, and the
    // instruction sets are detected before they are used.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                return x86::product_avx512(operands, rows, columns);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return x86::product_avx2(operands, rows, columns);
            }
        }
        portable::product(operands, rows, columns);
    }
}

/// Packs a row-major matrix `[rows, columns]` for [`Right::packed`]. Columns beyond the matrix are
/// zero.
pub fn pack(matrix: &[f32], columns: usize, packed: &mut [f32]) {
    let rows = matrix.len() / columns;
    for (panel, destination) in packed.chunks_exact_mut(rows * PANEL).enumerate() {
        let first = panel * PANEL;
        let width = PANEL.min(columns - first);
        for (row, destination) in matrix.chunks_exact(columns).zip(destination.chunks_exact_mut(PANEL)) {
            destination[..width].copy_from_slice(&row[first..first + width]);
            destination[width..].fill(0.0);
        }
    }
}

/// Packs the transpose of a row-major matrix with rows of `columns` elements for [`Right::packed`].
/// Columns beyond the transpose are zero.
pub fn pack_transposed(matrix: &[f32], columns: usize, packed: &mut [f32]) {
    let rows = matrix.len() / columns;
    for (panel, destination) in packed.chunks_exact_mut(columns * PANEL).enumerate() {
        let first = panel * PANEL;
        let width = PANEL.min(rows - first);
        for (inner, destination) in destination.chunks_exact_mut(PANEL).enumerate() {
            for (lane, value) in destination.iter_mut().enumerate() {
                *value = if lane < width { matrix[(first + lane) * columns + inner] } else { 0.0 };
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Operands {
    left: *const f32,
    left_row: usize,
    left_column: usize,
    right: *const f32,
    right_row: usize,
    right_panel: usize,
    result: *mut f32,
    result_row: usize,
    inner: usize,
    accumulate: bool,
}

/// A vector of an instruction set.
trait Vector: Copy {
    /// Elements.
    const LANES: usize;
    unsafe fn zero() -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn splat(from: *const f32) -> Self;
    /// `self + a * b`
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
    unsafe fn add(self, other: Self) -> Self;
}

/// One register tile: `ROWS` rows and `VECTORS` vectors of columns of the result.
#[inline(always)]
unsafe fn tile<V: Vector, const ROWS: usize, const VECTORS: usize>(o: Operands) {
    let mut sums = [[V::zero(); VECTORS]; ROWS];
    let (mut left, mut right) = (o.left, o.right);
    for _ in 0..o.inner {
        let mut columns = [V::zero(); VECTORS];
        for (index, column) in columns.iter_mut().enumerate() {
            let lane = index * V::LANES;
            *column = V::load(right.add(lane / PANEL * o.right_panel + lane % PANEL));
        }
        for (row, sums) in sums.iter_mut().enumerate() {
            let factor = V::splat(left.add(row * o.left_row));
            for (sum, column) in sums.iter_mut().zip(columns) {
                *sum = sum.add_product(factor, column);
            }
        }
        left = left.wrapping_add(o.left_column);
        right = right.wrapping_add(o.right_row);
    }
    for (row, sums) in sums.iter().enumerate() {
        for (index, &sum) in sums.iter().enumerate() {
            let to = o.result.add(row * o.result_row + index * V::LANES);
            if o.accumulate { V::load(to).add(sum) } else { sum }.store(to);
        }
    }
}

/// Sweeps tiles of the given heights, tallest first, over all rows of one group of panels.
macro_rules! sweep {
    ($vector:ty, $vectors:literal, $operands:expr, $rows:expr, [$($height:literal),*]) => {{
        let mut operands: Operands = $operands;
        let mut remaining: usize = $rows;
        $(
            // Two tiles of 8 rows keep the multipliers busier than one of 12 and one of 4.
            while remaining >= $height && !($height == 12 && remaining == 16) {
                tile::<$vector, $height, $vectors>(operands);
                operands.left = operands.left.wrapping_add($height * operands.left_row);
                operands.result = operands.result.wrapping_add($height * operands.result_row);
                remaining -= $height;
            }
        )*
        debug_assert_eq!(remaining, 0);
    }};
}

/// Moves on by `panels` panels.
#[inline(always)]
fn advance(operands: &mut Operands, panels: usize) {
    operands.right = operands.right.wrapping_add(panels * operands.right_panel);
    operands.result = operands.result.wrapping_add(panels * PANEL);
}

/// Moves on by some columns of a panel.
#[inline(always)]
fn advance_within(operands: &mut Operands, columns: usize) {
    operands.right = operands.right.wrapping_add(columns);
    operands.result = operands.result.wrapping_add(columns);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{advance, advance_within, tile, Operands, Vector, PANEL};
    use core::arch::x86_64::*;

    impl Vector for __m512 {
        const LANES: usize = 16;
        #[inline(always)]
        unsafe fn zero() -> Self {
            _mm512_setzero_ps()
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            _mm512_loadu_ps(from)
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            _mm512_storeu_ps(to, self)
        }
        #[inline(always)]
        unsafe fn splat(from: *const f32) -> Self {
            _mm512_set1_ps(*from)
        }
        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            _mm512_fmadd_ps(a, b, self)
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            _mm512_add_ps(self, other)
        }
    }

    impl Vector for __m256 {
        const LANES: usize = 8;
        #[inline(always)]
        unsafe fn zero() -> Self {
            _mm256_setzero_ps()
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            _mm256_loadu_ps(from)
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            _mm256_storeu_ps(to, self)
        }
        #[inline(always)]
        unsafe fn splat(from: *const f32) -> Self {
            _mm256_set1_ps(*from)
        }
        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            _mm256_fmadd_ps(a, b, self)
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            _mm256_add_ps(self, other)
        }
    }

    impl Vector for __m128 {
        const LANES: usize = 4;
        #[inline(always)]
        unsafe fn zero() -> Self {
            _mm_setzero_ps()
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            _mm_loadu_ps(from)
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            _mm_storeu_ps(to, self)
        }
        #[inline(always)]
        unsafe fn splat(from: *const f32) -> Self {
            _mm_set1_ps(*from)
        }
        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            _mm_fmadd_ps(a, b, self)
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            _mm_add_ps(self, other)
        }
    }

    #[target_feature(enable = "avx512f")]
    pub unsafe fn product_avx512(mut operands: Operands, rows: usize, columns: usize) {
        let panels = columns / PANEL;
        for _ in 0..panels / 2 {
            sweep!(__m512, 2, operands, rows, [12, 8, 4, 2, 1]);
            advance(&mut operands, 2);
        }
        if panels % 2 == 1 {
            sweep!(__m512, 1, operands, rows, [16, 8, 4, 2, 1]);
            advance(&mut operands, 1);
        }
        narrow_panel(operands, rows, columns % PANEL);
    }

    #[target_feature(enable = "avx2,fma")]
    pub unsafe fn product_avx2(mut operands: Operands, rows: usize, columns: usize) {
        for _ in 0..columns / PANEL {
            sweep!(__m256, 2, operands, rows, [6, 4, 2, 1]);
            advance(&mut operands, 1);
        }
        narrow_panel(operands, rows, columns % PANEL);
    }

    /// The last panel: 0, 4, 8 or 12 columns.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn narrow_panel(mut operands: Operands, rows: usize, columns: usize) {
        if columns >= 8 {
            sweep!(__m256, 1, operands, rows, [12, 8, 4, 2, 1]);
            advance_within(&mut operands, 8);
        }
        if columns % 8 >= 4 {
            sweep!(__m128, 1, operands, rows, [12, 8, 4, 2, 1]);
        }
    }
}

/// Four lanes, which every 128-bit instruction set has.
mod portable {
    use super::{advance, advance_within, tile, Operands, Vector, PANEL};

    impl Vector for [f32; 4] {
        const LANES: usize = 4;
        #[inline(always)]
        unsafe fn zero() -> Self {
            [0.0; 4]
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            from.cast::<[f32; 4]>().read()
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            to.cast::<[f32; 4]>().write(self)
        }
        #[inline(always)]
        unsafe fn splat(from: *const f32) -> Self {
            [*from; 4]
        }
        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            std::array::from_fn(|lane| self[lane] + a[lane] * b[lane])
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            std::array::from_fn(|lane| self[lane] + other[lane])
        }
    }

    pub unsafe fn product(mut operands: Operands, rows: usize, columns: usize) {
        for _ in 0..columns / PANEL {
            sweep!([f32; 4], 4, operands, rows, [2, 1]);
            advance(&mut operands, 1);
        }
        for _ in 0..columns % PANEL / 4 {
            sweep!([f32; 4], 1, operands, rows, [8, 4, 2, 1]);
            advance_within(&mut operands, 4);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use algodistill_core::PortableRng;

    fn random(count: usize, rng: &mut PortableRng) -> Vec<f32> {
        (0..count).map(|_| rng.uniform() - 0.5).collect()
    }

    #[test]
    fn agrees_with_the_definition_on_every_instruction_set() {
        let mut rng = PortableRng::new(1, 1);
        for (rows, columns, inner) in [
            (1, 16, 1),
            (5, 32, 7),
            (29, 48, 64),
            (160, 16, 33),
            (13, 80, 0),
            (17, 4, 9),
            (16, 28, 5),
            (31, 40, 3),
        ] {
            let left = random(rows * inner.max(1), &mut rng);
            let right = random(inner.max(1) * columns, &mut rng);
            let start = random(rows * columns, &mut rng);
            let mut expected = start.clone();
            for row in 0..rows {
                for column in 0..columns {
                    for k in 0..inner {
                        expected[row * columns + column] +=
                            left[row * inner + k] * right[k * columns + column];
                    }
                }
            }
            let size = Size { rows, columns, inner };
            let mut transposed = vec![0.0; left.len()];
            for row in 0..rows {
                for k in 0..inner {
                    transposed[k * rows + row] = left[row * inner + k];
                }
            }
            let mut packed = vec![0.0; inner * columns.next_multiple_of(PANEL)];
            if inner > 0 {
                pack(&right, columns, &mut packed);
            }
            let mut results = Vec::new();
            for left in [Left::rows(&left, inner), Left::transposed(&transposed, rows)] {
                for right in [Right::rows(&right, columns), Right::packed(&packed, inner)] {
                    let mut result = start.clone();
                    product(&mut result, columns, left, right, size, true);
                    results.push(result);
                }
            }
            let mut by = |run: unsafe fn(Operands, usize, usize)| {
                let mut result = start.clone();
                let operands = Operands {
                    left: left.as_ptr(),
                    left_row: inner,
                    left_column: 1,
                    right: right.as_ptr(),
                    right_row: columns,
                    right_panel: PANEL,
                    result: result.as_mut_ptr(),
                    result_row: columns,
                    inner,
                    accumulate: true,
                };
                // SAFETY: the buffers have the sizes given.
                unsafe { run(operands, rows, columns) };
                results.push(result);
            };
            by(portable::product);
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                by(x86::product_avx2);
            }
            for result in results {
                for (found, expected) in result.iter().zip(&expected) {
                    assert!((found - expected).abs() < 1e-4, "{rows} {columns} {inner}");
                }
            }
        }
    }

    #[test]
    fn transposed_packing_pads_with_zeros() {
        let matrix: Vec<f32> = (0..10).map(|i| i as f32).collect();
        let mut packed = vec![9.0; 2 * PANEL];
        pack_transposed(&matrix, 2, &mut packed);
        assert_eq!(packed[..6], [0.0, 2.0, 4.0, 6.0, 8.0, 0.0]);
        assert_eq!(packed[PANEL..PANEL + 6], [1.0, 3.0, 5.0, 7.0, 9.0, 0.0]);
    }
}
