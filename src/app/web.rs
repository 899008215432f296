//! web.yml put to work: users for `access`, certificates for the listener; read again at a reload.

use std::sync::Arc;

use axum::http::HeaderMap;

use crate::access::{self, Access, Users};
use crate::config::{Config, Problem, web};
use crate::http::{AnswerHeaders, Tls, TlsAcceptance, TlsSettings, answer_headers};

/// What web.yml changes.
pub(super) struct Web {
    access: Arc<Access>,
    tls: Tls,
    headers: AnswerHeaders,
    pepper: [u8; 32],
}

/// What web.yml says, checked.
pub(super) struct Read {
    settings: access::Settings,
    acceptance: Option<Arc<TlsAcceptance>>,
    headers: HeaderMap,
}

impl Read {
    /// How connections are accepted; `None` = in plain text.
    pub(super) fn acceptance(&self) -> Option<Arc<TlsAcceptance>> {
        self.acceptance.clone()
    }
}

impl Web {
    pub(super) fn new(access: Arc<Access>, tls: Tls, headers: AnswerHeaders, pepper: [u8; 32]) -> Self {
        Web { access, tls, headers, pepper }
    }

    /// Reads the file that the configuration names, if it names one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(&self, config: &Config) -> Result<Read, Problem> {
        read(config, self.pepper)
    }

    /// Takes over what was read, all of it.
    pub(super) fn take_over(&self, read: Read) {
        self.access.set(read.settings);
        self.tls.store(read.acceptance);
        self.headers.store(Arc::new(read.headers));
    }
}

/// Reads the file that the configuration names, if it names one; `pepper` is chance.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(config: &Config, pepper: [u8; 32]) -> Result<Read, Problem> {
    let anonymous = config.http.anonymous;
    let path = &config.http.web_config;
    if path.as_os_str().is_empty() {
        let settings = access::Settings { anonymous, ..access::Settings::default() };
        return Ok(Read { settings, acceptance: None, headers: HeaderMap::new() });
    }
    let web = web::read(path)?;
    let http2 = web.http_server_config.http2;
    let acceptance = web.tls_server_config.map(|tls| TlsAcceptance::new(&settings(tls, http2))).transpose();
    let broken = |what: String| Problem { place: path.display().to_string(), what };
    let acceptance = acceptance.map_err(broken)?;
    let headers = answer_headers(&web.http_server_config.headers).map_err(broken)?;
    let users = Arc::new(Users::new(web.basic_auth_users, pepper));
    Ok(Read { settings: access::Settings { users, anonymous }, acceptance: acceptance.map(Arc::new), headers })
}

fn settings(tls: web::Tls, http2: bool) -> TlsSettings {
    TlsSettings {
        certificate: tls.cert,
        key: tls.key,
        client_authority: tls.client_ca,
        client_auth: tls.client_auth_type,
        client_names: tls.client_allowed_sans,
        min_version: tls.min_version,
        max_version: tls.max_version,
        cipher_suites: tls.cipher_suites,
        http2,
    }
}
