//! Duration expressions: what stands in brackets and behind `offset`.

use super::parser::{Parser, Parsing, precedence};
use super::token::{Keyword, Kind, Token};
use crate::model::Span;
use crate::promql::ast::{BinaryOp, DurationExpr, DurationKind, DurationNode, Position};

/// Seconds that fit Go's 63 bits of nanoseconds.
const SECONDS_MAX: f64 = 9_223_372_036_854_775_808.0 / 1e9;

/// How many operators one duration expression may have; keeps its tree low.
const OPERATORS_MAX: usize = 128;

impl Parser<'_> {
    /// A duration in brackets: positive if it is known already.
    pub(super) fn positive_duration(&mut self) -> Parsing<DurationExpr> {
        let node = self.duration_expression(0)?;
        match node.kind {
            DurationKind::Number { seconds, .. } if seconds <= 0.0 => {
                self.fail(node.position, "duration must be greater than 0")
            }
            _ => Ok(settle(node)),
        }
    }

    /// The duration behind `offset`. Operators are not part of it unless in parentheses: `x offset 1m + 1` adds 1 to
    /// the value of x.
    pub(super) fn offset_duration(&mut self) -> Parsing<DurationExpr> {
        let token = self.peek()?;
        let Kind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) = token.kind else {
            return Ok(settle(self.duration_primary()?));
        };
        self.take();
        let wrapped = self.peek()?.kind == Kind::LeftParen;
        let node = self.duration_primary()?;
        let position = Position { start: token.position.start, end: node.position.end };
        let plus = op == BinaryOp::Add;
        Ok(match node.kind {
            // `offset +(a)` drops its sign, `offset +step()` keeps it. Both mean the same.
            DurationKind::Number { .. } => settle(self.signed(token, op, node)?),
            _ if plus && wrapped => settle(node),
            _ => settle(DurationNode { position, kind: sign(op, node) }),
        })
    }

    fn duration_expression(&mut self, least: u8) -> Parsing<DurationNode> {
        self.enter()?;
        let mut left = self.duration_unary()?;
        let mut operators = 0;
        loop {
            let token = self.peek()?;
            let Kind::Operator(op) = token.kind else { break };
            use BinaryOp::{Add, Div, Mod, Mul, Pow, Sub};
            if !matches!(op, Add | Sub | Mul | Div | Mod | Pow) || precedence(op) < least {
                break;
            }
            self.take();
            operators += 1;
            if operators > OPERATORS_MAX {
                return self.fail(token.position, &format!("duration has more than {OPERATORS_MAX} operators"));
            }
            let right = self.duration_expression(precedence(op) + u8::from(op != Pow))?;
            self.computed_duration(left.position)?;
            let is_zero = matches!(right.kind, DurationKind::Number { seconds: 0.0, .. });
            match op {
                Div if is_zero => return self.fail(token.position, "division by zero"),
                Mod if is_zero => return self.fail(token.position, "modulo by zero"),
                _ => {}
            }
            let position = Position { start: left.position.start, end: right.position.end };
            left = DurationNode { position, kind: DurationKind::Arithmetic(op, Box::new(left), Box::new(right)) };
        }
        self.leave();
        Ok(left)
    }

    fn duration_unary(&mut self) -> Parsing<DurationNode> {
        let token = self.peek()?;
        let Kind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) = token.kind else {
            return self.duration_primary();
        };
        self.take();
        let node = self.duration_expression(precedence(BinaryOp::Pow))?;
        self.signed(token, op, node)
    }

    /// A number takes the sign in; a plus before anything else is dropped.
    fn signed(&mut self, token: Token, op: BinaryOp, node: DurationNode) -> Parsing<DurationNode> {
        let position = Position { start: token.position.start, end: node.position.end };
        Ok(match node.kind {
            DurationKind::Number { seconds, duration } => {
                let seconds = if op == BinaryOp::Sub { -seconds } else { seconds };
                DurationNode { position, kind: DurationKind::Number { seconds, duration } }
            }
            _ if op == BinaryOp::Add => node,
            _ => DurationNode { position, kind: sign(op, node) },
        })
    }

    /// Anything but a plain duration must be switched on.
    fn computed_duration(&self, position: Position) -> Parsing<()> {
        match self.features.duration_expressions {
            true => Ok(()),
            false => self.fail(position, "experimental duration expression is not enabled"),
        }
    }

    fn duration_primary(&mut self) -> Parsing<DurationNode> {
        let token = self.peek()?;
        match token.kind {
            Kind::Number | Kind::Duration => {
                self.take();
                let (seconds, duration) = self.number_or_duration(token)?;
                if seconds.abs() > SECONDS_MAX {
                    return self.fail(token.position, "duration out of range");
                }
                Ok(DurationNode { position: token.position, kind: DurationKind::Number { seconds, duration } })
            }
            Kind::Keyword(word @ (Keyword::Step | Keyword::Range)) => {
                self.take();
                self.expect(Kind::LeftParen)?;
                let end = self.expect(Kind::RightParen)?.position.end;
                let kind = if word == Keyword::Step { DurationKind::Step } else { DurationKind::Range };
                let position = Position { start: token.position.start, end };
                self.computed_duration(position)?;
                Ok(DurationNode { position, kind })
            }
            Kind::Keyword(word @ (Keyword::MinOf | Keyword::MaxOf)) => {
                self.take();
                self.expect(Kind::LeftParen)?;
                let left = Box::new(self.duration_expression(0)?);
                self.expect(Kind::Comma)?;
                let right = Box::new(self.duration_expression(0)?);
                let end = self.expect(Kind::RightParen)?.position.end;
                let kind = match word {
                    Keyword::MinOf => DurationKind::MinOf(left, right),
                    _ => DurationKind::MaxOf(left, right),
                };
                let position = Position { start: token.position.start, end };
                self.computed_duration(position)?;
                Ok(DurationNode { position, kind })
            }
            Kind::LeftParen => {
                self.take();
                let node = self.duration_expression(0)?;
                let end = self.expect(Kind::RightParen)?.position.end;
                self.computed_duration(node.position)?;
                Ok(match node.kind {
                    // Parentheses around a number, or around parentheses, leave no trace.
                    DurationKind::Number { .. } | DurationKind::Paren(_) => node,
                    _ => {
                        let position = Position { start: token.position.start, end };
                        DurationNode { position, kind: DurationKind::Paren(Box::new(node)) }
                    }
                })
            }
            _ => self.unexpected(),
        }
    }
}

fn sign(op: BinaryOp, node: DurationNode) -> DurationKind {
    DurationKind::Sign { negative: op == BinaryOp::Sub, node: Box::new(node) }
}

fn settle(node: DurationNode) -> DurationExpr {
    match node.kind {
        DurationKind::Number { seconds, .. } => DurationExpr::Literal(span(seconds)),
        _ => DurationExpr::Computed(Box::new(node)),
    }
}

/// Seconds rounded to nanoseconds, as Go's `time.Duration` holds them, then cut to milliseconds.
fn span(seconds: f64) -> Span {
    Span::from_millis((seconds * 1e9).round() as i64 / 1_000_000)
}
