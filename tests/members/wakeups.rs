//! A wake-up at each step of the way into a group: it costs the call, and nothing of the group.

use std::{sync::mpsc, thread, time::Duration};

use kafka_blocking::{
    Error,
    protocol::{
        Request, find_coordinator::FindCoordinatorRequest, join_group::JoinGroupRequest,
        list_offsets::ListOffsetsRequest, metadata::MetadataRequest,
        offset_fetch::OffsetFetchRequest, sync_group::SyncGroupRequest,
    },
};
use scripted_broker::ScriptedBroker;

use crate::{
    group::{Diary, Listen, count, joins, member, member_id, next_error, reader, settle},
    support::{LONG, broker_with, offsets, take, wait_until},
};

/// Wakes a member while the answer to the `nth` request of an API is on its way; it goes on as if nothing had been.
fn woken_at<R: Request>(nth: usize) {
    let broker = broker_with(1, 2);
    let diary = Diary::default();
    let consumer = reader(&broker, &diary);
    let before = count::<R>(&broker);
    broker.on::<R>().after(nth - 1).once().delay(Duration::from_millis(150));
    let handle = consumer.handle();
    let (done, wait) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let broker: &ScriptedBroker = &broker;
        scope.spawn(move || {
            wait_until("the request comes", || count::<R>(broker) >= before + nth);
            handle.wakeup();
            // The broker stays until all is over.
            let _ = wait.recv();
        });
        let error = consumer.poll(LONG).unwrap_err();
        assert!(matches!(error, Error::Wakeup), "{} {nth}: {error:?}", R::NAME);
        assert_eq!(offsets(&take(&consumer, 2)), [0, 1], "{} {nth}", R::NAME);
        drop(done);
    });
    assert_eq!(diary.take(), ["assigned t-0"], "{} {nth}", R::NAME);
    assert_eq!(joins(&broker).len(), 2, "{} {nth}", R::NAME);
    assert_eq!(count::<SyncGroupRequest>(&broker), 1, "{} {nth}", R::NAME);
}

#[test]
fn fault_94_a_wake_up_while_the_coordinator_is_looked_for_costs_one_call() {
    woken_at::<MetadataRequest>(1);
    woken_at::<FindCoordinatorRequest>(1);
}

#[test]
fn fault_94_a_wake_up_while_a_join_is_under_way_costs_one_call() {
    woken_at::<JoinGroupRequest>(1);
    woken_at::<JoinGroupRequest>(2);
}

#[test]
fn fault_94_a_wake_up_while_a_sync_is_under_way_costs_one_call() {
    woken_at::<SyncGroupRequest>(1);
}

#[test]
fn fault_94_a_wake_up_while_positions_are_asked_for_costs_one_call() {
    woken_at::<OffsetFetchRequest>(1);
    woken_at::<ListOffsetsRequest>(1);
}

#[test]
fn fault_94_a_wake_up_inside_a_callback_waits_for_its_end() {
    for at in ["assigned", "revoked"] {
        let broker = broker_with(1, 2);
        let diary = Diary::default();
        let consumer = member(&broker).build().unwrap();
        let (handle, written, mut woke) = (consumer.handle(), diary.clone(), false);
        let listener = Listen::new(move |what, _, partitions| {
            written.write(what, partitions);
            if what == at && !std::mem::replace(&mut woke, true) {
                handle.wakeup();
            }
            Ok(())
        });
        consumer.subscribe_with(["t"], listener).unwrap();
        if at == "revoked" {
            settle(&[&consumer], 1);
            consumer.enforce_rebalance("a test").unwrap();
        }
        let error = next_error(&consumer);
        assert!(matches!(error, Error::Wakeup), "{at}: {error:?}");
        let id = member_id(&consumer);
        assert_eq!(offsets(&take(&consumer, 2)), [0, 1], "{at}");
        settle(&[&consumer], 1);
        assert_eq!(member_id(&consumer), id, "{at}");
        let lines = diary.take();
        let expected: &[&str] = match at {
            "assigned" => &["assigned t-0"],
            _ => &["assigned t-0", "revoked t-0", "assigned t-0"],
        };
        assert_eq!(lines, expected, "{at}");
    }
}
