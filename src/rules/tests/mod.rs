//! The room's tests, spoken through groups: values in, states and notifications out.

mod engine;
mod files;
mod groups;
mod kill;
mod notifiers;
mod replay;
mod running;
mod timeline;
mod unit;
mod world;
