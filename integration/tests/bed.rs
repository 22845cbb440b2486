//! Whether the bed itself holds: brokers that do what their guard says, and go away with it.
use std::path::PathBuf;

use kafka_blocking_integration::Cluster;
use serde_json::json;

#[test]
fn brokers_go_away_with_their_guard_and_leave_nothing() {
    let cluster = Cluster::release("4.4.0").set("num.partitions", "7").start();
    let process = PathBuf::from(format!("/proc/{}", cluster.pid(1)));
    assert!(process.exists());
    cluster.java().create_topic("seven", -1, 1, &[]);
    assert_eq!(cluster.java().describe("seven").len(), 7, "the broker got its setting");
    drop(cluster);
    assert!(!process.exists());
}

#[test]
fn a_node_can_be_killed_started_paused_resumed_and_restarted() {
    let cluster = Cluster::release("4.4.0").start();
    let java = cluster.java();
    java.create_topic("t", 1, 1, &[]);
    let mut written = Vec::new();
    let mut write = || written.extend(java.produce("t", &json!([{"value": "x"}]), &[]));
    write();
    let before = cluster.pid(1);
    cluster.kill(1);
    cluster.start(1);
    assert_ne!(cluster.pid(1), before);
    write();
    cluster.pause(1);
    cluster.resume(1);
    write();
    cluster.restart(1);
    write();
    assert_eq!(written, [(0, 0), (0, 1), (0, 2), (0, 3)]);
}
