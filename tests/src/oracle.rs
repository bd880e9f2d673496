//! A second implementation of `docs/numerics.md`, written from the document: the banded full
//! forward pass over a whole stream, layer by layer, with every key and value kept. No ring, no
//! kernels, no workspace; `i128` throughout.

use crate::int8::{Int8Model, Int8Tensor};
use algodistill_core::Channel;

/// One token.
pub struct Token {
    /// What is observed.
    pub observation: Vec<i32>,
    /// What ended the episode, if one ended and it is known; else empty.
    pub ended: Vec<i32>,
    /// Rows of the tables of action and feedback.
    pub rows: [usize; 2],
}

/// `mantissa * 2^-exponent`, mantissa of 15 bits.
#[derive(Clone, Copy)]
struct Scale(i128, i128);

fn scale(value: i128, exponent: i128) -> Scale {
    if value == 0 {
        return Scale(0, 0);
    }
    let bits = 128 - i128::from(value.leading_zeros());
    let mantissa = round_shift(value, bits - 15);
    if mantissa == 1 << 15 {
        return Scale(1 << 14, exponent - (bits - 15) - 1);
    }
    Scale(mantissa, exponent - (bits - 15))
}

/// `floor(x / 2^shift + 1/2)`.
fn round_shift(x: i128, shift: i128) -> i128 {
    match shift {
        63.. => 0,
        1.. => (x + (1 << (shift - 1))) >> shift,
        _ => x << -shift,
    }
}

fn saturate(x: i128) -> i128 {
    x.clamp(-(i128::from(i32::MAX)), i128::from(i32::MAX))
}

fn largest(x: &[i128]) -> i128 {
    x.iter().map(|x| x.abs()).max().unwrap_or(0)
}

fn quantize(x: &[i128], maximum: i128) -> Vec<i128> {
    if maximum == 0 {
        return vec![0; x.len()];
    }
    let shift = i128::from((maximum as u32).leading_zeros()) - 1;
    let reciprocal = (127 << 54) / (maximum << shift);
    x.iter().map(|x| round_shift((x.clamp(&-maximum, &maximum) << shift) * reciprocal, 54)).collect()
}

fn linear(tensor: &Int8Tensor, input: &[i128], input_scale: Scale) -> Vec<i128> {
    let rows = tensor.data.chunks(tensor.shape[1]).zip(&tensor.scales);
    rows.map(|(row, row_scale)| {
        let sum: i128 = row.iter().zip(input).map(|(w, x)| i128::from(*w) * x).sum();
        let product = sum * i128::from(*row_scale) * input_scale.0;
        saturate(round_shift(product, i128::from(tensor.exponent) + input_scale.1 - 16))
    })
    .collect()
}

fn norm(x: &[i128]) -> (Vec<i128>, Scale) {
    let q = quantize(x, largest(x));
    let squares: i128 = q.iter().map(|q| q * q).sum();
    let scale =
        if squares == 0 { Scale(0, 0) } else { scale((((x.len() as i128) << 46) / squares).isqrt(), 23) };
    (q, scale)
}

fn add(x: &mut [i128], y: &[i128]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x = saturate(*x + y));
}

fn add_linear(x: &mut [i128], tensor: &Int8Tensor, input: &[i128]) {
    let maximum = largest(input);
    let output = linear(tensor, &quantize(input, maximum), scale((maximum << 31) / 127, 47));
    add(x, &output);
}

/// `2^-(x / 256)`, Q15.
fn power(x: i128) -> i128 {
    let (whole, fraction) = (x / 256, x % 256);
    let power = (1 << 31) - 1 - fraction * (5_619_456 - fraction * 5_567);
    power >> (16 + whole).min(127)
}

/// A key or value of one head in the ring.
struct Stored {
    quantized: Vec<i128>,
    scale: i128,
}

fn store(x: &[i128]) -> Stored {
    let scale = ((largest(x) + 255) / 256).min(32_767);
    Stored { quantized: quantize(x, (scale << 8).min(i128::from(i32::MAX))), scale }
}

fn attend(query: &[i128], keys: &[Stored], values: &[Stored]) -> Vec<i128> {
    const LOG2_E_Q62: i128 = 6_653_256_548_922_161_245;
    let constant = scale((LOG2_E_Q62 / (127 * 127)) * ((1i128 << 30) / query.len() as i128).isqrt(), 77);
    let maximum = largest(query);
    let q = quantize(query, maximum);
    let Scale(mantissa, exponent) = scale(maximum * constant.0, constant.1);
    let factor = match 24 - exponent {
        shift @ 0.. => mantissa << shift.min(16),
        shift => mantissa >> (-shift).min(127),
    };
    let scores: Vec<i128> = keys
        .iter()
        .map(|key| {
            let dot: i128 = q.iter().zip(&key.quantized).map(|(q, k)| q * k).sum();
            let scaled = (dot * key.scale) >> 8;
            ((scaled * factor) >> 32).clamp(-32_768, 32_767)
        })
        .collect();
    let top = scores.iter().copied().max().expect("a step attends to itself");
    let powers: Vec<i128> = scores.iter().map(|score| power(top - score)).collect();
    let total: i128 = powers.iter().sum();
    let all = values.iter().fold(0, |all, value| all | value.scale);
    let slots = i128::from((scores.len() as u32).next_power_of_two().ilog2());
    let left = (25 - slots).min(15) - (128 - i128::from(all.leading_zeros()));
    let weight = |power: i128, scale: i128| match left {
        0.. => (power * (scale << left)) >> 16,
        _ => (power * (scale >> -left)) >> 16,
    };
    let weights: Vec<i128> = powers.iter().zip(values).map(|(p, v)| weight(*p, v.scale)).collect();
    let inverse = scale((1 << 62) / (127 * total), 62);
    (0..query.len())
        .map(|i| {
            let sum: i128 = weights.iter().zip(values).map(|(w, v)| w * v.quantized[i]).sum();
            saturate(round_shift(sum * inverse.0, inverse.1 - 24 + left))
        })
        .collect()
}

fn add_row(x: &mut [i128], table: &Int8Tensor, row: usize) {
    let columns = table.shape[1];
    let scale = i128::from(table.scales[row]);
    let real = |w: &i8| saturate(round_shift(i128::from(*w) * scale, i128::from(table.exponent) - 16));
    add(x, &table.data[row * columns..(row + 1) * columns].iter().map(real).collect::<Vec<_>>());
}

/// The residual stream of a token before the first layer.
fn embed(model: &Int8Model, tensors: &[Int8Tensor], token: &Token) -> Vec<i128> {
    let channels = &model.interface.channels;
    let sees_ends = model.dimensions.final_words > 0;
    let mut tensors = tensors.iter();
    let mut next = || tensors.next().expect("a tensor of each channel");
    let mut x = vec![0; model.dimensions.d_model];
    for words in [&token.observation, &token.ended].into_iter().take(1 + usize::from(sees_ends)) {
        let mut rest = &words[..];
        for channel in channels {
            let own;
            (own, rest) = rest.split_at(channel.words().min(rest.len()));
            if channel.table_rows() > 0 {
                let table = next();
                own.iter().for_each(|word| add_row(&mut x, table, *word as usize));
            }
        }
    }
    for row in token.rows {
        add_row(&mut x, next(), row);
    }
    let (mut observed, mut ended) = (&token.observation[..], &token.ended[..]);
    let mut normalisers = &model.normalisers[..];
    for channel in channels {
        let (now, last);
        (now, observed) = observed.split_at(channel.words());
        (last, ended) = ended.split_at(channel.words().min(ended.len()));
        if channel.inputs() == 0 {
            continue;
        }
        let hidden = match model.dimensions.encoders.hidden(channel) {
            0 => None,
            _ => Some(next()),
        };
        let own_normalisers;
        (own_normalisers, normalisers) = normalisers.split_at(match channel {
            Channel::Vector { size } => usize::from(*size),
            _ => 0,
        });
        for words in [now, last].into_iter().take(1 + usize::from(sees_ends)) {
            let output = next();
            if words.is_empty() {
                continue;
            }
            let (mut input, scale_of_input) = match channel {
                Channel::Discrete { .. } => unreachable!("it has a table"),
                Channel::Vector { .. } => {
                    let values = words.iter().zip(own_normalisers).map(|(word, n)| {
                        let product = (i128::from(*word) - i128::from(n.offset)) * i128::from(n.mantissa);
                        round_shift(product, i128::from(n.exponent) - 12).clamp(-32_767, 32_767)
                    });
                    (values.chain([4096]).collect::<Vec<_>>(), Scale(1, 12))
                }
                Channel::Pixels { .. } => {
                    let bytes = words.iter().flat_map(|word| word.to_le_bytes()).take(channel.inputs());
                    let halves = bytes.map(|byte| i128::from(byte / 2));
                    (halves.chain([127]).collect(), scale((1 << 47) / 127, 47))
                }
            };
            let first = hidden.unwrap_or(output);
            input.resize(first.shape[1], 0);
            let y = linear(first, &input, scale_of_input);
            match hidden {
                None => add(&mut x, &y),
                Some(_) => add_linear(&mut x, output, &y.iter().map(|h| *h.max(&0)).collect::<Vec<_>>()),
            }
        }
    }
    x
}

/// Logits (Q16.16) of every position of the stream; position i attends to j with 0 <= i - j <
/// window.
pub fn banded_forward(model: &Int8Model, stream: &[Token]) -> Vec<Vec<i128>> {
    let dimensions = model.dimensions;
    let embeddings = model.tensors.len() - 4 * dimensions.layers - 1;
    let (embeddings, rest) = model.tensors.split_at(embeddings);
    let (layers, head) = rest.split_at(4 * dimensions.layers);
    let mut residuals: Vec<Vec<i128>> = stream.iter().map(|token| embed(model, embeddings, token)).collect();
    let d_head = dimensions.d_model / dimensions.heads;
    for layer in layers.chunks(4) {
        let mut queries = Vec::new();
        let mut ring: [Vec<Vec<Stored>>; 2] = [Vec::new(), Vec::new()];
        ring.iter_mut().for_each(|heads| heads.resize_with(dimensions.kv_heads, Vec::new));
        for x in &residuals {
            let (input, input_scale) = norm(x);
            let projected = linear(&layer[0], &input, input_scale);
            let (query, key_value) = projected.split_at(dimensions.d_model);
            queries.push(query.to_vec());
            for (heads, vector) in ring.iter_mut().zip(key_value.chunks(key_value.len() / 2)) {
                heads.iter_mut().zip(vector.chunks(d_head)).for_each(|(head, x)| head.push(store(x)));
            }
        }
        for (position, x) in residuals.iter_mut().enumerate() {
            let band = (position + 1).saturating_sub(dimensions.window)..position + 1;
            let attention: Vec<i128> = (0..dimensions.heads)
                .flat_map(|head| {
                    let query = &queries[position][head * d_head..(head + 1) * d_head];
                    let shared = head / (dimensions.heads / dimensions.kv_heads);
                    attend(query, &ring[0][shared][band.clone()], &ring[1][shared][band.clone()])
                })
                .collect();
            add_linear(x, &layer[1], &attention);
            let (input, input_scale) = norm(x);
            let hidden: Vec<i128> =
                linear(&layer[2], &input, input_scale).iter().map(|h| *h.max(&0)).collect();
            add_linear(x, &layer[3], &hidden);
        }
    }
    residuals
        .iter()
        .map(|x| {
            let (input, input_scale) = norm(x);
            linear(&head[0], &input, input_scale)
        })
        .collect()
}
