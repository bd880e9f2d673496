//! The network composed from dfdx's own operations, for any dfdx device: what runs on a GPU, and
//! what the fused engine is tested against. On the CPU it is several times slower than the fused
//! engine: `bench train` measures both.

use super::{Batch, LossOptions, NO_ROW, NO_TARGET};
use crate::model::{layout, observation_kinds, table_count};
use crate::model::{Dense, DensePart, Dimensions, Role, NORM_EPSILON};
use crate::nn::masks::{Masks, Site};
use crate::{Error, Result};
use algodistill_core::Interface;
use dfdx::prelude::*;
use std::ops::Range;

/// Loss and gradient on a dfdx device.
pub struct Composed<D> {
    device: D,
    dimensions: Dimensions,
    actions: usize,
    tables: usize,
    /// Whether each encoder has a hidden layer.
    encoders: Vec<bool>,
    parameters: Vec<Parameter>,
}

/// One tensor of the network: all embedding tables together, the queries', keys' and values' parts of
/// `query_key_value`, every other tensor of the layout, those of the encoders among them.
struct Parameter {
    range: Range<usize>,
    /// `[rows, columns]`; the embedding tables have one row more than values, of zeros.
    shape: (usize, usize),
}

pub(crate) type Matrix<D, T = NoneTape> = Tensor<(usize, usize), f32, D, T>;
pub(crate) type PerHead<D, T = NoneTape> = Tensor<(usize, usize, usize, usize), f32, D, T>;

/// A batch in the form that the operations take; shorter sequences are padded at their end, without
/// a loss there.
struct Inputs<D: Device<f32>> {
    sequences: usize,
    length: usize,
    /// Rows of the embedding tables, `[tokens * tables]`, with the row of zeros behind them for
    /// [`NO_ROW`].
    rows: Tensor<(usize,), usize, D>,
    /// What the matrices of the encoders are given, `[tokens, width]` each, zero where a token has
    /// nothing to encode.
    dense: Vec<Matrix<D>>,
    /// 0 inside the band, a large negative number outside, `[length, length]`.
    band: Matrix<D>,
    /// Target probability times the weight of the cross-entropy over the number of targets, `[tokens,
    /// actions]`; 0 for a token without a target.
    targets: Matrix<D>,
    action_values: Option<InputValues<D>>,
    masks: Option<InputMasks<D>>,
}

/// What the values of actions are compared with.
struct InputValues<D: Device<f32>> {
    temperature: f32,
    /// The root of one over the number of targets where a token's action has a return, 0 elsewhere,
    /// `[tokens, actions]`.
    chosen: Matrix<D>,
    /// The returns there, times the same.
    returns: Matrix<D>,
}

struct InputMasks<D: Device<f32>> {
    token: Matrix<D>,
    layers: Vec<LayerMasks<D>>,
}

struct LayerMasks<D: Device<f32>> {
    attention: PerHead<D>,
    attention_output: Matrix<D>,
    feed_forward: Matrix<D>,
}

impl<D: Device<f32>> Composed<D> {
    /// A network on `device`. The dimensions must have passed [`Dimensions::validate`].
    pub fn new(device: D, dimensions: &Dimensions, interface: &Interface) -> Self {
        let tensors = layout(dimensions, interface);
        let tables = table_count(dimensions, interface);
        let d = dimensions.d_model;
        let embeddings = tensors[tables - 1].range().end;
        let mut parameters = vec![Parameter { range: 0..embeddings, shape: (embeddings / d + 1, d) }];
        for tensor in &tensors[tables..] {
            let range = tensor.range();
            let [rows, columns] = tensor.shape;
            if tensor.role == Role::QueryKeyValue {
                let mut start = range.start;
                for rows in [d, dimensions.d_kv(), dimensions.d_kv()] {
                    let range = start..start + rows * columns;
                    start = range.end;
                    parameters.push(Parameter { range, shape: (rows, columns) });
                }
            } else {
                parameters.push(Parameter { range, shape: (rows, columns) });
            }
        }
        let with_encoder = interface.channels.iter().filter(|channel| channel.inputs() > 0);
        Self {
            device,
            dimensions: *dimensions,
            actions: usize::from(interface.actions),
            tables,
            encoders: with_encoder.map(|channel| dimensions.hidden(channel).is_some()).collect(),
            parameters,
        }
    }

    /// Mean loss over all tokens of the batch that have a target.
    pub fn loss(&self, values: &[f32], batch: &Batch, options: &LossOptions) -> Result<f32> {
        let inputs = self.inputs(batch, options).map_err(device_error::<D>)?;
        let parameters = self.upload(values).map_err(device_error::<D>)?;
        let loss = self.forward::<NoneTape>(parameters, &inputs).map_err(device_error::<D>)?;
        Ok(loss.as_vec()[0])
    }

    /// Logits of all tokens of the batch, `[tokens, actions]`, without masks.
    pub fn logits(&self, values: &[f32], batch: &Batch) -> Result<Vec<f32>> {
        let inputs = self.inputs(batch, &LossOptions::default()).map_err(device_error::<D>)?;
        let parameters = self.upload(values).map_err(device_error::<D>)?;
        let logits = self.network::<NoneTape>(parameters, &inputs).map_err(device_error::<D>)?;
        let (padded, length) = (logits.as_vec(), inputs.length * self.actions);
        let sequences = batch.sequences.iter().zip(padded.chunks(length.max(1)));
        Ok(sequences.flat_map(|(place, logits)| &logits[..place.len() * self.actions]).copied().collect())
    }

    /// [`Composed::loss`], and its gradient in place of the content of `gradient`.
    pub fn loss_and_gradient(
        &self,
        values: &[f32],
        batch: &Batch,
        options: &LossOptions,
        gradient: &mut [f32],
    ) -> Result<f32> {
        self.differentiate(values, batch, options, gradient).map_err(device_error::<D>)
    }

    fn differentiate(
        &self,
        values: &[f32],
        batch: &Batch,
        options: &LossOptions,
        gradient: &mut [f32],
    ) -> std::result::Result<f32, D::Err> {
        let inputs = self.inputs(batch, options)?;
        let parameters = self.upload(values)?;
        let loss = self.forward::<OwnedTape<f32, D>>(parameters.clone(), &inputs)?;
        let value = loss.as_vec()[0];
        let gradients = loss.try_backward()?;
        for (parameter, tensor) in self.parameters.iter().zip(&parameters) {
            let own = &mut gradient[parameter.range.clone()];
            let len = own.len();
            own.copy_from_slice(&gradients.get(tensor).as_vec()[..len]);
        }
        Ok(value)
    }

    fn upload(&self, values: &[f32]) -> std::result::Result<Vec<Matrix<D>>, D::Err> {
        let tensor = |parameter: &Parameter| {
            let (rows, columns) = parameter.shape;
            let mut own = values[parameter.range.clone()].to_vec();
            own.resize(rows * columns, 0.0);
            self.device.try_tensor_from_vec(own, parameter.shape)
        };
        self.parameters.iter().map(tensor).collect()
    }

    /// The mean loss.
    fn forward<T: Tape<f32, D>>(
        &self,
        parameters: Vec<Matrix<D>>,
        inputs: &Inputs<D>,
    ) -> std::result::Result<Tensor<Rank0, f32, D, T>, D::Err> {
        let cross_entropy = |logits: Matrix<D, T>| {
            logits.try_log_softmax::<Axis<1>>()?.try_mul(inputs.targets.clone())?.try_sum()?.try_negate()
        };
        let logits: Matrix<D, T> = self.network(parameters, inputs)?;
        let Some(values) = &inputs.action_values else { return cross_entropy(logits) };
        let errors =
            logits.with_empty_tape().try_mul(values.chosen.clone())?.try_sub(values.returns.clone())?;
        let squares: Tensor<Rank0, f32, D, T> = errors.try_square()?.try_sum()?.try_mul(0.5)?;
        cross_entropy(logits.try_mul(1.0 / values.temperature)?)?.try_add(squares)
    }

    /// The equations of [`crate::model`], one operation after the other: logits `[tokens, actions]`.
    fn network<T: Tape<f32, D>>(
        &self,
        parameters: Vec<Matrix<D>>,
        inputs: &Inputs<D>,
    ) -> std::result::Result<Matrix<D, T>, D::Err> {
        let Dimensions { d_model: d, heads, layers, .. } = self.dimensions;
        let (kv_heads, d_head) = (self.dimensions.kv_heads(), self.dimensions.d_head());
        let tokens = inputs.sequences * inputs.length;
        let mut parameters = parameters.into_iter().map(|tensor| tensor.retaped::<T>());
        let mut next = || parameters.next().expect("the parameters of every layer");

        let embedded: Matrix<D, T> = next().try_gather(inputs.rows.clone())?;
        let mut stream = embedded.try_reshape_like(&(tokens, self.tables, d))?.try_sum::<_, Axis<1>>()?;
        let kinds = observation_kinds(&self.dimensions);
        for (&has_hidden, dense) in self.encoders.iter().zip(inputs.dense.chunks(kinds)) {
            let hidden = has_hidden.then(&mut next);
            for given in dense {
                let mut units = given.retaped::<T>();
                if let Some(hidden) = &hidden {
                    units = linear(units, hidden.with_empty_tape())?.try_relu()?;
                }
                stream = stream.try_add(linear(units, next())?)?;
            }
        }
        if let Some(masks) = &inputs.masks {
            stream = stream.try_mul(masks.token.clone())?;
        }
        for layer in 0..layers {
            let masks = inputs.masks.as_ref().map(|masks| &masks.layers[layer]);
            let normed = rms_norm(stream.with_empty_tape(), next())?;
            let split = |matrix: Matrix<D, T>, heads: usize| {
                let shape = (inputs.sequences, inputs.length, heads, d_head);
                linear(normed.with_empty_tape(), matrix)?
                    .try_reshape_like(&shape)?
                    .try_permute::<_, Axes4<0, 2, 1, 3>>()
            };
            let queries: PerHead<D, T> = split(next(), heads)?;
            let keys = shared(split(next(), kv_heads)?, heads)?;
            let values = shared(split(next(), kv_heads)?, heads)?;
            let normed_tape = normed.split_tape().1;
            let masks_of_weights = masks.map(|masks| masks.attention.clone());
            let attended = attention(queries, keys, values, inputs.band.clone(), masks_of_weights)?
                .try_permute::<_, Axes4<0, 2, 1, 3>>()?;
            let attended = attended.try_reshape_like(&(tokens, d))?;
            let mut output = linear(attended, next())?;
            if let Some(masks) = masks {
                output = output.try_mul(masks.attention_output.clone())?;
            }
            let (output, tape) = output.split_tape();
            stream = stream.try_add(output.put_tape(tape.merge(normed_tape)))?;

            let normed = rms_norm(stream.with_empty_tape(), next())?;
            let hidden = linear(normed, next())?.try_relu()?;
            let mut output = linear(hidden, next())?;
            if let Some(masks) = masks {
                output = output.try_mul(masks.feed_forward.clone())?;
            }
            stream = stream.try_add(output)?;
        }
        linear(rms_norm(stream, next())?, next())
    }

    fn inputs(&self, batch: &Batch, options: &LossOptions) -> std::result::Result<Inputs<D>, D::Err> {
        let sequences = batch.sequences.len();
        let length = batch.sequences.iter().map(Range::len).max().unwrap_or(0);
        let tokens = sequences * length;
        let mut rows = vec![0; tokens * self.tables];
        let mut targets = vec![0.0; tokens * self.actions];
        let row_of_zeros = self.parameters[0].shape.0 - 1;
        let share = 1.0 / batch.target_count().max(1) as f32;
        let weight = share * options.action_values.map_or(1.0, |own| own.conservatism * own.temperature);
        let [mut chosen, mut returns] = [const { Vec::new() }; 2];
        if options.action_values.is_some() {
            [&mut chosen, &mut returns].into_iter().for_each(|matrix| matrix.resize(targets.len(), 0.0));
        }
        for (number, place) in batch.sequences.iter().enumerate() {
            for (position, source) in place.clone().enumerate() {
                let token = number * length + position;
                let from = &batch.inputs.rows[source * self.tables..(source + 1) * self.tables];
                for (place, &row) in rows[token * self.tables..].iter_mut().zip(from) {
                    *place = if row == NO_ROW { row_of_zeros } else { row as usize };
                }
                let target = match batch.targets[source] {
                    NO_TARGET => continue,
                    target => usize::from(target),
                };
                if options.action_values.is_some() && !batch.returns[source].is_nan() {
                    let place = token * self.actions + target;
                    (chosen[place], returns[place]) = (share.sqrt(), batch.returns[source] * share.sqrt());
                }
                for (action, probability) in
                    targets[token * self.actions..(token + 1) * self.actions].iter_mut().enumerate()
                {
                    let even = options.label_smoothing / self.actions as f32;
                    let own = if action == target { 1.0 - options.label_smoothing } else { 0.0 };
                    *probability = (even + own) * weight;
                }
            }
        }
        let mut dense = Vec::with_capacity(batch.inputs.dense.len());
        for (index, Dense { width, .. }) in batch.inputs.dense.iter().enumerate() {
            let mut values = vec![0.0; tokens * width];
            for (number, place) in batch.sequences.iter().enumerate() {
                let own = batch.inputs.part(place.clone());
                let DensePart { positions, values: given, first } = own.dense(index);
                for (position, given) in positions.iter().zip(given.chunks_exact(*width)) {
                    let token = number * length + (position - first) as usize;
                    values[token * width..(token + 1) * width].copy_from_slice(given);
                }
            }
            dense.push(self.device.try_tensor_from_vec(values, (tokens, *width))?);
        }
        let band = band(length, self.dimensions.window);
        let masks = match options.masks.as_ref().filter(|masks| !masks.is_zero()) {
            Some(masks) => Some(self.masks(masks, batch.first_sequence, sequences, length)?),
            None => None,
        };
        let shape = (tokens, self.actions);
        let action_values = match options.action_values {
            None => None,
            Some(own) => Some(InputValues {
                temperature: own.temperature,
                chosen: self.device.try_tensor_from_vec(chosen, shape)?,
                returns: self.device.try_tensor_from_vec(returns, shape)?,
            }),
        };
        Ok(Inputs {
            sequences,
            length,
            rows: self.device.try_tensor_from_vec(rows, (tokens * self.tables,))?,
            dense,
            band: self.device.try_tensor_from_vec(band, (length, length))?,
            targets: self.device.try_tensor_from_vec(targets, shape)?,
            action_values,
            masks,
        })
    }

    /// The masks that the fused engine applies, as tensors.
    fn masks(
        &self,
        masks: &Masks,
        first_sequence: usize,
        sequences: usize,
        length: usize,
    ) -> std::result::Result<InputMasks<D>, D::Err> {
        let Dimensions { d_model: d, heads, layers, .. } = self.dimensions;
        let drawn: Vec<_> = (0..sequences).map(|number| masks.sequence(first_sequence + number)).collect();
        let positions = || drawn.iter().flat_map(|masks| (0..length).map(move |position| (masks, position)));
        let output = |site: Site| {
            let mut values = Vec::with_capacity(sequences * length * d);
            for (masks, position) in positions() {
                let key = masks.key(site, position);
                values.extend((0..d as u32).map(|column| masks.residual.factor(key, column)));
            }
            self.device.try_tensor_from_vec(values, (sequences * length, d))
        };
        let token = positions()
            .flat_map(|(masks, position)| {
                std::iter::repeat_n(if masks.hides(position) { 0.0 } else { 1.0 }, d)
            })
            .collect();
        let mut all = Vec::with_capacity(layers);
        for layer in 0..layers {
            let mut values = Vec::with_capacity(sequences * heads * length * length);
            for masks in &drawn {
                for row in 0..heads * length {
                    let key = masks.key(Site::Attention(layer * heads + row / length), row % length);
                    values.extend((0..length as u32).map(|column| masks.attention.factor(key, column)));
                }
            }
            all.push(LayerMasks {
                attention: self.device.try_tensor_from_vec(values, (sequences, heads, length, length))?,
                attention_output: output(Site::AttentionOutput(layer))?,
                feed_forward: output(Site::FeedForward(layer))?,
            });
        }
        let token = self.device.try_tensor_from_vec(token, (sequences * length, d))?;
        Ok(InputMasks { token, layers: all })
    }
}

/// 0 where a query sees a key, a large negative number elsewhere, `[length, length]`.
pub(crate) fn band(length: usize, window: usize) -> Vec<f32> {
    let mut band = vec![-1e9; length * length];
    for query in 0..length {
        let oldest = (query + 1).saturating_sub(window);
        band[query * length + oldest..=query * length + query].fill(0.0);
    }
    band
}

/// Keys or values `[sequences, kv_heads, length, head]`, each for as many of `heads` query heads as share
/// them.
pub(crate) fn shared<D: Device<f32>, T: Tape<f32, D>>(
    matrix: PerHead<D, T>,
    heads: usize,
) -> std::result::Result<PerHead<D, T>, D::Err> {
    let (sequences, kv_heads, length, width) = *matrix.shape();
    if kv_heads == heads {
        return Ok(matrix);
    }
    let repeated = (sequences, kv_heads, heads / kv_heads, length, width);
    matrix.try_broadcast_like::<_, Axis<2>>(&repeated)?.try_reshape_like(&(sequences, heads, length, width))
}

/// `softmax(q k^T / sqrt(head) + band) v`: `[sequences, heads, length, head]` each, and a band of
/// `[length, length]`.
pub(crate) fn attention<D: Device<f32>, T: Tape<f32, D>>(
    queries: PerHead<D, T>,
    keys: PerHead<D, T>,
    values: PerHead<D, T>,
    band: Matrix<D>,
    dropout: Option<PerHead<D>>,
) -> std::result::Result<PerHead<D, T>, D::Err> {
    let width = queries.shape().3;
    let keys: PerHead<D, T> = keys.try_permute::<_, Axes4<0, 1, 3, 2>>()?;
    let scores = queries.try_matmul(keys)?.try_mul(1.0 / (width as f32).sqrt())?;
    let band = band.try_broadcast_like::<_, Axes2<0, 1>>(scores.shape())?;
    let mut weights = scores.try_add(band)?.try_softmax::<Axis<3>>()?;
    if let Some(dropout) = dropout {
        weights = weights.try_mul(dropout)?;
    }
    weights.try_matmul(values)
}

/// `input * matrix^T`
pub(crate) fn linear<D: Device<f32>, T: Tape<f32, D>>(
    input: Matrix<D, T>,
    matrix: Matrix<D, T>,
) -> std::result::Result<Matrix<D, T>, D::Err> {
    let transposed: Matrix<D, T> = matrix.try_permute::<_, Axes2<1, 0>>()?;
    input.try_matmul(transposed)
}

/// `input / sqrt(mean(input^2) + eps) * gain`, with a gain of shape `[1, n]`.
pub(crate) fn rms_norm<D: Device<f32>, T: Tape<f32, D>>(
    input: Matrix<D, T>,
    gain: Matrix<D, T>,
) -> std::result::Result<Matrix<D, T>, D::Err> {
    let shape = *input.shape();
    let squares: Tensor<(usize,), f32, D, T> =
        input.with_empty_tape().try_square()?.try_mean::<_, Axis<1>>()?;
    let roots = squares.try_add(NORM_EPSILON)?.try_sqrt()?;
    let normed = input.try_div(roots.try_broadcast_like::<_, Axis<1>>(&shape)?)?;
    let gain = gain.try_reshape_like(&(shape.1,))?.try_broadcast_like::<_, Axis<0>>(&shape)?;
    normed.try_mul(gain)
}

fn device_error<D: Device<f32>>(error: D::Err) -> Error {
    Error::argument("device", format!("the device failed: {error:?}"))
}
