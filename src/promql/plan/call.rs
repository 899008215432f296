//! Calls of functions in a plan: which of them are work at each step, over ranges, or no work at all.

use std::collections::VecDeque;

use crate::model::{Labels, METRIC_NAME, MatcherTest, StepGrid};
use crate::promql::QueryError;
use crate::promql::ast::{BinaryOp, Call, Expr, ExprKind, Extension, Position, ValueType};
use crate::promql::functions::{self, Function, label};

use super::lower::{Lowered, Lowering, part, refuse, settle, unwrap_parens};
use super::{Info, Kind, Node, Range, Reading, Rollup, Shift, SortOrder};

impl Lowering {
    /// A call: of a function that is known here, over a range, or of what its arguments give.
    pub(super) fn call(
        &mut self,
        position: Position,
        call: &Call,
        grid: Option<StepGrid>,
    ) -> Result<Lowered, QueryError> {
        let Some(function) = functions::find(call.function) else {
            return refuse(format!("unknown function with name {:?}", call.function));
        };
        let arguments: Vec<&Expr> = call.arguments.iter().map(unwrap_parens).collect();
        let text = |index: usize| match arguments.get(index).map(|argument| &argument.kind) {
            Some(ExprKind::String(text)) => text.clone(),
            _ => String::new(),
        };
        let number = |value: f64| {
            Ok(Lowered { node: Node { position, kind: Kind::Number(value) }, invariant: true, worthwhile: false })
        };
        match function {
            Function::Start => return number(self.times.grid.start().as_seconds()),
            Function::End => return number(self.times.grid.end().as_seconds()),
            Function::Step => return number(self.around().step.as_seconds()),
            Function::Range => return number(self.around().range.as_seconds()),
            Function::Pi => return number(std::f64::consts::PI),
            Function::Rollup(function) => return self.rollup(position, call, function, &arguments, grid),
            Function::AbsentOverTime => {
                let of = self.range(arguments[0], grid)?;
                refuse_extension(&of, call.function)?;
                let invariant = of.shift.at.is_some();
                let kind = Kind::AbsentOverTime { of, labels: labels_of_absent(arguments[0]) };
                return Ok(Lowered { node: Node { position, kind }, invariant, worthwhile: true });
            }
            Function::Timestamp | Function::StartTimestamp => {
                let reading = if function.is_start_timestamp() { Reading::StartTimestamp } else { Reading::Timestamp };
                if let ExprKind::Selector(selector) = &arguments[0].kind {
                    let kind = Kind::Select(self.select(selector, grid, reading)?);
                    return Ok(Lowered { node: Node { position, kind }, invariant: false, worthwhile: false });
                }
            }
            _ => {}
        }

        let mut lowered = Vec::with_capacity(arguments.len());
        for (index, argument) in arguments.iter().enumerate() {
            // The second argument of info is a set of conditions rather than a selection.
            if !(matches!(function, Function::Info) && index == 1) {
                lowered.push(self.expr(argument, grid)?);
            }
        }
        let invariant = !function.depends_on_step() && lowered.iter().all(|argument| argument.invariant);
        let mut nodes: VecDeque<Box<Node>> =
            lowered.into_iter().map(|argument| Box::new(part(argument, invariant, grid))).collect();
        let mut next = || nodes.pop_front().expect("the parser has checked the number of arguments");
        let kind = match function {
            Function::Time => Kind::Time,
            Function::Scalar => Kind::ScalarOf(next()),
            Function::Vector => Kind::VectorOf(next()),
            Function::MinOf | Function::MaxOf => {
                let largest = matches!(function, Function::MaxOf);
                let (left, right) = (next(), next());
                Kind::ScalarExtreme { largest, left, right }
            }
            Function::Math(function) => Kind::Math { function, of: next() },
            Function::Round => Kind::Round { of: next(), to_nearest: nodes.pop_front() },
            Function::Clamp => {
                let (of, min, max) = (next(), next(), next());
                Kind::Clamp { of, min: Some(min), max: Some(max) }
            }
            Function::ClampMin => {
                let (of, min) = (next(), next());
                Kind::Clamp { of, min: Some(min), max: None }
            }
            Function::ClampMax => {
                let (of, max) = (next(), next());
                Kind::Clamp { of, min: None, max: Some(max) }
            }
            Function::Date(part) => Kind::Date { part, of: nodes.pop_front() },
            Function::Timestamp => Kind::StepTime(next()),
            // Only selectors know when a series started.
            Function::StartTimestamp => Kind::StepTime(Box::new(nothing(position))),
            Function::Absent => Kind::Absent { of: next(), labels: labels_of_absent(arguments[0]) },
            Function::Sort { descending } => Kind::Sort { of: next(), order: SortOrder::ByValue { descending } },
            Function::SortByLabel { descending } => {
                let names = (1..arguments.len()).map(text).collect();
                Kind::Sort { of: next(), order: SortOrder::ByLabels { names, descending } }
            }
            Function::LabelReplace => {
                let replace = label::Replace::new(&text(1), &text(2), &text(3), &text(4))?;
                Kind::LabelReplace { of: next(), replace: Box::new(replace) }
            }
            Function::LabelJoin => {
                let join = label::Join::new(&text(1), &text(2), (3..arguments.len()).map(text).collect())?;
                Kind::LabelJoin { of: next(), join }
            }
            Function::Info => {
                let matchers = match arguments.get(1).map(|argument| &argument.kind) {
                    Some(ExprKind::Selector(selector)) => Some(selector.matchers.clone()),
                    _ => None,
                };
                let shift = self.first_shift(arguments[0])?.unwrap_or_default();
                Kind::Info { of: next(), info: Info { matchers, shift } }
            }
            Function::HistogramNumber(number) => Kind::HistogramNumber { number, of: next() },
            Function::HistogramQuantile => {
                let (quantile, of) = (next(), next());
                Kind::HistogramQuantile { quantile, of }
            }
            Function::HistogramQuantiles => {
                let of = next();
                let _label = next();
                let quantiles = nodes.into_iter().map(|node| *node).collect();
                let label = text(1);
                // Prometheus makes a label without a name of it, which no label set can hold.
                if label.is_empty() {
                    return refuse("invalid label name \"\" in histogram_quantiles");
                }
                Kind::HistogramQuantiles { of, label, quantiles }
            }
            Function::HistogramFraction => {
                let (lower, upper, of) = (next(), next(), next());
                Kind::HistogramFraction { lower, upper, of }
            }
            Function::Start
            | Function::End
            | Function::Step
            | Function::Range
            | Function::Pi
            | Function::Rollup(_)
            | Function::AbsentOverTime => unreachable!("these are lowered above"),
        };
        Ok(Lowered { node: Node { position, kind }, invariant, worthwhile: true })
    }

    fn rollup(
        &mut self,
        position: Position,
        call: &Call,
        function: functions::range::RangeFunction,
        arguments: &[&Expr],
        grid: Option<StepGrid>,
    ) -> Result<Lowered, QueryError> {
        let is_range = |argument: &&Expr| argument.value_type() == ValueType::Matrix;
        let Some(place) = arguments.iter().position(is_range) else {
            return refuse(format!("expected a range vector in call to function {:?}", call.function));
        };
        let range = self.range(arguments[place], grid)?;
        refuse_extension(&range, call.function)?;
        let mut parameters = Vec::new();
        let mut invariant = range.shift.at.is_some() && !function.depends_on_step();
        for (index, argument) in arguments.iter().enumerate() {
            if index != place {
                let lowered = self.expr(argument, grid)?;
                invariant &= lowered.invariant;
                parameters.push(settle(lowered, grid));
            }
        }
        let first_argument = arguments[0].position;
        let kind = Kind::Rollup(Rollup { function, range, parameters, first_argument });
        Ok(Lowered { node: Node { position, kind }, invariant, worthwhile: true })
    }

    /// Where the first selector below `expr` looks in time, seen through the subqueries around it.
    fn first_shift(&self, expr: &Expr) -> Result<Option<Shift>, QueryError> {
        match &expr.kind {
            ExprKind::Number { .. } | ExprKind::String(_) => Ok(None),
            ExprKind::Selector(selector) => self.shift(&selector.shift).map(Some),
            ExprKind::Range { selector: inner, .. } | ExprKind::Paren(inner) | ExprKind::Unary { expr: inner, .. } => {
                self.first_shift(inner)
            }
            ExprKind::Subquery(subquery) => {
                let outer = self.shift(&subquery.shift)?;
                Ok(self.first_shift(&subquery.expr)?.map(|inner| match inner.at {
                    Some(_) => inner,
                    None => Shift { at: outer.at, offset: outer.offset + inner.offset },
                }))
            }
            ExprKind::Binary(binary) => match self.first_shift(&binary.left)? {
                Some(shift) => Ok(Some(shift)),
                None => self.first_shift(&binary.right),
            },
            ExprKind::Aggregate(aggregate) => self.first_shift(&aggregate.expr),
            ExprKind::Call(call) => {
                for argument in &call.arguments {
                    if let Some(shift) = self.first_shift(argument)? {
                        return Ok(Some(shift));
                    }
                }
                Ok(None)
            }
        }
    }
}

/// A vector without elements.
fn nothing(position: Position) -> Node {
    let never = Node { position, kind: Kind::Number(f64::NAN) };
    Node {
        position,
        kind: Kind::Broadcast {
            op: BinaryOp::Equal,
            vector: Box::new(Node { position, kind: Kind::VectorOf(Box::new(never)) }),
            scalar: Box::new(Node { position, kind: Kind::Number(f64::NAN) }),
            scalar_left: false,
            return_bool: false,
        },
    }
}

fn refuse_extension(range: &Range, function: &str) -> Result<(), QueryError> {
    const SMOOTHED: [&str; 3] = ["delta", "increase", "rate"];
    const ANCHORED: [&str; 5] = ["changes", "delta", "increase", "rate", "resets"];
    let (word, allowed): (_, &[&str]) = match range.extension {
        None => return Ok(()),
        Some(Extension::Anchored) => ("anchored", &ANCHORED),
        Some(Extension::Smoothed) => ("smoothed", &SMOOTHED),
    };
    match allowed.contains(&function) {
        true => Ok(()),
        false => refuse(format!("{word} modifier can only be used with: {} - not with {function}", allowed.join(", "))),
    }
}

/// The labels that an element stands for which is not there: those asked for by exactly one equality.
fn labels_of_absent(expr: &Expr) -> Labels {
    let selector = match &unwrap_parens(expr).kind {
        ExprKind::Selector(selector) => selector,
        ExprKind::Range { selector, .. } => match &selector.kind {
            ExprKind::Selector(selector) => selector,
            _ => return Labels::empty(),
        },
        _ => return Labels::empty(),
    };
    // As ever in Prometheus: a second condition on a label takes it away, a later one may bring it back.
    let mut labels: Vec<(&str, &str)> = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for matcher in selector.matchers.iter().filter(|matcher| matcher.name != METRIC_NAME) {
        let name = matcher.name.as_str();
        match &matcher.test {
            MatcherTest::Equal(value) if !seen.contains(&name) => {
                seen.push(name);
                labels.push((name, value));
            }
            _ => labels.retain(|(known, _)| *known != name),
        }
    }
    Labels::from_pairs(labels)
}
