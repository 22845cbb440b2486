//! Listeners, callbacks and assignors that panic: whoever catches that has a consumer that works on, at the right positions.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use kafka_blocking::{
    AssignmentStrategy, BoxError, ConsumerRebalanceListener, GroupMember, KafkaConsumer,
    PartitionAssignor, TopicPartition,
    protocol::{leave_group::LeaveGroupRequest, offset_commit::OffsetCommitRequest},
};
use scripted_broker::{MemberScript, ScriptedBroker};

use crate::{
    GROUP, automatic, builder, committed, count, manual,
    support::{LONG, append, broker_with, offsets, take, wait_until},
};

/// Whether a call panics, as the test wants it to.
fn panics<T>(call: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(|| drop(call()))).is_err()
}

/// Writes down what it is told, and panics where it is to.
#[derive(Clone)]
struct Panics {
    heard: Arc<Mutex<Vec<String>>>,
    at: &'static str,
    times: Arc<AtomicUsize>,
    seek: Option<i64>,
}

impl Panics {
    fn at(at: &'static str) -> Self {
        Self { heard: Arc::default(), at, times: Arc::new(1.into()), seek: None }
    }

    fn hear(&self, what: &str, partitions: &[TopicPartition]) {
        let names: Vec<_> = partitions.iter().map(ToString::to_string).collect();
        self.heard.lock().unwrap().push(format!("{what} {}", names.join(" ")));
        if self.at == what && self.times.swap(0, Ordering::Relaxed) > 0 {
            panic!("the test panics, as it shall");
        }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

impl ConsumerRebalanceListener for Panics {
    fn on_partitions_assigned(
        &mut self,
        consumer: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), BoxError> {
        self.hear("assigned", partitions);
        for partition in partitions {
            if let Some(offset) = self.seek {
                consumer.seek(partition, offset)?;
            }
        }
        Ok(())
    }

    fn on_partitions_revoked(
        &mut self,
        _: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), BoxError> {
        self.hear("revoked", partitions);
        Ok(())
    }

    fn on_partitions_lost(
        &mut self,
        _: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), BoxError> {
        self.hear("lost", partitions);
        Ok(())
    }
}

fn subscribed(broker: &ScriptedBroker, listener: &Panics) -> KafkaConsumer {
    let consumer = builder(broker).enable_auto_commit(false).build().unwrap();
    consumer.subscribe_with(["t"], listener.clone()).unwrap();
    consumer
}

#[test]
fn fault_247_a_listener_that_panics_when_partitions_come_is_told_once_and_reading_begins() {
    let broker = broker_with(1, 3);
    let listener = Panics::at("assigned");
    let consumer = subscribed(&broker, &listener);
    assert!(panics(|| consumer.poll(LONG)));
    assert_eq!(offsets(&take(&consumer, 3)), [0, 1, 2]);
    assert_eq!(listener.heard(), ["assigned t-0"]);
    consumer.commit().unwrap();
    consumer.close().unwrap();
    assert_eq!(listener.heard(), ["assigned t-0", "revoked t-0"]);
    assert_eq!(committed(&broker, 0), Some(3));
}

#[test]
fn fault_247_a_listener_that_panics_when_partitions_go_holds_up_no_rebalance() {
    let broker = broker_with(1, 3);
    let listener = Panics::at("revoked");
    let consumer = subscribed(&broker, &listener);
    take(&consumer, 2);
    consumer.commit().unwrap();
    consumer.enforce_rebalance("the test wants one").unwrap();
    assert!(panics(|| consumer.poll(LONG)));
    // What the group has committed counts, as after any rebalance of this kind.
    assert_eq!(take(&consumer, 1)[0].offset(), 2);
    assert_eq!(listener.heard(), ["assigned t-0", "revoked t-0", "assigned t-0"]);
    assert_eq!(consumer.group_metadata().unwrap().generation_id, 2);
}

#[test]
fn fault_247_a_listener_that_panics_when_partitions_are_lost_is_told_of_the_new_ones() {
    let broker = broker_with(1, 3);
    let listener = Panics::at("lost");
    let consumer = subscribed(&broker, &listener);
    take(&consumer, 3);
    let id = consumer.group_metadata().unwrap().member_id;
    broker.group(GROUP).remove_member(&id);
    assert!(panics(|| consumer.poll(LONG)));
    assert_eq!(take(&consumer, 1)[0].offset(), 0);
    assert_eq!(listener.heard(), ["assigned t-0", "lost t-0", "assigned t-0"]);
}

#[test]
fn fault_247_a_panic_over_what_goes_does_not_keep_back_the_news_of_what_comes() {
    // In a cooperative rebalance both are told after the same answer.
    let broker = broker_with(2, 3);
    broker.create_topic("u", 1);
    broker.append("u", 0, ["a", "b", "c"]);
    let consumer = builder(&broker)
        .enable_auto_commit(false)
        .partition_assignment_strategy("cooperative-sticky")
        .build()
        .unwrap();
    let mut listener = Panics::at("revoked");
    listener.seek = Some(2);
    consumer.subscribe_with(["t"], listener.clone()).unwrap();
    assert_eq!(take(&consumer, 2).iter().map(|r| r.offset()).collect::<Vec<_>>(), [2, 2]);
    // A leader that swaps a partition of this member for another one.
    let swap = |members: &[kafka_blocking::protocol::join_group::JoinGroupResponseMember]| {
        let all = members.iter().map(|m| {
            let own = !m.member_id.starts_with("scripted");
            let partitions = if own { vec![("t", 0), ("u", 0)] } else { vec![] };
            (m.member_id.clone(), scripted_broker::assignment_bytes(partitions))
        });
        all.collect()
    };
    let leader = MemberScript::new(["t", "u"])
        .protocols(["cooperative-sticky"])
        .role(scripted_broker::Role::Leader)
        .assigns_with(swap);
    consumer.subscribe_with(["t", "u"], listener.clone()).unwrap();
    broker.group(GROUP).add(leader);
    let (mut panicked, mut read) = (0, Vec::new());
    wait_until("the other partition", || {
        let polled = || consumer.poll_max(Duration::from_millis(5), 1).unwrap();
        match catch_unwind(AssertUnwindSafe(polled)) {
            Ok(polled) => read.extend(polled.records(&("u", 0).into()).iter().map(|r| r.offset())),
            Err(_) => panicked += 1,
        }
        !read.is_empty() && consumer.assignment().unwrap() == [("t", 0).into(), ("u", 0).into()]
    });
    assert_eq!((panicked, read), (1, vec![2]), "the news came in time to say where to begin");
    let heard = listener.heard();
    assert!(heard.contains(&"assigned u-0".to_owned()), "{heard:?}");
    assert_eq!(heard.iter().filter(|h| *h == "revoked t-1").count(), 1, "{heard:?}");
}

#[test]
fn fault_247_a_listener_that_panics_in_unsubscribe_and_in_close_is_not_told_again() {
    let broker = broker_with(1, 3);
    let listener = Panics::at("revoked");
    let consumer = subscribed(&broker, &listener);
    take(&consumer, 1);
    assert!(panics(|| consumer.close()));
    consumer.close().unwrap();
    assert!(matches!(consumer.poll(LONG), Err(kafka_blocking::Error::Closed)));
    assert_eq!(listener.heard(), ["assigned t-0", "revoked t-0"]);
    broker.wait_for_group(GROUP, |group| group.members.is_empty());
    assert_eq!(count::<LeaveGroupRequest>(&broker), 1);

    let listener = Panics::at("revoked");
    let consumer = subscribed(&broker, &listener);
    take(&consumer, 1);
    assert!(panics(|| consumer.unsubscribe()));
    consumer.unsubscribe().unwrap();
    assert_eq!(listener.heard(), ["assigned t-0", "revoked t-0"]);
    broker.wait_for_group(GROUP, |group| group.members.is_empty());
    consumer.assign([("t", 0)]).unwrap();
    assert_eq!(take(&consumer, 1)[0].offset(), 0);
}

#[test]
fn fault_247_a_callback_that_panics_does_not_lose_the_rest() {
    let broker = broker_with(1, 9);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 9);
    let (told, outcomes) = mpsc::channel();
    let commit = |offset: i64| {
        let told = told.clone();
        let callback = move |_: &BTreeMap<_, _>, result: Result<(), _>| {
            told.send((offset, result.is_ok())).unwrap();
            assert_ne!(offset, 2, "the test panics, as it shall");
        };
        consumer.commit_offsets_async_then([(("t", 0), offset)], callback).map(drop).unwrap();
    };
    // All in one request, so that all of them come in one go.
    broker.on::<OffsetCommitRequest>().once().delay(Duration::from_millis(40));
    (1..=5).for_each(commit);
    let (mut all, mut panicked) = (Vec::new(), 0);
    wait_until("all callbacks", || {
        panicked += usize::from(panics(|| consumer.poll(Duration::from_millis(5))));
        all.extend(outcomes.try_iter());
        all.len() == 5
    });
    assert_eq!(panicked, 1);
    assert_eq!(all, [(1, true), (2, true), (3, true), (4, true), (5, true)]);
    // And nothing is in the way of the next ones.
    append(&broker, 0, 1);
    assert_eq!(take(&consumer, 1)[0].offset(), 9);
    consumer.commit().unwrap();
    assert_eq!(committed(&broker, 0), Some(10));
}

#[test]
fn fault_247_a_callback_that_panics_inside_a_commit_leaves_the_commit_stored() {
    let broker = broker_with(1, 9);
    let consumer = manual(&broker).build().unwrap();
    take(&consumer, 9);
    let (told, outcomes) = mpsc::channel();
    broker.on::<OffsetCommitRequest>().once().delay(Duration::from_millis(40));
    consumer.commit_async_then(|_, _| panic!("the test panics, as it shall")).unwrap();
    consumer.commit_async_then(move |_, result| told.send(result.is_ok()).unwrap()).unwrap();
    let panicked = panics(|| consumer.commit());
    consumer.commit().unwrap();
    assert!(panicked);
    assert_eq!(outcomes.try_iter().collect::<Vec<_>>(), [true]);
    assert_eq!(committed(&broker, 0), Some(9));
}

#[test]
fn fault_247_a_default_callback_that_panics_costs_no_record_and_no_commit() {
    let broker = broker_with(1, 9);
    let panicked = AtomicUsize::new(0);
    let consumer = automatic(&broker)
        .default_offset_commit_callback(move |_, _| {
            if panicked.fetch_add(1, Ordering::Relaxed) == 0 {
                panic!("the test panics, as it shall");
            }
        })
        .build()
        .unwrap();
    let (mut seen, mut panics_seen) = (Vec::new(), 0);
    wait_until("all records and a panic", || {
        let polled = catch_unwind(AssertUnwindSafe(|| {
            consumer.poll_max(Duration::from_millis(5), 1).unwrap()
        }));
        match polled {
            Ok(polled) => seen.extend(offsets(polled.records(&("t", 0).into()))),
            Err(_) => panics_seen += 1,
        }
        seen.len() == 9 && panics_seen > 0
    });
    assert_eq!((seen, panics_seen), ((0..9).collect(), 1));
    consumer.close().unwrap();
    assert_eq!(committed(&broker, 0), Some(9));
}

// Assignors

/// Gives everything to the first member, and panics the first time that it is asked something.
struct Assignor {
    panics_at: &'static str,
    asked: AtomicUsize,
}

impl Assignor {
    fn ask(&self, what: &str) {
        if self.panics_at == what && self.asked.fetch_add(1, Ordering::Relaxed) == 0 {
            panic!("the test panics, as it shall");
        }
    }
}

impl PartitionAssignor for Assignor {
    fn name(&self) -> &'static str {
        "own"
    }

    fn user_data(&self, _: &BTreeSet<Arc<str>>) -> Option<Vec<u8>> {
        self.ask("user_data");
        None
    }

    fn assign(
        &self,
        topics: &BTreeMap<Arc<str>, i32>,
        members: &[GroupMember],
    ) -> Result<BTreeMap<String, Vec<TopicPartition>>, BoxError> {
        self.ask("assign");
        let all = topics
            .iter()
            .flat_map(|(topic, count)| (0..*count).map(|p| TopicPartition::new(topic.clone(), p)));
        Ok(BTreeMap::from([(members[0].member_id().to_owned(), all.collect())]))
    }

    fn on_assignment(&mut self, _: &[TopicPartition], _: i32) {
        self.ask("on_assignment");
    }
}

#[test]
fn fault_247_an_assignor_that_panics_once_is_asked_again_and_the_listener_hears_of_what_comes() {
    for panics_at in ["user_data", "assign", "on_assignment"] {
        let broker = broker_with(2, 3);
        let strategy = AssignmentStrategy::new()
            .with_assignor(move || Assignor { panics_at, asked: 0.into() });
        let listener = Panics { seek: Some(2), ..Panics::at("never") };
        let consumer = builder(&broker)
            .enable_auto_commit(false)
            .partition_assignment_strategy(strategy)
            .build()
            .unwrap();
        consumer.subscribe_with(["t"], listener.clone()).unwrap();
        assert!(panics(|| consumer.poll(LONG)), "{panics_at}");
        let first: Vec<_> =
            take(&consumer, 2).iter().map(|r| (r.partition(), r.offset())).collect();
        assert_eq!(BTreeSet::from_iter(first), BTreeSet::from([(0, 2), (1, 2)]), "{panics_at}");
        assert_eq!(listener.heard(), ["assigned t-0 t-1"], "{panics_at}");
    }
}
