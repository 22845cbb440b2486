//! Commits that do not get through at first: they are tried again, in their order, and never dropped in silence.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
        mpsc,
    },
    time::Duration,
};

use kafka_blocking::{
    Error, ErrorCode,
    protocol::{find_coordinator::FindCoordinatorRequest, offset_commit::OffsetCommitRequest},
};
use scripted_broker::ScriptedBroker;

use crate::{
    GROUP, SOON, builder, committed, count, manual, sent,
    support::{append, broker_with, ends_within, take, wait_until},
};

const PASSING: [ErrorCode; 5] = [
    ErrorCode::REQUEST_TIMED_OUT,
    ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode::COORDINATOR_NOT_AVAILABLE,
    ErrorCode::NOT_COORDINATOR,
    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
];

#[test]
fn fault_139_a_commit_is_tried_again_until_what_stands_in_its_way_has_passed() {
    for code in PASSING {
        let broker = broker_with(1, 3);
        let consumer = manual(&broker).build().unwrap();
        take(&consumer, 3);
        broker.on::<OffsetCommitRequest>().times(3).fail(code);
        consumer.commit().unwrap_or_else(|e| panic!("{code}: {e}"));
        assert_eq!((committed(&broker, 0), sent(&broker).len()), (Some(3), 4), "{code}");
        broker.on::<OffsetCommitRequest>().times(2).fail(code);
        append(&broker, 0, 1);
        take(&consumer, 1);
        consumer.commit_async().unwrap().wait().unwrap_or_else(|e| panic!("{code}: {e}"));
        assert_eq!(committed(&broker, 0), Some(4), "{code}");
    }
}

#[test]
fn fault_139_a_connection_that_ends_in_a_commit_costs_no_commit() {
    let broker = broker_with(1, 3);
    let consumer = manual(&broker).request_timeout_ms(300).build().unwrap();
    take(&consumer, 3);
    broker.on::<OffsetCommitRequest>().times(2).close();
    consumer.commit().unwrap();
    assert_eq!(committed(&broker, 0), Some(3));
    append(&broker, 0, 1);
    take(&consumer, 1);
    // Silence is one as well, after request_timeout_ms.
    broker.on::<OffsetCommitRequest>().once().silence();
    consumer.commit().unwrap();
    assert_eq!(committed(&broker, 0), Some(4));
    broker.on::<OffsetCommitRequest>().once().cut_at(9);
    consumer.commit_async().unwrap().wait().unwrap();
    assert_eq!(consumer.group_metadata().unwrap().generation_id, 1, "and no membership");
}

#[test]
fn fault_139_what_does_not_pass_is_a_time_out_that_says_what_stood_in_the_way() {
    for code in PASSING {
        let broker = broker_with(1, 3);
        let consumer = manual(&broker).build().unwrap();
        take(&consumer, 3);
        broker.on::<OffsetCommitRequest>().fail(code);
        let commit = || consumer.commit_timeout(Duration::from_millis(150));
        let error = ends_within(Duration::from_millis(150), "commit", commit).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Timeout { operation: "commit", .. }), "{error:?}");
        assert!(text.contains(code.name()), "{code} is missing in: {text}");
        assert!(sent(&broker).len() >= 2, "{code}: {:?}", sent(&broker));
    }
}

#[test]
fn fault_139_a_commit_that_nobody_waits_for_is_tried_for_default_api_timeout_ms_and_then_told_of() {
    let broker = broker_with(1, 3);
    let consumer =
        manual(&broker).request_timeout_ms(200).default_api_timeout_ms(200).build().unwrap();
    take(&consumer, 3);
    broker.on::<OffsetCommitRequest>().fail(ErrorCode::NOT_COORDINATOR);
    let (told, outcome) = mpsc::channel();
    consumer
        .commit_async_then(move |offsets, result| told.send((offsets.len(), result)).unwrap())
        .unwrap();
    let mut came = None;
    wait_until("the outcome", || {
        consumer.poll(Duration::from_millis(5)).unwrap();
        came = outcome.try_recv().ok();
        came.is_some()
    });
    let (partitions, result) = came.unwrap();
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert!(partitions == 1 && error.to_string().contains("NOT_COORDINATOR"), "{error}");
    assert!(sent(&broker).len() >= 3);
}

#[test]
fn fault_139_a_commit_follows_its_coordinator_to_another_node() {
    let broker = ScriptedBroker::cluster(2);
    broker.create_topic("t", 1);
    append(&broker, 0, 3);
    broker.set_coordinator_failover(true);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 3);
    broker.group(GROUP).set_coordinator(2);
    consumer.commit().unwrap();
    assert_eq!(committed(&broker, 0), Some(3));
    let last = broker.log_of::<OffsetCommitRequest>().pop().unwrap().0;
    assert_eq!(last.node, 2);
    broker.stop(2);
    consumer.commit_offsets([(("t", 0), 2)]).unwrap();
    assert_eq!(committed(&broker, 0), Some(2));
}

#[test]
fn fault_142_an_older_commit_that_is_tried_again_never_overwrites_a_newer_one() {
    for fails in 1..4 {
        let broker = broker_with(1, 10);
        let consumer = manual(&broker).build().unwrap();
        take(&consumer, 10);
        let rule = || broker.on::<OffsetCommitRequest>().times(fails);
        rule().fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
        let older = consumer.commit_offsets_async([(("t", 0), 4)]).unwrap();
        wait_until("the older one has left", || !sent(&broker).is_empty());
        consumer.commit_offsets([(("t", 0), 9)]).unwrap();
        assert_eq!(committed(&broker, 0), Some(9));
        older.wait().unwrap();
        consumer.poll(Duration::from_millis(50)).unwrap();
        assert_eq!(committed(&broker, 0), Some(9));
        assert!(sent(&broker).is_sorted(), "{:?}", sent(&broker));
    }
}

#[test]
fn fault_142_a_commit_whose_answer_is_lost_is_not_sent_again_behind_a_newer_one() {
    let broker = broker_with(1, 10);
    let consumer = manual(&broker).request_timeout_ms(150).build().unwrap();
    take(&consumer, 10);
    // Stored, and the answer never comes.
    broker.on::<OffsetCommitRequest>().once().silence();
    let older = consumer.commit_offsets_async([(("t", 0), 4)]).unwrap();
    wait_until("it has arrived", || committed(&broker, 0) == Some(4));
    let newer = consumer.commit_offsets_async([(("t", 0), 9)]).unwrap();
    older.wait().unwrap();
    newer.wait().unwrap();
    assert_eq!(sent(&broker), [4, 9], "what is to be sent again goes with what has come since");
    // The same where nobody waits for the older one any more.
    broker.on::<OffsetCommitRequest>().once().silence();
    let error = consumer.commit_offsets_timeout([(("t", 0), 5)], Duration::from_millis(20));
    assert!(matches!(error, Err(Error::Timeout { .. })), "{error:?}");
    consumer.commit_offsets([(("t", 0), 10)]).unwrap();
    consumer.poll(Duration::from_millis(200)).unwrap();
    assert_eq!(sent(&broker), [4, 9, 5, 10]);
    assert_eq!(committed(&broker, 0), Some(10));
}

#[test]
fn fault_164_one_commit_per_record_at_a_slow_coordinator_breaks_nothing() {
    const RECORDS: i64 = 400;
    let broker = broker_with(1, 0);
    broker.append("t", 0, (0..RECORDS).map(|n| n.to_string()));
    let consumer = manual(&broker).build().unwrap();
    broker.on::<OffsetCommitRequest>().delay(Duration::from_millis(60));
    let (told, outcomes) = mpsc::channel();
    for record in consumer.iter().take(400) {
        let (told, next) = (told.clone(), record.unwrap().offset() + 1);
        let callback = move |offsets: &std::collections::BTreeMap<_, _>, result| {
            let committed: &kafka_blocking::OffsetAndMetadata = &offsets[&("t", 0).into()];
            assert_eq!(committed.offset(), next);
            told.send((next, result)).unwrap();
        };
        // Nobody keeps the handle.
        drop(consumer.commit_async_then(callback).unwrap());
    }
    consumer.commit().unwrap();
    let outcomes: Vec<(i64, Result<(), Error>)> = outcomes.try_iter().collect();
    assert!(outcomes.iter().all(|(_, result)| result.is_ok()), "{outcomes:?}");
    assert!(outcomes.iter().map(|(next, _)| *next).eq(1..=RECORDS), "in order, and all");
    assert_eq!(committed(&broker, 0), Some(RECORDS));
    // One request at a time takes with it all that has come meanwhile.
    assert!(sent(&broker).len() < 200, "{} requests", sent(&broker).len());
    assert!(sent(&broker).is_sorted());
}

#[test]
fn fault_164_thousands_of_commits_wait_for_a_coordinator_that_says_nothing_and_go_in_one_request() {
    const COMMITS: i64 = 4_000;
    let broker = broker_with(1, 1);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 1);
    broker.on::<OffsetCommitRequest>().once().silence();
    let told = Arc::new(AtomicI64::new(0));
    for offset in 1..=COMMITS {
        let told = told.clone();
        let callback = move |_: &_, result: Result<(), _>| {
            assert_eq!(told.fetch_add(1, Ordering::Relaxed) + 1, offset, "in their order");
            assert!(result.is_ok());
        };
        consumer.commit_offsets_async_then([(("t", 0), offset)], callback).unwrap();
    }
    assert_eq!(sent(&broker), [1]);
    broker.close_connections(1);
    consumer.commit().unwrap();
    assert_eq!(told.load(Ordering::Relaxed), COMMITS);
    assert_eq!(sent(&broker), [1, 1], "the position, which was committed last");
}

#[test]
fn fault_164_a_commit_that_is_waited_for_at_each_record_only_takes_its_time() {
    let broker = broker_with(1, 12);
    let consumer = manual(&broker).build().unwrap();
    broker.on::<OffsetCommitRequest>().delay(Duration::from_millis(40));
    for record in consumer.iter().take(12) {
        let record = record.unwrap();
        consumer.commit().unwrap();
        assert_eq!(committed(&broker, 0), Some(record.offset() + 1));
    }
    assert_eq!(sent(&broker), (1..=12).collect::<Vec<_>>());
}

#[test]
fn a_coordinator_that_was_not_found_yet_is_looked_for_by_the_commit() {
    let broker = broker_with(1, 3);
    broker.on::<FindCoordinatorRequest>().times(3).fail(ErrorCode::COORDINATOR_NOT_AVAILABLE);
    let consumer = builder(&broker).build().unwrap();
    consumer.assign([("t", 0)]).unwrap();
    consumer.seek(("t", 0), 2).unwrap();
    consumer.commit().unwrap();
    assert_eq!(committed(&broker, 0), Some(2));
    assert_eq!(count::<FindCoordinatorRequest>(&broker), 4);
    broker.group(GROUP).set_error(Some(ErrorCode::GROUP_AUTHORIZATION_FAILED));
    let refused = consumer.commit_timeout(SOON).unwrap_err();
    assert!(matches!(&refused, Error::GroupAuthorizationFailed { group } if &**group == GROUP));
}
