//! Rule files in an object store that speaks S3: `s3://bucket/rules/node.yml`, a prefix, or a pattern.
//!
//! Where it is and who asks is told by AWS' variables: `AWS_ENDPOINT_URL_S3` (or `AWS_ENDPOINT_URL`), `AWS_REGION`,
//! `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`; keys may stand in AWS' credentials file as well.
//! Without keys, requests are not signed: public buckets answer all the same. Buckets are always part of the path, as
//! every such store understands it. (Signatures: AWS Signature Version 4.)

use aws_lc_rs::{digest, hmac};

use crate::model::Timestamp;

use super::environment::Environment;
use super::glob;
use super::source::{Text, fetch};

/// Most objects that one pattern may name.
const OBJECTS_MAX: usize = 10_000;
/// SHA-256 of nothing: no request has a body.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A store, and who asks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct S3 {
    /// `https://s3.eu-west-1.amazonaws.com`
    endpoint: String,
    region: String,
    keys: Option<Keys>,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Keys {
    id: String,
    secret: String,
    session: Option<String>,
}

/// A request: path and query, not yet encoded.
struct Ask<'a> {
    path: &'a str,
    query: &'a [(&'a str, &'a str)],
}

impl S3 {
    /// As the environment tells.
    pub(super) fn of(environment: &Environment) -> Self {
        let first = |names: &[&str]| {
            let found = names.iter().find_map(|name| environment.0.get(*name).filter(|value| !value.is_empty()));
            found.cloned()
        };
        let region = first(&["AWS_REGION", "AWS_DEFAULT_REGION"]).unwrap_or_else(|| "us-east-1".to_owned());
        let endpoint = first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]);
        let endpoint = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let keys = match (first(&["AWS_ACCESS_KEY_ID"]), first(&["AWS_SECRET_ACCESS_KEY"])) {
            (Some(id), Some(secret)) => Some(Keys { id, secret, session: first(&["AWS_SESSION_TOKEN"]) }),
            _ => {
                let home = first(&["HOME"]).map(|home| format!("{home}/.aws/credentials"));
                let file = first(&["AWS_SHARED_CREDENTIALS_FILE"]).or(home);
                let text = file.and_then(|file| std::fs::read_to_string(file).ok());
                let profile = first(&["AWS_PROFILE"]).unwrap_or_else(|| "default".to_owned());
                text.and_then(|text| Keys::of_profile(&text, &profile))
            }
        };
        S3 { endpoint: endpoint.trim_end_matches('/').to_owned(), region, keys }
    }

    /// The objects that `s3://bucket/pattern` names: the one of that name; or all whose names begin so; or, where it
    /// has `*` or `?`, all that fit.
    ///
    /// # Errors
    /// Why they cannot be read, in words.
    pub(super) fn read(&self, pattern: &str, now: Timestamp) -> Result<Vec<Text>, String> {
        let (bucket, key) = pattern.trim_start_matches("s3://").split_once('/').unwrap_or((pattern, ""));
        if bucket.is_empty() || key.is_empty() {
            return Err("it is written s3://bucket/name".to_owned());
        }
        let wild = key.find(['*', '?']);
        if wild.is_none()
            && let Ok(text) = self.object(bucket, key, now)
        {
            return Ok(vec![Text { name: pattern.to_owned(), text }]);
        }
        let found = self.list(bucket, &key[..wild.unwrap_or(key.len())], now)?;
        let fit = found.into_iter().filter(|found| match wild {
            Some(_) => glob::fits(key, found),
            None => !found.ends_with('/'),
        });
        let texts: Result<Vec<Text>, String> = fit
            .map(|key| {
                let text = self.object(bucket, &key, now).map_err(|why| format!("{key}: {why}"))?;
                Ok(Text { name: format!("s3://{bucket}/{key}"), text })
            })
            .collect();
        match texts?.as_slice() {
            [] if wild.is_none() => Err("there is no such object".to_owned()),
            texts => Ok(texts.to_vec()),
        }
    }

    fn object(&self, bucket: &str, key: &str, now: Timestamp) -> Result<String, String> {
        self.get(&Ask { path: &format!("/{bucket}/{key}"), query: &[] }, now)
    }

    /// Names of objects that begin with `prefix`, page by page.
    fn list(&self, bucket: &str, prefix: &str, now: Timestamp) -> Result<Vec<String>, String> {
        let (mut keys, mut token) = (Vec::new(), None::<String>);
        loop {
            let mut query = vec![("list-type", "2"), ("prefix", prefix)];
            query.extend(token.as_deref().map(|token| ("continuation-token", token)));
            let page = self.get(&Ask { path: &format!("/{bucket}"), query: &query }, now)?;
            keys.extend(elements(&page, "Key"));
            if keys.len() > OBJECTS_MAX {
                return Err(format!("more than {OBJECTS_MAX} objects are called so"));
            }
            token = elements(&page, "NextContinuationToken").next();
            if token.is_none() {
                keys.sort();
                return Ok(keys);
            }
        }
    }

    fn get(&self, ask: &Ask<'_>, now: Timestamp) -> Result<String, String> {
        let host = self.endpoint.split_once("://").map_or(self.endpoint.as_str(), |(_, host)| host);
        let (path, query) = (encoded(ask.path, true), canonical_query(ask.query));
        let question = if query.is_empty() { "" } else { "?" };
        let headers = self.keys.as_ref().map_or_else(Vec::new, |keys| keys.sign(ask, host, &self.region, now));
        let answer = fetch(&format!("{}{path}{question}{query}", self.endpoint), &headers);
        answer.map_err(|why| match self.keys {
            None if why.starts_with("403") => {
                format!("{why}: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set")
            }
            _ => why,
        })
    }
}

impl Keys {
    /// Those of a profile in AWS' credentials file.
    fn of_profile(text: &str, profile: &str) -> Option<Self> {
        let header = format!("[{profile}]");
        let lines = text.lines().map(str::trim).skip_while(|line| *line != header).skip(1);
        let pairs: Vec<(&str, &str)> =
            lines.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once('=')).collect();
        let value = |name: &str| {
            let found = pairs.iter().find(|(known, _)| known.trim().eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.trim().to_owned())
        };
        let (id, secret) = (value("aws_access_key_id")?, value("aws_secret_access_key")?);
        Some(Keys { id, secret, session: value("aws_session_token") })
    }

    /// The headers that sign a GET.
    fn sign(&self, ask: &Ask<'_>, host: &str, region: &str, now: Timestamp) -> Vec<(&'static str, String)> {
        let at = jiff::Timestamp::from_millisecond(now.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let (time, day) = (at.strftime("%Y%m%dT%H%M%SZ").to_string(), at.strftime("%Y%m%d").to_string());
        let mut headers = vec![("x-amz-content-sha256", EMPTY.to_owned()), ("x-amz-date", time.clone())];
        headers.extend(self.session.clone().map(|session| ("x-amz-security-token", session)));
        // Names in order: `host` stands before all that begin with x.
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let names: String = headers.iter().map(|(name, _)| format!(";{name}")).collect();
        let (path, query) = (encoded(ask.path, true), canonical_query(ask.query));
        let canonical = format!("GET\n{path}\n{query}\nhost:{host}\n{lines}\nhost{names}\n{EMPTY}");
        let scope = format!("{day}/{region}/s3/aws4_request");
        let digest = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let mac = |key: &[u8], text: &str| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
        };
        let mut key = mac(format!("AWS4{}", self.secret).as_bytes(), &day);
        for part in [region, "s3", "aws4_request"] {
            key = mac(&key, part);
        }
        let signature = hex(&mac(&key, &format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}")));
        let id = &self.id;
        let signed =
            format!("AWS4-HMAC-SHA256 Credential={id}/{scope},SignedHeaders=host{names},Signature={signature}");
        headers.push(("authorization", signed));
        headers
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn canonical_query(query: &[(&str, &str)]) -> String {
    let mut pairs: Vec<String> =
        query.iter().map(|(name, value)| format!("{}={}", encoded(name, false), encoded(value, false))).collect();
    pairs.sort();
    pairs.join("&")
}

/// Percent-encoded as signatures want it; in a path slashes stay.
fn encoded(text: &str, is_path: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b'/' if is_path => out.push('/'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// The texts of all elements of that name. A list of objects nests none of those that are asked for.
fn elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = String> + use<'a> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, tail) = rest.split_once(&open)?;
        let (text, tail) = tail.split_once(&close)?;
        rest = tail;
        let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")];
        Some(plain.iter().fold(text.to_owned(), |text, (entity, letter)| text.replace(entity, letter)))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_signature_is_that_of_the_documentation() {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned();
        let keys = Keys { id: "AKIAIOSFODNN7EXAMPLE".to_owned(), secret, session: None };
        let query = [("max-keys", "2"), ("prefix", "J")];
        let now = Timestamp::from_millis(1_369_353_600_000);
        let headers = keys.sign(&Ask { path: "/", query: &query }, "examplebucket.s3.amazonaws.com", "us-east-1", now);
        let authorization = &headers.last().unwrap().1;
        let wanted = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
        assert!(authorization.ends_with(&format!("Signature={wanted}")), "{authorization}");
        assert_eq!(headers[1].1, "20130524T000000Z");
    }

    #[test]
    fn the_environment_tells_where_and_who() {
        let s3 = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            S3::of(&Environment(pairs.collect::<BTreeMap<_, _>>()))
        };
        let plain = s3(&[]);
        assert_eq!((plain.endpoint.as_str(), plain.keys), ("https://s3.us-east-1.amazonaws.com", None));
        let own = s3(&[
            ("AWS_ENDPOINT_URL", "http://minio:9000/"),
            ("AWS_REGION", "eu"),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
        ]);
        let keys = Keys { id: "a".to_owned(), secret: "b".to_owned(), session: None };
        assert_eq!((own.endpoint.as_str(), own.region.as_str(), own.keys), ("http://minio:9000", "eu", Some(keys)));
        let file = "[default]\naws_access_key_id = x\n\n[other]\naws_access_key_id=y\nAWS_SECRET_ACCESS_KEY = z\n";
        assert_eq!(Keys::of_profile(file, "default"), None, "an id alone is no key");
        assert_eq!(Keys::of_profile(file, "other").map(|keys| keys.secret), Some("z".to_owned()));
    }

    #[test]
    fn names_are_read_from_a_list() {
        let page = "<R><Contents><Key>a&amp;b.yml</Key></Contents><Contents><Key>c</Key></Contents></R>";
        assert_eq!(elements(page, "Key").collect::<Vec<_>>(), ["a&b.yml", "c"]);
        assert_eq!(encoded("/b/a b+c/é", true), "/b/a%20b%2Bc/%C3%A9");
    }
}
