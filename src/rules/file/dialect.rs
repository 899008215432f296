//! Which of the programs that read rule files knows which key: for the notes of `weir check rules`.
//!
//! A file need not run elsewhere to be good; but who shares one with another program wants to hear what that program
//! would refuse.

use std::fmt;

/// A program that reads rule files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Prometheus,
    Vmalert,
    Mimir,
    Thanos,
}

use Dialect::{Mimir, Prometheus, Thanos, Vmalert};

const ALL: &[Dialect] = &[Prometheus, Vmalert, Mimir, Thanos];

impl fmt::Display for Dialect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Prometheus => "Prometheus",
            Vmalert => "vmalert",
            Mimir => "Mimir",
            Thanos => "Thanos",
        })
    }
}

/// Who knows a key of a group. A key that nobody knows is not noted here: it is refused.
pub(super) fn of_group_key(key: &str) -> &'static [Dialect] {
    match key {
        "query_offset" => &[Prometheus, Mimir, Thanos],
        "concurrency" | "type" | "params" | "headers" | "notifier_headers" | "eval_offset" | "eval_delay"
        | "eval_alignment" | "debug" | "tenant" => &[Vmalert],
        "source_tenants" | "align_evaluation_time_on_interval" | "evaluation_delay" | "remote_write" | "namespace" => {
            &[Mimir]
        }
        "partial_response_strategy" => &[Thanos],
        _ => ALL,
    }
}

/// Who knows a key of a rule.
pub(super) fn of_rule_key(key: &str) -> &'static [Dialect] {
    match key {
        "debug" | "update_entries_limit" => &[Vmalert],
        _ => ALL,
    }
}

/// Those that do not know what `knowing` know, in words; `None` where all do.
pub(super) fn refusing(knowing: &[Dialect]) -> Option<String> {
    let mut refusing: Vec<String> =
        ALL.iter().filter(|dialect| !knowing.contains(dialect)).map(Dialect::to_string).collect();
    let last = refusing.pop()?;
    Some(if refusing.is_empty() { last } else { format!("{} and {last}", refusing.join(", ")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_do_not_know_a_key_are_named() {
        assert_eq!(refusing(of_group_key("name")), None);
        assert_eq!(refusing(of_group_key("query_offset")).as_deref(), Some("vmalert"));
        assert_eq!(refusing(of_rule_key("debug")).as_deref(), Some("Prometheus, Mimir and Thanos"));
    }
}
