//! Plays `tests/rules/*.timeline`: values in, states and notifications out. The format is told in `for.timeline`.

use std::collections::BTreeMap;

use crate::model::sample::is_stale;
use crate::model::{Labels, Span, Timestamp};
use crate::rules::World;
use crate::rules::file::{self, RuleFile};
use crate::rules::group::{Group, Inheritance};
use crate::rules::journal::AlertJournal;
use crate::rules::notify::Message;
use crate::rules::status::{AlertPhase, Behind, Input};

use super::world::{Outside, defaults};

/// The rules, and everything around them that outlives a restart.
struct Stage {
    outside: Outside,
    world: World,
    groups: Vec<Group>,
    files: Vec<RuleFile>,
    /// What had been delivered at the tick.
    input: Input,
}

impl Stage {
    fn new(rules: &str) -> Self {
        let outside = Outside::default();
        let files = vec![rule_file(rules)];
        let groups = Group::of_files(&files, Span::ZERO, Inheritance::default());
        Stage { world: outside.world(), outside, groups, files, input: Input::default() }
    }

    /// As after SIGKILL: nothing but the journal and the samples is left.
    fn restart(&mut self) {
        self.world = self.outside.world();
        let alerts = AlertJournal::new(self.outside.journal.clone()).recall().expect("the journal can be read");
        self.groups = Group::of_files(&self.files, Span::ZERO, Inheritance::of_journal(alerts));
    }

    fn reload(&mut self) {
        let mut inheritance = Inheritance::default();
        self.groups.iter_mut().for_each(|group| inheritance.take(group));
        self.groups = Group::of_files(&self.files, Span::ZERO, inheritance);
    }

    fn act(&mut self, act: &str, rules: &BTreeMap<String, String>) -> bool {
        let act = match act.split_once(':') {
            Some((act, name)) => {
                self.files = vec![rule_file(&rules[name])];
                act
            }
            None => act,
        };
        match act {
            "-" => {}
            "restart" => self.restart(),
            "reload" => self.reload(),
            "away" => *self.outside.away.lock() = true,
            "back" => *self.outside.away.lock() = false,
            "broken" => *self.outside.journal.broken.lock() = true,
            "mended" => *self.outside.journal.broken.lock() = false,
            "behind" => {
                let behind = vec![Behind { cluster: "dc1".to_owned(), up_to: Timestamp::EPOCH }];
                self.input = Input { behind, cluster_labels: ["cluster".to_owned()].into(), ..Input::default() };
            }
            "fresh" => {
                self.groups = Group::of_files(&self.files, Span::ZERO, Inheritance::default().taking_over());
            }
            "delivered" => self.input = Input::default(),
            "late" => return false,
            other => panic!("{other} is nothing that can be done"),
        }
        true
    }

    fn state(&self) -> String {
        let states =
            self.groups.iter().map(Group::status).flat_map(|group| group.rules).filter_map(|rule| rule.alerting);
        let shown =
            states.flat_map(|alerting| alerting.alerts).map(|alert| match (alert.phase, alert.keep_firing_since) {
                _ if alert.input_stale => format!("{}!", alert.phase.as_str()),
                (AlertPhase::Firing, Some(_)) => "kept".to_owned(),
                (phase, _) => phase.as_str().to_owned(),
            });
        joined(shown)
    }

    fn told(&self) -> String {
        joined(std::mem::take(&mut *self.outside.sent.lock()).iter().map(|message| match told_end(message) {
            true => "resolved".to_owned(),
            false => "firing".to_owned(),
        }))
    }

    fn health(&self) -> String {
        joined(
            self.groups
                .iter()
                .map(Group::status)
                .flat_map(|group| group.rules)
                .map(|rule| format!("{:?}", rule.health)),
        )
    }

    fn written(&self, series: &str, at: Timestamp) -> String {
        match self.outside.samples.at(&labels(series), at) {
            None => "-".to_owned(),
            Some(value) if is_stale(value) => "stale".to_owned(),
            Some(value) => value.to_string(),
        }
    }
}

fn told_end(message: &Message) -> bool {
    message.ends_at <= message.said_at
}

fn joined(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    if words.is_empty() { "-".to_owned() } else { words.join("+") }
}

fn rule_file(rules: &str) -> RuleFile {
    let text = format!("groups:\n- name: group\n  rules:\n{rules}");
    file::parse("timeline.yml", &text, &defaults()).expect("the rules of a timeline are good")
}

/// `name{a="b",c="d"}`
fn labels(series: &str) -> Labels {
    let (name, rest) = series.split_once('{').unwrap_or((series, "}"));
    let pairs = rest.trim_end_matches('}').split(',').filter_map(|pair| pair.split_once('='));
    let pairs = pairs.map(|(name, value)| (name, value.trim_matches('"')));
    Labels::from_pairs([("__name__", name)].into_iter().chain(pairs))
}

fn minutes(cell: &str) -> Timestamp {
    Timestamp::EPOCH + cell.parse::<Span>().unwrap_or_else(|_| panic!("{cell} is no time"))
}

/// Plays one timeline.
fn play(text: &str) {
    let (mut rules, mut rows) = (BTreeMap::new(), Vec::new());
    let mut block: Option<(String, String)> = None;
    for line in text.lines() {
        match (&mut block, line.trim()) {
            (Some(_), "end") => rules.extend(block.take()),
            (Some((_, yaml)), _) => {
                yaml.push_str("    ");
                yaml.push_str(line);
                yaml.push('\n');
            }
            (None, trimmed) if trimmed.is_empty() || trimmed.starts_with('#') => {}
            (None, trimmed) => match trimmed.strip_prefix("rules") {
                Some(name) => block = Some((name.trim().to_owned(), String::new())),
                None => rows.push(trimmed.split_whitespace().collect::<Vec<_>>()),
            },
        }
    }
    let mut columns: Vec<Timestamp> = Vec::new();
    let mut stage = Stage::new(&rules[""]);
    // A block of rows begins with its row of times; blocks follow one another.
    for block in rows.chunk_by(|_, next| next[0] != "time") {
        assert_eq!(block[0][0], "time", "a block of rows begins with its times");
        columns.clear();
        columns.extend(block[0][1..].iter().map(|cell| minutes(cell)));
        for row in block {
            assert_eq!(row.len(), columns.len() + 1, "{} has a cell for each time", row[0]);
        }
        for (column, at) in columns.iter().enumerate() {
            *stage.outside.now.lock() = *at;
            let cells = || block[1..].iter().map(|row| (row[0], row[column + 1]));
            for (series, cell) in cells().filter_map(|(head, cell)| Some((head.strip_prefix('<')?, cell))) {
                let value = match cell {
                    "_" => continue,
                    "stale" => f64::from_bits(crate::model::STALE_NAN_BITS),
                    number => number.parse().unwrap_or_else(|_| panic!("{number} is no value")),
                };
                stage.outside.samples.put(&labels(series), *at, value);
            }
            let mut evaluates = true;
            for (_, act) in cells().filter(|(head, _)| *head == "do") {
                evaluates &= stage.act(act, &rules);
            }
            if evaluates {
                let Stage { groups, input, world, .. } = &mut stage;
                groups.iter_mut().for_each(|group| group.tick_with(*at, input.clone(), world));
            }
            for (head, wanted) in cells() {
                let found = match head {
                    "state" => stage.state(),
                    "told" => stage.told(),
                    "health" => stage.health().to_lowercase(),
                    "do" => continue,
                    _ => match head.strip_prefix('>') {
                        Some(series) => stage.written(series, *at),
                        None => continue,
                    },
                };
                assert_eq!(found, wanted, "{head} at {}", block[0][column + 1]);
            }
        }
    }
}

macro_rules! timelines {
    ($($name:ident: $file:literal)*) => {
        $(#[test]
        fn $name() {
            play(include_str!(concat!("../../../tests/rules/", $file, ".timeline")));
        })*
    };
}

timelines! {
    an_alert_fires_after_for: "for"
    an_alert_fires_on_for_a_while: "keep_firing_for"
    an_alert_is_told_until_it_is_heard: "notify"
    state_survives_restart_and_reload: "restart"
    an_edited_rule_keeps_its_alerts: "edit"
    a_removed_rule_resolves_its_alerts: "removal"
    a_failing_rule_changes_nothing: "failure"
    a_late_tick_is_left_out: "missed"
    a_rule_reads_what_the_one_before_wrote: "chain"
    late_data_resolves_nothing: "input"
    pending_times_are_taken_over: "takeover"
}
