//! The shortest and the longest times that a call can be given: it gets on with the one, and nothing overflows with the other.

use std::{thread, time::Duration};

use kafka_blocking::{
    ConsumerHandle, Error, KafkaConsumer,
    protocol::{
        fetch::FetchRequest, list_offsets::ListOffsetsRequest, metadata::MetadataRequest,
        offset_commit::OffsetCommitRequest, offset_fetch::OffsetFetchRequest,
    },
};
use scripted_broker::ScriptedBroker;

use crate::{
    methods::{ASKS, COMMITS, READS, UNREAD},
    support::{append, broker_with, builder, ends_within, fetches, offsets, take, wait_until},
};

#[test]
fn fault_242_a_poll_of_no_time_and_of_one_millisecond_gets_on() {
    let broker = broker_with(1, 4);
    let consumer = builder(broker.address()).topics("t").max_poll_records(2).build().unwrap();
    for timeout in [Duration::ZERO, Duration::from_millis(1)] {
        let mut seen = Vec::new();
        wait_until("all records", || {
            let polled = consumer.poll(timeout).unwrap();
            seen.extend(offsets(polled.records(&("t", 0).into())));
            seen.len() == 4
        });
        assert_eq!(seen, [0, 1, 2, 3]);
        consumer.seek(("t", 0), 0).unwrap();
    }
    consumer.seek(("t", 0), 4).unwrap();
    for timeout in [Duration::ZERO, Duration::from_millis(1)] {
        let polled = ends_within(timeout, "poll()", || consumer.poll(timeout));
        assert!(polled.unwrap().is_empty());
    }
}

#[test]
fn fault_242_the_longest_times_mean_no_limit_and_do_not_overflow() {
    let broker = broker_with(1, 1);
    let consumer = builder(broker.address())
        .topics("t")
        .consumer_timeout_ms(u64::MAX)
        .default_api_timeout_ms(u128::MAX)
        .bootstrap_timeout_ms(Duration::MAX)
        .metadata_max_age_ms(u64::MAX)
        .build()
        .unwrap();
    assert_eq!(consumer.position(("t", 0)).unwrap(), 0);
    assert_eq!(take(&consumer, 1)[0].offset(), 0);
    let (handle, before) = (consumer.handle(), fetches(&broker));
    thread::scope(|scope| {
        scope.spawn(|| {
            // Fetches that come back empty are followed by others only while somebody waits.
            wait_until("the consumer waits", || fetches(&broker) > before + 2);
            handle.wakeup();
        });
        assert!(matches!(consumer.poll(Duration::MAX), Err(Error::Wakeup)));
    });
}

/// A consumer whose calls last for ever by default, on a broker that answers it nothing any more.
fn endless() -> (ScriptedBroker, KafkaConsumer) {
    let broker = broker_with(2, 0);
    append(&broker, 0, 1);
    let consumer = builder(broker.address())
        .request_timeout_ms(100)
        .default_api_timeout_ms(u128::MAX)
        .consumer_timeout_ms(Duration::MAX)
        .group_id("g")
        .enable_auto_commit(false)
        .build()
        .unwrap();
    consumer.assign([("t", 0)]).unwrap();
    take(&consumer, 1);
    broker.on::<OffsetCommitRequest>().swallow();
    broker.on::<OffsetFetchRequest>().swallow();
    consumer.assign([("t", 0), UNREAD]).unwrap();
    broker.on::<MetadataRequest>().swallow();
    broker.on::<ListOffsetsRequest>().swallow();
    broker.on::<FetchRequest>().swallow();
    (broker, consumer)
}

/// Wakes a call up once it has waited for longer than a request may take.
fn wake_in_the_midst(broker: &ScriptedBroker, handle: &ConsumerHandle) {
    let before = broker.requests().len();
    wait_until("the call goes on asking", || broker.requests().len() > before + 3);
    handle.wakeup();
}

fn only_a_wakeup_ends(name: &str, call: impl Fn(&KafkaConsumer) -> Result<(), Error>) {
    let (broker, consumer) = endless();
    let handle = consumer.handle();
    thread::scope(|scope| {
        scope.spawn(|| wake_in_the_midst(&broker, &handle));
        let error = call(&consumer).expect_err(name);
        assert!(matches!(error, Error::Wakeup), "{name}: {error:?}");
    });
}

#[test]
fn fault_242_calls_of_the_longest_time_last_until_they_are_woken() {
    thread::scope(|scope| {
        for asks in ASKS.iter().chain(&COMMITS) {
            scope.spawn(|| only_a_wakeup_ends(asks.operation, asks.by_default));
            scope.spawn(|| only_a_wakeup_ends(asks.operation, |c| (asks.within)(c, Duration::MAX)));
        }
        for reads in &READS {
            let call = |c: &KafkaConsumer| (reads.within)(c, Duration::MAX).map(drop);
            scope.spawn(move || only_a_wakeup_ends(reads.operation, call));
        }
        let next = |c: &KafkaConsumer| c.next().expect("it waits for ever").map(drop);
        scope.spawn(move || only_a_wakeup_ends("next", next));
    });
}

#[test]
fn fault_242_questions_of_no_time_end_at_once_and_leave_nothing_in_the_way_of_the_next() {
    let broker = broker_with(2, 1);
    for asks in &ASKS {
        let consumer = builder(broker.address()).build().unwrap();
        consumer.assign([UNREAD]).unwrap();
        for timeout in [Duration::ZERO, Duration::from_millis(1)] {
            match ends_within(timeout, asks.operation, || (asks.within)(&consumer, timeout)) {
                Ok(()) => {}
                Err(Error::Timeout { operation, .. }) => assert_eq!(operation, asks.operation),
                Err(other) => panic!("{}: {other:?}", asks.operation),
            }
        }
        (asks.by_default)(&consumer).unwrap();
    }
    for (n, asks) in COMMITS.iter().enumerate() {
        let consumer = builder(broker.address()).group_id(format!("group-{n}")).build().unwrap();
        consumer.assign([("t", 0)]).unwrap();
        take(&consumer, 1);
        for timeout in [Duration::ZERO, Duration::from_millis(1)] {
            match ends_within(timeout, asks.operation, || (asks.within)(&consumer, timeout)) {
                Ok(()) => {}
                Err(Error::Timeout { operation, .. }) => assert_eq!(operation, asks.operation),
                Err(other) => panic!("{}: {other:?}", asks.operation),
            }
        }
        (asks.by_default)(&consumer).unwrap();
    }
    // A position that was asked for is kept, so that asking without waiting gets on.
    let consumer = builder(broker.address()).build().unwrap();
    consumer.assign([UNREAD]).unwrap();
    let ask = || consumer.position_timeout(UNREAD, Duration::ZERO);
    wait_until("the position is there", || ask().is_ok_and(|position| position == 0));
}
