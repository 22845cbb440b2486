//! What callers see of logs that were truncated: errors without a policy, and how to go on.

mod support;

use std::{collections::BTreeSet, time::Duration};

use kafka_blocking::{Error, KafkaConsumer, TopicPartition};
use scripted_broker::ScriptedBroker;
use support::{LONG, append, broker_with, builder, offsets, take, wait_until};

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

/// A consumer without a policy that has read both partitions of `t`, of which the first was cut at 6 then.
fn truncated() -> (ScriptedBroker, KafkaConsumer) {
    let broker = broker_with(2, 10);
    let consumer = builder(broker.address()).auto_offset_reset("none").build().unwrap();
    consumer.assign([tp(0), tp(1)]).unwrap();
    consumer.seek(tp(0), 0).unwrap();
    consumer.seek(tp(1), 0).unwrap();
    take(&consumer, 20);
    broker.elect_unclean("t", 0, 1, 6);
    append(&broker, 0, 3);
    (broker, consumer)
}

fn is_truncation(error: &Error) -> bool {
    let Error::LogTruncation { partition, offset: 10, divergent: Some(6) } = error else {
        return false;
    };
    *partition == tp(0)
}

#[test]
fn behaviour_45_without_a_policy_poll_tells_of_the_truncation_until_a_seek_and_others_go_on() {
    let (broker, consumer) = truncated();
    assert!(is_truncation(&consumer.poll(LONG).unwrap_err()));
    append(&broker, 1, 2);
    let (mut others, mut errors) = (BTreeSet::new(), 0);
    wait_until("the other partition goes on", || {
        match consumer.poll(Duration::from_millis(100)) {
            Ok(polled) => {
                assert!(polled.records(&tp(0)).is_empty());
                others.extend(offsets(polled.records(&tp(1))));
            }
            Err(error) => {
                assert!(is_truncation(&error), "{error}");
                errors += 1;
            }
        }
        others.len() == 2 && errors > 1
    });
    assert!(is_truncation(&consumer.next().expect("an error").unwrap_err()));
    assert!(is_truncation(&consumer.position(tp(0)).unwrap_err()));
    consumer.seek(tp(0), 6).unwrap();
    assert_eq!(offsets(&take(&consumer, 3)), [6, 7, 8]);
    assert_eq!(consumer.position(tp(0)).unwrap(), 9);
}

#[test]
fn behaviour_45_a_seek_to_an_end_repairs_a_truncation_too() {
    let (_broker, consumer) = truncated();
    assert!(is_truncation(&consumer.poll(LONG).unwrap_err()));
    consumer.seek_to_beginning([tp(0)]).unwrap();
    assert_eq!(offsets(&take(&consumer, 9)), (0..9).collect::<Vec<_>>());
}

#[test]
fn behaviour_45_records_that_are_in_hand_of_a_log_that_was_cut_are_dropped() {
    let broker = broker_with(1, 0);
    broker.append("t", 0, (0..10).map(|n| format!("old {n}")));
    let consumer = builder(broker.address()).topics("t").build().unwrap();
    take(&consumer, 4);
    broker.elect_unclean("t", 0, 1, 0);
    broker.append("t", 0, (0..20).map(|n| format!("new {n}")));
    // While the caller does something else, nobody can know; then the rest of the batch that it holds goes on.
    let values: Vec<String> = std::iter::from_fn(|| consumer.next())
        .map(|record| String::from_utf8(record.unwrap().value().unwrap().to_vec()).unwrap())
        .take_while(|value| value != "new 19")
        .collect();
    let first_new = values.iter().position(|value| value.starts_with("new")).expect("new ones");
    let expected: Vec<String> = (4..10).map(|n| format!("old {n}")).collect();
    assert_eq!(values[..first_new], expected[..first_new]);
    let expected: Vec<String> = (0..19).map(|n| format!("new {n}")).collect();
    assert_eq!(values[first_new..], expected, "the new log, from where the logs part");
}
