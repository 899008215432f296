//! Do the parts of a tree fit: types, argument counts, matching, selectors that select everything.
//!
//! The order of the checks is Prometheus' (`checkAST`), because only the first failure is reported. On the way the
//! vector matching is completed: many-to-many for set operators, none where a side is a scalar.

use super::error::ParseError;
use super::functions::signature;
use super::text::Quoted;
use crate::model::METRIC_NAME;
use crate::promql::ast::{
    Aggregate, AggregateOp, Binary, Call, Cardinality, Expr, ExprKind, Position, Selector, ValueType,
};

type Checked<T> = Result<T, Box<ParseError>>;

/// Checks `expr` and completes its vector matching.
pub(super) fn check(text: &str, expr: &mut Expr) -> Checked<()> {
    Check { text }.expr(expr).map(|_| ())
}

struct Check<'a> {
    text: &'a str,
}

impl Check<'_> {
    fn fail<T>(&self, position: Position, message: String) -> Checked<T> {
        Err(ParseError::new(self.text, position, message))
    }

    fn expr(&self, expr: &mut Expr) -> Checked<ValueType> {
        let position = expr.position;
        match &mut expr.kind {
            ExprKind::Number { .. } => Ok(ValueType::Scalar),
            ExprKind::String(_) => Ok(ValueType::String),
            ExprKind::Selector(selector) => self.selector(position, selector, false),
            ExprKind::Range { selector, .. } => self.expr(selector).map(|_| ValueType::Matrix),
            ExprKind::Paren(expr) => self.expr(expr),
            ExprKind::Subquery(subquery) => match self.expr(&mut subquery.expr)? {
                ValueType::Vector => Ok(ValueType::Matrix),
                other => {
                    let got = other.short_name();
                    self.fail(position, format!("subquery is only allowed on instant vector, got {got} instead"))
                }
            },
            ExprKind::Unary { expr, .. } => match self.expr(expr)? {
                fine @ (ValueType::Scalar | ValueType::Vector) => Ok(fine),
                other => {
                    let allowed = "unary expression only allowed on expressions of type scalar or instant vector";
                    self.fail(position, format!("{allowed}, got {}", Quoted(other.as_str())))
                }
            },
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate),
            ExprKind::Binary(binary) => self.binary(position, binary),
            ExprKind::Call(call) => self.call(position, call),
        }
    }

    fn expect(&self, expr: &mut Expr, wanted: ValueType, place: &str) -> Checked<()> {
        let got = self.expr(expr)?;
        if got == wanted {
            return Ok(());
        }
        let (wanted, got) = (wanted.as_str(), got.as_str());
        self.fail(expr.position, format!("expected type {wanted} in {place}, got {got}"))
    }

    fn aggregate(&self, aggregate: &mut Aggregate) -> Checked<ValueType> {
        self.expect(&mut aggregate.expr, ValueType::Vector, "aggregation expression")?;
        if let Some(parameter) = &mut aggregate.parameter {
            let wanted = match aggregate.op {
                AggregateOp::CountValues => ValueType::String,
                _ => ValueType::Scalar,
            };
            self.expect(parameter, wanted, "aggregation parameter")?;
        }
        Ok(ValueType::Vector)
    }

    fn binary(&self, position: Position, binary: &mut Binary) -> Checked<ValueType> {
        let left = self.expr(&mut binary.left)?;
        let right = self.expr(&mut binary.right)?;
        let op = binary.op;
        let name = Quoted(op.as_str());
        if binary.return_bool && !op.is_comparison() {
            return self.fail(self.operator(binary), "bool modifier can only be used on comparison operators".into());
        }
        if op.is_comparison() && !binary.return_bool && (left, right) == (ValueType::Scalar, ValueType::Scalar) {
            return self.fail(self.operator(binary), "comparisons between scalars must use BOOL modifier".into());
        }
        let mut matching = binary.matching.take().unwrap_or_default();
        if op.is_set() && matching.cardinality == Cardinality::OneToOne {
            matching.cardinality = Cardinality::ManyToMany;
        }
        if let Some(label) = matching.labels.iter().find(|label| matching.on && matching.include.contains(label)) {
            let twice = "must not occur in ON and GROUP clause at once";
            return self.fail(self.operator(binary), format!("label {} {twice}", Quoted(label)));
        }
        for (side, found) in [(&binary.left, left), (&binary.right, right)] {
            if !matches!(found, ValueType::Scalar | ValueType::Vector) {
                let message = "binary expression must contain only scalar and instant vector types";
                return self.fail(side.position, message.into());
            }
        }
        let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
        if (left, right) == (ValueType::Vector, ValueType::Vector) {
            if op.is_set() && matching.cardinality != Cardinality::ManyToMany {
                return self.fail(position, format!("no grouping allowed for {name} operation"));
            }
            if op.is_set() && fills {
                return self.fail(position, "filling in missing series not allowed for set operators".into());
            }
            binary.matching = Some(matching);
            return Ok(ValueType::Vector);
        }
        if !matching.labels.is_empty() {
            return self.fail(position, "vector matching only allowed between instant vectors".into());
        }
        if fills {
            return self.fail(position, "filling in missing series only allowed between instant vectors".into());
        }
        if op.is_set() {
            return self.fail(position, format!("set operator {name} not allowed in binary scalar expression"));
        }
        let scalars = (left, right) == (ValueType::Scalar, ValueType::Scalar);
        Ok(if scalars { ValueType::Scalar } else { ValueType::Vector })
    }

    /// Where the operator and its modifiers stand, without the blanks around.
    fn operator(&self, binary: &Binary) -> Position {
        let bytes = self.text.as_bytes();
        let is_blank = |at: usize| matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r'));
        let mut start = binary.left.position.end;
        while is_blank(start) {
            start += 1;
        }
        Position { start, end: binary.right.position.start.max(start) }
    }

    fn call(&self, position: Position, call: &mut Call) -> Checked<ValueType> {
        let signature = signature(call.function).expect("the parser looked the function up");
        let (name, given) = (Quoted(call.function), call.arguments.len());
        let listed = signature.arguments.len();
        let least = if signature.variadic == 0 { listed } else { listed - 1 };
        let count =
            |how: &str, wanted: usize| format!("expected {how}{wanted} argument(s) in call to {name}, got {given}");
        if signature.variadic == 0 && given != listed {
            return self.fail(position, count("", listed));
        }
        if given < least {
            return self.fail(position, count("at least ", least));
        }
        if let Ok(more @ 1..) = usize::try_from(signature.variadic)
            && given > least + more
        {
            return self.fail(position, count("at most ", least + more));
        }
        if call.function == "info" && given > 1 {
            self.info_labels(position, &call.arguments[1])?;
        }
        for (index, argument) in call.arguments.iter_mut().enumerate() {
            let wanted = signature.arguments[index.min(listed - 1)];
            let argument_position = argument.position;
            let got = match &mut argument.kind {
                // These select labels of info metrics, never series by themselves.
                ExprKind::Selector(selector) if call.function == "info" && index == 1 => {
                    self.selector(argument_position, selector, true)?
                }
                _ => self.expr(argument)?,
            };
            if got != wanted {
                let (wanted, got) = (wanted.as_str(), got.as_str());
                let place = format!("call to function {name}");
                return self.fail(argument_position, format!("expected type {wanted} in {place}, got {got}"));
            }
        }
        Ok(signature.returns)
    }

    fn info_labels(&self, position: Position, labels: &Expr) -> Checked<()> {
        let found = labels.value_type();
        if found != ValueType::Vector {
            let (wanted, got) = (ValueType::Vector.as_str(), found.as_str());
            return self.fail(position, format!("expected type {wanted} in call to function \"info\", got {got}"));
        }
        match &labels.kind {
            ExprKind::Selector(Selector { name: Some(_), .. }) => {
                self.fail(labels.position, "expected label selectors only, got vector selector instead".into())
            }
            ExprKind::Selector(_) => Ok(()),
            _ => self.fail(labels.position, "expected label selectors only".into()),
        }
    }

    fn selector(&self, position: Position, selector: &Selector, may_be_empty: bool) -> Checked<ValueType> {
        if let Some(name) = &selector.name {
            // The last matcher is the name itself.
            let others = &selector.matchers[..selector.matchers.len().saturating_sub(1)];
            if let Some(other) = others.iter().find(|other| other.name == METRIC_NAME) {
                let (name, other) = (Quoted(name), Quoted(other.parts().1));
                return self.fail(position, format!("metric name must not be set twice: {name} or {other}"));
            }
            return Ok(ValueType::Vector);
        }
        if !may_be_empty && selector.matchers.iter().all(|matcher| matcher.matches_absent()) {
            return self.fail(position, "vector selector must contain at least one non-empty matcher".into());
        }
        Ok(ValueType::Vector)
    }
}
