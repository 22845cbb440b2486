//! Static members: they come back, are fenced, and do not leave. And how members leave that are not static, or find no room.

use std::time::Duration;

use kafka_blocking::{
    Error, ErrorCode, KafkaConsumer,
    protocol::{
        heartbeat::HeartbeatRequest, leave_group::LeaveGroupRequest,
        offset_commit::OffsetCommitRequest,
    },
};
use scripted_broker::ScriptedBroker;

use crate::{
    group::{
        Diary, SHORT, count, drive, drive_for, first_of, generation, joins, leaves, member,
        member_id, next_error, reader, settle, share, subscribed, tp, view, work_for,
    },
    support::{append, broker_with, take},
};

fn fixed(broker: &ScriptedBroker, id: &str, diary: &Diary) -> KafkaConsumer {
    subscribed(member(broker).group_instance_id(id), diary)
}

#[test]
fn fault_116_a_static_member_that_comes_back_in_time_costs_the_others_nothing() {
    // Either of them may be the leader.
    for bounces_first in [true, false] {
        let broker = broker_with(2, 2);
        let (a, b) = (Diary::default(), Diary::default());
        let first = fixed(&broker, "one", &a);
        settle(&[&first], 2);
        let second = fixed(&broker, "two", &b);
        settle(&[&first, &second], 2);
        let (bounced, stays) = if bounces_first { (first, second) } else { (second, first) };
        let diary = if bounces_first { &b } else { &a };
        let id = if bounces_first { "one" } else { "two" };
        diary.take();
        let (shares, before) = ((share(&bounced), share(&stays)), generation(&stays));
        bounced.close().unwrap();
        drive_for(&[&stays], Duration::from_millis(100));
        let back = fixed(&broker, id, &Diary::default());
        settle(&[&back, &stays], 2);
        assert_eq!((share(&back), share(&stays)), shares);
        assert_eq!((generation(&back), generation(&stays)), (before, before));
        drive_for(&[&back, &stays], Duration::from_millis(100));
        assert_eq!(diary.take(), [""; 0]);
        assert_eq!(leaves(&broker), 0);
    }
}

#[test]
fn fault_117_the_one_that_was_there_before_is_fenced_for_good() {
    let broker = broker_with(1, 9);
    let (a, b) = (Diary::default(), Diary::default());
    let old = fixed(&broker, "one", &a);
    take(&old, 2);
    old.commit().unwrap();
    let new = subscribed(member(&broker).group_instance_id("one").max_poll_records(1), &b);
    let records = settle(&[&new], 1);
    let fenced = |error: &Error| matches!(error, Error::FencedInstanceId { group_instance_id } if **group_instance_id == *"one");
    let error = next_error(&old);
    assert!(fenced(&error), "{error:?}");
    assert_eq!(a.take(), ["assigned t-0", "lost t-0"]);
    assert_eq!(share(&old), [0; 0]);
    for _ in 0..3 {
        let error = old.poll(Duration::from_millis(50)).unwrap_err();
        assert!(fenced(&error), "every time: {error:?}");
        let error = old.next().unwrap().unwrap_err();
        assert!(fenced(&error), "every time: {error:?}");
    }
    let (asked, joined) = (count::<OffsetCommitRequest>(&broker), joins(&broker).len());
    let error = old.commit_offsets([(tp(0), 9)]).unwrap_err();
    assert!(fenced(&error), "{error:?}");
    let beaten = count::<HeartbeatRequest>(&broker);
    work_for(SHORT);
    assert_eq!(count::<OffsetCommitRequest>(&broker), asked);
    let beats = broker.requests_of::<HeartbeatRequest>().split_off(beaten);
    let name = member_id(&new);
    assert!(!beats.is_empty() && beats.iter().all(|beat| beat.member_id == name), "it is silent");
    assert_eq!(first_of(&records, 0, &new), 2);
    new.commit_offsets([(tp(0), 3)]).unwrap();
    assert_eq!(b.take(), ["assigned t-0"]);
    old.close().unwrap();
    assert_eq!((joins(&broker).len(), leaves(&broker)), (joined, 0));
    assert_eq!(view(&broker).committed(tp(0)), Some(3));
}

#[test]
fn fault_117_a_commit_too_can_be_what_tells_a_member_that_it_is_fenced() {
    let broker = broker_with(1, 9);
    let diary = Diary::default();
    let old =
        subscribed(member(&broker).group_instance_id("one").heartbeat_interval_ms(5_000), &diary);
    take(&old, 2);
    let new = fixed(&broker, "one", &Diary::default());
    settle(&[&new], 1);
    let error = old.commit().unwrap_err();
    assert!(matches!(error, Error::FencedInstanceId { .. }), "{error:?}");
    let error = next_error(&old);
    assert!(matches!(error, Error::FencedInstanceId { .. }), "{error:?}");
    assert_eq!(diary.take(), ["assigned t-0", "lost t-0"]);
    assert_eq!(view(&broker).committed(tp(0)), None);
}

#[test]
fn fault_117_a_fenced_consumer_can_read_what_it_is_assigned_by_hand() {
    let broker = broker_with(1, 3);
    let old = fixed(&broker, "one", &Diary::default());
    settle(&[&old], 1);
    let new = fixed(&broker, "one", &Diary::default());
    settle(&[&new], 1);
    next_error(&old);
    old.unsubscribe().unwrap();
    old.assign([tp(0)]).unwrap();
    take(&old, 2);
}

#[test]
fn fault_118_a_static_member_is_known_to_the_next_coordinator_too() {
    let broker = ScriptedBroker::cluster(2);
    broker.create_topic("t", 2);
    broker.with_state(|state| {
        state.move_leader("t", 0, Some(1));
        state.move_leader("t", 1, Some(1));
    });
    broker.group("g").set_coordinator(2);
    broker.set_coordinator_failover(true);
    let (a, b) = (Diary::default(), Diary::default());
    let first = fixed(&broker, "one", &a);
    settle(&[&first], 2);
    let second = fixed(&broker, "two", &b);
    settle(&[&first, &second], 2);
    let (before, had) = (generation(&first), share(&second));
    second.close().unwrap();
    a.take();
    broker.stop(2);
    let back = fixed(&broker, "two", &Diary::default());
    settle(&[&first, &back], 2);
    assert_eq!((share(&back), generation(&back)), (had, before));
    append(&broker, 0, 1);
    append(&broker, 1, 1);
    take(&first, 1);
    take(&back, 1);
    first.commit().unwrap();
    back.commit().unwrap();
    assert_eq!(a.take(), [""; 0]);
}

#[test]
fn fault_119_a_static_member_that_closes_does_not_leave() {
    let broker = broker_with(1, 1);
    let diary = Diary::default();
    let consumer = fixed(&broker, "one", &diary);
    take(&consumer, 1);
    consumer.close().unwrap();
    assert_eq!(leaves(&broker), 0);
    assert!(view(&broker).is_stable_with(1));
    assert_eq!(diary.take(), ["assigned t-0", "revoked t-0"]);
    let dropped = fixed(&broker, "one", &Diary::default());
    settle(&[&dropped], 1);
    drop(dropped);
    assert_eq!(leaves(&broker), 0);
    assert!(view(&broker).is_stable_with(1));
}

#[test]
fn fault_119_a_member_that_closes_leaves_and_tells_a_coordinator_that_has_moved_as_well() {
    let broker = ScriptedBroker::cluster(2);
    broker.create_topic("t", 1);
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    settle(&[&consumer], 1);
    let id = member_id(&consumer);
    // It moves before a heartbeat can tell.
    broker.on::<HeartbeatRequest>().swallow();
    broker.group("g").set_coordinator(2);
    consumer.close().unwrap();
    let asked = broker.log_of::<LeaveGroupRequest>();
    let nodes: Vec<i32> = asked.iter().map(|(logged, _)| logged.node).collect();
    assert!(nodes == [1, 2] || nodes == [2], "{nodes:?}");
    assert_eq!(asked[0].1.members[0].member_id, id);
    assert!(view(&broker).members.is_empty());
}

#[test]
fn fault_119_leaving_is_tried_once_more_where_the_coordinator_says_that_it_is_none() {
    let broker = broker_with(1, 1);
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    settle(&[&consumer], 1);
    broker.on::<LeaveGroupRequest>().once().fail(ErrorCode::NOT_COORDINATOR);
    consumer.close().unwrap();
    assert_eq!(leaves(&broker), 2);
    assert!(view(&broker).members.is_empty());
}

#[test]
fn fault_120_a_full_group_refuses_one_member_and_the_others_go_on() {
    let broker = broker_with(1, 3);
    broker.set_groups(|settings| settings.max_size = 1);
    let diary = Diary::default();
    let first = reader(&broker, &diary);
    take(&first, 1);
    let second = reader(&broker, &Diary::default());
    let error = next_error(&second);
    assert_eq!(error.code(), Some(ErrorCode::GROUP_MAX_SIZE_REACHED));
    assert!(!error.retriable());
    drive_for(&[&first], SHORT);
    assert_eq!(diary.take(), ["assigned t-0"]);
    drop(first);
    drive_until_settled(&second);
}

/// It may be refused still.
fn drive_until_settled(consumer: &KafkaConsumer) {
    let start = std::time::Instant::now();
    while share(consumer) != [0] {
        assert!(start.elapsed() < Duration::from_secs(10));
        let _ = consumer.poll(Duration::from_millis(3));
    }
    drive(&[consumer], "it is in", || share(consumer) == [0]);
}
