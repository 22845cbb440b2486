//! The in-process broker serves clients that owe our code nothing, as they are.

use kafka_blocking::testing::ScriptedBroker;
use kafka_blocking_integration::run_with_kafka_python;
use serde_json::json;

#[test]
fn kafka_python_makes_a_topic_writes_it_in_every_way_reads_it_in_a_group_and_deletes_it() {
    let broker = ScriptedBroker::cluster(2);
    let said = run_with_kafka_python("in_process.py", &[&broker.addresses()]);
    assert_eq!(said["read"], json!({ "one": 30, "none": 30, "all": 30, "committed": 10 }));
    assert_eq!((&said["groups"], &said["topics"]), (&json!(["g"]), &json!([])));
    let end = |topic: &str| broker.group("g").view().committed((topic, 0));
    // 30 records, and three transactions of five with a marker each.
    assert_eq!(end("made"), Some(30 + 3 * 6), "committed behind the last marker");
}
