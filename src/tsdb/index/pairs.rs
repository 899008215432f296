//! Label pairs, each kept once.
//!
//! A pair is a label name with a value. It has a number for as long as a series carries it, so that labels are a short
//! list of numbers, and two series are the same if their lists are. The values of a name can be walked from a prefix on.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::places::{Hashing, Places};
use super::segments::Segments;
use super::slabs::Slabs;

/// Pairs that came last, unsorted.
const TAIL_PAIRS: usize = 256;
/// Sorted runs of about one length that become one run, this many times longer.
const RUNS_MERGED: usize = 16;
/// Longer runs stay as they are: what one new pair can cost is the merge of a run of this length.
const RUN_PAIRS_MAX: usize = TAIL_PAIRS * RUNS_MERGED * RUNS_MERGED;
const NO_NAME: u32 = u32::MAX;

/// All pairs in use.
#[derive(Clone, Debug)]
pub(crate) struct Pairs {
    names: Vec<Name>,
    by_name: HashMap<Box<str>, u32, FixedState>,
    free_names: Vec<u32>,
    pairs: Segments<Pair>,
    free_pairs: Vec<u32>,
    texts: Slabs,
    table: Places,
    hashing: Hashing,
}

/// A pair: its name's number, and where the value's text stands.
#[derive(Clone, Copy, Debug)]
struct Pair {
    name: u32,
    slot: u32,
    bytes: u32,
}

/// A label name.
#[derive(Clone, Debug, Default)]
struct Name {
    text: Box<str>,
    /// Its pairs, in runs sorted by value.
    runs: Vec<Vec<u32>>,
    /// Its newest pairs, unsorted.
    tail: Vec<u32>,
}

impl Pairs {
    pub(crate) fn new(hashing: Hashing) -> Self {
        Pairs {
            names: Vec::new(),
            by_name: HashMap::default(),
            free_names: Vec::new(),
            pairs: Segments::default(),
            free_pairs: Vec::new(),
            texts: Slabs::default(),
            table: Places::default(),
            hashing,
        }
    }

    /// How many pairs are in use.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Numbers of pairs are below this.
    pub(crate) fn end(&self) -> usize {
        self.pairs.len()
    }

    /// The number of a pair, if it is in use.
    pub(crate) fn find(&self, name: &str, value: &str) -> Option<u32> {
        let name = *self.by_name.get(name)?;
        self.find_under(self.hashing.of((name, value)), name, value)
    }

    fn find_under(&self, hash: u64, name: u32, value: &str) -> Option<u32> {
        self.table.find(hash, |pair| {
            let known = &self.pairs[pair];
            known.name == name
                && known.bytes as usize == value.len()
                && self.texts.get(known.slot, value.len()) == value.as_bytes()
        })
    }

    /// The number of a pair, new if need be; whether it is new.
    pub(crate) fn intern(&mut self, name: &str, value: &str) -> (u32, bool) {
        let name = match self.by_name.get(name) {
            Some(name) => *name,
            None => self.add_name(name),
        };
        let hash = self.hashing.of((name, value));
        if let Some(pair) = self.find_under(hash, name, value) {
            return (pair, false);
        }
        let pair = Pair { name, slot: self.texts.put(value.as_bytes()), bytes: value.len() as u32 };
        let number = match self.free_pairs.pop() {
            Some(number) => {
                self.pairs[number] = pair;
                number
            }
            None => self.pairs.push(pair),
        };
        let (pairs, texts, hashing) = (&self.pairs, &self.texts, &self.hashing);
        self.table.insert(hash, number, |pair| {
            let pair = &pairs[pair];
            hashing.of((pair.name, text(texts, pair)))
        });
        let known = &mut self.names[name as usize];
        known.tail.push(number);
        if known.tail.len() >= TAIL_PAIRS {
            let tail = std::mem::take(&mut known.tail);
            known.runs.push(tail);
            self.sort_runs(name);
        }
        (number, true)
    }

    fn add_name(&mut self, text: &str) -> u32 {
        let name = Name { text: text.into(), ..Name::default() };
        let number = match self.free_names.pop() {
            Some(number) => {
                self.names[number as usize] = name;
                number
            }
            None => {
                self.names.push(name);
                (self.names.len() - 1) as u32
            }
        };
        self.by_name.insert(text.into(), number);
        number
    }

    /// Sorts the last run, and joins the last runs where there are many of about its length.
    fn sort_runs(&mut self, name: u32) {
        let mut runs = std::mem::take(&mut self.names[name as usize].runs);
        let (mut joined, mut longest) = (1, TAIL_PAIRS);
        while joined > 0 {
            let mut run = runs.split_off(runs.len() - joined).concat();
            // Sorting finds the stretches that are sorted already, and merges them.
            run.sort_by(|left, right| self.value_bytes(*left).cmp(self.value_bytes(*right)));
            runs.push(run);
            let alike = runs.iter().rev().take_while(|run| run.len() <= longest).count();
            joined = if alike >= RUNS_MERGED && longest < RUN_PAIRS_MAX { alike } else { 0 };
            longest *= RUNS_MERGED;
        }
        self.names[name as usize].runs = runs;
    }

    /// Name and value of a pair in use.
    pub(crate) fn get(&self, pair: u32) -> (&str, &str) {
        let pair = &self.pairs[pair];
        (&self.names[pair.name as usize].text, text(&self.texts, pair))
    }

    fn value_bytes(&self, pair: u32) -> &[u8] {
        let pair = &self.pairs[pair];
        self.texts.get(pair.slot, pair.bytes as usize)
    }

    /// Goes through the pairs of `name` whose value begins with `prefix`, in no order.
    pub(crate) fn each(&self, name: &str, prefix: &str, mut each: impl FnMut(u32, &str)) {
        let Some(name) = self.by_name.get(name) else { return };
        let name = &self.names[*name as usize];
        for run in &name.runs {
            let first = run.partition_point(|pair| self.value_bytes(*pair) < prefix.as_bytes());
            let starts = |pair: &&u32| self.value_bytes(**pair).starts_with(prefix.as_bytes());
            run[first..].iter().take_while(starts).for_each(|pair| each(*pair, text(&self.texts, &self.pairs[*pair])));
        }
        let tail = name.tail.iter().map(|pair| (*pair, text(&self.texts, &self.pairs[*pair])));
        tail.filter(|(_, value)| value.starts_with(prefix)).for_each(|(pair, value)| each(pair, value));
    }

    /// How many values a name has.
    #[cfg(test)]
    pub(crate) fn values(&self, name: &str) -> usize {
        let name = self.by_name.get(name).map(|name| &self.names[*name as usize]);
        name.map_or(0, |name| name.tail.len() + name.runs.iter().map(Vec::len).sum::<usize>())
    }

    /// All names, sorted.
    pub(crate) fn names_sorted(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.by_name.keys().map(|name| &**name).collect();
        names.sort_unstable();
        names
    }

    /// The pairs of a name, in runs sorted by value.
    pub(crate) fn runs(&self, name: &str) -> Vec<Vec<u32>> {
        let Some(name) = self.by_name.get(name) else { return Vec::new() };
        let name = &self.names[*name as usize];
        let (mut runs, mut tail) = (name.runs.clone(), name.tail.clone());
        tail.sort_by(|left, right| self.value_bytes(*left).cmp(self.value_bytes(*right)));
        runs.push(tail);
        runs
    }

    /// Whether the value of `left` comes before that of `right`, where both have the same name.
    pub(crate) fn is_before(&self, left: u32, right: u32) -> bool {
        self.value_bytes(left) < self.value_bytes(right)
    }

    /// Takes pairs out that no series carries; their numbers are given out again.
    pub(crate) fn remove(&mut self, pairs: &[u32]) {
        let mut touched = Vec::new();
        for number in pairs {
            let pair = self.pairs[*number];
            let hash = self.hashing.of((pair.name, text(&self.texts, &pair)));
            if self.table.remove(hash, *number) {
                touched.push(pair.name);
                self.pairs[*number].name = NO_NAME;
            }
        }
        touched.sort_unstable();
        touched.dedup();
        for name in touched {
            let live = |pair: &u32| self.pairs[*pair].name != NO_NAME;
            let known = &mut self.names[name as usize];
            known.tail.retain(live);
            for run in &mut known.runs {
                run.retain(live);
                run.shrink_to_fit();
            }
            known.runs.retain(|run| !run.is_empty());
            if known.runs.is_empty() && known.tail.is_empty() {
                let gone = std::mem::take(known);
                self.by_name.remove(&gone.text);
                self.free_names.push(name);
            }
        }
        for number in pairs {
            let pair = self.pairs[*number];
            if pair.name == NO_NAME {
                self.texts.free(pair.slot, pair.bytes as usize);
                self.free_pairs.push(*number);
            }
        }
    }

    /// Memory taken, in bytes, roughly.
    pub(crate) fn heap_bytes(&self) -> usize {
        let runs: usize = self.names.iter().flat_map(|name| &name.runs).map(Vec::capacity).sum();
        self.pairs.len() * size_of::<Pair>()
            + self.texts.heap_bytes()
            + self.table.heap_bytes()
            + 4 * runs
            + self.names.len() * 2 * (size_of::<Name>() + 4 * TAIL_PAIRS)
    }
}

fn text<'a>(texts: &'a Slabs, pair: &Pair) -> &'a str {
    std::str::from_utf8(texts.get(pair.slot, pair.bytes as usize)).expect("only whole texts are put in")
}
