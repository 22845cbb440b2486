//! What the coordinator's errors become: for a commit, for a question, and for the commit at the end.

use std::{
    cell::RefCell,
    sync::{Once, mpsc},
    time::Duration,
};

use kafka_blocking::{
    Error, ErrorCode, KafkaConsumer,
    protocol::{
        find_coordinator::FindCoordinatorRequest, offset_commit::OffsetCommitRequest,
        offset_fetch::OffsetFetchRequest,
    },
};

use crate::{
    GROUP, SOON, automatic, builder, committed, count, manual,
    support::{LONG, broker_with, ends_within, take},
};

/// What a commit fails with, where the coordinator answers it with this code.
fn commit_refused(code: ErrorCode) -> Error {
    let broker = broker_with(1, 3);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 3);
    broker.on::<OffsetCommitRequest>().fail(code);
    let error = ends_within(SOON, "commit()", || consumer.commit()).unwrap_err();
    broker.clear_rules();
    let asked = count::<FindCoordinatorRequest>(&broker);
    assert_eq!(asked, 1, "{code} says nothing against the coordinator");
    error
}

#[test]
fn behaviour_52_refusals_of_a_commit_are_raised_as_what_they_are() {
    let error = commit_refused(ErrorCode::GROUP_AUTHORIZATION_FAILED);
    assert!(matches!(&error, Error::GroupAuthorizationFailed { group } if &**group == GROUP));
    for code in [
        ErrorCode::OFFSET_METADATA_TOO_LARGE,
        ErrorCode::INVALID_COMMIT_OFFSET_SIZE,
        ErrorCode::INVALID_TOPIC_EXCEPTION,
        ErrorCode::INVALID_GROUP_ID,
    ] {
        assert_eq!(commit_refused(code).code(), Some(code));
    }
    match commit_refused(ErrorCode::TOPIC_AUTHORIZATION_FAILED) {
        Error::TopicAuthorizationFailed { topics } => assert_eq!(topics, ["t"]),
        other => panic!("{other:?}"),
    }
    let error = commit_refused(ErrorCode::REBALANCE_IN_PROGRESS);
    assert!(matches!(error, Error::RebalanceInProgress), "{error:?}");
    for code in [ErrorCode::ILLEGAL_GENERATION, ErrorCode::UNKNOWN_MEMBER_ID] {
        let error = commit_refused(code);
        assert!(matches!(error, Error::CommitFailed { .. }), "{code}: {error:?}");
        let text = error.to_string();
        assert!([code.name(), "without this member"].iter().all(|w| text.contains(w)), "{text}");
    }
}

#[test]
fn behaviour_52_a_member_whose_place_another_one_has_commits_nothing_any_more_and_closes_in_peace()
{
    let broker = broker_with(1, 3);
    let consumer = automatic(&broker)
        .auto_commit_interval_ms(60_000)
        .group_instance_id("till-3")
        .build()
        .unwrap();
    take(&consumer, 3);
    broker.on::<OffsetCommitRequest>().once().fail(ErrorCode::FENCED_INSTANCE_ID);
    let is_fenced = |result: Result<(), Error>| matches!(result, Err(Error::FencedInstanceId { group_instance_id }) if &*group_instance_id == "till-3");
    assert!(is_fenced(consumer.commit()));
    assert!(is_fenced(consumer.commit()), "for good");
    assert!(is_fenced(consumer.commit_async().map(drop)));
    for _ in 0..2 {
        assert!(is_fenced(ends_within(SOON, "poll()", || consumer.poll(LONG).map(drop))));
    }
    assert!(is_fenced(consumer.next().unwrap().map(drop)));
    consumer.close().unwrap();
    assert_eq!((committed(&broker, 0), count::<OffsetCommitRequest>(&broker)), (None, 1));
}

#[test]
fn behaviour_52_what_a_commit_waits_for_keeps_or_drops_the_coordinator() {
    let looked_up = |code| {
        let broker = broker_with(1, 3);
        let consumer = manual(&broker).build().unwrap();
        take(&consumer, 3);
        broker.on::<OffsetCommitRequest>().once().fail(code);
        consumer.commit().unwrap();
        assert_eq!(committed(&broker, 0), Some(3));
        count::<FindCoordinatorRequest>(&broker)
    };
    assert_eq!(looked_up(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS), 1, "kept");
    for code in [
        ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::NOT_COORDINATOR,
        ErrorCode::REQUEST_TIMED_OUT,
    ] {
        assert_eq!(looked_up(code), 2, "{code}: asked for again");
    }
}

/// What `committed()` and reading fail with, where the coordinator answers them with this code.
fn offset_refused(code: ErrorCode) -> [Error; 2] {
    let broker = broker_with(1, 3);
    broker.on::<OffsetFetchRequest>().fail(code);
    let consumer = builder(&broker).enable_auto_commit(false).build().unwrap();
    let asked = ends_within(SOON, "committed()", || consumer.committed(("t", 0)));
    consumer.assign([("t", 0)]).unwrap();
    let read = ends_within(SOON, "poll()", || consumer.poll(LONG)).unwrap_err();
    // Reading goes on once that is over.
    broker.clear_rules();
    broker.group(GROUP).set_committed(("t", 0), 1);
    crate::support::wait_until("a record", || match consumer.poll(Duration::from_millis(50)) {
        Ok(polled) => polled.iter().next().is_some(),
        Err(_) => false,
    });
    [asked.unwrap_err(), read]
}

#[test]
fn behaviour_53_refusals_of_committed_offsets_are_raised_by_the_question_and_by_reading() {
    for code in [ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::ILLEGAL_GENERATION] {
        let errors = offset_refused(code);
        assert!(errors.iter().all(|e| e.code() == Some(code)), "{errors:?}");
    }
    for error in offset_refused(ErrorCode::GROUP_AUTHORIZATION_FAILED) {
        assert!(matches!(&error, Error::GroupAuthorizationFailed { group } if &**group == GROUP));
    }
    for error in offset_refused(ErrorCode::TOPIC_AUTHORIZATION_FAILED) {
        match error {
            Error::TopicAuthorizationFailed { topics } => assert_eq!(topics, ["t"]),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn behaviour_53_a_group_that_may_not_be_looked_up_is_raised_by_those_who_wait_at_once() {
    let broker = broker_with(1, 1);
    broker.on::<FindCoordinatorRequest>().fail(ErrorCode::GROUP_AUTHORIZATION_FAILED);
    let consumer = builder(&broker).build().unwrap();
    for error in [
        consumer.committed_timeout(("t", 0), LONG).unwrap_err(),
        consumer.commit_offsets_timeout([(("t", 0), 1)], LONG).unwrap_err(),
    ] {
        assert!(matches!(&error, Error::GroupAuthorizationFailed { group } if &**group == GROUP));
    }
}

#[test]
fn behaviour_52_a_commit_that_is_refused_because_the_member_is_out_takes_it_out_at_once() {
    let broker = broker_with(1, 1);
    let consumer = manual(&broker).heartbeat_interval_ms(3_000).build().unwrap();
    take(&consumer, 1);
    broker.on::<OffsetCommitRequest>().once().fail(ErrorCode::UNKNOWN_MEMBER_ID);
    consumer.commit().unwrap_err();
    let standing = consumer.group_metadata().unwrap();
    assert_eq!((standing.generation_id, &*standing.member_id), (-1, ""));
}

#[test]
fn calls_that_end_without_the_group_say_what_its_coordinator_said() {
    let broker = broker_with(1, 1);
    broker.group(GROUP).set_error(Some(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS));
    let consumer = builder(&broker).build().unwrap();
    consumer.assign([("t", 0)]).unwrap();
    for error in [
        consumer.committed_timeout(("t", 0), SOON).unwrap_err(),
        consumer.commit_offsets_timeout([(("t", 0), 1)], SOON).unwrap_err(),
        consumer.position_timeout(("t", 0), SOON).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
        assert!(error.to_string().contains("COORDINATOR_LOAD_IN_PROGRESS"), "{error}");
    }
}

#[test]
fn behaviour_53_a_question_that_was_given_up_is_not_asked_any_more() {
    let broker = broker_with(1, 1);
    broker.on::<OffsetFetchRequest>().fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    let consumer = builder(&broker).build().unwrap();
    consumer.assign([("t", 0)]).unwrap();
    consumer.seek(("t", 0), 0).unwrap();
    let error = consumer.committed_timeout(("t", 0), SOON).unwrap_err();
    assert!(matches!(error, Error::Timeout { operation: "committed", .. }), "{error:?}");
    let asked = count::<OffsetFetchRequest>(&broker);
    take(&consumer, 1);
    assert!(consumer.poll(SOON).unwrap().is_empty());
    assert!(asked > 0);
    // One may have been on its way.
    assert!(count::<OffsetFetchRequest>(&broker) <= asked + 1);
}

#[test]
fn behaviour_53_what_a_question_waits_for_keeps_or_drops_the_coordinator() {
    let looked_up = |code| {
        let broker = broker_with(1, 3);
        broker.group(GROUP).set_committed(("t", 0), 2);
        broker.on::<OffsetFetchRequest>().times(2).fail(code);
        let consumer = manual(&broker).build().unwrap();
        assert_eq!(consumer.committed(("t", 0)).unwrap(), Some(2));
        broker.on::<OffsetFetchRequest>().once().fail(code);
        assert_eq!(take(&consumer, 1)[0].offset(), 2);
        count::<FindCoordinatorRequest>(&broker)
    };
    assert_eq!(looked_up(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS), 1, "kept");
    assert_eq!(looked_up(ErrorCode::NOT_COORDINATOR), 4, "dropped");
}

#[test]
fn behaviour_53_a_partition_without_a_commit_is_none_and_stands_in_nobodys_way() {
    let broker = broker_with(2, 3);
    broker.group(GROUP).set_committed(("t", 1), 2);
    let consumer = manual(&broker).build().unwrap();
    assert_eq!(consumer.committed(("t", 0)).unwrap(), None);
    assert_eq!(consumer.committed(("t", 1)).unwrap(), Some(2));
    let first: Vec<_> = take(&consumer, 4).iter().map(|r| (r.partition(), r.offset())).collect();
    assert!(first.contains(&(0, 0)) && first.contains(&(1, 2)), "{first:?}");
}

#[test]
fn behaviour_54_who_reads_what_is_committed_asks_for_stable_offsets() {
    for (level, stable) in [("read_committed", true), ("read_uncommitted", false)] {
        let broker = broker_with(1, 1);
        let consumer = manual(&broker).isolation_level(level).build().unwrap();
        consumer.committed(("t", 0)).unwrap();
        take(&consumer, 1);
        let requests = broker.requests_of::<OffsetFetchRequest>();
        assert_eq!(requests.len(), 2);
        assert!(requests.iter().all(|request| request.require_stable == stable), "{level}");
    }
}

// The commit at the end

thread_local! {
    /// The warnings of this thread.
    static WARNINGS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct ThreadLog;

impl log::Log for ThreadLog {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let _ = WARNINGS.try_with(|all| all.borrow_mut().push(record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

/// The warnings that were logged on this thread meanwhile.
pub(crate) fn warnings_of(act: impl FnOnce()) -> Vec<String> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&ThreadLog).expect("the only logger");
        log::set_max_level(log::LevelFilter::Warn);
    });
    WARNINGS.with(|all| all.borrow_mut().clear());
    act();
    WARNINGS.with(|all| std::mem::take(&mut *all.borrow_mut()))
}

#[test]
fn behaviour_56_a_commit_at_the_close_that_the_group_refuses_is_one_warning_and_no_error() {
    for code in [
        ErrorCode::UNKNOWN_MEMBER_ID,
        ErrorCode::ILLEGAL_GENERATION,
        ErrorCode::REBALANCE_IN_PROGRESS,
    ] {
        let broker = broker_with(1, 3);
        let (told, outcomes) = mpsc::channel();
        let consumer: KafkaConsumer = automatic(&broker)
            .auto_commit_interval_ms(60_000)
            .default_offset_commit_callback(move |offsets, result| {
                told.send((offsets.clone(), result)).unwrap();
            })
            .build()
            .unwrap();
        take(&consumer, 3);
        broker.on::<OffsetCommitRequest>().fail(code);
        let warnings = warnings_of(|| consumer.close().unwrap());
        let about: Vec<_> = warnings.iter().filter(|w| w.contains("not committed")).collect();
        assert_eq!(about.len(), 1, "{code}: {warnings:?}");
        let outcomes: Vec<_> = outcomes.try_iter().collect();
        assert_eq!(outcomes.len(), 1, "{code}: {outcomes:?}");
        let (offsets, result) = &outcomes[0];
        assert_eq!(offsets[&("t", 0).into()].offset(), 3);
        assert!(matches!(result, Err(Error::CommitFailed { .. } | Error::RebalanceInProgress)));
    }
}
