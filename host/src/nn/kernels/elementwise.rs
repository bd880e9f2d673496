//! Everything between the matrix products: norms, activation, masks, loss. Vectorised by the
//! compiler, once for each instruction set, and chosen at run time. Rows are multiples of 16 wide;
//! sums run in 16 lanes in a fixed order.

use crate::model::NORM_EPSILON;
use crate::nn::masks::Rate;
use multiversion::multiversion;

const LANES: usize = 16;

/// 2^x for x <= 126 to about 1e-7 relative; exactly 0 below -126.5. Not a number stays what it is.
///
/// x = n + r with |r| <= 1/2, and the polynomial of Cephes `exp2f` for 2^r (Moshier 1992).
#[inline(always)]
pub fn power_of_two(x: f32) -> f32 {
    // Adding and subtracting 1.5 * 2^23 rounds to an integer, whose low bits then stand in the
    // sum's mantissa.
    const ROUND: f32 = 12_582_912.0;
    // 2^-127 has an exponent of zero bits, which makes the product 0. (`max` would turn NaN into
    // -127.)
    let x = if x < -127.0 { -127.0 } else { x };
    let shifted = x + ROUND;
    let r = x - (shifted - ROUND);
    let mut p = 1.535_336_2e-4;
    p = f32::mul_add(p, r, 1.339_887_4e-3);
    p = f32::mul_add(p, r, 9.618_437e-3);
    p = f32::mul_add(p, r, 5.550_332_5e-2);
    p = f32::mul_add(p, r, 2.402_264_8e-1);
    p = f32::mul_add(p, r, 6.931_472e-1);
    p = f32::mul_add(p, r, 1.0);
    p * f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3F80_0000))
}

/// e^x for x <= 87, through [`power_of_two`]: the error grows with |x|, to about 6e-8 |x| relative.
#[inline(always)]
pub fn exponential(x: f32) -> f32 {
    power_of_two(x * std::f32::consts::LOG2_E)
}

/// The sum of all lanes, in halves.
#[inline(always)]
fn total(lanes: [f32; LANES]) -> f32 {
    let mut sums = lanes;
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            lanes[lane] = f32::mul_add(a[lane], b[lane], lanes[lane]);
        }
    }
    total(lanes)
}

/// `output = input / sqrt(mean(input^2) + eps) * gain` for each row of `gain.len()`, and the
/// reciprocal root of each row.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn rms_norm(input: &[f32], gain: &[f32], output: &mut [f32], reciprocals: &mut [f32]) {
    let width = gain.len();
    let rows = input.chunks_exact(width).zip(output.chunks_exact_mut(width)).zip(reciprocals);
    for ((input, output), reciprocal) in rows {
        *reciprocal = 1.0 / (dot(input, input) / width as f32 + NORM_EPSILON).sqrt();
        for ((output, input), gain) in output.iter_mut().zip(input).zip(gain) {
            *output = input * *reciprocal * gain;
        }
    }
}

/// Backward of [`rms_norm`]: adds to the gradients of its input and of its gain. `gradient` is
/// overwritten.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn rms_norm_backward(
    gradient: &mut [f32],
    input: &[f32],
    gain: &[f32],
    reciprocals: &[f32],
    input_gradient: &mut [f32],
    gain_gradient: &mut [f32],
) {
    let width = gain.len();
    let rows = gradient.chunks_exact_mut(width).zip(input.chunks_exact(width));
    let rows = rows.zip(input_gradient.chunks_exact_mut(width)).zip(reciprocals);
    for (((gradient, input), input_gradient), &reciprocal) in rows {
        for ((gain_gradient, gradient), (gain, input)) in
            gain_gradient.iter_mut().zip(gradient.iter_mut()).zip(gain.iter().zip(input))
        {
            *gain_gradient = f32::mul_add(*gradient * reciprocal, *input, *gain_gradient);
            *gradient *= gain;
        }
        let shared = -dot(gradient, input) / width as f32 * reciprocal * reciprocal;
        for ((input_gradient, gradient), input) in input_gradient.iter_mut().zip(&*gradient).zip(input) {
            *input_gradient =
                f32::mul_add(reciprocal, f32::mul_add(shared, *input, *gradient), *input_gradient);
        }
    }
}

/// `max(0, x)` in place.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn relu(values: &mut [f32]) {
    for value in values {
        *value = value.max(0.0);
    }
}

/// Zeroes the gradient where [`relu`] gave 0.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn relu_backward(gradient: &mut [f32], activated: &[f32]) {
    for (gradient, &activated) in gradient.iter_mut().zip(activated) {
        *gradient = if activated > 0.0 { *gradient } else { 0.0 };
    }
}

/// `values += added`
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn add(values: &mut [f32], added: &[f32]) {
    for (value, added) in values.iter_mut().zip(added) {
        *value += added;
    }
}

/// `values *= factor`
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn scale(values: &mut [f32], factor: f32) {
    for value in values {
        *value *= factor;
    }
}

/// Multiplies a row with its mask.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn mask_row(row: &mut [f32], key: u32, rate: Rate) {
    for (column, value) in row.iter_mut().enumerate() {
        *value *= rate.factor(key, column as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_accurate() {
        for step in -125_999..=125_999 {
            let x = step as f32 * 1e-3;
            let expected = f64::from(x).exp2();
            let error = (f64::from(power_of_two(x)) - expected).abs() / expected;
            assert!(error < 1.5e-7, "{x}: {error}");
        }
        assert_eq!(power_of_two(f32::NEG_INFINITY), 0.0);
        assert_eq!(power_of_two(-127.0), 0.0);
        assert_eq!(power_of_two(0.0), 1.0);
        assert!(power_of_two(f32::NAN).is_nan());
    }
}
