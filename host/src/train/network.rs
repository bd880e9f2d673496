//! The network on the configured device.

use super::{Device, TrainConfig};
use crate::nn::transformer::{Batch, Engine, LossOptions};
use crate::{Error, Result};
use algodistill_core::Interface;

/// Loss and gradient on the configured device.
pub enum Network {
    Fused(Box<Engine>),
    #[cfg(feature = "cuda")]
    Cuda(crate::nn::transformer::Composed<dfdx::prelude::Cuda>),
}

impl Network {
    pub fn new(config: &TrainConfig, interface: &Interface) -> Result<Self> {
        let dimensions = &config.dimensions;
        match config.device {
            Device::Cpu => {
                let engine = Engine::new(dimensions, interface, config.resolved_threads())?;
                Ok(Self::Fused(Box::new(engine)))
            }
            #[cfg(feature = "cuda")]
            Device::Cuda => {
                let device = dfdx::prelude::Cuda::try_seed_from_u64(config.seed)
                    .map_err(|e| Error::argument("train.device", format!("no CUDA device: {e:?}")))?;
                Ok(Self::Cuda(crate::nn::transformer::Composed::new(device, dimensions, interface)))
            }
            #[cfg(not(feature = "cuda"))]
            Device::Cuda => {
                let problem =
                    "this program was built without CUDA; build it with the feature cuda, or use the device cpu";
                Err(Error::argument("train.device", problem))
            }
        }
    }

    /// Logits of all tokens of the batch, `[tokens, actions]`, without masks.
    pub fn logits(&mut self, values: &[f32], batch: &Batch) -> Result<Vec<f32>> {
        match self {
            Self::Fused(engine) => Ok(engine.logits(values, batch)),
            #[cfg(feature = "cuda")]
            Self::Cuda(composed) => composed.logits(values, batch),
        }
    }

    /// The sum of the loss over the batch's targets.
    pub fn sum(&mut self, values: &[f32], batch: &Batch, options: &LossOptions) -> Result<f64> {
        match self {
            Self::Fused(engine) => Ok(engine.sum(values, batch, options)),
            #[cfg(feature = "cuda")]
            Self::Cuda(composed) => {
                Ok(f64::from(composed.loss(values, batch, options)?) * batch.target_count() as f64)
            }
        }
    }

    /// [`Network::sum`], and its gradient in place of the content of `gradient`.
    pub fn sum_and_gradient(
        &mut self,
        values: &[f32],
        batch: &Batch,
        options: &LossOptions,
        gradient: &mut [f32],
    ) -> Result<f64> {
        match self {
            Self::Fused(engine) => Ok(engine.sum_and_gradient(values, batch, options, gradient)),
            #[cfg(feature = "cuda")]
            Self::Cuda(composed) => {
                let targets = batch.target_count();
                let mean = composed.loss_and_gradient(values, batch, options, gradient)?;
                gradient.iter_mut().for_each(|gradient| *gradient *= targets as f32);
                Ok(f64::from(mean) * targets as f64)
            }
        }
    }
}
