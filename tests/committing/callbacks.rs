//! Who is told what has become of commits, when, and in which order.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use kafka_blocking::{
    Error, ErrorCode, KafkaConsumer, OffsetAndMetadata, TopicPartition,
    protocol::offset_commit::OffsetCommitRequest,
};

use crate::{
    SOON, automatic, committed, manual, sent,
    support::{LONG, append, broker_with, ends_within, take, wait_until},
};

type Offsets = BTreeMap<TopicPartition, OffsetAndMetadata>;

/// Which commit, on which thread, and whether it was stored.
type Outcome = (i64, ThreadId, Result<(), Error>);

fn telling(told: &Sender<Outcome>) -> impl FnOnce(&Offsets, Result<(), Error>) + Send + use<> {
    let told = told.clone();
    move |offsets, result| {
        let which = offsets[&("t", 0).into()].offset();
        told.send((which, thread::current().id(), result)).unwrap();
    }
}

/// Commits these offsets one after the other, and waits for none.
fn commit_all(consumer: &KafkaConsumer, told: &Sender<Outcome>, offsets: &[i64]) {
    for offset in offsets {
        consumer.commit_offsets_async_then([(("t", 0), *offset)], telling(told)).unwrap();
    }
}

fn numbers(outcomes: &Receiver<Outcome>) -> Vec<i64> {
    outcomes.try_iter().map(|(which, ..)| which).collect()
}

#[test]
fn automatic_commits_do_not_pile_up_while_one_is_unanswered() {
    let broker = broker_with(1, 3);
    let told = Arc::new(AtomicUsize::new(0));
    let counter = told.clone();
    let consumer = automatic(&broker)
        .default_offset_commit_callback(move |_, result| {
            result.unwrap();
            counter.fetch_add(1, Ordering::Relaxed);
        })
        .build()
        .unwrap();
    broker.on::<OffsetCommitRequest>().once().delay(SOON);
    take(&consumer, 3);
    wait_until("the commit", || {
        consumer.poll(Duration::from_millis(5)).unwrap();
        told.load(Ordering::Relaxed) > 0
    });
    // One is due each 10 ms, and some may follow before this is looked at.
    let told = told.load(Ordering::Relaxed);
    assert!(told < 8, "{told} in {SOON:?}");
}

#[test]
fn behaviour_75_callbacks_run_in_the_order_of_the_commits_on_the_callers_thread() {
    let broker = broker_with(1, 3);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 3);
    let (told, outcomes) = mpsc::channel();
    // Some of them need another try, and later ones do not overtake them.
    broker.on::<OffsetCommitRequest>().times(2).fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    commit_all(&consumer, &told, &[1, 2, 3, 0, 2]);
    let mut all = Vec::new();
    wait_until("all outcomes", || {
        consumer.poll(Duration::from_millis(5)).unwrap();
        all.extend(outcomes.try_iter());
        all.len() == 5
    });
    assert_eq!(all.iter().map(|(which, ..)| *which).collect::<Vec<_>>(), [1, 2, 3, 0, 2]);
    let here = thread::current().id();
    assert!(all.iter().all(|(_, thread, result)| *thread == here && result.is_ok()), "{all:?}");
    assert_eq!(committed(&broker, 0), Some(2));
}

#[test]
fn behaviour_75_callbacks_run_inside_next_too() {
    let broker = broker_with(1, 1);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 1);
    let (told, outcomes) = mpsc::channel();
    broker.on::<OffsetCommitRequest>().once().delay(Duration::from_millis(20));
    commit_all(&consumer, &told, &[1]);
    assert_eq!(numbers(&outcomes), []);
    thread::scope(|scope| {
        let broker = &broker;
        scope.spawn(move || {
            assert!(outcomes.recv_timeout(LONG).is_ok(), "it comes while next() waits");
            append(broker, 0, 1);
        });
        take(&consumer, 1);
    });
}

#[test]
fn behaviour_75_a_callback_of_a_failed_commit_gets_the_error_and_those_after_it_their_own() {
    let broker = broker_with(1, 3);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 3);
    let (told, outcomes) = mpsc::channel();
    broker.on::<OffsetCommitRequest>().once().fail(ErrorCode::INVALID_COMMIT_OFFSET_SIZE);
    commit_all(&consumer, &told, &[1]);
    wait_until("it has left", || !sent(&broker).is_empty());
    commit_all(&consumer, &told, &[2]);
    consumer.commit().unwrap();
    let all: Vec<_> = outcomes.try_iter().collect();
    let codes: Vec<_> =
        all.iter().map(|(_, _, r)| r.as_ref().err().and_then(Error::code)).collect();
    assert_eq!(codes, [Some(ErrorCode::INVALID_COMMIT_OFFSET_SIZE), None]);
}

#[test]
fn behaviour_75_the_handle_can_be_waited_on_for_a_time_and_the_commit_goes_on() {
    let broker = broker_with(1, 3);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 3);
    broker.on::<OffsetCommitRequest>().once().delay(Duration::from_millis(500));
    let pending = consumer.commit_async().unwrap();
    assert!(!pending.is_done());
    let wait = || pending.wait_timeout(Duration::from_millis(20));
    let error = ends_within(Duration::from_millis(20), "wait_timeout()", wait).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert!(!pending.is_done());
    pending.wait().unwrap();
    assert!(pending.is_done());
    // As often as one likes.
    pending.wait().unwrap();
    pending.wait_timeout(Duration::ZERO).unwrap();
    assert_eq!((committed(&broker, 0), sent(&broker).len()), (Some(3), 1));
}

#[test]
fn behaviour_75_a_handle_has_the_outcome_whoever_drove_the_commit() {
    let broker = broker_with(1, 3);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 3);
    let first = consumer.commit_offsets_async([(("t", 0), 1)]).unwrap();
    let second = consumer.commit_offsets_async([(("t", 0), 2)]).unwrap();
    consumer.commit().unwrap();
    assert!(first.is_done() && second.is_done());
    broker.on::<OffsetCommitRequest>().once().fail(ErrorCode::OFFSET_METADATA_TOO_LARGE);
    let failed = consumer.commit_async().unwrap();
    wait_until("the outcome", || {
        consumer.poll(Duration::from_millis(5)).unwrap();
        failed.is_done()
    });
    for _ in 0..2 {
        let error = failed.wait().unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::OFFSET_METADATA_TOO_LARGE));
    }
}

#[test]
fn fault_141_callbacks_of_earlier_commits_run_before_a_commit_returns() {
    let broker = broker_with(1, 9);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 9);
    let (told, outcomes) = mpsc::channel();
    for delay in [0, 30] {
        broker.clear_rules();
        broker.on::<OffsetCommitRequest>().delay(Duration::from_millis(delay));
        commit_all(&consumer, &told, &[1, 2, 3, 4, 5]);
        consumer.commit().unwrap();
        assert_eq!(numbers(&outcomes), [1, 2, 3, 4, 5]);
        assert_eq!(committed(&broker, 0), Some(9));
    }
    // The same where it is closed.
    commit_all(&consumer, &told, &[6, 7]);
    consumer.close().unwrap();
    assert_eq!(numbers(&outcomes), [6, 7]);
    assert_eq!(committed(&broker, 0), Some(7));
}

#[test]
fn fault_141_callbacks_run_before_partitions_are_revoked_and_before_unsubscribe_returns() {
    let broker = broker_with(1, 9);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 9);
    let (told, outcomes) = mpsc::channel();
    broker.on::<OffsetCommitRequest>().delay(Duration::from_millis(30));
    commit_all(&consumer, &told, &[1, 2]);
    consumer.unsubscribe().unwrap();
    let all: Vec<_> = outcomes.try_iter().collect();
    assert_eq!(all.iter().map(|(which, ..)| *which).collect::<Vec<_>>(), [1, 2]);
    assert!(all.iter().all(|(_, _, result)| result.is_ok()), "{all:?}");
    assert_eq!(committed(&broker, 0), Some(2));
}

#[test]
fn commits_that_nobody_waits_for_go_to_the_default_callback_in_their_order() {
    let broker = broker_with(1, 3);
    let (told, outcomes) = mpsc::channel();
    let consumer = automatic(&broker)
        .auto_commit_interval_ms(60_000)
        .default_offset_commit_callback(move |offsets, result| {
            told.send((offsets[&("t", 0).into()].offset(), result.is_ok())).unwrap();
        })
        .build()
        .unwrap();
    take(&consumer, 3);
    consumer.commit_offsets_async([(("t", 0), 1)]).unwrap();
    consumer.commit_offsets_async([(("t", 0), 2)]).unwrap();
    // Those that have a callback of their own, and those that are waited for, are not its business.
    consumer.commit_async_then(|_, result| assert!(result.is_ok())).unwrap();
    consumer.commit_offsets([(("t", 0), 0)]).unwrap();
    assert_eq!(outcomes.try_iter().collect::<Vec<_>>(), [(1, true), (2, true)]);
    consumer.close().unwrap();
    assert_eq!(outcomes.try_iter().collect::<Vec<_>>(), [(3, true)], "auto commit's");
}

#[test]
fn a_commit_that_closes_in_on_its_end_with_the_consumer_is_told_of() {
    let broker = broker_with(1, 3);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 3);
    let told = Arc::new(Mutex::new(None));
    let place = told.clone();
    broker.on::<OffsetCommitRequest>().silence();
    consumer.commit_async_then(move |_, result| *place.lock().unwrap() = Some(result)).unwrap();
    consumer.close_timeout(SOON).unwrap();
    let result = told.lock().unwrap().take().expect("it is told what became of it");
    assert!(result.is_err(), "nobody knows whether it was stored");
}

#[test]
fn callbacks_of_a_consumer_that_is_dropped_are_dropped_with_it() {
    struct Flag(Arc<AtomicBool>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let broker = broker_with(1, 3);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 3);
    broker.on::<OffsetCommitRequest>().silence();
    let dropped = Arc::new(AtomicBool::new(false));
    let flag = Flag(dropped.clone());
    consumer.commit_async_then(move |_, _| drop(flag)).unwrap();
    drop(consumer);
    assert!(dropped.load(Ordering::Relaxed));
}
