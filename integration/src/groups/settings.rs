//! What a member of a group is to do, in terms that the programs of all clients understand.
use std::{path::PathBuf, time::Duration};

use serde_json::{Value, json};

/// Whose consumer a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// This crate's.
    Ours,
    /// Kafka's own.
    Java,
    /// kafka-python's.
    KafkaPython,
}

/// The program of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Client {
    /// Another program than those of this folder, with this crate's consumer: it is given the settings, and these
    /// arguments after them.
    Ours(PathBuf, Vec<String>),
    /// `java/Member.java`.
    Java,
    /// `python/member.py`.
    KafkaPython,
}

/// When a member commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitMode {
    /// The consumer does it by itself.
    Auto,
    /// After each record.
    Record,
    /// After everything that a poll returned.
    Batch,
    /// Never.
    None,
}

/// What a member is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberSettings {
    /// `bootstrap_servers`.
    pub servers: String,
    /// `group_id`.
    pub group: String,
    /// What it subscribes to.
    pub topics: Vec<String>,
    /// `range`, `roundrobin`, `sticky`, `cooperative-sticky`, the preferred first.
    pub assignors: Vec<String>,
    /// `group_instance_id`.
    pub instance: Option<String>,
    /// When it commits.
    pub commit: CommitMode,
    /// How long it works on each record.
    pub process: Duration,
    /// The time-out of each poll.
    pub poll: Duration,
    /// `auto_commit_interval_ms`.
    pub auto_commit_interval: Duration,
    /// `max_poll_records`.
    pub max_poll_records: u32,
    /// `max_poll_interval_ms`.
    pub max_poll_interval: Duration,
    /// `session_timeout_ms`.
    pub session_timeout: Duration,
    /// `heartbeat_interval_ms`.
    pub heartbeat_interval: Duration,
}

impl Client {
    /// Whose consumer it has.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Ours(..) => Kind::Ours,
            Self::Java => Kind::Java,
            Self::KafkaPython => Kind::KafkaPython,
        }
    }
}

impl CommitMode {
    const NAMES: [(Self, &str); 4] = [
        (Self::Auto, "auto"),
        (Self::Record, "record"),
        (Self::Batch, "batch"),
        (Self::None, "none"),
    ];

    fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(mode, _)| *mode == self);
        found.expect("each has a name").1
    }
}

impl MemberSettings {
    /// Ranges, auto commit every 300 ms, no work, and a group that notices changes within 300 ms.
    pub fn new(servers: &str, group: &str, topic: &str) -> Self {
        Self {
            servers: servers.to_owned(),
            group: group.to_owned(),
            topics: vec![topic.to_owned()],
            assignors: vec!["range".to_owned()],
            instance: None,
            commit: CommitMode::Auto,
            process: Duration::ZERO,
            poll: Duration::from_millis(100),
            auto_commit_interval: Duration::from_millis(300),
            max_poll_records: 500,
            max_poll_interval: Duration::from_secs(30),
            session_timeout: Duration::from_secs(10),
            heartbeat_interval: Duration::from_millis(300),
        }
    }

    /// With other assignors, the preferred one first.
    #[must_use]
    pub fn assignors(mut self, names: &[&str]) -> Self {
        self.assignors = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// With another way to commit.
    #[must_use]
    pub fn commit(mut self, mode: CommitMode) -> Self {
        self.commit = mode;
        self
    }

    /// As the programs are given it.
    pub fn to_json(&self) -> Value {
        json!({
            "servers": self.servers, "group": self.group, "topics": self.topics, "assignors": self.assignors,
            "instance": self.instance, "commit": self.commit.name(), "max_poll_records": self.max_poll_records,
            "process_ms": millis(self.process), "poll_ms": millis(self.poll),
            "auto_commit_interval_ms": millis(self.auto_commit_interval),
            "max_poll_interval_ms": millis(self.max_poll_interval),
            "session_timeout_ms": millis(self.session_timeout),
            "heartbeat_interval_ms": millis(self.heartbeat_interval),
        })
    }

    /// What a program was given.
    pub fn from_json(told: &Value) -> Option<Self> {
        let text = |name: &str| told[name].as_str().map(str::to_owned);
        let texts = |name: &str| -> Option<Vec<String>> {
            told[name].as_array()?.iter().map(|one| one.as_str().map(str::to_owned)).collect()
        };
        let time = |name: &str| told[name].as_u64().map(Duration::from_millis);
        let mode = text("commit")?;
        Some(Self {
            servers: text("servers")?,
            group: text("group")?,
            topics: texts("topics")?,
            assignors: texts("assignors")?,
            instance: text("instance"),
            commit: CommitMode::NAMES.iter().find(|(_, name)| *name == mode)?.0,
            process: time("process_ms")?,
            poll: time("poll_ms")?,
            auto_commit_interval: time("auto_commit_interval_ms")?,
            max_poll_records: u32::try_from(told["max_poll_records"].as_u64()?).ok()?,
            max_poll_interval: time("max_poll_interval_ms")?,
            session_timeout: time("session_timeout_ms")?,
            heartbeat_interval: time("heartbeat_interval_ms")?,
        })
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("tests are short")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_told_what_was_set() {
        let mut settings = MemberSettings::new("localhost:1", "g", "t")
            .assignors(&["cooperative-sticky", "range"])
            .commit(CommitMode::Record);
        settings.process = Duration::from_millis(7);
        assert_eq!(MemberSettings::from_json(&settings.to_json()), Some(settings.clone()));
        settings.instance = Some("i".to_owned());
        assert_eq!(MemberSettings::from_json(&settings.to_json()), Some(settings));
    }
}
