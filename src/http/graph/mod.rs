//! `/graph.svg` and `/graph.png`: a query as a picture, for mails, tickets and control panels.
//!
//! ```text
//! parameters -> query          the same engine, the same limits, the caller's own view of the store
//!            -> scene          what is drawn where, in pixels; knows nothing of files
//!            -> svg or raster  the scene as text, or as dots
//! ```
//!
//! Read next: [`scene`], then [`axis`].

mod axis;
mod raster;
mod scene;
mod svg;
mod unit;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::access::Caller;
use crate::model::{Span, StepGrid, Timestamp};
use crate::promql::Value;
use crate::promql::register::Question;

use super::Http;
use super::asker::AskedBy;
use super::error::{ApiError, ErrorKind};
use super::params::Params;
use super::query::{Asked, TRUNCATED};

use scene::{Look, Scene, Series, Theme};
use unit::Unit;

/// Sizes of a picture, in pixels.
const WIDTH: (f64, f64, f64) = (160.0, 800.0, 4000.0);
const HEIGHT: (f64, f64, f64) = (80.0, 300.0, 3000.0);

/// Curves of one picture; more would only be a colour.
const SERIES_MAX: usize = 200;

/// Longest title, in letters.
const TITLE_MAX: usize = 200;

/// `/graph.svg`
pub(super) async fn svg(
    State(http): State<Arc<Http>>,
    asker: AskedBy,
    caller: Caller,
    params: Params,
) -> Result<Response, Response> {
    let (scene, step) = draw(&http, asker, &caller, &params).await.map_err(|error| error.text())?;
    Ok(picture("image/svg+xml", svg::write(&scene).into_bytes(), step))
}

/// `/graph.png`
pub(super) async fn png(
    State(http): State<Arc<Http>>,
    asker: AskedBy,
    caller: Caller,
    params: Params,
) -> Result<Response, Response> {
    let (scene, step) = draw(&http, asker, &caller, &params).await.map_err(|error| error.text())?;
    let bytes = http.lookups.run(move || raster::write(&scene)).await.map_err(|error| error.text())?;
    let bytes = bytes.map_err(|why| ApiError::new(ErrorKind::Execution, why).text())?;
    Ok(picture("image/png", bytes, step))
}

/// May be kept as long as nothing new can be on it; a picture shows one caller's view, so by that caller alone.
fn picture(kind: &'static str, bytes: Vec<u8>, step: Span) -> Response {
    let seconds = (step.as_millis() / 1000).clamp(1, 300);
    let kept = HeaderValue::try_from(format!("private, max-age={seconds}")).expect("letters and digits");
    // A picture runs nothing and loads nothing, wherever it is shown.
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    let mut response = ([(header::CONTENT_TYPE, kind)], bytes).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, kept);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
        .headers_mut()
        .insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    response
}

async fn draw(
    http: &Arc<Http>,
    AskedBy(asker): AskedBy,
    caller: &Caller,
    params: &Params,
) -> Result<(Scene, Span), ApiError> {
    let look = look(params)?;
    let (start, end) = range(params, http.now())?;
    let step = step(params, start, end, look.width)?;
    let grid = StepGrid::new(start, end, step).ok_or_else(|| ApiError::parameter("step", "a step must be positive"))?;
    if grid.len().saturating_sub(1) > http.settings.points_max {
        return Err(ApiError::parameter("step", format_args!("more than {} points a curve", http.settings.points_max)));
    }
    let text = match params.first("expr") {
        "" => params.first("query"),
        text => text,
    };
    let asked = Asked::read(http, params)?;
    let question = Question { text: text.into(), grid, asker, lanes: crate::store::LaneView::Merged };
    let source = http.source(caller);
    let (answer, _, _) = asked
        .run(http, question, move |http, text, options| {
            http.services.queries.range(source.as_ref(), text, grid, options)
        })
        .await?;
    let Value::Matrix(found) = answer.value else { return Err(ApiError::bad_data("the query gives no curves")) };
    let mut notes = answer.warnings;
    if found.iter().any(|series| !series.histograms.is_empty()) {
        notes.push("native histograms are not drawn; histogram_quantile() makes curves of them".to_owned());
    }
    if found.len() > SERIES_MAX {
        notes.push(format!("{TRUNCATED}: {SERIES_MAX} of {} curves", found.len()));
    }
    let format = params.first("legend_format");
    let series = found.into_iter().take(SERIES_MAX).filter(|series| !series.floats.is_empty());
    let series = series.map(|series| Series {
        name: scene::name(&series.labels, format),
        points: series.floats,
        bases: Vec::new(),
    });
    Ok((Scene::new(&look, grid, series.collect(), &notes), step))
}

fn look(params: &Params) -> Result<Look, ApiError> {
    let size = |name: &str, (least, usual, most): (f64, f64, f64)| match params.first(name) {
        "" => Ok(usual),
        text => match text.parse::<f64>() {
            Ok(size) if (least..=most).contains(&size) => Ok(size.round()),
            _ => Err(ApiError::parameter(name, format_args!("a number of pixels from {least} to {most} is expected"))),
        },
    };
    let bound = |name: &str| match params.first(name) {
        "" => Ok(None),
        text => match text.parse::<f64>() {
            Ok(bound) if bound.is_finite() => Ok(Some(bound)),
            _ => Err(ApiError::parameter(name, "a number is expected")),
        },
    };
    let (y_min, y_max) = (bound("y_min")?, bound("y_max")?);
    if y_min.zip(y_max).is_some_and(|(min, max)| min >= max) {
        return Err(ApiError::parameter("y_max", "y_max must be above y_min"));
    }
    let zone = match params.first("tz") {
        "" => jiff::tz::TimeZone::UTC,
        name => jiff::tz::TimeZone::get(name).map_err(|_| ApiError::parameter("tz", "no such time zone"))?,
    };
    Ok(Look {
        width: size("width", WIDTH)?,
        height: size("height", HEIGHT)?,
        theme: match params.first("theme") {
            "" | "light" => Theme::Light,
            "dark" => Theme::Dark,
            _ => return Err(ApiError::parameter("theme", "light or dark is expected")),
        },
        legend: match params.first("legend") {
            "" | "bottom" => true,
            "none" => false,
            _ => return Err(ApiError::parameter("legend", "bottom or none is expected")),
        },
        title: params.first("title").chars().take(TITLE_MAX).collect(),
        unit: match params.first("unit") {
            "" => Unit::Short,
            text => text.parse::<Unit>().map_err(|why| ApiError::parameter("unit", why))?,
        },
        y_min,
        y_max,
        stacked: matches!(params.first("stacked"), "1" | "true"),
        zone,
    })
}

/// From when to when: `start` and `end`, or `range` up to `end`, or the last hour.
fn range(params: &Params, now: Timestamp) -> Result<(Timestamp, Timestamp), ApiError> {
    let end = params.time_or("end", now)?;
    let start = match params.first("start") {
        "" => {
            let range = params.span_if_given("range")?.unwrap_or(Span::HOUR);
            if range <= Span::ZERO {
                return Err(ApiError::parameter("range", "a range must be positive"));
            }
            end - range
        }
        _ => params.time("start")?,
    };
    match start < end {
        true => Ok((start, end)),
        false => Err(ApiError::parameter("end", "end timestamp must not be before start time")),
    }
}

/// A point a pixel or two, in whole seconds.
fn step(params: &Params, start: Timestamp, end: Timestamp, width: f64) -> Result<Span, ApiError> {
    if let Some(step) = params.span_if_given("step")? {
        return Ok(step);
    }
    let millis = (end - start).as_millis() as f64 / width;
    Ok(Span::from_secs(((millis * 1.5 / 1000.0).ceil() as i64).max(1)))
}
