//! Rule files: what is read, what is refused and where, and real ones.

use std::path::{Path, PathBuf};

use crate::model::{Labels, Span};
use crate::rules::file::{self, GroupSpec, RuleKind};

use super::world::defaults;

#[track_caller]
fn groups(text: &str) -> Vec<GroupSpec> {
    match file::parse("a.yml", text, &defaults()) {
        Ok(file) => file.groups,
        Err(problems) => panic!("{}", problems.iter().map(|problem| format!("{problem}\n")).collect::<String>()),
    }
}

#[test]
fn the_fields_of_all_dialects_are_read() {
    let text = r#"
groups:
  - name: all
    interval: 30s
    query_offset: 10s
    limit: 5
    concurrency: 2
    type: prometheus
    eval_alignment: true
    params: {nocache: ["1"]}
    headers: ["A: b"]
    notifier_headers: ["A: b"]
    source_tenants: [a, b]
    partial_response_strategy: warn
    labels: {team: core, severity: none}
    rules:
      - alert: Down
        expr: up == 0
        for: 5m
        keep_firing_for: 1.5h
        labels: {severity: page, number: 1.50, flag: yes, empty: null}
        annotations:
          summary: "{{ $labels.instance }} is down"
        update_entries_limit: 3
        debug: true
      - record: job:up:sum
        expr: sum by(job) (up)
"#;
    let groups = groups(text);
    let group = &groups[0];
    assert_eq!(
        (group.interval, group.query_offset, group.limit, group.aligned),
        (Span::from_secs(30), Some(Span::from_secs(10)), 5, true)
    );
    let [down, sum] = group.rules.as_slice() else { panic!("two rules") };
    let RuleKind::Alerting { hold, keep_firing, annotations_text, .. } = &down.kind else { panic!("an alert") };
    assert_eq!((*hold, *keep_firing), (Span::from_secs(300), Span::from_secs(5400)));
    assert_eq!(annotations_text, &Labels::from_pairs([("summary", "{{ $labels.instance }} is down")]));
    assert_eq!(
        down.labels(),
        Labels::from_pairs([("severity", "page"), ("number", "1.50"), ("flag", "yes"), ("team", "core")])
    );
    assert_eq!((sum.name.as_str(), sum.expr.as_str()), ("job:up:sum", "sum by (job) (up)"));
    assert_eq!(sum.labels(), Labels::from_pairs([("severity", "none"), ("team", "core")]));
}

#[test]
fn yaml_that_people_write_is_read() {
    let names = |text: &str| groups(text).into_iter().map(|group| (group.name, group.rules.len())).collect::<Vec<_>>();
    assert_eq!(names(""), []);
    assert_eq!(names("groups:"), []);
    assert_eq!(names("groups: []\n---\n"), []);
    assert_eq!(names("groups:\n- name: a\n  rules:\n"), [("a".to_owned(), 0)]);
    assert_eq!(names("groups:\n- name: a\n---\ngroups:\n- name: b\n"), [("a".to_owned(), 0), ("b".to_owned(), 0)]);
    assert_eq!(names("groups:\n- name: a\n  rules: [{record: one, expr: 1}]\n"), [("a".to_owned(), 1)]);
    let merged = "groups:\n- name: a\n  rules:\n  - &first\n    alert: A\n    expr: up\n    labels: &l {x: y}\n  - <<: *first\n    \
                  alert: B\n    labels: {<<: *l, z: 1}\n";
    assert_eq!(groups(merged)[0].rules[1].labels(), Labels::from_pairs([("x", "y"), ("z", "1")]));
}

#[test]
fn what_a_group_asks_of_its_data_source_and_notifiers_holds() {
    let groups = groups(
        "groups:\n- name: g\n  params: {extra_label: [env=prod], 'extra_filters[]': ['{zone=~\"a|b\"}'], nocache: [1]}\n  \
         notifier_headers: ['X-Scope: one']\n  rules: [{record: y, expr: x / y}]\n",
    );
    assert_eq!(groups[0].rules[0].expr, r#"x{env="prod",zone=~"a|b"} / y{env="prod",zone=~"a|b"}"#);
    assert_eq!(&*groups[0].notifier_headers, [("X-Scope".to_owned(), "one".to_owned())]);
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    #[track_caller]
    fn check(text: &str, wanted: &[&str]) {
        let problems = file::parse("a.yml", text, &defaults()).expect_err("it is wrong");
        let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), wanted.len(), "{found:?}");
        for (found, wanted) in found.iter().zip(wanted) {
            assert!(found.starts_with(wanted), "{found:?} begins with {wanted:?}");
        }
    }
    let rule = |rule: &str| format!("groups:\n- name: a\n  rules:\n  - {rule}\n");
    check("grups: []", &["a.yml:1:1: unknown key \"grups\" in a rule file"]);
    check("groups:\n- name: a\n  intervall: 1m\n", &["a.yml:3:3: unknown key \"intervall\" in a group"]);
    check(&rule("{record: a, expr: up, labls: {}}"), &["a.yml:4:27: unknown key \"labls\" in a rule"]);
    check("groups:\n- name: a\n- name: a\n", &["a.yml:3:3: group \"a\" is already defined at line 2"]);
    check("groups:\n- interval: 1m\n", &["a.yml:2:3: the group has no name"]);
    check("groups:\n- name: a\n  eval_offset: 2m\n", &["a.yml:3:16: eval_offset 2m exceeds the interval 1m"]);
    check(&rule("{expr: up}"), &["a.yml:4:5: a rule needs `record` or `alert`"]);
    check(&rule("{record: a, alert: b, expr: up}"), &["a.yml:4:24: a rule has `record` or `alert`, not both"]);
    check(&rule("{record: a}"), &["a.yml:4:5: rule \"a\" has no `expr`"]);
    check(&rule("{record: a, expr: 'sum('}"), &["a.yml:4:23: expr: 1:5: parse error"]);
    check(&rule("{record: a, expr: up, for: 5m}"), &["a.yml:4:27: a recording rule has no `for`"]);
    check(&rule("{alert: a, expr: up, for: soon}"), &["a.yml:4:31: for: \"soon\" is no duration"]);
    check(&rule("{alert: a, expr: up, labels: {__name__: b}}"), &["a.yml:4:35: __name__ cannot be set by a label"]);
    check(&rule("{alert: a, expr: up, annotations: {s: '{{ $labels.x '}}"), &["a.yml:4:43: annotation s: "]);
    check("groups:\n- name: a\n  name: b\n", &["a.yml:3:3: "]);
    check("groups:\n- name: a\n   interval: 1m\n", &["a.yml:3:"]);
    let params = |params: &str| format!("groups:\n- name: a\n  params: {params}\n");
    check(&params("{extra_label: [a]}"), &["a.yml:3:25: extra_label is written name=value"]);
    check(&params("{'extra_filters[]': ['{a=1']}"), &["a.yml:3:31: extra_filters[]: "]);
    check(&params("{extra_filters: ['{a=\"1\"}', '{b=\"1\"}']}"), &["a.yml:3:27: extra_filters: only one"]);
    check("groups:\n- name: a\n  notifier_headers: [x]\n", &["a.yml:3:21: a header is written `name: value`"]);
    // All problems are said at once.
    check(
        "groups:\n- name: a\n  limit: many\n  rules:\n  - {alert: a, expr: '1 +', for: x}\n  - {alert: b}\nmore: 1\n",
        &[
            "a.yml:3:10: limit",
            "a.yml:5:22: expr: 1:4",
            "a.yml:5:34: for",
            "a.yml:6:5: rule \"b\"",
            "a.yml:7:1: unknown key",
        ],
    );
}

#[test]
fn all_problems_of_all_files_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("a.yml", "x: 1"), ("b.yml", "groups: []"), ("c.yml", "groups: 1")] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let pattern = |name: &str| format!("{}/{name}", folder.path().display());
    let problems = file::load(&[pattern("*.yml"), pattern("none.yml")], &defaults()).unwrap_err();
    let files: Vec<_> = problems.iter().map(|problem| problem.file.rsplit('/').next().unwrap().to_owned()).collect();
    assert_eq!(files, ["a.yml", "c.yml", "none.yml"]);
    assert_eq!(file::load(&[pattern("b*.yml"), pattern("none*.yml")], &defaults()).unwrap().len(), 1);
}

/// The shared rule files, wherever this is built from.
pub(super) fn real_rules() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().map(|folder| folder.join("shared/data/rules")).find(|folder| folder.is_dir())
}

/// Those that are rule files, and not tests of rules.
pub(super) fn real_files(folder: &Path) -> Vec<String> {
    let folders = ["awesome", "kubernetes", "victoriametrics", "vmalert-config"].map(|name| folder.join(name));
    let listed = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut paths: Vec<String> = listed.map(|file| file.unwrap().path().display().to_string()).collect();
    paths.push(folder.join("promtool/rules.yml").display().to_string());
    paths.sort();
    paths
}

#[test]
fn real_rule_files_load() {
    let Some(folder) = real_rules() else {
        eprintln!("SKIPPED: no shared/data/rules beside the repository");
        return;
    };
    let (mut rules, mut wrong) = (0, Vec::new());
    for path in real_files(&folder) {
        match file::load(std::slice::from_ref(&path), &defaults()) {
            Ok(_) if path.contains("bad") => wrong.push(format!("{path} must be refused")),
            Ok(files) => rules += files[0].groups.iter().map(|group| group.rules.len()).sum::<usize>(),
            Err(_) if path.contains("bad") => {}
            Err(problems) => wrong.extend(problems.iter().map(ToString::to_string)),
        }
    }
    assert!(wrong.is_empty(), "{} problems\n{}", wrong.len(), wrong.join("\n"));
    assert!(rules > 700, "{rules} rules were read");
}
