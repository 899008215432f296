//! TLS: from certificates as text to what a connection is accepted with.
//!
//! A reload swaps the whole; connections that stand go on with what they began with.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme, version,
};

/// What new connections are accepted with; `None` = plain text.
pub type Tls = Arc<ArcSwapOption<TlsAcceptance>>;

/// How TLS connections are accepted.
pub struct TlsAcceptance {
    pub(super) config: Arc<ServerConfig>,
    /// Names of which a client certificate must have one; empty = any.
    allowed_names: Vec<String>,
}

/// Certificates and demands, as texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TlsSettings {
    /// The certificate chain, PEM.
    pub certificate: String,
    /// Its key, PEM.
    pub key: String,
    /// Who signs client certificates, PEM; may be empty.
    pub client_authority: String,
    /// What is asked of clients, in Go's words; empty = nothing.
    pub client_auth: String,
    /// Subject alternative names of which a client certificate must have one; empty = any.
    pub client_names: Vec<String>,
    /// `TLS12`, `TLS13`, or empty.
    pub min_version: String,
    /// `TLS12`, `TLS13`, or empty.
    pub max_version: String,
    /// Cipher suites of TLS 1.2, by their names in Go; empty = the usual ones.
    pub cipher_suites: Vec<String>,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
}

impl TlsAcceptance {
    /// Reads certificates and key, and holds them against each other.
    ///
    /// # Errors
    /// What is wrong with them, in a sentence.
    pub fn new(settings: &TlsSettings) -> Result<Self, String> {
        let provider = Arc::new(provider(&settings.cipher_suites)?);
        let versions: &[_] = match (settings.min_version.as_str(), settings.max_version.as_str()) {
            ("TLS13", "TLS12") => return Err("min_version is above max_version".to_owned()),
            ("TLS13", _) => &[&version::TLS13],
            (_, "TLS12") => &[&version::TLS12],
            ("" | "TLS10" | "TLS11" | "TLS12", "" | "TLS13") => &[&version::TLS13, &version::TLS12],
            (min, max) => return Err(format!("unknown TLS version {:?}", if max.is_empty() { min } else { max })),
        };
        let chain = certificates(&settings.certificate, "cert_file")?;
        let key =
            PrivateKeyDer::from_pem_slice(settings.key.as_bytes()).map_err(|error| format!("key_file: {error}"))?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|error| format!("tls_server_config: {error}"))?;
        let builder = match client_verifier(settings, provider)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config =
            builder.with_single_cert(chain, key).map_err(|error| format!("cert_file, key_file: {error}"))?;
        config.alpn_protocols = if settings.http2 { vec![b"h2".to_vec()] } else { Vec::new() };
        config.alpn_protocols.push(b"http/1.1".to_vec());
        Ok(TlsAcceptance { config: Arc::new(config), allowed_names: settings.client_names.clone() })
    }

    /// Whether a client with this certificate may come in.
    pub(super) fn lets_in(&self, certificate: Option<&CertificateDer<'_>>) -> bool {
        let has_name = |certificate: &CertificateDer<'_>| {
            let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else { return false };
            let names = self.allowed_names.iter().filter_map(|name| ServerName::try_from(name.as_str()).ok());
            names.into_iter().any(|name| certificate.verify_is_valid_for_subject_name(&name).is_ok())
        };
        self.allowed_names.is_empty() || certificate.is_some_and(has_name)
    }
}

fn provider(names: &[String]) -> Result<CryptoProvider, String> {
    let mut provider = aws_lc_rs::default_provider();
    if !names.is_empty() {
        let is_wanted = |suite: &str| names.iter().any(|name| suite.starts_with(name.as_str()));
        // Those of TLS 1.3 cannot be chosen, as in Go.
        provider.cipher_suites.retain(|suite| {
            let name = format!("{:?}", suite.suite());
            name.starts_with("TLS13_") || is_wanted(&name)
        });
        if provider.cipher_suites.iter().all(|suite| format!("{:?}", suite.suite()).starts_with("TLS13_")) {
            return Err(format!("cipher_suites: none of {} is spoken here", names.join(", ")));
        }
    }
    Ok(provider)
}

fn certificates(pem: &str, what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    match chain {
        Ok(chain) if chain.is_empty() => Err(format!("{what}: there is no certificate in it")),
        Ok(chain) => Ok(chain),
        Err(error) => Err(format!("{what}: {error}")),
    }
}

fn client_verifier(
    settings: &TlsSettings,
    provider: Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    let (verified, mandatory) = match settings.client_auth.as_str() {
        "" | "NoClientCert" => return Ok(None),
        "RequestClientCert" => (false, false),
        "RequireAnyClientCert" | "RequireClientCert" => (false, true),
        "VerifyClientCertIfGiven" => (true, false),
        "RequireAndVerifyClientCert" => (true, true),
        other => return Err(format!("client_auth_type: unknown word {other:?}")),
    };
    if !verified {
        return Ok(Some(Arc::new(AnyClient { mandatory, provider })));
    }
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&settings.client_authority, "client_ca_file")? {
        roots.add(certificate).map_err(|error| format!("client_ca_file: {error}"))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if mandatory { builder } else { builder.allow_unauthenticated() };
    Ok(Some(builder.build().map_err(|error| format!("client_ca_file: {error}"))?))
}

/// Takes any certificate whose key the client has: what Go calls `RequestClientCert` and `RequireAnyClientCert`.
#[derive(Debug)]
struct AnyClient {
    mandatory: bool,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
