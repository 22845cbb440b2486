//! What the options of a group make of a consumer that is a member of one.

use std::{
    collections::BTreeSet,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use kafka_blocking::{
    ConsumerBuilder, Error, ErrorCode, GroupState, KafkaConsumer,
    coordinator::Attendance,
    protocol::{
        Request, find_coordinator::FindCoordinatorRequest, heartbeat::HeartbeatRequest,
        join_group::JoinGroupRequest, leave_group::LeaveGroupRequest,
        offset_commit::OffsetCommitRequest, offset_fetch::OffsetFetchRequest,
        sync_group::SyncGroupRequest,
    },
};
use scripted_broker::{MemberScript, ScriptedBroker};

use crate::support::{PATIENCE, append, broker, millis, next, reader, simulation};

const GROUP: &str = "my-group";

/// A member that commits only when it is told to, and hears of rebalances soon.
fn member(broker: &ScriptedBroker) -> ConsumerBuilder {
    reader(broker).group_id(GROUP).enable_auto_commit(false).heartbeat_interval_ms(20)
}

fn count<R: Request>(broker: &ScriptedBroker) -> usize {
    broker.requests().iter().filter(|r| r.is::<R>()).count()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Polls until something holds; gives the errors that came.
fn poll_until(consumer: &KafkaConsumer, what: &str, mut holds: impl FnMut() -> bool) -> Vec<Error> {
    let mut errors = Vec::new();
    wait_until(what, || {
        errors.extend(consumer.poll(Duration::from_millis(5)).err());
        holds()
    });
    errors
}

// Who it is

#[test]
fn option_group_id_is_named_in_every_request_about_the_group() {
    let broker = broker(&["a"]);
    let consumer = member(&broker).build().unwrap();
    next(&consumer);
    consumer.commit().unwrap();
    consumer.committed(("t", 0)).unwrap();
    wait_until("a heartbeat", || count::<HeartbeatRequest>(&broker) > 0);
    consumer.close().unwrap();
    let found = broker.requests_of::<FindCoordinatorRequest>();
    assert!(found.iter().all(|r| r.key == GROUP || r.coordinator_keys == [GROUP]));
    assert!(broker.requests_of::<JoinGroupRequest>().iter().all(|r| r.group_id == GROUP));
    assert!(broker.requests_of::<SyncGroupRequest>().iter().all(|r| r.group_id == GROUP));
    assert!(broker.requests_of::<HeartbeatRequest>().iter().all(|r| r.group_id == GROUP));
    assert!(broker.requests_of::<OffsetCommitRequest>().iter().all(|r| r.group_id == GROUP));
    assert!(broker.requests_of::<LeaveGroupRequest>().iter().all(|r| r.group_id == GROUP));
    let asked = broker.requests_of::<OffsetFetchRequest>();
    assert!(asked.iter().all(|r| r.groups.iter().any(|g| g.group_id == GROUP)));
    let kinds: BTreeSet<i16> = broker.requests().iter().map(|r| r.header.api_key).collect();
    assert!(kinds.is_superset(&BTreeSet::from([8, 9, 10, 11, 12, 13, 14])), "{kinds:?}");
}

#[test]
fn option_group_id_keeps_the_offsets_of_groups_apart() {
    let broker = broker(&["a", "b"]);
    let consumer = member(&broker).build().unwrap();
    assert_eq!(next(&consumer).offset(), 0);
    consumer.commit().unwrap();
    let other = member(&broker).group_id("another-group").build().unwrap();
    assert_eq!(other.committed(("t", 0)).unwrap(), None);
    assert_eq!(next(&other).offset(), 0);
}

#[test]
fn option_group_instance_id_names_a_member_that_does_not_leave_and_finds_its_partitions_again() {
    let broker = broker(&["a", "b", "c"]);
    let named = || member(&broker).group_instance_id("till-3").build().unwrap();
    let consumer = named();
    next(&consumer);
    consumer.commit().unwrap();
    wait_until("a heartbeat", || count::<HeartbeatRequest>(&broker) > 0);
    let standing = consumer.group_metadata().unwrap();
    assert_eq!(standing.group_instance_id.as_deref(), Some("till-3"));
    consumer.close().unwrap();
    let is_named = |id: &Option<String>| id.as_deref() == Some("till-3");
    let joins = broker.requests_of::<JoinGroupRequest>();
    assert!(joins.iter().all(|r| is_named(&r.group_instance_id)));
    let syncs = broker.requests_of::<SyncGroupRequest>();
    assert!(syncs.iter().all(|r| is_named(&r.group_instance_id)));
    let beats = broker.requests_of::<HeartbeatRequest>();
    assert!(beats.iter().all(|r| is_named(&r.group_instance_id)));
    let commits = broker.requests_of::<OffsetCommitRequest>();
    assert!(commits.iter().all(|r| is_named(&r.group_instance_id)));
    assert_eq!(count::<LeaveGroupRequest>(&broker), 0);
    assert_eq!(broker.group(GROUP).view().members.len(), 1);
    let again = named();
    assert_eq!(next(&again).offset(), 1);
    assert_eq!(again.group_metadata().unwrap().generation_id, standing.generation_id);
}

// Commits

#[test]
fn option_enable_auto_commit_is_on_unless_it_is_switched_off() {
    for (enabled, committed) in [(None, Some(1)), (Some(true), Some(1)), (Some(false), None)] {
        let broker = broker(&["a", "b"]);
        let builder = reader(&broker).group_id(GROUP);
        let consumer = match enabled {
            None => builder.build().unwrap(),
            Some(enabled) => builder.enable_auto_commit(enabled).build().unwrap(),
        };
        next(&consumer);
        consumer.close().unwrap();
        assert_eq!(broker.group(GROUP).view().committed(("t", 0)), committed, "{enabled:?}");
        assert_eq!(count::<OffsetCommitRequest>(&broker), committed.iter().count());
    }
}

#[test]
fn option_auto_commit_interval_ms_lies_between_two_commits() {
    for (interval, exact) in [(None, 5_000.0), (Some(700), 700.0)] {
        let mut sim = simulation(|o| {
            let o = o.group_id(GROUP);
            match interval {
                None => o,
                Some(interval) => o.auto_commit_interval_ms(interval),
            }
        });
        sim.machines.subscriptions.unsubscribe();
        sim.assign([("t", 0)]);
        sim.machines.attendance = Attendance::Reading;
        append(&mut sim, "a");
        sim.run_for(Duration::from_secs(30));
        let times: Vec<_> = sim.cluster.log_of::<OffsetCommitRequest>();
        let gaps: Vec<_> =
            times.windows(2).map(|pair| millis(pair[1].0.at - pair[0].0.at)).collect();
        assert!(gaps.len() >= 4, "{gaps:?}");
        assert!(gaps.iter().all(|gap| (exact..exact + 60.0).contains(gap)), "{gaps:?}");
    }
}

#[test]
fn option_auto_commit_interval_ms_of_zero_commits_with_every_call() {
    let broker = broker(&["a", "b", "c"]);
    let builder = member(&broker).enable_auto_commit(true).auto_commit_interval_ms(0);
    let consumer = builder.build().unwrap();
    for _ in 0..3 {
        next(&consumer);
    }
    let committed = || broker.group(GROUP).view().committed(("t", 0));
    poll_until(&consumer, "a commit of all", || committed() == Some(3));
    // Waiting does not become a loop without rest by that.
    let mut sim = simulation(|o| o.group_id(GROUP).auto_commit_interval_ms(0));
    sim.machines.subscriptions.unsubscribe();
    sim.assign([("t", 0)]);
    sim.machines.attendance = Attendance::Reading;
    sim.run_for(Duration::from_secs(3));
    assert_eq!(sim.spins(), []);
}

#[test]
fn option_default_offset_commit_callback_hears_of_auto_commit_on_the_callers_thread() {
    let broker = broker(&["a", "b", "c"]);
    let (told, heard) = mpsc::channel();
    let consumer = member(&broker)
        .enable_auto_commit(true)
        .auto_commit_interval_ms(1)
        .default_offset_commit_callback(move |offsets, result| {
            let offset = offsets[&("t", 0).into()].offset();
            told.send((offset, result, thread::current().id())).unwrap();
        })
        .build()
        .unwrap();
    for _ in 0..3 {
        next(&consumer);
    }
    let mut last = None;
    poll_until(&consumer, "the news of all", || {
        last = heard.try_iter().last().or_else(|| last.take());
        last.as_ref().is_some_and(|(offset, ..)| *offset == 3)
    });
    let (_, result, thread) = last.unwrap();
    assert!(result.is_ok() && thread == thread::current().id());
    // And of what goes wrong.
    broker.on::<OffsetCommitRequest>().fail(ErrorCode::OFFSET_METADATA_TOO_LARGE);
    let mut code = None;
    poll_until(&consumer, "the bad news", || {
        let errors = heard.try_iter().filter_map(|(_, result, _)| result.err());
        code = errors.last().and_then(|error| error.code()).or(code);
        code.is_some()
    });
    assert_eq!(code, Some(ErrorCode::OFFSET_METADATA_TOO_LARGE));
}

// Rebalances

#[test]
fn option_partition_assignment_strategy_is_what_the_member_offers_and_the_leader_does() {
    for (strategy, offered, first) in [
        (None, vec!["range", "roundrobin"], vec![0, 1]),
        (Some("roundrobin"), vec!["roundrobin"], vec![0, 2]),
        (Some("roundrobin,range"), vec!["roundrobin", "range"], vec![0, 2]),
    ] {
        let broker = ScriptedBroker::start();
        broker.create_topic("t", 3);
        let builder = member(&broker);
        let consumer = match strategy {
            None => builder.build().unwrap(),
            Some(strategy) => builder.partition_assignment_strategy(strategy).build().unwrap(),
        };
        poll_until(&consumer, "all of it", || consumer.assignment().unwrap().len() == 3);
        broker.group(GROUP).add(MemberScript::new(["t"]).protocols(offered.iter().copied()));
        poll_until(&consumer, "its part", || {
            broker.group(GROUP).view().is_stable_with(2)
                && consumer.group_metadata().unwrap().state == GroupState::Stable
        });
        let join = broker.requests_of::<JoinGroupRequest>().pop().unwrap();
        assert_eq!(join.protocols.iter().map(|p| &*p.name).collect::<Vec<_>>(), offered);
        // Members stand in the order of their ids, which is not known beforehand.
        let view = broker.group(GROUP).view();
        let parts: BTreeSet<Vec<i32>> = view
            .members
            .iter()
            .map(|m| m.partitions().iter().map(|p| p.partition()).collect())
            .collect();
        assert!(parts.contains(&first), "{strategy:?}: {parts:?}");
    }
}

#[test]
fn option_max_poll_interval_ms_is_how_long_a_member_may_be_busy() {
    let broker = broker(&["a", "b"]);
    let consumer = member(&broker).max_poll_interval_ms(150).build().unwrap();
    next(&consumer);
    let joined = Instant::now();
    let join = broker.requests_of::<JoinGroupRequest>().pop().unwrap();
    assert_eq!(join.rebalance_timeout_ms, 150);
    // Other calls are not those that read.
    while broker.group(GROUP).view().members.len() == 1 {
        consumer.position(("t", 0)).unwrap();
        assert!(joined.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(5));
    }
    assert!(joined.elapsed() >= Duration::from_millis(145), "{:?}", joined.elapsed());
    let reason = broker.requests_of::<LeaveGroupRequest>()[0].members[0].reason.clone();
    assert!(reason.is_some_and(|reason| reason.contains("max_poll_interval_ms")));
    assert!(matches!(consumer.commit(), Err(Error::CommitFailed { .. })));
    // Reading joins it again.
    assert_eq!(next(&consumer).offset(), 0);
    consumer.commit().unwrap();
}

#[test]
fn option_max_poll_interval_ms_is_not_for_members_that_wait_for_records_or_read_them_one_by_one() {
    let broker = broker(&["a"; 30]);
    let consumer = member(&broker).max_poll_interval_ms(100).build().unwrap();
    for _ in 0..30 {
        next(&consumer);
        thread::sleep(Duration::from_millis(10));
    }
    // One poll that is longer than the interval.
    assert!(consumer.poll(Duration::from_millis(250)).unwrap().is_empty());
    assert_eq!(consumer.group_metadata().unwrap().generation_id, 1);
    assert_eq!(count::<LeaveGroupRequest>(&broker), 0);
}

#[test]
fn option_session_timeout_ms_is_told_to_the_broker_and_kept_without_it() {
    let broker = broker(&["a", "b"]);
    let consumer = member(&broker)
        .session_timeout_ms(200)
        .fetch_max_wait_ms(50)
        .request_timeout_ms(100)
        .build()
        .unwrap();
    next(&consumer);
    let join = broker.requests_of::<JoinGroupRequest>().pop().unwrap();
    assert_eq!(join.session_timeout_ms, 200);
    // Nobody hears of this member any more: after that time it must be out of the group.
    let silent = Instant::now();
    broker.on::<HeartbeatRequest>().swallow();
    poll_until(&consumer, "its end", || consumer.group_metadata().unwrap().generation_id != 1);
    assert!(silent.elapsed() >= Duration::from_millis(150), "{:?}", silent.elapsed());
}

#[test]
fn option_session_timeout_ms_that_the_broker_does_not_allow_is_an_error_of_reading() {
    let broker = broker(&["a"]);
    broker.set_groups(|settings| {
        settings.sessions = Duration::from_secs(6)..=Duration::from_secs(1_800);
    });
    let consumer = member(&broker).session_timeout_ms(5_999).build().unwrap();
    let error = consumer.poll(PATIENCE).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::INVALID_SESSION_TIMEOUT), "{error}");
    assert!(error.to_string().contains(GROUP), "{error}");
    let consumer = member(&broker).session_timeout_ms(6_000).build().unwrap();
    next(&consumer);
}

#[test]
fn option_heartbeat_interval_ms_lies_between_two_heartbeats_also_while_the_caller_is_busy() {
    let broker = broker(&["a"]);
    let consumer = member(&broker).heartbeat_interval_ms(80).build().unwrap();
    next(&consumer);
    wait_until("some heartbeats", || count::<HeartbeatRequest>(&broker) >= 4);
    let before = count::<HeartbeatRequest>(&broker);
    consumer.poll(Duration::from_millis(200)).unwrap();
    assert!(count::<HeartbeatRequest>(&broker) > before, "while it polls");
    let times: Vec<_> =
        broker.log_of::<HeartbeatRequest>().into_iter().map(|(request, _)| request.at).collect();
    let gaps: Vec<_> = times.windows(2).map(|pair| millis(pair[1] - pair[0])).collect();
    // A machine that is busy makes one late and the next one early; never are there more of them.
    let mean = gaps.iter().sum::<f64>() / gaps.iter().map(|_| 1.0).sum::<f64>();
    assert!(mean >= 75.0, "{gaps:?}");
}

#[test]
fn option_defaults_of_a_group_are_those_of_kafka_python() {
    let group = ConsumerBuilder::new().group_id(GROUP).resolve().unwrap().group.unwrap();
    assert_eq!(group.instance_id, None);
    assert_eq!(group.auto_commit, Some(Duration::from_secs(5)));
    assert_eq!(group.max_poll_interval, Duration::from_secs(300));
    assert_eq!(group.session_timeout, Duration::from_secs(45));
    assert_eq!(group.heartbeat_interval, Duration::from_secs(3));
    // On the wire as well.
    let broker = broker(&["a"]);
    let consumer = reader(&broker).group_id(GROUP).build().unwrap();
    next(&consumer);
    let join = broker.requests_of::<JoinGroupRequest>().pop().unwrap();
    assert_eq!((join.session_timeout_ms, join.rebalance_timeout_ms), (45_000, 300_000));
    assert_eq!(join.group_instance_id, None);
}
