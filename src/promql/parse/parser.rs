//! The parser's state and the forms that hold others: operators, modifiers behind an operand, the whole query.

use super::error::ParseError;
use super::lexer::Lexer;
use super::token::{Keyword, Kind, Token};
use super::{HEIGHT_MAX, NESTING_MAX, QUERY_BYTES_MAX, number};
use crate::model::number::format_float;
use crate::model::{Span, Timestamp};
use crate::promql::ast::{
    AtModifier, Binary, BinaryOp, Cardinality, DurationExpr, Expr, ExprKind, Extension, Matching, Position, Selector,
    Shift, Subquery,
};
use crate::promql::features::Features;

/// The result of parsing one form. (The error is boxed: it is rare, and results pass through many frames.)
pub(super) type Parsing<T> = Result<T, Box<ParseError>>;

/// How a form words a mistake in it: "in ..., expected ...".
#[derive(Clone, Copy)]
pub(super) struct Context {
    pub(super) form: &'static str,
    pub(super) expected: &'static str,
}

const BRACKET: Context =
    Context { form: "subquery or range selector", expected: "number, duration, step(), or range()" };
const BEHIND_RANGE: Context = Context { form: "subquery or range", expected: "\":\" or \"]\"" };
const STEP: Context = Context { form: "subquery selector", expected: "number, duration, step(), range(), or \"]\"" };
const BEHIND_STEP: Context = Context { form: "subquery selector", expected: "\"]\"" };
const OFFSET: Context = Context { form: "offset", expected: "number, duration, step(), or range()" };
const AT: Context = Context { form: "@", expected: "timestamp" };

/// A tree and its height.
pub(super) struct Grown {
    pub(super) expr: Expr,
    pub(super) height: usize,
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) features: &'a Features,
    lexer: Lexer<'a>,
    ahead: Option<Token>,
    /// Behind the last token taken.
    last_end: usize,
    pub(super) contexts: Vec<Context>,
    nesting: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, features: &'a Features) -> Self {
        Parser { text, features, lexer: Lexer::new(text), ahead: None, last_end: 0, contexts: Vec::new(), nesting: 0 }
    }

    /// A whole query.
    pub(super) fn query(&mut self) -> Parsing<Expr> {
        self.check_length()?;
        if self.peek()?.kind == Kind::End {
            return self.fail(Position::default(), "no expression found in input");
        }
        let grown = self.expression(0)?;
        self.expect(Kind::End)?;
        Ok(grown.expr)
    }

    /// A selector and nothing else.
    pub(super) fn lone_selector(&mut self) -> Parsing<Expr> {
        self.check_length()?;
        let token = self.peek()?;
        let expr = if token.kind == Kind::LeftBrace {
            self.selector(None)?
        } else if is_metric_name(token.kind) {
            self.take();
            self.selector(Some(token))?
        } else {
            return self.unexpected();
        };
        self.expect(Kind::End)?;
        Ok(expr)
    }

    fn check_length(&self) -> Parsing<()> {
        if self.text.len() > QUERY_BYTES_MAX {
            return self.fail(Position::default(), &format!("query is longer than {QUERY_BYTES_MAX} bytes"));
        }
        Ok(())
    }

    // Tokens.

    /// The next token, not taken yet.
    pub(super) fn peek(&mut self) -> Parsing<Token> {
        if let Some(token) = self.ahead {
            return Ok(token);
        }
        let token = self.lexer.next().map_err(|error| {
            let position = Position { start: error.start, end: self.text.len() };
            ParseError::new(self.text, position, error.message)
        })?;
        Ok(*self.ahead.insert(token))
    }

    /// Takes the token that was peeked at.
    pub(super) fn take(&mut self) {
        if let Some(token) = self.ahead.take() {
            self.last_end = token.position.end;
        }
    }

    /// Behind the last token taken.
    pub(super) fn last_end(&self) -> usize {
        self.last_end
    }

    /// Takes the next token if it is of this kind.
    pub(super) fn accept(&mut self, kind: Kind) -> Parsing<Option<Token>> {
        let token = self.peek()?;
        if token.kind != kind {
            return Ok(None);
        }
        self.take();
        Ok(Some(token))
    }

    /// Takes the next token, which must be of this kind.
    pub(super) fn expect(&mut self, kind: Kind) -> Parsing<Token> {
        match self.accept(kind)? {
            Some(token) => Ok(token),
            None => self.unexpected(),
        }
    }

    // Errors.

    pub(super) fn fail<T>(&self, position: Position, message: &str) -> Parsing<T> {
        Err(ParseError::new(self.text, position, message.to_owned()))
    }

    /// The next token does not belong here; said in the words of the innermost form that has some.
    pub(super) fn unexpected<T>(&mut self) -> Parsing<T> {
        let context = self.contexts.last().copied().unwrap_or(Context { form: "", expected: "" });
        self.unexpected_in(context)
    }

    pub(super) fn unexpected_in<T>(&mut self, context: Context) -> Parsing<T> {
        let token = self.peek()?;
        let mut message = format!("unexpected {}", token.describe(self.text));
        if !context.form.is_empty() {
            message.push_str(" in ");
            message.push_str(context.form);
        }
        if !context.expected.is_empty() {
            message.push_str(", expected ");
            message.push_str(context.expected);
        }
        self.fail(token.position, &message)
    }

    pub(super) fn within<T>(&mut self, context: Context, parse: impl FnOnce(&mut Self) -> Parsing<T>) -> Parsing<T> {
        self.contexts.push(context);
        let parsed = parse(self);
        self.contexts.pop();
        parsed
    }

    /// Goes one level deeper; [`Parser::leave`] comes back. After an error nobody needs to come back.
    pub(super) fn enter(&mut self) -> Parsing<()> {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            let position = self.peek()?.position;
            return self.fail(position, &format!("expression is nested more than {NESTING_MAX} levels deep"));
        }
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.nesting -= 1;
    }

    /// A node above trees of this height.
    pub(super) fn grow(&self, position: Position, kind: ExprKind, height: usize) -> Parsing<Grown> {
        if height >= HEIGHT_MAX {
            return self.fail(position, &format!("expression has more than {HEIGHT_MAX} levels of operators"));
        }
        Ok(Grown { expr: Expr { position, kind }, height: height + 1 })
    }

    // Operators.

    /// An operand and the operators behind it that bind at least as tightly as `least`.
    pub(super) fn expression(&mut self, least: u8) -> Parsing<Grown> {
        self.enter()?;
        let mut left = self.unary()?;
        while let Kind::Operator(op) = self.peek()?.kind {
            if precedence(op) < least {
                break;
            }
            self.take();
            let (return_bool, matching) = self.binary_modifiers()?;
            let right = self.expression(precedence(op) + u8::from(op != BinaryOp::Pow))?;
            let height = left.height.max(right.height);
            let position = Position { start: left.expr.position.start, end: right.expr.position.end };
            let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
            if fills && !self.features.fill_modifiers {
                return self.fail(position, "binop fill modifiers are experimental and not enabled");
            }
            let (left_expr, right_expr) = (left.expr, right.expr);
            let binary = Binary { op, left: left_expr, right: right_expr, return_bool, matching: Some(matching) };
            left = self.grow(position, ExprKind::Binary(Box::new(binary)), height)?;
        }
        self.leave();
        Ok(left)
    }

    fn unary(&mut self) -> Parsing<Grown> {
        let token = self.peek()?;
        let Kind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) = token.kind else {
            let operand = self.operand()?;
            return self.modified(operand);
        };
        self.take();
        let mut grown = self.expression(precedence(BinaryOp::Pow))?;
        let negative = op == BinaryOp::Sub;
        if let ExprKind::Number { value, .. } = &mut grown.expr.kind {
            // A sign is part of the number behind it.
            *value = if negative { -*value } else { *value };
            grown.expr.position.start = token.position.start;
            return Ok(grown);
        }
        let position = Position { start: token.position.start, end: grown.expr.position.end };
        self.grow(position, ExprKind::Unary { negative, expr: Box::new(grown.expr) }, grown.height)
    }

    /// `bool`, `on (...) group_left (...)`, `fill (...)`.
    fn binary_modifiers(&mut self) -> Parsing<(bool, Matching)> {
        let return_bool = self.accept(Kind::Keyword(Keyword::Bool))?.is_some();
        let mut matching = Matching::default();
        if let Kind::Keyword(word @ (Keyword::On | Keyword::Ignoring)) = self.peek()?.kind {
            self.take();
            matching.on = word == Keyword::On;
            matching.labels = self.grouping()?;
            if let Kind::Keyword(side @ (Keyword::GroupLeft | Keyword::GroupRight)) = self.peek()?.kind {
                self.take();
                matching.cardinality =
                    if side == Keyword::GroupLeft { Cardinality::ManyToOne } else { Cardinality::OneToMany };
                if self.peek()?.kind == Kind::LeftParen {
                    matching.include = self.grouping()?;
                }
            }
        }
        if self.accept(Kind::Keyword(Keyword::Fill))?.is_some() {
            let value = self.fill_value()?;
            (matching.fill_left, matching.fill_right) = (Some(value), Some(value));
            return Ok((return_bool, matching));
        }
        while let Kind::Keyword(side @ (Keyword::FillLeft | Keyword::FillRight)) = self.peek()?.kind {
            let fill = if side == Keyword::FillLeft { &mut matching.fill_left } else { &mut matching.fill_right };
            if fill.is_some() {
                break;
            }
            self.take();
            let value = Some(self.fill_value()?);
            match side {
                Keyword::FillLeft => matching.fill_left = value,
                _ => matching.fill_right = value,
            }
        }
        Ok((return_bool, matching))
    }

    fn fill_value(&mut self) -> Parsing<f64> {
        self.expect(Kind::LeftParen)?;
        let value = self.signed_number()?;
        self.expect(Kind::RightParen)?;
        Ok(value)
    }

    /// `5`, `-5m`: a number or duration with at most one sign.
    fn signed_number(&mut self) -> Parsing<f64> {
        let mut negative = false;
        if let Kind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) = self.peek()?.kind {
            self.take();
            negative = op == BinaryOp::Sub;
        }
        let token = self.peek()?;
        if !matches!(token.kind, Kind::Number | Kind::Duration) {
            return self.unexpected();
        }
        self.take();
        let (value, _) = self.number_or_duration(token)?;
        Ok(if negative { -value } else { value })
    }

    /// What a number or duration token is worth, and whether it is a duration.
    pub(super) fn number_or_duration(&self, token: Token) -> Parsing<(f64, bool)> {
        let duration = token.kind == Kind::Duration;
        let text = token.text(self.text);
        let value = if duration { number::duration(text) } else { number::number(text) };
        match value {
            Ok(value) => Ok((value, duration)),
            Err(message) => self.fail(token.position, &message),
        }
    }

    // What stands behind an operand and binds tighter than any operator.

    fn modified(&mut self, operand: Grown) -> Parsing<Grown> {
        let mut grown = operand;
        loop {
            match self.peek()?.kind {
                Kind::LeftBracket => grown = self.bracket(grown)?,
                Kind::Keyword(Keyword::Offset) => self.offset(&mut grown.expr)?,
                Kind::At => self.at(&mut grown.expr)?,
                Kind::Keyword(Keyword::Anchored) => self.extension(&mut grown.expr, Extension::Anchored)?,
                Kind::Keyword(Keyword::Smoothed) => self.extension(&mut grown.expr, Extension::Smoothed)?,
                _ => return Ok(grown),
            }
        }
    }

    /// `[5m]` or `[5m:1m]`
    fn bracket(&mut self, operand: Grown) -> Parsing<Grown> {
        let open = self.expect(Kind::LeftBracket)?;
        let length = self.within(BRACKET, Self::positive_duration)?;
        let Grown { expr, height } = operand;
        let start = expr.position.start;
        if self.accept(Kind::Colon)?.is_some() {
            let mut step = None;
            if self.peek()?.kind != Kind::RightBracket {
                step = Some(self.within(STEP, Self::positive_duration)?);
            }
            let close = self.within(BEHIND_STEP, |parser| parser.expect(Kind::RightBracket))?;
            let subquery = Subquery { expr, range: length, step, shift: Shift::default() };
            let position = Position { start, end: close.position.end };
            return self.grow(position, ExprKind::Subquery(Box::new(subquery)), height);
        }
        let close = self.within(BEHIND_RANGE, |parser| parser.expect(Kind::RightBracket))?;
        let problem = match &expr.kind {
            // Prometheus lets a computed offset and `@ start()` pass here.
            ExprKind::Selector(Selector { shift: Shift { offset: Some(DurationExpr::Literal(_)), .. }, .. }) => {
                Some("no offset modifiers allowed before range")
            }
            ExprKind::Selector(Selector { shift: Shift { at: Some(AtModifier::Time(_)), .. }, .. }) => {
                Some("no @ modifiers allowed before range")
            }
            ExprKind::Selector(_) => None,
            _ => Some("ranges only allowed for vector selectors"),
        };
        if let Some(problem) = problem {
            return self.fail(Position { start: open.position.start, end: close.position.end }, problem);
        }
        let position = Position { start, end: close.position.end };
        self.grow(position, ExprKind::Range { selector: Box::new(expr), length }, height)
    }

    fn offset(&mut self, expr: &mut Expr) -> Parsing<()> {
        self.take();
        let offset = self.within(OFFSET, |parser| {
            let offset = parser.offset_duration()?;
            Ok((offset, parser.last_end()))
        });
        let (offset, end) = offset?;
        let position = expr.position;
        let Some(shift) = shift_of(expr) else {
            return self.fail(
                position,
                "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
            );
        };
        if shift.offset.is_some() {
            return self.fail(position, "offset may not be set multiple times");
        }
        shift.offset = Some(offset).filter(|offset| *offset != DurationExpr::Literal(Span::ZERO));
        expr.position.end = end;
        Ok(())
    }

    fn at(&mut self, expr: &mut Expr) -> Parsing<()> {
        self.take();
        let at = self.within(AT, |parser| {
            let token = parser.peek()?;
            let fixed = match token.kind {
                Kind::Keyword(Keyword::Start) => AtModifier::Start,
                Kind::Keyword(Keyword::End) => AtModifier::End,
                _ => return Ok(Err(parser.signed_number()?)),
            };
            parser.take();
            parser.expect(Kind::LeftParen)?;
            parser.expect(Kind::RightParen)?;
            Ok(Ok(fixed))
        })?;
        let end = self.last_end();
        let position = expr.position;
        let at = match at {
            Ok(fixed) => fixed,
            Err(seconds) => {
                let bound = 2.0_f64.powi(63);
                if !(seconds > -bound && seconds < bound) {
                    let shown = match seconds {
                        _ if seconds.is_finite() => format!("{seconds:.6}"),
                        _ => format_float(seconds),
                    };
                    return self.fail(position, &format!("timestamp out of bounds for @ modifier: {shown}"));
                }
                AtModifier::Time(Timestamp::from_millis((seconds * 1000.0).round() as i64))
            }
        };
        let Some(shift) = shift_of(expr) else {
            return self.fail(
                position,
                "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
            );
        };
        if shift.at.is_some() {
            return self.fail(position, "@ <timestamp> may not be set multiple times");
        }
        shift.at = Some(at);
        expr.position.end = end;
        Ok(())
    }

    fn extension(&mut self, expr: &mut Expr, extension: Extension) -> Parsing<()> {
        self.take();
        let word = extension.as_str();
        let position = expr.position;
        if !self.features.extended_range_selectors {
            return self.fail(position, &format!("{word} modifier is experimental and not enabled"));
        }
        let selector = match &mut expr.kind {
            ExprKind::Selector(selector) => selector,
            ExprKind::Range { selector, .. } => match &mut selector.kind {
                ExprKind::Selector(selector) => selector,
                _ => return Ok(()),
            },
            ExprKind::Subquery(_) => {
                return self.fail(position, &format!("{word} modifier is not supported for subqueries"));
            }
            _ => return self.fail(position, &format!("{word} modifier not implemented")),
        };
        if selector.extension.is_some_and(|other| other != extension) {
            return self.fail(position, "anchored and smoothed modifiers cannot be used together");
        }
        selector.extension = Some(extension);
        Ok(())
    }
}

/// The `offset` and `@` of an expression that can have them.
fn shift_of(expr: &mut Expr) -> Option<&mut Shift> {
    match &mut expr.kind {
        ExprKind::Selector(selector) => Some(&mut selector.shift),
        ExprKind::Range { selector, .. } => shift_of(selector),
        ExprKind::Subquery(subquery) => Some(&mut subquery.shift),
        _ => None,
    }
}

/// How tightly an operator binds: higher is tighter. All but `^` bind to the left.
pub(super) fn precedence(op: BinaryOp) -> u8 {
    use BinaryOp::*;
    match op {
        Or => 1,
        And | Unless => 2,
        Equal | NotEqual | Greater | Less | GreaterEqual | LessEqual | TrimUpper | TrimLower => 3,
        Add | Sub => 4,
        Mul | Div | Mod | Atan2 => 5,
        Pow => 6,
    }
}

/// Whether a token can be a metric's name: many reserved words can.
pub(super) fn is_metric_name(kind: Kind) -> bool {
    match kind {
        Kind::Identifier | Kind::MetricIdentifier | Kind::Aggregate(_) => true,
        Kind::Operator(op) => op.is_set(),
        Kind::Keyword(word) => {
            use Keyword::{Bool, GroupLeft, GroupRight, Ignoring, On};
            !matches!(word, Bool | GroupLeft | GroupRight | Ignoring | On)
        }
        _ => false,
    }
}
