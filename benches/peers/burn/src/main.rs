//! The model of `host/src/model/mod.rs` in burn: one contestant of `algodistill bench train` (protocol: ../../README.md).

#[path = "../../protocol.rs"]
mod protocol;

use burn::module::{Module, Param};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig, RmsNorm, RmsNormConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{activation, Bool, Device, Int, Tensor, TensorData};
use protocol::{Data, Spec};

#[derive(Module, Debug)]
struct Block {
    attention_norm: RmsNorm,
    query_key_value: Linear,
    attention_output: Linear,
    feed_forward_norm: RmsNorm,
    feed_forward_up: Linear,
    feed_forward_down: Linear,
}

#[derive(Module, Debug)]
struct Model {
    embed: Embedding,
    layers: Vec<Block>,
    final_norm: RmsNorm,
    head: Linear,
}

/// Makes layers of the values in the data file, in its order.
struct Builder<'a> {
    data: &'a mut Data,
    device: &'a Device,
}

impl Builder<'_> {
    fn matrix(&mut self, rows: usize, columns: usize) -> Tensor<2> {
        let values = self.data.take(rows * columns);
        Tensor::from_data(TensorData::new(values, [rows, columns]), self.device)
    }

    /// The file has `[outputs, inputs]`; burn multiplies by `[inputs, outputs]`.
    fn linear(&mut self, outputs: usize, inputs: usize) -> Linear {
        let mut layer = LinearConfig::new(inputs, outputs).with_bias(false).init(self.device);
        layer.weight = Param::from_tensor(self.matrix(outputs, inputs).transpose());
        layer
    }

    fn norm(&mut self, spec: &Spec) -> RmsNorm {
        let mut layer = RmsNormConfig::new(spec.d_model).with_epsilon(spec.norm_epsilon).init(self.device);
        layer.gamma = Param::from_tensor(self.matrix(1, spec.d_model).squeeze());
        layer
    }

    fn model(&mut self, spec: &Spec) -> Model {
        let (d, ff) = (spec.d_model, spec.d_ff);
        // All tables in one, as the rows count through all of them.
        let rows = spec.tables.iter().sum();
        let mut embed = EmbeddingConfig::new(rows, d).init(self.device);
        embed.weight = Param::from_tensor(self.matrix(rows, d));
        let layers = (0..spec.layers)
            .map(|_| Block {
                attention_norm: self.norm(spec),
                query_key_value: self.linear(3 * d, d),
                attention_output: self.linear(d, d),
                feed_forward_norm: self.norm(spec),
                feed_forward_up: self.linear(ff, d),
                feed_forward_down: self.linear(d, ff),
            })
            .collect();
        Model { embed, layers, final_norm: self.norm(spec), head: self.linear(spec.actions, d) }
    }
}

impl Block {
    fn forward(&self, spec: &Spec, x: Tensor<3>, band: Option<Tensor<4, Bool>>) -> Tensor<3> {
        let [batch, length, d] = x.dims();
        let qkv = self.query_key_value.forward(self.attention_norm.forward(x.clone()));
        let mut parts = qkv
            .chunk(3, 2)
            .into_iter()
            .map(|part| part.reshape([batch, length, spec.heads, d / spec.heads]).swap_dims(1, 2));
        let (q, k, v) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let options = AttentionModuleOptions { is_causal: band.is_none(), ..Default::default() };
        let attended = attention(q, k, v, band, None, options);
        let attended = attended.swap_dims(1, 2).reshape([batch, length, d]);
        let x = x + self.attention_output.forward(attended);
        let hidden =
            activation::relu(self.feed_forward_up.forward(self.feed_forward_norm.forward(x.clone())));
        x + self.feed_forward_down.forward(hidden)
    }
}

impl Model {
    /// Logits of all tokens.
    fn forward(&self, spec: &Spec, rows: Tensor<2, Int>, band: Option<Tensor<4, Bool>>) -> Tensor<2> {
        let embedded = self.embed.forward(rows).sum_dim(1);
        let mut x = embedded.reshape([spec.batch, spec.sequence_length, spec.d_model]);
        for layer in &self.layers {
            x = layer.forward(spec, x, band.clone());
        }
        self.head.forward(self.final_norm.forward(x)).flatten(0, 1)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let spec = Spec::from_arguments()?;
    // Read by the pool of burn-flex and of its matrix product.
    std::env::set_var("RAYON_NUM_THREADS", spec.threads.to_string());
    let mut data = spec.data()?;
    let device = Device::flex().autodiff();
    let integers = |values: &[u32]| values.iter().map(|&value| value as i32).collect::<Vec<_>>();
    let rows = TensorData::new(integers(&data.rows), [spec.tokens(), spec.tables.len()]);
    let rows = Tensor::<2, Int>::from_data(rows, &device);
    let targets = TensorData::new(integers(&data.targets), [spec.tokens()]);
    let targets = Tensor::<1, Int>::from_data(targets, &device);
    let length = spec.sequence_length;
    let band = (length > spec.window).then(|| {
        let places = (0..length).flat_map(|query| (0..length).map(move |key| (query, key)));
        let hidden: Vec<bool> = places.map(|(query, key)| spec.hides(query, key)).collect();
        let band = Tensor::<4, Bool>::from_data(TensorData::new(hidden, [1, 1, length, length]), &device);
        band.expand([spec.batch, spec.heads, length, length])
    });

    let mut model = Builder { data: &mut data, device: &device }.model(&spec);
    let parameters = model.num_params();
    if !data.is_taken() {
        return Err(format!("the data file has {} parameters, the model {parameters}", data.count).into());
    }
    let mut optimizer = AdamWConfig::new()
        .with_beta_1(spec.beta1)
        .with_beta_2(spec.beta2)
        .with_epsilon(1e-8)
        .with_weight_decay(spec.weight_decay as f32)
        .init();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);
    protocol::serve("burn 0.22.1, backend flex", parameters, spec.tokens(), || {
        let logits = model.forward(&spec, rows.clone(), band.clone());
        let loss = cross_entropy.forward(logits, targets.clone());
        let value = loss.clone().into_scalar::<f32>();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(spec.learning_rate, model.clone(), gradients);
        Ok(value)
    })
}
