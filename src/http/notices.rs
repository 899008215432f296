//! `/notifications` and `/notifications/live`: what the page's bell tells, as a list and as server-sent events.
//!
//! A notice holds as long as its cause does, so the list is made when it is asked for. The live form looks every few
//! seconds and sends what has changed.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::json::Json;
use super::params::rfc3339;
use super::{Http, answer};

/// Who listens at once; one more gets 204, which tells a browser to stop trying. (Prometheus: the same.)
pub(super) const LISTENERS_MAX: usize = 16;

/// How often a listener's connection is looked after.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What to tell, as sentences.
fn notices(http: &Http) -> Vec<String> {
    let mut notices = Vec::new();
    if !(http.services.config)().last_reload_worked {
        notices.push("Configuration reload has failed.".to_owned());
    }
    let storage = http.services.storage.report();
    if let Some(why) = storage.read_only {
        notices.push(format!("Storage takes no writes: {why}"));
    }
    if !storage.damages.is_empty() {
        notices.push(format!("{} damaged places in the data directory.", storage.damages.len()));
    }
    notices
}

fn write_notice(json: &mut Json, text: &str, since: &str, active: bool) {
    json.raw("{\"text\":").string(text).raw(",\"date\":").string(since);
    json.raw(",\"active\":").raw(if active { "true}" } else { "false}" });
}

/// `/api/v1/notifications`
pub(super) async fn list(State(http): State<Arc<Http>>) -> Response {
    let now = rfc3339(http.now());
    answer(|json| {
        json.array(notices(&http), |json, text| write_notice(json, &text, &now, true));
    })
}

/// `/api/v1/notifications/live`
pub(super) async fn live(State(http): State<Arc<Http>>) -> Response {
    let Ok(place) = Arc::clone(&http.listeners).try_acquire_owned() else {
        return StatusCode::NO_CONTENT.into_response();
    };
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events = Events { http, ticks, told: Vec::new(), _place: place };
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    (headers, Body::new(events)).into_response()
}

struct Events {
    http: Arc<Http>,
    ticks: Interval,
    told: Vec<String>,
    _place: OwnedSemaphorePermit,
}

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.ticks.poll_tick(context).is_pending() {
            return Poll::Pending;
        }
        if self.http.services.readiness.phase() == super::Phase::Stopping {
            return Poll::Ready(None);
        }
        let current = notices(&self.http);
        let now = rfc3339(self.http.now());
        let mut json = Json::default();
        let new = current.iter().filter(|text| !self.told.contains(text)).map(|text| (text, true));
        let gone = self.told.iter().filter(|text| !current.contains(text)).map(|text| (text, false));
        for (text, active) in new.chain(gone) {
            json.raw("data: ");
            write_notice(&mut json, text, &now, active);
            json.raw("\n\n");
        }
        // A remark keeps proxies from taking the connection for dead.
        if json.is_empty() {
            json.raw(": still here\n\n");
        }
        self.told = current;
        Poll::Ready(Some(Ok(Frame::data(json.into_bytes().into()))))
    }
}
