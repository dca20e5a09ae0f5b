//! Metrics of the export of spans.

use std::fmt;

use hookhost_otlp::ExportCounts;

use super::families::Families;

/// Without an exporter, the metrics have no values.
pub(super) fn spans(out: &mut Families<'_>, counts: Option<&ExportCounts>) -> fmt::Result {
    let mut samples = out.counter("trace_spans", "Spans by what became of them");
    if let Some(counts) = counts {
        for (result, count) in [
            ("exported", counts.exported),
            ("rejected", counts.rejected),
            ("failed", counts.failed),
        ] {
            samples.count(&[("result", result)], count)?;
        }
    }
    let help = "Calls of modules and attempts that got no span, because the queue of the exporter was full";
    let mut samples = out.counter("trace_dropped_records", help);
    counts.map_or(Ok(()), |counts| samples.count(&[], counts.dropped))
}
