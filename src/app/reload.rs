//! Reading the configuration and the rule files again.

use std::sync::{Arc, Mutex, PoisonError};

use crate::cli::{self, Serve};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::http::ConfigStatus;
use crate::rules::{Rules, RulesError};

use super::metrics::Metrics;
use super::query_log::QueryLog;
use super::web::Web;

/// Knows how to reload, and how the last time went.
pub(super) struct Reload {
    /// As of the start: what a reload does not change.
    started_with: Config,
    flags: Serve,
    rules: Arc<Rules>,
    query_log: Option<Arc<QueryLog>>,
    web: Web,
    metrics: Metrics,
    clock: Clock,
    status: Mutex<ConfigStatus>,
}

impl Reload {
    pub(super) fn new(
        config: &Config,
        flags: &Serve,
        rules: Arc<Rules>,
        query_log: Option<Arc<QueryLog>>,
        web: Web,
        metrics: Metrics,
        clock: Clock,
    ) -> Self {
        let status = ConfigStatus { yaml: shown(config, flags), loaded_at: clock.now(), last_reload_worked: true };
        Reload {
            started_with: config.clone(),
            flags: flags.clone(),
            rules,
            query_log,
            web,
            metrics,
            clock,
            status: Mutex::new(status),
        }
    }

    /// Reloads; what is wrong is logged, counted and returned, and the old configuration stays.
    ///
    /// # Errors
    /// All problems found, a line each.
    pub(super) fn now(&self) -> Result<(), String> {
        let outcome = self.attempt();
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.last_reload_worked = outcome.is_ok();
        self.metrics.reload_successful.set(i64::from(outcome.is_ok()));
        match &outcome {
            Ok(yaml) => {
                tracing::info!("configuration and rules are reloaded");
                (status.yaml, status.loaded_at) = (yaml.clone(), self.clock.now());
            }
            Err(problems) => {
                self.metrics.reload_failures.inc();
                for problem in problems.lines() {
                    tracing::error!(problem, "reload; the old configuration stays");
                }
            }
        }
        outcome.map(|_| ())
    }

    fn attempt(&self) -> Result<String, String> {
        let config = cli::settle(&self.flags).map_err(|problems| lines(&problems))?;
        let web = self.web.read(&config).map_err(|problem| problem.to_string())?;
        self.rules.reload(Some(&config.rules.files)).map_err(|error| match error {
            RulesError::Files(problems) => lines(&problems),
            other => other.to_string(),
        })?;
        if let Some(log) = &self.query_log {
            log.reopen().map_err(|error| format!("{error:#}"))?;
        }
        self.web.take_over(web);
        for setting in waiting(&self.started_with, &config) {
            tracing::warn!(setting, "the configuration has changed where only a restart takes it over");
        }
        Ok(shown(&config, &self.flags))
    }

    /// [`now`](Self::now), as the API calls it.
    pub(super) fn hook(self: &Arc<Self>) -> Arc<dyn Fn() -> Result<(), String> + Send + Sync> {
        let reload = Arc::clone(self);
        Arc::new(move || reload.now())
    }

    /// The configuration that holds, as the API shows it.
    pub(super) fn status_hook(self: &Arc<Self>) -> Arc<dyn Fn() -> ConfigStatus + Send + Sync> {
        let reload = Arc::clone(self);
        Arc::new(move || reload.status.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn lines(problems: &[impl std::fmt::Display]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Settings that differ and that a reload does not take over: all but the names of rule files and who may ask.
fn waiting(old: &Config, new: &Config) -> Vec<&'static str> {
    let rules_differ = old.rules != config::Rules { files: old.rules.files.clone(), ..new.rules.clone() };
    let http =
        config::Http { web_config: old.http.web_config.clone(), anonymous: old.http.anonymous, ..new.http.clone() };
    let differing = [
        ("listen", old.listen != new.listen),
        ("data", old.data != new.data),
        ("retention", old.retention != new.retention),
        ("retention_size", old.retention_size != new.retention_size),
        ("log", old.log != new.log),
        ("ha", old.ha != new.ha),
        ("write", old.write != new.write),
        ("otlp", old.otlp != new.otlp),
        ("storage", old.storage != new.storage),
        ("query", old.query != new.query),
        ("rules", rules_differ),
        ("notifiers", old.notifiers != new.notifiers),
        ("http", old.http != http),
    ];
    differing.into_iter().filter(|(_, differs)| *differs).map(|(setting, _)| setting).collect()
}

/// The configuration as text: the file as it stands, or a sentence where there is none.
fn shown(config: &Config, flags: &Serve) -> String {
    let file = flags.config.as_deref().and_then(|path| std::fs::read_to_string(path).ok());
    file.unwrap_or_else(|| format!("# no configuration file: defaults and flags\ndata: {}\n", config.data.display()))
}
