//! Tests of the whole program in one process: the real rooms behind the real routes, with a clock in hand.

mod world;
mod pairs;
