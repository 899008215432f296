//! Unit-test files: the verdicts, and what a failure says.

use std::path::Path;

use crate::model::Labels;
use crate::promql::{Features, Interrupt};
use crate::rules::file::Environment;
use crate::rules::unit::{Bounds, FileReport, Named, Settings, junit, run, run_texts};

use super::files::real_rules;

fn settings() -> Settings {
    Settings {
        only: None,
        external_labels: Labels::empty(),
        external_url: String::new(),
        alertgroup: true,
        features: Features::all(),
        environment: Environment::default(),
        bounds: Bounds::SERVED,
    }
}

const RULES: &str = "
groups:
- name: node
  rules:
  - {alert: Down, expr: up == 0, for: 2m, labels: {severity: page}, annotations: {summary: '{{ $labels.job }} is down'}}
  - {record: 'job:up', expr: sum by (job) (up)}
";

/// Runs one test, whose lines stand below `tests:`.
fn report(head: &str, test: &str) -> FileReport {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yml"), RULES).unwrap();
    let file = folder.path().join("test.yml");
    std::fs::write(&file, format!("rule_files: [rules.yml]\n{head}tests:\n{test}")).unwrap();
    let mut report = run(&file.display().to_string(), &settings());
    report.path = "test.yml".to_owned();
    report
}

const SERIES: &str = "- input_series: [{series: 'up{job=\"a\"}', values: '1 0x9'}]\n";

#[test]
fn a_test_that_holds_passes() {
    let alert = "  alert_rule_test:\n  - {eval_time: 2m, alertname: Down}\n  - eval_time: 3m30s\n    alertname: Down\n    \
                 exp_alerts: [{exp_labels: {job: a, severity: page}, exp_annotations: {summary: a is down}}]\n";
    let expr = "  promql_expr_test:\n  - {expr: 'job:up', eval_time: 0, exp_samples: [{labels: 'job:up{job=\"a\"}', value: 1}]}\n";
    let report = report("", &format!("{SERIES}{alert}{expr}"));
    assert!(report.passed(), "{report}");
    assert_eq!(report.to_string(), "test.yml: ok, 1 tests\n");
}

#[test]
fn the_files_of_vmalert_tool_are_run() {
    let test = format!(
        "{SERIES}  alert_rule_test:\n  - eval_time: 3m\n    groupname: node\n    alertname: Down\n    exp_alerts:\n    \
         - {{exp_labels: {{job: a, severity: page}}, exp_annotations: {{summary: a is down}}}}\n  metricsql_expr_test:\n  \
         - expr: ALERTS\n    eval_time: 3m\n    exp_samples:\n    - labels: 'ALERTS{{alertname=\"Down\", alertgroup=\"node\", \
         alertstate=\"firing\", job=\"a\", severity=\"page\"}}'\n      value: 1\n"
    );
    let report = report("evaluation_interval: 1m\ngroup_eval_order: [node]\n", &test);
    assert!(report.passed(), "{report}");
}

#[test]
fn a_failure_shows_what_is_missing_and_what_is_too_much() {
    let test = "  name: down\n  promql_expr_test:\n  - expr: up\n    eval_time: 1m\n    exp_samples: [{labels: 'up{job=\"a\"}', value: 7}]\n";
    let report = report("", &format!("{SERIES}{test}"));
    let text = report.to_string();
    for line in ["test.yml:3:3: down fails", "line 6: expr up at 1m", "    - up{job=\"a\"} 7", "    + up{job=\"a\"} 0"]
    {
        assert!(text.contains(line), "{line:?} stands in {text}");
    }
    let xml = junit(&[report]);
    assert!(
        xml.contains("tests=\"1\" failures=\"1\" errors=\"0\"") && xml.contains("up{job=&quot;a&quot;} 7"),
        "{xml}"
    );
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    #[track_caller]
    fn check(head: &str, test: &str, wanted: &str) {
        let report = report(head, test);
        let first = report.problems.first().expect("it is refused");
        let found = format!("{}:{}: {}", first.place.line, first.place.column, first.message);
        assert!(found.starts_with(wanted), "{found:?} begins with {wanted:?}");
    }
    check("", "- {input_series: [{series: 'up{', values: 1}]}\n", "3:19: bad series");
    check("", "- {alert_rule_test: [{eval_time: 1m}]}\n", "3:22: an alert test needs `alertname`");
    check("", "- {promql_expr_tests: []}\n", "3:4: unknown key \"promql_expr_tests\" in a test");
    check("evaluation_interval: soon\n", "", "2:22: evaluation_interval: \"soon\" is no duration");
}

#[test]
fn texts_are_run_without_a_file_and_within_bounds() {
    let settings = Settings { bounds: Bounds { samples_max: 100, evaluations_max: 50 }, ..settings() };
    let run = |test: &str, interrupt: &Interrupt| {
        let rules = Named { name: "rules", text: RULES };
        run_texts(Named { name: "tests", text: test }, rules, &settings, interrupt)
    };
    // `rule_files` names a file that is there, and is not opened: its words would be refused.
    let cargo = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let test = |series: &str, at: &str| {
        format!(
            "rule_files: ['{cargo}']\ntests:\n- input_series: [{series}]\n  promql_expr_test:\n  \
             - {{expr: 'count(job:up)', eval_time: {at}, exp_samples: [{{labels: '{{}}', value: 1}}]}}\n"
        )
    };
    let up = "{series: 'up{job=\"a\"}', values: '1x9'}";
    let report = run(&test(up, "2m"), &Interrupt::default());
    assert!(report.passed() && report.tests.len() == 1, "{report}");

    #[track_caller]
    fn refused(report: &FileReport, wanted: &str) {
        assert!(!report.passed() && report.to_string().contains(wanted), "{wanted:?} stands in {report}");
    }
    let too_long = test("{series: 'up{job=\"a\"}', values: '1x100'}", "2m");
    refused(&run(&too_long, &Interrupt::default()), "tests:3:18: the series of a file may have 100 values in all");
    refused(&run(&test(up, "1h"), &Interrupt::default()), "tests: that would be 122 evaluations of rules");
    // 60 samples of 60 series fit, with what is recorded they do not.
    let many: Vec<_> = (0..60).map(|job| format!("{{series: 'up{{job=\"{job}\"}}', values: '1'}}")).collect();
    refused(&run(&test(&many.join(", "), "2m"), &Interrupt::default()), "a test may keep 100 samples");
    let left = Interrupt::default();
    left.cancel();
    refused(&run(&test(up, "2m"), &left), "query was canceled");
    let rules = Named { name: "rules", text: "groups: [{name: g, rules: [{record: a, expr: up +}]}]" };
    let report = run_texts(Named { name: "tests", text: &test(up, "2m") }, rules, &settings, &Interrupt::default());
    refused(&report, "rules:1:");
}

/// What the promtool of Prometheus 3.14 says of its own files. (Debian's is older and cannot read all of them.)
#[test]
fn promtools_own_files_get_its_verdicts() {
    let Some(folder) = real_rules() else {
        eprintln!("SKIPPED: no shared/data/rules beside the repository");
        return;
    };
    #[track_caller]
    fn check(folder: &Path, name: &str, passes: bool) {
        let report = run(&folder.join("promtool").join(name).display().to_string(), &settings());
        assert_eq!(report.passed(), passes, "{report}");
    }
    check(&folder, "unittest.yml", true);
    check(&folder, "long-period.yml", true);
    check(&folder, "no-test-group-interval.yml", true);
    check(&folder, "start-time-test.yml", true);
    check(&folder, "at-modifier-test.yml", true);
    check(&folder, "failing.yml", false);
    check(&folder, "bad-input-series.yml", false);
    check(&folder, "rules_run.yml", false);
}

#[test]
fn the_rules_about_weir_itself_hold() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules/weir.test.yml");
    let report = run(&file.display().to_string(), &settings());
    assert!(report.passed(), "{report}");
    assert_eq!(report.tests.len(), 7);
}
