//! A perceptron with one hidden layer whose inputs are a few ones among zeros: for sources that see
//! numbers of rows and columns. Its first layer is a sum of a few rows of weights, so a step costs
//! what those rows cost, however many there are.
//!
//! Sums run in lanes in a fixed order, and nothing is contracted: the same bits on every machine.

use super::{AdamW, Hyperparameters};
use algodistill_core::PortableRng;
use multiversion::multiversion;

/// Hidden units.
pub const HIDDEN: usize = 32;

/// Lanes of a sum.
const LANES: usize = 8;

/// The weights of one input or of one output; the hidden units themselves.
pub type Row = [f32; HIDDEN];

/// `y = V relu(b + sum of W_i over the active inputs i) + c`.
///
/// The parameters are rows: `W`, one row an input; `b`; `V`, one row an output; then `c`, padded to
/// whole rows. What is padding has a gradient of zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OneHot {
    inputs: usize,
    outputs: usize,
}

impl OneHot {
    /// A network of so many inputs and outputs.
    pub fn new(inputs: usize, outputs: usize) -> Self {
        Self { inputs, outputs }
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Number of rows of parameters.
    pub fn rows(&self) -> usize {
        self.inputs + 1 + self.outputs + self.outputs.div_ceil(HIDDEN)
    }

    /// Draws the parameters: weights uniform with mean 0 and deviation 1 of an input, `deviation(o)
    /// / sqrt(HIDDEN)` of output `o`; biases of 0.
    pub fn initialise(
        &self,
        parameters: &mut [Row],
        rng: &mut PortableRng,
        deviation: impl Fn(usize) -> f32,
    ) {
        let mut draw = |row: &mut Row, deviation: f32| {
            row.iter_mut().for_each(|weight| *weight = (2.0 * rng.uniform() - 1.0) * 3f32.sqrt() * deviation);
        };
        parameters.as_flattened_mut().fill(0.0);
        parameters[..self.inputs].iter_mut().for_each(|row| draw(row, 1.0));
        let heads = &mut parameters[self.inputs + 1..][..self.outputs];
        for (output, row) in heads.iter_mut().enumerate() {
            draw(row, deviation(output) / (HIDDEN as f32).sqrt());
        }
    }

    /// The hidden units where the inputs `active` are 1.
    #[inline(always)]
    pub fn hidden(&self, parameters: &[Row], active: &[u16]) -> Row {
        let mut sum = parameters[self.inputs];
        for &input in active {
            add(&mut sum, &parameters[usize::from(input)]);
        }
        sum.map(|unit| if unit > 0.0 { unit } else { 0.0 })
    }

    /// Output number `output`.
    #[inline(always)]
    pub fn output(&self, parameters: &[Row], hidden: &Row, output: usize) -> f32 {
        let bias = parameters[self.bias_row(output)][output % HIDDEN];
        dot(hidden, &parameters[self.inputs + 1 + output]) + bias
    }

    /// The first outputs, as many as there is room for.
    #[inline(always)]
    pub fn outputs_of(&self, parameters: &[Row], active: &[u16], outputs: &mut [f32]) -> Row {
        let hidden = self.hidden(parameters, active);
        for (number, output) in outputs.iter_mut().enumerate() {
            *output = self.output(parameters, &hidden, number);
        }
        hidden
    }

    /// Adds to the gradient of the parameters what `derivatives`, the loss's with respect to some
    /// outputs, make of it.
    #[inline(always)]
    pub fn backward(
        &self,
        parameters: &[Row],
        active: &[u16],
        hidden: &Row,
        derivatives: impl IntoIterator<Item = (usize, f32)>,
        gradient: &mut [Row],
    ) {
        let mut of_hidden = [0.0; HIDDEN];
        for (output, derivative) in derivatives {
            let row = self.inputs + 1 + output;
            gradient[self.bias_row(output)][output % HIDDEN] += derivative;
            for unit in 0..HIDDEN {
                gradient[row][unit] += derivative * hidden[unit];
                of_hidden[unit] += derivative * parameters[row][unit];
            }
        }
        for unit in 0..HIDDEN {
            of_hidden[unit] = if hidden[unit] > 0.0 { of_hidden[unit] } else { 0.0 };
        }
        add(&mut gradient[self.inputs], &of_hidden);
        for &input in active {
            add(&mut gradient[usize::from(input)], &of_hidden);
        }
    }

    fn bias_row(&self, output: usize) -> usize {
        self.inputs + 1 + self.outputs + output / HIDDEN
    }
}

/// As [`OneHot::outputs_of`], for one set of inputs at a time.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn outputs_of(network: &OneHot, parameters: &[Row], active: &[u16], outputs: &mut [f32]) {
    network.outputs_of(parameters, active, outputs);
}

/// A network that is being trained.
#[derive(Clone, Debug)]
pub struct Trained {
    /// Its shape.
    pub network: OneHot,
    /// Its parameters.
    pub parameters: Vec<Row>,
    /// Sum of the gradients since the last step.
    pub gradient: Vec<Row>,
    optimizer: AdamW,
    steps: u64,
}

impl Trained {
    /// A network that [`Trained::begin`] is still to draw.
    pub fn new(network: OneHot) -> Self {
        let zeros = vec![[0.0; HIDDEN]; network.rows()];
        let optimizer = AdamW::new(network.rows() * HIDDEN, []);
        Self { network, parameters: zeros.clone(), gradient: zeros, optimizer, steps: 0 }
    }

    /// Forgets everything and draws new parameters, as [`OneHot::initialise`].
    pub fn begin(&mut self, rng: &mut PortableRng, deviation: impl Fn(usize) -> f32) {
        self.network.initialise(&mut self.parameters, rng, deviation);
        self.gradient.as_flattened_mut().fill(0.0);
        self.optimizer.first.fill(0.0);
        self.optimizer.second.fill(0.0);
        self.steps = 0;
    }

    /// One step of Adam down the gradient, clipped at the norm `largest`; the gradient is then zero
    /// again.
    pub fn step(&mut self, rate: f32, largest: f32) {
        clip(&mut self.gradient, largest);
        let gradient = self.gradient.as_flattened_mut();
        let parameters = self.parameters.as_flattened_mut();
        self.optimizer.step(&Hyperparameters::default(), self.steps, rate, gradient, parameters);
        gradient.fill(0.0);
        self.steps += 1;
    }
}

#[inline(always)]
fn add(sum: &mut Row, row: &Row) {
    for unit in 0..HIDDEN {
        sum[unit] += row[unit];
    }
}

#[inline(always)]
fn dot(a: &Row, b: &Row) -> f32 {
    let mut s = [0.0; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            s[lane] += a[lane] * b[lane];
        }
    }
    ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

/// Scales the gradient down to `largest` where its Euclidean norm exceeds it (0: never).
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn clip(gradient: &mut [Row], largest: f32) {
    let mut squares = [0.0; HIDDEN];
    for row in gradient.iter() {
        for unit in 0..HIDDEN {
            squares[unit] += row[unit] * row[unit];
        }
    }
    let norm = squares.iter().sum::<f32>().sqrt();
    if largest > 0.0 && norm > largest {
        gradient.as_flattened_mut().iter_mut().for_each(|value| *value *= largest / norm);
    }
}

/// Moves `target` a fraction `rate` of the way to `parameters` (Polyak averaging).
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn follow(target: &mut [Row], parameters: &[Row], rate: f32) {
    for (target, value) in target.as_flattened_mut().iter_mut().zip(parameters.as_flattened()) {
        *target += rate * (value - *target);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dfdx::prelude::*;

    #[test]
    fn outputs_and_gradients_agree_with_those_of_dfdx() {
        // Biases on more than one row.
        for (inputs, outputs) in [(18, 5), (36, 1), (7, 40)] {
            let network = OneHot::new(inputs, outputs);
            let mut rng = PortableRng::new(4, inputs as u64);
            let mut parameters = vec![[0.0; HIDDEN]; network.rows()];
            network.initialise(&mut parameters, &mut rng, |output| 1.0 + output as f32);
            assert!(parameters[inputs].iter().all(|&bias| bias == 0.0));
            parameters[inputs].iter_mut().for_each(|bias| *bias = rng.uniform() - 0.5);
            for output in 0..outputs {
                parameters[network.bias_row(output)][output % HIDDEN] = rng.uniform();
            }
            let batch: Vec<[u16; 2]> =
                (0..9).map(|_| [0; 2].map(|_| rng.below(inputs as u32) as u16)).collect();
            let factors: Vec<f32> = (0..batch.len() * outputs).map(|_| rng.uniform() - 0.5).collect();

            let mut gradient = vec![[0.0; HIDDEN]; network.rows()];
            let mut found = vec![0.0; batch.len() * outputs];
            let rows = found.chunks_mut(outputs).zip(factors.chunks(outputs));
            for (active, (found, factors)) in batch.iter().zip(rows) {
                let hidden = network.outputs_of(&parameters, active, found);
                let derivatives = factors.iter().copied().enumerate();
                network.backward(&parameters, active, &hidden, derivatives, &mut gradient);
            }

            let device = Cpu::default();
            let tensor =
                |rows: &[Row]| device.tensor_from_vec(rows.as_flattened().to_vec(), (rows.len(), HIDDEN));
            let first = tensor(&parameters[..inputs]);
            let bias = device.tensor_from_vec(parameters[inputs].to_vec(), (HIDDEN,));
            let heads = tensor(&parameters[inputs + 1..][..outputs]);
            let last = parameters[inputs + 1 + outputs..].as_flattened()[..outputs].to_vec();
            let last = device.tensor_from_vec(last, (outputs,));
            let mut ones = vec![0.0; batch.len() * inputs];
            for (row, active) in ones.chunks_mut(inputs).zip(&batch) {
                active.iter().for_each(|&input| row[usize::from(input)] += 1.0);
            }
            let x = device.tensor_from_vec(ones, (batch.len(), inputs));
            let x = x.leaky_trace().matmul(first.leaky_trace());
            let hidden = (x + bias.leaky_trace().broadcast_like::<_, Axis<0>>(&(batch.len(), HIDDEN))).relu();
            let y = hidden.matmul(heads.leaky_trace().permute::<_, Axes2<1, 0>>());
            let y = y + last.leaky_trace().broadcast_like::<_, Axis<0>>(&(batch.len(), outputs));
            let close = |found: &[f32], expected: Vec<f32>| {
                for (found, expected) in found.iter().zip(expected) {
                    assert!((found - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{found} {expected}");
                }
            };
            close(&found, y.as_vec());
            let expected =
                (y * device.tensor_from_vec(factors, (batch.len(), outputs))).sum::<Rank0, _>().backward();
            close(gradient[..inputs].as_flattened(), expected.get(&first).as_vec());
            close(&gradient[inputs], expected.get(&bias).as_vec());
            close(gradient[inputs + 1..].as_flattened(), expected.get(&heads).as_vec());
            let of_last = gradient[inputs + 1 + outputs..].as_flattened();
            close(of_last, expected.get(&last).as_vec());
            assert!(of_last[outputs..].iter().all(|&padding| padding == 0.0));
        }
    }

    #[test]
    fn clipping_keeps_the_direction_and_targets_follow() {
        let mut gradient = [[0.0; HIDDEN]; 2];
        (gradient[0][3], gradient[1][7]) = (3.0, 4.0);
        clip(&mut gradient, 0.0);
        assert_eq!((gradient[0][3], gradient[1][7]), (3.0, 4.0));
        clip(&mut gradient, 1.0);
        assert!((gradient[0][3] - 0.6).abs() < 1e-6 && (gradient[1][7] - 0.8).abs() < 1e-6);
        let mut target = [[1.0; HIDDEN]];
        follow(&mut target, &[[3.0; HIDDEN]], 0.25);
        assert_eq!(target, [[1.5; HIDDEN]]);
    }
}
