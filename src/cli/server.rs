//! The Weir that runs somewhere, asked with credentials.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;

/// Where it runs, and as whom it is asked.
#[derive(Clone, Debug, Args)]
pub(super) struct Server {
    /// The Weir that runs there [default: http://localhost:8488]
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// A token to ask with
    #[arg(long = "as", value_name = "TOKEN", env = "WEIR_TOKEN", hide_env_values = true)]
    credentials: Option<String>,

    /// A user of web.yml to ask as
    #[arg(long, value_name = "NAME", conflicts_with = "credentials")]
    user: Option<String>,

    /// The user's password; better given by the environment, where other users of the machine do not see it
    #[arg(long, value_name = "TEXT", env = "WEIR_PASSWORD", hide_env_values = true)]
    password: Option<String>,
}

/// A server that is asked several things.
pub(super) struct Line {
    server: Server,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

/// How often a write that is told to come back does so, and how long it waits where nobody says.
const TRIES_MAX: u32 = 60;
const WAIT_SECONDS: u64 = 5;

impl Server {
    /// Asks for what stands at `path` below `/api/v1`, and gives the data of the answer.
    ///
    /// # Errors
    /// Where nobody answers, or with an error: its text.
    pub(super) fn ask(
        &self,
        method: Method,
        path: &str,
        params: &[(&str, String)],
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let line = self.open()?;
        let (place, mut request) = line.request(method, path, params)?;
        if let Some(body) = body {
            request = request.json(body);
        }
        let (status, text) = line.answer(&place, request)?;
        let read: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        match status.is_success() {
            true => Ok(read["data"].clone()),
            false => bail!("{place} answers {status}: {}", read["error"].as_str().unwrap_or(text.trim())),
        }
    }

    /// For more than one question.
    ///
    /// # Errors
    /// Where the system gives no thread or no TLS.
    pub(super) fn open(&self) -> anyhow::Result<Line> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start a runtime")?;
        let client = reqwest::Client::builder().build().context("make an HTTP client")?;
        Ok(Line { server: self.clone(), runtime, client })
    }
}

impl Line {
    /// Writes a body of remote write 1.0; waits and comes back where it is told to. The text is what was refused.
    ///
    /// # Errors
    /// Where nobody answers, or nothing was written.
    pub(super) fn write(&mut self, params: &[(&str, String)], body: Vec<u8>) -> anyhow::Result<Option<String>> {
        let body = bytes::Bytes::from(body);
        for _ in 0..TRIES_MAX {
            let (place, request) = self.request(Method::POST, "/write", params)?;
            let request = request
                .header("content-type", "application/x-protobuf")
                .header("content-encoding", "snappy")
                .header("x-prometheus-remote-write-version", "0.1.0")
                .body(body.clone());
            let (status, text) = self.answer(&place, request)?;
            match status.as_u16() {
                200..300 => return Ok(None),
                400 => return Ok(Some(text.trim().to_owned())),
                429 | 503 => {
                    self.runtime.block_on(tokio::time::sleep(Duration::from_secs(WAIT_SECONDS)));
                }
                _ => bail!("{place} answers {status}: {}", text.trim()),
            }
        }
        bail!("the server takes no writes");
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        params: &[(&str, String)],
    ) -> anyhow::Result<(String, reqwest::RequestBuilder)> {
        let base = self.server.url.as_deref().unwrap_or("http://localhost:8488").trim_end_matches('/');
        let place = format!("{base}/api/v1{path}");
        let mut url = Url::parse(&place).with_context(|| format!("--url {base:?}"))?;
        if !params.is_empty() {
            url.query_pairs_mut().extend_pairs(params);
        }
        let mut request = self.client.request(method, url);
        if let Some(token) = &self.server.credentials {
            request = request.bearer_auth(token);
        }
        if let Some(name) = &self.server.user {
            request = request.basic_auth(name, self.server.password.as_deref());
        }
        Ok((place, request))
    }

    fn answer(&self, place: &str, request: reqwest::RequestBuilder) -> anyhow::Result<(StatusCode, String)> {
        self.runtime.block_on(async {
            let answer = request.send().await.with_context(|| format!("ask {place}"))?;
            let status = answer.status();
            let text = answer.text().await.with_context(|| format!("read the answer of {place}"))?;
            Ok((status, text))
        })
    }
}
