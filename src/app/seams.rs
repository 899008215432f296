//! Where one room's contract meets another room's type.

use std::sync::Arc;

use crate::config::units::Length;
use crate::http;
use crate::model::{Matcher, TimeRange};
use crate::store::{DeleteSeries, SampleSource, StoreError};
use crate::tsdb::Tsdb;

/// What storage says of itself.
pub(super) struct StorageSeam {
    pub(super) tsdb: Arc<Tsdb>,
    pub(super) retention: Length,
}

impl http::StorageStatus for StorageSeam {
    fn cardinality(&self, limit: usize) -> Result<http::Cardinality, StoreError> {
        let status = self.tsdb.status();
        let all = self.tsdb.series(&[], TimeRange::ALL)?;
        Ok(http::Cardinality::of(&all, status.oldest.zip(status.newest), limit))
    }

    fn retention(&self) -> String {
        self.retention.to_string()
    }
}

/// What changes what is stored.
pub(super) struct AdminSeam(pub(super) Arc<Tsdb>);

impl http::Admin for AdminSeam {
    fn delete_series(&self, matchers: &[Matcher], range: TimeRange) -> Result<(), StoreError> {
        self.0.delete_series(matchers, range)
    }

    fn clean_tombstones(&self) -> Result<(), StoreError> {
        self.0.settle().map(|_| ())
    }

    fn snapshot(&self, _skip_head: bool) -> Result<String, StoreError> {
        Err(StoreError::NotReady("snapshots are not supported yet; stop Weir and copy its data directory".into()))
    }
}
