//! The API as clients see it: requests in, status and body out.

pub(super) mod world;
mod queries;
mod running;
mod listings;
mod writes;
mod alerting;
mod operation;
mod traps;
mod connections;
mod access;
mod scope;
mod surface;
mod imports;
mod tls;
mod fuzz;
mod golden;
mod grafana;
