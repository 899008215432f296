//! The forms that stand alone: literals, parentheses, calls, aggregations.

use super::functions::signature;
use super::parser::{Context, Grown, Parser, Parsing, is_metric_name};
use super::text::{Quoted, unquote};
use super::token::{Keyword, Kind, Token};
use crate::promql::ast::{Aggregate, AggregateOp, BinaryOp, Call, Expr, ExprKind, Position};

const AGGREGATION: Context = Context { form: "aggregation", expected: "" };

/// A tree without branches.
fn leaf(position: Position, kind: ExprKind) -> Grown {
    Grown { expr: Expr { position, kind }, height: 1 }
}

/// What stands in a call's parentheses.
struct Arguments {
    exprs: Vec<Expr>,
    height: usize,
    /// Behind the closing parenthesis.
    end: usize,
}

impl Parser<'_> {
    pub(super) fn operand(&mut self) -> Parsing<Grown> {
        let token = self.peek()?;
        match token.kind {
            Kind::LeftParen => {
                self.take();
                let inner = self.expression(0)?;
                let end = self.expect(Kind::RightParen)?.position.end;
                let position = Position { start: token.position.start, end };
                self.grow(position, ExprKind::Paren(Box::new(inner.expr)), inner.height)
            }
            Kind::String => {
                self.take();
                Ok(leaf(token.position, ExprKind::String(unquote(token.text(self.text)))))
            }
            Kind::Number | Kind::Duration => {
                self.take();
                let (value, duration) = self.number_or_duration(token)?;
                Ok(leaf(token.position, ExprKind::Number { value, duration }))
            }
            Kind::LeftBrace => Ok(Grown { expr: self.selector(None)?, height: 1 }),
            kind if is_metric_name(kind) => {
                self.take();
                self.named(token)
            }
            _ => self.unexpected(),
        }
    }

    /// A name: what follows tells an aggregation from a call from a metric.
    fn named(&mut self, name: Token) -> Parsing<Grown> {
        let next = self.peek()?.kind;
        match name.kind {
            Kind::Aggregate(op) if is_aggregation(next) => self.aggregation(name, op),
            Kind::Identifier if next == Kind::LeftParen => self.call(name),
            Kind::Keyword(word) if word.is_function() && next == Kind::LeftParen => self.call(name),
            _ => Ok(Grown { expr: self.selector(Some(name))?, height: 1 }),
        }
    }

    fn call(&mut self, name: Token) -> Parsing<Grown> {
        let arguments = self.arguments()?;
        let text = name.text(self.text);
        let Some(function) = signature(text) else {
            return self.fail(name.position, &format!("unknown function with name {}", Quoted(text)));
        };
        if function.experimental && !self.features.experimental_functions {
            return self.fail(name.position, &format!("function {} is not enabled", Quoted(text)));
        }
        let position = Position { start: name.position.start, end: arguments.end };
        let call = Call { function: function.name, arguments: arguments.exprs };
        self.grow(position, ExprKind::Call(call), arguments.height)
    }

    fn arguments(&mut self) -> Parsing<Arguments> {
        self.expect(Kind::LeftParen)?;
        let mut arguments = Arguments { exprs: Vec::new(), height: 0, end: 0 };
        if let Some(close) = self.accept(Kind::RightParen)? {
            arguments.end = close.position.end;
            return Ok(arguments);
        }
        loop {
            let argument = self.expression(0)?;
            arguments.height = arguments.height.max(argument.height);
            arguments.exprs.push(argument.expr);
            let Some(comma) = self.accept(Kind::Comma)? else { break };
            if !starts_expression(self.peek()?.kind) {
                return self.fail(comma.position, "trailing commas not allowed in function call args");
            }
        }
        arguments.end = self.expect(Kind::RightParen)?.position.end;
        Ok(arguments)
    }

    fn aggregation(&mut self, name: Token, op: AggregateOp) -> Parsing<Grown> {
        // The modifier may stand on either side of the arguments.
        let (modifier, arguments, end) = self.within(AGGREGATION, |parser| {
            let before = parser.aggregation_modifier()?;
            let arguments = parser.arguments()?;
            let mut end = arguments.end;
            let modifier = match before {
                Some(modifier) => Some(modifier),
                None => {
                    let behind = parser.aggregation_modifier()?;
                    if behind.is_some() {
                        end = parser.last_end();
                    }
                    behind
                }
            };
            Ok((modifier.unwrap_or_default(), arguments, end))
        })?;
        let position = Position { start: name.position.start, end };
        let Arguments { mut exprs, height, .. } = arguments;
        if exprs.is_empty() {
            return self.fail(position, "no arguments for aggregate expression provided");
        }
        let experimental = matches!(op, AggregateOp::Limitk | AggregateOp::LimitRatio);
        if experimental && !self.features.experimental_functions {
            let flag = "must be enabled with --enable-feature=promql-experimental-functions";
            return self.fail(position, &format!("{}() is experimental and {flag}", op.as_str()));
        }
        let (given, wanted) = (exprs.len(), if op.has_parameter() { 2 } else { 1 });
        let (Some(expr), true) = (exprs.pop(), given == wanted) else {
            let counts = format!("expected {wanted}, got {given}");
            return self
                .fail(position, &format!("wrong number of arguments for aggregate expression provided, {counts}"));
        };
        let (grouping, without) = modifier;
        let aggregate = Aggregate { op, expr, parameter: exprs.pop(), grouping, without };
        self.grow(position, ExprKind::Aggregate(Box::new(aggregate)), height)
    }

    /// `by (...)` or `without (...)`: the labels, and whether it is `without`.
    fn aggregation_modifier(&mut self) -> Parsing<Option<(Vec<String>, bool)>> {
        let Kind::Keyword(word @ (Keyword::By | Keyword::Without)) = self.peek()?.kind else { return Ok(None) };
        self.take();
        Ok(Some((self.grouping()?, word == Keyword::Without)))
    }
}

/// Whether an aggregation's name is one, or a metric's name, tells the token behind it.
fn is_aggregation(next: Kind) -> bool {
    matches!(next, Kind::LeftParen | Kind::Keyword(Keyword::By | Keyword::Without))
}

fn starts_expression(kind: Kind) -> bool {
    match kind {
        Kind::LeftParen | Kind::LeftBrace | Kind::String | Kind::Number | Kind::Duration => true,
        Kind::Operator(BinaryOp::Add | BinaryOp::Sub) => true,
        kind => is_metric_name(kind),
    }
}
