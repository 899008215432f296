//! The parser as its users see it: text in, text out.

mod errors;
mod golden;
mod random;
mod shapes;

use crate::promql::ast::Expr;
use crate::promql::features::Features;
use crate::promql::parse::parse;

/// Parses with everything on.
#[track_caller]
fn parsed(text: &str) -> Expr {
    parse(text, &Features::all()).unwrap_or_else(|error| panic!("{text}: {error}"))
}
