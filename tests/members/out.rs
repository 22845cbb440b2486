//! What a member does whom the coordinator has put out of its generation, or does not know: told by a heartbeat, a sync or a
//! commit.

use kafka_blocking::{
    ConsumerRecord, Error, ErrorCode, KafkaConsumer,
    protocol::{
        Request, heartbeat::HeartbeatRequest, offset_commit::OffsetCommitRequest,
        sync_group::SyncGroupRequest,
    },
};
use scripted_broker::ScriptedBroker;

use crate::{
    group::{
        Diary, SESSION, cooperative, count, drive, first_of, generation, joins, member, member_id,
        settle, subscribed, tp, view,
    },
    support::{broker_with, take},
};

/// What was said, what the member calls itself when it joins after that, and whether it is known to the group still.
const PUT_OUT: [(ErrorCode, bool); 2] =
    [(ErrorCode::ILLEGAL_GENERATION, true), (ErrorCode::UNKNOWN_MEMBER_ID, false)];

/// A member alone in its group. Whom the coordinator does not know it forgets soon.
fn alone(broker: &ScriptedBroker, diary: &Diary, strategy: &str) -> KafkaConsumer {
    let builder =
        member(broker).session_timeout_ms(SESSION).partition_assignment_strategy(strategy);
    let consumer = subscribed(builder, diary);
    take(&consumer, 2);
    diary.take();
    consumer
}

/// Checks that the member has joined anew, under this name, and has lost what it had once; `records` came meanwhile.
#[track_caller]
fn has_come_back(
    (broker, consumer, diary): (&ScriptedBroker, &KafkaConsumer, &Diary),
    joined_before: usize,
    name: Option<&str>,
    mut records: Vec<ConsumerRecord>,
) {
    records.extend(settle(&[consumer], 1));
    assert_eq!(diary.take(), ["lost t-0", "assigned t-0"]);
    assert_eq!(joins(broker)[joined_before].member_id, name.unwrap_or_default());
    assert_eq!(first_of(&records, 0, consumer), 0, "nothing was committed");
}

#[test]
fn fault_89_a_heartbeat_that_is_refused_ends_the_membership_and_the_member_joins_anew() {
    for (code, keeps_name) in PUT_OUT {
        let broker = broker_with(1, 2);
        let diary = Diary::default();
        let consumer = alone(&broker, &diary, "range");
        let (name, joined, before) =
            (member_id(&consumer), joins(&broker).len(), generation(&consumer));
        broker.on::<HeartbeatRequest>().once().fail(code);
        let records = drive(&[&consumer], "it hears of it", || generation(&consumer) != before);
        let name = keeps_name.then_some(name.as_str());
        has_come_back((&broker, &consumer, &diary), joined, name, records);
    }
}

#[test]
fn fault_89_a_member_that_an_administrator_removes_comes_back_as_a_new_one() {
    let broker = broker_with(1, 2);
    let diary = Diary::default();
    let consumer = alone(&broker, &diary, "range");
    let (name, joined) = (member_id(&consumer), joins(&broker).len());
    broker.group("g").remove_member(&name);
    let records = drive(&[&consumer], "it hears of it", || diary.has("lost t-0"));
    has_come_back((&broker, &consumer, &diary), joined, None, records);
    assert!(view(&broker).member(&name).is_none());
}

#[test]
fn fault_89_a_commit_that_is_refused_ends_the_membership_and_the_member_joins_anew() {
    for (code, keeps_name) in PUT_OUT {
        let broker = broker_with(1, 2);
        let diary = Diary::default();
        let consumer = alone(&broker, &diary, "range");
        let (name, joined) = (member_id(&consumer), joins(&broker).len());
        broker.on::<OffsetCommitRequest>().once().fail(code);
        let error = consumer.commit().unwrap_err();
        assert!(matches!(error, Error::CommitFailed { .. }), "{error:?}");
        let error = consumer.commit().unwrap_err();
        assert!(matches!(error, Error::CommitFailed { .. }), "not tried again: {error:?}");
        let name = keeps_name.then_some(name.as_str());
        has_come_back((&broker, &consumer, &diary), joined, name, Vec::new());
        consumer.commit().unwrap();
    }
}

#[test]
fn fault_89_a_sync_that_is_refused_ends_the_membership_and_the_member_joins_anew() {
    for (code, keeps_name) in PUT_OUT {
        let broker = broker_with(1, 2);
        let diary = Diary::default();
        // Only the cooperative protocol has something to lose at that time.
        let consumer = alone(&broker, &diary, "cooperative-sticky");
        let (name, joined) = (member_id(&consumer), joins(&broker).len());
        broker.on::<SyncGroupRequest>().once().fail(code);
        consumer.enforce_rebalance("a test").unwrap();
        let records = drive(&[&consumer], "it hears of it", || diary.has("lost t-0"));
        let name = keeps_name.then_some(name.as_str());
        has_come_back((&broker, &consumer, &diary), joined + 1, name, records);
    }
}

#[test]
fn behaviour_58_any_error_of_a_sync_makes_the_member_join_again() {
    let others = [
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::NOT_COORDINATOR,
        ErrorCode::REBALANCE_IN_PROGRESS,
    ];
    let codes = others.map(|code| (code, true)).into_iter().chain(PUT_OUT);
    for (code, keeps_name) in codes {
        let broker = broker_with(1, 0);
        let diary = Diary::default();
        broker.on::<SyncGroupRequest>().once().fail(code);
        let consumer = subscribed(member(&broker).session_timeout_ms(SESSION), &diary);
        settle(&[&consumer], 1);
        assert_eq!(diary.take(), ["assigned t-0"], "{code}");
        let names: Vec<_> = joins(&broker).into_iter().map(|join| join.member_id).collect();
        assert_eq!(names[2] == names[1], keeps_name, "{code}: {names:?}");
        assert_eq!(names[2].is_empty(), !keeps_name, "{code}: {names:?}");
        let syncs = broker.requests_of::<SyncGroupRequest>();
        assert_eq!(syncs.len(), 2, "{code}: a {} is not repeated", SyncGroupRequest::NAME);
    }
}

#[test]
fn behaviour_58_an_error_of_a_sync_that_is_not_known_comes_out_of_poll() {
    let broker = broker_with(1, 0);
    broker.on::<SyncGroupRequest>().once().fail(ErrorCode::GROUP_AUTHORIZATION_FAILED);
    let diary = Diary::default();
    let consumer = subscribed(member(&broker), &diary);
    let error = crate::group::next_error(&consumer);
    assert!(
        matches!(&error, Error::GroupAuthorizationFailed { group } if **group == *"g"),
        "{error:?}"
    );
    settle(&[&consumer], 1);
}

#[test]
fn behaviour_64_a_lost_generation_clears_the_assignment_and_commits_nothing() {
    let broker = broker_with(2, 2);
    let diary = Diary::default();
    let builder = member(&broker).enable_auto_commit(true).auto_commit_interval_ms(60_000);
    let consumer = subscribed(builder, &diary);
    take(&consumer, 4);
    consumer.pause([tp(0)]).unwrap();
    broker.group("g").remove_member(&member_id(&consumer));
    drive(&[&consumer], "it hears of it", || diary.has("lost t-0 t-1"));
    settle(&[&consumer], 2);
    assert_eq!(diary.take(), ["assigned t-0 t-1", "lost t-0 t-1", "assigned t-0 t-1"]);
    assert_eq!(count::<OffsetCommitRequest>(&broker), 0);
}

#[test]
fn behaviour_64_a_listener_that_does_not_know_of_losses_is_told_of_a_revocation() {
    struct Old(Diary);
    impl kafka_blocking::ConsumerRebalanceListener for Old {
        fn on_partitions_revoked(
            &mut self,
            _: &KafkaConsumer,
            partitions: &[kafka_blocking::TopicPartition],
        ) -> Result<(), kafka_blocking::BoxError> {
            self.0.write("revoked", partitions);
            Ok(())
        }
    }
    let broker = broker_with(1, 0);
    let diary = Diary::default();
    let consumer = member(&broker).build().unwrap();
    consumer.subscribe_with(["t"], Old(diary.clone())).unwrap();
    settle(&[&consumer], 1);
    broker.group("g").remove_member(&member_id(&consumer));
    drive(&[&consumer], "it hears of it", || !diary.is_empty());
    assert_eq!(diary.take(), ["revoked t-0"]);
}

#[test]
fn behaviour_64_the_partitions_that_are_lost_can_be_asked_for_in_the_callback_but_not_committed() {
    let broker = broker_with(1, 2);
    let diary = Diary::default();
    let seen = diary.clone();
    let consumer = cooperative(&broker).build().unwrap();
    let listener = crate::group::Listen::new(move |what, consumer, partitions| {
        if what == "lost" {
            assert_eq!(consumer.position(tp(0))?, 2);
            let error = consumer.commit().unwrap_err();
            assert!(matches!(error, Error::CommitFailed { .. }), "{error:?}");
            assert_eq!(consumer.committed(tp(0))?, None);
        }
        seen.write(what, partitions);
        Ok(())
    });
    consumer.subscribe_with(["t"], listener).unwrap();
    take(&consumer, 2);
    broker.group("g").remove_member(&member_id(&consumer));
    drive(&[&consumer], "it hears of it", || diary.has("lost t-0"));
}
