//! A Weir and its neighbours as processes on loopback, in a folder of their own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

/// Where the real programs are; `None` (said loudly) where they are not and need not be.
///
/// # Panics
/// Where they are required and absent.
#[expect(clippy::disallowed_methods, reason = "tests are told where the programs are by the environment")]
pub(crate) fn tools() -> Option<PathBuf> {
    let home = std::env::var("HOME").unwrap_or_default();
    let cache = std::env::var("XDG_CACHE_HOME").unwrap_or(format!("{home}/.cache"));
    let named = std::env::var("WEIR_TOOLS").map(PathBuf::from).ok();
    let found = named.into_iter().chain([PathBuf::from(cache).join("weir/tools/usr/bin"), PathBuf::from("/usr/bin")]);
    let found = found.into_iter().find(|folder| folder.join("prometheus-alertmanager").exists());
    if found.is_none() {
        let required = std::env::var("WEIR_STACK").is_ok_and(|value| value == "required");
        assert!(!required, "Debian's prometheus is required and not there; run .ci/tools");
        eprintln!("SKIPPED: Debian's prometheus, alertmanager and node-exporter are not there; run .ci/tools");
    }
    found
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// The repository's folder.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// How Linux counts CPU time towards programs (USER_HZ), on every machine that it runs on here.
const TICKS_A_SECOND: f64 = 100.0;

/// A running program; killed when dropped.
pub(crate) struct Program {
    child: Child,
}

impl Program {
    /// Starts a program; what it prints goes into `log`.
    pub(crate) fn start(binary: &Path, arguments: &[String], log: &Path) -> Self {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).expect("open the program's log");
        let child = Command::new(binary)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("clone a file"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("start {}: {error}", binary.display()));
        Program { child }
    }

    /// SIGKILL, and wait until it is gone.
    pub(crate) fn kill(mut self) {
        self.kill_now();
    }

    fn kill_now(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The CPU seconds that it has used so far.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("the program runs");
        // Behind the name, which may hold anything: the 12th and 13th field are ticks in the program and in the system.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let ticks = |field: usize| fields[field].parse::<f64>().expect("a number of ticks");
        (ticks(11) + ticks(12)) / TICKS_A_SECOND
    }

    /// Waits until the program ends by itself.
    pub(crate) fn wait(mut self) -> std::process::ExitStatus {
        self.child.wait().expect("wait for the program")
    }

    /// SIGTERM, and wait for the exit status.
    pub(crate) fn terminate(mut self) -> std::process::ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.child.wait().expect("wait for the program")
    }

    /// SIGHUP.
    pub(crate) fn hang_up(&self) {
        self.signal(rustix::process::Signal::HUP);
    }

    /// SIGSTOP.
    pub(crate) fn stop_for_now(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// SIGCONT.
    pub(crate) fn go_on(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("the program runs");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill_now();
    }
}

/// Asks again and again until `ask` gives something.
///
/// # Panics
/// After `patience`, naming what was awaited.
pub(crate) async fn eventually<T>(awaited: &str, patience: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let attempts = patience.as_millis() / 250;
    for _ in 0..attempts {
        if let Some(answer) = ask().await {
            return answer;
        }
        pause(Duration::from_millis(250)).await;
    }
    panic!("{awaited}: not within {patience:?}");
}

/// A number that whoever runs the tests may choose.
#[expect(clippy::disallowed_methods, reason = "a test's length is the caller's choice")]
pub(crate) fn chosen(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// A Weir with a configuration and rules of its own, ready to serve; all it has lies in `folder`.
pub(crate) async fn weir(folder: &Path, port: u16, config: &str, rules: &str) -> Program {
    std::fs::create_dir_all(folder).expect("make a folder");
    let path = |name: &str| folder.join(name).display().to_string();
    std::fs::write(path("rules.yml"), rules).expect("write rules");
    std::fs::write(path("weir.yml"), config).expect("write a configuration");
    let arguments = [
        "serve".to_owned(),
        format!("--config={}", path("weir.yml")),
        format!("--listen=127.0.0.1:{port}"),
        format!("--data={}", path("data")),
        format!("--rules={}", path("rules.yml")),
    ];
    let program = Program::start(Path::new(env!("CARGO_BIN_EXE_weir")), &arguments, &folder.join("weir.log"));
    let api = Api::new(port);
    eventually("weir is ready", Duration::from_secs(30), async || api.is_ok("/-/ready").await.then_some(())).await;
    program
}

/// Lets real time pass: these stories are about real programs.
pub(crate) async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    /// The content type.
    pub(crate) kind: String,
    pub(crate) retry_after: Option<String>,
    pub(crate) text: String,
}

/// A Prometheus-compatible API.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) url: String,
    client: reqwest::Client,
}

impl Api {
    pub(crate) fn new(port: u16) -> Self {
        Api { url: format!("http://127.0.0.1:{port}"), client: reqwest::Client::new() }
    }

    /// The JSON under `path`, or `None` where nobody answers with 200.
    pub(crate) async fn try_get(&self, path: &str, parameters: &[(&str, &str)]) -> Option<Value> {
        let query: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let answer = self.client.get(format!("{}{path}?{}", self.url, query.join("&"))).send().await.ok()?;
        match answer.status().is_success() {
            true => answer.json().await.ok(),
            false => None,
        }
    }

    /// The `data` of a successful answer.
    ///
    /// # Panics
    /// Where there is none.
    pub(crate) async fn data(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let answer = self.try_get(path, parameters).await;
        answer.unwrap_or_else(|| panic!("{}{path} {parameters:?} gave no answer", self.url))["data"].clone()
    }

    /// Sends a request as it is, and gives the answer whatever it is.
    ///
    /// # Panics
    /// Where nobody answers.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        self.try_send(method, path, headers, body).await.unwrap_or_else(|error| panic!("{path}: {error:?}"))
    }

    /// The same, for somebody who may be dead.
    ///
    /// # Errors
    /// Where nobody answers.
    pub(crate) async fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> reqwest::Result<Answer> {
        let method = method.parse().expect("a method");
        let mut request = self.client.request(method, format!("{}{path}", self.url)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await?;
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Answer {
            code: answer.status().as_u16(),
            kind: header("content-type").unwrap_or_default(),
            retry_after: header("retry-after"),
            text: answer.text().await?,
        })
    }

    /// POSTs to `path`; gives the body where somebody answers with success.
    pub(crate) async fn try_post(&self, path: &str) -> Option<String> {
        let answer = self.client.post(format!("{}{path}", self.url)).send().await.ok()?;
        match answer.status().is_success() {
            true => answer.text().await.ok(),
            false => None,
        }
    }

    /// Whether `path` answers 200.
    pub(crate) async fn is_ok(&self, path: &str) -> bool {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// The result of an instant query.
    pub(crate) async fn query(&self, text: &str, at: Option<f64>) -> Vec<Value> {
        let time = at.map(|at| format!("{at:.3}"));
        let mut parameters = vec![("query", text)];
        parameters.extend(time.as_deref().map(|time| ("time", time)));
        self.data("/api/v1/query", &parameters).await["result"].as_array().cloned().unwrap_or_default()
    }
}

/// Percent-encodes a query parameter.
fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The ports and files of one stack, with the files of `config/` rewritten to loopback.
pub(crate) struct Stack {
    pub(crate) folder: tempfile::TempDir,
    tools: PathBuf,
    pub(crate) weir: u16,
    pub(crate) replicas: [u16; 2],
    pub(crate) node_exporter: u16,
    pub(crate) alertmanager: u16,
    scrape_interval: &'static str,
}

impl Stack {
    pub(crate) fn new(tools: PathBuf, scrape_interval: &'static str) -> Self {
        Stack {
            folder: tempfile::tempdir().expect("a temporary folder"),
            tools,
            weir: free_port(),
            replicas: [free_port(), free_port()],
            node_exporter: free_port(),
            alertmanager: free_port(),
            scrape_interval,
        }
    }

    pub(crate) fn api(&self) -> Api {
        Api::new(self.weir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of `config/` as this stack's programs read it.
    fn configured(&self, name: &str) -> PathBuf {
        let text = std::fs::read_to_string(repository().join("config").join(name)).expect("read a configuration file");
        let text = text
            .replace("node-exporter:9100", &format!("127.0.0.1:{}", self.node_exporter))
            .replace("prometheus-a:9090", &format!("127.0.0.1:{}", self.replicas[0]))
            .replace("prometheus-b:9090", &format!("127.0.0.1:{}", self.replicas[1]))
            .replace("alertmanager:9093", &format!("127.0.0.1:{}", self.alertmanager))
            .replace("weir:8488", &format!("127.0.0.1:{}", self.weir))
            .replace("scrape_interval: 5s", &format!("scrape_interval: {}", self.scrape_interval))
            .replace("interval: 5s", "interval: 1s");
        let path = self.path(&name.replace('/', "-"));
        std::fs::write(&path, text).expect("write a configuration file");
        path
    }

    /// Weir itself, ready to serve. `extra` are further flags.
    pub(crate) async fn start_weir(&self, extra: &[&str]) -> Program {
        let rules = self.configured("rules/demo.yml");
        let mut arguments = vec![
            "serve".to_owned(),
            format!("--listen=127.0.0.1:{}", self.weir),
            format!("--data={}", self.path("weir").display()),
            format!("--rules={}", rules.display()),
            format!("--notifier=http://127.0.0.1:{}", self.alertmanager),
        ];
        arguments.extend(extra.iter().map(|&flag| flag.to_owned()));
        let program = Program::start(Path::new(env!("CARGO_BIN_EXE_weir")), &arguments, &self.path("weir.log"));
        let api = self.api();
        eventually("weir is ready", Duration::from_secs(30), async || api.is_ok("/-/ready").await.then_some(())).await;
        program
    }

    /// Replica 0 (a) or 1 (b), as a server with an API of its own or as an agent.
    pub(crate) fn start_replica(&self, index: usize, agent: bool) -> Program {
        let name = ["a", "b"][index];
        let config = self.configured(&format!("prometheus-{name}.yml"));
        let storage = self.path(&format!("prometheus-{name}"));
        let mut arguments = vec![
            format!("--config.file={}", config.display()),
            format!("--web.listen-address=127.0.0.1:{}", self.replicas[index]),
        ];
        match agent {
            true => {
                arguments.push("--enable-feature=agent".into());
                arguments.push(format!("--storage.agent.path={}", storage.display()));
            }
            false => arguments.push(format!("--storage.tsdb.path={}", storage.display())),
        }
        Program::start(&self.tools.join("prometheus"), &arguments, &self.path(&format!("prometheus-{name}.log")))
    }

    pub(crate) fn start_node_exporter(&self) -> Program {
        let arguments = [format!("--web.listen-address=127.0.0.1:{}", self.node_exporter)];
        Program::start(&self.tools.join("prometheus-node-exporter"), &arguments, &self.path("node-exporter.log"))
    }

    pub(crate) fn start_alertmanager(&self) -> Program {
        let config = self.configured("alertmanager.yml");
        let arguments = [
            format!("--config.file={}", config.display()),
            format!("--storage.path={}", self.path("alertmanager").display()),
            format!("--web.listen-address=127.0.0.1:{}", self.alertmanager),
            "--cluster.listen-address=".to_owned(),
        ];
        Program::start(&self.tools.join("prometheus-alertmanager"), &arguments, &self.path("alertmanager.log"))
    }

    /// The last lines of a program's log, for a failure's message.
    pub(crate) fn log_tail(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}
