//! Takes the time of a running query, part by part, and makes a tree of it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hashbrown::HashMap;

use crate::model::Stopwatch;
use crate::promql::QueryError;
use crate::promql::plan::{Fetch, Kind, Node, Plan};
use crate::promql::trace::TraceNode;

use super::meter::Meter;
use super::stream::Stream;

/// What has been spent so far, by node of the plan.
pub(crate) struct Tracer {
    stopwatch: Stopwatch,
    /// Nodes by their address: the plan stays where it is while the query runs.
    nodes: Mutex<HashMap<usize, Spent>>,
    fetches: Mutex<Vec<Spent>>,
}

/// What a part took and gave, all below it included.
#[derive(Clone, Copy, Default)]
struct Spent {
    took: Duration,
    series: u64,
    points: u64,
    samples_read: u64,
}

impl Tracer {
    pub(crate) fn new(stopwatch: Stopwatch) -> Self {
        Tracer { stopwatch, nodes: Mutex::default(), fetches: Mutex::default() }
    }

    fn now(&self) -> Duration {
        self.stopwatch.now()
    }

    /// Asks storage by `fetch`, which says how many series there are.
    ///
    /// # Errors
    /// What `fetch` says.
    pub(crate) fn fetch<T>(
        &self,
        fetch: impl FnOnce() -> Result<T, QueryError>,
        series: impl FnOnce(&T) -> usize,
    ) -> Result<T, QueryError> {
        let began = self.now();
        let found = fetch()?;
        let spent = Spent { took: self.now() - began, series: series(&found) as u64, ..Spent::default() };
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner).push(spent);
        Ok(found)
    }

    /// The same stream, with what it takes and gives on record. What happens to rows that it has handed on is not its
    /// own: that time is taken off.
    ///
    /// # Errors
    /// What `build` says.
    pub(crate) fn follow<'q>(
        &'q self,
        node: &'q Node,
        meter: &'q Meter,
        build: impl FnOnce() -> Result<Stream<'q>, QueryError>,
    ) -> Result<Stream<'q>, QueryError> {
        let before = self.mark(meter);
        let mut stream = build()?;
        self.add(node, self.mark(meter) - before, 0, 0);
        let roster = std::mem::take(&mut stream.roster);
        Ok(Stream::new(roster, move |sink| {
            let began = self.mark(meter);
            let mut elsewhere = Mark::default();
            let (mut series, mut points) = (0, 0);
            let outcome = stream.run(&mut |id, row| {
                series += 1;
                points += row.present().count() as u64;
                let left = self.mark(meter);
                let outcome = sink(id, row);
                elsewhere = elsewhere + (self.mark(meter) - left);
                outcome
            });
            self.add(node, self.mark(meter) - began - elsewhere, series, points);
            outcome
        }))
    }

    fn mark(&self, meter: &Meter) -> Mark {
        Mark { at: self.now(), samples_read: meter.samples_read() }
    }

    fn add(&self, node: &Node, mark: Mark, series: u64, points: u64) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let spent = nodes.entry(address(node)).or_default();
        spent.took += mark.at;
        spent.samples_read += mark.samples_read;
        spent.series += series;
        spent.points += points;
    }

    /// The tree of `plan`, whose query is `text`.
    pub(crate) fn tree(&self, plan: &Plan, text: &str) -> TraceNode {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        let sharing = plan.selectors_by_fetch();
        Drawing { nodes: &nodes, fetches: &fetches, sharing: &sharing, plan, text }.node(&plan.root)
    }
}

fn address(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}

/// A reading of what only grows, or the difference of two.
#[derive(Clone, Copy, Default)]
struct Mark {
    at: Duration,
    samples_read: u64,
}

impl std::ops::Sub for Mark {
    type Output = Mark;

    fn sub(self, other: Mark) -> Mark {
        Mark {
            at: self.at.saturating_sub(other.at),
            samples_read: self.samples_read.saturating_sub(other.samples_read),
        }
    }
}

impl std::ops::Add for Mark {
    type Output = Mark;

    fn add(self, other: Mark) -> Mark {
        Mark { at: self.at + other.at, samples_read: self.samples_read + other.samples_read }
    }
}

struct Drawing<'d> {
    nodes: &'d HashMap<usize, Spent>,
    fetches: &'d [Spent],
    sharing: &'d [u64],
    plan: &'d Plan,
    text: &'d str,
}

impl Drawing<'_> {
    fn node(&self, node: &Node) -> TraceNode {
        let children = || node.children().into_iter().map(|child| self.node(child)).collect::<Vec<_>>();
        // That a part is the same at each step is said by its name; it is no operator of its own.
        if let Kind::Invariant(inner) = &node.kind {
            let mut drawn = self.node(inner);
            drawn.took = drawn.took.max(self.spent(node).took);
            drawn.operator = "once";
            drawn.children = vec![self.node(inner)];
            return drawn;
        }
        let Spent { took, series, points, samples_read } = self.spent(node);
        let mut children = children();
        if let Some(fetch) = node.fetch() {
            children.push(self.fetch(fetch));
        }
        let query = self.text.get(node.position.start..node.position.end).unwrap_or("").to_owned();
        // What is worked out without series, such as numbers, is not followed; what lies below it is.
        let below = children.iter().filter(|child| child.shared_by == 0).map(|child| child.took).sum();
        let took = took.max(below);
        TraceNode { operator: node.name(), query, took, series, points, samples_read, shared_by: 0, children }
    }

    fn spent(&self, node: &Node) -> Spent {
        self.nodes.get(&address(node)).copied().unwrap_or_default()
    }

    fn fetch(&self, number: usize) -> TraceNode {
        let Fetch { matchers, range, .. } = &self.plan.fetches[number];
        let matchers: Vec<String> = matchers.iter().map(ToString::to_string).collect();
        let range = match range {
            Some(range) => format!(" from {} to {}", range.start(), range.end()),
            None => String::new(),
        };
        let Spent { took, series, .. } = self.fetches.get(number).copied().unwrap_or_default();
        TraceNode {
            operator: "fetch",
            query: format!("{{{}}}{range}", matchers.join(",")),
            took,
            series,
            shared_by: self.sharing.get(number).copied().unwrap_or(0),
            ..TraceNode::default()
        }
    }
}
