//! `/series`, `/labels`, `/label/<name>/values`, `/metadata`: what there is, without its samples.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;

use crate::access::Caller;
use crate::model::{Matcher, Span, TimeRange};
use crate::promql::Interrupt;
use crate::promql::parse::parse_selector;
use crate::store::{SampleSource, StoreError, Wanted};

use super::error::ApiError;
use super::json::pages::{self, ListAnswer};
use super::params::Params;
use super::query::{TRUNCATED, timeout};
use super::{Http, answer};

/// `/api/v1/series`
pub(super) async fn series(
    State(http): State<Arc<Http>>,
    caller: Caller,
    params: Params,
) -> Result<Response, ApiError> {
    if params.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let limit = params.limit()?;
    let range = params.range()?;
    let sets = matcher_sets(&params).map_err(|why| ApiError::parameter("match[]", why))?;
    let found =
        union(&http, &caller, &params, sets, range, |source, matchers, range| source.series(matchers, range)).await?;
    Ok(list(found, limit, |json, labels| {
        json.labels(labels);
    }))
}

/// `/api/v1/labels`
pub(super) async fn label_names(
    State(http): State<Arc<Http>>,
    caller: Caller,
    params: Params,
) -> Result<Response, ApiError> {
    let limit = params.limit()?;
    let range = params.range()?;
    let sets = matcher_sets(&params).map_err(ApiError::bad_data)?;
    let found =
        union(&http, &caller, &params, sets, range, |source, matchers, range| source.label_names(matchers, range))
            .await?;
    Ok(list(found, limit, |json, name| {
        json.string(name);
    }))
}

/// `/api/v1/label/<name>/values`
pub(super) async fn label_values(
    State(http): State<Arc<Http>>,
    Path(name): Path<String>,
    caller: Caller,
    params: Params,
) -> Result<Response, ApiError> {
    let name = unescape_name(&name);
    let limit = params.limit()?;
    let range = params.range()?;
    let sets = matcher_sets(&params).map_err(ApiError::bad_data)?;
    let values =
        move |source: &dyn SampleSource, matchers: &[Matcher], range| source.label_values(&name, matchers, range);
    let found = union(&http, &caller, &params, sets, range, values).await?;
    Ok(list(found, limit, |json, value| {
        json.string(value);
    }))
}

/// The matchers of each `match[]`. The text of the error is for the user.
pub(super) fn matcher_sets(params: &Params) -> Result<Vec<Vec<Matcher>>, String> {
    let read = |text| parse_selector(text).map_err(|error| error.to_string());
    let sets = params.all("match[]").map(read).collect::<Result<Vec<_>, _>>()?;
    if sets.iter().any(|set| set.iter().all(Matcher::matches_absent)) {
        return Err("match[] must contain at least one non-empty matcher".to_owned());
    }
    Ok(sets)
}

/// When a series must have a sample to be seen by an instant query at some time inside `range`. Taken to the letter, a
/// range that is shorter than a scrape interval would show a few series, or none.
fn visible_in(range: TimeRange, lookback: Span) -> TimeRange {
    let earliest = (range.start() - lookback + Span::from_millis(1)).min(range.start());
    TimeRange::new(earliest, range.end()).expect("it begins no later")
}

/// Looks up each matcher set, all series where there is none, and merges what comes back. Under the same deadline as a
/// query; who leaves is not looked up for any more.
pub(super) async fn union<T: Ord + Send + 'static>(
    http: &Http,
    caller: &Caller,
    params: &Params,
    sets: Vec<Vec<Matcher>>,
    range: Option<TimeRange>,
    look_up: impl Fn(&dyn SampleSource, &[Matcher], TimeRange) -> Result<Vec<T>, StoreError> + Send + 'static,
) -> Result<Vec<T>, ApiError> {
    let Some(range) = range else { return Ok(Vec::new()) };
    let range = visible_in(range, http.settings.lookback);
    let source = http.source_of(caller, params)?;
    let interrupt = Interrupt::default();
    let (watched, asked) = (interrupt.clone(), interrupt.clone());
    let wanted = Wanted::as_long_as(move || asked.check().is_ok());
    let source = source.while_wanted(&wanted).unwrap_or(source);
    let work = move || {
        watched.check()?;
        let look_up = |matchers: &[Matcher]| {
            let found = look_up(source.as_ref(), matchers, range);
            // Storage knows that it was stopped, and not why.
            found.map_err(|error| watched.check().err().unwrap_or_else(|| error.into()))
        };
        let Some((first, rest)) = sets.split_first() else { return look_up(&[]) };
        let mut all = look_up(first)?;
        for set in rest {
            watched.check()?;
            all.extend(look_up(set)?);
        }
        if !rest.is_empty() {
            all.sort_unstable();
            all.dedup();
        }
        Ok(all)
    };
    let (found, _) = http.lookups.run_query(timeout(http, params)?, &interrupt, "match[]", work).await?;
    Ok(found)
}

fn list<T: Send + Unpin + 'static>(
    mut items: Vec<T>,
    limit: Option<usize>,
    write: fn(&mut super::json::Json, &T),
) -> Response {
    let limit = limit.unwrap_or(usize::MAX);
    let warnings = if items.len() > limit { vec![TRUNCATED.to_owned()] } else { vec![] };
    items.truncate(limit);
    super::json_response(pages::body(ListAnswer::new(items, write, warnings)))
}

/// Undoes the escaping of UTF-8 names in URLs: `U__a_2e_b` is `a.b`, `__` is `_`. A name that is not escaped, or
/// wrongly, stands for itself. (Prometheus: `model.UnescapeName` with `ValueEncodingEscaping`.)
fn unescape_name(escaped: &str) -> String {
    let Some(mut rest) = escaped.strip_prefix("U__") else { return escaped.to_owned() };
    let mut name = String::new();
    while let Some(at) = rest.find('_') {
        name.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(tail) = rest.strip_prefix('_') {
            name.push('_');
            rest = tail;
            continue;
        }
        let letter = rest.split_once('_').and_then(|(hex, tail)| {
            let code = (hex.len() <= 6).then(|| u32::from_str_radix(hex, 16).ok())??;
            Some((char::from_u32(code)?, tail))
        });
        let Some((letter, tail)) = letter else { return escaped.to_owned() };
        name.push(letter);
        rest = tail;
    }
    name.push_str(rest);
    name
}

/// `/api/v1/metadata`
pub(super) async fn metadata(
    State(http): State<Arc<Http>>,
    caller: Caller,
    params: Params,
) -> Result<Response, ApiError> {
    let bound = |name: &str| match params.number(name) {
        // Negative is "all", as in Prometheus; 0 is none.
        Ok(number) => Ok(number.and_then(|number| usize::try_from(number).ok())),
        Err(_) => Err(ApiError::bad_data(format!("{name} must be a number"))),
    };
    let limit = bound("limit")?.unwrap_or(usize::MAX);
    let limit_per_metric = bound("limit_per_metric")?.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let metric = params.first("metric").to_owned();
    let source = http.source(&caller);
    let work = move || source.metadata((!metric.is_empty()).then_some(metric.as_str()));
    let found = http.lookups.run(work).await??;
    Ok(answer(|json| {
        json.object(found.iter().take(limit).map(|(name, known)| (name, known)), |json, known| {
            json.array(known.iter().take(limit_per_metric), |json, metadata| {
                json.raw("{\"type\":").string(&metadata.kind).raw(",\"help\":").string(&metadata.help);
                json.raw(",\"unit\":").string(&metadata.unit).raw("}");
            });
        });
    }))
}

#[cfg(test)]
mod tests {
    use crate::model::Timestamp;

    use super::*;

    #[test]
    fn a_series_is_seen_for_as_long_as_an_instant_query_sees_it() {
        let at = Timestamp::from_millis;
        let check = |range: (i64, i64), lookback, expected: (i64, i64)| {
            let range = TimeRange::new(at(range.0), at(range.1)).expect("in order");
            let found = visible_in(range, Span::from_millis(lookback));
            assert_eq!((found.start(), found.end()), (at(expected.0), at(expected.1)));
        };
        check((500_000, 500_000), 300_000, (200_001, 500_000));
        check((500_000, 900_000), 1, (500_000, 900_000));
        check((500_000, 900_000), 0, (500_000, 900_000));
        let all = visible_in(TimeRange::ALL, Span::HOUR);
        assert_eq!((all.start(), all.end()), (TimeRange::ALL.start(), TimeRange::ALL.end()));
    }

    #[test]
    fn utf8_names_are_unescaped() {
        #[track_caller]
        fn check(escaped: &str, name: &str) {
            assert_eq!(unescape_name(escaped), name);
        }
        check("job", "job");
        check("__name__", "__name__");
        check("U__http_2e_status", "http.status");
        check("U__a__b_20_c", "a_b c");
        check("U___65e5_", "日");
        check("U__broken_zz_", "U__broken_zz_");
        check("U__broken_2e", "U__broken_2e");
        check("U__", "");
    }
}
