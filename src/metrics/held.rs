//! A count of what is still there: one more while a value is held, one less once it is dropped.

use prometheus_client::metrics::gauge::Gauge;

/// Counts one in a gauge until it is dropped.
#[derive(Debug)]
pub struct Held(Gauge);

impl Held {
    /// One more in `gauge`, from now on.
    pub fn in_gauge(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}
