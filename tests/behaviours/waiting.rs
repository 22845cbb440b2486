//! How calls wait for records: not longer than told, not busily, and not at all where records are there.

use std::{fs, time::Duration};

use kafka_blocking::KafkaConsumer;
use scripted_broker::{Record, ScriptedBroker};

use crate::{
    assigned,
    support::{append, broker_with, builder, ends_within, fetches, offsets, take, timed},
    tp,
};

const WAIT: Duration = Duration::from_millis(600);

/// Polls for as long as told, and checks that it was waiting and not working.
fn waits_idly(broker: &ScriptedBroker, consumer: &KafkaConsumer, requests: usize) {
    let (before, work_before) = (broker.requests().len(), cpu_time());
    let (polled, time) = timed(|| consumer.poll(WAIT).unwrap());
    let (asked, work) = (broker.requests().len() - before, cpu_time() - work_before);
    assert!(polled.is_empty());
    assert!(time >= WAIT, "{time:?}");
    assert!(asked <= requests, "{asked} requests");
    assert!(work <= WAIT / 6, "{work:?} of work");
}

/// What this thread has worked so far, to 10 ms.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
    // The name stands in parentheses and may have spaces; user and system time are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks = fields.split_whitespace().skip(11).take(2).map(|f| f.parse::<u64>().unwrap());
    Duration::from_millis(10 * ticks.sum::<u64>())
}

#[test]
fn behaviour_10_a_poll_with_nothing_to_fetch_waits_and_does_not_spin() {
    // Everything is paused.
    let broker = broker_with(2, 1);
    let consumer = assigned(&broker, &[0, 1]);
    take(&consumer, 2);
    consumer.pause([tp(0), tp(1)]).unwrap();
    append(&broker, 0, 1);
    assert!(consumer.poll(Duration::from_millis(100)).unwrap().is_empty());
    waits_idly(&broker, &consumer, 0);
    consumer.resume([tp(0)]).unwrap();
    assert_eq!(take(&consumer, 1)[0].offset(), 1);
}

#[test]
fn behaviour_10_a_poll_at_the_end_of_a_log_asks_once_each_time_the_broker_has_waited() {
    let broker = broker_with(1, 1);
    let consumer = assigned(&broker, &[0]);
    take(&consumer, 1);
    // The broker waits 50 ms each time.
    waits_idly(&broker, &consumer, 14);
}

#[test]
fn behaviour_10_a_poll_without_a_leader_to_ask_waits_and_does_not_spin() {
    let broker = broker_with(1, 1);
    let consumer = builder(broker.address()).retry_backoff_ms(100).build().unwrap();
    consumer.assign([tp(0)]).unwrap();
    take(&consumer, 1);
    broker.with_state(|state| state.move_leader("t", 0, None));
    assert!(consumer.poll(Duration::from_millis(100)).unwrap().is_empty());
    waits_idly(&broker, &consumer, 14);
}

#[test]
fn behaviour_10_records_that_are_there_come_without_a_wait() {
    let broker = broker_with(1, 0);
    broker.append("t", 0, (0..60).map(|n| Record::value(n.to_string())));
    let consumer = assigned(&broker, &[0]);
    let first = ends_within(Duration::ZERO, "the first poll", || consumer.poll_max(WAIT, 1));
    assert_eq!(first.unwrap().count(), 1);
    // Four attempts of ten polls each, at most.
    ends_within(Duration::ZERO, "ten polls", || {
        for _ in 0..10 {
            assert_eq!(consumer.poll_max(Duration::from_secs(5), 1).unwrap().count(), 1);
        }
    });
}

#[test]
fn behaviour_10_records_that_come_meanwhile_end_the_wait() {
    let broker = broker_with(1, 0);
    let consumer = assigned(&broker, &[0]);
    assert!(consumer.poll(Duration::from_millis(100)).unwrap().is_empty());
    let before = fetches(&broker);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            crate::support::wait_until("it waits", || fetches(&broker) > before + 1);
            append(&broker, 0, 1);
        });
        let polled = consumer.poll(crate::support::LONG).unwrap();
        assert_eq!(offsets(polled.records(&tp(0))), [0]);
    });
}

#[test]
fn behaviour_17_iteration_blocks_for_its_time_ends_and_goes_on_later() {
    let timeout = Duration::from_millis(500);
    let broker = broker_with(2, 0);
    let consumer =
        builder(broker.address()).topics("t").consumer_timeout_ms(timeout).build().unwrap();
    let ends = |consumer: &KafkaConsumer| {
        let (next, time) = timed(|| consumer.next());
        assert!(next.is_none(), "{next:?}");
        assert!(time >= timeout, "{time:?}");
    };
    ends(&consumer);
    ends_within(timeout, "next()", || assert!(consumer.next().is_none()));

    append(&broker, 0, 5);
    append(&broker, 1, 5);
    let (five, time) = timed(|| take(&consumer, 5));
    assert!(time < timeout, "{time:?}");
    let (rest, time) = timed(|| consumer.iter().map(|r| r.unwrap()).collect::<Vec<_>>());
    assert_eq!((five.len(), rest.len()), (5, 5));
    assert!(time >= timeout, "{time:?}");
    ends(&consumer);
}
