//! What a listener may do, how long it may take, and what becomes of the group when it fails.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use kafka_blocking::{Error, GroupState, KafkaConsumer, TopicPartition};
use scripted_broker::{MemberScript, Role};

use crate::{
    group::{
        Diary, Listen, SESSION, cooperative, drive, generation, leaves, member, member_id,
        next_error, settle, share, tp, view, work_for,
    },
    support::{append, broker_with, offsets, take},
};

#[test]
fn fault_84_a_listener_may_take_longer_than_max_poll_interval_and_the_session() {
    let broker = broker_with(1, 3);
    let diary = Diary::default();
    let consumer =
        member(&broker).max_poll_interval_ms(200).session_timeout_ms(400).build().unwrap();
    let written = diary.clone();
    let listener = Listen::new(move |what, _, partitions| {
        work_for(Duration::from_millis(600));
        written.write(what, partitions);
        Ok(())
    });
    consumer.subscribe_with(["t"], listener).unwrap();
    assert_eq!(take(&consumer, 1)[0].offset(), 0);
    let (id, before) = (member_id(&consumer), generation(&consumer));
    consumer.commit().unwrap();
    consumer.enforce_rebalance("a test").unwrap();
    assert_eq!(take(&consumer, 1)[0].offset(), 1);
    assert_eq!((member_id(&consumer), generation(&consumer)), (id, before + 1));
    assert_eq!(diary.take(), ["assigned t-0", "revoked t-0", "assigned t-0"]);
    assert_eq!(leaves(&broker), 0);
}

/// A listener that writes down what it is told and fails at one of it, once.
fn failing(diary: &Diary, at: &'static str) -> Listen {
    let (diary, mut failed) = (diary.clone(), false);
    Listen::new(move |what, _, partitions| {
        diary.write(what, partitions);
        if what == at && !std::mem::replace(&mut failed, true) {
            return Err("the disk is full".into());
        }
        Ok(())
    })
}

#[track_caller]
fn is_of_listener(error: &Error, callback: &str) {
    let Error::RebalanceListener { callback: named, source } = error else { panic!("{error:?}") };
    assert_eq!((*named, source.to_string()), (callback, "the disk is full".to_owned()));
}

#[test]
fn fault_112_an_error_of_on_partitions_assigned_comes_out_of_poll_and_the_member_reads_on() {
    let broker = broker_with(1, 2);
    let diary = Diary::default();
    let consumer = member(&broker).build().unwrap();
    consumer.subscribe_with(["t"], failing(&diary, "assigned")).unwrap();
    is_of_listener(&next_error(&consumer), "on_partitions_assigned");
    assert_eq!(consumer.group_metadata().unwrap().state, GroupState::Stable);
    assert_eq!(offsets(&take(&consumer, 2)), [0, 1]);
    assert_eq!(diary.take(), ["assigned t-0"], "it is told once");
}

#[test]
fn fault_112_an_error_of_on_partitions_revoked_comes_out_of_poll_and_the_group_goes_on() {
    for builder in [member, cooperative] {
        let broker = broker_with(2, 0);
        let diary = Diary::default();
        let consumer = builder(&broker).build().unwrap();
        consumer.subscribe_with(["t"], failing(&diary, "revoked")).unwrap();
        settle(&[&consumer], 2);
        let other = MemberScript::new(["t"]).protocols(["range", "cooperative-sticky"]);
        broker.group("g").add(other.role(Role::Follower));
        is_of_listener(&next_error(&consumer), "on_partitions_revoked");
        settle(&[&consumer], 1);
        assert!(view(&broker).is_stable_with(2));
        append(&broker, share(&consumer)[0], 1);
        assert_eq!(take(&consumer, 1).len(), 1);
        assert_eq!(share(&consumer).len(), 1);
    }
}

#[test]
fn fault_112_an_error_of_on_partitions_lost_comes_out_of_poll_and_the_member_comes_back() {
    let broker = broker_with(1, 2);
    let diary = Diary::default();
    let consumer = member(&broker).build().unwrap();
    consumer.subscribe_with(["t"], failing(&diary, "lost")).unwrap();
    settle(&[&consumer], 1);
    broker.group("g").remove_member(&member_id(&consumer));
    is_of_listener(&next_error(&consumer), "on_partitions_lost");
    settle(&[&consumer], 1);
    assert_eq!(diary.take(), ["assigned t-0", "lost t-0", "assigned t-0"]);
}

#[test]
fn fault_112_an_error_of_a_listener_comes_out_of_iteration() {
    let broker = broker_with(1, 2);
    let diary = Diary::default();
    let consumer = member(&broker).build().unwrap();
    consumer.subscribe_with(["t"], failing(&diary, "assigned")).unwrap();
    is_of_listener(&consumer.next().unwrap().unwrap_err(), "on_partitions_assigned");
    assert_eq!(offsets(&take(&consumer, 2)), [0, 1]);
}

#[test]
fn fault_112_a_listener_that_panics_leaves_a_member_that_reads_on() {
    for at in ["assigned", "revoked", "lost"] {
        let broker = broker_with(1, 2);
        let diary = Diary::default();
        let consumer = member(&broker).session_timeout_ms(SESSION).build().unwrap();
        let (written, mut panicked) = (diary.clone(), false);
        let listener = Listen::new(move |what, _, partitions| {
            written.write(what, partitions);
            assert!(what != at || std::mem::replace(&mut panicked, true), "as it shall");
            Ok(())
        });
        consumer.subscribe_with(["t"], listener).unwrap();
        let steps = || {
            settle(&[&consumer], 1);
            let before = generation(&consumer);
            match at {
                "lost" => broker.group("g").remove_member(&member_id(&consumer)),
                _ => consumer.enforce_rebalance("a test").unwrap(),
            }
            drive(&[&consumer], "the next generation", || generation(&consumer) > before);
        };
        assert!(catch_unwind(AssertUnwindSafe(steps)).is_err(), "{at}");
        settle(&[&consumer], 1);
        append(&broker, 0, 1);
        take(&consumer, 1);
        assert!(diary.take().last().unwrap().starts_with("assigned"), "{at}: it is told still");
        consumer.commit().unwrap();
        consumer.close().unwrap();
    }
}

#[test]
fn behaviour_65_what_is_assigned_is_told_although_what_was_revoked_was_taken_badly() {
    let broker = broker_with(2, 0);
    let diary = Diary::default();
    let consumer = cooperative(&broker).build().unwrap();
    consumer.subscribe_with(["t"], failing(&diary, "revoked")).unwrap();
    let mut first = true;
    let leader = MemberScript::new(["t"]).protocols(["cooperative-sticky"]).role(Role::Leader);
    let leader = leader.assigns_with(move |members| {
        let own = if first { 0 } else { 1 };
        first &= members.len() == 1;
        let bytes = scripted_broker::assignment_bytes([("t", own)]);
        let others = members.iter().filter(|m| !m.member_id.starts_with("scripted"));
        let given: Vec<_> = others.map(|m| (m.member_id.clone(), bytes.clone())).collect();
        first = given.is_empty();
        given
    });
    broker.group("g").add(leader);
    settle(&[&consumer], 1);
    assert_eq!(diary.take(), ["assigned t-0"]);
    broker.group("g").trigger_rebalance();
    is_of_listener(&next_error(&consumer), "on_partitions_revoked");
    assert_eq!(diary.take(), ["revoked t-0", "assigned t-1"]);
    settle(&[&consumer], 1);
    assert_eq!(share(&consumer), [1]);
}

#[test]
fn behaviour_65_the_first_of_two_errors_of_a_listener_comes_out() {
    let broker = broker_with(1, 0);
    let consumer = member(&broker).build().unwrap();
    let mut rounds = 0;
    let listener = Listen::new(move |what, _, _| {
        rounds += 1;
        if rounds == 1 { Ok(()) } else { Err(format!("{what} {rounds}").into()) }
    });
    consumer.subscribe_with(["t"], listener).unwrap();
    settle(&[&consumer], 1);
    consumer.enforce_rebalance("a test").unwrap();
    let told = |error: &Error| match error {
        Error::RebalanceListener { source, .. } => source.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(told(&next_error(&consumer)), "revoked 2");
    assert_eq!(told(&next_error(&consumer)), "assigned 3");
    settle(&[&consumer], 1);
}

#[test]
fn fault_113_a_listener_may_seek_pause_commit_and_ask() {
    let broker = broker_with(2, 9);
    broker.group("g").set_committed(tp(1), 4);
    let diary = Diary::default();
    let consumer = member(&broker).build().unwrap();
    let written = diary.clone();
    let listener = Listen::new(move |what, consumer, partitions| {
        written.write(what, partitions);
        assert_eq!(consumer.group_metadata()?.group_id.as_deref(), Some("g"));
        if what == "assigned" {
            assert_eq!(consumer.assignment()?, partitions);
            assert_eq!(consumer.position(tp(1))?, 4);
            assert_eq!(consumer.committed(tp(1))?, Some(4));
            assert_eq!(consumer.end_offsets([tp(0)])?[&tp(0)], 9);
            consumer.pause([tp(1)])?;
            if consumer.committed(tp(0))?.is_none() {
                consumer.seek(tp(0), 7)?;
                consumer.commit_offsets([(tp(0), 7)])?;
            }
        } else {
            consumer.resume([tp(1)])?;
            consumer.commit()?;
            consumer.commit_async()?;
        }
        Ok(())
    });
    consumer.subscribe_with(["t"], listener).unwrap();
    assert_eq!(offsets(&take(&consumer, 2)), [7, 8]);
    assert_eq!(consumer.paused().unwrap(), [tp(1)]);
    let before = generation(&consumer);
    assert_eq!(view(&broker).committed(tp(0)), Some(7));
    consumer.enforce_rebalance("a test").unwrap();
    drive(&[&consumer], "the next generation", || generation(&consumer) > before);
    assert_eq!(view(&broker).committed(tp(0)), Some(9), "what was revoked was committed before");
    settle(&[&consumer], 2);
    assert_eq!(diary.take(), ["assigned t-0 t-1", "revoked t-0 t-1", "assigned t-0 t-1"]);
}

#[test]
fn fault_113_a_listener_may_subscribe_to_something_else() {
    let broker = broker_with(1, 0);
    broker.create_topic("u", 1);
    broker.append("u", 0, ["a"]);
    let diary = Diary::default();
    let consumer = member(&broker).build().unwrap();
    let (written, later) = (diary.clone(), diary.clone());
    let listener = Listen::new(move |what, consumer, partitions| {
        written.write(what, partitions);
        consumer.subscribe_with(["u"], later.clone())?;
        Ok(())
    });
    consumer.subscribe_with(["t"], listener).unwrap();
    assert_eq!(take(&consumer, 1)[0].topic(), "u");
    assert_eq!(diary.take(), ["assigned t-0", "revoked t-0", "assigned u-0"]);
}

#[test]
fn fault_114_reading_and_closing_inside_a_callback_are_misuse_and_do_no_harm() {
    fn misuse(consumer: &KafkaConsumer, _: &[TopicPartition]) {
        let refused = |result: Result<(), Error>| {
            assert!(matches!(result, Err(Error::IllegalState(_))), "{result:?}");
        };
        refused(consumer.poll(Duration::ZERO).map(drop));
        refused(consumer.poll_batch(Duration::ZERO).map(drop));
        refused(consumer.next().unwrap().map(drop));
        refused(consumer.iter().next().unwrap().map(drop));
        refused(consumer.unsubscribe());
        refused(consumer.close());
    }
    let broker = broker_with(1, 3);
    let diary = Diary::default();
    let consumer = member(&broker).build().unwrap();
    let written = diary.clone();
    let listener = Listen::new(move |what, consumer, partitions| {
        misuse(consumer, partitions);
        written.write(what, partitions);
        Ok(())
    });
    consumer.subscribe_with(["t"], listener).unwrap();
    assert_eq!(offsets(&take(&consumer, 2)), [0, 1]);
    broker.group("g").remove_member(&member_id(&consumer));
    drive(&[&consumer], "it hears of it", || diary.has("lost t-0"));
    settle(&[&consumer], 1);
    append(&broker, 0, 1);
    take(&consumer, 1);
    consumer.close().unwrap();
    assert_eq!(diary.take(), ["assigned t-0", "lost t-0", "assigned t-0", "revoked t-0"]);
}
