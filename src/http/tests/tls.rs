//! TLS over real sockets: certificates, client certificates, and what a reload swaps.

use std::sync::Arc;

use prometheus_client::registry::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::http::{ListenSettings, Metrics, Tls, TlsAcceptance, TlsSettings, listen};

use super::world::World;

const AUTHORITY: &str = include_str!("../../../tests/fixtures/tls/ca.crt");
const SERVER: (&str, &str) =
    (include_str!("../../../tests/fixtures/tls/server.crt"), include_str!("../../../tests/fixtures/tls/server.key"));
const CLIENT: (&str, &str) =
    (include_str!("../../../tests/fixtures/tls/client.crt"), include_str!("../../../tests/fixtures/tls/client.key"));

fn demanding(client_auth: &str, names: &[&str]) -> TlsSettings {
    TlsSettings {
        certificate: SERVER.0.into(),
        key: SERVER.1.into(),
        client_authority: AUTHORITY.into(),
        client_auth: client_auth.into(),
        client_names: names.iter().map(|name| (*name).to_owned()).collect(),
        http2: true,
        ..TlsSettings::default()
    }
}

fn accepting(settings: &TlsSettings) -> Option<Arc<TlsAcceptance>> {
    Some(Arc::new(TlsAcceptance::new(settings).expect("good certificates")))
}

/// Whether a request over TLS is answered, with or without a client certificate.
async fn answered(address: std::net::SocketAddr, with_certificate: bool) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(AUTHORITY.as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let config = match with_certificate {
        true => {
            let chain = vec![CertificateDer::from_pem_slice(CLIENT.0.as_bytes()).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(CLIENT.1.as_bytes()).unwrap()).unwrap()
        }
        false => builder.with_no_client_auth(),
    };
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let Ok(mut stream) = TlsConnector::from(Arc::new(config)).connect(name, stream).await else { return false };
    let mut answer = String::new();
    stream.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.is_ok()
        && stream.read_to_string(&mut answer).await.is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

#[tokio::test]
async fn client_certificates_are_demanded_as_web_yml_says() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tls = Tls::default();
    let metrics = Metrics::register(&mut Registry::default());
    let router = World::new().router;
    let settings = ListenSettings::default();
    tokio::spawn(listen(listener, router, settings, Arc::clone(&tls), metrics, std::future::pending()));
    for (client_auth, names, without, with) in [
        ("", &[][..], true, true),
        ("RequestClientCert", &[][..], true, true),
        ("RequireAnyClientCert", &[][..], false, true),
        ("VerifyClientCertIfGiven", &[][..], true, true),
        ("RequireAndVerifyClientCert", &[][..], false, true),
        ("RequireAndVerifyClientCert", &["client.example"][..], false, true),
        ("RequireAndVerifyClientCert", &["other.example"][..], false, false),
    ] {
        // What a reload does: the listener stands, the next connection meets the new demand.
        tls.store(accepting(&demanding(client_auth, names)));
        assert_eq!(answered(address, false).await, without, "{client_auth} {names:?} without");
        assert_eq!(answered(address, true).await, with, "{client_auth} {names:?} with");
    }
}

#[test]
fn what_cannot_be_accepted_is_said() {
    #[track_caller]
    fn check(change: impl Fn(&mut TlsSettings), part: &str) {
        let mut settings = demanding("", &[]);
        change(&mut settings);
        let why = TlsAcceptance::new(&settings).err().expect("refused");
        assert!(why.contains(part), "{why:?} does not say {part:?}");
    }
    check(|settings| settings.certificate = "no PEM".into(), "cert_file: there is no certificate in it");
    check(|settings| settings.key = CLIENT.1.into(), "cert_file, key_file");
    check(|settings| settings.client_auth = "Always".into(), "client_auth_type");
    check(|settings| settings.min_version = "TLS14".into(), "TLS14");
    check(|settings| settings.cipher_suites = vec!["TLS_RSA_WITH_RC4_128_SHA".into()], "none of");
}
