//! Which rebalance protocol a list of assignors has in common.

use std::{collections::BTreeMap, sync::Arc};

use kafka_blocking::{
    AssignmentStrategy, BoxError, ConsumerBuilder, Error, GroupMember, PartitionAssignor,
    RebalanceProtocol::{self, Cooperative, Eager},
    TopicPartition,
    setting::Setting,
};

/// An assignor that has these protocols.
struct Own(&'static str, &'static [RebalanceProtocol]);

impl PartitionAssignor for Own {
    fn name(&self) -> &str {
        self.0
    }

    fn protocols(&self) -> &[RebalanceProtocol] {
        self.1
    }

    fn assign(
        &self,
        _: &BTreeMap<Arc<str>, i32>,
        _: &[GroupMember],
    ) -> Result<BTreeMap<String, Vec<TopicPartition>>, BoxError> {
        Err("never called here".into())
    }
}

/// The protocol of a group whose members have these assignors, or what is wrong with them.
fn protocol(list: impl Setting<AssignmentStrategy>) -> Result<RebalanceProtocol, String> {
    let builder = ConsumerBuilder::new().group_id("g").partition_assignment_strategy(list);
    match builder.resolve() {
        Ok(options) => Ok(options.group.expect("a group").protocol),
        Err(Error::Configuration(error)) => {
            assert_eq!(error.option, "partition_assignment_strategy");
            Err(error.to_string())
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn behaviour_69_the_highest_protocol_that_all_assignors_have_is_used() {
    for (list, expected) in [
        ("range", Eager),
        ("range,roundrobin,sticky", Eager),
        ("cooperative-sticky", Cooperative),
        // Java's default: a group of range can be changed to cooperative-sticky one member after the other.
        ("range,cooperative-sticky", Eager),
        ("cooperative-sticky,range", Eager),
    ] {
        assert_eq!(protocol(list), Ok(expected), "{list}");
    }
    let own = || AssignmentStrategy::new().with_assignor(|| Own("own", &[Cooperative]));
    assert_eq!(protocol(own()), Ok(Cooperative));
    assert_eq!(protocol(own().with("cooperative-sticky")), Ok(Cooperative));
    let in_any_order =
        || AssignmentStrategy::new().with_assignor(|| Own("own", &[Cooperative, Eager]));
    assert_eq!(protocol(in_any_order()), Ok(Cooperative));
    assert_eq!(protocol(in_any_order().with("range")), Ok(Eager));
}

#[test]
fn behaviour_69_assignors_without_a_common_protocol_are_refused() {
    let own = || AssignmentStrategy::new().with_assignor(|| Own("own", &[Cooperative]));
    let error = protocol(own().with("range")).unwrap_err();
    assert!(
        error.contains("own,range") && error.contains("no rebalance protocol in common"),
        "{error}"
    );
    let error = protocol(AssignmentStrategy::new().with_assignor(|| Own("own", &[]))).unwrap_err();
    assert!(error.contains("no rebalance protocol"), "{error}");
}

#[test]
fn a_list_that_cannot_be_joined_with_is_refused() {
    let error = protocol("").unwrap_err();
    assert!(error.contains("must name an assignor"), "{error}");
    let twice = AssignmentStrategy::new().with("range").with_assignor(|| Own("range", &[Eager]));
    let error = protocol(twice).unwrap_err();
    assert!(error.contains("names range twice"), "{error}");
    let long: &'static str = "x".repeat(32_768).leak();
    for name in ["", long] {
        let own = AssignmentStrategy::new().with_assignor(move || Own(name, &[Eager]));
        let error = protocol(own).unwrap_err();
        assert!(error.contains("must have 1 to 32767 bytes"), "{error}");
    }
    let own = AssignmentStrategy::new().with_assignor(move || Own(&long[1..], &[Eager]));
    assert_eq!(protocol(own), Ok(Eager));
}

#[test]
fn a_wrong_name_is_an_error_also_where_it_is_not_the_last() {
    for list in ["fair,range", "range,fair", " fair "] {
        let error = protocol(list).unwrap_err();
        assert!(error.starts_with("partition_assignment_strategy = \"fair\""), "{error}");
        assert!(error.contains("range, roundrobin, sticky, cooperative-sticky"), "{error}");
    }
    let error =
        protocol(AssignmentStrategy::new().with("fair").with("range").with("worse")).unwrap_err();
    assert!(error.contains("\"fair\""), "{error}");
    // A class of somebody's own is not taken for the one that is called like it.
    let error = protocol("com.example.RangeAssignor").unwrap_err();
    assert!(error.contains("com.example.RangeAssignor"), "{error}");
}

#[test]
fn every_assignor_is_known_by_the_names_of_kafka_python_and_java() {
    let names = |list: AssignmentStrategy| {
        list.assignors().iter().map(|assignor| assignor.name().to_owned()).collect::<Vec<_>>()
    };
    for (name, others) in [
        ("range", ["RangePartitionAssignor", "RangeAssignor"]),
        ("roundrobin", ["RoundRobinPartitionAssignor", "RoundRobinAssignor"]),
        ("sticky", ["StickyPartitionAssignor", "StickyAssignor"]),
        ("cooperative-sticky", ["CooperativeStickyAssignor", "cooperative_sticky"]),
    ] {
        assert_eq!(names(AssignmentStrategy::new().with(name)), [name]);
        assert_eq!(names(AssignmentStrategy::new().with(&name.to_uppercase())), [name]);
        for other in others {
            assert_eq!(names(AssignmentStrategy::new().with(other)), [name], "{other}");
        }
    }
    for class in ["Range", "RoundRobin", "Sticky", "CooperativeSticky"] {
        let class = format!("org.apache.kafka.clients.consumer.{class}Assignor");
        assert_eq!(names(AssignmentStrategy::new().with(&class)).len(), 1, "{class}");
    }
}
