//! What the options of a group become, and what is refused.

use std::{collections::BTreeMap, time::Duration};

use super::*;
use crate::{
    consumer::options::{ConsumerBuilder, Resolved},
    error::ConfigError,
};

fn builder() -> ConsumerBuilder {
    ConsumerBuilder::new()
}

fn resolved(builder: ConsumerBuilder) -> Resolved {
    builder.resolve().unwrap()
}

fn refused(builder: ConsumerBuilder) -> ConfigError {
    match builder.resolve() {
        Err(Error::Configuration(error)) => *error,
        other => panic!("expected a configuration error: {other:?}"),
    }
}

fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn member() -> ConsumerBuilder {
    builder().group_id("g")
}

fn group(builder: ConsumerBuilder) -> GroupOptions {
    resolved(builder).group.expect("a group")
}

#[test]
fn without_a_group_id_there_is_no_group() {
    assert!(resolved(builder()).group.is_none());
    assert!(resolved(builder().group_id(None).enable_auto_commit(true)).group.is_none());
    assert!(resolved(member().group_id(None)).group.is_none());
}

#[test]
fn the_defaults_of_a_group_are_those_of_kafka_python_3() {
    let group = group(member());
    assert_eq!((&*group.group_id, group.instance_id), ("g", None));
    assert_eq!(group.session_timeout, millis(45_000));
    assert_eq!(group.max_poll_interval, millis(300_000));
    assert_eq!(group.heartbeat_interval, millis(3_000));
    assert_eq!(group.auto_commit, Some(millis(5_000)));
    assert_eq!(group.protocol, RebalanceProtocol::Eager);
    assert_eq!((&*group.rack, group.read_committed), ("", false));
    let options = resolved(member());
    assert_eq!(format!("{:?}", options.assignors), r#"["range", "roundrobin"]"#);
    assert!(options.commit_callback.is_none());
}

#[test]
fn a_group_has_the_rack_and_the_isolation_level_that_fetches_have() {
    let group = group(member().client_rack("b").isolation_level("read_committed"));
    assert_eq!((&*group.rack, group.read_committed), ("b", true));
}

#[test]
fn a_group_has_a_name_that_fits_the_protocol() {
    let error = refused(member().group_id(" "));
    assert_eq!((error.option.as_str(), error.value.as_str()), ("group_id", ""));
    assert!(error.allowed.starts_with("must not be empty"), "{error}");
    let error = refused(member().group_id("x".repeat(32_768)));
    assert_eq!(error.option, "group_id");
    assert_eq!(&*group(member().group_id("x".repeat(32_767))).group_id, "x".repeat(32_767));
    assert_eq!(&*group(member().group_id("none")).group_id, "none");
}

#[test]
fn an_instance_has_a_name_that_brokers_take_and_a_group() {
    for name in ["i", "...", "A.b_c-9", &"x".repeat(249)] {
        let group = group(member().group_instance_id(name));
        assert_eq!(group.instance_id.as_deref(), Some(name));
    }
    for name in ["", ".", "..", "a b", "ä", &"x".repeat(250)] {
        let error = refused(member().group_instance_id(name));
        assert_eq!((error.option.as_str(), error.value.as_str()), ("group_instance_id", name));
        assert!(error.allowed.starts_with("an instance's id "), "{error}");
    }
    let error = refused(builder().group_instance_id("i"));
    assert_eq!(error.to_string(), "group_instance_id = \"i\": needs a group_id beside it");
}

#[test]
fn a_member_sends_heartbeats_before_its_session_is_over() {
    let error = refused(member().session_timeout_ms(3_000));
    assert_eq!(
        error.to_string(),
        "heartbeat_interval_ms = \"3000\": must be less than session_timeout_ms = 3000"
    );
    assert_eq!(group(member().session_timeout_ms(3_001)).session_timeout, millis(3_001));
    assert!(resolved(builder().session_timeout_ms(3_000)).group.is_none(), "without a group");
}

#[test]
fn the_times_of_a_group_fit_the_protocol() {
    for name in ["session_timeout_ms", "max_poll_interval_ms"] {
        let error = refused(member().set(name, "2147483648"));
        assert_eq!(
            (error.option.as_str(), error.allowed.as_str()),
            (name, "must be no more than 2147483647")
        );
        assert!(member().set(name, "2147483647").resolve().is_ok());
    }
    for name in ["session_timeout_ms", "max_poll_interval_ms", "heartbeat_interval_ms"] {
        let error = refused(member().set(name, "0"));
        assert_eq!((error.option.as_str(), error.allowed.as_str()), (name, "must be 1 or more"));
    }
    assert_eq!(group(member().max_poll_interval_ms(1)).max_poll_interval, millis(1));
}

#[test]
fn auto_commit_is_off_where_it_is_set_off() {
    assert_eq!(group(member().enable_auto_commit(false)).auto_commit, None);
    let often = group(member().auto_commit_interval_ms(0));
    assert_eq!(often.auto_commit, Some(Duration::ZERO));
}

#[test]
fn a_list_of_assignors_for_a_group_has_one_at_least_and_none_twice() {
    let error = refused(member().partition_assignment_strategy(""));
    assert_eq!(error.option, "partition_assignment_strategy");
    assert_eq!(error.allowed, "must name an assignor, since there is a group_id");
    let error = refused(member().partition_assignment_strategy(["range", "RangeAssignor"]));
    assert_eq!(error.value, "range,range");
    assert_eq!(error.allowed, "names range twice");
    let error = refused(member().partition_assignment_strategy("range,fair"));
    assert_eq!(error.value, "fair");
    assert!(error.allowed.starts_with("must be a list of range, roundrobin"), "{error}");
}

#[test]
fn a_commit_callback_is_shared_by_what_is_built_of_clones() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = calls.clone();
    let builder = member().default_offset_commit_callback(move |offsets, result| {
        seen.lock().unwrap().push((offsets.len(), result.is_ok()));
    });
    let offsets = BTreeMap::from([(TopicPartition::new("t", 0), OffsetAndMetadata::new(1))]);
    for result in [Ok(()), Err(Error::Closed)] {
        let callback = resolved(builder.clone()).commit_callback.expect("a callback");
        callback.call(&offsets, result);
    }
    assert_eq!(*calls.lock().unwrap(), [(1, true), (1, false)]);
    let typed = builder.key_deserializer(crate::Utf8).value_deserializer(crate::Utf8);
    assert!(typed.resolve().unwrap().commit_callback.is_some(), "it outlives a change of types");
}
