//! A query's trace, with VictoriaMetrics' fields (`duration_msec`, `message`, `children`) and those of each part by name.

use std::time::Duration;

use crate::promql::trace::TraceNode;

use super::Json;

/// Writes a part and all below it.
pub fn write(json: &mut Json, node: &TraceNode) {
    json.raw("{\"duration_msec\":").number(milliseconds(node.took));
    json.raw(",\"message\":").string(&format!("{}: {}: {}", node.operator, node.query, node.found()));
    json.raw(",\"operator\":").string(node.operator).raw(",\"query\":").string(&node.query);
    json.raw(",\"series\":").integer(node.series).raw(",\"points\":").integer(node.points);
    json.raw(",\"samplesRead\":").integer(node.samples_read).raw(",\"bytesRead\":").integer(node.bytes_read());
    if node.shared_by > 0 {
        json.raw(",\"sharedBy\":").integer(node.shared_by);
    }
    if !node.children.is_empty() {
        json.raw(",\"children\":").array(&node.children, write);
    }
    json.raw("}");
}

/// With three decimals: microseconds.
fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}
