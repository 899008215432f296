//! Requests with what they carry: names and passwords, tokens, certificates.

use std::sync::Arc;

use parking_lot::Mutex;
use reqwest::{Certificate, Client, Identity, Proxy, RequestBuilder};
use serde::Deserialize;
use tokio::time::{Duration, Instant};

use crate::model::with_causes;

use super::config::{Access, OAuth2, Secret, Tls};

/// A token is renewed so long before it ends.
const RENEWED_BEFORE: Duration = Duration::from_secs(30);
/// How long a token is good for that does not say.
const TOKEN_LIFE: Duration = Duration::from_secs(300);

/// Speaks HTTP to a notifier or to a service that knows notifiers.
#[derive(Clone)]
pub(in crate::rules) struct HttpClient {
    client: Client,
    /// Asks for tokens.
    tokens: Client,
    access: Access,
    token: Arc<Mutex<Option<(String, Instant)>>>,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    expires_in: Option<u64>,
}

impl HttpClient {
    /// # Errors
    /// Where a certificate cannot be read, in words.
    pub(in crate::rules) fn new(access: &Access, timeout: Duration) -> Result<Self, String> {
        let client = client(&access.tls, access.proxy.as_deref(), timeout)?;
        let tokens = match &access.oauth2 {
            Some(OAuth2 { tls, proxy, .. }) => self::client(tls, proxy.as_deref(), timeout)?,
            None => client.clone(),
        };
        Ok(HttpClient { client, tokens, access: access.clone(), token: Arc::default() })
    }

    /// A request with all that it must carry.
    ///
    /// # Errors
    /// Where a secret cannot be read or a token is not given, in words.
    pub(in crate::rules) async fn request(
        &self,
        make: impl FnOnce(&Client) -> RequestBuilder,
    ) -> Result<RequestBuilder, String> {
        let mut request = make(&self.client);
        for (name, value) in &self.access.headers {
            request = request.header(name, revealed(value)?);
        }
        if let Some((name, password)) = &self.access.basic {
            request = request.basic_auth(name, Some(revealed(password)?));
        }
        if let Some((kind, credentials)) = &self.access.authorization {
            request = request.header(reqwest::header::AUTHORIZATION, format!("{kind} {}", revealed(credentials)?));
        }
        if let Some(oauth2) = &self.access.oauth2 {
            request = request.bearer_auth(self.oauth2_token(oauth2).await?);
        }
        Ok(request)
    }

    async fn oauth2_token(&self, oauth2: &OAuth2) -> Result<String, String> {
        if let Some((token, until)) = &*self.token.lock()
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        let mut form = vec![("grant_type".to_owned(), "client_credentials".to_owned())];
        if !oauth2.scopes.is_empty() {
            form.push(("scope".to_owned(), oauth2.scopes.join(" ")));
        }
        form.extend(oauth2.params.iter().cloned());
        let secret = revealed(&oauth2.client_secret)?;
        let body: Vec<String> =
            form.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let asked = self
            .tokens
            .post(&oauth2.token_url)
            .basic_auth(&oauth2.client_id, Some(secret))
            .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.join("&"))
            .send()
            .await;
        let reply = asked.map_err(|why| format!("ask for a token: {}", with_causes(&why)))?;
        if !reply.status().is_success() {
            return Err(format!("ask for a token: {}", reply.status()));
        }
        let token: Token = reply.json().await.map_err(|why| format!("ask for a token: {}", with_causes(&why)))?;
        let life = token.expires_in.map_or(TOKEN_LIFE, Duration::from_secs);
        let until = Instant::now() + life.saturating_sub(RENEWED_BEFORE);
        *self.token.lock() = Some((token.access_token.clone(), until));
        Ok(token.access_token)
    }

    /// Gets a text.
    ///
    /// # Errors
    /// Why not, in words.
    pub(super) async fn get(&self, url: &str, header: Option<(&str, &str)>) -> Result<String, String> {
        let mut request = self.request(|client| client.get(url)).await?;
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let reply = request.send().await.map_err(|why| with_causes(&why))?;
        if !reply.status().is_success() {
            return Err(reply.status().to_string());
        }
        reply.text().await.map_err(|why| with_causes(&why))
    }
}

fn client(tls: &Tls, proxy: Option<&str>, timeout: Duration) -> Result<Client, String> {
    // A proxy is a setting; the environment is not asked.
    let mut builder = Client::builder().timeout(timeout).no_proxy();
    if let Some(url) = proxy {
        builder = builder.proxy(Proxy::all(url).map_err(|why| format!("proxy_url {url}: {}", with_causes(&why)))?);
    }
    let read = |path: &String| std::fs::read(path).map_err(|refused| format!("{path}: {refused}"));
    if let Some(path) = &tls.ca_file {
        let bundle =
            Certificate::from_pem_bundle(&read(path)?).map_err(|why| format!("{path}: {}", with_causes(&why)))?;
        builder = builder.tls_certs_merge(bundle);
    }
    if let (Some(cert), Some(key)) = (&tls.cert_file, &tls.key_file) {
        let pem = [read(cert)?, b"\n".to_vec(), read(key)?].concat();
        let identity = Identity::from_pem(&pem).map_err(|why| format!("{cert}: {}", with_causes(&why)))?;
        builder = builder.identity(identity);
    }
    if tls.insecure_skip_verify {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    builder.build().map_err(|why| with_causes(&why))
}

/// What a secret says now.
///
/// # Errors
/// Where its file cannot be read, in words.
pub(super) fn revealed(secret: &Secret) -> Result<String, String> {
    match secret {
        Secret::Text(text) => Ok(text.clone()),
        Secret::File(path) => std::fs::read_to_string(path)
            .map(|text| text.trim().to_owned())
            .map_err(|refused| format!("{path}: {refused}")),
    }
}

/// As a form writes it.
pub(super) fn encoded(text: &str) -> String {
    let mut form = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => form.push(char::from(byte)),
            other => form.push_str(&format!("%{other:02X}")),
        }
    }
    form
}
