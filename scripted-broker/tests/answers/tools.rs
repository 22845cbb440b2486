//! What tools get that make topics, delete them or what is in them, and look at the cluster and its groups.

use kafka_blocking::{
    ErrorCode,
    protocol::{
        create_topics::{CreatableTopic, CreateTopicsRequest},
        delete_groups::DeleteGroupsRequest,
        delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic},
        delete_topics::{DeleteTopicState, DeleteTopicsRequest},
        describe_cluster::DescribeClusterRequest,
        describe_configs::{DescribeConfigsRequest, DescribeConfigsResource},
        describe_groups::DescribeGroupsRequest,
        list_groups::ListGroupsRequest,
    },
};
use scripted_broker::{MemberScript, ScriptedBroker};

use crate::support::Client;

fn create(client: &mut Client, version: i16, name: &str, partitions: i32) -> ErrorCode {
    let topic =
        CreatableTopic { name: name.into(), num_partitions: partitions, ..Default::default() };
    let response =
        client.ask(version, &CreateTopicsRequest { topics: vec![topic], ..Default::default() });
    ErrorCode(response.topics[0].error_code)
}

#[test]
fn topics_are_made_and_deleted_in_every_version() {
    let broker = ScriptedBroker::cluster(2);
    let mut client = Client::to(&broker);
    for version in 0..=7 {
        assert_eq!(create(&mut client, version, "new", 3), ErrorCode::NONE, "v{version}");
        let (id, count) = broker.with_state(|state| {
            let topic = &state.topics["new"];
            (topic.id, topic.partitions.len())
        });
        assert_eq!(count, 3);
        let by_id = DeleteTopicState { name: None, topic_id: id };
        let request = DeleteTopicsRequest {
            topics: if version >= 6 { vec![by_id] } else { vec![] },
            topic_names: vec!["new".into()],
            ..Default::default()
        };
        let response = client.ask(version.min(6), &request);
        assert_eq!(response.responses[0].error_code, 0, "v{version}");
        assert!(broker.with_state(|state| state.topics.is_empty()));
        let again = client.ask(version.min(6), &request);
        assert_ne!(again.responses[0].error_code, 0, "v{version}");
    }
}

#[test]
fn topics_that_cannot_be_are_refused_whatever_is_asked_for() {
    let broker = ScriptedBroker::start();
    let mut client = Client::to(&broker);
    assert_eq!(create(&mut client, 7, "t", -1), ErrorCode::NONE);
    assert_eq!(broker.with_state(|state| state.topics["t"].partitions.len()), 1);
    assert_eq!(create(&mut client, 7, "t", 1), ErrorCode::TOPIC_ALREADY_EXISTS);
    assert_eq!(create(&mut client, 7, "no/name", 1), ErrorCode::INVALID_TOPIC_EXCEPTION);
    for partitions in [0, -2, 10_001, i32::MAX] {
        assert_eq!(create(&mut client, 7, "u", partitions), ErrorCode::INVALID_PARTITIONS);
    }
    for n in 1..255 {
        assert_eq!(create(&mut client, 7, &format!("t{n}"), 1), ErrorCode::NONE, "{n}");
    }
    assert_eq!(create(&mut client, 7, "one too many", 1), ErrorCode::INVALID_TOPIC_EXCEPTION);
    assert_eq!(create(&mut client, 7, "one-too-many", 1), ErrorCode::POLICY_VIOLATION);
}

#[test]
fn records_are_deleted_up_to_an_offset_or_all_of_them() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    for value in ["a", "b", "c"] {
        broker.append("t", 0, [value]);
    }
    let mut client = Client::to(&broker);
    for (offset, expected) in
        [(1, Ok(1)), (9, Err(ErrorCode::OFFSET_OUT_OF_RANGE)), (-1, Ok(3)), (2, Ok(3))]
    {
        let partition = DeleteRecordsPartition { partition_index: 0, offset };
        let topic = DeleteRecordsTopic { name: "t".into(), partitions: vec![partition] };
        let request = DeleteRecordsRequest { topics: vec![topic], timeout_ms: 1000 };
        let response = client.ask(2, &request);
        let result = &response.topics[0].partitions[0];
        let got = match ErrorCode(result.error_code) {
            ErrorCode::NONE => Ok(result.low_watermark),
            code => Err(code),
        };
        assert_eq!(got, expected, "{offset}");
    }
}

#[test]
fn the_cluster_is_described_as_it_is() {
    let broker = ScriptedBroker::cluster(3);
    let mut client = Client::to(&broker);
    let cluster = client.ask(2, &DescribeClusterRequest::default());
    let ports: Vec<i32> = cluster.brokers.iter().map(|b| b.port).collect();
    let expected: Vec<i32> = (1..=3).map(|n| broker.address_of(n).port().into()).collect();
    assert_eq!((ports, cluster.controller_id), (expected, 1));
    let resource = DescribeConfigsResource {
        resource_type: 2,
        resource_name: "t".into(),
        ..Default::default()
    };
    let asked = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let configs = client.ask(4, &asked);
    assert_eq!((configs.results[0].error_code, configs.results[0].resource_type), (0, 2));
}

#[test]
fn groups_are_listed_described_and_deleted_where_they_are_coordinated() {
    let broker = ScriptedBroker::cluster(2);
    broker.create_topic("t", 2);
    let member = broker.group("g").add(MemberScript::new(["t"]));
    broker.group("g").set_coordinator(1);
    let (mut here, mut elsewhere) = (Client::to(&broker), Client::connect(broker.address_of(2)));
    let list = |client: &mut Client, states: &[&str]| {
        let states_filter = states.iter().map(|s| (*s).to_owned()).collect();
        let asked = ListGroupsRequest { states_filter, ..Default::default() };
        let found = client.ask(4, &asked).groups;
        found.into_iter().map(|g| (g.group_id, g.group_state)).collect::<Vec<_>>()
    };
    broker.wait_for_group("g", |group| group.is_stable_with(1));
    assert_eq!(list(&mut here, &[]), [("g".to_owned(), "Stable".to_owned())]);
    assert_eq!(list(&mut here, &["empty"]), []);
    assert_eq!(list(&mut elsewhere, &[]), []);
    let describe = |client: &mut Client| {
        let asked = DescribeGroupsRequest { groups: vec!["g".into()], ..Default::default() };
        client.ask(5, &asked).groups.remove(0)
    };
    let group = describe(&mut here);
    assert_eq!((group.error_code, group.group_state.as_str()), (0, "Stable"));
    assert_eq!((group.protocol_type.as_str(), group.members.len()), ("consumer", 1));
    assert!(!group.members[0].member_assignment.is_empty());
    assert_eq!(ErrorCode(describe(&mut elsewhere).error_code), ErrorCode::NOT_COORDINATOR);
    let delete = |client: &mut Client| {
        let asked = DeleteGroupsRequest { groups_names: vec!["g".into()] };
        ErrorCode(client.ask(2, &asked).results[0].error_code)
    };
    assert_eq!(delete(&mut here), ErrorCode::NON_EMPTY_GROUP);
    broker.group("g").leave(member);
    assert_eq!(delete(&mut here), ErrorCode::NONE);
    assert_eq!(delete(&mut here), ErrorCode::GROUP_ID_NOT_FOUND);
}
