//! One series after another, out of the parts that are merged and into the part that replaces them.
//!
//! Most series have one lane, chunks that follow one another, and times that they share with the rest of their target.
//! For them no time is ever decoded twice: which columns follow one another says which column comes out. Chunks that
//! would be encoded the same way again are copied. What overlaps, was deleted in part or brings its own times is
//! decoded, sorted and cut anew; and of a pair, what the preferred replica covers goes ([`context`](super::context)).

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::model::{Column, Labels};
use crate::store::StoreError;

use super::context::Thinning;
use super::head::Lanes;
use super::part::{ChunkRef, Level, Part, PartSeries, PartWriter, SharedTimes};
use super::rows;
use super::store::Deletion;

/// Rows of one chunk in a merged part, and in a sealed one.
const MERGED_CHUNK_ROWS: usize = 1_440;
const SEALED_CHUNK_ROWS: usize = 8_192;
/// Chunks of fewer rows are made longer rather than copied.
const COPIED_ROWS_MIN: u32 = 96;
/// Stretches of columns whose place in the new part is remembered: 16 MiB.
const KNOWN_STRETCHES_MAX: usize = 1 << 20;

/// What to do about a chunk that is damaged; an error that is something else comes back.
pub(super) type LeaveOut<'l> = dyn Fn(StoreError) -> Result<(), StoreError> + 'l;

/// A stretch of a column: part, column, first row, rows.
type Stretch = (usize, u32, u32, u32);

/// A chunk of the series that is being written.
struct Piece<'p> {
    part: &'p Part,
    /// The part's number in the plan.
    number: usize,
    chunk: ChunkRef,
    /// The deletions that touch it.
    deletions: SmallVec<[&'p Deletion; 1]>,
}

/// What a merge remembers from series to series.
pub(super) struct Rewrite<'p> {
    deletions: &'p [Deletion],
    level: Level,
    /// Where something is known to be damaged, every chunk is decoded on its own, and this is asked about those that
    /// cannot be.
    leave_out: Option<&'p LeaveOut<'p>>,
    chunk_rows: usize,
    pieces: Vec<Piece<'p>>,
    /// The times that stretches make together, as they stand in the new part.
    known: HashMap<SmallVec<[Stretch; 4]>, SharedTimes, FixedState>,
    known_stretches: usize,
    column: Column,
    thinning: Thinning<'p>,
}

impl<'p> Rewrite<'p> {
    /// For a part of `level`.
    pub(super) fn new(
        deletions: &'p [Deletion],
        level: Level,
        leave_out: Option<&'p LeaveOut<'p>>,
        thinning: Thinning<'p>,
    ) -> Self {
        Rewrite {
            thinning,
            deletions,
            level,
            leave_out,
            chunk_rows: if level == Level::Sealed { SEALED_CHUNK_ROWS } else { MERGED_CHUNK_ROWS },
            pieces: Vec::new(),
            known: HashMap::default(),
            known_stretches: 0,
            column: Column::default(),
        }
    }

    /// Takes the chunks of a series from one of the parts, the one with this number in the plan.
    pub(super) fn take(&mut self, part: &'p Part, number: usize, series: PartSeries, chunks: &[ChunkRef]) {
        for chunk in chunks {
            let touches = |one: &&Deletion| one.touches(part.number(), series.id) && one.range.overlaps(chunk.range());
            let deletions = self.deletions.iter().filter(touches).collect();
            self.pieces.push(Piece { part, number, chunk: *chunk, deletions });
        }
    }

    /// Writes what was taken; the caller names the series.
    pub(super) fn write(
        &mut self,
        writer: &mut PartWriter<'_>,
        series: PartSeries,
        labels: &Labels,
    ) -> Result<(), StoreError> {
        let id = series.id;
        let mut pieces = std::mem::take(&mut self.pieces);
        pieces.sort_by_key(|piece| (piece.chunk.lane, piece.chunk.first));
        let thinned = self.thin(&pieces, series, labels)?;
        for lane in pieces.chunk_by(|left, right| left.chunk.lane == right.chunk.lane) {
            let number = lane[0].chunk.lane;
            if let Some((_, column)) = thinned.iter().find(|(thinned, _)| *thinned == number) {
                writer.put_lane(id, number, column, self.chunk_rows)?;
                continue;
            }
            let in_order = lane.windows(2).all(|pair| pair[0].chunk.last < pair[1].chunk.first);
            if self.leave_out.is_none()
                && in_order
                && lane.iter().all(|piece| piece.deletions.is_empty() && piece.chunk.shared_times().is_some())
            {
                self.write_in_order(writer, id, lane)?;
            } else {
                self.write_sorted(writer, id, lane)?;
            }
        }
        pieces.clear();
        self.pieces = pieces;
        Ok(())
    }

    /// The lanes of a pair that lose rows which another lane covers, without them.
    fn thin(&mut self, pieces: &[Piece<'p>], series: PartSeries, labels: &Labels) -> Result<Lanes, StoreError> {
        let several = pieces.windows(2).any(|pair| pair[0].chunk.lane != pair[1].chunk.lane);
        // Where something is damaged, what covers a row may be lost.
        if !several || self.leave_out.is_some() || self.thinning.applies(series.group, labels).is_none() {
            return Ok(Lanes::new());
        }
        let mut lanes = Lanes::new();
        for lane in pieces.chunk_by(|left, right| left.chunk.lane == right.chunk.lane) {
            self.read_sorted(lane)?;
            lanes.push((lane[0].chunk.lane, std::mem::take(&mut self.column)));
        }
        let rows: Vec<usize> = lanes.iter().map(|(_, column)| column.len()).collect();
        if let Some((rules, turns)) = self.thinning.applies(series.group, labels) {
            self.thinning.thin(series.id, &mut lanes, &rules, turns)?;
        }
        let mut rows = rows.into_iter();
        lanes.retain(|(_, column)| rows.next() != Some(column.len()));
        Ok(lanes)
    }

    /// Chunks that follow one another: a few make one, or each is copied.
    fn write_in_order(&mut self, writer: &mut PartWriter<'_>, id: u32, lane: &[Piece<'p>]) -> Result<(), StoreError> {
        let mut rest = lane;
        while let Some(first) = rest.first() {
            if self.stays_as_it_is(first) {
                match self.times_of(writer, id, &rest[..1])? {
                    Some(times) => writer.copy_chunk(first.part, &first.chunk, &times)?,
                    None => self.write_sorted(writer, id, &rest[..1])?,
                }
                rest = &rest[1..];
                continue;
            }
            let (mut some, mut rows) = (0, 0);
            while let Some(piece) = rest.get(some) {
                rows += piece.chunk.rows as usize;
                if some > 0 && (rows > self.chunk_rows || self.stays_as_it_is(piece)) {
                    break;
                }
                some += 1;
            }
            let (batch, others) = rest.split_at(some);
            rest = others;
            // How many histograms one chunk may hold is for the general way to say.
            if batch.iter().any(|piece| piece.chunk.has_histograms()) || batch[0].chunk.rows as usize > self.chunk_rows
            {
                self.write_sorted(writer, id, batch)?;
                continue;
            }
            let Some(times) = self.times_of(writer, id, batch)? else {
                self.write_sorted(writer, id, batch)?;
                continue;
            };
            self.column.clear();
            for piece in batch {
                piece.part.read_values(&piece.chunk, &mut self.column)?;
            }
            writer.put_values(batch[0].chunk.lane, &self.column, 0..self.column.values.len(), &times)?;
        }
        Ok(())
    }

    fn stays_as_it_is(&self, piece: &Piece<'_>) -> bool {
        let same_codec = self.level != Level::Sealed || piece.part.meta().level == Level::Sealed;
        same_codec && piece.chunk.rows >= COPIED_ROWS_MIN
    }

    /// Where the times of `pieces` together stand in the new part.
    fn times_of(
        &mut self,
        writer: &mut PartWriter<'_>,
        id: u32,
        pieces: &[Piece<'_>],
    ) -> Result<Option<SharedTimes>, StoreError> {
        let stretches = pieces.iter().map(|piece| {
            let (column, row, rows) = piece.chunk.shared_times().expect("the caller has looked");
            (piece.number, column, row, rows)
        });
        let key: SmallVec<[Stretch; 4]> = stretches.collect();
        if let Some(times) = self.known.get(&key) {
            return Ok(Some(*times));
        }
        self.column.clear();
        for piece in pieces {
            piece.part.read_chunk(&piece.chunk, &mut self.column)?;
        }
        let times = writer.share_times(id, &self.column.at);
        if let Some(times) = times {
            if self.known_stretches + key.len() > KNOWN_STRETCHES_MAX {
                self.known.clear();
                self.known_stretches = 0;
            }
            self.known_stretches += key.len();
            self.known.insert(key, times);
        }
        Ok(times)
    }

    /// Whatever the chunks hold: all rows of a lane, made tidy, cut anew.
    fn write_sorted(&mut self, writer: &mut PartWriter<'_>, id: u32, lane: &[Piece<'_>]) -> Result<(), StoreError> {
        self.read_sorted(lane)?;
        writer.put_lane(id, lane[0].chunk.lane, &self.column, self.chunk_rows)
    }

    /// All rows of a lane, made tidy, into `self.column`.
    fn read_sorted(&mut self, lane: &[Piece<'_>]) -> Result<(), StoreError> {
        self.column.clear();
        for piece in lane {
            if piece.deletions.is_empty() && self.leave_out.is_none() {
                piece.part.read_chunk(&piece.chunk, &mut self.column)?;
                continue;
            }
            let mut own = Column::default();
            match (piece.part.read_chunk(&piece.chunk, &mut own), self.leave_out) {
                (Err(error), Some(leave_out)) => {
                    leave_out(error)?;
                    continue;
                }
                (read, _) => read?,
            }
            piece.deletions.iter().for_each(|deletion| rows::cut_out(&mut own, deletion.range));
            rows::append(&mut self.column, &own);
        }
        rows::tidy(&mut self.column);
        Ok(())
    }
}
