//! `/admin/tsdb/*`: deleting and snapshots. POST and PUT only, and only where it is switched on.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::error::{ApiError, ErrorKind};
use super::params::Params;
use super::rules::parse_bool;
use super::services::Admin;
use super::{Http, answer, series};

fn enabled(http: &Http) -> Result<Arc<dyn Admin>, ApiError> {
    http.services.admin.clone().ok_or_else(|| ApiError::new(ErrorKind::Unavailable, "admin APIs disabled"))
}

/// `/api/v1/admin/tsdb/delete_series`
pub(super) async fn delete_series(State(http): State<Arc<Http>>, params: Params) -> Result<Response, ApiError> {
    let admin = enabled(&http)?;
    if params.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let range = params.range()?;
    let sets = series::matcher_sets(&params).map_err(|why| ApiError::parameter("match[]", why))?;
    if let Some(range) = range {
        let work = move || sets.iter().try_for_each(|matchers| admin.delete_series(matchers, range));
        http.lookups.run(work).await??;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `/api/v1/admin/tsdb/clean_tombstones`
pub(super) async fn clean_tombstones(State(http): State<Arc<Http>>) -> Result<Response, ApiError> {
    let admin = enabled(&http)?;
    http.lookups.run(move || admin.clean_tombstones()).await??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `/api/v1/admin/tsdb/snapshot`
pub(super) async fn snapshot(State(http): State<Arc<Http>>, params: Params) -> Result<Response, ApiError> {
    let admin = enabled(&http)?;
    let skip_head = match params.first("skip_head") {
        "" => false,
        text => parse_bool(text).ok_or_else(|| {
            let why = format!("unable to parse boolean: strconv.ParseBool: parsing {text:?}: invalid syntax");
            ApiError::parameter("skip_head", why)
        })?,
    };
    let name = http.lookups.run(move || admin.snapshot(skip_head)).await??;
    Ok(answer(|json| {
        json.raw("{\"name\":").string(&name).raw("}");
    }))
}
