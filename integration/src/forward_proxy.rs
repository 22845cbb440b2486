//! Real proxies that clients go through to brokers: microsocks and tinyproxy.
use std::{sync::Mutex, time::Duration};

use crate::child::Child;

/// A proxy as a process; gone when this is dropped.
#[derive(Debug)]
pub struct ForwardProxy {
    child: Mutex<Child>,
    kind: &'static str,
    port: u64,
}

impl ForwardProxy {
    /// For SOCKS 5; `login`: the name and the password that it wants.
    #[must_use]
    pub fn socks5(login: Option<(&str, &str)>) -> Self {
        Self::start("socks5", login)
    }

    /// For HTTP's CONNECT.
    #[must_use]
    pub fn http(login: Option<(&str, &str)>) -> Self {
        Self::start("http", login)
    }

    /// Where it is, for `proxy_url`, with this before the address: nothing, or `name:password@`.
    #[must_use]
    pub fn url(&self, login: &str) -> String {
        format!("{}://{login}127.0.0.1:{}", self.kind, self.port)
    }

    /// What it has written down.
    ///
    /// # Panics
    /// Where it is gone.
    pub fn log(&self) -> String {
        let mut child = self.child.lock().unwrap_or_else(|poison| poison.into_inner());
        let answer = child.ask("log", PATIENCE);
        answer["log"].as_str().expect("kafka.py says so").to_owned()
    }

    fn start(kind: &'static str, login: Option<(&str, &str)>) -> Self {
        let mut arguments = vec!["proxy".to_owned(), kind.to_owned()];
        arguments.extend(
            login.iter().flat_map(|(user, password)| [*user, *password]).map(str::to_owned),
        );
        let child = Child::kafka_py(&format!("a proxy for {kind}"), &arguments);
        let answer = child.answer("start", PATIENCE);
        let port = answer["port"].as_u64().expect("kafka.py says so");
        Self { child: Mutex::new(child), kind, port }
    }
}

const PATIENCE: Duration = Duration::from_secs(60);
