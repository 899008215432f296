//! The queries that run or wait now. As many as are let in: whoever runs queries bounds that.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::Timestamp;
use crate::promql::Interrupt;

use super::Question;

/// Names a query of this process; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u64);

/// A query that runs or waits.
#[derive(Clone, Debug)]
pub struct ActiveQuery {
    /// Its name, for whoever wants to stop it.
    pub id: QueryId,
    /// What was asked, and by whom.
    pub question: Arc<Question>,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// Since when it runs; `None` while it waits for a place.
    pub started_at: Option<Timestamp>,
}

/// Queries by id, which is the order in which they came.
#[derive(Default)]
pub(super) struct Active {
    last_id: u64,
    queries: BTreeMap<QueryId, (ActiveQuery, Interrupt)>,
}

impl Active {
    pub(super) fn add(&mut self, question: Arc<Question>, interrupt: Interrupt, now: Timestamp) -> QueryId {
        self.last_id += 1;
        let id = QueryId(self.last_id);
        self.queries.insert(id, (ActiveQuery { id, question, asked_at: now, started_at: None }, interrupt));
        id
    }

    pub(super) fn starts(&mut self, id: QueryId, now: Timestamp) {
        if let Some((query, _)) = self.queries.get_mut(&id) {
            query.started_at = Some(now);
        }
    }

    pub(super) fn remove(&mut self, id: QueryId) {
        self.queries.remove(&id);
    }

    pub(super) fn cancel(&self, id: QueryId) -> bool {
        let known = self.queries.get(&id);
        known.is_some_and(|(_, interrupt)| {
            interrupt.cancel();
            true
        })
    }

    pub(super) fn list(&self) -> Vec<ActiveQuery> {
        self.queries.values().map(|(query, _)| query.clone()).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.queries.len()
    }
}
