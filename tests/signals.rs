//! Whether `wakeup` and `stop` end what blocks, at once, and lose nothing. Signal handlers: `signal-handlers/`.

#![allow(clippy::disallowed_methods, reason = "tests look at the clock")]

mod support;

use std::time::{Duration, Instant};

use kafka_blocking::{
    ConsumerHandle, Error, KafkaConsumer,
    protocol::{Request, fetch::FetchRequest, list_offsets::ListOffsetsRequest},
};
use scripted_broker::ScriptedBroker;
use support::{broker_with, builder, offsets, take, wait_until};

/// How long a call may go on after it was told to end.
const PROMPT: Duration = Duration::from_millis(50);

/// A call that blocks, on a cluster without records and without offsets, until the handle is told to end it.
/// Checks that it ends promptly; of five attempts one must be, as the machine may be busy.
fn ends_promptly<R: Request>(call: impl Fn(&KafkaConsumer), act: impl Fn(&ConsumerHandle) + Sync) {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let broker = broker_with(1, 0);
        let consumer = builder(broker.address()).topics("t").build().unwrap();
        if R::KEY == ListOffsetsRequest::KEY {
            broker.on::<ListOffsetsRequest>().silence();
        }
        best = best.min(latency::<R>(&broker, &consumer, &call, &act));
        if best <= PROMPT {
            return;
        }
    }
    panic!("ended {best:?} after it was told to, at best");
}

fn latency<R: Request>(
    broker: &ScriptedBroker,
    consumer: &KafkaConsumer,
    call: impl Fn(&KafkaConsumer),
    act: impl Fn(&ConsumerHandle) + Sync,
) -> Duration {
    let handle = consumer.handle();
    let (blocked, act) = (|| broker.requests().iter().any(|r| r.is::<R>()), &act);
    std::thread::scope(|scope| {
        let other = scope.spawn(move || {
            wait_until("the consumer waits", blocked);
            // From the answer, or its lack, on it waits in the selector.
            std::thread::sleep(Duration::from_millis(20));
            let told = Instant::now();
            act(&handle);
            told
        });
        call(consumer);
        let ended = Instant::now();
        ended.saturating_duration_since(other.join().unwrap())
    })
}

fn poll_is_woken(consumer: &KafkaConsumer) {
    assert!(matches!(consumer.poll(Duration::MAX), Err(Error::Wakeup)));
}

#[test]
fn wakeup_ends_a_blocked_poll_at_once() {
    ends_promptly::<FetchRequest>(poll_is_woken, ConsumerHandle::wakeup);
}

#[test]
fn stop_ends_a_blocked_poll_at_once() {
    ends_promptly::<FetchRequest>(poll_is_woken, ConsumerHandle::stop);
}

#[test]
fn wakeup_ends_a_blocked_next_at_once() {
    let call = |consumer: &KafkaConsumer| {
        assert!(matches!(consumer.next(), Some(Err(Error::Wakeup))));
    };
    ends_promptly::<FetchRequest>(call, ConsumerHandle::wakeup);
}

#[test]
fn stop_ends_a_blocked_iteration_at_once() {
    let call = |consumer: &KafkaConsumer| assert_eq!(consumer.iter().count(), 0);
    ends_promptly::<FetchRequest>(call, ConsumerHandle::stop);
}

fn position_is_woken(consumer: &KafkaConsumer) {
    wait_until("the partition is assigned", || {
        consumer.poll(Duration::ZERO).unwrap();
        !consumer.assignment().unwrap().is_empty()
    });
    assert!(matches!(consumer.position(("t", 0)), Err(Error::Wakeup)));
}

#[test]
fn wakeup_ends_a_blocked_position_at_once() {
    ends_promptly::<ListOffsetsRequest>(position_is_woken, ConsumerHandle::wakeup);
}

#[test]
fn stop_ends_a_blocked_position_at_once() {
    ends_promptly::<ListOffsetsRequest>(position_is_woken, ConsumerHandle::stop);
}

#[test]
fn wakeup_ends_a_call_that_waits_for_a_dead_cluster() {
    let broker = broker_with(1, 0);
    let consumer = builder(broker.address()).topics("t").build().unwrap();
    broker.stop(1);
    let handle = consumer.handle();
    std::thread::scope(|scope| {
        scope.spawn(move || handle.wakeup());
        poll_is_woken(&consumer);
    });
}

#[test]
fn fault_183_wakeup_with_data_ready_is_told_once_and_loses_nothing() {
    let broker = broker_with(1, 6);
    let consumer = builder(broker.address()).topics("t").build().unwrap();
    let mut seen = offsets(&take(&consumer, 1));
    consumer.handle().wakeup();
    consumer.handle().wakeup();
    assert!(matches!(consumer.poll(support::LONG), Err(Error::Wakeup)));
    seen.extend(offsets(&take(&consumer, 2)));
    consumer.handle().wakeup();
    assert!(matches!(consumer.next(), Some(Err(Error::Wakeup))));
    assert_eq!(consumer.position(("t", 0)).unwrap(), 3);
    seen.extend(offsets(&take(&consumer, 3)));
    assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn fault_183_wakeups_at_any_time_lose_and_repeat_no_record() {
    let broker = broker_with(1, 300);
    let consumer = builder(broker.address()).topics("t").max_poll_records(7).build().unwrap();
    let (handle, mut seen, mut woken) = (consumer.handle(), Vec::new(), 0);
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                handle.wakeup();
                std::thread::yield_now();
            }
        });
        while seen.len() < 300 {
            match consumer.poll(support::LONG) {
                Ok(polled) => seen.extend(offsets(polled.records(&("t", 0).into()))),
                Err(Error::Wakeup) => woken += 1,
                Err(other) => panic!("{other:?}"),
            }
            match consumer.next() {
                Some(Ok(record)) => seen.push(record.offset()),
                Some(Err(Error::Wakeup)) => woken += 1,
                None if seen.len() == 300 => {}
                other => panic!("{other:?}"),
            }
        }
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(woken > 0);
    assert_eq!(seen, (0..300).collect::<Vec<_>>());
}

#[test]
fn a_wakeup_before_the_call_is_not_lost_and_counts_for_one_call() {
    let broker = broker_with(1, 0);
    let consumer = builder(broker.address()).topics("t").consumer_timeout_ms(10).build().unwrap();
    let poll = || consumer.poll(Duration::from_millis(10));
    consumer.handle().wakeup();
    assert!(matches!(poll(), Err(Error::Wakeup)));
    assert!(poll().unwrap().is_empty());
    consumer.handle().wakeup();
    assert!(matches!(consumer.next(), Some(Err(Error::Wakeup))));
    assert!(consumer.next().is_none());
}

#[test]
fn a_wakeup_waits_for_a_call_that_would_block() {
    let broker = broker_with(1, 1);
    let consumer = builder(broker.address()).topics("t").build().unwrap();
    take(&consumer, 1);
    consumer.handle().wakeup();
    // None of these waits for anything.
    assert_eq!(consumer.position(("t", 0)).unwrap(), 1);
    consumer.seek(("t", 0), 0).unwrap();
    assert_eq!(consumer.assignment().unwrap(), [("t", 0).into()]);
    assert!(matches!(consumer.poll(support::LONG), Err(Error::Wakeup)));
    assert_eq!(take(&consumer, 1)[0].offset(), 0);
}

#[test]
fn stop_is_for_good_and_leaves_the_rest_of_the_consumer_working() {
    let broker = broker_with(2, 3);
    let consumer = builder(broker.address()).build().unwrap();
    consumer.assign([("t", 0)]).unwrap();
    let mut seen = 0;
    for record in &consumer {
        assert_eq!(record.unwrap().offset(), 0);
        seen += 1;
        consumer.handle().stop();
    }
    assert_eq!(seen, 1, "records that are there do not come after a stop");
    for _ in 0..3 {
        assert!(consumer.next().is_none());
        assert!(consumer.iter().next().is_none());
        assert!(matches!(consumer.poll(support::LONG), Err(Error::Wakeup)));
    }
    assert_eq!(consumer.position(("t", 0)).unwrap(), 1);
    // A position that has to be asked for, too.
    consumer.assign([("t", 0), ("t", 1)]).unwrap();
    assert_eq!(consumer.position(("t", 1)).unwrap(), 0);
    consumer.seek(("t", 1), 2).unwrap();
    assert_eq!(consumer.position(("t", 1)).unwrap(), 2);
    consumer.close().unwrap();
}

#[test]
fn a_handle_outlives_its_consumer_and_does_nothing_then() {
    let broker = broker_with(1, 0);
    let handle = builder(broker.address()).topics("t").build().unwrap().handle();
    handle.wakeup();
    handle.stop();
    assert!(format!("{handle:?}").contains("stopped: true"));
}
