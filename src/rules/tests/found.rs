//! Services that know notifiers, and what it takes to be heard by them: tokens, passwords, certificates.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::model::{Labels, Span};
use crate::rules::file::{self, Defaults, Environment};
use crate::rules::notify::{Notifiers, Settings};
use crate::rules::{Metrics, Problem};

use super::notifiers::{message, settings};
use super::server::{Reply, Server, ok};

/// The fixtures' folder.
const TLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls");

/// Notifiers as a file describes them.
fn start(runtime: &Runtime, text: &str, change: impl FnOnce(Settings) -> Settings) -> Notifiers {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notifiers.yml").display().to_string();
    std::fs::write(&path, text).unwrap();
    let file = file::notifiers(&path).unwrap_or_else(|problems| panic!("{problems:?}"));
    let settings = change(Settings { file, ..settings(Vec::new()) });
    Notifiers::start(&settings, &Metrics::default(), runtime.handle()).unwrap()
}

/// The URLs of the notifiers, once there are so many; only a broken build waits for long.
fn found(runtime: &Runtime, notifiers: &Notifiers, count: usize) -> Vec<String> {
    for _ in 0..2_000 {
        if notifiers.urls().len() == count {
            return notifiers.urls();
        }
        runtime.block_on(async { tokio::time::sleep(Duration::from_millis(5)).await });
    }
    panic!("{count} notifiers are found: {:?}", notifiers.states());
}

#[test]
fn a_web_server_tells_of_notifiers_and_hears_no_secret_of_theirs() {
    let runtime = Runtime::new().unwrap();
    let alertmanager = Server::start(&runtime, None, |_| ok("{}"));
    let target = alertmanager.address;
    let targets = Server::start(&runtime, None, move |_| {
        ok(format!(r#"[{{"targets":["{target}"],"labels":{{"__meta_zone":"eu"}}}},{{"targets":[]}}]"#))
    });
    let text = format!(
        "alerting:\n  alertmanagers:\n  - path_prefix: /am\n    basic_auth: {{username: u, password: p}}\n    http_headers: \
         {{X-Scope: {{values: [one]}}}}\n    http_sd_configs:\n    - url: {}/targets\n      authorization: \
         {{credentials: sd}}\n",
        targets.url()
    );
    let notifiers = start(&runtime, &text, |settings| settings);
    assert_eq!(found(&runtime, &notifiers, 1), [format!("http://{target}/am/api/v2/alerts")]);
    notifiers.enqueue(&[message("a", 0)]);
    notifiers.stop();
    let (asked, heard) = (targets.heard.lock(), alertmanager.heard.lock());
    assert_eq!((asked[0].line.as_str(), asked[0].header("authorization")), ("GET /targets", "Bearer sd"));
    let said = (heard[0].line.as_str(), heard[0].header("authorization"), heard[0].header("x-scope"));
    assert_eq!(said, ("POST /am/api/v2/alerts", "Basic dTpw", "one"));
    assert_eq!(heard[0].json()[0]["labels"]["host"], "a");
}

#[test]
fn consul_tells_of_notifiers() {
    let runtime = Runtime::new().unwrap();
    let consul = Server::start(&runtime, None, |heard| {
        let entry = |node: &str, address: &str, tags: &str, status: &str| {
            format!(
                r#"{{"Node":{{"Node":"{node}","Address":"10.0.0.9","Datacenter":"eu"}},"Service":{{"ID":"{node}-1","Service":"am","Tags":[{tags}],"Address":"{address}","Port":9093,"Meta":{{"role":"x"}}}},"Checks":[{{"Status":"{status}"}}]}}"#
            )
        };
        match heard.line.as_str() {
            "GET /base/v1/catalog/services?dc=eu" => ok(r#"{"am":["prod"],"db":[]}"#),
            "GET /base/v1/health/service/am?dc=eu" => ok(format!(
                "[{},{},{}]",
                entry("n1", "10.0.0.1", r#""prod","blue""#, "passing"),
                entry("n2", "", r#""prod""#, "critical"),
                entry("n3", "10.0.0.3", r#""test""#, "passing")
            )),
            "GET /base/v1/health/service/db?dc=eu" => ok("[]"),
            _ => Reply::Say(404, String::new()),
        }
    });
    let text = format!(
        "consul_sd_configs:\n- {{server: '{}', path_prefix: /base, datacenter: eu, token: t, tags: \
         [prod]}}\nrelabel_configs: [{{action: keep}}]\n",
        consul.address
    );
    // Relabeling lives in another room: here it drops who is not well.
    let notifiers = start(&runtime, &text, |settings| Settings {
        compile: |_| {
            Ok(Arc::new(|labels: Labels| {
                assert_eq!(labels.get("__meta_consul_service_metadata_role"), Some("x"));
                assert!(labels.get("__meta_consul_tags").unwrap().starts_with(",prod,"));
                assert!(["10.0.0.1:9093", "10.0.0.9:9093"].contains(&labels.get("__address__").unwrap()));
                (labels.get("__meta_consul_health") == Some("passing")).then_some(labels)
            }))
        },
        ..settings
    });
    assert_eq!(found(&runtime, &notifiers, 1), ["http://10.0.0.1:9093/api/v2/alerts"]);
    assert!(consul.heard.lock().iter().all(|heard| heard.header("x-consul-token") == "t"));
    notifiers.stop();
}

#[test]
fn a_token_is_asked_for_and_kept_until_it_ends() {
    let runtime = Runtime::new().unwrap();
    // Good for an hour, and for no time at all.
    for (life, asked) in [(3600, 1), (1, 2)] {
        let given = Arc::new(AtomicUsize::new(0));
        let tokens = Server::start(&runtime, None, move |_| {
            let number = given.fetch_add(1, Ordering::Relaxed);
            ok(format!(r#"{{"access_token":"t{number}","expires_in":{life}}}"#))
        });
        let alertmanager = Server::start(&runtime, None, |_| ok("{}"));
        let text = format!(
            "static_configs: [{{targets: ['{}']}}]\noauth2: {{client_id: me, client_secret: s, token_url: '{}/token', \
             scopes: [a, b], endpoint_params: {{audience: am}}}}\n",
            alertmanager.address,
            tokens.url()
        );
        let notifiers = start(&runtime, &text, |settings| Settings { batch_max: 1, ..settings });
        found(&runtime, &notifiers, 1);
        notifiers.enqueue(&[message("a", 0), message("b", 0)]);
        notifiers.stop();
        let (tokens, heard) = (tokens.heard.lock(), alertmanager.heard.lock());
        assert_eq!(tokens.len(), asked);
        let form = String::from_utf8(tokens[0].body.clone()).unwrap();
        assert_eq!(form, "grant_type=client_credentials&scope=a%20b&audience=am");
        assert_eq!(tokens[0].header("authorization"), "Basic bWU6cw==");
        let bearers: Vec<&str> = heard.iter().map(|heard| heard.header("authorization")).collect();
        assert_eq!(bearers, ["Bearer t0", if asked == 1 { "Bearer t0" } else { "Bearer t1" }]);
    }
}

/// TLS with the fixtures' certificate for `localhost`; clients must show theirs.
fn demanding() -> TlsAcceptor {
    let read = |name: &str| std::fs::read(format!("{TLS}/{name}")).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&read("ca.crt")).unwrap()).unwrap();
    let clients = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let chain = vec![CertificateDer::from_pem_slice(&read("server.crt")).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(&read("server.key")).unwrap();
    let config = ServerConfig::builder().with_client_cert_verifier(clients).with_single_cert(chain, key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[test]
fn certificates_are_shown_and_looked_at() {
    let runtime = Runtime::new().unwrap();
    let alertmanager = Server::start(&runtime, Some(demanding()), |_| ok("{}"));
    let port = alertmanager.address.port();
    let deliver = |tls: &str| {
        let text =
            format!("scheme: https\nstatic_configs: [{{targets: ['localhost:{port}']}}]\ntls_config: {{{tls}}}\n");
        let notifiers = start(&runtime, &text, |settings| Settings { drain: Span::from_millis(300), ..settings });
        found(&runtime, &notifiers, 1);
        notifiers.enqueue(&[message("a", 0)]);
        // Stopping takes the notifiers away; what they said last is asked for before.
        for _ in 0..2_000 {
            let state = notifiers.states().remove(0);
            if state.sent > 0 || state.failed > 0 {
                notifiers.stop();
                return (state.sent, state.last_error);
            }
            runtime.block_on(async { tokio::time::sleep(Duration::from_millis(5)).await });
        }
        panic!("nothing came of it: {:?}", notifiers.states());
    };
    let own = format!("cert_file: {TLS}/client.crt, key_file: {TLS}/client.key");
    let (sent, why) = deliver(&format!("ca_file: {TLS}/ca.crt, {own}"));
    assert_eq!((sent, why.as_str()), (1, ""));
    let (sent, _) = deliver(&format!("insecure_skip_verify: true, {own}"));
    assert_eq!(sent, 1);
    let (sent, why) = deliver(&own);
    assert!(sent == 0 && why.to_lowercase().contains("certificate"), "nobody vouches for it: {why}");
    let (sent, why) = deliver(&format!("ca_file: {TLS}/ca.crt"));
    assert!(sent == 0 && !why.is_empty(), "it demands a certificate: {why}");
    assert_eq!(alertmanager.heard.lock().len(), 2);
}

fn load_from(environment: &[(&str, &str)], pattern: &str) -> Result<Vec<String>, Vec<Problem>> {
    let pairs = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let defaults = Defaults { environment: Environment(pairs.collect()), ..Defaults::default() };
    let files = file::load(&[pattern.to_owned()], &defaults)?;
    Ok(files.into_iter().map(|file| file.path).collect())
}

#[test]
fn rule_files_are_read_from_an_object_store() {
    let runtime = Runtime::new().unwrap();
    let rules = "groups: [{name: g, rules: [{record: y, expr: x}]}]";
    let store = Server::start(&runtime, None, move |heard| {
        if !heard.header("authorization").starts_with("AWS4-HMAC-SHA256 Credential=id/19700101/eu/s3/aws4_request,") {
            return Reply::Say(403, "<Error/>".to_owned());
        }
        let list = |keys: &[&str], more: &str| {
            let keys: String = keys.iter().map(|key| format!("<Contents><Key>{key}</Key></Contents>")).collect();
            ok(format!("<ListBucketResult>{keys}{more}</ListBucketResult>"))
        };
        match heard.line.trim_start_matches("GET /rules") {
            "?list-type=2&prefix=team%2F" => {
                list(&["team/", "team/a.yml"], "<NextContinuationToken>t/1=</NextContinuationToken>")
            }
            "?continuation-token=t%2F1%3D&list-type=2&prefix=team%2F" => list(&["team/b c.yml", "team/x/d.yml"], ""),
            "?list-type=2&prefix=none" => list(&[], ""),
            "/team/a.yml" | "/team/b%20c.yml" | "/team/x/d.yml" => ok(rules),
            _ => Reply::Say(404, "<Error/>".to_owned()),
        }
    });
    let url = store.url();
    let environment = [
        ("AWS_ENDPOINT_URL_S3", url.as_str()),
        ("AWS_REGION", "eu"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    let check = |pattern: &str, wanted: &[&str]| {
        let found = load_from(&environment, pattern).unwrap_or_else(|problems| panic!("{pattern}: {problems:?}"));
        assert_eq!(found, wanted, "{pattern}");
    };
    check("s3://rules/team/a.yml", &["s3://rules/team/a.yml"]);
    check("s3://rules/team/*.yml", &["s3://rules/team/a.yml", "s3://rules/team/b c.yml"]);
    check("s3://rules/team/**/d.yml", &["s3://rules/team/x/d.yml"]);
    check("s3://rules/team/", &["s3://rules/team/a.yml", "s3://rules/team/b c.yml", "s3://rules/team/x/d.yml"]);
    let refused = |environment: &[(&str, &str)], pattern: &str| {
        load_from(environment, pattern).expect_err(pattern).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(refused(&environment, "s3://rules/none"), ["s3://rules/none: fetch: there is no such object"]);
    let why = &refused(&environment[..1], "s3://rules/team/a.yml")[0];
    assert!(why.contains("403") && why.ends_with("AWS_SECRET_ACCESS_KEY are not set"), "{why}");
    assert!(refused(&environment, "gs://rules/a.yml")[0].contains("AWS_ENDPOINT_URL=https://storage.googleapis.com"));
}
