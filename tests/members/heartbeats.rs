//! What keeps a member in its group while its program is busy, and what the answers to heartbeats do.

use std::time::Duration;

use kafka_blocking::{
    Error, ErrorCode, KafkaConsumer,
    protocol::{
        heartbeat::HeartbeatRequest, join_group::JoinGroupRequest,
        offset_commit::OffsetCommitRequest, sync_group::SyncGroupRequest,
    },
};
use scripted_broker::ScriptedBroker;

use crate::{
    group::{
        Diary, SESSION, SHORT, cooperative, count, drive, drive_for, generation, joins, leaves,
        lookups, member, member_id, reader, settle, share, subscribed, tp, view, work_for,
    },
    support::{append, broker_with, take, wait_until},
};

fn beats(broker: &ScriptedBroker) -> usize {
    count::<HeartbeatRequest>(broker)
}

#[test]
fn fault_82_a_member_busy_for_longer_than_its_session_stays_in_its_group() {
    let broker = broker_with(1, 2);
    let diary = Diary::default();
    let consumer =
        subscribed(member(&broker).session_timeout_ms(700).heartbeat_interval_ms(50), &diary);
    take(&consumer, 1);
    let before = consumer.group_metadata().unwrap();
    work_for(Duration::from_millis(1400));
    assert_eq!(view(&broker).members.len(), 1);
    consumer.commit().unwrap();
    assert_eq!(take(&consumer, 1)[0].offset(), 1);
    assert_eq!(consumer.group_metadata().unwrap(), before);
    assert_eq!(diary.take(), ["assigned t-0"]);
}

#[test]
fn fault_83_a_member_that_does_not_read_for_max_poll_interval_loses_its_partitions() {
    let broker = broker_with(1, 5);
    let diary = Diary::default();
    let consumer = subscribed(member(&broker).max_poll_interval_ms(SHORT), &diary);
    take(&consumer, 2);
    consumer.commit().unwrap();
    take(&consumer, 2);
    wait_until("it leaves", || leaves(&broker) == 1);
    assert!(view(&broker).members.is_empty());
    let error = consumer.commit().unwrap_err();
    assert!(matches!(error, Error::CommitFailed { .. }), "{error:?}");
    assert_eq!(diary.take(), ["assigned t-0"], "the listener is told on the caller's thread only");
    assert_eq!(take(&consumer, 1)[0].offset(), 2, "it goes on where the group has committed");
    assert_eq!(diary.take(), ["lost t-0", "assigned t-0"]);
    assert_eq!(view(&broker).committed(tp(0)), Some(2));
}

#[test]
fn fault_83_a_member_that_reads_record_by_record_is_not_idle() {
    let broker = broker_with(1, 12);
    let diary = Diary::default();
    let consumer = subscribed(member(&broker).max_poll_interval_ms(SHORT), &diary);
    for record in take(&consumer, 1).into_iter().chain((0..11).map(|_| {
        // All of them are in one answer: no call has to go to the broker.
        work_for(Duration::from_millis(60));
        take(&consumer, 1).remove(0)
    })) {
        consumer.commit_offsets([(tp(0), record.offset() + 1)]).unwrap();
    }
    assert_eq!(diary.take(), ["assigned t-0"]);
    assert_eq!(leaves(&broker), 0);
}

#[test]
fn fault_85_a_poll_longer_than_max_poll_interval_is_no_absence() {
    let broker = broker_with(1, 0);
    let diary = Diary::default();
    let consumer = subscribed(member(&broker).max_poll_interval_ms(100), &diary);
    settle(&[&consumer], 1);
    let before = consumer.group_metadata().unwrap();
    assert!(consumer.poll(Duration::from_millis(600)).unwrap().is_empty());
    append(&broker, 0, 1);
    take(&consumer, 1);
    assert_eq!(consumer.group_metadata().unwrap(), before);
    assert_eq!((diary.take(), leaves(&broker)), (vec!["assigned t-0".to_owned()], 0));
}

#[test]
fn fault_86_an_assigned_consumer_with_a_group_never_leaves_it() {
    let broker = broker_with(1, 2);
    let consumer = member(&broker).max_poll_interval_ms(50).build().unwrap();
    consumer.assign([tp(0)]).unwrap();
    take(&consumer, 1);
    work_for(SHORT);
    consumer.commit().unwrap();
    take(&consumer, 1);
    consumer.close().unwrap();
    assert_eq!((joins(&broker).len(), beats(&broker), leaves(&broker)), (0, 0, 0));
    assert_eq!(view(&broker).committed(tp(0)), Some(1));
}

#[test]
fn fault_87_a_member_that_cannot_reach_its_coordinator_counts_its_session_itself() {
    let broker = ScriptedBroker::cluster(2);
    broker.create_topic("t", 1);
    broker.append("t", 0, ["a", "b", "c"]);
    broker.group("g").set_coordinator(2);
    let diary = Diary::default();
    let consumer = subscribed(member(&broker).session_timeout_ms(SESSION), &diary);
    take(&consumer, 2);
    consumer.commit_offsets([(tp(0), 1)]).unwrap();
    broker.stop(2);
    drive(&[&consumer], "it is lost", || diary.has("lost t-0"));
    let error = consumer.commit_offsets([(tp(0), 2)]).unwrap_err();
    assert!(matches!(error, Error::CommitFailed { .. }), "{error:?}");
    assert_eq!(share(&consumer), [0; 0]);
    broker.restart(2);
    assert_eq!(take(&consumer, 1)[0].offset(), 1, "what the group knows counts");
    assert_eq!(diary.take(), ["assigned t-0", "lost t-0", "assigned t-0"]);
    assert_eq!(view(&broker).committed(tp(0)), Some(1));
}

#[test]
fn fault_87_nothing_is_committed_for_a_session_that_ended_while_the_program_was_busy() {
    let broker = ScriptedBroker::cluster(2);
    broker.create_topic("t", 1);
    broker.append("t", 0, ["a", "b", "c"]);
    broker.group("g").set_coordinator(2);
    let diary = Diary::default();
    let consumer = subscribed(member(&broker).session_timeout_ms(SESSION), &diary);
    take(&consumer, 2);
    broker.pause(2);
    work_for(SESSION + SHORT);
    let error = consumer.commit_timeout(SHORT).unwrap_err();
    assert!(matches!(error, Error::CommitFailed { .. }), "{error:?}");
    broker.resume(2);
    drive(&[&consumer], "it hears of it", || diary.has("lost t-0"));
    settle(&[&consumer], 1);
    assert_eq!(diary.take(), ["assigned t-0", "lost t-0", "assigned t-0"]);
    assert_eq!(view(&broker).committed(tp(0)), None);
    assert_eq!(count::<OffsetCommitRequest>(&broker), 0);
}

#[test]
fn fault_88_a_rebalance_told_by_a_heartbeat_keeps_the_generation_until_the_member_joins() {
    let broker = broker_with(1, 1);
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    take(&consumer, 1);
    let (before, asked) = (consumer.group_metadata().unwrap(), lookups(&broker));
    broker.on::<HeartbeatRequest>().once().fail(ErrorCode::REBALANCE_IN_PROGRESS);
    let seen = beats(&broker);
    wait_until("it beats twice more", || beats(&broker) >= seen + 2);
    assert_eq!(consumer.group_metadata().unwrap().generation_id, before.generation_id);
    consumer.commit().unwrap();
    drive(&[&consumer], "it joins anew", || generation(&consumer) > before.generation_id);
    settle(&[&consumer], 1);
    assert_eq!(joins(&broker).last().unwrap().member_id, before.member_id);
    assert_eq!(diary.take(), ["assigned t-0", "revoked t-0", "assigned t-0"]);
    assert_eq!(lookups(&broker), asked, "the coordinator is well");
}

#[test]
fn behaviour_25_heartbeats_go_on_while_nothing_is_read() {
    let broker = broker_with(1, 2);
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    take(&consumer, 1);
    let before = beats(&broker);
    wait_until("five more come", || beats(&broker) >= before + 5);
    take(&consumer, 1);
    assert_eq!(diary.take(), ["assigned t-0"]);
}

/// A member that has read a record; what it has done so far is forgotten.
fn settled(broker: &ScriptedBroker, diary: &Diary) -> KafkaConsumer {
    let consumer = subscribed(member(broker).session_timeout_ms(SESSION), diary);
    settle(&[&consumer], 1);
    diary.take();
    consumer
}

#[test]
fn behaviour_67_what_a_heartbeat_says_of_the_group_says_nothing_against_the_coordinator() {
    for code in [
        ErrorCode::REBALANCE_IN_PROGRESS,
        ErrorCode::ILLEGAL_GENERATION,
        ErrorCode::UNKNOWN_MEMBER_ID,
    ] {
        let broker = broker_with(1, 0);
        let diary = Diary::default();
        let consumer = settled(&broker, &diary);
        let (before, asked) = (generation(&consumer), lookups(&broker));
        broker.on::<HeartbeatRequest>().once().fail(code);
        drive(&[&consumer], "it joins anew", || generation(&consumer) > before);
        settle(&[&consumer], 1);
        assert_eq!(lookups(&broker), asked, "{code}");
        assert_eq!(diary.take().len(), 2, "{code}");
    }
}

/// Has the coordinator refuse so many heartbeats, and waits until the member has heard of all: the next one is sent after that.
fn refuse(broker: &ScriptedBroker, heartbeats: usize, code: ErrorCode) {
    broker.on::<HeartbeatRequest>().times(heartbeats).fail(code);
    let seen = beats(broker);
    wait_until("it beats on", || beats(broker) > seen + heartbeats);
}

#[test]
fn behaviour_67_a_refusal_of_heartbeats_is_raised_once_however_often_it_is_said() {
    let broker = broker_with(1, 0);
    let consumer = reader(&broker, &Diary::default());
    settle(&[&consumer], 1);
    refuse(&broker, 2, ErrorCode::GROUP_AUTHORIZATION_FAILED);
    refuse(&broker, 2, ErrorCode::INVALID_GROUP_ID);
    let error = consumer.poll(SHORT).unwrap_err();
    assert!(matches!(error, Error::GroupAuthorizationFailed { .. }), "{error:?}");
    assert_eq!(consumer.poll(SHORT).unwrap_err().code(), Some(ErrorCode::INVALID_GROUP_ID));
    drive_for(&[&consumer], SHORT);
    // What passes by itself is nobody's concern.
    broker.on::<HeartbeatRequest>().times(2).fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    drive_for(&[&consumer], SHORT);
    assert_eq!(share(&consumer), [0]);
}

#[test]
fn behaviour_67_of_many_different_refusals_the_last_four_are_raised() {
    let broker = broker_with(1, 0);
    let consumer = reader(&broker, &Diary::default());
    settle(&[&consumer], 1);
    let codes = [
        ErrorCode::GROUP_AUTHORIZATION_FAILED,
        ErrorCode::INVALID_GROUP_ID,
        ErrorCode::INVALID_SESSION_TIMEOUT,
        ErrorCode::INVALID_REQUEST,
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
    ];
    codes.iter().for_each(|code| refuse(&broker, 1, *code));
    let raised = std::iter::from_fn(|| consumer.poll(SHORT).err()).map(|e| e.code().unwrap());
    assert_eq!(raised.collect::<Vec<_>>(), codes[1..]);
}

#[test]
fn behaviour_67_a_heartbeat_that_comes_when_the_member_has_joined_anew_costs_it_nothing() {
    let broker = broker_with(1, 0);
    let diary = Diary::default();
    let consumer = subscribed(cooperative(&broker), &diary);
    settle(&[&consumer], 1);
    let before = generation(&consumer);
    // The group has gone on, with this member: the answer that says so is on its way.
    broker.on::<JoinGroupRequest>().once().delay(SESSION * 2);
    broker.group("g").trigger_rebalance();
    let known = joins(&broker).len();
    drive(&[&consumer], "it joins", || joins(&broker).len() > known);
    refuse(&broker, 3, ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(generation(&consumer), before);
    drive(&[&consumer], "the next generation", || generation(&consumer) > before);
    settle(&[&consumer], 1);
    assert!(!diary.has("lost t-0"), "{:?}", diary.take());
}

#[test]
fn behaviour_67_a_heartbeat_that_fails_leads_to_the_coordinator_anew_and_keeps_the_generation() {
    type Break = fn(&ScriptedBroker);
    let breaks: [(&str, Break); 3] = [
        ("it is none", |b| {
            b.on::<HeartbeatRequest>().once().fail(ErrorCode::NOT_COORDINATOR);
        }),
        ("it is not available", |b| {
            b.on::<HeartbeatRequest>().once().fail(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        }),
        ("it closes the connection", |b| b.on::<HeartbeatRequest>().once().close()),
    ];
    for (what, disturb) in breaks {
        let broker = broker_with(1, 0);
        let diary = Diary::default();
        let consumer = settled(&broker, &diary);
        let (before, asked) = (consumer.group_metadata().unwrap(), lookups(&broker));
        disturb(&broker);
        drive(&[&consumer], what, || lookups(&broker) > asked);
        let seen = beats(&broker);
        drive(&[&consumer], "it beats on", || beats(&broker) >= seen + 3);
        assert_eq!(consumer.group_metadata().unwrap(), before, "{what}");
        assert_eq!(diary.take(), [""; 0], "{what}");
    }
}

#[test]
fn behaviour_67_the_keeper_too_finds_the_coordinator_that_has_moved() {
    let broker = ScriptedBroker::cluster(2);
    broker.create_topic("t", 1);
    let diary = Diary::default();
    let consumer = settled(&broker, &diary);
    let before = consumer.group_metadata().unwrap();
    broker.group("g").set_coordinator(2);
    work_for(SHORT * 2);
    let on_the_new_one =
        broker.requests().iter().filter(|r| r.is::<HeartbeatRequest>() && r.node == 2).count();
    assert!(on_the_new_one > 3, "{on_the_new_one}");
    drive_for(&[&consumer], SHORT);
    assert_eq!(consumer.group_metadata().unwrap(), before);
    assert_eq!(member_id(&consumer), view(&broker).members[0].id);
    assert_eq!(diary.take(), [""; 0]);
}

#[test]
fn fault_37_a_coordinator_that_throttles_a_join_is_asked_for_the_assignment_later() {
    let broker = broker_with(1, 1);
    broker.on::<JoinGroupRequest>().after(1).once().rewrite(|response| {
        response.throttle_time_ms = 300;
    });
    let consumer = reader(&broker, &Diary::default());
    take(&consumer, 1);
    let joined = broker.log_of::<JoinGroupRequest>()[1].0.at;
    let waited = broker.log_of::<SyncGroupRequest>()[0].0.at - joined;
    // The broker's clock is read once a turn.
    assert!(waited >= SHORT - Duration::from_millis(50), "{waited:?}");
}
