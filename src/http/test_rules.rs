//! `/test_rules`: unit tests of rules, as `weir test rules` runs them, over texts that the request brings.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use crate::model::{Labels, StepGrid};
use crate::promql::Interrupt;
use crate::promql::register::Question;
use crate::rules::file::{Environment, Problem};
use crate::rules::unit::{Bounds, Failure, FileReport, Line, Named, Settings, TestReport, run_texts};
use crate::store::LaneView;

use super::asker::AskedBy;
use super::error::ApiError;
use super::json::Json;
use super::params::Params;
use super::query::timeout;
use super::{Http, answer};

/// What a run is called among the queries; a comment, since it has no expression of its own.
const CALLED: &str = "# unit tests of rules";

/// `/api/v1/test_rules`: `test` is the unit-test file's text, `rules` the rule file's. Problems name one of the two.
pub(super) async fn run(
    State(http): State<Arc<Http>>,
    AskedBy(asker): AskedBy,
    params: Params,
) -> Result<Response, ApiError> {
    if params.first("test").trim().is_empty() {
        return Err(ApiError::parameter("test", "the text of a unit-test file is needed"));
    }
    let settings = Settings {
        only: None,
        external_labels: Labels::empty(),
        external_url: String::new(),
        alertgroup: true,
        features: http.services.features,
        // What stands in the environment of the process is nobody's business.
        environment: Environment::default(),
        bounds: Bounds::SERVED,
    };
    let (interrupt, timeout) = (Interrupt::default(), timeout(&http, &params)?);
    let (stop, worker, now) = (interrupt.clone(), Arc::clone(&http), http.now());
    let asked = Question { text: CALLED.into(), grid: StepGrid::instant(now), asker, lanes: LaneView::Merged };
    let mut running = http.services.register.enter(asked, &interrupt, now);
    let work = move || {
        running.starts(worker.now());
        let test = Named { name: "test", text: params.first("test") };
        let rules = Named { name: "rules", text: params.first("rules") };
        let report = run_texts(test, rules, &settings, &stop);
        stop.check()?;
        Ok(report)
    };
    let (report, _place) = http.queries.run_query(timeout, &interrupt, "test", work).await?;
    Ok(answer(|json| write(json, &report)))
}

fn write(json: &mut Json, report: &FileReport) {
    json.raw("{\"passed\":").raw(truth(report.passed())).raw(",\"problems\":");
    json.array(&report.problems, write_problem).raw(",\"warnings\":").array(&report.warnings, |json, warning| {
        json.string(warning);
    });
    json.raw(",\"tests\":").array(&report.tests, write_test).raw("}");
}

fn write_problem(json: &mut Json, problem: &Problem) {
    json.raw("{\"in\":").string(&problem.file).raw(",\"line\":").integer(problem.place.line);
    json.raw(",\"column\":").integer(problem.place.column).raw(",\"message\":").string(&problem.message).raw("}");
}

fn write_test(json: &mut Json, test: &TestReport) {
    json.raw("{\"name\":").string(&test.name).raw(",\"line\":").integer(test.place.line);
    json.raw(",\"passed\":").raw(truth(test.passed())).raw(",\"failures\":");
    json.array(&test.failures, write_failure).raw("}");
}

fn write_failure(json: &mut Json, failure: &Failure) {
    json.raw("{\"what\":").string(&failure.what).raw(",\"line\":").integer(failure.place.line).raw(",\"diff\":");
    json.array(&failure.lines, |json, line| {
        let (kind, text) = match line {
            Line::Same(text) => ("same", text),
            Line::Missing(text) => ("missing", text),
            Line::Extra(text) => ("extra", text),
            Line::Said(text) => ("error", text),
        };
        json.raw("{\"kind\":").string(kind).raw(",\"text\":").string(text).raw("}");
    });
    json.raw("}");
}

fn truth(is: bool) -> &'static str {
    if is { "true" } else { "false" }
}
