//! A list that grows without moving what it holds.

use std::ops::{Index, IndexMut};

/// Items of one segment.
const SEGMENT_ITEMS: usize = 1024;

/// Items by place, in segments: growing copies no item, so a push is short however many there are.
#[derive(Clone, Debug)]
pub(crate) struct Segments<T> {
    segments: Vec<Vec<T>>,
}

impl<T> Default for Segments<T> {
    fn default() -> Self {
        Segments { segments: Vec::new() }
    }
}

impl<T> Segments<T> {
    /// How many items there are.
    pub(crate) fn len(&self) -> usize {
        match self.segments.last() {
            None => 0,
            Some(last) => (self.segments.len() - 1) * SEGMENT_ITEMS + last.len(),
        }
    }

    /// Appends an item; tells its place.
    pub(crate) fn push(&mut self, item: T) -> u32 {
        let place = u32::try_from(self.len()).expect("bounded by the limit on series");
        if self.segments.last().is_none_or(|last| last.len() == SEGMENT_ITEMS) {
            // The first one starts small: most tests, and many stores, hold little.
            let room = if self.segments.is_empty() { 16 } else { SEGMENT_ITEMS };
            self.segments.push(Vec::with_capacity(room));
        }
        self.segments.last_mut().expect("pushed above").push(item);
        place
    }

    pub(crate) fn get(&self, place: u32) -> Option<&T> {
        self.segments.get(place as usize / SEGMENT_ITEMS)?.get(place as usize % SEGMENT_ITEMS)
    }
}

impl<T> Index<u32> for Segments<T> {
    type Output = T;

    fn index(&self, place: u32) -> &T {
        &self.segments[place as usize / SEGMENT_ITEMS][place as usize % SEGMENT_ITEMS]
    }
}

impl<T> IndexMut<u32> for Segments<T> {
    fn index_mut(&mut self, place: u32) -> &mut T {
        &mut self.segments[place as usize / SEGMENT_ITEMS][place as usize % SEGMENT_ITEMS]
    }
}
