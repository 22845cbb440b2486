//! Topics that come, go, are Kafka's own, or may not be seen.

use kafka_blocking::{
    ErrorCode,
    protocol::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse},
    wire::Uuid,
};
use scripted_broker::ScriptedBroker;

use crate::{
    ask_one,
    support::{Client, fetch},
};

fn names(response: &MetadataResponse) -> Vec<&str> {
    response.topics.iter().map(|t| t.name.as_deref().unwrap()).collect()
}

fn code(client: &mut Client, name: &str) -> ErrorCode {
    ErrorCode(client.ask(12, &MetadataRequest::topics([name])).topics[0].error_code)
}

#[test]
fn all_topics_are_told_and_which_of_them_are_internal() {
    let broker = ScriptedBroker::start();
    let mut client = Client::to(&broker);
    for name in ["t", "__consumer_offsets", "__transaction_state", "u"] {
        broker.create_topic(name, 1);
    }
    for version in 0..=13 {
        let response = client.ask(version, &MetadataRequest::all_topics());
        let all = ["__consumer_offsets", "__transaction_state", "t", "u"];
        assert_eq!(names(&response), all, "v{version}");
        let internal: Vec<bool> = response.topics.iter().map(|t| t.is_internal).collect();
        assert_eq!(internal, [version >= 1, version >= 1, false, false], "v{version}");
    }
    let none = MetadataRequest { topics: Some(vec![]), ..MetadataRequest::default() };
    assert_eq!(names(&client.ask(1, &none)), [] as [&str; 0]);
}

#[test]
fn topics_come_grow_and_go_at_any_time() {
    let broker = ScriptedBroker::cluster(2);
    let mut client = Client::to(&broker);
    assert_eq!(code(&mut client, "t"), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    broker.create_topic("t", 1);
    broker.with_state(|state| state.add_partitions("t", 2));
    let response = client.ask(12, &MetadataRequest::topics(["t"]));
    let leaders: Vec<i32> = response.topics[0].partitions.iter().map(|p| p.leader_id).collect();
    assert_eq!(leaders, [1, 2, 1]);
    broker.delete_topic("t");
    assert_eq!(code(&mut client, "t"), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let by_id = ask_one(&mut client, 13, &fetch(13, &[(0, 0)]));
    assert_eq!(by_id.error_code, ErrorCode::UNKNOWN_TOPIC_ID.0);
    let topic = MetadataRequestTopic { topic_id: Uuid([1; 16]), name: None };
    let request = MetadataRequest { topics: Some(vec![topic]), ..MetadataRequest::default() };
    let gone = &client.ask(12, &request).topics[0];
    assert_eq!(gone.error_code, ErrorCode::UNKNOWN_TOPIC_ID.0);
}

#[test]
fn names_that_no_topic_can_have_are_invalid() {
    let broker = ScriptedBroker::start();
    let mut client = Client::to(&broker);
    for name in ["a b", "..", "é", &"x".repeat(250)] {
        assert_eq!(code(&mut client, name), ErrorCode::INVALID_TOPIC_EXCEPTION, "{name}");
    }
    let longest = "x".repeat(249);
    assert_eq!(code(&mut client, &longest), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn a_topic_that_may_not_be_read_is_refused_by_name_and_hidden_among_all() {
    let broker = ScriptedBroker::start();
    let mut client = Client::to(&broker);
    broker.create_topic("t", 1);
    broker.create_topic("u", 1);
    let refused = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    broker.with_state(|state| state.topic_errors.insert("t".into(), refused));
    assert_eq!(code(&mut client, "t"), refused);
    assert_eq!(names(&client.ask(12, &MetadataRequest::all_topics())), ["u"]);
    for version in [4, 12, 13] {
        let data = ask_one(&mut client, version, &fetch(version, &[(0, 0)]));
        assert_eq!(data.error_code, refused.0, "v{version}");
    }
    broker.with_state(|state| state.topic_errors.clear());
    assert_eq!(code(&mut client, "t"), ErrorCode::NONE);
}
