//! Writes families of metrics and their samples.

use std::fmt;
use std::time::Duration;

use hookhost_activity::{DURATION_BOUNDS, DurationCounts};
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// Names and values of labels.
pub(super) type Labels<'l> = &'l [(&'l str, &'l str)];

/// Writes families of metrics.
pub(super) struct Families<'e>(pub(super) DescriptorEncoder<'e>);

/// Writes the samples of one family; each returns the error of writing its head.
pub(super) struct Samples<'s>(Result<MetricEncoder<'s>, fmt::Error>);

/// Durations in seconds.
struct Histogram<'d>(&'d DurationCounts);

impl Families<'_> {
    pub(super) fn counter<'s>(&'s mut self, name: &'s str, help: &str) -> Samples<'s> {
        Samples(self.0.encode_descriptor(name, help, None, MetricType::Counter))
    }

    pub(super) fn histogram<'s>(&'s mut self, name: &'s str, help: &str) -> Samples<'s> {
        let seconds = Some(&Unit::Seconds);
        Samples(self.0.encode_descriptor(name, help, seconds, MetricType::Histogram))
    }

    pub(super) fn gauge<'s>(&'s mut self, name: &'s str, help: &str, unit: Option<&'s Unit>) -> Samples<'s> {
        Samples(self.0.encode_descriptor(name, help, unit, MetricType::Gauge))
    }
}

impl EncodeMetric for Histogram<'_> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let DurationCounts { counts, sum } = self.0;
        let bounds = DURATION_BOUNDS.iter().map(Duration::as_secs_f64).chain([f64::MAX]);
        let ranges: Vec<(f64, u64)> = bounds.zip(counts.iter().copied()).collect();
        encoder.encode_histogram::<NoLabelSet>(sum.as_secs_f64(), counts.iter().sum(), &ranges, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

impl Samples<'_> {
    pub(super) fn count(&mut self, labels: Labels<'_>, value: u64) -> fmt::Result {
        use prometheus_client::metrics::counter::ConstCounter;
        self.write(labels, &ConstCounter::new(value))
    }

    pub(super) fn int(&mut self, labels: Labels<'_>, value: i64) -> fmt::Result {
        use prometheus_client::metrics::gauge::ConstGauge;
        self.write(labels, &ConstGauge::new(value))
    }

    pub(super) fn float(&mut self, labels: Labels<'_>, value: f64) -> fmt::Result {
        use prometheus_client::metrics::gauge::ConstGauge;
        self.write(labels, &ConstGauge::new(value))
    }

    pub(super) fn durations(&mut self, labels: Labels<'_>, counts: &DurationCounts) -> fmt::Result {
        self.write(labels, &Histogram(counts))
    }

    fn write(&mut self, labels: Labels<'_>, value: &impl EncodeMetric) -> fmt::Result {
        let Samples(encoder) = self;
        let encoder = encoder.as_mut().map_err(|error| *error)?;
        value.encode(encoder.encode_family(&labels)?)
    }
}
