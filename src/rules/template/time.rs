//! Methods of Go's `time.Time` and `time.Duration`, as far as templates call them: `{{ .ActiveAt.UnixMilli }}`,
//! `{{ ($activeAt.Add (parseDurationTime "-5m")).Format "15:04" }}`. All times are in UTC.

use super::humanize;
use super::value::Value;

/// Calls a method; `None` where the value has none of that name.
pub(super) fn method(value: &Value, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
    match value {
        Value::Time(seconds) => of_time(*seconds, name, arguments),
        Value::Duration(seconds) => of_duration(*seconds, name, arguments),
        _ => None,
    }
}

fn of_time(seconds: f64, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
    let at = jiff::Timestamp::from_millisecond((seconds * 1000.0).round() as i64).unwrap_or_default();
    let civil = at.to_zoned(jiff::tz::TimeZone::UTC);
    let shown = |directive: &str| Value::String(civil.strftime(directive).to_string());
    let found = match (name, arguments) {
        ("Year", []) => Value::Int(i64::from(civil.year())),
        ("Month", []) => shown("%B"),
        ("Weekday", []) => shown("%A"),
        ("Day", []) => Value::Int(i64::from(civil.day())),
        ("YearDay", []) => Value::Int(i64::from(civil.day_of_year())),
        ("Hour", []) => Value::Int(i64::from(civil.hour())),
        ("Minute", []) => Value::Int(i64::from(civil.minute())),
        ("Second", []) => Value::Int(i64::from(civil.second())),
        ("Nanosecond", []) => Value::Int(i64::from(civil.subsec_nanosecond())),
        ("Unix", []) => Value::Int(at.as_second()),
        ("UnixMilli", []) => Value::Int(at.as_millisecond()),
        ("UnixMicro", []) => Value::Int(at.as_microsecond()),
        ("UnixNano", []) => Value::Int(i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)),
        ("UTC" | "Local", []) => Value::Time(seconds),
        ("IsZero", []) => Value::Bool(false),
        ("String", []) => Value::String(humanize::time(seconds)),
        ("Format", [Value::String(layout)]) => Value::String(humanize::time_in_layout(layout, seconds)),
        ("Add", [Value::Duration(span)]) => Value::Time(seconds + span),
        ("Sub", [Value::Time(other)]) => Value::Duration(seconds - other),
        ("Truncate", [Value::Duration(span)]) => Value::Time(whole(seconds, *span, f64::floor)),
        ("Round", [Value::Duration(span)]) => Value::Time(whole(seconds, *span, f64::round)),
        ("Before", [Value::Time(other)]) => Value::Bool(seconds < *other),
        ("After", [Value::Time(other)]) => Value::Bool(seconds > *other),
        ("Equal", [Value::Time(other)]) => Value::Bool(seconds == *other),
        ("Format" | "Add" | "Sub" | "Truncate" | "Round" | "Before" | "After" | "Equal", _) => {
            return Some(Err(format!("wrong arguments for {name}")));
        }
        _ => return None,
    };
    Some(Ok(found))
}

fn of_duration(seconds: f64, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
    let found = match (name, arguments) {
        ("Hours", []) => Value::Float(seconds / 3600.0),
        ("Minutes", []) => Value::Float(seconds / 60.0),
        ("Seconds", []) => Value::Float(seconds),
        ("Milliseconds", []) => Value::Int((seconds * 1e3) as i64),
        ("Microseconds", []) => Value::Int((seconds * 1e6) as i64),
        ("Nanoseconds", []) => Value::Int((seconds * 1e9) as i64),
        ("String", []) => Value::String(humanize::go_duration(seconds)),
        ("Abs", []) => Value::Duration(seconds.abs()),
        ("Truncate", [Value::Duration(span)]) => Value::Duration(whole(seconds, *span, f64::trunc)),
        ("Round", [Value::Duration(span)]) => Value::Duration(whole(seconds, *span, f64::round)),
        ("Truncate" | "Round", _) => return Some(Err(format!("wrong arguments for {name}"))),
        _ => return None,
    };
    Some(Ok(found))
}

fn whole(seconds: f64, span: f64, cut: impl Fn(f64) -> f64) -> f64 {
    if span > 0.0 { cut(seconds / span) * span } else { seconds }
}
