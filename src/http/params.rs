//! The parameters of a request: URL query and form body as one list, whatever the method and content type.
//!
//! Clients disagree on where parameters go: Grafana posts forms, vmalert posts an empty JSON body with everything in
//! the URL, promtool uses both. So the URL is always read, the body is read if it says that it is a form, and values
//! from the body come first where one value is wanted. (Prometheus: Go's `Request.FormValue`.)

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::{Method, header};
use axum::response::Response;

use crate::model::labels::Quoted;
use crate::model::{Span, TimeRange, Timestamp};

use super::error::{ApiError, ErrorKind};
use super::{Http, body};

/// Most bytes of a form body. (Prometheus: Go's limit of 10 MB for forms.)
pub const FORM_BYTES_MAX: usize = 10 * 1024 * 1024;

/// Names with values, in the order "body, then URL"; a name may stand many times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads `a=1&b=2`. Pairs with a broken escape are left out, as Go leaves them out.
    pub fn parse(encoded: &str) -> Self {
        let pairs = encoded.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        });
        Params(pairs.collect())
    }

    /// The first value under `name`; empty where there is none.
    pub fn first(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or("")
    }

    /// All values under `name`.
    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The same parameters, one of them under another name.
    pub fn renamed(&self, from: &str, to: &str) -> Params {
        let rename = |name: &String| if name == from { to.to_owned() } else { name.clone() };
        Params(self.0.iter().map(|(name, value)| (rename(name), value.clone())).collect())
    }

    /// A time that must be given.
    ///
    /// # Errors
    /// Where it is missing or no time.
    pub fn time(&self, name: &str) -> Result<Timestamp, ApiError> {
        parse_time(self.first(name)).map_err(|why| ApiError::parameter(name, why))
    }

    /// A time that may be left out.
    ///
    /// # Errors
    /// Where it is given and no time.
    pub fn time_or(&self, name: &str, default: Timestamp) -> Result<Timestamp, ApiError> {
        match self.first(name) {
            "" => Ok(default),
            text => parse_time(text)
                .map_err(|why| ApiError::parameter(name, format_args!("invalid time value for '{name}': {why}"))),
        }
    }

    /// `start` and `end`, each of which may be left out: all of time. Ends that are swapped select nothing.
    ///
    /// # Errors
    /// Where one is given and no time.
    pub fn range(&self) -> Result<Option<TimeRange>, ApiError> {
        let start = self.time_or("start", Timestamp::MIN)?;
        let end = self.time_or("end", Timestamp::MAX)?;
        Ok(TimeRange::new(start, end))
    }

    /// A length of time that must be given.
    ///
    /// # Errors
    /// Where it is missing or no duration.
    pub fn span(&self, name: &str) -> Result<Span, ApiError> {
        parse_span(self.first(name)).map_err(|why| ApiError::parameter(name, why))
    }

    /// A length of time that may be left out.
    ///
    /// # Errors
    /// Where it is given and no duration.
    pub fn span_if_given(&self, name: &str) -> Result<Option<Span>, ApiError> {
        match self.first(name) {
            "" => Ok(None),
            _ => self.span(name).map(Some),
        }
    }

    /// `limit`: how many results are wanted; `None` = all.
    ///
    /// # Errors
    /// Where it is given and no number, or negative.
    pub fn limit(&self) -> Result<Option<usize>, ApiError> {
        let limit = self.number("limit")?.unwrap_or(0);
        let limit = usize::try_from(limit).map_err(|_| ApiError::parameter("limit", "limit must be non-negative"))?;
        Ok((limit > 0).then_some(limit))
    }

    /// A whole number that may be left out.
    ///
    /// # Errors
    /// Where it is given and no number. (The text is that of Go's `strconv.Atoi`.)
    pub fn number(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let text = self.first(name);
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|error: std::num::ParseIntError| {
            let why = match error.kind() {
                std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => "value out of range",
                _ => "invalid syntax",
            };
            ApiError::parameter(name, format_args!("strconv.Atoi: parsing {}: {why}", Quoted(text)))
        })
    }
}

impl FromRequest<Arc<Http>> for Params {
    type Rejection = Response;

    async fn from_request(request: Request, http: &Arc<Http>) -> Result<Self, Response> {
        let mut params = Params::default();
        let (parts, body) = request.into_parts();
        let is_form = parts
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .and_then(|kind| kind.split(';').next())
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"));
        if is_form && parts.method != Method::GET && parts.method != Method::HEAD {
            let form = body::read(body, FORM_BYTES_MAX, http.settings.body_timeout).await.map_err(|e| e.envelope())?;
            let form = std::str::from_utf8(&form).map_err(|_| {
                ApiError::new(ErrorKind::BadData, "error parsing form values: not valid UTF-8").envelope()
            })?;
            params = Params::parse(form);
        }
        params.0.extend(Params::parse(parts.uri.query().unwrap_or("")).0);
        Ok(params)
    }
}

/// Undoes the escaping of forms and URL queries: `+` is a space, `%41` a byte. `None` where an escape is broken.
pub fn decode(text: &str) -> Option<String> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Some(text.to_owned());
    }
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).expect("two hex digits make a byte")
            }
            plain => plain,
        });
    }
    Some(String::from_utf8(plain).unwrap_or_else(|broken| String::from_utf8_lossy(broken.as_bytes()).into_owned()))
}

/// The ends of time as Prometheus prints them: clients send them back.
const MIN_TIME: &str = "-292273086-05-16T16:47:06Z";
const MAX_TIME: &str = "292277025-08-18T07:12:54.999999999Z";

/// Unix seconds, rounded to milliseconds, or RFC 3339. Any instant is accepted: what lies outside retention, or in the
/// year 58,000, selects nothing and is no error.
///
/// # Errors
/// The text for the user.
pub fn parse_time(text: &str) -> Result<Timestamp, String> {
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.is_finite()
    {
        // Whole seconds and fraction apart, as Prometheus does it: one product would round large times differently.
        let millis = seconds.trunc() * 1000.0 + (seconds.fract() * 1000.0).round();
        return Ok(Timestamp::from_millis(millis as i64));
    }
    // jiff reads more forms than RFC 3339 has; what Prometheus refuses is refused here.
    if text.as_bytes().get(10) == Some(&b'T')
        && let Ok(instant) = text.parse::<jiff::Timestamp>()
    {
        return Ok(Timestamp::from_millis(instant.as_millisecond()));
    }
    match text {
        MIN_TIME => Ok(Timestamp::MIN),
        MAX_TIME => Ok(Timestamp::MAX),
        _ => Err(format!("cannot parse {} to a valid timestamp", Quoted(text))),
    }
}

/// Seconds as a decimal number, or a Prometheus duration (`1h30m`).
///
/// # Errors
/// The text for the user.
pub fn parse_span(text: &str) -> Result<Span, String> {
    if let Ok(seconds) = text.parse::<f64>()
        && !seconds.is_nan()
    {
        // Prometheus counts nanoseconds in 64 bits.
        if (seconds * 1e9).abs() > i64::MAX as f64 {
            return Err(format!("cannot parse {} to a valid duration. It overflows int64", Quoted(text)));
        }
        return Ok(Span::from_millis((seconds * 1000.0) as i64));
    }
    text.parse().map_err(|_| format!("cannot parse {} to a valid duration", Quoted(text)))
}

/// Writes a time as RFC 3339 with as many decimals as it needs: the form of rule and alert times.
pub fn rfc3339(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.as_millis()) {
        Ok(instant) => instant.to_string(),
        Err(_) => jiff::Timestamp::MAX.to_string(),
    }
}

/// How Go prints the time of what never happened.
pub const NEVER: &str = "0001-01-01T00:00:00Z";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_unix_seconds_or_rfc_3339() {
        #[track_caller]
        fn check(text: &str, millis: i64) {
            assert_eq!(parse_time(text), Ok(Timestamp::from_millis(millis)), "{text}");
        }
        check("4", 4000);
        check("1600000000.123", 1_600_000_000_123);
        check("1600000000.781", 1_600_000_000_781);
        check("-1.5", -1500);
        check("1.5e3", 1_500_000);
        check("0.0004", 0);
        check("1795355144123", 1_795_355_144_123_000);
        check("1e300", i64::MAX);
        check("2026-11-22T13:00:00.000Z", 1_795_352_400_000);
        check("2026-11-22T14:00:00+01:00", 1_795_352_400_000);
        check(MIN_TIME, i64::MIN);
        check(MAX_TIME, i64::MAX);
        for wrong in ["", "x", "NaN", "Inf", "2026-11-22", "2026-11-22 13:00:00Z", "1,5"] {
            assert_eq!(parse_time(wrong), Err(format!("cannot parse {wrong:?} to a valid timestamp")));
        }
    }

    #[test]
    fn durations_are_seconds_or_prometheus_durations() {
        #[track_caller]
        fn check(text: &str, millis: i64) {
            assert_eq!(parse_span(text), Ok(Span::from_millis(millis)), "{text}");
        }
        check("15", 15_000);
        check("0.5", 500);
        check("300s", 300_000);
        check("1h30m", 5_400_000);
        check("-1", -1000);
        assert_eq!(parse_span("1e30"), Err("cannot parse \"1e30\" to a valid duration. It overflows int64".to_owned()));
        assert_eq!(parse_span("soon"), Err("cannot parse \"soon\" to a valid duration".to_owned()));
    }

    #[test]
    fn escapes_are_undone_and_broken_pairs_left_out() {
        let params = Params::parse("query=sum(rate(x%5B5m%5D))+%2B+1&match[]=a&match%5B%5D=b&bad=%zz&flag&=v");
        assert_eq!(params.first("query"), "sum(rate(x[5m])) + 1");
        assert_eq!(params.all("match[]").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((params.first("bad"), params.first("flag"), params.first("")), ("", "", "v"));
    }
}
