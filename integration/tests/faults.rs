//! Whether every acknowledged record arrives once and in order while leaders are killed, paused and rolled.
mod following;

use std::{
    env,
    sync::{Mutex, MutexGuard, OnceLock},
    thread,
    time::{Duration, Instant},
};

use following::{Following, assert_each_once_in_order, now_ms};
use kafka_blocking::KafkaConsumer;
use kafka_blocking_integration::{Acknowledged, Cluster, LogsOnFailure};

#[test]
fn a_killed_leader_costs_no_record_and_three_seconds_at_most() {
    Run::new("killed").faults(|run| {
        let leader = run.leader();
        run.leader_lost(leader, || run.cluster.kill(leader));
        run.cluster.start(leader);
        run.wait_until_all_in_sync();
    });
}

#[test]
fn a_paused_leader_costs_no_record_and_three_seconds_at_most() {
    Run::new("paused").faults(|run| {
        let leader = run.leader();
        run.leader_lost(leader, || run.cluster.pause(leader));
        run.wait_for_records(1_000);
        run.cluster.resume(leader);
        run.wait_until_all_in_sync();
        run.wait_for_records(1_000);
    });
}

#[test]
fn a_roll_of_all_nodes_costs_no_record_and_three_seconds_at_most() {
    Run::new("rolled").faults(|run| {
        for node in run.cluster.nodes() {
            run.leader_lost(node, || run.cluster.stop(node));
            run.cluster.start(node);
            run.wait_until_all_in_sync();
        }
    });
}

/// A topic that is written to and read from while faults happen.
struct Run {
    topic: &'static str,
    cluster: &'static Cluster,
    following: Following,
    elections: Mutex<Vec<Election>>,
    _logs: LogsOnFailure<'static>,
    _turn: MutexGuard<'static, ()>,
}

/// A change of leader as a separate admin client saw it.
#[derive(Debug)]
struct Election {
    partition: i32,
    fault_ms: u64,
    elected_ms: u64,
}

impl Run {
    fn new(topic: &'static str) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        let turn = TURN.lock().unwrap_or_else(|poison| poison.into_inner());
        let cluster = CLUSTER.get_or_init(|| Cluster::release("4.4.0").nodes(3).start());
        let logs = cluster.logs_on_failure();
        cluster.java().create_topic(topic, PARTITIONS, 3, &[]);
        cluster.java().start_writer(topic, PARTITIONS, RATE);
        let consumer = KafkaConsumer::builder().bootstrap_servers(cluster.bootstrap());
        let following = Following::start(consumer.topics(topic));
        let elections = Mutex::new(Vec::new());
        let run = Self { topic, cluster, following, elections, _logs: logs, _turn: turn };
        run.wait_for_records(2_000);
        run
    }

    /// Lets the faults happen once, or for as long as `FAULT_SECONDS` says, and then compares.
    fn faults(self, round: impl Fn(&Self)) {
        let seconds = env::var("FAULT_SECONDS")
            .map_or(0, |text| text.parse().expect("FAULT_SECONDS is a number"));
        let until = Instant::now() + Duration::from_secs(seconds);
        loop {
            round(&self);
            if Instant::now() >= until {
                break;
            }
        }
        let acknowledged = self.cluster.java().stop_writer(self.topic);
        let received = self.following.finish(acknowledged.len());
        assert_each_once_in_order(&acknowledged, &received);
        for election in self.elections.lock().expect("no thread panicked").iter() {
            assert_reading_went_on(election, &acknowledged, &received);
        }
    }

    fn leader(&self) -> i32 {
        self.cluster
            .java()
            .leader(self.topic, 0)
            .expect("all partitions have leaders between faults")
    }

    /// Makes a node stop leading, and notes when the partitions that it led have new leaders.
    fn leader_lost(&self, node: i32, fault: impl FnOnce() + Send) {
        let java = self.cluster.java();
        java.connect_to_all_nodes();
        let led = java.describe(self.topic).into_iter().filter(|state| state.leader == Some(node));
        let mut waiting: Vec<i32> = led.map(|state| state.partition).collect();
        let fault_ms = now_ms();
        thread::scope(|scope| {
            scope.spawn(fault);
            let patience = Instant::now() + PATIENCE;
            while !waiting.is_empty() {
                assert!(Instant::now() < patience, "no new leader for partitions {waiting:?}");
                for state in java.describe(self.topic) {
                    if state.leader.is_some_and(|leader| leader != node)
                        && waiting.contains(&state.partition)
                    {
                        waiting.retain(|partition| *partition != state.partition);
                        let election =
                            Election { partition: state.partition, fault_ms, elected_ms: now_ms() };
                        self.elections.lock().expect("no thread panicked").push(election);
                    }
                }
            }
        });
        self.wait_for_records(2_000);
    }

    fn wait_until_all_in_sync(&self) {
        let patience = Instant::now() + PATIENCE;
        while self.cluster.java().describe(self.topic).iter().any(|state| state.in_sync.len() < 3) {
            assert!(Instant::now() < patience, "a node did not catch up");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until this many more records have been read.
    fn wait_for_records(&self, more: usize) {
        self.following.wait_for(self.following.count() + more, PATIENCE);
    }
}

/// The first record acknowledged after the election is read within 3 s of it, or of the record if that came later.
fn assert_reading_went_on(
    election: &Election,
    acknowledged: &[Acknowledged],
    received: &[Acknowledged],
) {
    let same = |record: &&Acknowledged| record.partition == election.partition;
    let new = acknowledged.iter().filter(same).filter(|record| record.at_ms > election.elected_ms);
    let first =
        new.min_by_key(|record| record.offset).expect("the writer goes on until the test ends");
    let read = received
        .iter()
        .filter(same)
        .find(|record| record.offset == first.offset)
        .expect("it was compared");
    let since = |ms: u64| {
        i64::try_from(ms).expect("a time") - i64::try_from(election.fault_ms).expect("a time")
    };
    println!(
        "partition {}: elected after {} ms, next record acknowledged after {} ms, read after {} ms",
        election.partition,
        since(election.elected_ms),
        since(first.at_ms),
        since(read.at_ms)
    );
    assert!(
        read.at_ms <= election.elected_ms.max(first.at_ms) + 3_000,
        "{election:?}: read after {} ms",
        since(read.at_ms)
    );
}

const PARTITIONS: i32 = 6;
const RATE: u32 = 1_000;
const PATIENCE: Duration = Duration::from_secs(60);
