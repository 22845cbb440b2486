//! A cluster of real brokers that lives as long as its guard.
use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{
    child::Child,
    java::{JavaTool, Sessions},
    proxy::Proxy,
};

/// Real brokers on loopback, on free ports, with data folders of their own; gone when this is dropped, or when the
/// test process ends in any way.
#[derive(Debug)]
pub struct Cluster {
    child: Mutex<Child>,
    description: Mutex<Value>,
    bootstrap: String,
    java: OnceLock<JavaTool>,
}

impl Cluster {
    /// Begins a cluster of a release, such as `4.4.0`.
    #[must_use]
    pub fn release<'a>(version: &str) -> ClusterBuilder<'a> {
        let (settings, proxies) = (Vec::new(), Vec::new());
        ClusterBuilder { version: version.to_owned(), nodes: 1, settings, proxies }
    }

    /// The addresses of all nodes' plain-text listeners, as `bootstrap_servers` wants them.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The addresses of all nodes' listeners of a name: `SSL`, `SASL_PLAINTEXT`, `SASL_SSL` or `MTLS`.
    pub fn bootstrap_of(&self, listener: &str) -> String {
        text(&self.description()["bootstrap"][listener])
    }

    /// The address of one node's listener, such as `PLAINTEXT`.
    pub fn address(&self, node: i32, listener: &str) -> String {
        text(&self.description()["nodes"][node.to_string()][listener])
    }

    /// The Kerberos realm of a cluster that has one.
    ///
    /// # Panics
    /// Where it has none: [`ClusterBuilder::kerberos`].
    pub fn kerberos(&self) -> Kerberos {
        let told = &self.description()["kerberos"];
        let path = |name: &str| PathBuf::from(text(&told[name]));
        Kerberos {
            configuration: path("krb5_conf"),
            keytab: path("client_keytab"),
            principal: text(&told["principal"]),
        }
    }

    /// Gets the realm's client a ticket that lasts so many seconds, into a file that becomes its cache (`KRB5CCNAME`).
    pub fn log_in(&self, file: &Path, seconds: u32) {
        self.obey(&format!("ticket {} {seconds}", file.display()));
    }

    /// The folder with the certificates: `ca.pem`, `client.pem`, `client.key`.
    pub fn pki(&self) -> String {
        text(&self.description()["pki"])
    }

    /// The folder with the nodes' data and logs, which goes away with the cluster.
    pub fn home(&self) -> PathBuf {
        PathBuf::from(text(&self.description()["home"]))
    }

    /// The ids of all nodes.
    pub fn nodes(&self) -> Vec<i32> {
        let description = self.description();
        let nodes = description["nodes"].as_object().expect("kafka.py says so");
        nodes.keys().map(|node| node.parse().expect("node ids are numbers")).collect()
    }

    /// The process id of a node.
    pub fn pid(&self, node: i32) -> u32 {
        let pid = self.description()["pids"][node.to_string()].as_u64();
        pid.and_then(|pid| u32::try_from(pid).ok()).expect("kafka.py says so")
    }

    /// Kafka's own clients against this cluster, started when first used.
    pub fn java(&self) -> &JavaTool {
        self.java.get_or_init(|| JavaTool::start(&self.bootstrap))
    }

    /// How many bytes of a topic a node says that it has sent to consumers; a paused one says nothing.
    pub fn bytes_out(&self, node: i32, topic: &str) -> i64 {
        self.java().bytes_out(self.pid(node), topic)
    }

    /// How often clients have logged in at a listener of a node, by its own count since it started.
    pub fn sessions(&self, node: i32, listener: &str) -> Sessions {
        self.java().sessions(self.pid(node), listener)
    }

    /// Ends a node at once (SIGKILL), as a power cut would.
    pub fn kill(&self, node: i32) {
        self.obey(&format!("kill {node}"));
    }

    /// Freezes a node (SIGSTOP): its connections stay and nobody answers.
    pub fn pause(&self, node: i32) {
        self.obey(&format!("pause {node}"));
    }

    /// Lets a paused node go on.
    pub fn resume(&self, node: i32) {
        self.obey(&format!("resume {node}"));
    }

    /// Lets a node hand over its partitions and end.
    pub fn stop(&self, node: i32) {
        self.obey(&format!("stop {node}"));
    }

    /// Starts a killed or stopped node with the data and ports that it had, and returns when it listens.
    pub fn start(&self, node: i32) {
        self.obey(&format!("start {node}"));
    }

    /// Stops a node cleanly and starts it again.
    pub fn restart(&self, node: i32) {
        self.obey(&format!("restart {node}"));
    }

    /// Restarts a node as another release, as in an upgrade.
    pub fn restart_as(&self, node: i32, version: &str) {
        self.obey(&format!("restart {node} {version}"));
    }

    /// For tests that share a cluster: the brokers' last log lines are shown if the test fails while this is held.
    pub fn logs_on_failure(&self) -> LogsOnFailure<'_> {
        LogsOnFailure(self)
    }

    fn description(&self) -> Value {
        self.description.lock().unwrap_or_else(|poison| poison.into_inner()).clone()
    }

    fn obey(&self, command: &str) -> Value {
        let mut child = self.child.lock().unwrap_or_else(|poison| poison.into_inner());
        let answer = child.ask(command, PATIENCE);
        if command != "logs" {
            *self.description.lock().unwrap_or_else(|poison| poison.into_inner()) = answer.clone();
        }
        answer
    }

    fn show_logs(&self) {
        for (node, log) in self.obey("logs").as_object().expect("kafka.py says so") {
            eprintln!("--- the end of node {node}'s log\n{}", text(log));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            self.show_logs();
        }
    }
}

/// What a cluster is to be.
#[derive(Debug)]
pub struct ClusterBuilder<'a> {
    version: String,
    nodes: u32,
    settings: Vec<String>,
    proxies: Vec<&'a Proxy>,
}

impl<'a> ClusterBuilder<'a> {
    /// How many brokers; one if this is not called.
    #[must_use]
    pub fn nodes(mut self, nodes: u32) -> Self {
        self.nodes = nodes;
        self
    }

    /// A broker property, the same for all nodes.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.extend(["--set".to_owned(), format!("{name}={value}")]);
        self
    }

    /// One more listener, of the proxy's name, that sends clients to the proxy; what comes there goes to this listener.
    ///
    /// Clients of the other listeners, such as [`Cluster::java`]'s, see nothing of it. From release 1.0 on.
    #[must_use]
    pub fn behind(mut self, proxy: &'a Proxy) -> Self {
        self.proxies.push(proxy);
        self
    }

    /// One more listener, of this name and protocol, such as `SSL`. From release 1.0 on.
    #[must_use]
    pub fn listener(mut self, name: &str, protocol: &str) -> Self {
        self.settings.extend(["--listener".to_owned(), format!("{name}={protocol}")]);
        self
    }

    /// With a Kerberos realm, and the mechanism GSSAPI; adds a second to the start. For KRaft releases.
    #[must_use]
    pub fn kerberos(mut self) -> Self {
        self.settings.push("--kerberos".to_owned());
        self
    }

    /// Starts the brokers and returns when all listen: after about 3 s for one, 6 s for three.
    #[must_use]
    pub fn start(self) -> Cluster {
        let name = test_name();
        let nodes = self.nodes.to_string();
        let mut arguments: Vec<String> =
            ["cluster", &self.version, "--name", &name, "--nodes", &nodes]
                .map(str::to_owned)
                .into();
        arguments.extend(self.settings);
        for proxy in &self.proxies {
            let ports = (1..=self.nodes.cast_signed()).map(|node| proxy.port(node).to_string());
            let ports = ports.collect::<Vec<_>>().join(",");
            arguments.extend(["--behind".to_owned(), format!("{}={ports}", proxy.name())]);
        }
        let child = Child::kafka_py(&format!("cluster of {}", self.version), &arguments);
        let description = child.answer("start", PATIENCE);
        let cluster = Cluster {
            child: Mutex::new(child),
            bootstrap: text(&description["bootstrap"]["PLAINTEXT"]),
            description: Mutex::new(description),
            java: OnceLock::new(),
        };
        for proxy in &self.proxies {
            for node in cluster.nodes() {
                let address = cluster.address(node, proxy.name());
                let port = address.rsplit(':').next().and_then(|port| port.parse().ok());
                let port: u16 = port.expect("kafka.py says so");
                proxy.forward(node, (Ipv4Addr::LOCALHOST, port).into());
            }
        }
        cluster
    }
}

/// What a client of a cluster's Kerberos realm needs to know. Its library reads the environment, so it is a process of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kerberos {
    /// Where the realm is, for `KRB5_CONFIG`.
    pub configuration: PathBuf,
    /// The client's key, for `KRB5_CLIENT_KTNAME`.
    pub keytab: PathBuf,
    /// The client.
    pub principal: String,
}

/// Shows the brokers' logs when a test panics while it holds this.
#[derive(Debug)]
pub struct LogsOnFailure<'a>(&'a Cluster);

impl Drop for LogsOnFailure<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.show_logs();
        }
    }
}

/// Test threads bear their test's name, so the data folder tells whose it is.
fn test_name() -> String {
    let current = thread::current();
    let name = current.name().unwrap_or("kafka").rsplit("::").next().unwrap_or("kafka");
    name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(60).collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("kafka.py says so").to_owned()
}

/// The first start of a release resolves its jars.
const PATIENCE: Duration = Duration::from_secs(300);
