//! Weir: the central store that lets Prometheus only scrape.
//!
//! Pairs of Prometheus servers push here; Weir keeps one gap-free series out of each pair, answers PromQL, evaluates
//! rules and notifies Alertmanager. ARCHITECTURE.md has the map; the rooms below stand in reading order.

pub mod model;
pub mod store;
pub mod ha;
pub mod tsdb;
pub mod ingest;
pub mod blocks;
pub mod promql;
pub mod rules;
pub mod access;
pub mod http;
pub mod clock;
pub mod config;
pub mod telemetry;
pub mod app;
pub mod ask;
pub mod cli;
