//! A selector that stands several times in a query is read once: the first reader leaves the samples for the others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::model::Column;
use crate::store::{ReadSamples, SelectedSeries, StoreError};

use super::meter::Meter;

/// Bytes that a query keeps this way; what is beyond is read again.
const KEPT_BYTES_MAX: u64 = 64 << 20;
/// A time and a value.
const SAMPLE_BYTES: u64 = 16;

/// What a query may still keep.
pub(crate) struct Room {
    left: AtomicU64,
    meter: Arc<Meter>,
}

impl Room {
    pub(crate) fn new(meter: Arc<Meter>) -> Arc<Self> {
        Arc::new(Room { left: AtomicU64::new(KEPT_BYTES_MAX), meter })
    }

    /// Whether so many bytes may be kept; from now on they count.
    fn take(&self, bytes: u64) -> bool {
        let rest = |left: u64| left.checked_sub(bytes);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest).is_ok() && self.meter.hold_if_free(bytes)
    }
}

/// The same series, whose samples are kept once they were read.
pub(crate) fn keeping(series: Vec<SelectedSeries>, room: &Arc<Room>) -> Vec<SelectedSeries> {
    let keeping = |one: SelectedSeries| {
        let samples = Kept { of: one.samples, column: OnceLock::new(), room: Arc::clone(room) };
        SelectedSeries { labels: one.labels, samples: Arc::new(samples) }
    };
    series.into_iter().map(keeping).collect()
}

struct Kept {
    of: Arc<dyn ReadSamples>,
    column: OnceLock<Column>,
    room: Arc<Room>,
}

impl ReadSamples for Kept {
    fn read(&self, into: &mut Column) -> Result<(), StoreError> {
        if let Some(kept) = self.column.get() {
            into.clear();
            into.at.extend_from_slice(&kept.at);
            into.values.extend_from_slice(&kept.values);
            into.starts.extend_from_slice(&kept.starts);
            into.histograms.extend_from_slice(&kept.histograms);
            return Ok(());
        }
        self.of.read(into)?;
        // Histograms are shared with whoever holds them; floats are what costs.
        if self.room.take(into.len() as u64 * SAMPLE_BYTES) {
            // Somebody else may have been first; then theirs stays.
            let _ = self.column.set(into.clone());
        }
        Ok(())
    }
}
