//! `weir token`: tokens made, listed and revoked, at a Weir that runs or in the data of one that is stopped.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::access::{Tokens, system_chance};
use crate::clock::Clock;
use crate::http::{token_json, token_spec};
use crate::model::with_causes;

use super::columns;
use super::server::Server;

/// Where tokens are asked for, below `/api/v1`.
const TOKENS: &str = "/admin/tokens";

/// Where the tokens are.
#[derive(Clone, Debug, Args)]
pub(super) struct Place {
    #[command(flatten)]
    server: Server,

    /// The data directory of a Weir that is stopped: how the first token is made where nobody may ask without one
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Make a token and print it: it is shown this once
    Create(Box<Create>),
    /// List tokens, without their secrets
    List {
        #[command(flatten)]
        place: Place,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// End a token at once and for ever
    Revoke {
        #[command(flatten)]
        place: Place,
        /// Its id, as `weir token list` shows it
        id: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    place: Place,
    /// What people call it
    name: String,
    /// What its holder may do: read, graph, write, status, admin; may stand several times [default: read]
    #[arg(long = "right", value_name = "RIGHT")]
    rights: Vec<String>,
    /// What its holder sees, e.g. '{customer="42"}'; enforced on everything that is read
    #[arg(long, value_name = "SELECTOR")]
    matchers: Option<String>,
    /// Samples before are not seen: RFC 3339, or seconds since 1970
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Samples after are not seen
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Samples older than this are not seen, e.g. 30d
    #[arg(long, value_name = "DURATION")]
    max_age: Option<String>,
    /// A path that answers it, e.g. '/graph.*'; may stand several times [default: all]
    #[arg(long = "path", value_name = "PATH")]
    paths: Vec<String>,
    /// Requests a second
    #[arg(long, value_name = "NUMBER")]
    rate: Option<f64>,
    /// How many of them may come at once [default: twice the rate]
    #[arg(long, value_name = "NUMBER", requires = "rate")]
    burst: Option<f64>,
    /// Put on everything it writes, whatever the sender says; may stand several times
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,
    /// How long it lives, e.g. 90d [default: until it is revoked]
    #[arg(long, value_name = "DURATION")]
    ttl: Option<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("name=value is expected")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Does what was asked.
pub(super) fn run(token: &Token) -> ExitCode {
    match answer(token) {
        Ok(text) => {
            use std::io::Write;
            match std::io::stdout().write_all(text.as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => super::complain(&[error]),
            }
        }
        Err(error) => super::complain(&[with_causes(error.as_ref())]),
    }
}

fn answer(token: &Token) -> anyhow::Result<String> {
    match token {
        Token::Create(create) => {
            let made = create.place.create(&create.wish())?;
            eprintln!("{} ({}) is made; its secret is kept nowhere, this is the only copy:", made["name"], made["id"]);
            Ok(format!("{}\n", made["token"].as_str().context("an answer without a token")?))
        }
        Token::List { place, json } => {
            let tokens = place.list()?;
            Ok(if *json { format!("{tokens:#}\n") } else { table(&tokens) })
        }
        Token::Revoke { place, id } => {
            place.revoke(id)?;
            eprintln!("{id} is revoked");
            Ok(String::new())
        }
    }
}

impl Create {
    /// The wish, as the API takes it.
    fn wish(&self) -> Value {
        let mut wish = json!({ "name": self.name, "rights": self.rights, "paths": self.paths });
        let labels: serde_json::Map<String, Value> =
            self.labels.iter().map(|(name, value)| (name.clone(), Value::from(value.clone()))).collect();
        let given = [
            ("matchers", self.matchers.clone().map(Value::from)),
            ("from", self.from.clone().map(Value::from)),
            ("until", self.until.clone().map(Value::from)),
            ("maxAge", self.max_age.clone().map(Value::from)),
            ("requestsPerSecond", self.rate.map(Value::from)),
            ("burst", self.burst.map(Value::from)),
            ("labels", (!labels.is_empty()).then(|| labels.into())),
            ("ttl", self.ttl.clone().map(Value::from)),
        ];
        for (name, value) in given {
            if let Some(value) = value {
                wish[name] = value;
            }
        }
        wish
    }
}

impl Place {
    fn create(&self, wish: &Value) -> anyhow::Result<Value> {
        match self.stopped()? {
            Some(tokens) => {
                let now = Clock::system().now();
                let spec = token_spec(wish.to_string().as_bytes(), now).map_err(anyhow::Error::msg)?;
                let (token, text) = tokens.create(spec, "weir token", now)?;
                let mut made: Value =
                    serde_json::from_str(&token_json(&token)).context("read what was just written")?;
                made["token"] = text.into();
                Ok(made)
            }
            None => self.server.ask(Method::POST, TOKENS, &[], Some(wish)),
        }
    }

    fn list(&self) -> anyhow::Result<Value> {
        match self.stopped()? {
            Some(tokens) => {
                let tokens: Vec<String> = tokens.list().iter().map(token_json).collect();
                Ok(serde_json::from_str(&format!("[{}]", tokens.join(",")))?)
            }
            None => Ok(self.server.ask(Method::GET, TOKENS, &[], None)?["tokens"].clone()),
        }
    }

    fn revoke(&self, id: &str) -> anyhow::Result<()> {
        let safe = id.chars().all(|letter| letter.is_ascii_alphanumeric());
        ensure!(safe && !id.is_empty(), "{id:?} is no id of a token; `weir token list` shows them");
        match self.stopped()? {
            Some(tokens) => ensure!(tokens.revoke(id)?, "no token has the id {id}"),
            None => {
                self.server.ask(Method::DELETE, &format!("{TOKENS}/{id}"), &[], None)?;
            }
        }
        Ok(())
    }

    /// The tokens in a data directory, where one is named.
    fn stopped(&self) -> anyhow::Result<Option<Tokens>> {
        let Some(data) = &self.data else { return Ok(None) };
        let clock = Clock::system();
        let store = crate::app::open_stopped(data, &clock).with_context(|| format!("open {}", data.display()))?;
        Ok(Some(Tokens::open(store, system_chance())?))
    }
}

fn table(tokens: &Value) -> String {
    let text = |token: &Value, field: &str| token[field].as_str().unwrap_or("").to_owned();
    let row = |token: &Value| {
        let rights: Vec<&str> = token["rights"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let expires = Some(text(token, "expiresAt")).filter(|text| !text.is_empty()).unwrap_or_else(|| "never".into());
        let (id, name, created) = (text(token, "id"), text(token, "name"), text(token, "createdAt"));
        vec![id, name, rights.join(","), text(token, "matchers"), created, expires]
    };
    let head = ["ID", "NAME", "RIGHTS", "SEES", "MADE", "ENDS"];
    let rows: Vec<Vec<String>> = tokens.as_array().into_iter().flatten().map(row).collect();
    columns::table(&head, &rows, &[]).join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_listed_in_columns() {
        let tokens = json!([{"id": "a1", "name": "panel", "rights": ["read", "graph"], "matchers": "{job=\"a\"}",
            "createdAt": "2026-11-22T16:00:00Z", "expiresAt": null}]);
        let expected = "ID  NAME   RIGHTS      SEES       MADE                  ENDS\n\
                        a1  panel  read,graph  {job=\"a\"}  2026-11-22T16:00:00Z  never\n";
        assert_eq!(table(&tokens), expected);
    }
}
