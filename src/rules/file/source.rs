//! Where rule files come from: the disk, by pattern, and web servers, by URL.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;

use reqwest::Client;
use tokio::time::Duration;

use crate::model::with_causes;

use super::{FILE_BYTES_MAX, Problem, glob, whole};

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
pub(super) fn read(patterns: &[String]) -> (Vec<Text>, Vec<Problem>) {
    let (mut problems, mut names, mut urls) = (Vec::new(), Vec::new(), Vec::new());
    for pattern in patterns {
        if pattern.starts_with("http://") || pattern.starts_with("https://") {
            urls.push(pattern.clone());
        } else if let Some((scheme @ ("s3" | "gs"), _)) = pattern.split_once("://") {
            problems.push(whole(pattern, format!("{scheme}:// cannot be read; give the object's https:// URL")));
        } else {
            match glob::expand(pattern) {
                Ok(found) => names.extend(found.into_iter().map(|path| path.display().to_string())),
                Err(refused) => problems.push(whole(pattern, format!("list files: {refused}"))),
            }
        }
    }
    let mut texts = Vec::new();
    names.sort();
    names.dedup();
    for name in names {
        match read_file(Path::new(&name)) {
            Ok(text) => texts.push(Text { name, text }),
            Err(refused) => problems.push(whole(&name, format!("read: {refused}"))),
        }
    }
    urls.sort();
    urls.dedup();
    for url in urls {
        match fetch(&url) {
            Ok(text) => texts.push(Text { name: url, text }),
            Err(refused) => problems.push(whole(&url, format!("fetch: {refused}"))),
        }
    }
    (texts, problems)
}

fn read_file(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    fs::read_to_string(path)
}

/// Gets a file by HTTP. Runs on a thread of its own: whoever reads rule files may or may not be inside a runtime.
fn fetch(url: &str) -> Result<String, String> {
    let get = async {
        let client = Client::builder().timeout(FETCH_TIMEOUT).no_proxy().build();
        let request = client.map_err(|failure| with_causes(&failure))?.get(url);
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
