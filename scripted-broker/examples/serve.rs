//! Scripted brokers for clients that are no Rust programs, until standard input ends.
//!
//! `cargo run -p kafka-blocking-scripted-broker --example serve -- NODES TOPIC PARTITIONS RECORDS` prints the bootstrap
//! servers. Each line of input is a group to tell about, `stop N`, `restart N`, or `rebalance GROUP`.

use std::io::BufRead;

use scripted_broker::ScriptedBroker;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [nodes, topic, partitions, records] = &arguments[..] else {
        panic!("say how many nodes, which topic, how many partitions, how many records in each");
    };
    let number = |text: &String| text.parse::<usize>().expect("a number");
    let broker = ScriptedBroker::cluster(number(nodes));
    broker.set_coordinator_failover(true);
    broker.create_topic(topic, number(partitions));
    for partition in 0..number(partitions) {
        let partition = i32::try_from(partition).expect("few partitions");
        for n in 0..number(records) {
            broker.append(topic, partition, [format!("{partition}-{n}").as_str()]);
        }
    }
    println!("{}", broker.addresses());
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("text");
        match line.split_once(' ') {
            Some(("stop", node)) => broker.stop(node.parse().expect("a node")),
            Some(("restart", node)) => broker.restart(node.parse().expect("a node")),
            Some(("rebalance", group)) => broker.group(group).trigger_rebalance(),
            _ => println!("{}", broker.group(&line).view()),
        }
    }
}
