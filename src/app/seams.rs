//! Where one room's contract meets another room's type.

use std::path::Path;
use std::sync::Arc;

use crate::clock::Clock;
use crate::config::units::Length;
use crate::http;
use crate::model::{Matcher, TimeRange};
use crate::store::{DeleteSeries, SampleSource, StoreError};
use crate::tsdb::Tsdb;
use crate::tsdb::catalogue::KeyValue;
use crate::tsdb::catalogue::rocks::Rocks;

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
pub(super) struct AdminSeam {
    pub(super) tsdb: Arc<Tsdb>,
    pub(super) clock: Clock,
}

impl http::Admin for AdminSeam {
    fn delete_series(&self, matchers: &[Matcher], range: TimeRange) -> Result<(), StoreError> {
        self.tsdb.delete_series(matchers, range)
    }

    fn clean_tombstones(&self) -> Result<(), StoreError> {
        self.tsdb.settle().map(|_| ())
    }

    fn snapshot(&self, skip_head: bool) -> Result<String, StoreError> {
        let make = |directory: &Path| Ok(Box::new(Rocks::open(directory)?) as Box<dyn KeyValue>);
        self.tsdb.snapshot(self.clock.now(), skip_head, &make)
    }
}
