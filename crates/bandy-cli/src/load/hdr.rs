//! Latencies as an HDR histogram log, version 1.3, with histograms in the V2 encoding: what HdrHistogram's own tools
//! and plotters read.

use std::time::Duration;

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use super::Measured;

/// The log: a line for each histogram of each run, tagged by what it is.
pub fn log(measured: &[Measured]) -> String {
    let mut out = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let first = measured.first().map(|one| one.outcome.began);
    let mut builder = IntervalLogWriterBuilder::new();
    if let Some(first) = first {
        builder.with_start_time(first);
        builder.with_base_time(first);
    }
    builder.add_comment("bandy load; times in nanoseconds");
    if let Ok(mut writer) = builder.begin_log_with(&mut out, &mut serializer) {
        for one in measured {
            let outcome = &one.outcome;
            let start = first
                .and_then(|first| outcome.began.duration_since(first).ok())
                .unwrap_or(Duration::ZERO);
            let mut histograms = vec![("latency", &outcome.latency)];
            if let Some(open) = &outcome.open {
                histograms.push(("service", &open.service));
                histograms.push(("lag", &open.lag));
            }
            for (name, histogram) in histograms {
                let tag = format!("{name}{}", one.label.replace([' ', ','], "-"));
                // Writing to memory cannot fail, and the histogram is of a shape that the encoding has.
                let _ = writer.write_histogram(histogram, start, outcome.elapsed, Tag::new(&tag));
            }
        }
    }
    String::from_utf8(out).unwrap_or_default()
}
