//! What the sender is told of samples that were not kept.

use std::fmt::Write;

use crate::store::Refusals;

/// Senders log the first line of an answer, and not all of it. (Prometheus: at most 1,024 bytes of it.)
const REPORT_BYTES_MAX: usize = 1024;

/// Counts by reason, then the first offenders by name, on one line of at most 1,024 bytes:
/// `3 samples refused (too_old 2, duplicate_label_name 1), all others are kept: up{job="a"} at 17: older than ...`
pub fn refusal_text(refusals: &Refusals) -> String {
    let total = refusals.total();
    let mut text = format!("{total} sample{} refused (", if total == 1 { "" } else { "s" });
    for (index, (reason, count)) in refusals.counts.iter().enumerate() {
        let separator = if index > 0 { ", " } else { "" };
        write!(text, "{separator}{reason} {count}").expect("a String takes every write");
    }
    text.push_str("), all others are kept");
    for (index, offender) in refusals.first.iter().enumerate() {
        let mut line = String::from(if index == 0 { ": " } else { "; " });
        line.extend(offender.series.chars().map(|letter| if letter.is_control() { ' ' } else { letter }));
        if let Some(at) = offender.at {
            write!(line, " at {at}").expect("a String takes every write");
        }
        write!(line, ": {}", offender.why).expect("a String takes every write");
        if text.len() + line.len() > REPORT_BYTES_MAX {
            break;
        }
        text.push_str(&line);
    }
    text
}
