//! The learning rate of every update.

use super::TrainConfig;

/// Linear warm-up, then a cosine to the final fraction (Loshchilov and Hutter 2017, without restarts). `update` counts from 0.
pub fn learning_rate(config: &TrainConfig, update: u64) -> f32 {
    let peak = f64::from(config.learning_rate);
    if update < config.warm_up {
        return (peak * (update + 1) as f64 / config.warm_up as f64) as f32;
    }
    let length = config.updates.saturating_sub(config.warm_up).max(1);
    let progress = ((update - config.warm_up) as f64 / length as f64).min(1.0);
    let last = f64::from(config.final_learning_rate_fraction);
    let fraction = last + (1.0 - last) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
    (peak * fraction) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_then_falls() {
        let config =
            TrainConfig { updates: 1000, warm_up: 100, learning_rate: 0.5, ..TrainConfig::default() };
        assert_eq!(learning_rate(&config, 0), 0.005);
        assert_eq!(learning_rate(&config, 99), 0.5);
        assert_eq!(learning_rate(&config, 100), 0.5);
        assert!((learning_rate(&config, 550) - 0.25).abs() < 1e-6);
        assert!(learning_rate(&config, 999) < 1e-5);
        let config = TrainConfig { final_learning_rate_fraction: 0.1, ..config };
        assert!((learning_rate(&config, 1000) - 0.05).abs() < 1e-6);
        let short = TrainConfig { updates: 10, ..config };
        assert!(learning_rate(&short, 9) < 0.06);
    }
}
