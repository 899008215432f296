//! A second opinion: PromQL over floats as obviously as it can be said. For each step, for each series, look at the
//! samples. No plan, no columns, no sharing; random queries over random data must agree with the engine.
//!
//! What it does not cover, it says so ([`Opinion::NotCovered`]): histograms, experimental syntax, annotations.

use std::collections::BTreeMap;

use crate::model::sample::is_stale;
use crate::model::{Labels, METRIC_NAME, Matcher, Span, StepGrid, Timestamp};
use crate::promql::ast::{
    Aggregate, AggregateOp, AtModifier, Binary, BinaryOp, Call, Cardinality, DurationExpr, Expr, ExprKind, Matching,
    Selector, Shift, Subquery,
};

/// How far back an instant selector looks.
const LOOKBACK: Span = Span::from_millis(5 * 60 * 1000);

/// The step of a subquery that names none.
const SUBQUERY_STEP: Span = Span::MINUTE;

/// Series with their samples in time order.
pub(super) type Data = Vec<(Labels, Vec<(Timestamp, f64)>)>;

/// Why there is no value.
#[derive(Debug, PartialEq)]
pub(super) enum Opinion {
    /// The query must fail.
    Fails,
    /// This evaluator does not know.
    NotCovered,
}

use Opinion::{Fails, NotCovered};

/// A value at one time.
#[derive(Debug, PartialEq)]
pub(super) enum SlowValue {
    Scalar(f64),
    Vector(Vector),
}

pub(super) type Vector = Vec<(Labels, f64)>;

/// A series and its newest sample.
type Latest = (Labels, (Timestamp, f64));

/// A window of samples for each series.
struct Windows {
    series: Vec<(Labels, Vec<(Timestamp, f64)>)>,
    open_start: Timestamp,
    end: Timestamp,
}

/// The data, and the range query that `@ start()` and `@ end()` mean.
pub(super) struct Slow<'a> {
    pub(super) data: &'a Data,
    pub(super) grid: StepGrid,
}

fn span(duration: &DurationExpr) -> Result<Span, Opinion> {
    match duration {
        DurationExpr::Literal(span) => Ok(*span),
        DurationExpr::Computed(_) => Err(NotCovered),
    }
}

fn unnamed(labels: &Labels) -> Labels {
    labels.without(|name| name == METRIC_NAME)
}

/// Sets of labels must stay unique.
fn unique(vector: Vector) -> Result<Vector, Opinion> {
    let mut seen = std::collections::BTreeSet::new();
    vector.iter().all(|(labels, _)| seen.insert(labels)).then_some(()).ok_or(Fails)?;
    Ok(vector)
}

impl Slow<'_> {
    /// The value of `expr` at one time.
    pub(super) fn value(&self, expr: &Expr, at: Timestamp) -> Result<SlowValue, Opinion> {
        Ok(match &expr.kind {
            ExprKind::Number { value, .. } => SlowValue::Scalar(*value),
            ExprKind::Paren(inner) => self.value(inner, at)?,
            ExprKind::Selector(selector) => {
                let latest = self.latest(selector, at)?;
                SlowValue::Vector(latest.into_iter().map(|(labels, (_, value))| (labels, value)).collect())
            }
            ExprKind::Unary { negative, expr } => match self.value(expr, at)? {
                value if !negative => value,
                SlowValue::Scalar(value) => SlowValue::Scalar(-value),
                SlowValue::Vector(vector) => {
                    SlowValue::Vector(unique(vector.iter().map(|(labels, value)| (unnamed(labels), -value)).collect())?)
                }
            },
            ExprKind::Binary(binary) => self.binary(binary, at)?,
            ExprKind::Aggregate(aggregate) => SlowValue::Vector(self.aggregate(aggregate, at)?),
            ExprKind::Call(call) => self.call(call, at)?,
            ExprKind::String(_) | ExprKind::Range { .. } | ExprKind::Subquery(_) => return Err(NotCovered),
        })
    }

    fn scalar(&self, expr: &Expr, at: Timestamp) -> Result<f64, Opinion> {
        match self.value(expr, at)? {
            SlowValue::Scalar(value) => Ok(value),
            SlowValue::Vector(_) => Err(NotCovered),
        }
    }

    fn vector(&self, expr: &Expr, at: Timestamp) -> Result<Vector, Opinion> {
        match self.value(expr, at)? {
            SlowValue::Vector(vector) => Ok(vector),
            SlowValue::Scalar(_) => Err(NotCovered),
        }
    }

    fn shifted(&self, shift: &Shift, at: Timestamp) -> Result<Timestamp, Opinion> {
        let at = match shift.at {
            None => at,
            Some(AtModifier::Time(at)) => at,
            Some(AtModifier::Start) => self.grid.start(),
            Some(AtModifier::End) => self.grid.end(),
        };
        Ok(at - shift.offset.as_ref().map_or(Ok(Span::ZERO), span)?)
    }

    fn matching(&self, selector: &Selector) -> impl Iterator<Item = &(Labels, Vec<(Timestamp, f64)>)> {
        self.data.iter().filter(|(labels, _)| Matcher::all_match(&selector.matchers, labels))
    }

    fn latest(&self, selector: &Selector, at: Timestamp) -> Result<Vec<Latest>, Opinion> {
        if selector.extension.is_some() {
            return Err(NotCovered);
        }
        let at = self.shifted(&selector.shift, at)?;
        let latest = self.matching(selector).filter_map(|(labels, samples)| {
            let last = samples.iter().rfind(|(sample_at, _)| *sample_at <= at)?;
            (last.0 > at - LOOKBACK && !is_stale(last.1)).then(|| (labels.clone(), *last))
        });
        Ok(latest.collect())
    }

    fn windows(&self, expr: &Expr, at: Timestamp) -> Result<Windows, Opinion> {
        match &expr.kind {
            ExprKind::Paren(inner) => self.windows(inner, at),
            ExprKind::Range { selector, length } => {
                let ExprKind::Selector(selector) = &selector.kind else { return Err(NotCovered) };
                if selector.extension.is_some() {
                    return Err(NotCovered);
                }
                let end = self.shifted(&selector.shift, at)?;
                let open_start = end - span(length)?;
                let inside = |(labels, samples): &(Labels, Vec<(Timestamp, f64)>)| {
                    let inside = |(at, value): &&(Timestamp, f64)| *at > open_start && *at <= end && !is_stale(*value);
                    (labels.clone(), samples.iter().filter(inside).copied().collect::<Vec<_>>())
                };
                Ok(Windows { series: self.matching(selector).map(inside).collect(), open_start, end })
            }
            ExprKind::Subquery(subquery) => self.subquery(subquery, at),
            _ => Err(NotCovered),
        }
    }

    fn subquery(&self, subquery: &Subquery, at: Timestamp) -> Result<Windows, Opinion> {
        let end = self.shifted(&subquery.shift, at)?;
        let open_start = end - span(&subquery.range)?;
        let step = subquery.step.as_ref().map_or(Ok(SUBQUERY_STEP), span)?.as_millis();
        // Multiples of the step, the first behind the open start.
        let mut point = (open_start.as_millis().div_euclid(step) + 1) * step;
        let mut series: BTreeMap<Labels, Vec<(Timestamp, f64)>> = BTreeMap::new();
        while point <= end.as_millis() {
            let at = Timestamp::from_millis(point);
            match self.value(&subquery.expr, at)? {
                SlowValue::Scalar(value) => series.entry(Labels::empty()).or_default().push((at, value)),
                SlowValue::Vector(vector) => {
                    vector.into_iter().for_each(|(labels, value)| series.entry(labels).or_default().push((at, value)));
                }
            }
            point += step;
        }
        Ok(Windows { series: series.into_iter().collect(), open_start, end })
    }

    fn binary(&self, binary: &Binary, at: Timestamp) -> Result<SlowValue, Opinion> {
        let Binary { op, left, right, return_bool, matching } = binary;
        let combine = |left: f64, right: f64, kept: f64| {
            let (value, keep) = operate(*op, left, right)?;
            Ok(match (op.is_comparison(), return_bool) {
                (true, true) => Some(f64::from(u8::from(keep))),
                (true, false) => keep.then_some(kept),
                (false, _) => Some(value),
            })
        };
        let drop_name = |labels: &Labels| match op.is_comparison() && !return_bool {
            true => labels.clone(),
            false => unnamed(labels),
        };
        let one_sided = |vector: Vector, value: &dyn Fn(f64) -> Result<Option<f64>, Opinion>| {
            let mut result = Vector::new();
            for (labels, element) in vector {
                result.extend(value(element)?.map(|value| (drop_name(&labels), value)));
            }
            Ok(SlowValue::Vector(unique(result)?))
        };
        match (self.value(left, at)?, self.value(right, at)?) {
            (SlowValue::Scalar(left), SlowValue::Scalar(right)) => {
                combine(left, right, left)?.map(SlowValue::Scalar).ok_or(NotCovered)
            }
            (SlowValue::Vector(left), SlowValue::Scalar(right)) => one_sided(left, &|left| combine(left, right, left)),
            (SlowValue::Scalar(left), SlowValue::Vector(right)) => {
                one_sided(right, &|right| combine(left, right, right))
            }
            (SlowValue::Vector(left), SlowValue::Vector(right)) => {
                let matching = matching.clone().unwrap_or_default();
                if matching.fill_left.is_some() || matching.fill_right.is_some() {
                    return Err(NotCovered);
                }
                let vector = match op.is_set() {
                    true => set_operation(*op, left, right, &matching),
                    false => match_up(left, right, &matching, &combine, &drop_name)?,
                };
                Ok(SlowValue::Vector(unique(vector)?))
            }
        }
    }

    fn aggregate(&self, aggregate: &Aggregate, at: Timestamp) -> Result<Vector, Opinion> {
        let parameter = aggregate.parameter.as_ref().map(|parameter| self.scalar(parameter, at)).transpose()?;
        let mut groups: BTreeMap<Labels, Vec<(Labels, f64)>> = BTreeMap::new();
        for (labels, value) in self.vector(&aggregate.expr, at)? {
            let listed = |name: &str| aggregate.grouping.iter().any(|label| label == name);
            let group = match aggregate.without {
                true => labels.without(|name| listed(name) || name == METRIC_NAME),
                false => labels.without(|name| !listed(name)),
            };
            groups.entry(group).or_default().push((labels, value));
        }
        let mut result = Vector::new();
        for (group, members) in groups {
            let values = members.iter().map(|(_, value)| *value).collect::<Vec<_>>();
            let value = match aggregate.op {
                AggregateOp::Sum => values.iter().sum(),
                AggregateOp::Avg => mean(&values),
                AggregateOp::Min => least(&values),
                AggregateOp::Max => greatest(&values),
                AggregateOp::Group => 1.0,
                AggregateOp::Count => values.len() as f64,
                AggregateOp::Stddev => variance(&values).sqrt(),
                AggregateOp::Stdvar => variance(&values),
                AggregateOp::Quantile => quantile(parameter.ok_or(NotCovered)?, &values),
                AggregateOp::Topk | AggregateOp::Bottomk => {
                    let mut members = members;
                    let sign = if aggregate.op == AggregateOp::Topk { -1.0 } else { 1.0 };
                    members.sort_by(|left, right| order(sign * left.1, sign * right.1));
                    members.truncate(parameter.ok_or(NotCovered)?.max(0.0) as usize);
                    result.extend(members);
                    continue;
                }
                _ => return Err(NotCovered),
            };
            result.push((group, value));
        }
        Ok(result)
    }

    fn call(&self, call: &Call, at: Timestamp) -> Result<SlowValue, Opinion> {
        let arguments = &call.arguments;
        let scalar = |index: usize| self.scalar(arguments.get(index).ok_or(NotCovered)?, at);
        let plain: Option<fn(f64) -> f64> = match call.function {
            "abs" => Some(f64::abs),
            "ceil" => Some(f64::ceil),
            "floor" => Some(f64::floor),
            "exp" => Some(f64::exp),
            "sqrt" => Some(f64::sqrt),
            "sgn" => Some(|value| if value == 0.0 || value.is_nan() { value } else { value.signum() }),
            _ => None,
        };
        let each = |f: &dyn Fn(f64) -> f64| {
            let vector = self.vector(&arguments[0], at)?;
            Ok(SlowValue::Vector(unique(vector.iter().map(|(labels, value)| (unnamed(labels), f(*value))).collect())?))
        };
        match (call.function, plain) {
            (_, Some(plain)) => return each(&plain),
            ("time", _) => return Ok(SlowValue::Scalar(at.as_seconds())),
            ("vector", _) => return Ok(SlowValue::Vector(vec![(Labels::empty(), scalar(0)?)])),
            ("scalar", _) => {
                let vector = self.vector(&arguments[0], at)?;
                return Ok(SlowValue::Scalar(if vector.len() == 1 { vector[0].1 } else { f64::NAN }));
            }
            ("clamp_max", _) => {
                let limit = scalar(1)?;
                return each(&|value| if value.is_nan() || limit.is_nan() { f64::NAN } else { value.min(limit) });
            }
            ("timestamp", _) => {
                let ExprKind::Selector(selector) = &arguments[0].kind else { return Err(NotCovered) };
                let latest = self.latest(selector, at)?.into_iter();
                let vector = latest.map(|(labels, (at, _))| (unnamed(&labels), at.as_seconds())).collect();
                return Ok(SlowValue::Vector(unique(vector)?));
            }
            _ => {}
        }
        let quantile_comes_first = call.function == "quantile_over_time";
        let windows = self.windows(arguments.get(usize::from(quantile_comes_first)).ok_or(NotCovered)?, at)?;
        let parameter = match call.function {
            "quantile_over_time" => scalar(0)?,
            "predict_linear" => scalar(1)?,
            _ => 0.0,
        };
        let keep_name = ["last_over_time", "first_over_time"].contains(&call.function);
        let mut result = Vector::new();
        for (labels, samples) in windows.series.iter().filter(|(_, samples)| !samples.is_empty()) {
            let value = over_window(call.function, samples, (windows.open_start, windows.end), at, parameter)?;
            let labels = if keep_name { labels.clone() } else { unnamed(labels) };
            result.extend(value.map(|value| (labels, value)));
        }
        Ok(SlowValue::Vector(unique(result)?))
    }
}

/// The value of a function over a window that holds at least one sample.
fn over_window(
    function: &str,
    samples: &[(Timestamp, f64)],
    (open_start, end): (Timestamp, Timestamp),
    at: Timestamp,
    parameter: f64,
) -> Result<Option<f64>, Opinion> {
    let values = samples.iter().map(|(_, value)| *value).collect::<Vec<_>>();
    let pairs = || values.windows(2).map(|pair| (pair[0], pair[1]));
    let (first, last) = (samples[0], samples[samples.len() - 1]);
    Ok(match function {
        "sum_over_time" => Some(values.iter().sum()),
        "avg_over_time" => Some(mean(&values)),
        "min_over_time" => Some(least(&values)),
        "max_over_time" => Some(greatest(&values)),
        "count_over_time" => Some(values.len() as f64),
        "present_over_time" => Some(1.0),
        "last_over_time" => Some(last.1),
        "first_over_time" => Some(first.1),
        "stddev_over_time" => Some(variance(&values).sqrt()),
        "stdvar_over_time" => Some(variance(&values)),
        "quantile_over_time" => Some(quantile(parameter, &values)),
        "resets" => Some(pairs().filter(|(before, after)| after < before).count() as f64),
        "changes" => {
            Some(pairs().filter(|(before, after)| after != before && !(after.is_nan() && before.is_nan())).count()
                as f64)
        }
        _ if values.len() < 2 => match function {
            "rate" | "increase" | "delta" | "irate" | "idelta" | "deriv" | "predict_linear" => None,
            _ => return Err(NotCovered),
        },
        "rate" => extrapolated(samples, open_start, end, true).map(|rise| rise / (end - open_start).as_seconds()),
        "increase" => extrapolated(samples, open_start, end, true),
        "delta" => extrapolated(samples, open_start, end, false),
        "irate" | "idelta" => {
            let before = samples[samples.len() - 2];
            let is_reset = function == "irate" && last.1 < before.1;
            let rise = if is_reset { last.1 } else { last.1 - before.1 };
            Some(if function == "irate" { rise / (last.0 - before.0).as_seconds() } else { rise })
        }
        "deriv" => Some(line(samples, first.0).0),
        "predict_linear" => {
            let (slope, intercept) = line(samples, at);
            Some(intercept + slope * parameter)
        }
        _ => return Err(NotCovered),
    })
}

/// Rise over the whole window, though samples do not reach its edges. (Prometheus: `extrapolatedRate`.)
fn extrapolated(samples: &[(Timestamp, f64)], open_start: Timestamp, end: Timestamp, counter: bool) -> Option<f64> {
    let (first, last) = (samples[0], samples[samples.len() - 1]);
    let mut rise = last.1 - first.1;
    if counter {
        rise += samples.windows(2).filter(|pair| pair[1].1 < pair[0].1).map(|pair| pair[0].1).sum::<f64>();
    }
    let sampled = (last.0 - first.0).as_seconds();
    let between = sampled / (samples.len() - 1) as f64;
    let reach = |gap: f64| if gap >= between * 1.1 { between / 2.0 } else { gap };
    let mut to_start = reach((first.0 - open_start).as_seconds());
    if counter && rise > 0.0 && first.1 >= 0.0 {
        // A counter was not below zero.
        to_start = to_start.min(sampled * (first.1 / rise));
    }
    let to_end = reach((end - last.0).as_seconds());
    Some(rise * ((sampled + to_start + to_end) / sampled))
}

/// Slope and value at `origin` of the line through the samples with the least squares.
fn line(samples: &[(Timestamp, f64)], origin: Timestamp) -> (f64, f64) {
    if samples.iter().all(|(_, value)| *value == samples[0].1) {
        return if samples[0].1.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, samples[0].1) };
    }
    let n = samples.len() as f64;
    let x = |at: &Timestamp| (*at - origin).as_seconds();
    let sum = |f: &dyn Fn(f64, f64) -> f64| samples.iter().map(|(at, value)| f(x(at), *value)).sum::<f64>();
    let (sum_x, sum_y) = (sum(&|x, _| x), sum(&|_, y| y));
    let slope = (sum(&|x, y| x * y) - sum_x * sum_y / n) / (sum(&|x, _| x * x) - sum_x * sum_x / n);
    (slope, sum_y / n - slope * sum_x / n)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn variance(values: &[f64]) -> f64 {
    let middle = mean(values);
    values.iter().map(|value| (value - middle) * (value - middle)).sum::<f64>() / values.len() as f64
}

/// NaN only if there is nothing else.
fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::min)
}

fn greatest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::max)
}

/// Rising, NaN last.
fn order(left: f64, right: f64) -> std::cmp::Ordering {
    left.partial_cmp(&right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
}

/// NaN counts as the smallest value.
fn quantile(q: f64, values: &[f64]) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if !(0.0..=1.0).contains(&q) {
        return if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    let mut values = values.to_vec();
    values.sort_by(|left, right| order(-left, -right).reverse());
    let rank = q * (values.len() - 1) as f64;
    let (below, share) = (rank.floor() as usize, rank - rank.floor());
    values[below] * (1.0 - share) + values[(below + 1).min(values.len() - 1)] * share
}

/// The value of an operation, and whether a comparison holds.
fn operate(op: BinaryOp, left: f64, right: f64) -> Result<(f64, bool), Opinion> {
    let value = |value: f64| Ok((value, true));
    match op {
        BinaryOp::Add => value(left + right),
        BinaryOp::Sub => value(left - right),
        BinaryOp::Mul => value(left * right),
        BinaryOp::Div => value(left / right),
        BinaryOp::Mod => value(left % right),
        BinaryOp::Pow => value(left.powf(right)),
        BinaryOp::Atan2 => value(left.atan2(right)),
        BinaryOp::Equal => Ok((left, left == right)),
        BinaryOp::NotEqual => Ok((left, left != right)),
        BinaryOp::Greater => Ok((left, left > right)),
        BinaryOp::Less => Ok((left, left < right)),
        BinaryOp::GreaterEqual => Ok((left, left >= right)),
        BinaryOp::LessEqual => Ok((left, left <= right)),
        _ => Err(NotCovered),
    }
}

/// The labels by which two sides find each other.
fn signature(labels: &Labels, matching: &Matching) -> Labels {
    let listed = |name: &str| matching.labels.iter().any(|label| label == name);
    match matching.on {
        true => labels.without(|name| !listed(name)),
        false => labels.without(|name| listed(name) || name == METRIC_NAME),
    }
}

fn set_operation(op: BinaryOp, left: Vector, right: Vector, matching: &Matching) -> Vector {
    let stands_in = |vector: &Vector, labels: &Labels| {
        vector.iter().any(|(other, _)| signature(other, matching) == signature(labels, matching))
    };
    match op {
        BinaryOp::And => left.into_iter().filter(|(labels, _)| stands_in(&right, labels)).collect(),
        BinaryOp::Unless => left.into_iter().filter(|(labels, _)| !stands_in(&right, labels)).collect(),
        _ => {
            let more = right.into_iter().filter(|(labels, _)| !stands_in(&left, labels)).collect::<Vec<_>>();
            left.iter().cloned().chain(more).collect()
        }
    }
}

fn match_up(
    left: Vector,
    right: Vector,
    matching: &Matching,
    combine: &dyn Fn(f64, f64, f64) -> Result<Option<f64>, Opinion>,
    drop_name: &dyn Fn(&Labels) -> Labels,
) -> Result<Vector, Opinion> {
    if left.is_empty() || right.is_empty() {
        return Ok(Vector::new());
    }
    let many_is_right = matching.cardinality == Cardinality::OneToMany;
    let (many, one) = if many_is_right { (right, left) } else { (left, right) };
    let mut ones: BTreeMap<Labels, (Labels, f64)> = BTreeMap::new();
    for (labels, value) in one {
        if ones.insert(signature(&labels, matching), (labels, value)).is_some() {
            return Err(Fails);
        }
    }
    let mut result = Vector::new();
    let mut taken = std::collections::BTreeSet::new();
    for (labels, value) in many {
        let key = signature(&labels, matching);
        let Some((one_labels, one_value)) = ones.get(&key) else { continue };
        let (left, right) = if many_is_right { (*one_value, value) } else { (value, *one_value) };
        let Some(value) = combine(left, right, left)? else { continue };
        let mut labels = drop_name(&labels);
        if matching.cardinality == Cardinality::OneToOne {
            if !taken.insert(key) {
                return Err(Fails);
            }
            let listed = |name: &str| matching.labels.iter().any(|label| label == name);
            labels = labels.without(|name| listed(name) != matching.on);
        }
        for name in &matching.include {
            labels = labels.with(name, one_labels.get(name).unwrap_or(""));
        }
        result.push((labels, value));
    }
    unique(result)
}
