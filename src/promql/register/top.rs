//! The most expensive of the last queries, as VictoriaMetrics' `top_queries` counts them: by text and length of time.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use crate::model::{Span, Timestamp};

use super::Question;

/// How many queries are remembered.
pub const QUERIES_MAX: usize = 20_000;
/// Bytes of all their texts, each counted once.
const TEXT_BYTES_MAX: usize = 8 << 20;
/// Bytes of one text; the rest is cut.
const ONE_TEXT_BYTES_MAX: usize = 4096;

/// The lists, each with the most expensive first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Top {
    /// Queries that were looked at.
    pub queries: usize,
    /// By how often they were asked.
    pub by_count: Vec<TopEntry>,
    /// By how long one took on average.
    pub by_average_time: Vec<TopEntry>,
    /// By how long all of them took together.
    pub by_total_time: Vec<TopEntry>,
    /// By the memory that one held on average.
    pub by_memory: Vec<TopEntry>,
}

/// Queries with the same text over the same length of time.
#[derive(Clone, Debug, PartialEq)]
pub struct TopEntry {
    /// The text.
    pub text: Arc<str>,
    /// From the first to the last point that was asked for.
    pub length: Span,
    /// How many there were.
    pub count: u64,
    /// How long they took together.
    pub took: Span,
    /// The sum of the most bytes that each of them held.
    pub bytes: u64,
    /// Who asked last.
    pub last_asker: Arc<str>,
}

impl TopEntry {
    /// How long one took on average, in seconds.
    pub fn average_seconds(&self) -> f64 {
        self.took.as_seconds() / self.count as f64
    }

    /// What one held on average, in bytes.
    pub fn average_bytes(&self) -> u64 {
        self.bytes / self.count.max(1)
    }
}

struct Ended {
    text: Arc<str>,
    asker: Arc<str>,
    length: Span,
    at: Timestamp,
    took: Span,
    bytes: u64,
}

/// The last queries, oldest first.
#[derive(Default)]
pub(super) struct Recent {
    queries: VecDeque<Ended>,
    /// Each text and each asker once; those that no query in the list has any more are gone.
    texts: HashSet<Arc<str>>,
    text_bytes: usize,
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(ONE_TEXT_BYTES_MAX)]
}

impl Recent {
    pub(super) fn add(&mut self, question: &Question, now: Timestamp, took: Span, bytes: u64) {
        let text = cut(&question.text);
        let asker = question.asker.to_string();
        let asker = cut(&asker);
        while self.queries.len() >= QUERIES_MAX || self.text_bytes + text.len() + asker.len() > TEXT_BYTES_MAX {
            self.forget_oldest();
        }
        let length = question.grid.end() - question.grid.start();
        let (text, asker) = (self.once(text), self.once(asker));
        self.queries.push_back(Ended { text, asker, length, at: now, took, bytes });
    }

    fn once(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.text_bytes += new.len();
        self.texts.insert(Arc::clone(&new));
        new
    }

    fn forget_oldest(&mut self) {
        let Some(Ended { text, asker, .. }) = self.queries.pop_front() else { return };
        for text in [text, asker] {
            // One of the set, one here: nobody else has it.
            if Arc::strong_count(&text) == 2 {
                self.texts.remove(&text);
                self.text_bytes -= text.len();
            }
        }
    }

    pub(super) fn top(&self, most: usize, lifetime: Span, now: Timestamp) -> Top {
        let oldest = now - lifetime;
        let mut sums: HashMap<(&Arc<str>, Span), TopEntry> = HashMap::new();
        let mut queries = 0;
        for ended in self.queries.iter().filter(|ended| ended.at >= oldest) {
            queries += 1;
            let sum = sums.entry((&ended.text, ended.length)).or_insert_with(|| TopEntry {
                text: Arc::clone(&ended.text),
                length: ended.length,
                count: 0,
                took: Span::ZERO,
                bytes: 0,
                last_asker: Arc::clone(&ended.asker),
            });
            // The list rises in time: the last one stays.
            sum.last_asker = Arc::clone(&ended.asker);
            sum.count += 1;
            sum.took = sum.took + ended.took;
            sum.bytes += ended.bytes;
        }
        let all: Vec<TopEntry> = sums.into_values().collect();
        let by = |cost: fn(&TopEntry) -> f64| {
            let mut list = all.clone();
            // Equal costs stand in the order of their texts, so that a list does not jump from look to look.
            list.sort_by(|left, right| {
                cost(right)
                    .total_cmp(&cost(left))
                    .then_with(|| (&left.text, left.length).cmp(&(&right.text, right.length)))
            });
            list.truncate(most);
            list
        };
        Top {
            queries,
            by_count: by(|entry| entry.count as f64),
            by_average_time: by(TopEntry::average_seconds),
            by_total_time: by(|entry| entry.took.as_seconds()),
            by_memory: by(|entry| entry.average_bytes() as f64),
        }
    }
}
