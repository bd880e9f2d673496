//! The model of `host/src/model/mod.rs` in candle: one contestant of `algodistill bench train` (protocol: ../../README.md).

#[path = "../../protocol.rs"]
mod protocol;

use candle_core::{Device, Result, Tensor, Var, D};
use candle_nn::{AdamW, Embedding, Linear, Module, Optimizer, ParamsAdamW, RmsNorm};
use protocol::{Data, Spec};

struct Block {
    attention_norm: RmsNorm,
    query_key_value: Linear,
    attention_output: Linear,
    feed_forward_norm: RmsNorm,
    feed_forward_up: Linear,
    feed_forward_down: Linear,
}

struct Model {
    embed: Embedding,
    layers: Vec<Block>,
    final_norm: RmsNorm,
    head: Linear,
}

/// Makes variables of the values in the data file, in its order.
struct Builder<'a> {
    data: &'a mut Data,
    variables: Vec<Var>,
}

impl Builder<'_> {
    fn variable(&mut self, shape: &[usize]) -> Result<Tensor> {
        let values = self.data.take(shape.iter().product());
        let variable = Var::from_vec(values, shape, &Device::Cpu)?;
        self.variables.push(variable.clone());
        Ok(variable.as_tensor().clone())
    }

    fn linear(&mut self, outputs: usize, inputs: usize) -> Result<Linear> {
        Ok(Linear::new(self.variable(&[outputs, inputs])?, None))
    }

    fn norm(&mut self, spec: &Spec) -> Result<RmsNorm> {
        Ok(RmsNorm::new(self.variable(&[spec.d_model])?, spec.norm_epsilon))
    }

    fn model(&mut self, spec: &Spec) -> Result<Model> {
        let (d, ff) = (spec.d_model, spec.d_ff);
        // All tables in one, as the rows count through all of them.
        let embed = Embedding::new(self.variable(&[spec.tables.iter().sum(), d])?, d);
        let mut layers = Vec::new();
        for _ in 0..spec.layers {
            layers.push(Block {
                attention_norm: self.norm(spec)?,
                query_key_value: self.linear(3 * d, d)?,
                attention_output: self.linear(d, d)?,
                feed_forward_norm: self.norm(spec)?,
                feed_forward_up: self.linear(ff, d)?,
                feed_forward_down: self.linear(d, ff)?,
            });
        }
        Ok(Model { embed, layers, final_norm: self.norm(spec)?, head: self.linear(spec.actions, d)? })
    }
}

impl Block {
    /// `forward_diff` is the normalization that has a backward pass.
    fn forward(&self, spec: &Spec, x: &Tensor, band: &Tensor) -> Result<Tensor> {
        let (batch, length, d) = x.dims3()?;
        let head = d / spec.heads;
        let qkv = self.query_key_value.forward(&self.attention_norm.forward_diff(x)?)?;
        let qkv = qkv.reshape((batch, length, 3, spec.heads, head))?.permute((2, 0, 3, 1, 4))?;
        let (q, k, v) = (qkv.get(0)?, qkv.get(1)?, qkv.get(2)?);
        let q = (q.contiguous()? * (head as f64).powf(-0.5))?;
        let scores = q.matmul(&k.transpose(2, 3)?.contiguous()?)?.broadcast_add(band)?;
        let attended = candle_nn::ops::softmax(&scores, D::Minus1)?.matmul(&v.contiguous()?)?;
        let attended = attended.transpose(1, 2)?.reshape((batch, length, d))?;
        let x = (x + self.attention_output.forward(&attended)?)?;
        let hidden = self.feed_forward_up.forward(&self.feed_forward_norm.forward_diff(&x)?)?.relu()?;
        &x + self.feed_forward_down.forward(&hidden)?
    }
}

impl Model {
    /// Mean cross-entropy over all tokens.
    fn loss(&self, spec: &Spec, rows: &Tensor, targets: &Tensor, band: &Tensor) -> Result<Tensor> {
        let mut x = self.embed.forward(rows)?.sum(D::Minus2)?;
        for layer in &self.layers {
            x = layer.forward(spec, &x, band)?;
        }
        let logits = self.head.forward(&self.final_norm.forward_diff(&x)?)?;
        candle_nn::loss::cross_entropy(&logits.flatten_to(1)?, targets)
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let spec = Spec::from_arguments()?;
    // Read by candle's own pool and by that of its matrix product.
    std::env::set_var("RAYON_NUM_THREADS", spec.threads.to_string());
    let mut data = spec.data()?;
    let length = spec.sequence_length;
    let rows = (spec.batch, length, spec.tables.len());
    let rows = Tensor::from_vec(std::mem::take(&mut data.rows), rows, &Device::Cpu)?;
    let targets = Tensor::from_vec(std::mem::take(&mut data.targets), spec.tokens(), &Device::Cpu)?;
    let places = (0..length).flat_map(|query| (0..length).map(move |key| (query, key)));
    let band = places.map(|(query, key)| if spec.hides(query, key) { f32::NEG_INFINITY } else { 0.0 });
    let band = Tensor::from_vec(band.collect(), (length, length), &Device::Cpu)?;

    let mut builder = Builder { data: &mut data, variables: Vec::new() };
    let model = builder.model(&spec)?;
    let variables = builder.variables;
    let parameters = variables.iter().map(|variable| variable.elem_count()).sum();
    if !data.is_taken() {
        return Err(format!("the data file has {} parameters, the model {parameters}", data.count).into());
    }
    let mut optimizer = AdamW::new(
        variables,
        ParamsAdamW {
            lr: spec.learning_rate,
            beta1: spec.beta1.into(),
            beta2: spec.beta2.into(),
            eps: 1e-8,
            weight_decay: spec.weight_decay,
        },
    )?;
    protocol::serve("candle 0.11.1", parameters, spec.tokens(), || {
        let loss = model.loss(&spec, &rows, &targets, &band)?;
        optimizer.backward_step(&loss)?;
        Ok(loss.to_scalar()?)
    })
}
