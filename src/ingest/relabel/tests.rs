//! Rules one by one, on `up{job="Node", instance="a:9100", empty=""}`.

use super::*;
use crate::model::Labels;

fn config(action: &str) -> RelabelConfig {
    RelabelConfig { action: action.to_owned(), ..RelabelConfig::default() }
}

fn from(labels: &[&str], config: RelabelConfig) -> RelabelConfig {
    RelabelConfig { source_labels: labels.iter().map(|name| (*name).to_owned()).collect(), ..config }
}

fn to(target: &str, config: RelabelConfig) -> RelabelConfig {
    RelabelConfig { target_label: target.to_owned(), ..config }
}

fn regex(regex: &str, config: RelabelConfig) -> RelabelConfig {
    RelabelConfig { regex: regex.to_owned(), ..config }
}

fn with(replacement: &str, config: RelabelConfig) -> RelabelConfig {
    RelabelConfig { replacement: replacement.to_owned(), ..config }
}

/// What the rule makes of the series, printed; `None` where it is dropped.
fn relabeled(config: &RelabelConfig) -> Option<String> {
    let mut labels = Labels::from_pairs([("__name__", "up"), ("job", "Node"), ("instance", "a:9100")]).to_builder();
    labels.push("empty", "");
    let kept = apply(&[config.compile().unwrap()], &mut labels);
    kept.then(|| labels.build().unwrap().to_string())
}

#[track_caller]
fn check(config: &RelabelConfig, expected: &str) {
    assert_eq!(relabeled(config).as_deref(), Some(expected));
}

#[test]
fn replace_writes_what_the_groups_matched() {
    let replace = || config("replace");
    check(&from(&["job"], to("j", replace())), r#"up{instance="a:9100", j="Node", job="Node"}"#);
    let host = regex("(.+):(.+)", from(&["instance"], replace()));
    check(&to("host", with("${2}-$1", host.clone())), r#"up{host="9100-a", instance="a:9100", job="Node"}"#);
    check(&to("port_$2", with("yes", host)), r#"up{instance="a:9100", job="Node", port_9100="yes"}"#);
    check(
        &to("both", from(&["job", "no", "instance"], replace())),
        r#"up{both="Node;;a:9100", instance="a:9100", job="Node"}"#,
    );
    check(&to("job", regex("x", from(&["job"], replace()))), r#"up{instance="a:9100", job="Node"}"#);
    check(&to("job", regex("No", from(&["job"], replace()))), r#"up{instance="a:9100", job="Node"}"#);
    check(&to("site", with("eu", replace())), r#"up{instance="a:9100", job="Node", site="eu"}"#);
    check(&to("job", from(&["no"], replace())), r#"up{instance="a:9100"}"#);
    check(&to("$3", from(&["job"], replace())), r#"up{instance="a:9100", job="Node"}"#);
    check(&to("j", with("$1x", from(&["job"], replace()))), r#"up{instance="a:9100", job="Node"}"#);
    check(&to("money", with("$$", replace())), r#"up{instance="a:9100", job="Node", money="$"}"#);
}

#[test]
fn keep_and_drop_decide_by_the_source() {
    let whole = r#"up{instance="a:9100", job="Node"}"#;
    let on_job = |action: &str, pattern: &str| relabeled(&regex(pattern, from(&["job"], config(action))));
    assert_eq!(on_job("keep", "N.*").as_deref(), Some(whole));
    assert_eq!(on_job("keep", "N"), None);
    assert_eq!(on_job("Keep", "n.*"), None);
    assert_eq!(on_job("drop", "N.*"), None);
    assert_eq!(on_job("drop", "N").as_deref(), Some(whole));
    let equal = |action: &str, source: &str, target: &str| relabeled(&from(&[source], to(target, config(action))));
    assert_eq!(equal("keepequal", "job", "instance"), None);
    assert_eq!(equal("keepequal", "no", "empty").as_deref(), Some(whole));
    assert_eq!(equal("dropequal", "job", "job"), None);
    assert_eq!(equal("dropequal", "job", "instance").as_deref(), Some(whole));
}

#[test]
fn labels_are_mapped_dropped_and_kept_by_name() {
    check(
        &with("old_$1", regex("(job|empty)", config("labelmap"))),
        r#"up{instance="a:9100", job="Node", old_job="Node"}"#,
    );
    check(&regex("inst.*", config("labeldrop")), r#"up{job="Node"}"#);
    check(&regex("__name__|job", config("labelkeep")), r#"up{job="Node"}"#);
}

#[test]
fn case_and_hash() {
    check(&from(&["job"], to("job", config("lowercase"))), r#"up{instance="a:9100", job="node"}"#);
    check(&from(&["job"], to("job", config("uppercase"))), r#"up{instance="a:9100", job="NODE"}"#);
    let hashed = RelabelConfig { modulus: 1000, ..from(&["job"], to("shard", config("hashmod"))) };
    // The number was computed with another implementation of MD5.
    check(&hashed, r#"up{instance="a:9100", job="Node", shard="15"}"#);
}

#[test]
fn rules_that_cannot_be_meant_are_refused() {
    #[track_caller]
    fn refused(config: &RelabelConfig, why: &str) {
        let error = config.compile().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    refused(&config("explode"), "unknown relabel action \"explode\"");
    refused(&config(""), "unknown relabel action");
    refused(&config("replace"), "replace needs a target_label");
    refused(&to("x", config("hashmod")), "modulus");
    refused(&regex("(", config("keep")), "regex");
    refused(&from(&["a"], regex("b", config("labeldrop"))), "labeldrop takes no source_labels");
    refused(&regex("b", from(&["a"], to("c", config("keepequal")))), "keepequal takes no regex");
    refused(&with("b", from(&["a"], to("c", config("lowercase")))), "lowercase takes no replacement");
}

#[test]
fn rules_read_with_the_defaults_of_prometheus() {
    let read: RelabelConfig = serde_json::from_str(r#"{"source_labels":["a"],"target_label":"b"}"#).unwrap();
    assert_eq!(read, from(&["a"], to("b", RelabelConfig::default())));
    assert!(serde_json::from_str::<RelabelConfig>(r#"{"targetlabel":"b"}"#).is_err());
}
