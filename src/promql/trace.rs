//! The trace of a query: its plan as a tree, with what each part of it took and gave. Made only where asked for.

use std::time::Duration;

/// A part of the work with everything below it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TraceNode {
    /// The operator: `aggregate`, `rollup`, `fetch`.
    pub operator: &'static str,
    /// The text of the query that this part stands for; the selector, for a fetch.
    pub query: String,
    /// How long this part and all below it took.
    pub took: Duration,
    /// Series that came out.
    pub series: u64,
    /// Points that came out, over all steps.
    pub points: u64,
    /// Samples that were decoded from storage, here and below.
    pub samples_read: u64,
    /// How many parts of the query share this fetch; 0 where it is none.
    pub shared_by: u64,
    /// Parts whose values this one works on.
    pub children: Vec<TraceNode>,
}

impl TraceNode {
    /// Bytes of the samples that were read, as they lie in memory: a time and a value each.
    pub fn bytes_read(&self) -> u64 {
        self.samples_read * 16
    }

    /// What came of this part, in a sentence.
    pub fn found(&self) -> String {
        let mut text = counted(self.series, "series", "series");
        if self.points > 0 {
            text.push_str(&format!(", {}", counted(self.points, "point", "points")));
        }
        if self.samples_read > 0 {
            text.push_str(&format!(", {} read", counted(self.samples_read, "sample", "samples")));
        }
        if self.shared_by > 1 {
            text.push_str(&format!(", fetched once for {} selectors", self.shared_by));
        }
        text
    }
}

fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
