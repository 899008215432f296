//! Text becomes a checked tree: lexer, parser, type check, in Prometheus 3.14's grammar and with its error texts.
//!
//! The parser is written by hand: one function per form, precedence climbing for operators. Prometheus' own is made
//! by yacc, and two of yacc's habits can be seen from outside, so they are kept: a syntax error is described by the
//! innermost form that has words for it (the `Context` stack), and a token is only read when a decision needs it (so
//! that of two mistakes the same one is found first). Parsing stops at the first error; Prometheus shows no other.
//!
//! Everything is bounded: the text, the depth of nesting and the height of the tree, so that no query can exhaust the
//! stack of whoever walks the tree.
//!
//! What deliberately does not happen here: folding, rewriting, evaluating.
//!
//! Read next: [`functions`] for the signatures, `lexer`, `parser`, then `types`.

mod error;
mod token;
mod lexer;
mod number;
pub mod text;
pub mod functions;
mod parser;
mod selector;
mod operand;
mod duration;
mod types;
#[cfg(test)]
mod tests;

use super::ast::{Expr, ExprKind, Position};
use super::features::Features;
use crate::model::Matcher;

pub use error::ParseError;

/// The longest query, in bytes.
pub const QUERY_BYTES_MAX: usize = 1 << 20;
/// How deep parentheses, calls, signs and right-binding operators may nest.
pub const NESTING_MAX: usize = 192;
/// How high a tree may grow; a chain of `n` operators is `n` high.
pub const HEIGHT_MAX: usize = 1000;

/// Parses and checks a query.
///
/// # Errors
/// The first mistake, as Prometheus words it.
pub fn parse(text: &str, features: &Features) -> Result<Expr, ParseError> {
    let mut expr = parser::Parser::new(text, features).query().map_err(|error| *error)?;
    types::check(text, &mut expr).map_err(|error| *error)?;
    Ok(expr)
}

/// Parses a series selector alone, as the `match[]` parameters have it. One that matches everything is fine here.
///
/// # Errors
/// The first mistake, as Prometheus words it.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let expr = parser::Parser::new(text, &Features::default()).lone_selector().map_err(|error| *error)?;
    match expr.kind {
        ExprKind::Selector(selector) => Ok(selector.matchers),
        _ => Err(*ParseError::new(text, Position::default(), "unexpected error".into())),
    }
}

/// The line and column of a byte of `text`, both from 1, the column in bytes.
pub fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..byte.min(text.len())];
    let line = before.iter().filter(|letter| **letter == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|letter| **letter != b'\n').count() + 1;
    (line, column)
}
