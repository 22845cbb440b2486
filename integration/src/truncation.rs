//! A log that becomes shorter: records that a consumer has read are lost with their leader, and others take their offsets.
use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::cluster::Cluster;

/// A topic on nodes 1 and 2 of three, made so that an unclean election loses the last records of each partition.
///
/// Node 3 holds nothing: with it, either of the others is a majority of the controllers.
#[derive(Debug)]
pub struct Truncation<'a> {
    cluster: &'a Cluster,
    topic: String,
    partitions: i32,
}

impl<'a> Truncation<'a> {
    /// How many records of each partition are on both nodes: offsets from 0, values `kept 0` and so on.
    pub const KEPT: i64 = 10;
    /// How many more are on node 1 alone, and can be read until it is gone: `lost 10` and so on.
    pub const LOST: i64 = 20;

    /// Creates the topic; afterwards node 2 is down, and everything can be read from node 1.
    #[must_use]
    pub fn prepare(cluster: &'a Cluster, topic: &str, partitions: i32) -> Self {
        let java = cluster.java();
        java.connect_to_all_nodes();
        let replicas = (0..partitions).map(|_| &[OLD_LEADER, NEW_LEADER][..]).collect::<Vec<_>>();
        let configs = [("unclean.leader.election.enable", "true"), ("min.insync.replicas", "1")];
        java.create_topic_on(topic, &replicas, &configs);
        let this = Self { cluster, topic: topic.to_owned(), partitions };
        this.write("kept", 0, |_| Self::KEPT);
        this.wait("all to be in sync", |leader, in_sync| leader == Some(1) && in_sync == 2);
        cluster.stop(NEW_LEADER);
        this.wait("node 2 to be out", |leader, in_sync| leader == Some(1) && in_sync == 1);
        this.write("lost", Self::KEPT, |_| Self::LOST);
        this
    }

    /// Kills node 1 and starts node 2, which becomes the leader without the lost records, in about 7 s; writes this many
    /// others to each partition, from offset [`Self::KEPT`] on, values `other 10` and so on.
    pub fn happen(&self, others: &[i64]) {
        self.cluster.kill(OLD_LEADER);
        self.cluster.start(NEW_LEADER);
        self.wait("node 2 to lead", |leader, _| leader == Some(NEW_LEADER));
        self.write("other", Self::KEPT, |partition| others[partition]);
    }

    /// Starts node 1 again, and returns when it has dropped its lost records and is in sync.
    pub fn reunite(&self) {
        self.cluster.start(OLD_LEADER);
        self.wait("all to be in sync again", |_, in_sync| in_sync == 2);
    }

    fn write(&self, value: &str, from: i64, count: impl Fn(usize) -> i64) {
        let mut records = Vec::new();
        for partition in 0..self.partitions {
            let count = count(usize::try_from(partition).expect("it counts from 0"));
            for number in from..from + count {
                records.push(json!({"partition": partition, "value": format!("{value} {number}")}));
            }
        }
        if records.is_empty() {
            return;
        }
        let java = self.cluster.java();
        for (record, (_, offset)) in
            records.iter().zip(java.produce(&self.topic, &Value::from(records.clone()), &[]))
        {
            assert!(record["value"] == format!("{value} {offset}"), "{record} has offset {offset}");
        }
    }

    /// Waits until this holds for the leader and the number of replicas in sync of every partition.
    fn wait(&self, what: &str, holds: impl Fn(Option<i32>, usize) -> bool) {
        let patience = Instant::now() + PATIENCE;
        loop {
            let states = self.cluster.java().describe(&self.topic);
            if states.iter().all(|state| holds(state.leader, state.in_sync.len())) {
                return;
            }
            assert!(Instant::now() < patience, "waited for {what}: {states:?}");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

const OLD_LEADER: i32 = 1;
const NEW_LEADER: i32 = 2;
const PATIENCE: Duration = Duration::from_secs(30);
