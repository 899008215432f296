//! Who asked a query.

use std::fmt;
use std::net::IpAddr;

/// Most bytes of what a client says of itself; the rest is cut.
pub const CLIENT_TEXT_BYTES_MAX: usize = 256;

/// Who asked a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Asker {
    /// The program itself.
    #[default]
    Program,
    /// A client of the API.
    Http(Box<HttpAsker>),
    /// A rule.
    Rule(Box<RuleAsker>),
}

/// A client of the API, as far as it says who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpAsker {
    /// Where it called from.
    pub address: Option<IpAddr>,
    /// `GET` or `POST`.
    pub method: String,
    /// The path of the request.
    pub path: String,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// Grafana's `X-Dashboard-Uid`.
    pub dashboard: Option<String>,
    /// Grafana's `X-Panel-Id`.
    pub panel: Option<String>,
}

/// A rule of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleAsker {
    /// The file that has it.
    pub file: String,
    /// The group's name.
    pub group: String,
    /// The rule's name.
    pub rule: String,
}

/// One line: `10.0.0.7 Grafana/12.1 dashboard abc panel 4`, `rule up:sum of group node`.
impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Asker::Program => f.write_str("weir"),
            Asker::Rule(rule) => write!(f, "rule {} of group {}", rule.rule, rule.group),
            Asker::Http(asker) => {
                match asker.address {
                    Some(address) => write!(f, "{address}")?,
                    None => f.write_str("unknown")?,
                }
                for (name, text) in
                    [("", &asker.user_agent), ("dashboard ", &asker.dashboard), ("panel ", &asker.panel)]
                {
                    if let Some(text) = text {
                        write!(f, " {name}{text}")?;
                    }
                }
                Ok(())
            }
        }
    }
}
