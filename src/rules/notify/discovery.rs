//! Finding notifiers: each source gives addresses with labels; relabeling makes URLs of them, or drops them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::Labels;
use crate::rules::file::glob;

use super::client::{HttpClient, encoded, revealed};
use super::config::{NotifierSet, Relabel, Source, TargetGroup};
use super::dns;

/// Most notifiers of one set.
const TARGETS_MAX: usize = 1_000;

/// An address with the labels that relabeling sees.
type Target = BTreeMap<String, String>;

/// The URLs that a source gives now, each with where alerts go.
///
/// # Errors
/// Why it cannot be asked, in words; what it gave before stays.
pub(super) async fn find(
    set: &NotifierSet,
    source: &Source,
    relabel: &Relabel,
    client: &HttpClient,
) -> Result<Vec<String>, String> {
    if let Source::Urls(urls) = source {
        let path = if set.is_webhook { "" } else { "/api/v2/alerts" };
        return Ok(urls.iter().map(|url| format!("{}{path}", url.trim_end_matches('/'))).collect());
    }
    let targets = match source {
        Source::Urls(_) => Vec::new(),
        Source::Static(group) => expanded(vec![group.clone()]),
        Source::Files(patterns, _) => files(patterns)?,
        Source::Http { url, .. } => {
            let groups = client.get(url, Some(("Accept", "application/json"))).await?;
            let groups = serde_json::from_str(&groups).map_err(|why| format!("{url}: {why}"))?;
            labelled(expanded(groups), "__meta_url", url)
        }
        Source::Dns { names, kind, port, .. } => dns_targets(names, kind, *port).await?,
        Source::Consul { .. } => consul(client, source).await?,
    };
    let urls = targets.into_iter().take(TARGETS_MAX).filter_map(|target| url(set, target, relabel));
    Ok(urls.collect())
}

fn expanded(groups: Vec<TargetGroup>) -> Vec<Target> {
    let targets = groups.into_iter().flat_map(|group| {
        let labels = group.labels;
        group.targets.into_iter().map(move |address| {
            let mut target = labels.clone();
            target.insert("__address__".to_owned(), address);
            target
        })
    });
    targets.collect()
}

/// All of them with one label more.
fn labelled(mut targets: Vec<Target>, name: &str, value: &str) -> Vec<Target> {
    for target in &mut targets {
        target.insert(name.to_owned(), value.to_owned());
    }
    targets
}

/// Where alerts for a target go; `None` where relabeling drops it. (Prometheus: `AlertmanagerFromGroup`.)
fn url(set: &NotifierSet, mut target: Target, relabel: &Relabel) -> Option<String> {
    let address = target.get("__address__").cloned().unwrap_or_default();
    let (scheme, address) = match address.split_once("://") {
        Some((scheme, rest)) => (scheme.to_owned(), rest.to_owned()),
        None => (set.scheme.clone(), address),
    };
    let prefix = set.path_prefix.trim_matches('/');
    let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
    let path = if set.is_webhook { prefix } else { format!("{prefix}/api/v2/alerts") };
    target.insert("__address__".to_owned(), address);
    target.insert("__scheme__".to_owned(), if scheme.is_empty() { "http".to_owned() } else { scheme });
    target.insert("__alerts_path__".to_owned(), path);
    let labels = relabel(Labels::from_pairs(&target))?;
    let part = |name: &str| labels.get(name).unwrap_or_default().to_owned();
    let (scheme, address, path) = (part("__scheme__"), part("__address__"), part("__alerts_path__"));
    let (host, own_path) = address.split_once('/').unwrap_or((&address, ""));
    let own_path = own_path.trim_end_matches('/');
    let slash = if own_path.is_empty() { "" } else { "/" };
    let port = match (host.rsplit(']').next().unwrap_or(host).contains(':'), scheme.as_str()) {
        (true, _) => "",
        (false, "https") => ":443",
        (false, _) => ":80",
    };
    (!host.is_empty()).then(|| format!("{scheme}://{host}{port}{slash}{own_path}{path}"))
}

/// The targets of files as `file_sd_configs` has them: JSON or YAML.
fn files(patterns: &[String]) -> Result<Vec<Target>, String> {
    let mut targets = Vec::new();
    for pattern in patterns {
        for path in glob::expand(pattern).map_err(|refused| format!("{pattern}: {refused}"))? {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(&path).map_err(|refused| format!("{name}: {refused}"))?;
            let groups: Vec<TargetGroup> = match serde_json::from_str(&text) {
                Ok(read) => read,
                Err(why) => crate::rules::file::target_groups(&text).ok_or_else(|| format!("{name}: {why}"))?,
            };
            targets.extend(labelled(expanded(groups), "__meta_filepath", &name));
        }
    }
    Ok(targets)
}

async fn dns_targets(names: &[String], kind: &str, port: u16) -> Result<Vec<Target>, String> {
    let mut targets = Vec::new();
    for name in names {
        let addresses = match kind {
            "SRV" => dns::services(name).await.map_err(|why| format!("{name}: {why}"))?,
            _ => {
                let found = tokio::net::lookup_host((name.as_str(), port)).await;
                let found = found.map_err(|why| format!("{name}: {why}"))?;
                let wanted = |address: &std::net::SocketAddr| (kind == "AAAA") == address.is_ipv6();
                found.filter(wanted).map(|address| address.to_string()).collect()
            }
        };
        for address in addresses {
            let (host, port) = address.rsplit_once(':').unwrap_or((&address, ""));
            let mut labels = vec![("__address__", address.clone()), ("__meta_dns_name", name.clone())];
            if kind == "SRV" {
                labels.push(("__meta_dns_srv_record_target", host.to_owned()));
                labels.push(("__meta_dns_srv_record_port", port.to_owned()));
            }
            targets.push(target(labels));
        }
    }
    Ok(targets)
}

fn target(labels: Vec<(&str, String)>) -> Target {
    labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A service as `/v1/health/service/NAME` lists it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ConsulEntry {
    node: ConsulNode,
    service: ConsulService,
    #[serde(default)]
    checks: Vec<ConsulCheck>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ConsulNode {
    node: String,
    address: String,
    datacenter: String,
    meta: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ConsulService {
    #[serde(rename = "ID")]
    id: String,
    address: String,
    port: u16,
    tags: Option<Vec<String>>,
    meta: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ConsulCheck {
    #[serde(default)]
    status: String,
}

/// What Consul knows of the services, healthy or not: relabeling may choose by `__meta_consul_health`. (Labels as
/// Prometheus has them.)
async fn consul(client: &HttpClient, source: &Source) -> Result<Vec<Target>, String> {
    let Source::Consul { server, services, tags, tag_separator, token, parameters, .. } = source else {
        return Ok(Vec::new());
    };
    let token = token.as_ref().map(revealed).transpose()?;
    let ask = async |path: &str| {
        let parameters: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let url = format!("{}/v1/{path}?{}", server.trim_end_matches('/'), parameters.join("&"));
        let text = client.get(&url, token.as_deref().map(|token| ("X-Consul-Token", token))).await;
        Ok::<_, String>((text.map_err(|why| format!("{url}: {why}"))?, url))
    };
    let services = match services.is_empty() {
        false => services.clone(),
        true => {
            let (text, url) = ask("catalog/services").await?;
            let known: BTreeMap<String, Vec<String>> =
                serde_json::from_str(&text).map_err(|why| format!("{url}: {why}"))?;
            known.into_keys().collect()
        }
    };
    let mut targets = Vec::new();
    for service in &services {
        let (text, url) = ask(&format!("health/service/{}", encoded(service))).await?;
        let entries: Vec<ConsulEntry> = serde_json::from_str(&text).map_err(|why| format!("{url}: {why}"))?;
        for ConsulEntry { node, service: found, checks } in entries {
            let own = found.tags.unwrap_or_default();
            if !tags.iter().all(|tag| own.contains(tag)) {
                continue;
            }
            let host = if found.address.is_empty() { &node.address } else { &found.address };
            let worst = ["maintenance", "critical", "warning"].into_iter();
            let health = worst.clone().find(|state| checks.iter().any(|check| check.status == *state));
            let separator = tag_separator.as_str();
            let mut labels = target(vec![
                ("__address__", format!("{host}:{}", found.port)),
                ("__meta_consul_address", node.address.clone()),
                ("__meta_consul_dc", node.datacenter),
                ("__meta_consul_health", health.unwrap_or("passing").to_owned()),
                ("__meta_consul_node", node.node),
                ("__meta_consul_service", service.clone()),
                ("__meta_consul_service_address", found.address.clone()),
                ("__meta_consul_service_id", found.id),
                ("__meta_consul_service_port", found.port.to_string()),
                ("__meta_consul_tags", format!("{separator}{}{separator}", own.join(separator))),
            ]);
            let node_meta = node.meta.unwrap_or_default().into_iter();
            labels.extend(node_meta.map(|(name, value)| (format!("__meta_consul_metadata_{}", plain(&name)), value)));
            let meta = found.meta.unwrap_or_default().into_iter();
            labels
                .extend(meta.map(|(name, value)| (format!("__meta_consul_service_metadata_{}", plain(&name)), value)));
            targets.push(labels);
        }
    }
    Ok(targets)
}

/// A name in which only letters, digits and underscores are left.
fn plain(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn addresses_become_urls() {
        #[track_caller]
        fn check(scheme: &str, prefix: &str, address: &str, wanted: &str) {
            let set =
                NotifierSet { scheme: scheme.to_owned(), path_prefix: prefix.to_owned(), ..NotifierSet::default() };
            let target = Target::from([("__address__".to_owned(), address.to_owned())]);
            let keep: Relabel = Arc::new(Some);
            assert_eq!(url(&set, target, &keep).as_deref(), Some(wanted), "{scheme} {prefix} {address}");
        }
        check("http", "", "am:9093", "http://am:9093/api/v2/alerts");
        check("https", "/am/", "am", "https://am:443/am/api/v2/alerts");
        check("http", "", "https://am:1/base/", "https://am:1/base/api/v2/alerts");
        check("http", "", "[::1]:9093", "http://[::1]:9093/api/v2/alerts");
        let set = NotifierSet { scheme: "http".to_owned(), ..NotifierSet::default() };
        let drop: Relabel = Arc::new(|_| None);
        assert_eq!(url(&set, Target::from([("__address__".to_owned(), "a:1".to_owned())]), &drop), None);
    }
}
