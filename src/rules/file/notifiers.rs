//! Notifier files: vmalert's `-notifier.config`, and the `alerting` block of Prometheus' configuration.
//!
//! Both describe sets of notifiers in nearly the same words; vmalert's file is one set. `webhooks` is our own: URLs that
//! take Alertmanager's webhook body, for those who run none.

use crate::model::Span;
use crate::rules::notify::config::{
    Access, NotifierFile, NotifierSet, OAuth2, RelabelSpec, Secret, Source, TargetGroup, Tls,
};

use super::Problem;
use super::walk::Walk;
use super::yaml::{self, Entry, Node};

/// How often files and services are asked that do not say. (Prometheus' defaults.)
const FILES_EVERY: Span = Span::from_secs(300);
const HTTP_EVERY: Span = Span::from_secs(60);
const DNS_EVERY: Span = Span::from_secs(30);

pub(super) fn file(path: &str, text: &str) -> Result<NotifierFile, Vec<Problem>> {
    let mut reader = Reader { walk: Walk::new(path) };
    let mut file = NotifierFile::default();
    match yaml::documents(text) {
        Ok(documents) => {
            if let Some(document) = documents.first() {
                reader.document(document, &mut file);
            }
        }
        Err((place, message)) => reader.walk.problem(place, message),
    }
    match reader.walk.problems.is_empty() {
        true => Ok(file),
        false => Err(reader.walk.problems),
    }
}

pub(super) fn target_groups(text: &str) -> Option<Vec<TargetGroup>> {
    let mut reader = Reader { walk: Walk::new("") };
    let documents = yaml::documents(text).ok()?;
    let groups = documents.iter().flat_map(|document| reader.walk.list(document, "a file of targets").to_vec());
    let groups: Vec<Node> = groups.collect();
    let read: Vec<TargetGroup> = groups.iter().map(|group| reader.target_group(group)).collect();
    reader.walk.problems.is_empty().then_some(read)
}

struct Reader<'a> {
    walk: Walk<'a>,
}

impl Reader<'_> {
    fn document(&mut self, document: &Node, file: &mut NotifierFile) {
        let entries = self.walk.map(document, "a notifier file");
        match entries.iter().find(|entry| entry.key == "alerting") {
            // The rest of a prometheus.yml is not about notifiers.
            Some(alerting) => {
                for entry in self.walk.map(&alerting.value, "alerting") {
                    match entry.key.as_str() {
                        "alert_relabel_configs" => file.alert_relabeling = self.relabeling(entry),
                        "alertmanagers" => file.sets.extend(self.each(entry, Self::set)),
                        "webhooks" => file.sets.extend(self.each(entry, Self::webhook)),
                        _ => self.walk.unknown(entry, "alerting"),
                    }
                }
            }
            None => {
                let set = self.set_of(document, &mut file.sets);
                if !set.sources.is_empty() {
                    file.sets.push(set);
                }
            }
        }
    }

    fn set(&mut self, node: &Node) -> NotifierSet {
        self.set_of(node, &mut Vec::new())
    }

    fn webhook(&mut self, node: &Node) -> NotifierSet {
        let (mut set, mut url) = (NotifierSet { is_webhook: true, ..NotifierSet::default() }, String::new());
        for entry in self.walk.map(node, "a webhook") {
            match entry.key.as_str() {
                "url" => url = self.walk.text(entry),
                "timeout" => set.timeout = self.walk.positive_span(entry),
                "alert_relabel_configs" => set.alert_relabeling = self.relabeling(entry),
                _ if self.access(entry, &mut set.access) => {}
                _ => self.walk.unknown(entry, "a webhook"),
            }
        }
        if url.is_empty() {
            self.walk.problem(node.place, "a webhook needs `url`");
        }
        set.sources.push(Source::Urls(vec![url]));
        set
    }

    fn set_of(&mut self, node: &Node, webhooks: &mut Vec<NotifierSet>) -> NotifierSet {
        let mut set = NotifierSet { scheme: "http".to_owned(), ..NotifierSet::default() };
        for entry in self.walk.map(node, "a set of notifiers") {
            match entry.key.as_str() {
                "scheme" => set.scheme = self.walk.text(entry),
                "path_prefix" => set.path_prefix = self.walk.text(entry),
                "timeout" => set.timeout = self.walk.positive_span(entry),
                "api_version" => {
                    if self.walk.text(entry) == "v1" {
                        self.walk.problem(entry.value.place, "Alertmanager's API v1 is no more; use v2");
                    }
                }
                "static_configs" => self.static_configs(entry, &mut set),
                "file_sd_configs" => set.sources.extend(self.each(entry, Self::files)),
                "http_sd_configs" => set.sources.extend(self.each(entry, Self::http)),
                "dns_sd_configs" => set.sources.extend(self.each(entry, Self::dns)),
                "consul_sd_configs" => set.sources.extend(self.each(entry, Self::consul)),
                "relabel_configs" => set.relabeling = self.relabeling(entry),
                "alert_relabel_configs" => set.alert_relabeling = self.relabeling(entry),
                "webhooks" => webhooks.extend(self.each(entry, Self::webhook)),
                _ if self.access(entry, &mut set.access) => {}
                key if key.ends_with("_sd_configs") => {
                    let known = "static, file, http, dns and consul are";
                    self.walk.problem(entry.place, format!("{key} is not supported; {known}"));
                }
                _ => self.walk.unknown(entry, "a set of notifiers"),
            }
        }
        set
    }

    /// vmalert: each of them may say how it is spoken to; here that holds for the whole set.
    fn static_configs(&mut self, entry: &Entry, set: &mut NotifierSet) {
        for node in self.walk.list(&entry.value, &entry.key) {
            let mut group = TargetGroup::default();
            for entry in self.walk.map(node, "a static config") {
                match entry.key.as_str() {
                    "targets" => group.targets = self.walk.texts(entry),
                    "labels" => group.labels = self.pairs(entry).into_iter().collect(),
                    "alert_relabel_configs" => set.alert_relabeling.extend(self.relabeling(entry)),
                    _ if self.access(entry, &mut set.access) => {}
                    _ => self.walk.unknown(entry, "a static config"),
                }
            }
            set.sources.push(Source::Static(group));
        }
    }

    fn target_group(&mut self, node: &Node) -> TargetGroup {
        let mut group = TargetGroup::default();
        for entry in self.walk.map(node, "a target group") {
            match entry.key.as_str() {
                "targets" => group.targets = self.walk.texts(entry),
                "labels" => group.labels = self.pairs(entry).into_iter().collect(),
                _ => self.walk.unknown(entry, "a target group"),
            }
        }
        group
    }

    fn files(&mut self, node: &Node) -> Source {
        let (mut files, mut every) = (Vec::new(), FILES_EVERY);
        for entry in self.walk.map(node, "a file_sd_config") {
            match entry.key.as_str() {
                "files" => files = self.walk.texts(entry),
                "refresh_interval" => every = self.walk.positive_span(entry).unwrap_or(every),
                _ => self.walk.unknown(entry, "a file_sd_config"),
            }
        }
        Source::Files(files, every)
    }

    fn http(&mut self, node: &Node) -> Source {
        let (mut url, mut every, mut access) = (String::new(), HTTP_EVERY, Access::default());
        for entry in self.walk.map(node, "an http_sd_config") {
            match entry.key.as_str() {
                "url" => url = self.walk.text(entry),
                "refresh_interval" => every = self.walk.positive_span(entry).unwrap_or(every),
                _ if self.access(entry, &mut access) => {}
                _ => self.walk.unknown(entry, "an http_sd_config"),
            }
        }
        if url.is_empty() {
            self.walk.problem(node.place, "an http_sd_config needs `url`");
        }
        Source::Http { url, access, every }
    }

    fn dns(&mut self, node: &Node) -> Source {
        let (mut names, mut kind, mut port, mut every) = (Vec::new(), "SRV".to_owned(), 0, DNS_EVERY);
        for entry in self.walk.map(node, "a dns_sd_config") {
            match entry.key.as_str() {
                "names" => names = self.walk.texts(entry),
                "type" => kind = self.walk.text(entry).to_uppercase(),
                "port" => port = u16::try_from(self.walk.count(entry)).unwrap_or(0),
                "refresh_interval" => every = self.walk.positive_span(entry).unwrap_or(every),
                _ => self.walk.unknown(entry, "a dns_sd_config"),
            }
        }
        match kind.as_str() {
            "SRV" => {}
            "A" | "AAAA" if port > 0 => {}
            "A" | "AAAA" => {
                self.walk.problem(node.place, format!("records of type {kind} have no port: it needs `port`"));
            }
            other => self.walk.problem(node.place, format!("{other:?} is none of SRV, A, AAAA")),
        }
        Source::Dns { names, kind, port, every }
    }

    fn consul(&mut self, node: &Node) -> Source {
        let (mut server, mut scheme, mut prefix) = ("localhost:8500".to_owned(), "http".to_owned(), String::new());
        let (mut services, mut tags, mut tag_separator) = (Vec::new(), Vec::new(), ",".to_owned());
        let (mut token, mut parameters, mut access) = (None, Vec::new(), Access::default());
        let (mut every, mut name, mut password) = (DNS_EVERY, None, None);
        for entry in self.walk.map(node, "a consul_sd_config") {
            match entry.key.as_str() {
                "server" => server = self.walk.text(entry),
                "scheme" => scheme = self.walk.text(entry),
                "path_prefix" => prefix = self.walk.text(entry),
                "services" => services = self.walk.texts(entry),
                "tags" => tags = self.walk.texts(entry),
                "tag_separator" => tag_separator = self.walk.text(entry),
                "token" => token = Some(Secret::Text(self.walk.text(entry))),
                "datacenter" => parameters.push(("dc".to_owned(), self.walk.text(entry))),
                "namespace" => parameters.push(("ns".to_owned(), self.walk.text(entry))),
                "partition" | "filter" => parameters.push((entry.key.clone(), self.walk.text(entry))),
                "node_meta" => {
                    let pairs = self.pairs(entry).into_iter();
                    parameters.extend(pairs.map(|(name, value)| ("node-meta".to_owned(), format!("{name}:{value}"))));
                }
                "username" => name = Some(self.walk.text(entry)),
                "password" => password = Some(self.walk.text(entry)),
                "refresh_interval" => every = self.walk.positive_span(entry).unwrap_or(every),
                "allow_stale" => {
                    if self.walk.boolean(entry) {
                        parameters.push(("stale".to_owned(), String::new()));
                    }
                }
                _ if self.access(entry, &mut access) => {}
                _ => self.walk.unknown(entry, "a consul_sd_config"),
            }
        }
        if let Some(name) = name {
            access.basic = Some((name, Secret::Text(password.unwrap_or_default())));
        }
        if !server.contains("://") {
            server = format!("{scheme}://{server}");
        }
        let prefix = prefix.trim_matches('/');
        if !prefix.is_empty() {
            server = format!("{}/{prefix}", server.trim_end_matches('/'));
        }
        Source::Consul { server, services, tags, tag_separator, token, parameters, access, every }
    }

    /// Reads a key about access; `false` where it is none.
    fn access(&mut self, entry: &Entry, access: &mut Access) -> bool {
        match entry.key.as_str() {
            "basic_auth" => {
                let (mut name, mut password) = (String::new(), Secret::Text(String::new()));
                for entry in self.walk.map(&entry.value, "basic_auth") {
                    match entry.key.as_str() {
                        "username" => name = self.walk.text(entry),
                        "password" => password = Secret::Text(self.walk.text(entry)),
                        "password_file" => password = Secret::File(self.walk.text(entry)),
                        _ => self.walk.unknown(entry, "basic_auth"),
                    }
                }
                access.basic = Some((name, password));
            }
            "authorization" => {
                let (mut kind, mut credentials) = ("Bearer".to_owned(), Secret::Text(String::new()));
                for entry in self.walk.map(&entry.value, "authorization") {
                    match entry.key.as_str() {
                        "type" => kind = self.walk.text(entry),
                        "credentials" => credentials = Secret::Text(self.walk.text(entry)),
                        "credentials_file" => credentials = Secret::File(self.walk.text(entry)),
                        _ => self.walk.unknown(entry, "authorization"),
                    }
                }
                access.authorization = Some((kind, credentials));
            }
            "bearer_token" => {
                access.authorization = Some(("Bearer".to_owned(), Secret::Text(self.walk.text(entry))));
            }
            "bearer_token_file" => {
                access.authorization = Some(("Bearer".to_owned(), Secret::File(self.walk.text(entry))));
            }
            "oauth2" => access.oauth2 = Some(self.oauth2(entry)),
            "tls_config" => access.tls = self.tls(entry),
            "headers" => {
                let headers = self.walk.headers(entry).into_iter();
                access.headers.extend(headers.map(|(name, value)| (name, Secret::Text(value))));
            }
            "http_headers" => {
                for header in self.walk.map(&entry.value, "http_headers") {
                    for entry in self.walk.map(&header.value, &header.key) {
                        let secret = match entry.key.as_str() {
                            "values" | "secrets" => Secret::Text,
                            "files" => Secret::File,
                            _ => {
                                self.walk.unknown(entry, "http_headers");
                                continue;
                            }
                        };
                        let texts = self.walk.texts(entry);
                        access.headers.extend(texts.into_iter().map(|text| (header.key.clone(), secret(text))));
                    }
                }
            }
            "proxy_url" => access.proxy = Some(self.walk.text(entry)),
            "follow_redirects" | "enable_http2" => _ = self.walk.boolean(entry),
            _ => return false,
        }
        true
    }

    fn oauth2(&mut self, entry: &Entry) -> OAuth2 {
        let mut oauth2 = OAuth2 {
            client_id: String::new(),
            client_secret: Secret::Text(String::new()),
            token_url: String::new(),
            scopes: Vec::new(),
            params: Vec::new(),
            tls: Tls::default(),
            proxy: None,
        };
        for entry in self.walk.map(&entry.value, "oauth2") {
            match entry.key.as_str() {
                "client_id" => oauth2.client_id = self.walk.text(entry),
                "client_secret" => oauth2.client_secret = Secret::Text(self.walk.text(entry)),
                "client_secret_file" => oauth2.client_secret = Secret::File(self.walk.text(entry)),
                "token_url" => oauth2.token_url = self.walk.text(entry),
                "scopes" => oauth2.scopes = self.walk.texts(entry),
                "endpoint_params" => oauth2.params = self.pairs(entry),
                "tls_config" => oauth2.tls = self.tls(entry),
                "proxy_url" => oauth2.proxy = Some(self.walk.text(entry)),
                _ => self.walk.unknown(entry, "oauth2"),
            }
        }
        if oauth2.token_url.is_empty() {
            self.walk.problem(entry.place, "oauth2 needs `token_url`");
        }
        oauth2
    }

    fn tls(&mut self, entry: &Entry) -> Tls {
        let mut tls = Tls::default();
        for entry in self.walk.map(&entry.value, "tls_config") {
            match entry.key.as_str() {
                "ca_file" => tls.ca_file = Some(self.walk.text(entry)),
                "cert_file" => tls.cert_file = Some(self.walk.text(entry)),
                "key_file" => tls.key_file = Some(self.walk.text(entry)),
                "insecure_skip_verify" => tls.insecure_skip_verify = self.walk.boolean(entry),
                "server_name" => {
                    let why = "server_name cannot be set: name the host that the certificate is for as the target";
                    self.walk.problem(entry.place, why);
                }
                "min_version" | "max_version" => {}
                _ => self.walk.unknown(entry, "tls_config"),
            }
        }
        if tls.cert_file.is_some() != tls.key_file.is_some() {
            self.walk.problem(entry.place, "cert_file and key_file go together");
        }
        tls
    }

    fn relabeling(&mut self, entry: &Entry) -> Vec<RelabelSpec> {
        self.each(entry, |reader, node| {
            let mut spec = RelabelSpec::default();
            for entry in reader.walk.map(node, "a relabel config") {
                match entry.key.as_str() {
                    "source_labels" => spec.source_labels = reader.walk.texts(entry),
                    "separator" => spec.separator = Some(reader.walk.text(entry)),
                    "regex" => spec.regex = Some(reader.walk.text(entry)),
                    "modulus" => spec.modulus = Some(reader.walk.count(entry) as u64),
                    "target_label" => spec.target_label = Some(reader.walk.text(entry)),
                    "replacement" => spec.replacement = Some(reader.walk.text(entry)),
                    "action" => spec.action = Some(reader.walk.text(entry)),
                    _ => reader.walk.unknown(entry, "a relabel config"),
                }
            }
            spec
        })
    }

    fn each<T>(&mut self, entry: &Entry, mut read: impl FnMut(&mut Self, &Node) -> T) -> Vec<T> {
        let nodes = self.walk.list(&entry.value, &entry.key);
        nodes.iter().map(|node| read(self, node)).collect()
    }

    fn pairs(&mut self, entry: &Entry) -> Vec<(String, String)> {
        let entries = self.walk.map(&entry.value, &entry.key);
        entries.iter().map(|entry| (entry.key.clone(), self.walk.text(entry))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_dialects_are_read() {
        let vmalert = "path_prefix: /am\nscheme: https\nbasic_auth: {username: a, password_file: /p}\nstatic_configs:\n- \
                       targets: [am:9093]\n  labels: {zone: eu}\nconsul_sd_configs:\n- {server: consul:8500, services: \
                       [alertmanager]}\n";
        let read = file("n.yml", vmalert).expect("it is good");
        let [set] = read.sets.as_slice() else { panic!("one set") };
        assert_eq!((set.scheme.as_str(), set.path_prefix.as_str()), ("https", "/am"));
        assert_eq!(set.access.basic, Some(("a".to_owned(), Secret::File("/p".to_owned()))));
        assert_eq!(set.sources.iter().map(Source::kind).collect::<Vec<_>>(), ["static", "consul"]);

        let prometheus = "global: {}\nalerting:\n  alert_relabel_configs: [{action: labeldrop, regex: replica}]\n  \
                          alertmanagers:\n  - api_version: v2\n    timeout: 5s\n    file_sd_configs: [{files: ['a/*.json']}]\n    \
                          authorization: {credentials: t}\n  - dns_sd_configs: [{names: [_am._tcp.example]}]\n  webhooks: \
                          [{url: 'http://hook/x'}]\n";
        let read = file("p.yml", prometheus).expect("it is good");
        let kinds: Vec<_> = read.sets.iter().flat_map(|set| &set.sources).map(Source::kind).collect();
        assert_eq!((kinds, read.alert_relabeling.len()), (vec!["file", "dns", "static"], 1));
        assert!(read.sets[2].is_webhook && read.sets[0].timeout == Some(Span::from_secs(5)));
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_place() {
        #[track_caller]
        fn check(text: &str, wanted: &str) {
            let problems = file("n.yml", text).expect_err("it is wrong");
            assert!(problems[0].to_string().starts_with(wanted), "{}", problems[0]);
        }
        check("static_configs: [{target: [a]}]", "n.yml:1:19: unknown key \"target\"");
        check("kubernetes_sd_configs: []", "n.yml:1:1: kubernetes_sd_configs is not supported");
        check("dns_sd_configs: [{names: [a], type: A}]", "n.yml:1:18: records of type A have no port");
        check("tls_config: {cert_file: a}", "n.yml:1:1: cert_file and key_file go together");
        check("alerting: {webhooks: [{}]}", "n.yml:1:23: a webhook needs `url`");
        assert_eq!(target_groups("- targets: [a:1]\n  labels: {x: y}\n").map(|groups| groups.len()), Some(1));
        assert_eq!(target_groups("targets: a"), None);
    }
}
