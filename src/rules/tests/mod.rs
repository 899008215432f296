//! The room's tests, spoken through groups: values in, states and notifications out.

mod engine;
mod files;
mod found;
mod groups;
mod kill;
mod notifiers;
mod outage;
mod replay;
mod running;
mod server;
mod timeline;
mod unit;
mod world;
