//! How a consumer ends: with its scope, however that is left, or when it is closed; and what is left to call then.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use kafka_blocking::{ALL_ASSIGNED, Error, KafkaConsumer, Result};
use scripted_broker::ScriptedBroker;

use crate::{
    assigned,
    support::{broker_with, ends_within, take, wait_until},
    tp,
};

/// A consumer that has connections, with records in its buffer.
fn reading(broker: &ScriptedBroker) -> KafkaConsumer {
    let consumer = assigned(broker, &[0]);
    take(&consumer, 1);
    assert!(broker.connections(1) > 0);
    consumer
}

fn all_are_closed(broker: &ScriptedBroker) {
    wait_until("all connections are closed", || broker.connections(1) == 0);
}

#[test]
fn behaviour_8_the_end_of_the_scope_closes_the_consumer() {
    let broker = broker_with(1, 3);
    {
        let _consumer = reading(&broker);
    }
    all_are_closed(&broker);
}

#[test]
fn behaviour_8_an_error_and_a_panic_that_leave_the_scope_close_the_consumer() {
    let broker = broker_with(1, 3);
    let leaves_early = || -> Result<()> {
        let consumer = reading(&broker);
        consumer.seek(tp(0), -1)?;
        unreachable!("the seek fails");
    };
    assert!(matches!(leaves_early(), Err(Error::IllegalArgument(_))));
    all_are_closed(&broker);
    let panics = AssertUnwindSafe(|| {
        let _consumer = reading(&broker);
        panic!("the test panics, as it shall");
    });
    assert!(catch_unwind(panics).is_err());
    all_are_closed(&broker);
}

#[test]
fn behaviour_8_dropping_and_closing_wait_for_nobody() {
    let broker = broker_with(1, 3);
    for close_first in [false, true] {
        // One consumer for each attempt, as the second end of the same one proves nothing.
        let consumers = [reading(&broker), reading(&broker), reading(&broker), reading(&broker)];
        broker.pause(1);
        let mut consumers = consumers.into_iter();
        ends_within(Duration::ZERO, "the end", || {
            let consumer = consumers.next().expect("ends_within() gives up after four");
            if close_first {
                consumer.close().unwrap();
            }
        });
        drop(consumers);
        broker.resume(1);
        all_are_closed(&broker);
    }
}

type Call = fn(&KafkaConsumer) -> Result<()>;

/// Every method that can fail, with arguments that are right.
const METHODS: [(&str, Call); 23] = [
    ("poll", |c| c.poll(Duration::ZERO).map(drop)),
    ("poll_max", |c| c.poll_max(Duration::ZERO, 1).map(drop)),
    ("poll_batch", |c| c.poll_batch(Duration::ZERO).map(drop)),
    ("assign", |c| c.assign([tp(0)])),
    ("assignment", |c| c.assignment().map(drop)),
    ("subscribe", |c| c.subscribe(["t"])),
    ("subscribe_pattern", |c| c.subscribe_pattern("t")),
    ("subscription", |c| c.subscription().map(drop)),
    ("unsubscribe", |c| c.unsubscribe()),
    ("seek", |c| c.seek(tp(0), 0)),
    ("seek_to_beginning", |c| c.seek_to_beginning(ALL_ASSIGNED)),
    ("seek_to_end", |c| c.seek_to_end([tp(0)])),
    ("position", |c| c.position(tp(0)).map(drop)),
    ("pause", |c| c.pause([tp(0)])),
    ("resume", |c| c.resume([tp(0)])),
    ("paused", |c| c.paused().map(drop)),
    ("highwater", |c| c.highwater(tp(0)).map(drop)),
    ("lag", |c| c.lag(tp(0)).map(drop)),
    ("beginning_offsets", |c| c.beginning_offsets([tp(0)]).map(drop)),
    ("end_offsets", |c| c.end_offsets([tp(0)]).map(drop)),
    ("offsets_for_times", |c| c.offsets_for_times([(tp(0), 0)]).map(drop)),
    ("topics", |c| c.topics().map(drop)),
    ("partitions_for_topic", |c| c.partitions_for_topic("t").map(drop)),
];

#[test]
fn behaviour_8_after_close_every_method_says_that_the_consumer_is_closed() {
    let broker = broker_with(1, 3);
    let consumer = reading(&broker);
    consumer.close().unwrap();
    consumer.close().unwrap();
    all_are_closed(&broker);
    for (name, call) in METHODS {
        let error = ends_within(Duration::ZERO, name, || call(&consumer)).unwrap_err();
        assert!(matches!(error, Error::Closed), "{name}: {error:?}");
    }
    assert!(consumer.next().is_none());
    assert_eq!(broker.connections(1), 0);
    // And so it is after a call that was in the midst of something.
    let consumer = reading(&broker);
    broker.pause(1);
    assert!(consumer.topics_timeout(Duration::from_millis(20)).is_err());
    consumer.close().unwrap();
    assert!(matches!(consumer.topics(), Err(Error::Closed)));
}
