//! From the configuration to each room's settings: the one place where their names meet.

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::{self, Config, Fsync, HaPolicyName};
use crate::ha::{Policy, PolicyRule};
use crate::ingest::relabel;
use crate::ingest::wire::encode::write_request;
use crate::model::{Labels, Span};
use crate::promql::Features;
use crate::rules::notify::config::{Relabel, RelabelSpec};
use crate::{http, ingest, promql, rules, tsdb};

/// PromQL's features by Prometheus' names.
///
/// # Errors
/// The first name that is unknown.
pub(super) fn features(config: &Config) -> anyhow::Result<Features> {
    let mut features = Features::default();
    for name in &config.query.features {
        features.enable(name)?;
    }
    Ok(features)
}

pub(super) fn engine(config: &Config, features: Features) -> promql::Settings {
    promql::Settings {
        lookback: config.query.lookback.0,
        samples_max: config.query.samples_max,
        bytes_max: config.query.memory_max.0 as u64,
        series_max: config.query.series_max,
        features,
        ..promql::Settings::default()
    }
}

pub(super) fn ingest(config: &Config) -> anyhow::Result<ingest::Settings> {
    let rules = config.write.relabel_configs.iter().map(|rule| rule.compile());
    Ok(ingest::Settings {
        body_bytes_max: config.write.body_max.0,
        decoded_bytes_max: config.write.decoded_max.0,
        labels_max: config.write.labels_max,
        label_name_bytes_max: config.write.label_name_max.0,
        label_value_bytes_max: config.write.label_value_max.0,
        replica_labels: config.ha.replica_labels.clone(),
        cluster_labels: config.ha.cluster_labels.clone(),
        otlp: config.otlp.clone(),
        relabel: rules.collect::<Result<_, _>>()?,
        ..ingest::Settings::default()
    })
}

pub(super) fn tsdb(config: &Config, hash_seed: u64, without_log: bool) -> tsdb::Settings {
    tsdb::Settings {
        data: config.data.clone(),
        retention: config.retention.0,
        retention_bytes: config.retention_size.0 as u64,
        merge_cpu_share: config.storage.merge_cpu_share,
        free_bytes_min: config.storage.free_min.0 as u64,
        reserve_bytes: config.storage.reserve.0 as u64,
        fsync: match config.storage.fsync {
            _ if without_log => tsdb::FsyncPolicy::Unlogged,
            Fsync::Always => tsdb::FsyncPolicy::Always,
            Fsync::Every(length) => tsdb::FsyncPolicy::Interval(length.0),
            Fsync::Never => tsdb::FsyncPolicy::Never,
        },
        ahead_max: config.write.ahead_max.0,
        series_max: config.storage.series_max,
        series_per_metric_max: config.storage.series_per_metric_max,
        new_series_per_second_max: config.storage.new_series_per_second_max,
        replica_label: config.ha.replica_labels.first().cloned().unwrap_or_else(|| "__replica__".into()),
        cluster_labels: config.ha.cluster_labels.clone(),
        pairs: pairs(config),
        hash_seed,
        ..tsdb::Settings::default()
    }
}

fn pairs(config: &Config) -> tsdb::settings::Pairs {
    let policies = config.ha.policies.iter().filter_map(|one| {
        // `cli::settle` has named selectors that cannot be read.
        let matchers = promql::parse::parse_selector(&one.selector).ok()?;
        let policy = match one.policy {
            HaPolicyName::Prefer => Policy::Prefer,
            HaPolicyName::Any => Policy::Any,
            HaPolicyName::Max => Policy::Max,
            HaPolicyName::Min => Policy::Min,
            HaPolicyName::KeepReplica => Policy::KeepReplica,
        };
        Some(PolicyRule { matchers, policy })
    });
    tsdb::settings::Pairs {
        policies: policies.collect(),
        orders: config.ha.order.clone(),
        clean_run: config.ha.clean_run,
        interval: None,
    }
}

/// How often a thread of its own syncs the log, if one does.
pub(super) fn sync_log_every(config: &Config) -> Option<Span> {
    match config.storage.fsync {
        Fsync::Every(length) => Some(length.0),
        Fsync::Always | Fsync::Never => None,
    }
}

pub(super) fn http(config: &Config) -> http::Settings {
    http::Settings {
        query_timeout: config.query.timeout.0,
        queries_running_max: config.query.concurrency,
        lookback: config.query.lookback.0,
        write_body_bytes_max: config.write.body_max.0,
        replica_users: config.ha.replica_users.clone(),
        ..http::Settings::default()
    }
}

/// What rule files leave open.
pub(crate) fn rule_defaults(config: &Config, features: Features) -> rules::file::Defaults {
    rules::file::Defaults {
        interval: config.rules.interval.0,
        features,
        environment: crate::cli::environment(),
        alertgroup: config.rules.alertgroup_label,
        templates: config.rules.templates.clone(),
        now: || Clock::system().now(),
    }
}

pub(super) fn rules(config: &Config, features: Features) -> rules::Settings {
    rules::Settings {
        files: config.rules.files.clone(),
        defaults: rule_defaults(config, features),
        query_offset: config.rules.query_offset.0,
        // Who evaluates is no part of an alert: Alertmanager merges those whose labels are equal.
        external_labels: Labels::from_pairs(
            config.rules.external_labels.iter().filter(|(name, _)| !config.ha.replica_labels.contains(name)),
        ),
        external_url: external_url(config),
        concurrency: config.rules.concurrency,
        wait: match config.rules.wait {
            config::Wait::Data => rules::Wait::Data,
            config::Wait::Fixed(length) => rules::Wait::Fixed(length.0),
            config::Wait::Off => rules::Wait::Off,
        },
        wait_max: config.rules.wait_max.0,
        check_interval: config.rules.check_interval.0,
        editable: config.rules.api,
        notify: rules::notify::Settings {
            urls: config.notifiers.clone(),
            compile: relabeling,
            ..rules::notify::Settings::default()
        },
        notifier_file: config.rules.notifier_config.display().to_string(),
        peers: rules::peers::Settings {
            replica: config.rules_replica().to_owned(),
            urls: config.rules.peers.clone(),
            token_file: config.rules.peers_token_file.display().to_string(),
            encode: write_request,
        },
        ..rules::Settings::default()
    }
}

/// Relabeling as notifiers use it: the same as at the way in.
fn relabeling(specs: &[RelabelSpec]) -> Result<Relabel, String> {
    let compiled: Result<Vec<_>, _> = specs.iter().map(|spec| relabel_config(spec).compile()).collect();
    let compiled = compiled.map_err(|refusal| refusal.to_string())?;
    Ok(Arc::new(move |labels: Labels| {
        let mut builder = labels.to_builder();
        relabel::apply(&compiled, &mut builder).then(|| builder.build().ok()).flatten()
    }))
}

fn relabel_config(spec: &RelabelSpec) -> relabel::RelabelConfig {
    let default = relabel::RelabelConfig::default();
    let spec = spec.clone();
    relabel::RelabelConfig {
        source_labels: spec.source_labels,
        separator: spec.separator.unwrap_or(default.separator),
        regex: spec.regex.unwrap_or(default.regex),
        modulus: spec.modulus.unwrap_or(default.modulus),
        target_label: spec.target_label.unwrap_or(default.target_label),
        replacement: spec.replacement.unwrap_or(default.replacement),
        action: spec.action.unwrap_or(default.action),
    }
}

/// The URL under which people reach this process.
fn external_url(config: &Config) -> String {
    match config.http.external_url.as_str() {
        "" => format!("http://localhost:{}", config.listen.port()),
        url => url.trim_end_matches('/').to_owned(),
    }
}
