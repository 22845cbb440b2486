//! The in-process broker serves clients that owe our code nothing, as they are.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use kafka_blocking::testing::{GroupState, ScriptedBroker};
use kafka_blocking_integration::{ConsoleConsumer, run_console_tool, run_with_kafka_python};
use serde_json::json;

#[test]
fn kafka_python_makes_a_topic_writes_it_in_every_way_shares_it_in_a_group_and_deletes_it() {
    let broker = ScriptedBroker::cluster(2);
    let said = run_with_kafka_python("in_process.py", &[&broker.addresses()]);
    assert_eq!(said["read"], json!({ "one": 30, "none": 30, "all": 30, "committed": 10 }));
    assert_eq!(said["shared"], json!([90 + 15 + 30, 30, 30]));
    assert_eq!((&said["groups"], &said["topics"]), (&json!(["g", "shared"]), &json!([])));
    let end = |topic: &str| broker.group("g").view().committed((topic, 0));
    // 30 records, and three transactions of five with a marker each.
    assert_eq!(end("made"), Some(30 + 3 * 6), "committed behind the last marker");
}

#[test]
fn kafkas_console_tools_make_a_topic_write_it_share_it_and_go_on_where_they_were() {
    let broker = ScriptedBroker::cluster(2);
    let servers = broker.addresses();
    let tool = |class: &str, arguments: &[&str], input: &str| {
        let arguments = [&["--bootstrap-server", servers.as_str()], arguments].concat();
        let printed = run_console_tool(class, &arguments, input);
        assert!(printed.success, "{class} {arguments:?}: {}{}", printed.output, printed.errors);
        printed.output
    };
    let write = |numbers: std::ops::Range<u32>| {
        let lines: String = numbers.map(|n| format!("{n}:{n}\n")).collect();
        let properties = ["parse.key=true", "--reader-property", "key.separator=:"];
        let arguments = [&["--topic", "t", "--reader-property"][..], &properties].concat();
        tool("ConsoleProducer", &arguments, &lines);
    };

    tool("TopicCommand", &["--create", "--topic", "t", "--partitions", "4"], "");
    assert_eq!(tool("TopicCommand", &["--list"], "").trim(), "t");
    let described = tool("TopicCommand", &["--describe", "--topic", "t"], "");
    assert!(described.contains("PartitionCount: 4\tReplicationFactor: 2"), "{described}");
    assert_eq!(described.matches("Leader: ").count(), 4, "{described}");

    write(0..100);
    let consumer = || {
        let arguments = ["--bootstrap-server", &servers, "--topic", "t", "--group", "g"];
        ConsoleConsumer::start(&[&arguments[..], &["--from-beginning"]].concat())
    };
    let first = consumer();
    assert_eq!(read(&[&first], 100), numbers(0..100));
    let second = consumer();
    broker.wait_for_group("g", |group| group.is_stable_with(2));
    write(100..200);
    assert_eq!(read(&[&first, &second], 100), numbers(100..200));
    let group = tool("consumer.group.ConsumerGroupCommand", &["--list"], "");
    assert_eq!(group.trim(), "g");
    let group = tool("consumer.group.ConsumerGroupCommand", &["--describe", "--group", "g"], "");
    // A line for each partition, with its member, behind the header.
    assert_eq!(
        group.lines().filter(|line| line.contains("console-consumer")).count(),
        4,
        "{group}"
    );

    assert_eq!(second.stop(), [] as [String; 0]);
    broker.wait_for_group("g", |group| group.is_stable_with(1));
    write(200..240);
    assert_eq!(read(&[&first], 40), numbers(200..240));
    assert_eq!(first.stop(), [] as [String; 0]);
    let group = broker.wait_for_group("g", |group| group.state == GroupState::Empty);
    assert_eq!((0..4).filter_map(|p| group.committed(("t", p))).sum::<i64>(), 240);

    write(240..250);
    let group = tool("consumer.group.ConsumerGroupCommand", &["--describe", "--group", "g"], "");
    let lag = |line: &str| line.split_whitespace().nth(5).and_then(|lag| lag.parse::<i64>().ok());
    assert_eq!(group.lines().filter_map(lag).sum::<i64>(), 10, "{group}");
    assert_eq!(read(&[&consumer()], 10), numbers(240..250));
}

/// Reads so many numbers, each of them once.
fn read(consumers: &[&ConsoleConsumer], count: usize) -> BTreeSet<u32> {
    let (mut got, begin) = (BTreeSet::new(), Instant::now());
    while got.len() < count {
        for line in consumers.iter().filter_map(|c| c.line(Duration::from_millis(10))) {
            let number = line.parse().expect("it prints values, which are numbers");
            assert!(got.insert(number), "{number} comes twice");
        }
        assert!(begin.elapsed() < PATIENCE, "{} of {count} came", got.len());
    }
    got
}

fn numbers(range: std::ops::Range<u32>) -> BTreeSet<u32> {
    range.collect()
}

const PATIENCE: Duration = Duration::from_secs(60);
