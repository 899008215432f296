//! Stores that earlier versions of the format left behind.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::super::catalogue::KeyValue;
use super::super::catalogue::keys;
use super::super::catalogue::memory::Memory;
use super::world::{World, after_noon};

/// A store that a program of format 1 was killed over: rows of its catalogue, its files, and what it showed.
const FORMAT_1: &str = include_str!("../../../tests/fixtures/catalogue-1.txt");

fn from_hex(text: &str) -> Vec<u8> {
    let byte = |place| u8::from_str_radix(&text[place..place + 2], 16).expect("two hex digits");
    (0..text.len()).step_by(2).map(byte).collect()
}

#[test]
fn a_store_of_format_1_opens_and_keeps_its_series() {
    let mut world = World::new();
    let (mut rows, mut shown) = (BTreeMap::new(), String::new());
    for folder in ["log", "parts"] {
        for entry in std::fs::read_dir(world.settings.data.join(folder)).expect("readable") {
            std::fs::remove_file(entry.expect("readable").path()).expect("removable");
        }
    }
    for line in FORMAT_1.lines() {
        let (kind, rest) = line.split_once(' ').expect("a kind and more");
        let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
        match kind {
            "row" => drop(rows.insert(from_hex(first), from_hex(second))),
            "file" => std::fs::write(world.settings.data.join(first), from_hex(second)).expect("writable"),
            "shown" => writeln!(shown, "{rest}").expect("in memory"),
            _ => assert_eq!((kind, first), ("next", "70")),
        }
    }
    world.catalogue = Memory::of(rows);
    for round in 0..3 {
        world.crash();
        let mut found = String::new();
        for (labels, at, bits) in world.everything() {
            writeln!(found, "{labels} {at} {bits:x}").expect("in memory");
        }
        assert_eq!(found, shown, "round {round}");
        assert_eq!(world.store().status().recovered.nameless_samples, 0);
        assert!(world.catalogue.scan(keys::SERIES).expect("in memory").is_empty());
        assert!(world.catalogue.scan(keys::BY_LABELS).expect("in memory").is_empty());
        // Series that only the catalogue knows, and series that the log names, come back under their ids.
        for key in ["a|__name__=up,host=h-0,i=0", "|__name__=node_cpu_seconds_total,host=h-9,i=67"] {
            world.push(&[(key, after_noon(0), 0.0)]).expect("there is room");
        }
        let next = world.store().store.resolver.registry.read().next_id();
        assert_eq!(next, 70, "as many as before");
        if round > 0 {
            world.spill().expect("spills");
        }
        shown.clear();
        for (labels, at, bits) in world.everything() {
            writeln!(shown, "{labels} {at} {bits:x}").expect("in memory");
        }
    }
}
