//! The judge's own tests. The program is an example, so that `cargo test` builds it for others to run.

#[allow(dead_code, reason = "what the program does when it runs is not what its tests ask")]
#[path = "main.rs"]
mod ledger;
