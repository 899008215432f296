//! Prometheus' web.yml, as it is: TLS, client certificates, users with passwords, headers. Format: the exporter
//! toolkit's "web configuration".
//!
//! Certificates are read here too, so that what a reload takes over is whole or not taken at all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::read::{Problem, is_blank, problem};

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Web {
    /// TLS; without it connections are plain.
    pub tls_server_config: Option<Tls>,
    /// The HTTP server.
    pub http_server_config: HttpServer,
    /// bcrypt hashes of passwords, by user.
    pub basic_auth_users: BTreeMap<String, String>,
}

/// TLS. What Go can be told and rustls decides by itself is read and passed over.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub cert: String,
    /// Its key, PEM.
    pub key: String,
    /// Who signs client certificates, PEM.
    pub client_ca: String,
    /// A file instead of `cert`.
    pub cert_file: PathBuf,
    /// A file instead of `key`.
    pub key_file: PathBuf,
    /// A file instead of `client_ca`.
    pub client_ca_file: PathBuf,
    /// `NoClientCert`, `RequestClientCert`, `RequireAnyClientCert`, `VerifyClientCertIfGiven`,
    /// `RequireAndVerifyClientCert`.
    #[serde(alias = "client_auth")]
    pub client_auth_type: String,
    /// Subject alternative names of which a client certificate must have one.
    pub client_allowed_sans: Vec<String>,
    /// `TLS12` or `TLS13`; older names mean `TLS12`, the oldest that is spoken.
    pub min_version: String,
    /// `TLS12` or `TLS13`.
    pub max_version: String,
    /// Cipher suites of TLS 1.2, by their names in Go.
    pub cipher_suites: Vec<String>,
    /// Read and passed over: the order is the client's.
    pub prefer_server_cipher_suites: Option<bool>,
    /// Read and passed over.
    pub curve_preferences: Vec<String>,
}

/// The HTTP server.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpServer {
    /// Whether HTTP/2 is offered over TLS.
    pub http2: bool,
    /// Headers of every answer.
    pub headers: BTreeMap<String, String>,
}

impl Default for HttpServer {
    fn default() -> Self {
        HttpServer { http2: true, headers: BTreeMap::new() }
    }
}

/// The headers that may be set. (Prometheus: the same.)
const HEADERS: [&str; 5] = [
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
    "Content-Security-Policy",
];

/// Reads the file and the certificates it names, relative to itself.
///
/// # Errors
/// What is wrong with it, and where.
pub fn read(path: &Path) -> Result<Web, Problem> {
    let place = path.display().to_string();
    let broken = |what: String| Problem { place: place.clone(), what };
    let text = std::fs::read_to_string(path).map_err(|error| broken(format!("read web configuration: {error}")))?;
    let mut web = match text.lines().all(is_blank) {
        true => Web::default(),
        false => serde_saphyr::from_str::<Web>(&text).map_err(|error| problem(&place, &error))?,
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    if let Some(tls) = &mut web.tls_server_config {
        for (text, file, what) in [
            (&mut tls.cert, &tls.cert_file, "cert_file"),
            (&mut tls.key, &tls.key_file, "key_file"),
            (&mut tls.client_ca, &tls.client_ca_file, "client_ca_file"),
        ] {
            if file.as_os_str().is_empty() {
                continue;
            }
            if !text.is_empty() {
                return Err(broken(format!("tls_server_config: {what} and its text are both given")));
            }
            let file = folder.join(file);
            *text = std::fs::read_to_string(&file)
                .map_err(|error| broken(format!("tls_server_config: read {what} {}: {error}", file.display())))?;
        }
        if tls.cert.is_empty() || tls.key.is_empty() {
            return Err(broken("tls_server_config: cert_file and key_file are needed".to_owned()));
        }
    }
    if let Some(name) = web.http_server_config.headers.keys().find(|name| !HEADERS.contains(&name.as_str())) {
        return Err(broken(format!("http_server_config: header {name} cannot be set; {} can", HEADERS.join(", "))));
    }
    let is_bcrypt = |hash: &String| hash.len() == 60 && hash.starts_with("$2");
    if let Some((name, _)) = web.basic_auth_users.iter().find(|(_, hash)| !is_bcrypt(hash)) {
        return Err(broken(format!(
            "basic_auth_users: {name}: a bcrypt hash is expected, as `htpasswd -nBC 10` makes it"
        )));
    }
    Ok(web)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Web, String> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("web.yml"), text).expect("write");
        std::fs::write(folder.path().join("a.crt"), "CERT").expect("write");
        std::fs::write(folder.path().join("a.key"), "KEY").expect("write");
        read(&folder.path().join("web.yml")).map_err(|problem| problem.what)
    }

    #[test]
    fn prometheus_file_is_read_as_it_is() {
        let web = read_text(
            "tls_server_config:\n  cert_file: a.crt\n  key_file: a.key\n  client_auth_type: RequireAndVerifyClientCert\n  \
             min_version: TLS13\n  prefer_server_cipher_suites: true\nhttp_server_config:\n  http2: false\n  headers:\n    \
             X-Frame-Options: deny\nbasic_auth_users:\n  alice: $2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze\n",
        )
        .expect("valid");
        let tls = web.tls_server_config.expect("TLS");
        assert_eq!((tls.cert.as_str(), tls.key.as_str(), tls.min_version.as_str()), ("CERT", "KEY", "TLS13"));
        assert!(!web.http_server_config.http2);
        assert_eq!(web.basic_auth_users.len(), 1);
        assert_eq!(read_text("# nothing\n"), Ok(Web::default()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        #[track_caller]
        fn check(text: &str, part: &str) {
            let why = read_text(text).expect_err(text);
            assert!(why.contains(part), "{why:?} does not say {part:?}");
        }
        check("basic_auth_user: {}\n", "basic_auth_user");
        check("basic_auth_users: {a: secret}\n", "bcrypt");
        check("tls_server_config: {cert_file: a.crt}\n", "key_file are needed");
        check("tls_server_config: {cert_file: none.crt, key_file: a.key}\n", "none.crt");
        check("http_server_config: {headers: {Server: x}}\n", "Server cannot be set");
    }
}
