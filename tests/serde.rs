//! How partitions and offsets are kept outside Kafka.
#![cfg(feature = "serde")]

use kafka_blocking::{OffsetAndMetadata, OffsetAndTimestamp, TopicPartition};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, from_value, json, to_value};

/// Written as this, and read back from it.
fn assert_is<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    value: &T,
    json: &Value,
) {
    assert_eq!(to_value(value).unwrap(), *json);
    assert_eq!(from_value::<T>(json.clone()).unwrap(), *value);
}

/// Read from this.
fn read<T: DeserializeOwned>(json: Value) -> T {
    from_value(json.clone()).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// Why this is not read.
fn refused<T: DeserializeOwned + std::fmt::Debug>(json: Value) -> String {
    from_value::<T>(json).expect_err("an error").to_string()
}

#[test]
fn the_fields_have_the_names_of_kafka_python() {
    assert_is(&TopicPartition::new("t", 7), &json!({"topic": "t", "partition": 7}));
    assert_is(
        &OffsetAndMetadata::new(42).with_metadata("é\n").with_leader_epoch(3),
        &json!({"offset": 42, "metadata": "é\n", "leader_epoch": 3}),
    );
    assert_is(
        &OffsetAndTimestamp::new(42, 1_600_000_000_000).with_leader_epoch(0),
        &json!({"offset": 42, "timestamp": 1_600_000_000_000_i64, "leader_epoch": 0}),
    );
}

#[test]
fn the_largest_numbers_survive() {
    let offset = OffsetAndMetadata::new(i64::MAX).with_leader_epoch(i32::MAX);
    assert_is(&offset, &json!({"offset": i64::MAX, "metadata": "", "leader_epoch": i32::MAX}));
    let partition = TopicPartition::new("x".repeat(249), i32::MAX);
    assert_is(&partition, &json!({"topic": "x".repeat(249), "partition": i32::MAX}));
    let found = OffsetAndTimestamp::new(0, i64::MIN);
    assert_is(&found, &json!({"offset": 0, "timestamp": i64::MIN, "leader_epoch": null}));
}

#[test]
fn what_is_not_known_may_be_left_out_or_written_as_python_writes_it() {
    let plain = OffsetAndMetadata::new(42);
    for json in [
        json!({"offset": 42}),
        json!({"offset": 42, "metadata": ""}),
        json!({"offset": 42, "metadata": null, "leader_epoch": null}),
        json!({"offset": 42, "metadata": "", "leader_epoch": -1}),
        json!({"offset": 42, "of another program": true}),
    ] {
        assert_eq!(read::<OffsetAndMetadata>(json), plain);
    }
    let json = json!({"offset": 1, "timestamp": 2, "leader_epoch": -1});
    assert_eq!(read::<OffsetAndTimestamp>(json), OffsetAndTimestamp::new(1, 2));
    assert_eq!(read::<OffsetAndMetadata>(json!([42, "", -1])), plain);
}

#[test]
fn a_negative_number_is_refused_and_named() {
    let error = refused::<TopicPartition>(json!({"topic": "t", "partition": -1}));
    assert_eq!(error, "partition = -1: must be 0 or more");
    let error = refused::<OffsetAndMetadata>(json!({"offset": -1, "metadata": ""}));
    assert_eq!(error, "offset = -1: must be 0 or more");
    let error = refused::<OffsetAndTimestamp>(json!({"offset": -2, "timestamp": 0}));
    assert_eq!(error, "offset = -2: must be 0 or more");
}

#[test]
fn fault_239_a_topic_that_no_broker_can_have_is_refused_and_named() {
    let error = refused::<TopicPartition>(json!({"topic": "a b", "partition": 0}));
    assert_eq!(error, "topic = \"a b\": a topic's name has only the characters A-Z a-z 0-9 . _ -");
    let error = refused::<TopicPartition>(json!({"topic": "", "partition": 0}));
    assert!(error.contains("must not be empty"), "{error}");
}

#[test]
fn a_missing_field_and_a_number_that_does_not_fit_are_refused() {
    for json in [json!({"topic": "t"}), json!({"topic": "t", "partition": 1_u64 << 31}), json!(7)] {
        refused::<TopicPartition>(json);
    }
    for json in [json!({"metadata": ""}), json!({"offset": u64::MAX}), json!({"offset": "42"})] {
        refused::<OffsetAndMetadata>(json);
    }
    assert!(refused::<OffsetAndTimestamp>(json!({"offset": 1})).contains("timestamp"));
}
