//! Blocks decoded a moment ago: a few stay, each in a place of its own.

use std::sync::Arc;

use parking_lot::Mutex;

/// A block by its number.
type Block<T> = (usize, Arc<T>);

/// Up to `PLACES` decoded blocks of one kind.
pub(super) struct Recent<T, const PLACES: usize> {
    places: [Mutex<Option<Block<T>>>; PLACES],
}

impl<T, const PLACES: usize> Default for Recent<T, PLACES> {
    fn default() -> Self {
        Recent { places: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl<T, const PLACES: usize> Recent<T, PLACES> {
    /// A block by its number; `decode` makes it where it is not there. Two that miss it at once both do.
    pub(super) fn get<E>(&self, number: usize, decode: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        let place = &self.places[number % PLACES];
        if let Some((_, block)) = place.lock().as_ref().filter(|(known, _)| *known == number) {
            return Ok(block.clone());
        }
        let block = Arc::new(decode()?);
        *place.lock() = Some((number, block.clone()));
        Ok(block)
    }
}
