//! A multi-layer perceptron on batches of rows: for sources with a network.
//!
//! The products want columns in multiples of four, so every layer's outputs are padded to that,
//! here and in the parameters. What is padding is zero, has a gradient of zero, and stays zero
//! under any optimizer that leaves alone what has none.

use super::kernels::elementwise::{relu, relu_backward};
use super::kernels::product::{pack_transposed, product, Left, Right, Size, PANEL};
use super::kernels::{zeros, Buffer};
use super::one_hot::{clip, HIDDEN};
use super::{AdamW, Hyperparameters};
use algodistill_core::PortableRng;
use std::ops::Range;

/// Columns of a product are a multiple of this.
const MULTIPLE: usize = 4;

/// Layers of weights and biases with ReLU between them: `y = W_n relu(.. relu(W_1 x + b_1) ..) +
/// b_n`.
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    layers: Vec<Layer>,
    inputs: usize,
    outputs: usize,
}

/// Where a layer lies in the parameters: weights `[inputs, stride]`, then biases `[stride]`.
#[derive(Clone, Debug, PartialEq)]
struct Layer {
    /// Inputs, without and with padding.
    inputs: usize,
    rows: usize,
    /// Outputs, without and with padding.
    outputs: usize,
    stride: usize,
    weights: Range<usize>,
    biases: Range<usize>,
}

/// Activations of a batch, and their gradients; allocated once.
pub struct Workspace {
    rows: usize,
    outputs: usize,
    /// Of each layer, `[rows, stride]`, after the activation.
    activations: Vec<Buffer>,
    gradients: Vec<Buffer>,
    packed: Buffer,
}

impl Mlp {
    /// A perceptron with `widths` of the input, the hidden layers and the output: two widths or
    /// more, none of them 0.
    ///
    /// # Panics
    /// Where there are fewer than two widths, or one is 0.
    pub fn new(widths: &[usize]) -> Self {
        assert!(widths.len() >= 2 && !widths.contains(&0), "{widths:?} are not the widths of a network");
        let mut end = 0;
        let mut take = |count: usize| {
            end += count;
            end - count..end
        };
        let layer = |(index, pair): (usize, &[usize])| {
            let (inputs, outputs) = (pair[0], pair[1]);
            let rows = if index == 0 { inputs } else { inputs.next_multiple_of(MULTIPLE) };
            let stride = outputs.next_multiple_of(MULTIPLE);
            Layer { inputs, rows, outputs, stride, weights: take(rows * stride), biases: take(stride) }
        };
        let layers = widths.windows(2).enumerate().map(layer).collect();
        Self { layers, inputs: widths[0], outputs: widths[widths.len() - 1] }
    }

    /// Width of an input row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Width of an output row.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Number of parameters, padding included.
    pub fn parameter_count(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.biases.end)
    }

    /// Weights uniform with mean 0 and the standard deviation that `deviation` gives for a layer's
    /// number and inputs (`sqrt(2 / inputs)` before a ReLU: He et al. 2015); biases of 0.
    pub fn initial(&self, rng: &mut PortableRng, deviation: impl Fn(usize, usize) -> f32) -> Vec<f32> {
        let mut values = vec![0.0; self.parameter_count()];
        for (number, layer) in self.layers.iter().enumerate() {
            let largest = 3f32.sqrt() * deviation(number, layer.inputs);
            for row in values[layer.weights.clone()].chunks_exact_mut(layer.stride).take(layer.inputs) {
                row[..layer.outputs]
                    .iter_mut()
                    .for_each(|value| *value = (2.0 * rng.uniform() - 1.0) * largest);
            }
        }
        values
    }

    /// Room for batches of up to `rows`.
    pub fn workspace(&self, rows: usize) -> Workspace {
        let per_layer = || self.layers.iter().map(|layer| zeros(rows * layer.stride)).collect();
        let packed = self.layers.iter().map(|layer| layer.stride * layer.rows.next_multiple_of(PANEL)).max();
        Workspace {
            rows: 0,
            outputs: self.outputs,
            activations: per_layer(),
            gradients: per_layer(),
            packed: zeros(packed.unwrap_or(0)),
        }
    }

    /// The outputs of `input`, `[rows, inputs]`: read them with [`Workspace::output`].
    ///
    /// # Panics
    /// Where there are more rows than the workspace has room for.
    pub fn forward(&self, parameters: &[f32], input: &[f32], workspace: &mut Workspace) {
        let rows = input.len() / self.inputs;
        workspace.rows = rows;
        for (number, layer) in self.layers.iter().enumerate() {
            let (before, after) = workspace.activations.split_at_mut(number);
            let input = before.last().map_or(input, |activation| &activation[..]);
            let output = &mut after[0][..rows * layer.stride];
            let biases = &parameters[layer.biases.clone()];
            output.chunks_exact_mut(layer.stride).for_each(|row| row.copy_from_slice(biases));
            let size = Size { rows, columns: layer.stride, inner: layer.rows };
            let weights = Right::rows(&parameters[layer.weights.clone()], layer.stride);
            product(output, layer.stride, Left::rows(input, layer.rows), weights, size, true);
            if number + 1 < self.layers.len() {
                relu(output);
            }
        }
    }

    /// Adds the gradient of every parameter to `gradient`, after [`Mlp::forward`] of the same
    /// input, from what was written into [`Workspace::output_gradient`]. The gradient of the input,
    /// `[rows, inputs]` of a multiple of 4 inputs, takes the place of `input_gradient`'s content.
    pub fn backward(
        &self,
        parameters: &[f32],
        input: &[f32],
        workspace: &mut Workspace,
        gradient: &mut [f32],
        mut input_gradient: Option<&mut [f32]>,
    ) {
        let Workspace { rows, activations, gradients, packed, .. } = workspace;
        let rows = *rows;
        for (number, layer) in self.layers.iter().enumerate().rev() {
            let (before, after) = gradients.split_at_mut(number);
            let output_gradient = &mut after[0][..rows * layer.stride];
            if number + 1 < self.layers.len() {
                relu_backward(output_gradient, &activations[number]);
            }
            for row in output_gradient.chunks_exact(layer.stride) {
                for (sum, value) in gradient[layer.biases.clone()].iter_mut().zip(row) {
                    *sum += value;
                }
            }
            let input = if number == 0 { input } else { &activations[number - 1] };
            let size = Size { rows: layer.rows, columns: layer.stride, inner: rows };
            let (left, right) =
                (Left::transposed(input, layer.rows), Right::rows(output_gradient, layer.stride));
            product(&mut gradient[layer.weights.clone()], layer.stride, left, right, size, true);
            let input_gradient = match before.last_mut() {
                Some(hidden) => &mut hidden[..],
                None => match input_gradient.take() {
                    Some(input_gradient) => input_gradient,
                    None => continue,
                },
            };
            let packed = &mut packed[..layer.stride * layer.rows.next_multiple_of(PANEL)];
            pack_transposed(&parameters[layer.weights.clone()], layer.stride, packed);
            let size = Size { rows, columns: layer.rows, inner: layer.stride };
            let (left, right) =
                (Left::rows(output_gradient, layer.stride), Right::packed(packed, layer.stride));
            product(input_gradient, layer.rows, left, right, size, false);
        }
    }
}

impl Workspace {
    /// The output of a row of the batch.
    pub fn output(&self, row: usize) -> &[f32] {
        let output = &self.activations[self.activations.len() - 1];
        &output[row * self.outputs.next_multiple_of(MULTIPLE)..][..self.outputs]
    }

    /// Where the loss's gradient with respect to the output of a row is to be written.
    pub fn output_gradient(&mut self, row: usize) -> &mut [f32] {
        let last = self.gradients.len() - 1;
        &mut self.gradients[last][row * self.outputs.next_multiple_of(MULTIPLE)..][..self.outputs]
    }
}

/// A perceptron that is being trained.
pub struct Trained {
    /// Its shape.
    pub network: Mlp,
    /// Its parameters, padded to whole rows of [`one_hot`](super::one_hot).
    pub parameters: Buffer,
    /// Sum of the gradients since the last step.
    pub gradient: Buffer,
    optimizer: AdamW,
    steps: u64,
    workspace: Workspace,
}

impl Trained {
    /// A network that [`Trained::begin`] is still to draw, for batches of up to `rows` and of 1.
    pub fn new(network: Mlp, rows: usize) -> Self {
        let count = network.parameter_count().next_multiple_of(HIDDEN);
        let workspace = network.workspace(rows.max(1));
        let optimizer = AdamW::new(count, []);
        Self { network, parameters: zeros(count), gradient: zeros(count), optimizer, steps: 0, workspace }
    }

    /// Forgets everything and draws new parameters, as [`Mlp::initial`]: for ReLU, and the last
    /// layer with a deviation of `last / sqrt(inputs)`.
    pub fn begin(&mut self, rng: &mut PortableRng, last: f32) {
        let layers = self.network.layers.len();
        let deviation = |layer, inputs: usize| match layer + 1 < layers {
            true => (2.0 / inputs as f32).sqrt(),
            false => last / (inputs as f32).sqrt(),
        };
        let drawn = self.network.initial(rng, deviation);
        self.parameters[..drawn.len()].copy_from_slice(&drawn);
        self.gradient.fill(0.0);
        self.optimizer.first.fill(0.0);
        self.optimizer.second.fill(0.0);
        self.steps = 0;
    }

    /// As [`Mlp::forward`].
    pub fn forward(&mut self, input: &[f32]) {
        self.network.forward(&self.parameters, input, &mut self.workspace);
    }

    /// As [`Mlp::forward`] of a network of the same shape with other `parameters`.
    pub fn forward_with(&mut self, parameters: &[f32], input: &[f32]) {
        self.network.forward(parameters, input, &mut self.workspace);
    }

    /// As [`Workspace::output`].
    pub fn output(&self, row: usize) -> &[f32] {
        self.workspace.output(row)
    }

    /// As [`Workspace::output_gradient`].
    pub fn output_gradient(&mut self, row: usize) -> &mut [f32] {
        self.workspace.output_gradient(row)
    }

    /// As [`Mlp::backward`].
    pub fn backward(&mut self, input: &[f32]) {
        let Self { network, parameters, gradient, workspace, .. } = self;
        network.backward(parameters, input, workspace, gradient, None);
    }

    /// One step of Adam down the gradient, clipped at the norm `largest`; the gradient is then zero
    /// again.
    pub fn step(&mut self, rate: f32, largest: f32) {
        clip(self.gradient.as_chunks_mut().0, largest);
        let Self { parameters, gradient, optimizer, .. } = self;
        optimizer.step(&Hyperparameters::default(), self.steps, rate, gradient, parameters);
        gradient.fill(0.0);
        self.steps += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dfdx::prelude::*;

    fn random(count: usize, rng: &mut PortableRng) -> Vec<f32> {
        (0..count).map(|_| 2.0 * rng.uniform() - 1.0).collect()
    }

    /// A network with biases that are not zero, a batch, and factors of the outputs whose sum is
    /// the loss.
    fn case(widths: &[usize], rows: usize) -> (Mlp, Vec<f32>, Vec<f32>, Vec<f32>) {
        let mut rng = PortableRng::new(3, rows as u64);
        let network = Mlp::new(widths);
        let mut parameters = network.initial(&mut rng, |_, inputs| (2.0 / inputs as f32).sqrt());
        for layer in &network.layers {
            for bias in &mut parameters[layer.biases.clone()][..layer.outputs] {
                *bias = rng.uniform() - 0.5;
            }
        }
        let input = random(rows * network.inputs(), &mut rng);
        let factors = random(rows * network.outputs(), &mut rng);
        (network, parameters, input, factors)
    }

    /// The outputs, and the gradient of `sum(factors * outputs)`.
    fn found(network: &Mlp, parameters: &[f32], input: &[f32], factors: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let rows = input.len() / network.inputs();
        // Larger than needed, and used before.
        let mut workspace = network.workspace(rows + 3);
        network.forward(parameters, &vec![9.0; (rows + 3) * network.inputs()], &mut workspace);
        network.forward(parameters, input, &mut workspace);
        let outputs = (0..rows).flat_map(|row| workspace.output(row).to_vec()).collect();
        for (row, factors) in factors.chunks(network.outputs()).enumerate() {
            workspace.output_gradient(row).copy_from_slice(factors);
        }
        let mut gradient = vec![0.0; network.parameter_count()];
        network.backward(parameters, input, &mut workspace, &mut gradient, None);
        (outputs, gradient)
    }

    /// The definition in double precision.
    fn exact(network: &Mlp, parameters: &[f64], input: &[f32]) -> Vec<f64> {
        let mut outputs = Vec::new();
        for row in input.chunks(network.inputs()) {
            let mut x: Vec<f64> = row.iter().map(|&x| x.into()).collect();
            for (number, layer) in network.layers.iter().enumerate() {
                let output = |o: usize| {
                    let weight = |i: usize| parameters[layer.weights.start + i * layer.stride + o];
                    let sum: f64 = x.iter().enumerate().map(|(i, x)| x * weight(i)).sum();
                    let y = sum + parameters[layer.biases.start + o];
                    if number + 1 < network.layers.len() {
                        y.max(0.0)
                    } else {
                        y
                    }
                };
                x = (0..layer.outputs).map(output).collect();
            }
            outputs.extend(x);
        }
        outputs
    }

    const CASES: [(&[usize], usize); 4] =
        [(&[7, 5], 3), (&[18, 33, 5], 32), (&[3, 8, 6, 1], 1), (&[1, 2, 2], 50)];

    #[test]
    fn gradients_agree_with_finite_differences_in_double_precision() {
        for (widths, rows) in CASES {
            let (network, parameters, input, factors) = case(widths, rows);
            let (outputs, gradient) = found(&network, &parameters, &input, &factors);
            let mut values: Vec<f64> = parameters.iter().map(|&value| value.into()).collect();
            for (found, expected) in outputs.iter().zip(exact(&network, &values, &input)) {
                assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} {expected}");
            }
            let loss = |values: &[f64]| -> f64 {
                exact(&network, values, &input).iter().zip(&factors).map(|(y, &f)| y * f64::from(f)).sum()
            };
            for layer in &network.layers {
                for input in 0..layer.inputs + 1 {
                    for output in 0..layer.outputs {
                        // The last "input" is the bias.
                        let row = if input == layer.inputs { layer.rows } else { input };
                        let place = layer.weights.start + row * layer.stride + output;
                        let value = values[place];
                        values[place] = value + 1e-6;
                        let above = loss(&values);
                        values[place] = value - 1e-6;
                        let expected = (above - loss(&values)) / 2e-6;
                        values[place] = value;
                        let error = (f64::from(gradient[place]) - expected).abs();
                        assert!(error < 1e-4 * (1.0 + expected.abs()), "{} {expected}", gradient[place]);
                    }
                }
            }
        }
    }

    type Matrix<T = NoneTape> = Tensor<(usize, usize), f32, Cpu, T>;
    type Vector = Tensor<(usize,), f32, Cpu>;

    #[test]
    fn gradients_agree_with_those_of_dfdx() {
        let device = Cpu::default();
        for (widths, rows) in CASES {
            let (network, parameters, input, factors) = case(widths, rows);
            let (_, gradient) = found(&network, &parameters, &input, &factors);
            let tensors: Vec<(Matrix, Vector)> = (network.layers.iter())
                .map(|layer| {
                    let weights = parameters[layer.weights.clone()].chunks(layer.stride).take(layer.inputs);
                    let weights = weights.flat_map(|row| row[..layer.outputs].to_vec()).collect::<Vec<_>>();
                    let biases = parameters[layer.biases.clone()][..layer.outputs].to_vec();
                    (
                        device.tensor_from_vec(weights, (layer.inputs, layer.outputs)),
                        device.tensor_from_vec(biases, (layer.outputs,)),
                    )
                })
                .collect();
            let x: Matrix = device.tensor_from_vec(input, (rows, network.inputs()));
            let mut x: Matrix<OwnedTape<f32, Cpu>> = x.leaky_trace();
            for (number, (weights, biases)) in tensors.iter().enumerate() {
                let shape = (rows, weights.shape().1);
                let bias = biases.leaky_trace().broadcast_like::<_, Axis<0>>(&shape);
                x = x.matmul(weights.leaky_trace()) + bias;
                x = if number + 1 < tensors.len() { x.relu() } else { x };
            }
            let factors = device.tensor_from_vec(factors, (rows, network.outputs()));
            let expected = (x * factors).sum::<Rank0, _>().backward();
            for (layer, (weights, biases)) in network.layers.iter().zip(&tensors) {
                let own = gradient[layer.weights.clone()].chunks(layer.stride).take(layer.inputs);
                let own = own.flat_map(|row| row[..layer.outputs].to_vec());
                let own = own.chain(gradient[layer.biases.clone()][..layer.outputs].to_vec());
                let expected =
                    expected.get(weights).as_vec().into_iter().chain(expected.get(biases).as_vec());
                for (own, expected) in own.zip(expected) {
                    assert!((own - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{own} {expected}");
                }
            }
        }
    }

    #[test]
    fn padding_has_no_gradient() {
        let (network, parameters, input, factors) = case(&[3, 5, 6, 2], 9);
        let (_, gradient) = found(&network, &parameters, &input, &factors);
        for layer in &network.layers {
            for (row, values) in
                gradient[layer.weights.start..layer.biases.end].chunks(layer.stride).enumerate()
            {
                let used = row < layer.inputs || row == layer.rows;
                let padding = &values[if used { layer.outputs } else { 0 }..];
                assert!(padding.iter().all(|&value| value == 0.0), "{values:?}");
            }
        }
    }
}
