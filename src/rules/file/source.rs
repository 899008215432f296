//! Where rule files come from: the disk, by pattern; web servers, by URL; object stores, by name or pattern.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;

use reqwest::Client;
use tokio::time::Duration;

use crate::model::with_causes;

use super::s3::S3;
use super::{Defaults, FILE_BYTES_MAX, Problem, glob, whole};

/// How long a web server may take to hand out a rule file.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// The text of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    /// As the pattern named it, or its URL.
    pub(super) name: String,
    pub(super) text: String,
}

/// The texts of all files that the patterns name, by name, each once; and what could not be read.
pub(super) fn read(patterns: &[String], defaults: &Defaults) -> (Vec<Text>, Vec<Problem>) {
    let (mut texts, mut problems) = (Vec::new(), Vec::new());
    for pattern in patterns {
        let scheme = pattern.split_once("://").map(|(scheme, _)| scheme);
        match read_pattern(pattern, scheme, defaults, &mut problems) {
            Ok(found) => texts.extend(found),
            Err(refused) => problems.push(whole(pattern, refused)),
        }
    }
    texts.sort_by(|left: &Text, right| left.name.cmp(&right.name));
    texts.dedup_by(|left, right| left.name == right.name);
    problems.sort();
    problems.dedup();
    (texts, problems)
}

/// What one pattern names; a file that cannot be read costs its neighbours nothing.
fn read_pattern(
    pattern: &str,
    scheme: Option<&str>,
    defaults: &Defaults,
    problems: &mut Vec<Problem>,
) -> Result<Vec<Text>, String> {
    match scheme {
        Some("http" | "https") => {
            let text = fetch(pattern, &[]).map_err(|refused| format!("fetch: {refused}"))?;
            Ok(vec![Text { name: pattern.to_owned(), text }])
        }
        Some("s3") => {
            let found = S3::of(&defaults.environment).read(pattern, (defaults.now)());
            found.map_err(|refused| format!("fetch: {refused}"))
        }
        Some("gs") => {
            Err("gs:// cannot be read; write s3://, and set AWS_ENDPOINT_URL=https://storage.googleapis.com \
                           and the HMAC key of a service account"
                .to_owned())
        }
        _ => {
            let found = glob::expand(pattern).map_err(|refused| format!("list files: {refused}"))?;
            let mut texts = Vec::with_capacity(found.len());
            for name in found.into_iter().map(|path| path.display().to_string()) {
                match read_file(Path::new(&name)) {
                    Ok(text) => texts.push(Text { name, text }),
                    Err(refused) => problems.push(whole(&name, format!("read: {refused}"))),
                }
            }
            Ok(texts)
        }
    }
}

fn read_file(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    fs::read_to_string(path)
}

/// Gets a file by HTTP. Runs on a thread of its own: whoever reads rule files may or may not be inside a runtime.
pub(super) fn fetch(url: &str, headers: &[(&'static str, String)]) -> Result<String, String> {
    let get = async {
        let client = Client::builder().timeout(FETCH_TIMEOUT).no_proxy().build();
        let mut request = client.map_err(|failure| with_causes(&failure))?.get(url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let mut response = request.send().await.map_err(|failure| with_causes(&failure))?;
        if !response.status().is_success() {
            return Err(response.status().to_string());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|failure| with_causes(&failure))? {
            body.extend_from_slice(&chunk);
            if body.len() as u64 > FILE_BYTES_MAX {
                return Err(format!("larger than {FILE_BYTES_MAX} bytes"));
            }
        }
        String::from_utf8(body).map_err(|_| "no UTF-8".to_owned())
    };
    thread::scope(|scope| {
        let fetching = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(|failure| failure.to_string())?.block_on(get)
        });
        fetching.join().unwrap_or_else(|_| Err("the fetch ended in a bug".to_owned()))
    })
}
