//! Which way of rebalancing the assignors of a member agree on.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use kafka_blocking::{
    AssignmentStrategy, BoxError, ConsumerBuilder, ConsumerRebalanceListener, Error, GroupMember,
    GroupState, KafkaConsumer, PartitionAssignor, RebalanceProtocol, TopicPartition,
    protocol::join_group::JoinGroupRequest,
};
use scripted_broker::{MemberScript, ScriptedBroker};

use crate::{
    GROUP, builder,
    support::{broker_with, take, wait_until},
};

/// Writes down how many partitions are taken from it at a time.
#[derive(Clone, Default)]
struct Revoked(Arc<Mutex<Vec<usize>>>);

impl ConsumerRebalanceListener for Revoked {
    fn on_partitions_revoked(
        &mut self,
        _: &KafkaConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), BoxError> {
        self.0.lock().unwrap().push(partitions.len());
        Ok(())
    }
}

fn member(broker: &ScriptedBroker, strategy: &str) -> ConsumerBuilder {
    builder(broker).partition_assignment_strategy(strategy).enable_auto_commit(false)
}

/// What is revoked of four partitions when a second member comes with these assignors.
fn revoked_with(strategy: &str, other: &[&str]) -> (Vec<usize>, String) {
    let broker = broker_with(4, 1);
    let revoked = Revoked::default();
    let consumer = member(&broker, strategy).build().unwrap();
    consumer.subscribe_with(["t"], revoked.clone()).unwrap();
    take(&consumer, 4);
    broker.group(GROUP).add(MemberScript::new(["t"]).protocols(other.iter().copied()));
    wait_until("half of the partitions", || {
        consumer.poll(Duration::from_millis(5)).unwrap();
        consumer.assignment().unwrap().len() == 2
    });
    let names = broker.requests_of::<JoinGroupRequest>().pop().unwrap().protocols;
    let names: Vec<String> = names.into_iter().map(|p| p.name).collect();
    let counts = revoked.0.lock().unwrap().clone();
    (counts, names.join(","))
}

#[test]
fn behaviour_69_a_list_with_an_eager_assignor_is_eager_as_a_rolling_change_needs() {
    let (revoked, names) = revoked_with("range,cooperative-sticky", &["range"]);
    assert_eq!((revoked, names.as_str()), (vec![4], "range,cooperative-sticky"));
    // Also where cooperative-sticky is what the group chooses.
    let both = "cooperative-sticky,range";
    let (revoked, _) = revoked_with(both, &["cooperative-sticky"]);
    assert_eq!(revoked[0], 4);
}

#[test]
fn behaviour_69_a_cooperative_assignor_alone_gives_back_only_what_moves() {
    let (revoked, _) = revoked_with("cooperative-sticky", &["cooperative-sticky"]);
    assert_eq!(revoked, [2]);
}

/// An assignor that is only cooperative.
struct OnlyCooperative;

impl PartitionAssignor for OnlyCooperative {
    fn name(&self) -> &'static str {
        "only-cooperative"
    }

    fn protocols(&self) -> &[RebalanceProtocol] {
        &[RebalanceProtocol::Cooperative]
    }

    fn assign(
        &self,
        _: &BTreeMap<Arc<str>, i32>,
        _: &[GroupMember],
    ) -> Result<BTreeMap<String, Vec<TopicPartition>>, BoxError> {
        Err("never asked".into())
    }
}

#[test]
fn behaviour_69_assignors_without_a_common_protocol_are_an_error_of_the_configuration() {
    let broker = broker_with(1, 1);
    let strategy = AssignmentStrategy::new().with_assignor(|| OnlyCooperative).with("range");
    let result = builder(&broker).partition_assignment_strategy(strategy).build();
    let Err(Error::Configuration(error)) = result else { panic!("{result:?}") };
    assert_eq!(error.option, "partition_assignment_strategy");
    let text = error.to_string();
    assert!(["only-cooperative", "range"].iter().all(|name| text.contains(name)), "{text}");
    assert_eq!(broker.connections(1), 0, "before anything is sent");
}

#[test]
fn the_leaders_assignor_is_told_who_is_static_and_of_data_only_where_there_are_any() {
    type Told = Arc<Mutex<Vec<(Option<String>, Option<Vec<u8>>)>>>;

    /// Writes down what it is told of members.
    struct Listens(Told);

    impl PartitionAssignor for Listens {
        fn name(&self) -> &'static str {
            "listens"
        }

        fn assign(
            &self,
            _: &BTreeMap<Arc<str>, i32>,
            members: &[GroupMember],
        ) -> Result<BTreeMap<String, Vec<TopicPartition>>, BoxError> {
            let said = |m: &GroupMember| {
                (m.group_instance_id().map(str::to_owned), m.user_data().map(<[u8]>::to_vec))
            };
            self.0.lock().unwrap().extend(members.iter().map(said));
            Ok(BTreeMap::new())
        }
    }

    let broker = broker_with(1, 1);
    let told = Told::default();
    let written = told.clone();
    let strategy = AssignmentStrategy::new().with_assignor(move || Listens(written.clone()));
    let consumer = builder(&broker)
        .group_instance_id("one")
        .partition_assignment_strategy(strategy)
        .build()
        .unwrap();
    consumer.subscribe(["t"]).unwrap();
    wait_until("a generation", || {
        consumer.poll(Duration::from_millis(20)).unwrap();
        consumer.group_metadata().unwrap().state == GroupState::Stable
    });
    assert_eq!(*told.lock().unwrap(), [(Some("one".to_owned()), None)]);
}

#[test]
fn an_assignor_that_fails_is_an_error_of_poll_and_the_group_goes_on_with_the_next_try() {
    /// Fails once.
    struct Fails(std::sync::atomic::AtomicBool);

    impl PartitionAssignor for Fails {
        fn name(&self) -> &'static str {
            "fails-once"
        }

        fn assign(
            &self,
            topics: &BTreeMap<Arc<str>, i32>,
            members: &[GroupMember],
        ) -> Result<BTreeMap<String, Vec<TopicPartition>>, BoxError> {
            if !self.0.swap(true, std::sync::atomic::Ordering::Relaxed) {
                return Err("no idea yet".into());
            }
            let all = topics.iter().flat_map(|(topic, count)| {
                (0..*count).map(|p| TopicPartition::new(topic.clone(), p))
            });
            Ok(BTreeMap::from([(members[0].member_id().to_owned(), all.collect())]))
        }
    }

    let broker = broker_with(2, 1);
    let strategy = AssignmentStrategy::new().with_assignor(|| Fails(false.into()));
    let consumer = builder(&broker).partition_assignment_strategy(strategy).build().unwrap();
    consumer.subscribe(["t"]).unwrap();
    let mut errors = Vec::new();
    wait_until("partitions", || {
        errors.extend(consumer.poll(Duration::from_millis(20)).err());
        consumer.assignment().unwrap().len() == 2
    });
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].to_string().contains("no idea yet"), "{errors:?}");
}
