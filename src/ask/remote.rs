//! Asks over HTTP.

use anyhow::Context;

use super::Request;

/// Asks the Weir or Prometheus at `url` and gives its answer as it came, errors included.
///
/// # Errors
/// Who could not be asked, or answers no JSON.
pub(super) fn ask(url: &str, request: &Request) -> anyhow::Result<String> {
    let url = format!("{}/api/v1{}?{}", url.trim_end_matches('/'), request.path, encode(&request.params));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start a runtime")?;
    runtime.block_on(async {
        let client = reqwest::Client::builder().build().context("make an HTTP client")?;
        let answer = client.get(&url).send().await.with_context(|| format!("ask {url}"))?;
        let status = answer.status();
        let body = answer.text().await.with_context(|| format!("read the answer of {url}"))?;
        match body.trim_start().starts_with('{') {
            true => Ok(body),
            false => anyhow::bail!("{url} answers {status}: {}", body.trim()),
        }
    })
}

/// `a=1&b=2`, with all but letters, digits and `-_.~` escaped.
pub(super) fn encode(params: &[(&'static str, String)]) -> String {
    let mut text = String::new();
    let escape = |part: &str, text: &mut String| {
        for byte in part.bytes() {
            match byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                true => text.push(char::from(byte)),
                false => text.push_str(&format!("%{byte:02X}")),
            }
        }
    };
    for (name, value) in params {
        if !text.is_empty() {
            text.push('&');
        }
        escape(name, &mut text);
        text.push('=');
        escape(value, &mut text);
    }
    text
}
