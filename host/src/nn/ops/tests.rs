//! Every fused operation against its definition in double precision, against finite differences of
//! that, and against the same composed of dfdx's own operations, on random shapes.

use super::action_values::{self, ActionValueOptions};
use super::cross_entropy::NO_TARGET;
use super::{attention, cross_entropy, embedding, feed_forward, norm_linear, projection};
use crate::model::{Dimensions, NORM_EPSILON};
use crate::nn::masks::{Masks, SequenceMasks, Site};
use crate::nn::tape::Matrix;
use crate::nn::transformer::composed;
use algodistill_core::PortableRng;
use dfdx::prelude::*;

/// Random cases of each operation.
const CASES: u32 = 10;

type Traced = Matrix<OwnedTape<f32, Cpu>>;
type Shape = (usize, usize);

/// Inputs of an operation, and what it must be.
struct Case<'a, const COUNT: usize> {
    shapes: [Shape; COUNT],
    fused: &'a dyn Fn([Traced; COUNT]) -> Traced,
    /// Without dropout: dfdx draws none of its own.
    composed: Option<&'a dyn Fn([Traced; COUNT]) -> Traced>,
    definition: &'a dyn Fn([&[f64]; COUNT]) -> Vec<f64>,
}

fn random(count: usize, rng: &mut PortableRng) -> Vec<f32> {
    (0..count).map(|_| 2.0 * rng.uniform() - 1.0).collect()
}

fn near(found: f32, expected: f64, largest: f64, what: &str) {
    let error = (f64::from(found) - expected).abs();
    assert!(error <= 1e-3 * expected.abs() + 1e-5 * largest, "{what}: {found}, expected {expected}");
}

/// Value and gradients of `sum(weights * operation(inputs))`.
fn differentiate<const COUNT: usize>(
    inputs: &[Matrix<NoneTape>; COUNT],
    operation: &dyn Fn([Traced; COUNT]) -> Traced,
    weights: &[f32],
) -> (Vec<f32>, [Vec<f32>; COUNT]) {
    let output = operation(inputs.each_ref().map(Trace::leaky_trace));
    let value = output.as_vec();
    let weights = Cpu::default().tensor_from_vec(weights.to_vec(), *output.shape());
    let gradients = (output * weights).sum::<Rank0, _>().backward();
    (value, inputs.each_ref().map(|input| gradients.get(input).as_vec()))
}

impl<const COUNT: usize> Case<'_, COUNT> {
    fn check(&self, rng: &mut PortableRng) {
        let device = Cpu::default();
        let values = self.shapes.map(|(rows, columns)| random(rows * columns, rng));
        let inputs: [Matrix<NoneTape>; COUNT] =
            std::array::from_fn(|index| device.tensor_from_vec(values[index].clone(), self.shapes[index]));
        let mut exact = values.map(|values| values.into_iter().map(f64::from).collect::<Vec<_>>());
        let expected = (self.definition)(exact.each_ref().map(Vec::as_slice));
        let weights = random(expected.len(), rng);
        let (found, gradients) = differentiate(&inputs, self.fused, &weights);
        let largest = expected.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
        assert_eq!(found.len(), expected.len());
        for (&found, &expected) in found.iter().zip(&expected) {
            near(found, expected, largest, "value");
        }
        for (index, gradient) in gradients.iter().enumerate() {
            let largest = gradient.iter().fold(0.0_f64, |a, b| a.max(b.abs().into()));
            for _ in 0..8 {
                let place = rng.below(gradient.len() as u32) as usize;
                let mut at = |step: f64| {
                    exact[index][place] += step;
                    let values = (self.definition)(exact.each_ref().map(Vec::as_slice));
                    exact[index][place] -= step;
                    values.iter().zip(&weights).map(|(value, &weight)| value * f64::from(weight)).sum::<f64>()
                };
                let expected = (at(1e-6) - at(-1e-6)) / 2e-6;
                near(gradient[place], expected, largest, &format!("gradient of input {index}"));
            }
        }
        if let Some(composed) = self.composed {
            let (_, expected) = differentiate(&inputs, composed, &weights);
            for (gradient, expected) in gradients.iter().zip(&expected) {
                let largest = expected.iter().fold(0.0_f64, |a, b| a.max(b.abs().into()));
                for (&found, &expected) in gradient.iter().zip(expected) {
                    near(found, expected.into(), 10.0 * largest, "composed");
                }
            }
        }
    }
}

/// A random number of 1 to `largest`.
fn up_to(largest: u32, rng: &mut PortableRng) -> usize {
    1 + rng.below(largest) as usize
}

/// Masks in every other case.
fn masks(case: u32) -> Option<SequenceMasks> {
    let masks = Masks { seed: 1, update: case.into(), attention: 0.3, residual: 0.4, token: 0.2 };
    (case % 2 == 1).then(|| masks.sequence(case as usize))
}

fn dropout(masks: Option<SequenceMasks>, site: Site, row: usize, column: usize) -> f64 {
    masks.map_or(1.0, |masks| {
        let rate = if matches!(site, Site::Attention(_)) { masks.attention } else { masks.residual };
        rate.factor(masks.key(site, row), column as u32).into()
    })
}

/// `input * matrix^T`
fn linear(input: &[f64], matrix: &[f64], inputs: usize) -> Vec<f64> {
    let dot = |row: &[f64], output: &[f64]| row.iter().zip(output).map(|(a, b)| a * b).sum::<f64>();
    input.chunks(inputs).flat_map(|row| matrix.chunks(inputs).map(move |output| dot(row, output))).collect()
}

fn rms_norm(input: &[f64], gain: &[f64]) -> Vec<f64> {
    let normed = input.chunks(gain.len()).flat_map(|row| {
        let mean = row.iter().map(|x| x * x).sum::<f64>() / gain.len() as f64;
        let scale = 1.0 / (mean + f64::from(NORM_EPSILON)).sqrt();
        row.iter().zip(gain).map(move |(x, gain)| x * scale * gain)
    });
    normed.collect()
}

#[test]
fn norm_linear() {
    let mut rng = PortableRng::new(1, 1);
    for _ in 0..CASES {
        let (tokens, width, outputs) = (up_to(60, &mut rng), 16 * up_to(4, &mut rng), up_to(70, &mut rng));
        let case = Case {
            shapes: [(tokens, width), (1, width), (outputs, width)],
            fused: &|[input, gain, matrix]| norm_linear::on_tape(input, gain, matrix),
            composed: Some(&|[input, gain, matrix]| {
                composed::linear(composed::rms_norm(input, gain).unwrap(), matrix).unwrap()
            }),
            definition: &|[input, gain, matrix]| linear(&rms_norm(input, gain), matrix, width),
        };
        case.check(&mut rng);
    }
}

#[test]
fn projection() {
    let mut rng = PortableRng::new(2, 1);
    for number in 0..CASES {
        let (tokens, width) = (up_to(60, &mut rng), 16 * up_to(4, &mut rng));
        let inputs = 16 * up_to(4, &mut rng);
        let (masks, site) = (masks(number), Site::AttentionOutput(1));
        let composed: &dyn Fn([Traced; 3]) -> Traced =
            &|[stream, input, matrix]| stream + composed::linear(input, matrix).unwrap();
        let case = Case {
            shapes: [(tokens, width), (tokens, inputs), (width, inputs)],
            fused: &|[stream, input, matrix]| projection::on_tape(stream, input, matrix, masks, site),
            composed: masks.is_none().then_some(composed),
            definition: &|[stream, input, matrix]| {
                let written = linear(input, matrix, inputs);
                let element = |place: usize| {
                    stream[place] + written[place] * dropout(masks, site, place / width, place % width)
                };
                (0..stream.len()).map(element).collect()
            },
        };
        case.check(&mut rng);
    }
}

#[test]
fn feed_forward() {
    let mut rng = PortableRng::new(3, 1);
    for number in 0..CASES {
        let (tokens, d) = (up_to(60, &mut rng), 16 * up_to(4, &mut rng));
        let d_ff = 16 * up_to(6, &mut rng);
        let masks = masks(number);
        let composed: &dyn Fn([Traced; 4]) -> Traced = &|[stream, gain, up, down]| {
            let normed = composed::rms_norm(stream.with_empty_tape(), gain).unwrap();
            let hidden = composed::linear(normed, up).unwrap().relu();
            stream + composed::linear(hidden, down).unwrap()
        };
        let case = Case {
            shapes: [(tokens, d), (1, d), (d_ff, d), (d, d_ff)],
            fused: &|[stream, gain, up, down]| feed_forward::on_tape(stream, [gain, up, down], 2, masks),
            composed: masks.is_none().then_some(composed),
            definition: &|[stream, gain, up, down]| {
                let mut hidden = linear(&rms_norm(stream, gain), up, d);
                hidden.iter_mut().for_each(|x| *x = x.max(0.0));
                let written = linear(&hidden, down, d_ff);
                let element = |place: usize| {
                    stream[place]
                        + written[place] * dropout(masks, Site::FeedForward(2), place / d, place % d)
                };
                (0..stream.len()).map(element).collect()
            },
        };
        case.check(&mut rng);
    }
}

#[test]
fn attention() {
    let mut rng = PortableRng::new(4, 1);
    for number in 0..4 * CASES {
        let (heads, kv_heads) = [(1, 1), (2, 2), (2, 1), (4, 4), (4, 2), (4, 1)][rng.below(6) as usize];
        // Heads of 4, 8, 12, ... features: d_model is a multiple of 16 only in models.
        let d = heads * 4 * up_to(6, &mut rng);
        let tokens = up_to(90, &mut rng);
        let window = match number % 4 {
            0 => 1,
            1 => tokens + up_to(9, &mut rng),
            _ => up_to(tokens as u32, &mut rng),
        };
        let dimensions = Dimensions {
            layers: 1,
            d_model: d,
            heads,
            kv_heads: Some(kv_heads),
            d_ff: 16,
            window,
            final_observation: false,
            ..Dimensions::default()
        };
        let (masks, width) = (masks(number / 4), d / heads);
        let columns = (heads + 2 * kv_heads) * width;
        let composed: &dyn Fn([Traced; 1]) -> Traced = &|[query_key_value]| {
            // One head after the other, [heads + 2 kv_heads, tokens, width], of which each part has some.
            let all = query_key_value.reshape_like(&(tokens, heads + 2 * kv_heads, width));
            let (all, tape) = all.permute::<_, Axes3<1, 0, 2>>().split_tape();
            let part = |heads: std::ops::Range<usize>, tape| -> composed::PerHead<Cpu, OwnedTape<f32, Cpu>> {
                let count = heads.len();
                let heads = Cpu::default().tensor_from_vec(heads.collect(), (count,));
                all.clone().put_tape(tape).gather(heads).reshape_like(&(1, count, tokens, width))
            };
            let (keys, values) = (heads..heads + kv_heads, heads + kv_heads..heads + 2 * kv_heads);
            let queries = part(0..heads, tape);
            let [keys, values] =
                [keys, values].map(|own| composed::shared(part(own, Default::default()), heads).unwrap());
            let band = Cpu::default().tensor_from_vec(composed::band(tokens, window), (tokens, tokens));
            let attended = composed::attention(queries, keys, values, band, None).unwrap();
            attended.permute::<_, Axes4<0, 2, 1, 3>>().reshape_like(&(tokens, d))
        };
        let case = Case {
            shapes: [(tokens, columns)],
            fused: &|[query_key_value]| attention::on_tape(query_key_value, &dimensions, 3, masks),
            composed: masks.is_none().then_some(composed),
            definition: &|[query_key_value]| {
                let mut attended = vec![0.0; tokens * d];
                for (head, query) in (0..heads).flat_map(|head| (0..tokens).map(move |query| (head, query))) {
                    let shared = head / (heads / kv_heads);
                    let first = [head, heads + shared, heads + kv_heads + shared];
                    let row = |token: usize, part: usize| {
                        &query_key_value[token * columns + first[part] * width..][..width]
                    };
                    let keys = (query + 1).saturating_sub(window)..query + 1;
                    let score = |key| {
                        let pairs = row(query, 0).iter().zip(row(key, 1));
                        (pairs.map(|(a, b)| a * b).sum::<f64>() / (width as f64).sqrt()).exp()
                    };
                    let total: f64 = keys.clone().map(score).sum();
                    for key in keys {
                        let kept = dropout(masks, Site::Attention(3 * heads + head), query, key);
                        let weight = score(key) / total * kept;
                        for (to, value) in attended[query * d + head * width..].iter_mut().zip(row(key, 2)) {
                            *to += weight * value;
                        }
                    }
                }
                attended
            },
        };
        case.check(&mut rng);
    }
}

#[test]
fn embedding() {
    let mut rng = PortableRng::new(5, 1);
    for number in 0..CASES {
        let (tokens, width, rows) = (up_to(60, &mut rng), 16 * up_to(4, &mut rng), up_to(20, &mut rng));
        let chosen: Vec<u32> = (0..tokens * 3).map(|_| rng.below(rows as u32)).collect();
        let masks = masks(number);
        let composed: &dyn Fn([Traced; 1]) -> Traced = &|[tables]| {
            let index = chosen.iter().map(|&row| row as usize).collect();
            let rows = tables.gather(Cpu::default().tensor_from_vec(index, (tokens * 3,)));
            rows.reshape_like(&(tokens, 3, width)).sum::<_, Axis<1>>()
        };
        let case = Case {
            shapes: [(rows, width)],
            fused: &|[tables]| embedding::on_tape(tables, chosen.clone(), 3, masks),
            composed: masks.is_none().then_some(composed),
            definition: &|[tables]| {
                let element = |place: usize| {
                    let (token, column) = (place / width, place % width);
                    let shown = masks.is_none_or(|masks| !masks.hides(token));
                    let rows = chosen[token * 3..token * 3 + 3].iter().filter(|_| shown);
                    rows.map(|&row| tables[row as usize * width + column]).sum()
                };
                (0..tokens * width).map(element).collect()
            },
        };
        case.check(&mut rng);
    }
}

#[test]
fn cross_entropy() {
    let mut rng = PortableRng::new(6, 1);
    for number in 0..CASES {
        let (tokens, actions) = (up_to(60, &mut rng), 1 + up_to(20, &mut rng));
        let targets: Vec<u16> = (0..tokens).map(|_| rng.below(actions as u32) as u16).collect();
        let smoothing = [0.0, 0.2][number as usize % 2];
        let probabilities = |even: f64| -> Vec<f64> {
            let row = |&target: &u16| {
                let own = move |action| {
                    if action == usize::from(target) {
                        1.0 - f64::from(smoothing)
                    } else {
                        0.0
                    }
                };
                (0..actions).map(move |action| own(action) + even)
            };
            targets.iter().flat_map(row).collect()
        };
        let wanted = probabilities(f64::from(smoothing) / actions as f64);
        let case = Case {
            shapes: [(tokens, actions)],
            fused: &|[logits]| cross_entropy::on_tape(logits, &targets, smoothing),
            composed: Some(&|[logits]| {
                let wanted = wanted.iter().map(|&p| p as f32).collect();
                let wanted = Cpu::default().tensor_from_vec(wanted, (tokens, actions));
                let sum = (logits.log_softmax::<Axis<1>>() * wanted).sum::<Rank0, _>().negate();
                sum.reshape_like(&(1, 1))
            }),
            definition: &|[logits]| {
                let log_sums =
                    logits.chunks(actions).map(|row| row.iter().map(|x| x.exp()).sum::<f64>().ln());
                let log_sums: Vec<f64> = log_sums.collect();
                let terms = wanted.iter().zip(logits).enumerate();
                vec![terms.map(|(place, (wanted, logit))| wanted * (log_sums[place / actions] - logit)).sum()]
            },
        };
        case.check(&mut rng);
    }
}

#[test]
fn action_values() {
    let mut rng = PortableRng::new(6, 2);
    for _ in 0..CASES {
        let (tokens, actions) = (up_to(60, &mut rng), 1 + up_to(20, &mut rng));
        let targets: Vec<u16> = (0..tokens)
            .map(|_| if rng.below(5) == 0 { NO_TARGET } else { rng.below(actions as u32) as u16 })
            .collect();
        let returns: Vec<f32> =
            (0..tokens).map(|_| if rng.below(5) == 0 { f32::NAN } else { 2.0 * rng.uniform() }).collect();
        let options = ActionValueOptions { temperature: 0.5 + rng.uniform(), conservatism: rng.uniform() };
        let case = Case {
            shapes: [(tokens, actions)],
            fused: &|[values]| action_values::on_tape(values, &targets, &returns, options),
            composed: None,
            definition: &|[values]| {
                let temperature = f64::from(options.temperature);
                let weight = f64::from(options.conservatism) * temperature;
                let mut loss = 0.0;
                for (token, values) in
                    values.chunks(actions).enumerate().filter(|row| targets[row.0] != NO_TARGET)
                {
                    let value = values[usize::from(targets[token])];
                    let log_sum = values.iter().map(|value| (value / temperature).exp()).sum::<f64>().ln();
                    loss += weight * (log_sum - value / temperature);
                    if !returns[token].is_nan() {
                        loss += 0.5 * (value - f64::from(returns[token])).powi(2);
                    }
                }
                vec![loss]
            },
        };
        case.check(&mut rng);
    }
}
