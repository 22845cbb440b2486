//! A consumer alone in its group, from the first poll to the last.

use std::time::Duration;

use kafka_blocking::{GroupState, KafkaConsumer};
use scripted_broker::ScriptedBroker;

const WAIT: Duration = Duration::from_secs(10);

fn consumer(broker: &ScriptedBroker, group: &str) -> KafkaConsumer {
    KafkaConsumer::builder()
        .bootstrap_servers(broker.address())
        .auto_offset_reset("earliest")
        .group_id(group)
        .topics("t")
        .build()
        .expect("the broker answers")
}

#[test]
fn a_member_joins_reads_commits_and_leaves() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 2);
    broker.append("t", 0, ["a", "b", "c"]);
    let first = consumer(&broker, "g");
    assert_eq!(first.group_metadata().unwrap().state, GroupState::Unjoined);
    let mut got = 0;
    while got < 3 {
        got += first.poll(WAIT).unwrap().count();
    }
    assert_eq!(first.group_metadata().unwrap().state, GroupState::Stable);
    assert_eq!(first.assignment().unwrap().len(), 2);
    first.commit().unwrap();
    assert_eq!(first.committed(("t", 0)).unwrap(), Some(3));
    broker.append("t", 0, ["d"]);
    assert_eq!(first.next().unwrap().unwrap().offset(), 3);
    first.close().unwrap();

    let second = consumer(&broker, "g");
    broker.append("t", 0, ["e"]);
    assert_eq!(second.next().unwrap().unwrap().offset(), 4, "close() committed what was read");
}
