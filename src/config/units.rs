//! Sizes and times as people write them: `32MiB`, `90d`.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::model::Span;

/// A number of bytes, written `512`, `64KiB`, `32MiB`, `1GiB` or with decimal `KB`, `MB`, `GB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub usize);

impl Bytes {
    /// 2^20 bytes, `count` times.
    pub const fn mib(count: usize) -> Self {
        Bytes(count << 20)
    }
}

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let scale = match unit.trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "TB" => 1_000_000_000_000,
            _ => return Err(format!("{text:?} is no size; write for example 64KiB or 32MiB")),
        };
        let number: usize = number.parse().map_err(|_| format!("{text:?} is no size; write for example 32MiB"))?;
        number.checked_mul(scale).map(Bytes).ok_or_else(|| format!("{text:?} is more bytes than can be counted"))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An address to listen on: `0.0.0.0:8488`, `:8488` for all addresses, or a name of this machine, `localhost:8488`.
///
/// # Errors
/// Where it is none, or the name is unknown.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let wrong = |why: &dyn fmt::Display| {
        format!("{text:?} is no address to listen on ({why}); write for example 0.0.0.0:8488 or localhost:8488")
    };
    let whole = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
    let mut found = whole.to_socket_addrs().map_err(|error| wrong(&error))?;
    found.next().ok_or_else(|| wrong(&"the name has no address"))
}

/// [`address`], for serde.
pub(super) fn listen_address<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    address(&String::deserialize(from)?).map_err(serde::de::Error::custom)
}

/// A length of time, written as Prometheus writes it: `30s`, `1h30m`, `90d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Length(pub Span);

impl Length {
    /// `count` minutes.
    pub const fn seconds(count: i64) -> Self {
        Length(Span::from_millis(count * 1000))
    }

    /// So many minutes.
    pub const fn minutes(count: i64) -> Self {
        Length(Span::MINUTE.times(count))
    }

    /// `count` hours.
    pub const fn hours(count: i64) -> Self {
        Length(Span::HOUR.times(count))
    }

    /// `count` days.
    pub const fn days(count: i64) -> Self {
        Length(Span::DAY.times(count))
    }
}

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Length)
            .map_err(|error: crate::model::time::SpanError| format!("{error}; write for example 30s, 1h30m or 90d"))
    }
}

impl fmt::Display for Length {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}
