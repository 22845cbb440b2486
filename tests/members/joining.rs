//! How a member gets into its group: ids, slow peers, connections that break, refusals, and what else may be answered.

use std::time::{Duration, Instant};

use kafka_blocking::{
    Error, ErrorCode, GroupState,
    protocol::{
        find_coordinator::FindCoordinatorRequest, join_group::JoinGroupRequest,
        metadata::MetadataRequest, sync_group::SyncGroupRequest,
    },
};
use scripted_broker::{LoggedRequest, MemberScript, Role, ScriptedBroker};

use crate::{
    group::{
        Diary, SESSION, SHORT, TURN, cooperative, count, drive, drive_for, joins, leaves, lookups,
        member, member_id, next_error, reader, settle, subscribed, view,
    },
    support::{broker_with, ends_within, take, wait_until},
};

/// A peer that reads `t` and takes its time to join again. It is in the group.
fn slow_peer(broker: &ScriptedBroker, time: Duration) -> scripted_broker::ScriptedMemberId {
    let script = MemberScript::new(["t"]).protocols(["range", "cooperative-sticky"]);
    let peer = broker.group("g").add(script.role(Role::Leader).joins_after(time));
    broker.wait_for_group("g", |group| group.is_stable_with(1));
    peer
}

fn error_code(error: &Error) -> Option<i16> {
    error.code().map(|code| code.0)
}

#[test]
fn fault_90_a_new_member_joins_a_second_time_with_the_id_that_it_was_given() {
    let broker = broker_with(1, 0);
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    settle(&[&consumer], 1);
    let names: Vec<String> = joins(&broker).into_iter().map(|join| join.member_id).collect();
    assert_eq!(names, [String::new(), member_id(&consumer)]);
}

#[test]
fn fault_90_a_member_joins_when_it_knows_what_there_is_to_read_and_once() {
    let broker = broker_with(3, 0);
    let consumer = member(&broker).build().unwrap();
    broker.on::<MetadataRequest>().once().delay(SHORT);
    consumer.subscribe(["t"]).unwrap();
    settle(&[&consumer], 3);
    drive_for(&[&consumer], SHORT);
    assert_eq!(joins(&broker).len(), 2, "without an id, and with it");
    let log = broker.requests();
    let join = log.iter().position(LoggedRequest::is::<JoinGroupRequest>).unwrap();
    let known = log[..join].iter().rfind(|r| r.is::<MetadataRequest>()).unwrap();
    // The broker's clock is read once a turn.
    let waited = log[join].at - known.at;
    assert!(waited >= SHORT - Duration::from_millis(50), "{waited:?}");
}

#[test]
fn fault_90_a_member_that_closes_before_it_has_joined_gives_its_id_back() {
    let broker = broker_with(1, 0);
    broker.on::<JoinGroupRequest>().after(1).silence();
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    drive(&[&consumer], "it has sent its id", || joins(&broker).len() == 2);
    consumer.close().unwrap();
    assert_eq!(leaves(&broker), 1);
    let group = view(&broker);
    assert_eq!((group.members.len(), group.pending.len()), (0, 0));
    assert_eq!(diary.take(), [""; 0]);
}

#[test]
fn fault_90_a_member_that_goes_before_it_has_an_id_gives_back_the_one_that_it_is_given() {
    type Go = fn(&kafka_blocking::KafkaConsumer);
    let ways: [Go; 2] = [|c| c.close().unwrap(), |c| c.unsubscribe().unwrap()];
    for go in ways {
        let broker = broker_with(1, 0);
        broker.on::<JoinGroupRequest>().once().delay(SHORT / 3);
        let consumer = reader(&broker, &Diary::default());
        drive(&[&consumer], "it has asked for an id", || joins(&broker).len() == 1);
        go(&consumer);
        assert_eq!((leaves(&broker), view(&broker).pending.len()), (1, 0));
    }
    let broker = broker_with(1, 0);
    broker.on::<JoinGroupRequest>().once().delay(SHORT / 3);
    let consumer = reader(&broker, &Diary::default());
    drive(&[&consumer], "it has asked for an id", || joins(&broker).len() == 1);
    drop(consumer);
    assert_eq!((leaves(&broker), view(&broker).pending.len()), (1, 0));
}

#[test]
fn fault_91_the_answer_to_a_join_may_take_longer_than_request_timeout() {
    let broker = broker_with(2, 0);
    slow_peer(&broker, Duration::from_millis(900));
    let diary = Diary::default();
    let consumer = subscribed(member(&broker).request_timeout_ms(250), &diary);
    settle(&[&consumer], 1);
    assert_eq!(count::<JoinGroupRequest>(&broker), 2);
    assert_eq!(lookups(&broker), 1);
}

#[test]
fn fault_91_the_answer_to_a_sync_may_take_longer_than_request_timeout() {
    let broker = broker_with(2, 0);
    let peer = slow_peer(&broker, Duration::ZERO);
    broker.group("g").change_scripted(peer, |p| p.syncs_after = Duration::from_millis(900));
    let diary = Diary::default();
    let consumer = subscribed(member(&broker).request_timeout_ms(250), &diary);
    settle(&[&consumer], 1);
    assert_eq!(count::<JoinGroupRequest>(&broker), 2);
    assert_eq!(count::<SyncGroupRequest>(&broker), 1);
}

#[test]
fn behaviour_59_a_join_is_given_up_five_seconds_after_max_poll_interval() {
    let broker = broker_with(1, 0);
    broker.on::<JoinGroupRequest>().after(1).once().swallow();
    let diary = Diary::default();
    let builder = member(&broker).max_poll_interval_ms(1).request_timeout_ms(300);
    let consumer = subscribed(builder, &diary);
    drive(&[&consumer], "it has sent its id", || joins(&broker).len() == 2);
    let sent = Instant::now();
    drive(&[&consumer], "it tries again", || joins(&broker).len() == 3);
    let took = sent.elapsed();
    assert!(took > Duration::from_millis(4900) && took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn fault_92_a_disconnect_after_a_join_keeps_the_member_id() {
    let broker = broker_with(1, 0);
    broker.on::<JoinGroupRequest>().after(1).once().close();
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    settle(&[&consumer], 1);
    let names: Vec<String> = joins(&broker).into_iter().map(|join| join.member_id).collect();
    assert_eq!((names.len(), &names[1]), (3, &names[2]));
    assert_eq!(view(&broker).members.len(), 1, "no ghost is left");
    assert_eq!(diary.take(), ["assigned t-0"]);
}

#[test]
fn fault_92_a_disconnect_after_a_sync_keeps_the_member_id() {
    let broker = broker_with(1, 0);
    broker.on::<SyncGroupRequest>().once().close();
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    settle(&[&consumer], 1);
    let names: Vec<String> = joins(&broker).into_iter().map(|join| join.member_id).collect();
    assert_eq!((names.len(), &names[1]), (3, &names[2]));
    assert_eq!(view(&broker).members.len(), 1, "no ghost is left");
    assert_eq!(diary.take(), ["assigned t-0"]);
}

#[test]
fn fault_93_polls_of_no_length_get_a_member_into_its_group_with_one_join() {
    let broker = broker_with(2, 1);
    slow_peer(&broker, SHORT);
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    let mut records = 0;
    wait_until("a record comes", || {
        records += consumer.poll(Duration::ZERO).unwrap().count();
        records == 1
    });
    assert_eq!(count::<JoinGroupRequest>(&broker), 2, "without an id, and with one");
    assert_eq!(count::<SyncGroupRequest>(&broker), 1);
}

#[test]
fn behaviour_60_a_poll_ends_on_time_while_the_group_rebalances_and_the_next_one_waits_on() {
    let broker = broker_with(2, 0);
    slow_peer(&broker, Duration::from_millis(900));
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    let poll = Duration::from_millis(50);
    ends_within(poll, "poll", || assert!(consumer.poll(poll).unwrap().is_empty()));
    drive(&[&consumer], "it waits for the peer", || joins(&broker).len() == 2);
    ends_within(poll, "poll", || assert!(consumer.poll(poll).unwrap().is_empty()));
    settle(&[&consumer], 1);
    assert_eq!(joins(&broker).len(), 2);
}

#[test]
fn fault_99_a_subscription_that_changes_while_a_join_is_under_way_waits_for_its_answer() {
    for builder in [member, cooperative] {
        let broker = broker_with(2, 0);
        broker.create_topic("u", 1);
        let peer = slow_peer(&broker, SHORT);
        let diary = Diary::default();
        let consumer = subscribed(builder(&broker), &diary);
        drive(&[&consumer], "it has joined", || joins(&broker).len() == 2);
        consumer.subscribe_with(["t", "u"], diary.clone()).unwrap();
        drive_for(&[&consumer], SHORT / 2);
        assert_eq!(joins(&broker).len(), 2, "one at a time");
        broker.group("g").change_scripted(peer, |p| p.joins_after = Duration::ZERO);
        let topics = |consumer: &kafka_blocking::KafkaConsumer| {
            let mut all: Vec<_> = consumer.assignment().unwrap();
            all.dedup_by(|a, b| a.topic() == b.topic());
            all.len()
        };
        drive(&[&consumer], "it reads both", || topics(&consumer) == 2);
        assert_eq!(joins(&broker).len(), 3);
    }
}

#[test]
fn fault_100_an_assignment_of_a_subscription_that_has_changed_is_not_applied() {
    for builder in [member, cooperative] {
        let broker = broker_with(2, 1);
        broker.create_topic("u", 1);
        broker.append("u", 0, ["a"]);
        slow_peer(&broker, SHORT);
        let diary = Diary::default();
        let consumer = subscribed(builder(&broker), &diary);
        drive(&[&consumer], "it has joined", || joins(&broker).len() == 2);
        consumer.subscribe_with(["u"], diary.clone()).unwrap();
        let records = drive(&[&consumer], "it has what it wants", || diary.has("assigned u-0"));
        assert!(records.iter().all(|r| r.topic() == "u"), "{records:?}");
        assert_eq!(take(&consumer, 1 - records.len()).len(), 1 - records.len());
        assert_eq!(diary.take(), ["assigned u-0"]);
    }
}

#[test]
fn fault_101_a_member_without_an_assignor_that_all_have_is_told_and_does_not_storm() {
    let broker = broker_with(1, 0);
    let other = MemberScript::new(["t"]).protocols(["roundrobin"]);
    let other = broker.group("g").add(other);
    broker.wait_for_group("g", |group| group.is_stable_with(1));
    let diary = Diary::default();
    let consumer = subscribed(member(&broker).partition_assignment_strategy("range"), &diary);
    let start = Instant::now();
    let mut errors = 0;
    while start.elapsed() < Duration::from_secs(1) {
        if let Err(error) = consumer.poll(Duration::from_millis(5)) {
            assert_eq!(error_code(&error), Some(ErrorCode::INCONSISTENT_GROUP_PROTOCOL.0));
            errors += 1;
        }
    }
    let tried = joins(&broker).len();
    assert!(errors > 0 && errors == tried, "{errors} errors of {tried} requests");
    assert!(tried < 15, "{tried} requests in a second");
    broker.group("g").leave(other);
    let start = Instant::now();
    while consumer.assignment().unwrap().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(10));
        // One answer may be on its way still.
        let _ = consumer.poll(Duration::from_millis(5));
    }
}

#[test]
fn behaviour_57_what_a_join_is_refused_for_decides_what_is_done_next() {
    struct Case(ErrorCode, bool, bool);
    // Whether it is asked for the coordinator again, and whether the member keeps its id.
    let cases = [
        Case(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, false, true),
        Case(ErrorCode::REBALANCE_IN_PROGRESS, false, true),
        Case(ErrorCode::REQUEST_TIMED_OUT, false, true),
        Case(ErrorCode::UNKNOWN_MEMBER_ID, false, false),
        Case(ErrorCode::COORDINATOR_NOT_AVAILABLE, true, true),
        Case(ErrorCode::NOT_COORDINATOR, true, true),
    ];
    for Case(code, asks, keeps) in cases {
        let broker = broker_with(1, 0);
        broker.on::<JoinGroupRequest>().after(1).once().fail(code);
        let diary = Diary::default();
        let consumer = subscribed(member(&broker).session_timeout_ms(SESSION), &diary);
        settle(&[&consumer], 1);
        assert_eq!(lookups(&broker), 1 + usize::from(asks), "{code}");
        let names: Vec<_> = joins(&broker).into_iter().map(|join| join.member_id).collect();
        assert_eq!(names[2] == names[1], keeps, "{code}: {names:?}");
        assert_eq!(diary.take(), ["assigned t-0"], "{code}");
    }
}

#[test]
fn behaviour_60_a_member_on_its_way_into_the_next_generation_is_rebalancing_all_the_time() {
    let broker = broker_with(1, 0);
    let consumer = subscribed(cooperative(&broker), &Diary::default());
    settle(&[&consumer], 1);
    let before = consumer.group_metadata().unwrap().generation_id;
    broker.on::<JoinGroupRequest>().times(3).fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    broker.group("g").trigger_rebalance();
    let mut states = Vec::new();
    drive(&[&consumer], "the next generation", || {
        let standing = consumer.group_metadata().unwrap();
        if states.last() != Some(&standing.state) {
            states.push(standing.state);
        }
        standing.generation_id > before && standing.state == GroupState::Stable
    });
    assert_eq!(states, [GroupState::Stable, GroupState::Rebalancing, GroupState::Stable]);
}

#[test]
fn behaviour_57_a_group_that_may_not_be_looked_up_comes_out_of_poll() {
    let broker = broker_with(1, 0);
    broker.on::<FindCoordinatorRequest>().times(2).fail(ErrorCode::GROUP_AUTHORIZATION_FAILED);
    let consumer = reader(&broker, &Diary::default());
    let error = next_error(&consumer);
    assert!(matches!(&error, Error::GroupAuthorizationFailed { group } if **group == *"g"));
    broker.clear_rules();
    wait_until("it joins", || {
        // One answer may be on its way still.
        let _ = consumer.poll(TURN);
        !consumer.assignment().unwrap().is_empty()
    });
}

#[test]
fn behaviour_57_a_refusal_for_good_comes_out_of_poll() {
    for code in [
        ErrorCode::INCONSISTENT_GROUP_PROTOCOL,
        ErrorCode::INVALID_SESSION_TIMEOUT,
        ErrorCode::INVALID_GROUP_ID,
        ErrorCode::GROUP_AUTHORIZATION_FAILED,
        ErrorCode::GROUP_MAX_SIZE_REACHED,
        ErrorCode::FENCED_INSTANCE_ID,
    ] {
        let broker = broker_with(1, 0);
        broker.on::<JoinGroupRequest>().once().fail(code);
        let diary = Diary::default();
        let consumer = subscribed(member(&broker).group_instance_id("i"), &diary);
        let error = next_error(&consumer);
        match (&error, code) {
            (Error::GroupAuthorizationFailed { group }, ErrorCode::GROUP_AUTHORIZATION_FAILED) => {
                assert_eq!(**group, *"g");
            }
            (Error::FencedInstanceId { group_instance_id: id }, ErrorCode::FENCED_INSTANCE_ID) => {
                assert_eq!(**id, *"i")
            }
            _ => assert_eq!(error_code(&error), Some(code.0), "{error}"),
        }
        assert!(!error.retriable(), "{error}");
        assert_eq!(joins(&broker).len(), 1, "{code}");
    }
}

#[test]
fn behaviour_61_another_kind_of_group_in_the_answer_to_a_join_is_an_error() {
    let broker = broker_with(1, 0);
    broker.on::<JoinGroupRequest>().after(1).once().rewrite(|response| {
        response.protocol_type = Some("connect".to_owned());
    });
    inconsistent_once(&broker, "\"connect\"");
}

#[test]
fn behaviour_61_another_kind_of_group_in_the_answer_to_a_sync_is_an_error() {
    let broker = broker_with(1, 0);
    broker.on::<SyncGroupRequest>().once().rewrite(|response| {
        response.protocol_type = Some("connect".to_owned());
    });
    inconsistent_once(&broker, "\"connect\"");
}

#[test]
fn behaviour_61_another_assignor_in_the_answer_to_a_sync_is_an_error() {
    let broker = broker_with(1, 0);
    broker.on::<SyncGroupRequest>().once().rewrite(|response| {
        response.protocol_name = Some("roundrobin".to_owned());
    });
    inconsistent_once(&broker, "\"roundrobin\"");
}

#[track_caller]
fn inconsistent_once(broker: &ScriptedBroker, named: &str) {
    let diary = Diary::default();
    let consumer = reader(broker, &diary);
    let error = next_error(&consumer);
    assert_eq!(error_code(&error), Some(ErrorCode::INCONSISTENT_GROUP_PROTOCOL.0));
    assert!(error.to_string().contains(named), "{error}");
    assert_eq!(diary.take(), [""; 0]);
    settle(&[&consumer], 1);
}
