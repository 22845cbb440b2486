//! How to get in at a listener, in the words that this crate's consumer and kafka-python share, and a topic that goes through it.
use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use kafka_blocking::{ConsumerBuilder, KafkaConsumer};
use scripted_broker::watch_logs;
use serde_json::{Map, Value, json};

use crate::{child::output_of, cluster::Kerberos, python};

/// Where to connect to, and how to log in there.
#[derive(Clone, Debug)]
pub struct Login {
    servers: String,
    options: Vec<(String, String)>,
    token_user: Option<String>,
}

impl Login {
    /// The options are those of both clients, such as `security_protocol`.
    #[must_use]
    pub fn new(servers: &str, options: &[(&str, &str)]) -> Self {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { servers: servers.to_owned(), options: options.collect(), token_user: None }
    }

    /// By a token that says that one is this user, and that nobody has signed.
    #[must_use]
    pub fn with_tokens_of(mut self, user: &str) -> Self {
        self.token_user = Some(user.to_owned());
        self
    }

    /// The same at other servers.
    #[must_use]
    pub fn at(mut self, servers: &str) -> Self {
        servers.clone_into(&mut self.servers);
        self
    }

    /// With one more option, or another value of one.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.options.retain(|(known, _)| known != name);
        self.options.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A consumer that reads from the earliest record on; nobody may log a secret from now on.
    pub fn consumer(&self) -> ConsumerBuilder {
        watch_logs();
        let mut builder = KafkaConsumer::builder()
            .bootstrap_servers(self.servers.as_str())
            .auto_offset_reset("earliest");
        for (name, value) in &self.options {
            builder = builder.set(name, value);
        }
        match self.token_user.clone() {
            None => builder,
            Some(user) => builder
                .sasl_oauth_token_provider(move || Ok::<_, String>(unsecured_token(&user, 600))),
        }
    }

    /// Has kafka-python write records to all partitions of a topic in turn, each with its number as its value.
    ///
    /// # Panics
    /// Where not all are acknowledged.
    pub fn write_with_kafka_python(&self, topic: &str, records: usize) {
        let mut options = Map::new();
        for (name, value) in &self.options {
            let number = value.parse::<u64>().map(Value::from);
            options.insert(name.clone(), number.unwrap_or_else(|_| value.as_str().into()));
        }
        let servers: Vec<&str> = self.servers.split(',').collect();
        options.insert("bootstrap_servers".to_owned(), json!(servers));
        let settings = json!({"options": options, "topic": topic, "records": records,
            "token_user": self.token_user});
        let answer = python::run("produce.py", &[&settings.to_string()]);
        assert_eq!(answer, json!({ "acknowledged": records }));
    }

    /// Reads that many records as the only member of a group, commits, and leaves.
    ///
    /// # Errors
    /// What the consumer gives.
    ///
    /// # Panics
    /// Where a record is missing, or comes twice, or in another order than that of its partition.
    pub fn read_in_a_group(
        &self,
        topic: &str,
        group: &str,
        records: usize,
    ) -> kafka_blocking::Result<()> {
        let builder = self.consumer().group_id(group).topics(topic).consumer_timeout_ms(30_000);
        let consumer = builder.build()?;
        let mut ends = BTreeMap::<i32, i64>::new();
        let mut seen = vec![false; records];
        for _ in 0..records {
            let record = consumer.next().expect("not all records came")?;
            let end = ends.entry(record.partition()).or_default();
            assert_eq!(record.offset(), *end, "{}", record.topic_partition());
            *end += 1;
            let value =
                String::from_utf8_lossy(record.value().unwrap_or_default()).parse::<usize>();
            let was = std::mem::replace(&mut seen[value.expect("a number")], true);
            assert!(!was, "{record:?} came before");
        }
        consumer.commit()?;
        consumer.close()
    }

    /// The same in a process of its own, with a realm's configuration and more of the environment; what it says.
    ///
    /// `program` is that of `src/bin/group_reader.rs`.
    pub fn read_in_a_process(
        &self,
        program: &str,
        (topic, group, records): (&str, &str, usize),
        realm: &Kerberos,
        more: &[(&str, &Path)],
    ) -> Value {
        let options: Map<String, Value> =
            self.options.iter().map(|(n, v)| (n.clone(), v.as_str().into())).collect();
        let settings = json!({"servers": self.servers, "options": options, "topic": topic,
            "group": group, "records": records});
        let process = Command::new(program)
            .arg(settings.to_string())
            // Not that of whoever runs the tests.
            .env("KRB5CCNAME", "MEMORY:")
            .env("KRB5_CONFIG", &realm.configuration)
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it was built with the tests");
        let done = output_of("group_reader", process);
        let errors = String::from_utf8_lossy(&done.stderr);
        serde_json::from_slice(&done.stdout).unwrap_or_else(|_| panic!("it failed:\n{errors}"))
    }

    /// What [`read_in_a_process`](Self::read_in_a_process) hands over; what it prints.
    ///
    /// # Panics
    /// Where it is not that.
    pub fn read_as_told(settings: &str) -> Value {
        let told: Value = serde_json::from_str(settings).expect("the settings are JSON");
        let text = |name: &str| told[name].as_str().expect("it is text").to_owned();
        let mut login = Self::new(&text("servers"), &[]);
        for (name, value) in told["options"].as_object().expect("options by name") {
            login = login.set(name, value.as_str().expect("it is text"));
        }
        let records = told["records"].as_u64().and_then(|n| usize::try_from(n).ok());
        let records = records.expect("how many");
        match login.read_in_a_group(&text("topic"), &text("group"), records) {
            Ok(()) => json!({ "read": records }),
            Err(error) => json!({"error": error.to_string(), "kind": kind(&error)}),
        }
    }
}

/// A token that nobody has signed, as brokers take it in tests, that is good for so many seconds from now.
#[must_use]
pub fn unsecured_token(user: &str, seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    let now = now.as_secs().cast_signed();
    let (from, until) = (now.min(now + seconds) - 10, now + seconds);
    let claims = json!({"sub": user, "iat": from, "exp": until}).to_string();
    let part = |text: &str| {
        let text = openssl::base64::encode_block(text.as_bytes());
        text.trim_end_matches('=').replace('+', "-").replace('/', "_")
    };
    format!("{}.{}.", part("{\"alg\":\"none\"}"), part(&claims))
}

/// The name of an error's variant.
fn kind(error: &kafka_blocking::Error) -> String {
    let text = format!("{error:?}");
    text.chars().take_while(char::is_ascii_alphanumeric).collect()
}
