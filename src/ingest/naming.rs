//! What a key means: its labels, held against the limits, and the HA replica that sent it.
//!
//! This runs once for each key that the store does not know, so it may take its time.

use xxhash_rust::xxh3::xxh3_64;

use crate::model::{LabelError, LabelsBuilder, METRIC_NAME, Replica};
use crate::store::{Refused, SeriesName, SeriesNaming};

use super::wire::key;
use super::{Settings, relabel};

/// Names series for one sender.
pub(super) struct Naming<'a> {
    settings: &'a Settings,
    /// The replica that the request itself names, whatever its labels say.
    replica: Option<&'a str>,
    /// The HA group that the request names for that replica.
    cluster: Option<&'a str>,
    /// What the sender's token puts on every series.
    labels: &'a [(String, String)],
    seed: u64,
}

impl<'a> Naming<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        settings_seed: u64,
        replica: Option<&'a str>,
        cluster: Option<&'a str>,
        labels: &'a [(String, String)],
    ) -> Self {
        let mut seed = match replica {
            None => settings_seed,
            Some(name) => settings_seed ^ xxh3_64(name.as_bytes()).rotate_left(1).max(1),
        };
        if let Some(cluster) = cluster {
            seed = xxh3_64(format!("{seed} of {cluster}").as_bytes());
        }
        if !labels.is_empty() {
            seed = xxh3_64(format!("{seed} {labels:?}").as_bytes());
        }
        Naming { settings, replica, cluster, labels, seed }
    }

    /// The name of a series whose labels relabeling has left like this.
    pub(super) fn of_rewritten(&self, mut builder: LabelsBuilder) -> Result<SeriesName, Refused> {
        // Behind relabeling, which a sender's labels may steer, and before the replica is taken off.
        for (name, value) in self.labels {
            builder.set(name, value);
        }
        let replica = self.take_replica(&mut builder);
        let labels = builder.build().map_err(|error| match error {
            LabelError::Duplicate(name) => Refused::DuplicateLabel(name),
            LabelError::EmptyName => Refused::EmptyLabelName,
        })?;
        match labels.get(METRIC_NAME) {
            None => Err(Refused::NoMetricName),
            Some(_) => Ok(SeriesName { labels, replica }),
        }
    }

    /// Takes the replica label off, and says who the replica is.
    ///
    /// Without a replica there is no group, even where a group label stands: one Prometheus alone is no pair.
    fn take_replica(&self, labels: &mut LabelsBuilder) -> Option<Replica> {
        let Settings { replica_labels, cluster_labels, .. } = self.settings;
        let place = replica_labels.iter().position(|name| labels.get(name).is_some_and(|value| !value.is_empty()));
        let labelled = place.and_then(|place| labels.remove(&replica_labels[place]));
        let name = self.replica.map(str::to_owned).or(labelled)?;
        let own = place.and_then(|place| cluster_labels.get(place));
        if let Some(cluster) = self.cluster {
            return Some(Replica { cluster: cluster.to_owned(), name });
        }
        let mut clusters = own.into_iter().chain(cluster_labels).filter_map(|label| labels.get(label));
        Some(Replica { cluster: clusters.find(|value| !value.is_empty()).unwrap_or_default().to_owned(), name })
    }
}

/// The seed of all keys that are named under `settings`: other limits or HA labels may name them otherwise.
pub(super) fn seed(settings: &Settings) -> u64 {
    xxh3_64(format!("{settings:?}").as_bytes())
}

impl SeriesNaming for Naming<'_> {
    fn seed(&self) -> u64 {
        self.seed
    }

    fn name(&self, key: &[u8]) -> Result<SeriesName, Refused> {
        let mut builder = read_labels(key, self.settings)?;
        if !relabel::apply(&self.settings.relabel, &mut builder) {
            return Err(Refused::Relabeled);
        }
        self.of_rewritten(builder)
    }

    fn describe(&self, key: &[u8]) -> String {
        key::describe(key)
    }
}

/// The labels of a key as text, as many and as long as the limits allow.
fn read_labels(key: &[u8], settings: &Settings) -> Result<LabelsBuilder, Refused> {
    let mut builder = LabelsBuilder::default();
    let mut bytes = 0;
    for label in key::labels(key) {
        let (name, value) = label.map_err(|error| Refused::Malformed(error.to_string()))?;
        bytes += name.len() + value.len();
        if builder.pairs().len() == settings.labels_max {
            return Err(Refused::TooManyLabels { limit: settings.labels_max });
        }
        if name.len() > settings.label_name_bytes_max {
            return Err(Refused::LabelNameTooLong { limit: settings.label_name_bytes_max });
        }
        if value.len() > settings.label_value_bytes_max {
            return Err(Refused::LabelValueTooLong { limit: settings.label_value_bytes_max });
        }
        if bytes > settings.labels_bytes_max {
            return Err(Refused::LabelsTooLong { limit: settings.labels_bytes_max });
        }
        let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) else {
            return Err(Refused::InvalidUtf8);
        };
        builder.push(name, value);
    }
    check_unique(builder.pairs())?;
    Ok(builder)
}

/// Before the replica label is taken off: a second one must not survive as an ordinary label.
fn check_unique(pairs: &[(String, String)]) -> Result<(), Refused> {
    let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Refused::DuplicateLabel(pair[0].to_owned())),
        None => Ok(()),
    }
}
