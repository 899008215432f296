//! Selectors and lists of labels.

use super::parser::{Context, Parser, Parsing};
use super::text::{Quoted, has_raw_bytes, unquote};
use super::token::{Keyword, Kind, Token};
use crate::model::{METRIC_NAME, Matcher};
use crate::promql::ast::{BinaryOp, Expr, ExprKind, Position, Selector, Shift};

const fn matching(expected: &'static str) -> Context {
    Context { form: "label matching", expected }
}

const fn grouping(expected: &'static str) -> Context {
    Context { form: "grouping opts", expected }
}

impl Parser<'_> {
    /// A selector whose name, if it has one before the braces, has been taken.
    pub(super) fn selector(&mut self, name: Option<Token>) -> Parsing<Expr> {
        let mut position = name.map_or(self.peek()?.position, |name| name.position);
        let mut matchers = Vec::new();
        if let Some(open) = self.accept(Kind::LeftBrace)? {
            position.start = position.start.min(open.position.start);
            position.end = self.matchers(&mut matchers)?;
        }
        let name = name.map(|name| name.text(self.text).to_owned());
        if let Some(name) = &name {
            matchers.push(Matcher::equal(METRIC_NAME, name.clone()));
        }
        let selector = Selector { name, matchers, shift: Shift::default(), extension: None };
        Ok(Expr { position, kind: ExprKind::Selector(selector) })
    }

    /// The matchers up to the closing brace; returns where that ends.
    fn matchers(&mut self, matchers: &mut Vec<Matcher>) -> Parsing<usize> {
        loop {
            // A comma may end the list, but not stand alone.
            if let Some(close) = self.accept(Kind::RightBrace)? {
                return Ok(close.position.end);
            }
            matchers.push(self.matcher()?);
            if let Some(close) = self.accept(Kind::RightBrace)? {
                return Ok(close.position.end);
            }
            if self.accept(Kind::Comma)?.is_none() {
                return self.unexpected_in(matching("\",\" or \"}\""));
            }
        }
    }

    fn matcher(&mut self) -> Parsing<Matcher> {
        let label = self.peek()?;
        let name = match label.kind {
            Kind::Identifier => label.text(self.text).to_owned(),
            Kind::String => unquote(label.text(self.text)),
            _ => return self.unexpected_in(matching("identifier or \"}\"")),
        };
        self.take();
        let sign = self.peek()?.kind;
        let is_sign =
            matches!(sign, Kind::Assign | Kind::Operator(BinaryOp::NotEqual) | Kind::Matches | Kind::MatchesNot);
        if !is_sign {
            // A quoted name alone is the metric's.
            return match label.kind {
                Kind::String => Ok(Matcher::equal(METRIC_NAME, name)),
                _ => self.unexpected_in(matching("label matching operator")),
            };
        }
        self.take();
        let value = self.peek()?;
        if value.kind != Kind::String {
            return self.unexpected_in(matching("string"));
        }
        self.take();
        let wanted = unquote(value.text(self.text));
        let matcher = match sign {
            Kind::Assign => Ok(Matcher::equal(name, wanted)),
            Kind::Matches => Matcher::regex(name, &wanted),
            Kind::MatchesNot => Matcher::not_regex(name, &wanted),
            _ => Ok(Matcher::not_equal(name, wanted)),
        };
        matcher.or_else(|error| {
            let position = Position { start: label.position.start, end: value.position.end };
            self.fail(position, &error.to_string())
        })
    }

    /// `(label, "label", ...)` of `by`, `without`, `on`, `ignoring`, `group_left`, `group_right`.
    pub(super) fn grouping(&mut self) -> Parsing<Vec<String>> {
        if self.accept(Kind::LeftParen)?.is_none() {
            return self.unexpected_in(grouping("\"(\""));
        }
        let mut labels = Vec::new();
        if self.accept(Kind::RightParen)?.is_some() {
            return Ok(labels);
        }
        loop {
            labels.push(self.grouping_label()?);
            if self.accept(Kind::RightParen)?.is_some() {
                return Ok(labels);
            }
            if self.accept(Kind::Comma)?.is_none() {
                return self.unexpected_in(grouping("\",\" or \")\""));
            }
            if self.accept(Kind::RightParen)?.is_some() {
                return Ok(labels);
            }
        }
    }

    fn grouping_label(&mut self) -> Parsing<String> {
        let token = self.peek()?;
        let label = match token.kind {
            Kind::String => unquote(token.text(self.text)),
            kind if is_label(kind) => token.text(self.text).to_owned(),
            _ => return self.unexpected_in(grouping("label")),
        };
        self.take();
        if label.is_empty() || has_raw_bytes(&label) {
            return self.fail(token.position, &format!("invalid label name for grouping: {}", Quoted(&label)));
        }
        Ok(label)
    }
}

/// Whether a token outside braces can be a label's name: nearly all words can.
fn is_label(kind: Kind) -> bool {
    match kind {
        Kind::Identifier | Kind::MetricIdentifier | Kind::Aggregate(_) => true,
        Kind::Operator(op) => op.is_set() || op == BinaryOp::Atan2,
        Kind::Keyword(word) => word != Keyword::Without,
        _ => false,
    }
}
