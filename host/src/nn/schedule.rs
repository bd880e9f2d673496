//! The learning rate of every update.

/// Linear warm-up, then a cosine to the final fraction (Loshchilov and Hutter 2017, without
/// restarts).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Highest rate.
    pub peak: f32,
    /// Updates over which the rate rises linearly from 0.
    pub warm_up: u64,
    /// Updates in all.
    pub updates: u64,
    /// The rate at the end, as a fraction of the highest one.
    pub final_fraction: f32,
}

impl Schedule {
    /// The rate of an update, counted from 0.
    pub fn rate(&self, update: u64) -> f32 {
        let peak = f64::from(self.peak);
        if update < self.warm_up {
            return (peak * (update + 1) as f64 / self.warm_up as f64) as f32;
        }
        let length = self.updates.saturating_sub(self.warm_up).max(1);
        let progress = ((update - self.warm_up) as f64 / length as f64).min(1.0);
        let last = f64::from(self.final_fraction);
        let fraction = last + (1.0 - last) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
        (peak * fraction) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_then_falls() {
        let schedule = Schedule { updates: 1000, warm_up: 100, peak: 0.5, final_fraction: 0.0 };
        assert_eq!(schedule.rate(0), 0.005);
        assert_eq!(schedule.rate(99), 0.5);
        assert_eq!(schedule.rate(100), 0.5);
        assert!((schedule.rate(550) - 0.25).abs() < 1e-6);
        assert!(schedule.rate(999) < 1e-5);
        let schedule = Schedule { final_fraction: 0.1, ..schedule };
        assert!((schedule.rate(1000) - 0.05).abs() < 1e-6);
        let short = Schedule { updates: 10, ..schedule };
        assert!(short.rate(9) < 0.06);
    }
}
