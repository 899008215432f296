//! What a notifier file says: sets of notifiers, how each is found and how it is spoken to. Plain data;
//! `rules::file` reads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Labels, Span};

/// A notifier file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NotifierFile {
    /// What happens to the labels of every alert.
    pub alert_relabeling: Vec<RelabelSpec>,
    /// The sets.
    pub sets: Vec<NotifierSet>,
}

/// Notifiers that are found and spoken to in the same way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NotifierSet {
    /// How they are found.
    pub sources: Vec<Source>,
    /// `http` or `https`, where a target does not say.
    pub scheme: String,
    /// Stands before `/api/v2/alerts`.
    pub path_prefix: String,
    /// How long one request may take; `None` takes the default.
    pub timeout: Option<Span>,
    /// What a request carries.
    pub access: Access,
    /// What happens to targets before they are used.
    pub relabeling: Vec<RelabelSpec>,
    /// What happens to the labels of alerts for these.
    pub alert_relabeling: Vec<RelabelSpec>,
    /// Whether they hear a webhook's body instead of Alertmanager's API.
    pub is_webhook: bool,
}

/// How notifiers are found.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Whole URLs.
    Urls(Vec<String>),
    /// `static_configs`: addresses, with labels.
    Static(TargetGroup),
    /// `file_sd_configs`: JSON files of target groups, by pattern.
    Files(Vec<String>, Span),
    /// `http_sd_configs`
    Http {
        /// The URL that gives target groups.
        url: String,
        /// How it is spoken to.
        access: Access,
        /// How often.
        every: Span,
    },
    /// `dns_sd_configs`
    Dns {
        /// Names to look up.
        names: Vec<String>,
        /// `SRV`, `A` or `AAAA`.
        kind: String,
        /// The port, where the record has none.
        port: u16,
        /// How often.
        every: Span,
    },
    /// `consul_sd_configs`
    Consul {
        /// Consul's URL.
        server: String,
        /// Names of services; empty: all.
        services: Vec<String>,
        /// All of these tags must be there.
        tags: Vec<String>,
        /// Stands between tags in `__meta_consul_tags`.
        tag_separator: String,
        /// `X-Consul-Token`
        token: Option<Secret>,
        /// What every question to Consul says: `dc`, `ns`, `partition`, `filter`, `stale`.
        parameters: Vec<(String, String)>,
        /// How it is spoken to.
        access: Access,
        /// How often.
        every: Span,
    },
}

impl Source {
    /// As the API names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Source::Urls(_) | Source::Static(_) => "static",
            Source::Files(..) => "file",
            Source::Http { .. } => "http",
            Source::Dns { .. } => "dns",
            Source::Consul { .. } => "consul",
        }
    }

    /// How often it is asked; `None` where the answer never changes.
    pub fn every(&self) -> Option<Span> {
        match self {
            Source::Urls(_) | Source::Static(_) => None,
            Source::Files(_, every) => Some(*every),
            Source::Http { every, .. } | Source::Dns { every, .. } | Source::Consul { every, .. } => Some(*every),
        }
    }

    /// How the service that knows the targets is spoken to: never with what notifiers may hear.
    pub fn access(&self) -> Access {
        match self {
            Source::Http { access, .. } | Source::Consul { access, .. } => access.clone(),
            Source::Urls(_) | Source::Static(_) | Source::Files(..) | Source::Dns { .. } => Access::default(),
        }
    }
}

/// Addresses with labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub struct TargetGroup {
    /// `host:port`, or whole URLs.
    pub targets: Vec<String>,
    /// What relabeling sees beside the address.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// What a request carries, and how its peer is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Access {
    /// `basic_auth`: name and password.
    pub basic: Option<(String, Secret)>,
    /// `authorization`, `bearer_token`: type and credentials.
    pub authorization: Option<(String, Secret)>,
    /// `oauth2`
    pub oauth2: Option<OAuth2>,
    /// `headers`, `http_headers`
    pub headers: Vec<(String, Secret)>,
    /// `proxy_url`
    pub proxy: Option<String>,
    /// `tls_config`
    pub tls: Tls,
}

/// A secret, or the file that holds it; read again for each request, so that it may change.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// As it stands.
    Text(String),
    /// The file's content, without white space around it.
    File(String),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Secret::Text(_) => out.write_str("<secret>"),
            Secret::File(path) => write!(out, "<secret in {path}>"),
        }
    }
}

/// `oauth2`: the client credentials flow.
#[derive(Clone, Debug, PartialEq)]
pub struct OAuth2 {
    /// `client_id`
    pub client_id: String,
    /// `client_secret`
    pub client_secret: Secret,
    /// `token_url`
    pub token_url: String,
    /// `scopes`
    pub scopes: Vec<String>,
    /// `endpoint_params`
    pub params: Vec<(String, String)>,
    /// `tls_config`, for the one who gives tokens.
    pub tls: Tls,
    /// `proxy_url`, for the same.
    pub proxy: Option<String>,
}

/// `tls_config`; files are PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Who vouches for the peer, beside those that the system knows.
    pub ca_file: Option<String>,
    /// Our certificate.
    pub cert_file: Option<String>,
    /// Its key.
    pub key_file: Option<String>,
    /// Whether any peer will do.
    pub insecure_skip_verify: bool,
}

/// One entry of a `relabel_configs` list; absent fields are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelabelSpec {
    /// `source_labels`
    pub source_labels: Vec<String>,
    /// `separator`
    pub separator: Option<String>,
    /// `regex`
    pub regex: Option<String>,
    /// `modulus`
    pub modulus: Option<u64>,
    /// `target_label`
    pub target_label: Option<String>,
    /// `replacement`
    pub replacement: Option<String>,
    /// `action`
    pub action: Option<String>,
}

/// Rewrites labels; `None` = dropped.
pub type Relabel = Arc<dyn Fn(Labels) -> Option<Labels> + Send + Sync>;

/// Compiles relabeling rules; the language lives in another room, and is handed in.
pub type CompileRelabeling = fn(&[RelabelSpec]) -> Result<Relabel, String>;
