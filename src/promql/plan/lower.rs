//! From a parsed query to a plan.

use crate::model::{Matcher, Span, StepGrid, TimeRange, Timestamp};
use crate::promql::QueryError;
use crate::promql::ast::{self, AtModifier, Expr, ExprKind, Extension, Position, Selector, ValueType};
use crate::promql::functions;

use crate::promql::exec::meter::TOO_MANY_SAMPLES;

use super::duration::{self, Surroundings};
use super::{Aggregate, Fetch, Kind, Node, Plan, Range, Reading, Select, Shift, Source};

/// The times a plan is made for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// The points of evaluation.
    pub(crate) grid: StepGrid,
    /// Whether the query is an instant query: then `step()` is 0.
    pub(crate) instant: bool,
    /// How far an instant selector looks back.
    pub(crate) lookback: Span,
    /// The resolution of subqueries that name none.
    pub(crate) subquery_step: Span,
    /// How many points a grid may have, that of a subquery too.
    pub(crate) steps_max: usize,
}

/// Turns a parsed query into work over `times`.
///
/// # Errors
/// What cannot be evaluated whatever the data: a bad duration, modifier, label name or regular expression.
pub(crate) fn lower(expr: &Expr, times: Times) -> Result<Plan, QueryError> {
    let mut lowering = Lowering { times, fetches: Vec::new() };
    lowering.check_size(Some(times.grid))?;
    let lowered = lowering.expr(expr, Some(times.grid))?;
    let root = settle(lowered, Some(times.grid));
    let mut plan = Plan { root, value_type: expr.value_type(), fetches: lowering.fetches };
    plan.project();
    Ok(plan)
}

/// A node and whether it is the same at each step.
pub(super) struct Lowered {
    pub(super) node: Node,
    /// It does not depend on the step.
    pub(super) invariant: bool,
    /// Evaluating it once saves work.
    pub(super) worthwhile: bool,
}

pub(super) struct Lowering {
    pub(super) times: Times,
    pub(super) fetches: Vec<Fetch>,
}

pub(super) fn refuse<T>(why: impl Into<String>) -> Result<T, QueryError> {
    Err(QueryError::Execution(why.into()))
}

pub(super) fn unwrap_parens(mut expr: &Expr) -> &Expr {
    while let ExprKind::Paren(inner) = &expr.kind {
        expr = inner;
    }
    expr
}

/// The node to evaluate over `grid`: once, where it is the same at each step and that saves work.
pub(super) fn settle(lowered: Lowered, grid: Option<StepGrid>) -> Node {
    let Lowered { node, invariant, worthwhile } = lowered;
    match invariant && worthwhile && grid.is_some_and(|grid| grid.len() > 1) {
        true => Node { position: node.position, kind: Kind::Invariant(Box::new(node)) },
        false => node,
    }
}

/// The node of a part: settled by itself, unless the whole is `invariant` and is settled as one.
pub(super) fn part(lowered: Lowered, invariant: bool, grid: Option<StepGrid>) -> Node {
    if invariant { lowered.node } else { settle(lowered, grid) }
}

impl Lowering {
    pub(super) fn around(&self) -> Surroundings {
        let grid = self.times.grid;
        Surroundings {
            step: if self.times.instant { Span::ZERO } else { grid.step() },
            range: grid.end() - grid.start(),
        }
    }

    /// A row has room for each point of its grid, so that a grid alone can be too much.
    fn check_size(&self, grid: Option<StepGrid>) -> Result<(), QueryError> {
        match grid.is_some_and(|grid| grid.len() > self.times.steps_max) {
            true => refuse(TOO_MANY_SAMPLES),
            false => Ok(()),
        }
    }

    pub(super) fn expr(&mut self, expr: &Expr, grid: Option<StepGrid>) -> Result<Lowered, QueryError> {
        let position = expr.position;
        let constant = |kind| Lowered { node: Node { position, kind }, invariant: true, worthwhile: false };
        match &expr.kind {
            ExprKind::Number { value, .. } => Ok(constant(Kind::Number(*value))),
            ExprKind::String(text) => Ok(constant(Kind::Text(text.clone()))),
            ExprKind::Paren(inner) => self.expr(inner, grid),
            ExprKind::Unary { negative: false, expr } => self.expr(expr, grid),
            ExprKind::Unary { negative: true, expr: inner } => {
                let scalar = inner.value_type() == ValueType::Scalar;
                let Lowered { node, invariant, worthwhile } = self.expr(inner, grid)?;
                let kind = match (node.kind, scalar) {
                    (Kind::Number(value), _) => Kind::Number(-value),
                    (kind, true) => Kind::ScalarNegate(Box::new(Node { position: node.position, kind })),
                    (kind, false) => Kind::Negate(Box::new(Node { position: node.position, kind })),
                };
                Ok(Lowered { node: Node { position, kind }, invariant, worthwhile })
            }
            ExprKind::Selector(selector) => {
                let select = self.select(selector, grid, Reading::Value)?;
                let invariant = select.shift.at.is_some();
                Ok(Lowered { node: Node { position, kind: Kind::Select(select) }, invariant, worthwhile: true })
            }
            ExprKind::Range { .. } | ExprKind::Subquery(_) => {
                let range = self.range(expr, grid)?;
                let invariant = range.shift.at.is_some();
                Ok(Lowered { node: Node { position, kind: Kind::Samples(range) }, invariant, worthwhile: false })
            }
            ExprKind::Binary(binary) => self.binary(position, binary, grid),
            ExprKind::Aggregate(aggregate) => self.aggregate(position, aggregate, grid),
            ExprKind::Call(call) => self.call(position, call, grid),
        }
    }

    pub(super) fn shift(&self, shift: &ast::Shift) -> Result<Shift, QueryError> {
        let at = shift.at.map(|at| match at {
            AtModifier::Time(at) => at,
            AtModifier::Start => self.times.grid.start(),
            AtModifier::End => self.times.grid.end(),
        });
        let offset = match &shift.offset {
            Some(offset) => duration::evaluate(offset, true, self.around())?,
            None => Span::ZERO,
        };
        Ok(Shift { at, offset })
    }

    /// A fetch of all that is seen from the points of `grid` through `shift`: from `back` before the first (exclusive)
    /// to `ahead` behind the last.
    fn fetch(&mut self, matchers: &[Matcher], grid: Option<StepGrid>, shift: Shift, back: Span, ahead: Span) -> usize {
        let range = grid.and_then(|grid| {
            let start = shift.apply(grid.start()) - back + Span::from_millis(1);
            TimeRange::new(start, shift.apply(grid.end()) + ahead)
        });
        let fetch = Fetch { matchers: matchers.to_vec(), range, labels: None };
        if let Some(known) = self.fetches.iter().position(|known| *known == fetch) {
            return known;
        }
        self.fetches.push(fetch);
        self.fetches.len() - 1
    }

    pub(super) fn select(
        &mut self,
        selector: &Selector,
        grid: Option<StepGrid>,
        reading: Reading,
    ) -> Result<Select, QueryError> {
        let shift = self.shift(&selector.shift)?;
        let smoothed = selector.extension == Some(Extension::Smoothed) && reading == Reading::Value;
        let lookback = self.times.lookback;
        let ahead = if smoothed { lookback } else { Span::ZERO };
        let fetch = self.fetch(&selector.matchers, grid, shift, lookback, ahead);
        Ok(Select { fetch, shift, reading, smoothed })
    }

    pub(super) fn range(&mut self, expr: &Expr, grid: Option<StepGrid>) -> Result<Range, QueryError> {
        let position = expr.position;
        match &expr.kind {
            ExprKind::Range { selector, length } => {
                let ExprKind::Selector(selector) = &unwrap_parens(selector).kind else {
                    return refuse("ranges only allowed for vector selectors");
                };
                let length = duration::evaluate(length, false, self.around())?;
                let shift = self.shift(&selector.shift)?;
                let lookback = self.times.lookback;
                let (back, ahead) = match selector.extension {
                    None => (length, Span::ZERO),
                    Some(Extension::Anchored) => (length + lookback, Span::ZERO),
                    Some(Extension::Smoothed) => (length + lookback, lookback),
                };
                let source = Source::Fetched(self.fetch(&selector.matchers, grid, shift, back, ahead));
                Ok(Range { position, source, shift, length, extension: selector.extension })
            }
            ExprKind::Subquery(subquery) => {
                let length = duration::evaluate(&subquery.range, false, self.around())?;
                let step = match &subquery.step {
                    Some(step) => duration::evaluate(step, false, self.around())?,
                    None => Span::ZERO,
                };
                let step = if step == Span::ZERO { self.times.subquery_step } else { step };
                let shift = self.shift(&subquery.shift)?;
                let inner_grid = grid.and_then(|grid| {
                    // The first multiple of the step inside the first window, up to the end of the last.
                    let open = shift.apply(grid.start()) - length;
                    let first = (open.as_millis().div_euclid(step.as_millis()) + 1) * step.as_millis();
                    StepGrid::new(Timestamp::from_millis(first), shift.apply(grid.end()), step)
                });
                self.check_size(inner_grid)?;
                let lowered = self.expr(&subquery.expr, inner_grid)?;
                let inner = Box::new(settle(lowered, inner_grid));
                let source = Source::Subquery { inner, grid: inner_grid };
                Ok(Range { position, source, shift, length, extension: None })
            }
            _ => refuse("expected a range vector"),
        }
    }

    fn binary(
        &mut self,
        position: Position,
        binary: &ast::Binary,
        grid: Option<StepGrid>,
    ) -> Result<Lowered, QueryError> {
        let types = (binary.left.value_type(), binary.right.value_type());
        let left = self.expr(&binary.left, grid)?;
        let right = self.expr(&binary.right, grid)?;
        let op = binary.op;
        if let (Kind::Number(left), Kind::Number(right)) = (&left.node.kind, &right.node.kind) {
            let value = functions::arithmetic::of_scalars(op, *left, *right);
            let node = Node { position, kind: Kind::Number(value) };
            return Ok(Lowered { node, invariant: true, worthwhile: false });
        }
        let invariant = left.invariant && right.invariant;
        let side = |lowered| Box::new(part(lowered, invariant, grid));
        let (left, right) = (side(left), side(right));
        let return_bool = binary.return_bool;
        let kind = match types {
            (ValueType::Scalar, ValueType::Scalar) => Kind::ScalarBinary { op, left, right },
            (ValueType::Scalar, _) => {
                Kind::Broadcast { op, vector: right, scalar: left, scalar_left: true, return_bool }
            }
            (_, ValueType::Scalar) => {
                Kind::Broadcast { op, vector: left, scalar: right, scalar_left: false, return_bool }
            }
            _ => {
                let matching = binary.matching.clone().unwrap_or_default();
                Kind::Match { op, left, right, return_bool, matching }
            }
        };
        Ok(Lowered { node: Node { position, kind }, invariant, worthwhile: true })
    }

    fn aggregate(
        &mut self,
        position: Position,
        aggregate: &ast::Aggregate,
        grid: Option<StepGrid>,
    ) -> Result<Lowered, QueryError> {
        let of = self.expr(unwrap_parens(&aggregate.expr), grid)?;
        let parameter = match &aggregate.parameter {
            Some(parameter) => Some(self.expr(unwrap_parens(parameter), grid)?),
            None => None,
        };
        let invariant = of.invariant && parameter.as_ref().is_none_or(|parameter| parameter.invariant);
        let part = |lowered| Box::new(part(lowered, invariant, grid));
        let (of, parameter) = (part(of), parameter.map(part));
        let mut grouping = aggregate.grouping.clone();
        grouping.sort();
        grouping.dedup();
        let kind = Kind::Aggregate(Aggregate { op: aggregate.op, of, parameter, grouping, without: aggregate.without });
        Ok(Lowered { node: Node { position, kind }, invariant, worthwhile: true })
    }
}
