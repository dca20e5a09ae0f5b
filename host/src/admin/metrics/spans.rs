//! Metrics of the export of spans.

use std::fmt;

use hookhost_otlp::ExportCounts;

use super::families::Families;

pub(super) fn spans(out: &mut Families<'_>, counts: &ExportCounts) -> fmt::Result {
    let mut samples = out.counter("trace_spans", "Spans by what became of them");
    for (result, count) in [
        ("exported", counts.exported),
        ("rejected", counts.rejected),
        ("failed", counts.failed),
    ] {
        samples.count(&[("result", result)], count)?;
    }
    let help = "Calls of modules and attempts that got no span, because the queue of the exporter was full";
    out.counter("trace_dropped_records", help).count(&[], counts.dropped)
}
