//! What the Rust peers share: the specification of the model, the data file, and the line protocol (README.md).

use serde::Deserialize;
use std::error::Error;
use std::io::BufRead;
use std::time::Instant;

/// The model, the batch and the optimizer.
#[derive(Clone, Deserialize)]
pub struct Spec {
    pub layers: usize,
    pub d_model: usize,
    pub heads: usize,
    pub d_ff: usize,
    pub window: usize,
    pub sequence_length: usize,
    pub batch: usize,
    pub threads: usize,
    /// Rows of each embedding table.
    pub tables: Vec<usize>,
    pub actions: usize,
    pub learning_rate: f64,
    pub beta1: f32,
    pub beta2: f32,
    pub weight_decay: f64,
    pub norm_epsilon: f64,
    data: String,
}

/// What is trained on, and the initial parameters.
pub struct Data {
    /// Rows counted through all embedding tables, `[tokens, tables]`.
    pub rows: Vec<u32>,
    /// `[tokens]`
    pub targets: Vec<u32>,
    parameters: std::vec::IntoIter<f32>,
    /// Parameters of the whole model.
    pub count: usize,
}

impl Spec {
    /// The specification in the first argument.
    pub fn from_arguments() -> Result<Self, Box<dyn Error>> {
        let text = std::env::args().nth(1).ok_or("usage: peer SPECIFICATION, a JSON object")?;
        Ok(serde_json::from_str(&text)?)
    }

    pub fn tokens(&self) -> usize {
        self.batch * self.sequence_length
    }

    /// Whether position `query` must not see position `key`.
    pub fn hides(&self, query: usize, key: usize) -> bool {
        key > query || query - key >= self.window
    }

    /// Reads the data file.
    pub fn data(&self) -> Result<Data, Box<dyn Error>> {
        let bytes = std::fs::read(&self.data)?;
        let word = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let mut words = bytes.chunks_exact(4).map(word);
        let rows = words.by_ref().take(self.tokens() * self.tables.len()).collect();
        let targets = words.by_ref().take(self.tokens()).collect();
        let parameters: Vec<f32> = words.map(f32::from_bits).collect();
        Ok(Data { rows, targets, count: parameters.len(), parameters: parameters.into_iter() })
    }
}

impl Data {
    /// The next tensor's values, in the order of `algodistill::model::layout`; all must be taken.
    pub fn take(&mut self, count: usize) -> Vec<f32> {
        self.parameters.by_ref().take(count).collect()
    }

    /// Whether the whole file became a tensor of the model.
    pub fn is_taken(&self) -> bool {
        self.parameters.len() == 0
    }
}

/// Warms up, says so, and runs steps for as long as each line of stdin says. A step returns its loss.
pub fn serve(
    about: &str,
    parameters: usize,
    tokens: usize,
    mut step: impl FnMut() -> Result<f32, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let loss = step()?;
    step()?;
    println!(r#"{{"ready": true, "parameters": {parameters}, "loss": {loss}, "about": "{about}"}}"#);
    for line in std::io::stdin().lock().lines() {
        let seconds: f64 = line?.trim().parse()?;
        let (begun, mut steps) = (Instant::now(), 0);
        while steps == 0 || begun.elapsed().as_secs_f64() < seconds {
            step()?;
            steps += 1;
        }
        let rate = (steps * tokens) as f64 / begun.elapsed().as_secs_f64();
        println!(r#"{{"tokens_per_second": {rate}, "steps": {steps}}}"#);
    }
    Ok(())
}
