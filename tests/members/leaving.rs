//! How a member goes: by close, by unsubscribe, or dropped; whom it tells, and what comes after.

use std::time::Duration;

use kafka_blocking::{
    Error, ErrorCode, GroupState,
    protocol::{leave_group::LeaveGroupRequest, offset_commit::OffsetCommitRequest},
};

use crate::{
    group::{
        Diary, Listen, SESSION, SHORT, count, drive, joins, leaves, member, member_id, reader,
        settle, share, subscribed, tp, view, work_for,
    },
    support::{append, broker_with, offsets, take, wait_until},
};

#[test]
fn behaviour_66_closing_a_live_member_revokes_commits_and_leaves() {
    let broker = broker_with(2, 3);
    let diary = Diary::default();
    let consumer = subscribed(member(&broker).enable_auto_commit(true), &diary);
    let got = take(&consumer, 4);
    consumer.close().unwrap();
    assert_eq!(diary.take(), ["assigned t-0 t-1", "revoked t-0 t-1"]);
    let group = view(&broker);
    assert!(group.members.is_empty());
    for partition in 0..2 {
        let handed_out = got.iter().filter(|r| r.partition() == partition).count();
        let committed = group.committed(tp(partition)).unwrap_or(0);
        assert_eq!(usize::try_from(committed).unwrap(), handed_out);
    }
    assert_eq!(leaves(&broker), 1);
}

#[test]
fn behaviour_66_closing_without_a_commit_revokes_and_leaves_all_the_same() {
    let broker = broker_with(1, 3);
    let diary = Diary::default();
    let consumer = subscribed(member(&broker).enable_auto_commit(true), &diary);
    take(&consumer, 2);
    consumer.close_without_commit(SESSION).unwrap();
    assert_eq!(diary.take(), ["assigned t-0", "revoked t-0"]);
    assert_eq!(count::<OffsetCommitRequest>(&broker), 0);
    assert!(view(&broker).members.is_empty());
}

#[test]
fn behaviour_66_closing_a_member_that_is_out_tells_of_a_loss() {
    let broker = broker_with(1, 3);
    let diary = Diary::default();
    let builder = member(&broker).max_poll_interval_ms(SHORT).enable_auto_commit(true);
    let consumer = subscribed(builder, &diary);
    take(&consumer, 2);
    wait_until("it leaves", || leaves(&broker) == 1);
    consumer.close().unwrap();
    assert_eq!(diary.take(), ["assigned t-0", "lost t-0"]);
    assert_eq!(view(&broker).committed(tp(0)), None);
    assert_eq!(leaves(&broker), 1, "it has left already");
}

#[test]
fn behaviour_66_closing_tells_nothing_where_nothing_was_assigned_by_the_group() {
    let broker = broker_with(1, 3);
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    consumer.close().unwrap();
    let consumer = member(&broker).build().unwrap();
    consumer.assign([tp(0)]).unwrap();
    take(&consumer, 1);
    consumer.close().unwrap();
    assert_eq!(diary.take(), [""; 0]);
    assert_eq!((joins(&broker).len(), leaves(&broker)), (0, 0));
}

#[test]
fn behaviour_66_a_listener_that_fails_keeps_nobody_from_leaving() {
    let broker = broker_with(1, 3);
    let consumer = member(&broker).build().unwrap();
    let listener = Listen::new(|what, _, _| match what {
        "revoked" => Err("the disk is full".into()),
        _ => Ok(()),
    });
    consumer.subscribe_with(["t"], listener).unwrap();
    take(&consumer, 1);
    let error = consumer.close().unwrap_err();
    assert!(matches!(error, Error::RebalanceListener { .. }), "{error:?}");
    assert!(view(&broker).members.is_empty());
    assert!(matches!(consumer.assignment(), Err(Error::Closed)));
    consumer.close().unwrap();
}

#[test]
fn fault_131_unsubscribing_revokes_and_leaves_at_once() {
    let broker = broker_with(1, 3);
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    take(&consumer, 1);
    let id = member_id(&consumer);
    consumer.unsubscribe().unwrap();
    assert_eq!(diary.take(), ["assigned t-0", "revoked t-0"]);
    let left = broker.requests_of::<LeaveGroupRequest>();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].members[0].member_id, id);
    assert!(view(&broker).members.is_empty());
    let standing = consumer.group_metadata().unwrap();
    assert_eq!((standing.generation_id, &*standing.member_id), (-1, ""));
    assert_eq!(standing.state, GroupState::Unjoined);
    assert!(matches!(consumer.poll(Duration::ZERO), Err(Error::IllegalState(_))));
}

#[test]
fn fault_131_a_leave_that_does_not_arrive_is_said_again() {
    let broker = broker_with(1, 1);
    let (moved, loading) = (ErrorCode::NOT_COORDINATOR, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    for code in [None, Some(moved), Some(loading)] {
        let consumer = reader(&broker, &Diary::default());
        take(&consumer, 1);
        let next = broker.on::<LeaveGroupRequest>().once();
        match code {
            None => next.close(),
            Some(code) => next.fail(code),
        }
        consumer.close().unwrap();
        assert!(view(&broker).members.is_empty(), "{:?}", view(&broker));
    }
    assert_eq!(leaves(&broker), 6);
}

#[test]
fn fault_131_a_leave_that_is_refused_is_said_twice_and_then_left_to_the_session() {
    let broker = broker_with(1, 1);
    let consumer = reader(&broker, &Diary::default());
    take(&consumer, 1);
    broker.on::<LeaveGroupRequest>().fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    consumer.close().unwrap();
    assert_eq!(leaves(&broker), 2);
}

#[test]
fn fault_131_unsubscribing_without_a_generation_tells_of_a_loss() {
    let broker = broker_with(1, 3);
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    take(&consumer, 1);
    broker.group("g").remove_member(&member_id(&consumer));
    wait_until("the keeper hears of it", || member_id(&consumer).is_empty());
    consumer.unsubscribe().unwrap();
    assert_eq!(diary.take(), ["assigned t-0", "lost t-0"]);
    assert_eq!(leaves(&broker), 0, "there is nobody to leave");
}

#[test]
fn fault_131_unsubscribing_before_the_first_answer_leaves_nobody_behind() {
    let broker = broker_with(1, 3);
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    drive(&[&consumer], "it has sent its id", || joins(&broker).len() == 2);
    consumer.unsubscribe().unwrap();
    work_for(SHORT / 3);
    assert_eq!(view(&broker).members.len(), 0);
    assert_eq!(view(&broker).pending.len(), 0);
}

#[test]
fn behaviour_81_a_member_that_has_unsubscribed_has_nothing_and_may_come_back() {
    let broker = broker_with(2, 0);
    let diary = Diary::default();
    let builder = member(&broker).enable_auto_commit(true).auto_commit_interval_ms(60_000);
    let consumer = subscribed(builder, &diary);
    settle(&[&consumer], 2);
    consumer.pause([tp(1)]).unwrap();
    append(&broker, 0, 6);
    append(&broker, 1, 6);
    assert_eq!(offsets(&take(&consumer, 4)), [0, 1, 2, 3]);
    consumer.unsubscribe().unwrap();
    assert_eq!(consumer.subscription().unwrap(), None);
    assert_eq!(share(&consumer), [0; 0]);
    assert!(consumer.paused().unwrap().is_empty());
    diary.take();
    consumer.subscribe_with(["t"], diary.clone()).unwrap();
    let mut rest = settle(&[&consumer], 2);
    assert!(consumer.paused().unwrap().is_empty());
    rest.extend(take(&consumer, 8 - rest.len()));
    let (of_0, of_1): (Vec<_>, Vec<_>) = rest.into_iter().partition(|r| r.partition() == 0);
    assert_eq!(offsets(&of_0), [4, 5], "it goes on where it was");
    assert_eq!(offsets(&of_1), [0, 1, 2, 3, 4, 5]);
    assert_eq!(diary.take(), ["assigned t-0 t-1"]);
}
