//! Weir among the real programs: two Prometheus, node-exporter and Alertmanager, with the files of `config/`.
//!
//! The programs are Debian's, unpacked by `.ci/tools` and started on loopback ports; nothing is installed, nothing but
//! loopback is talked to. Without them the tests say so and pass, unless `WEIR_STACK=required`.
//!
//! Read next: [`world`] starts and stops programs; each other file is one story.

mod world;
mod door;
mod faults;
mod full_disk;
mod start;
mod history;
mod pair;
mod alert;
mod kill;
mod store;
mod queries;
mod receiver;
mod evaluators;
mod rule_kill;
mod late;
mod rule_load;
mod promtool;
