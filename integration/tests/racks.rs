//! Whether a consumer with a rack reads from the replica there, by the brokers' own count, and loses nothing when that fails.
mod following;

use std::{
    sync::{Mutex, MutexGuard, OnceLock},
    time::{Duration, Instant},
};

use following::{Following, assert_each_once_in_order};
use kafka_blocking::KafkaConsumer;
use kafka_blocking_integration::{Cluster, LogsOnFailure};

#[test]
fn a_silent_replica_of_the_rack_is_left_for_the_leader() {
    let run = Run::new("silent");
    run.cluster.pause(REPLICA);
    run.assert_is_read_from(LEADER);
    run.cluster.resume(REPLICA);
    run.wait_until_all_in_sync();
    run.finish();
}

#[test]
fn a_killed_replica_of_the_rack_is_left_for_the_leader() {
    let run = Run::new("killed");
    run.cluster.kill(REPLICA);
    run.assert_is_read_from(LEADER);
    run.cluster.start(REPLICA);
    run.wait_until_all_in_sync();
    run.finish();
}

#[test]
fn a_new_leader_is_asked_for_the_replica_of_the_rack() {
    let run = Run::new("moved");
    for partition in 0..=PARTITIONS {
        run.cluster.java().move_leader(run.topic, partition, OTHER);
    }
    run.assert_is_read_from(REPLICA);
    assert_eq!(run.cluster.java().leader(run.topic, 0), Some(OTHER));
    run.finish();
}

#[test]
fn a_replica_of_the_rack_that_becomes_the_leader_is_read_from_as_before() {
    let run = Run::new("elected");
    for partition in 0..=PARTITIONS {
        run.cluster.java().move_leader(run.topic, partition, REPLICA);
    }
    run.assert_is_read_from(REPLICA);
    run.cluster.pause(REPLICA);
    run.wait_for_records(2_000);
    run.cluster.resume(REPLICA);
    run.wait_until_all_in_sync();
    run.finish();
}

/// A topic that node 1 leads, written to all the time, and read by a consumer in the rack of node 2.
struct Run {
    topic: &'static str,
    cluster: &'static Cluster,
    following: Following,
    _logs: LogsOnFailure<'static>,
    _turn: MutexGuard<'static, ()>,
}

impl Run {
    fn new(topic: &'static str) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        let turn = TURN.lock().unwrap_or_else(|poison| poison.into_inner());
        let cluster = CLUSTER.get_or_init(|| Cluster::release("4.4.0").nodes(3).start());
        let _logs = cluster.logs_on_failure();
        let java = cluster.java();
        java.connect_to_all_nodes();
        // One partition stays empty.
        let replicas = [&[LEADER, REPLICA, OTHER][..]; PARTITIONS as usize + 1];
        java.create_topic_on(topic, &replicas, &[]);
        java.start_writer(topic, PARTITIONS, 1_000);
        let consumer = KafkaConsumer::builder().bootstrap_servers(cluster.bootstrap());
        let following = Following::start(consumer.topics(topic).client_rack("rack2"));
        let run = Self { topic, cluster, following, _logs, _turn: turn };
        run.assert_is_read_from(REPLICA);
        run
    }

    /// Waits until a node sends records and says that it was the only one to send any, of those that answer.
    fn assert_is_read_from(&self, node: i32) {
        let begin = Instant::now();
        let others: Vec<i32> = [LEADER, OTHER].into_iter().filter(|other| *other != node).collect();
        loop {
            let sent = self.cluster.bytes_out(node, self.topic);
            let by_others = self.sent(&others);
            self.wait_for_records(1_000);
            let sent = self.cluster.bytes_out(node, self.topic) - sent;
            let by_others: Vec<i64> =
                self.sent(&others).iter().zip(&by_others).map(|(now, then)| now - then).collect();
            println!(
                "{}, {:?}: node {node} sent {sent} bytes, {others:?} {by_others:?}",
                self.topic,
                begin.elapsed()
            );
            if sent > 10_000 && by_others.iter().all(|bytes| *bytes == 0) {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "it is not read from node {node}");
        }
    }

    fn sent(&self, nodes: &[i32]) -> Vec<i64> {
        nodes.iter().map(|node| self.cluster.bytes_out(*node, self.topic)).collect()
    }

    fn wait_until_all_in_sync(&self) {
        let patience = Instant::now() + PATIENCE;
        while self.cluster.java().describe(self.topic).iter().any(|state| state.in_sync.len() < 3) {
            assert!(Instant::now() < patience, "a node did not catch up");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until this many more records have been read.
    fn wait_for_records(&self, more: usize) {
        self.following.wait_for(self.following.count() + more, PATIENCE);
    }

    fn finish(self) {
        self.wait_for_records(1_000);
        let acknowledged = self.cluster.java().stop_writer(self.topic);
        let received = self.following.finish(acknowledged.len());
        assert_each_once_in_order(&acknowledged, &received);
    }
}

const LEADER: i32 = 1;
const REPLICA: i32 = 2;
const OTHER: i32 = 3;
const PARTITIONS: i32 = 3;
const PATIENCE: Duration = Duration::from_secs(60);
