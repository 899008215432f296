//! Tests through the door: batches in, rows out, with restarts and failures in between.

mod world;
mod keeping;
mod faults;
mod days;
mod lanes;
mod any_order;
mod on_rocks;
mod fuzz;
