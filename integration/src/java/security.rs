//! What an administrator does to users: their rights, and their passwords.
use serde_json::json;

use super::JavaTool;

/// What rights are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    /// A topic.
    Topic(&'a str),
    /// A group.
    Group(&'a str),
}

/// How often clients have logged in at a listener of a node, by its own count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// At the beginning of a connection.
    pub begun: u64,
    /// Later.
    pub renewed: u64,
    /// In vain.
    pub refused: u64,
    /// Connections that the node closed because a request came after their sessions had ended.
    pub killed: u64,
}

impl JavaTool {
    /// Gives a user rights, such as `READ` and `DESCRIBE`; brokers heed them soon.
    pub fn allow(&self, user: &str, resource: Resource<'_>, operations: &[&str]) {
        self.rights(true, user, resource, operations);
    }

    /// Takes them away.
    pub fn disallow(&self, user: &str, resource: Resource<'_>, operations: &[&str]) {
        self.rights(false, user, resource, operations);
    }

    /// Sets the password of a user of `SCRAM-SHA-256` or `SCRAM-SHA-512`; `None` removes the user.
    pub fn set_password(&self, mechanism: &str, user: &str, password: Option<&str>) {
        self.ask(
            json!({"do": "password", "mechanism": mechanism, "user": user, "password": password}),
        );
    }

    pub(crate) fn sessions(&self, pid: u32, listener: &str) -> Sessions {
        let answer = self.ask(json!({"do": "sessions", "pid": pid, "listener": listener}));
        let count = |name: &str| answer[name].as_u64().expect("the Java tool says so");
        Sessions {
            begun: count("successful-authentication-total"),
            renewed: count("successful-reauthentication-total"),
            refused: count("failed-authentication-total") + count("failed-reauthentication-total"),
            killed: count("expired-connections-killed-count"),
        }
    }

    fn rights(&self, give: bool, user: &str, resource: Resource<'_>, operations: &[&str]) {
        let (kind, name) = match resource {
            Resource::Topic(name) => ("TOPIC", name),
            Resource::Group(name) => ("GROUP", name),
        };
        self.ask(
            json!({"do": "rights", "give": give, "user": user, "resource": kind, "name": name,
            "operations": operations}),
        );
    }
}
