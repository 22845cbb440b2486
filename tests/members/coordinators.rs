//! What happens to members when their coordinator fails, moves, loads or lies.

use std::time::{Duration, Instant};

use kafka_blocking::{
    Error, ErrorCode,
    protocol::{
        heartbeat::HeartbeatRequest, join_group::JoinGroupRequest,
        offset_commit::OffsetCommitRequest, offset_fetch::OffsetFetchRequest,
    },
};
use scripted_broker::ScriptedBroker;

use crate::{
    group::{
        Diary, SHORT, count, drive, drive_for, joins, lookups, member, reader, settle, share,
        subscribed, tp, view, work_for,
    },
    support::{append, broker_with, offsets, take, wait_until},
};

/// Three nodes; the topic `t` is on the first two, and the group on the third. When that fails, another takes over.
fn three_nodes() -> ScriptedBroker {
    let broker = ScriptedBroker::cluster(3);
    broker.create_topic("t", 2);
    broker.group("g").set_coordinator(3);
    broker.set_coordinator_failover(true);
    broker
}

#[test]
fn fault_95_a_coordinator_that_dies_is_replaced_without_a_rebalance() {
    let broker = three_nodes();
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    settle(&[&consumer], 2);
    let before = consumer.group_metadata().unwrap();
    broker.stop(3);
    append(&broker, 0, 2);
    take(&consumer, 2);
    consumer.commit().unwrap();
    assert_ne!(broker.group("g").coordinator(), Some(3));
    let seen = count::<HeartbeatRequest>(&broker);
    drive(&[&consumer], "it beats on", || count::<HeartbeatRequest>(&broker) > seen + 2);
    assert_eq!(consumer.group_metadata().unwrap(), before);
    assert_eq!(diary.take(), ["assigned t-0 t-1"]);
    assert_eq!(view(&broker).committed(tp(0)), Some(2));
}

#[test]
fn fault_95_a_coordinator_that_dies_while_the_program_is_busy_is_replaced_too() {
    let broker = three_nodes();
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    settle(&[&consumer], 2);
    let before = consumer.group_metadata().unwrap();
    broker.stop(3);
    work_for(SHORT * 2);
    let heir = broker.group("g").coordinator().unwrap();
    let beats =
        broker.requests().iter().filter(|r| r.is::<HeartbeatRequest>() && r.node == heir).count();
    assert!(beats > 2, "{beats}");
    consumer.commit_offsets([(tp(1), 0)]).unwrap();
    assert_eq!(consumer.group_metadata().unwrap(), before);
    assert_eq!(diary.take(), ["assigned t-0 t-1"]);
}

#[test]
fn fault_95_a_coordinator_that_dies_in_the_middle_of_a_join_is_replaced() {
    let broker = three_nodes();
    broker.on::<JoinGroupRequest>().node(3).after(1).silence();
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    drive(&[&consumer], "it has sent its id", || joins(&broker).len() == 2);
    broker.stop(3);
    settle(&[&consumer], 2);
    assert_eq!(diary.take(), ["assigned t-0 t-1"]);
}

#[test]
fn fault_95_a_program_that_is_busy_is_with_the_successor_soon_after_its_next_heartbeat() {
    let interval = Duration::from_secs(1);
    let late = |_| {
        let broker = three_nodes();
        let consumer = member(&broker).heartbeat_interval_ms(interval).build().unwrap();
        consumer.subscribe(["t"]).unwrap();
        settle(&[&consumer], 2);
        broker.stop(3);
        let (start, seen) = (Instant::now(), count::<HeartbeatRequest>(&broker));
        wait_until("a heartbeat at its successor", || count::<HeartbeatRequest>(&broker) > seen);
        start.elapsed() > interval * 2
    };
    // This machine may stand still.
    assert!(!(0..3).all(late), "each step waited for another heartbeat");
}

#[test]
fn fault_95_a_coordinator_that_falls_silent_in_the_middle_of_a_join_is_replaced_in_seconds() {
    let broker = three_nodes();
    broker.on::<JoinGroupRequest>().node(3).after(1).silence();
    let consumer = reader(&broker, &Diary::default());
    drive(&[&consumer], "it has joined in vain", || joins(&broker).len() == 2);
    broker.group("g").set_coordinator(1);
    settle(&[&consumer], 2);
}

#[test]
fn fault_96_a_coordinator_that_is_not_ready_is_waited_for_and_nobody_hears_of_it() {
    for code in [
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::NOT_COORDINATOR,
    ] {
        let broker = broker_with(1, 2);
        broker.group("g").set_error(Some(code));
        let diary = Diary::default();
        let consumer = reader(&broker, &diary);
        drive_for(&[&consumer], SHORT);
        let tried = joins(&broker).len() + lookups(&broker);
        assert!((3..30).contains(&tried), "{code}: {tried} requests");
        broker.group("g").set_error(None);
        take(&consumer, 2);
        broker.group("g").set_error(Some(code));
        let seen = broker.requests().len();
        drive_for(&[&consumer], SHORT);
        let error = consumer.commit_timeout(SHORT).unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{code}: {error}");
        assert!(
            error.to_string().contains(code.name()) || code != ErrorCode::NOT_COORDINATOR,
            "{error}"
        );
        let tried = broker.requests().len() - seen;
        assert!(tried < 150, "{code}: {tried} requests");
        broker.group("g").set_error(None);
        consumer.commit().unwrap();
        append(&broker, 0, 1);
        take(&consumer, 1);
        assert_eq!(diary.take(), ["assigned t-0"], "{code}");
    }
}

#[test]
fn fault_97_a_coordinator_that_denies_for_ever_to_be_one_is_asked_with_patience() {
    let broker = broker_with(1, 0);
    broker.on::<JoinGroupRequest>().fail(ErrorCode::NOT_COORDINATOR);
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    let start = Instant::now();
    assert!(consumer.poll(Duration::from_secs(1)).unwrap().is_empty());
    assert!(start.elapsed() < Duration::from_millis(1500));
    let (asked, tried) = (lookups(&broker), joins(&broker).len());
    assert!((2..20).contains(&asked) && (2..20).contains(&tried), "{asked} and {tried}");
    broker.clear_rules();
    settle(&[&consumer], 1);
}

#[test]
fn fault_98_an_assigned_consumer_finds_the_coordinator_that_has_moved() {
    let broker = three_nodes();
    append(&broker, 0, 3);
    let consumer = member(&broker).build().unwrap();
    consumer.assign([tp(0)]).unwrap();
    take(&consumer, 1);
    consumer.commit().unwrap();
    let asked = lookups(&broker);
    broker.group("g").set_coordinator(2);
    take(&consumer, 1);
    consumer.commit().unwrap();
    assert_eq!(lookups(&broker), asked + 1);
    assert_eq!(consumer.committed(tp(0)).unwrap(), Some(2));
    broker.group("g").set_coordinator(3);
    assert_eq!(consumer.committed(tp(0)).unwrap(), Some(2), "it may be asked for as well");
    broker.stop(3);
    take(&consumer, 1);
    consumer.commit().unwrap();
    assert_eq!(view(&broker).committed(tp(0)), Some(3));
    assert_eq!(count::<HeartbeatRequest>(&broker), 0);
}

#[test]
fn fault_126_where_partitions_go_on_is_asked_until_it_is_known() {
    type Break = fn(&ScriptedBroker);
    let breaks: [(&str, Break); 8] = [
        ("it loads", |b| {
            b.on::<OffsetFetchRequest>().once().fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS)
        }),
        ("it is not available", |b| {
            b.on::<OffsetFetchRequest>().once().fail(ErrorCode::COORDINATOR_NOT_AVAILABLE)
        }),
        ("it is none", |b| b.on::<OffsetFetchRequest>().once().fail(ErrorCode::NOT_COORDINATOR)),
        ("a transaction is open", |b| {
            b.on::<OffsetFetchRequest>().times(3).fail_partition(
                "t",
                0,
                ErrorCode::UNSTABLE_OFFSET_COMMIT,
            )
        }),
        ("one partition fails", |b| {
            b.on::<OffsetFetchRequest>().once().fail_partition(
                "t",
                0,
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            )
        }),
        ("the connection breaks", |b| b.on::<OffsetFetchRequest>().times(2).close()),
        ("half an answer comes", |b| b.on::<OffsetFetchRequest>().once().cut_at(15)),
        ("a request times out", |b| b.on::<OffsetFetchRequest>().once().swallow()),
    ];
    for (what, disturb) in breaks {
        let broker = broker_with(2, 5);
        broker.group("g").set_committed(tp(0), 3);
        broker.group("g").set_committed(tp(1), 5);
        disturb(&broker);
        let diary = Diary::default();
        let builder = member(&broker).request_timeout_ms(500).auto_offset_reset("earliest");
        let consumer = subscribed(builder, &diary);
        assert_eq!(offsets(&take(&consumer, 2)), [3, 4], "{what}");
        append(&broker, 1, 1);
        assert_eq!(offsets(&take(&consumer, 1)), [5], "{what}");
        assert_eq!(diary.take(), ["assigned t-0 t-1"], "{what}");
    }
}

#[test]
fn fault_126_a_refusal_to_tell_where_partitions_go_on_is_no_reason_to_begin_anew() {
    let broker = broker_with(1, 5);
    broker.group("g").set_committed(tp(0), 3);
    broker.on::<OffsetFetchRequest>().once().fail(ErrorCode::GROUP_AUTHORIZATION_FAILED);
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    let error = crate::group::next_error(&consumer);
    assert!(matches!(error, Error::GroupAuthorizationFailed { .. }), "{error:?}");
    assert_eq!(offsets(&take(&consumer, 2)), [3, 4]);
}

#[test]
fn fault_126_a_coordinator_that_moves_while_it_is_asked_strands_nothing() {
    let broker = three_nodes();
    append(&broker, 0, 3);
    broker.group("g").set_committed(tp(0), 1);
    broker.on::<OffsetFetchRequest>().node(3).silence();
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    drive(&[&consumer], "it has asked", || count::<OffsetFetchRequest>(&broker) == 1);
    broker.stop(3);
    assert_eq!(offsets(&take(&consumer, 2)), [1, 2]);
    assert_eq!(share(&consumer), [0, 1]);
    assert_eq!(count::<OffsetCommitRequest>(&broker), 0);
}
