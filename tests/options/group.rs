//! What the options of a group make of a member, as far as it can be told without a group.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use kafka_blocking::{
    AssignmentStrategy, BoxError, ConsumerBuilder, Error, GroupMember, PartitionAssignor,
    RebalanceProtocol, TopicPartition, consumer::options::GroupOptions,
};

use crate::support::refused;

fn member() -> ConsumerBuilder {
    ConsumerBuilder::new().group_id("g")
}

fn group(builder: ConsumerBuilder) -> GroupOptions {
    builder.resolve().unwrap().group.expect("a group")
}

/// Checks that the option is refused, with these words in the text.
fn refuses(builder: ConsumerBuilder, option: &str, words: &[&str]) {
    let Error::Configuration(error) = refused(builder) else { panic!("{option}") };
    assert_eq!(error.option, option, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "{word} is missing in: {error}");
    }
}

#[test]
fn option_group_id() {
    assert!(ConsumerBuilder::new().resolve().unwrap().group.is_none());
    assert_eq!(&*group(ConsumerBuilder::new().group_id("my-group")).group_id, "my-group");
    refuses(member().group_id(""), "group_id", &["must not be empty"]);
}

#[test]
fn option_group_instance_id() {
    assert_eq!(group(member().group_instance_id("till-3")).instance_id.as_deref(), Some("till-3"));
    refuses(member().group_instance_id("a b"), "group_instance_id", &["a b", "A-Z a-z 0-9 . _ -"]);
    refuses(
        ConsumerBuilder::new().group_instance_id("till-3"),
        "group_instance_id",
        &["till-3", "group_id"],
    );
}

#[test]
fn option_enable_auto_commit() {
    assert!(group(member()).auto_commit.is_some());
    assert!(group(member().enable_auto_commit(false)).auto_commit.is_none());
}

#[test]
fn option_auto_commit_interval_ms() {
    let group = group(member().auto_commit_interval_ms(250));
    assert_eq!(group.auto_commit, Some(Duration::from_millis(250)));
}

#[test]
fn option_default_offset_commit_callback() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let builder = member().default_offset_commit_callback(move |offsets, result| {
        assert!(offsets.is_empty() && result.is_ok());
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let callback = builder.resolve().unwrap().commit_callback.expect("a callback");
    callback.call(&BTreeMap::new(), Ok(()));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    refuses(
        member().set("default_offset_commit_callback", "print"),
        "default_offset_commit_callback",
        &["it is code and no text: call default_offset_commit_callback()"],
    );
}

#[test]
fn option_partition_assignment_strategy() {
    let names = |builder: ConsumerBuilder| {
        let assignors = builder.resolve().unwrap().assignors.assignors();
        assignors.iter().map(|assignor| assignor.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(member()), ["range", "roundrobin"]);
    let text = "RoundRobinPartitionAssignor, org.apache.kafka.clients.consumer.RangeAssignor";
    assert_eq!(names(member().partition_assignment_strategy(text)), ["roundrobin", "range"]);
    assert_eq!(names(member().partition_assignment_strategy(["range"])), ["range"]);
    let own = AssignmentStrategy::new().with_assignor(|| Own).with("range");
    assert_eq!(names(member().partition_assignment_strategy(own)), ["own", "range"]);
    refuses(
        member().partition_assignment_strategy("range,fair"),
        "partition_assignment_strategy",
        &["fair", "range", "roundrobin"],
    );
    refuses(
        member().partition_assignment_strategy(AssignmentStrategy::new()),
        "partition_assignment_strategy",
        &["group_id"],
    );
}

/// One that is never asked to assign.
struct Own;

impl PartitionAssignor for Own {
    fn name(&self) -> &'static str {
        "own"
    }

    fn protocols(&self) -> &[RebalanceProtocol] {
        &[RebalanceProtocol::Cooperative, RebalanceProtocol::Eager]
    }

    fn assign(
        &self,
        _: &BTreeMap<Arc<str>, i32>,
        _: &[GroupMember],
    ) -> Result<BTreeMap<String, Vec<TopicPartition>>, BoxError> {
        Err("not called".into())
    }
}

#[test]
fn option_max_poll_interval_ms() {
    let group = group(member().max_poll_interval_ms(7_000));
    assert_eq!(group.max_poll_interval, Duration::from_secs(7));
    refuses(member().max_poll_interval_ms(0), "max_poll_interval_ms", &["must be 1 or more"]);
}

#[test]
fn option_session_timeout_ms() {
    let group = group(member().session_timeout_ms(10_000));
    assert_eq!(group.session_timeout, Duration::from_secs(10));
    let long = member().session_timeout_ms(1_u64 << 31);
    refuses(long, "session_timeout_ms", &["2147483648", "2147483647"]);
}

#[test]
fn option_heartbeat_interval_ms() {
    let group = group(member().heartbeat_interval_ms(500));
    assert_eq!(group.heartbeat_interval, Duration::from_millis(500));
    refuses(
        member().heartbeat_interval_ms(6_000).session_timeout_ms(6_000),
        "heartbeat_interval_ms",
        &["6000", "session_timeout_ms"],
    );
}
