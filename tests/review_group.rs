//! What a consumer in a group does when several things happen at once: each of these was wrong once.

#![allow(clippy::disallowed_methods, reason = "tests look at the clock")]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use kafka_blocking::{
    BoxError, ConsumerBuilder, ConsumerRebalanceListener, Error, ErrorCode, GroupState,
    KafkaConsumer, TopicPartition,
    protocol::{
        Request, api_versions::ApiVersionsRequest, fetch::FetchRequest,
        find_coordinator::FindCoordinatorRequest, heartbeat::HeartbeatRequest,
        join_group::JoinGroupRequest, leave_group::LeaveGroupRequest,
        list_offsets::ListOffsetsRequest, metadata::MetadataRequest,
        offset_commit::OffsetCommitRequest, offset_fetch::OffsetFetchRequest,
        sync_group::SyncGroupRequest,
    },
};
use scripted_broker::{MemberScript, Role, ScriptedBroker, Simulation, assignment_bytes};

const WAIT: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(50);

fn builder(broker: &ScriptedBroker) -> ConsumerBuilder {
    KafkaConsumer::builder()
        .bootstrap_servers(broker.address())
        .auto_offset_reset("earliest")
        .group_id("g")
        .client_id("ours")
        .heartbeat_interval_ms(50)
        .fetch_max_wait_ms(50)
        .retry_backoff_ms(20)
}

/// Polls until something holds, and gives the values that came.
fn poll_until(consumer: &KafkaConsumer, holds: impl Fn() -> bool) -> Vec<String> {
    let (until, mut values) = (Instant::now() + WAIT, Vec::new());
    while !holds() {
        assert!(Instant::now() < until, "it never came to that");
        let polled = consumer.poll(SHORT).expect("nothing is wrong");
        for (_, records) in polled {
            values.extend(records.iter().map(text));
        }
    }
    values
}

fn text(record: &kafka_blocking::ConsumerRecord) -> String {
    String::from_utf8_lossy(record.value().unwrap_or_default()).into_owned()
}

fn is_stable(consumer: &KafkaConsumer) -> bool {
    consumer.group_metadata().unwrap().state == GroupState::Stable
}

fn generation(consumer: &KafkaConsumer) -> i32 {
    consumer.group_metadata().unwrap().generation_id
}

/// What a listener was told, and what it does when partitions are revoked.
type Told = Arc<Mutex<Vec<(&'static str, Vec<String>)>>>;

struct Listener {
    told: Told,
    on_revoked: Box<dyn FnMut(&KafkaConsumer) + Send>,
}

impl Listener {
    fn new(on_revoked: impl FnMut(&KafkaConsumer) + Send + 'static) -> (Self, Told) {
        let told = Told::default();
        (Self { told: told.clone(), on_revoked: Box::new(on_revoked) }, told)
    }

    fn note(&self, what: &'static str, partitions: &[TopicPartition]) {
        assert!(!partitions.is_empty(), "{what}");
        let names = partitions.iter().map(ToString::to_string).collect();
        self.told.lock().unwrap().push((what, names));
    }
}

impl ConsumerRebalanceListener for Listener {
    fn on_partitions_assigned(
        &mut self,
        _: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), BoxError> {
        self.note("assigned", partitions);
        Ok(())
    }

    fn on_partitions_revoked(
        &mut self,
        consumer: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), BoxError> {
        self.note("revoked", partitions);
        (self.on_revoked)(consumer);
        Ok(())
    }

    fn on_partitions_lost(
        &mut self,
        _: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), BoxError> {
        self.note("lost", partitions);
        Ok(())
    }
}

/// Every partition is given once before it is taken, and taken once after it was given.
fn check_turns(told: &Told) {
    let mut owned = std::collections::BTreeSet::new();
    let told = told.lock().unwrap();
    for (what, partitions) in told.iter() {
        for partition in partitions {
            let fits = match *what {
                "assigned" => owned.insert(partition.clone()),
                _ => owned.remove(partition),
            };
            assert!(fits, "{partition} was {what}: {told:?}");
        }
    }
}

// The leader

#[test]
fn a_leader_divides_topics_that_only_others_read() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    broker.create_topic("u", 2);
    let consumer = builder(&broker).topics("t").build().unwrap();
    poll_until(&consumer, || is_stable(&consumer));
    broker.group("g").add(MemberScript::new(["u"]).role(Role::Follower));
    poll_until(&consumer, || is_stable(&consumer) && broker.group("g").view().is_stable_with(2));
    assert!(broker.requests_of::<MetadataRequest>().len() < 20);
}

#[test]
fn new_partitions_cost_one_rebalance() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    let consumer = builder(&broker).topics("t").metadata_max_age_ms(50).build().unwrap();
    poll_until(&consumer, || is_stable(&consumer));
    let before = generation(&consumer);
    broker.with_state(|state| state.add_partitions("t", 1));
    poll_until(&consumer, || consumer.assignment().unwrap().len() == 2);
    for _ in 0..10 {
        consumer.poll(SHORT).unwrap();
    }
    assert_eq!(generation(&consumer), before + 1);
}

#[test]
fn a_static_leader_that_comes_back_notices_new_partitions() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    let builder = builder(&broker).group_instance_id("i").topics("t").metadata_max_age_ms(50);
    let first = builder.clone().build().unwrap();
    poll_until(&first, || is_stable(&first));
    first.close().unwrap();
    let second = builder.build().unwrap();
    poll_until(&second, || is_stable(&second));
    broker.with_state(|state| state.add_partitions("t", 1));
    poll_until(&second, || second.assignment().unwrap().len() == 2);
}

// Commits

#[test]
fn fault_142_what_was_stored_of_a_commit_is_not_sent_again_after_a_newer_one() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 2);
    let consumer = builder(&broker).build().unwrap();
    consumer.assign([("t", 0), ("t", 1)]).unwrap();
    broker.on::<OffsetCommitRequest>().times(6).fail_partition(
        "t",
        1,
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
    );
    let older = consumer.commit_offsets_async([(("t", 0), 5), (("t", 1), 5)]).unwrap();
    let newer = consumer.commit_offsets_async([(("t", 0), 9)]).unwrap();
    older.wait().unwrap();
    newer.wait().unwrap();
    let offsets = broker.group("g").view();
    assert_eq!((offsets.committed(("t", 0)), offsets.committed(("t", 1))), (Some(9), Some(5)));
    for request in broker.requests_of::<OffsetCommitRequest>().iter().skip(2) {
        assert_eq!(request.topics[0].partitions.len(), 1, "{request:?}");
    }
}

#[test]
fn a_commit_that_was_given_up_is_not_overwritten_by_an_older_one() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    let consumer = builder(&broker).build().unwrap();
    consumer.assign([("t", 0)]).unwrap();
    // It is stored, but nobody hears of it.
    broker.on::<OffsetCommitRequest>().once().fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    let older = consumer.commit_offsets_async([(("t", 0), 5)]).unwrap();
    broker.on::<OffsetCommitRequest>().once().silence();
    let newer = consumer.commit_offsets_timeout([(("t", 0), 9)], Duration::from_millis(300));
    assert!(matches!(newer, Err(Error::Timeout { .. })), "{newer:?}");
    broker.close_connections(1);
    older.wait().unwrap();
    assert_eq!(broker.group("g").view().committed(("t", 0)), Some(9));
}

#[test]
fn an_interval_of_zero_commits_without_flooding_the_coordinator() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    broker.append("t", 0, ["a"]);
    let consumer = builder(&broker).topics("t").auto_commit_interval_ms(0).build().unwrap();
    let values = poll_until(&consumer, || consumer.position(("t", 0)).is_ok_and(|p| p == 1));
    assert_eq!(values, ["a"]);
    let before = broker.requests_of::<OffsetCommitRequest>().len();
    consumer.poll(Duration::from_millis(1000)).unwrap();
    assert_eq!(broker.group("g").view().committed(("t", 0)), Some(1));
    let sent = broker.requests_of::<OffsetCommitRequest>().len() - before;
    assert!(sent <= 110, "{sent} commits in a second");
}

#[test]
fn an_assignment_that_is_refused_commits_nothing() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    broker.append("t", 0, ["a"]);
    let consumer = builder(&broker).topics("t").build().unwrap();
    let record = consumer.next().unwrap().unwrap();
    assert_eq!(record.offset(), 0);
    assert!(consumer.assign([("u", 0)]).is_err());
    consumer.committed(("t", 0)).unwrap();
    assert_eq!(broker.group("g").view().committed(("t", 0)), None, "the record is in hand still");
}

#[test]
fn a_wake_up_that_came_before_does_not_keep_close_from_committing() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    broker.append("t", 0, ["a"]);
    let consumer = builder(&broker).topics("t").build().unwrap();
    consumer.next().unwrap().unwrap();
    consumer.handle().wakeup();
    consumer.close().unwrap();
    assert_eq!(broker.group("g").view().committed(("t", 0)), Some(1));
}

#[test]
fn a_wake_up_is_not_lost_in_unsubscribe() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    let consumer = builder(&broker).topics("t").build().unwrap();
    poll_until(&consumer, || is_stable(&consumer));
    consumer.handle().wakeup();
    consumer.unsubscribe().unwrap();
    consumer.assign([("t", 0)]).unwrap();
    assert!(matches!(consumer.poll(Duration::ZERO), Err(Error::Wakeup)));
    assert!(consumer.poll(Duration::ZERO).is_ok());
}

// Rebalances

#[test]
fn fault_110_what_is_ready_of_a_partition_is_not_handed_out_once_its_revocation_has_begun() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 2);
    broker.create_topic("u", 1);
    let (listener, told) = Listener::new(|_| {});
    let consumer = builder(&broker).build().unwrap();
    consumer.subscribe_with(["t"], listener).unwrap();
    poll_until(&consumer, || is_stable(&consumer));
    broker.append("t", 0, ["a"]);
    broker.append("t", 1, ["b"]);
    // One is in hand, the other one is ready.
    let first = consumer.next().unwrap().unwrap();
    let until = Instant::now() + Duration::from_millis(300);
    while Instant::now() < until {
        consumer.position(("t", 0)).unwrap();
    }
    // The commit that goes before the revocation takes a while.
    broker.on::<OffsetCommitRequest>().once().delay(Duration::from_millis(300));
    consumer.subscribe(["t", "u"]).unwrap();
    let polled = consumer.poll_max(Duration::from_millis(100), 1).unwrap();
    let handed_out: Vec<_> = polled.iter().flat_map(|(_, r)| r.iter().map(text)).collect();
    let revoked = told.lock().unwrap().len() > 1;
    assert!(handed_out.is_empty() || revoked, "{handed_out:?} beside {:?}", text(&first));
}

#[test]
fn fault_100_a_listener_that_subscribes_anew_is_not_told_of_partitions_that_it_never_got() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 2);
    broker.create_topic("u", 1);
    // First one partition, then another one, then what is left.
    let mut given = vec![("u", 0), ("t", 1), ("t", 0)];
    let leader = MemberScript::new(["t", "u"]).protocols(["cooperative-sticky"]).role(Role::Leader);
    let leader = leader.assigns_with(move |members| {
        let ours = members.iter().find(|m| m.member_id.starts_with("ours"));
        let part = ours.and_then(|m| Some((m.member_id.clone(), assignment_bytes([given.pop()?]))));
        part.into_iter().collect()
    });
    broker.group("g").add(leader);
    let (mut listener, told) = Listener::new(|_| {});
    let its = told.clone();
    let mut once = true;
    listener.on_revoked = Box::new(move |consumer| {
        if std::mem::take(&mut once) {
            let (mut next, _) = Listener::new(|_| {});
            next.told = its.clone();
            consumer.subscribe_with(["u"], next).unwrap();
        }
    });
    let builder = builder(&broker).partition_assignment_strategy("cooperative-sticky");
    let consumer = builder.build().unwrap();
    consumer.subscribe_with(["t"], listener).unwrap();
    let owns = |partition: (&str, i32)| consumer.assignment().unwrap() == [partition.into()];
    poll_until(&consumer, || owns(("t", 0)));
    consumer.enforce_rebalance("for the other one").unwrap();
    poll_until(&consumer, || owns(("u", 0)));
    check_turns(&told);
    let told = told.lock().unwrap();
    assert!(!told.iter().any(|(_, partitions)| partitions.contains(&"t-1".to_owned())), "{told:?}");
}

#[test]
fn a_membership_that_is_lost_while_the_listener_gives_back_is_told_once() {
    let broker = Arc::new(ScriptedBroker::start());
    broker.create_topic("t", 2);
    let its = broker.clone();
    let mut once = true;
    let (listener, told) = Listener::new(move |consumer| {
        if std::mem::take(&mut once) {
            let member = consumer.group_metadata().unwrap().member_id;
            its.group("g").remove_member(&member);
            let until = Instant::now() + WAIT;
            while consumer.group_metadata().unwrap().generation_id >= 0 {
                assert!(Instant::now() < until, "its heartbeats are refused");
            }
        }
    });
    let consumer = builder(&broker).build().unwrap();
    consumer.subscribe_with(["t"], listener).unwrap();
    poll_until(&consumer, || is_stable(&consumer));
    consumer.enforce_rebalance("it is time").unwrap();
    poll_until(&consumer, || told.lock().unwrap().iter().filter(|t| t.0 == "assigned").count() > 1);
    check_turns(&told);
}

#[test]
fn a_membership_that_is_lost_while_a_cooperative_listener_gives_back_is_told_once() {
    let broker = Arc::new(ScriptedBroker::start());
    broker.create_topic("t", 2);
    let its = broker.clone();
    let mut once = true;
    let (listener, told) = Listener::new(move |consumer| {
        if std::mem::take(&mut once) {
            let member = consumer.group_metadata().unwrap().member_id;
            its.group("g").remove_member(&member);
            let until = Instant::now() + WAIT;
            while consumer.group_metadata().unwrap().generation_id >= 0 {
                assert!(Instant::now() < until, "its heartbeats are refused");
            }
        }
    });
    let coop = builder(&broker).partition_assignment_strategy("cooperative-sticky");
    let consumer = coop.clone().build().unwrap();
    consumer.subscribe_with(["t"], listener).unwrap();
    poll_until(&consumer, || is_stable(&consumer));
    let other = coop.client_id("other").topics("t").build().unwrap();
    // Both have one in the end.
    let until = Instant::now() + WAIT;
    while !(consumer.assignment().unwrap().len() == 1 && other.assignment().unwrap().len() == 1) {
        assert!(Instant::now() < until, "{told:?}");
        consumer.poll(SHORT).unwrap();
        other.poll(SHORT).unwrap();
        check_turns(&told);
    }
}

#[test]
fn a_topic_that_is_gone_does_not_hold_up_a_rebalance() {
    let broker = ScriptedBroker::start();
    for topic in ["t-1", "t-2"] {
        broker.create_topic(topic, 1);
    }
    let consumer = builder(&broker).metadata_max_age_ms(50).build().unwrap();
    consumer.subscribe_pattern("t-").unwrap();
    poll_until(&consumer, || consumer.assignment().unwrap().len() == 2);
    for topic in ["t-1", "t-2"] {
        broker.append(topic, 0, ["a"]);
        consumer.next().unwrap().unwrap();
    }
    broker.delete_topic("t-1");
    let begun = Instant::now();
    poll_until(&consumer, || is_stable(&consumer) && consumer.assignment().unwrap().len() == 1);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

// User code that panics

#[test]
fn fault_247_a_listener_that_panics_in_unsubscribe_leaves_a_consumer_that_can_be_used() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    broker.append("t", 0, ["a"]);
    let mut once = true;
    let (listener, _) = Listener::new(move |_| {
        assert!(!std::mem::take(&mut once), "the user's own");
    });
    let consumer = builder(&broker).build().unwrap();
    consumer.subscribe_with(["t"], listener).unwrap();
    poll_until(&consumer, || is_stable(&consumer));
    assert!(catch_unwind(AssertUnwindSafe(|| consumer.unsubscribe())).is_err());
    assert_eq!(consumer.subscription().unwrap(), None);
    assert!(consumer.assignment().unwrap().is_empty());
    assert_eq!(broker.group("g").view().members.len(), 0);
    consumer.subscribe(["t"]).unwrap();
    let mut got = 0;
    let until = Instant::now() + WAIT;
    while got == 0 {
        assert!(Instant::now() < until, "records come again");
        broker.append("t", 0, ["b"]);
        got = consumer.poll(SHORT).unwrap().count();
    }
}

#[test]
fn fault_247_a_listener_that_panics_in_close_is_told_once_and_the_group_is_left() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    let (listener, told) = Listener::new(move |_| panic!("the user's own"));
    let consumer = builder(&broker).build().unwrap();
    consumer.subscribe_with(["t"], listener).unwrap();
    poll_until(&consumer, || is_stable(&consumer));
    assert!(catch_unwind(AssertUnwindSafe(|| consumer.close())).is_err());
    consumer.close().unwrap();
    check_turns(&told);
    assert_eq!(broker.group("g").view().members.len(), 0);
}

#[test]
fn a_caller_that_looks_all_the_time_and_never_polls_stays_a_member() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    let consumer = builder(&broker).topics("t").build().unwrap();
    poll_until(&consumer, || is_stable(&consumer));
    let heartbeats = || broker.requests_of::<HeartbeatRequest>().len();
    let (member, before) = (consumer.group_metadata().unwrap(), heartbeats());
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        assert_eq!(consumer.assignment().unwrap().len(), 1);
    }
    assert_eq!(consumer.group_metadata().unwrap(), member);
    // Twenty looks of the keeper, each of which the caller makes good.
    assert!(heartbeats() - before >= 8, "{} heartbeats", heartbeats() - before);
}

// Leaving

#[test]
fn a_member_that_lost_its_generation_and_is_dropped_leaves() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    let consumer = builder(&broker).topics("t").build().unwrap();
    poll_until(&consumer, || is_stable(&consumer));
    broker.on::<HeartbeatRequest>().once().fail(ErrorCode::ILLEGAL_GENERATION);
    let until = Instant::now() + WAIT;
    while generation(&consumer) >= 0 {
        assert!(Instant::now() < until, "the heartbeat was refused");
    }
    drop(consumer);
    assert_eq!(broker.requests_of::<LeaveGroupRequest>().len(), 1);
    assert_eq!(broker.group("g").view().members.len(), 0);
}

#[test]
fn a_keeper_without_a_membership_to_keep_has_nothing_to_wake_up_for() {
    let mut sim = Simulation::new(1, 7, |o| o.group_id("g"));
    sim.cluster.state.create_topic("t", 1);
    sim.subscribe(&["t"]);
    sim.run_for(Duration::from_secs(1));
    // No JoinGroup has left: nobody was there to read.
    let late = sim.now() + Duration::from_secs(301);
    sim.machines.handle_away(late);
    let next = sim.machines.away_timeout(late);
    assert!(next.is_none_or(|at| at > late), "{:?}", next.map(|at| late.duration_since(at)));
}

// Old brokers

#[test]
fn fault_240_a_topic_that_is_not_there_keeps_no_member_of_an_old_broker_from_joining() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    broker.append("t", 0, ["a"]);
    broker.set_versions(1, OF_0_10);
    let builder = builder(&broker).allow_auto_create_topics(false);
    let consumer = builder.topics(["t", "missing"]).consumer_timeout_ms(WAIT).build().unwrap();
    assert_eq!(text(&consumer.next().expect("it joins").unwrap()), "a");
}

#[test]
fn a_leader_of_an_old_broker_divides_although_others_read_topics_that_are_not_there() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    broker.set_versions(1, OF_0_10);
    let consumer = builder(&broker).topics("t").build().unwrap();
    poll_until(&consumer, || is_stable(&consumer));
    broker.group("g").add(MemberScript::new(["missing"]).role(Role::Follower));
    poll_until(&consumer, || is_stable(&consumer) && broker.group("g").view().is_stable_with(2));
}

#[test]
fn an_old_broker_keeps_committed_offsets_for_as_long_as_it_is_configured_to() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    broker.set_versions(1, OF_0_10);
    let consumer = builder(&broker).build().unwrap();
    consumer.commit_offsets([(("t", 0), 7)]).unwrap();
    let asked = broker.requests_of::<OffsetCommitRequest>();
    assert_eq!(asked.iter().map(|r| r.retention_time_ms).collect::<Vec<_>>(), [-1]);
    let looked_up = broker.requests_of::<FindCoordinatorRequest>();
    assert_eq!(looked_up.iter().map(|r| &*r.key).collect::<Vec<_>>(), ["g"]);
}

/// What brokers of 0.10.2 speak, but for records, which are of today.
const OF_0_10: &[(i16, i16, i16)] = &[
    (FetchRequest::KEY, 4, 11),
    (ListOffsetsRequest::KEY, 0, 1),
    (MetadataRequest::KEY, 0, 2),
    (OffsetCommitRequest::KEY, 0, 2),
    (OffsetFetchRequest::KEY, 0, 2),
    (FindCoordinatorRequest::KEY, 0, 0),
    (JoinGroupRequest::KEY, 0, 1),
    (HeartbeatRequest::KEY, 0, 0),
    (LeaveGroupRequest::KEY, 0, 0),
    (SyncGroupRequest::KEY, 0, 0),
    (ApiVersionsRequest::KEY, 0, 0),
];

// Storms

#[test]
fn garbage_from_the_leader_is_no_reason_to_join_in_a_storm() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    broker.on::<SyncGroupRequest>().rewrite(|answer| answer.assignment = vec![0, 1, 0xff]);
    let consumer = builder(&broker).topics("t").build().unwrap();
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        let _ = consumer.poll(SHORT);
    }
    let joins = broker.requests_of::<JoinGroupRequest>().len();
    assert!((3..20).contains(&joins), "{joins} in 3 s");
}

#[test]
fn an_answer_without_the_partition_that_was_asked_about_is_no_reason_for_a_storm() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    broker.on::<OffsetFetchRequest>().rewrite(|answer| {
        answer.groups.iter_mut().for_each(|g| g.topics.clear());
        answer.topics.clear();
    });
    let consumer = builder(&broker).topics("t").retry_backoff_ms(100).build().unwrap();
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        let _ = consumer.poll(SHORT);
    }
    let asked = broker.requests_of::<OffsetFetchRequest>().len();
    assert!((1..20).contains(&asked), "{asked} in 1 s");
}

#[test]
fn a_coordinator_that_names_a_member_again_and_again_is_asked_with_pauses() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    broker.on::<JoinGroupRequest>().rewrite(|answer| {
        answer.error_code = ErrorCode::MEMBER_ID_REQUIRED.0;
        answer.member_id = "m".to_owned();
    });
    let consumer = builder(&broker).topics("t").build().unwrap();
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        let _ = consumer.poll(SHORT);
    }
    let joins = broker.requests_of::<JoinGroupRequest>().len();
    assert!((2..30).contains(&joins), "{joins} in 2 s");
}
