//! One form for each content: no empty buckets, no gap of length zero.

use crate::model::Histogram;
use crate::model::histogram::BucketSpan;

use super::buckets::Cells;
use super::layout::Side;

/// Takes away empty buckets and joins adjacent spans. (Prometheus: `Compact(0)`, which every result goes through.)
pub fn compact(histogram: &mut Histogram) {
    compact_side(&mut histogram.positive_spans, &mut histogram.positive_buckets);
    compact_side(&mut histogram.negative_spans, &mut histogram.negative_buckets);
}

fn compact_side(spans: &mut Vec<BucketSpan>, cells: &mut Vec<f64>) {
    let tidy = cells.iter().all(|count| *count != 0.0)
        && spans.iter().all(|span| span.length > 0)
        && spans.iter().skip(1).all(|span| span.offset > 0);
    if tidy {
        return;
    }
    let side = Side::collect(Cells::new(spans, cells).filter(|(_, count)| *count != 0.0));
    (*spans, *cells) = (side.spans, side.cells);
}
