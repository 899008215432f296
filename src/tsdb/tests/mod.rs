//! Tests through the door: batches in, rows out, with restarts and failures in between.

mod world;
mod disk;
mod keeping;
mod together;
mod faults;
mod full;
mod snapshots;
mod stopped;
mod power;
mod clocks;
mod days;
mod lanes;
mod any_order;
mod lookups;
mod on_rocks;
mod formats;
mod footing;
mod fuzz;
