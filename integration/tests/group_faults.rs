//! Whether a group outlives its coordinator: stopped, killed, and rolled with the whole cluster of three nodes.
#[allow(dead_code, reason = "one file of helpers serves two of tests")]
mod grouping;

use std::{
    sync::{Mutex, MutexGuard, OnceLock},
    thread,
    time::{Duration, Instant},
};

use grouping::{Heard, is_long, ours};
use kafka_blocking::KafkaConsumer;
use kafka_blocking_integration::{
    Cluster, Login, LogsOnFailure,
    groups::{CommitMode, GroupRun, Rules},
};

#[test]
fn polls_without_a_time_out_return_at_once_while_the_coordinator_is_stopped() {
    let group = Group::new("stopped");
    let consumer = group.member("45000");
    let coordinator = group.coordinator();
    group.cluster.pause(coordinator);
    // A heartbeat goes out and stays unanswered.
    let silent = Instant::now() + 4 * HEARTBEAT;
    while Instant::now() < silent {
        consumer.poll(Duration::from_millis(50)).unwrap();
    }
    let mut longest = a_thousand_polls(&consumer);
    if longest > AT_ONCE {
        println!("once more, since other things run on this machine: {longest:?}");
        longest = a_thousand_polls(&consumer);
    }
    group.cluster.resume(coordinator);
    assert!(longest <= AT_ONCE, "a poll took {longest:?}");
    group.assert_undisturbed(&consumer);
}

#[test]
fn a_member_whose_caller_sleeps_finds_the_next_coordinator() {
    let (sleep, session) = if is_long() { (30, "15000") } else { (13, "10000") };
    let group = Group::new("slept");
    let heard = Heard::default();
    let consumer = group.member_with(session, &heard);
    let coordinator = group.coordinator();
    group.cluster.kill(coordinator);
    thread::sleep(Duration::from_secs(sleep));
    // It was kept alive by another node, and nobody noticed.
    group.assert_undisturbed(&consumer);
    assert_ne!(group.cluster.java().group("slept").coordinator, Some(coordinator));
    assert_eq!(heard.all(), ["assigned slept-0"]);
    consumer.commit().unwrap();
    group.cluster.start(coordinator);
}

#[test]
fn a_member_with_tls_and_tokens_whose_caller_sleeps_finds_the_next_coordinator() {
    let (sleep, session) = if is_long() { (30, "15000") } else { (13, "10000") };
    let group = Group::new("slept-with-tokens");
    let heard = Heard::default();
    let ca = format!("{}/ca.pem", group.cluster.pki());
    let options = [
        ("security_protocol", "SASL_SSL"),
        ("ssl_cafile", ca.as_str()),
        ("sasl_mechanism", "OAUTHBEARER"),
    ];
    let login = Login::new(&group.cluster.bootstrap_of("SASL_SSL"), &options);
    let consumer = group.member_by(&login.with_tokens_of("alice"), session, &heard);
    let coordinator = group.coordinator();
    group.cluster.kill(coordinator);
    thread::sleep(Duration::from_secs(sleep));
    group.assert_undisturbed(&consumer);
    assert_ne!(group.coordinator(), coordinator);
    assert_eq!(heard.all(), ["assigned slept-with-tokens-0"]);
    assert_eq!(consumer.next().unwrap().unwrap().offset(), 1);
    consumer.commit().unwrap();
    group.cluster.start(coordinator);
}

#[test]
fn a_killed_coordinator_and_a_roll_of_all_nodes_cost_no_rebalance_and_no_record() {
    let rounds = if is_long() { 10 } else { 1 };
    let group = Group::new("rolled");
    let cluster = group.cluster;
    let mut run = GroupRun::start(cluster, "rolled-run", 6, 200);
    for (way, mode) in [("poll", CommitMode::Auto), ("next", CommitMode::Batch)] {
        let mut settings = run.settings().commit(mode).assignors(&["cooperative-sticky"]);
        settings.session_timeout = Duration::from_secs(30);
        run.join(&ours(way), &settings);
    }
    run.wait_until_settled();
    // The first of two had all of it, and a second round gives the other its share.
    run.wait_for_records(300);
    let settled = cluster.rebalances("rolled-run");
    for _ in 0..rounds {
        let coordinator = cluster.java().group("rolled-run").coordinator.expect("it has one");
        cluster.kill(coordinator);
        thread::sleep(Duration::from_secs(1));
        cluster.start(coordinator);
        run.wait_for_records(400);
        for node in cluster.nodes() {
            cluster.restart(node);
            run.wait_for_records(400);
        }
    }
    assert_eq!(cluster.rebalances("rolled-run"), settled, "no rebalance");
    run.finish(&Rules::strict(8));
}

/// A group of one member, on a cluster that one test at a time disturbs.
struct Group {
    name: &'static str,
    cluster: &'static Cluster,
    _logs: LogsOnFailure<'static>,
    _turn: MutexGuard<'static, ()>,
}

impl Group {
    fn new(name: &'static str) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        let turn = TURN.lock().unwrap_or_else(|poison| poison.into_inner());
        let cluster = CLUSTER.get_or_init(|| Cluster::release("4.4.0").nodes(3).start());
        cluster.java().connect_to_all_nodes();
        cluster.java().create_topic(name, 1, 3, &[]);
        cluster.java().fill(name, 1_000, 10, &[]);
        Self { name, cluster, _logs: cluster.logs_on_failure(), _turn: turn }
    }

    fn member(&self, session: &str) -> KafkaConsumer {
        self.member_with(session, &Heard::default())
    }

    /// A member that has read the first record and committed that.
    fn member_with(&self, session: &str, heard: &Heard) -> KafkaConsumer {
        self.member_by(&Login::new(self.cluster.bootstrap(), &[]), session, heard)
    }

    fn member_by(&self, login: &Login, session: &str, heard: &Heard) -> KafkaConsumer {
        let consumer = login
            .consumer()
            .group_id(self.name)
            .enable_auto_commit(false)
            .heartbeat_interval_ms(HEARTBEAT)
            .set("session_timeout_ms", session)
            .build()
            .expect("the brokers are there");
        consumer.subscribe_with([self.name], heard.listener()).unwrap();
        assert_eq!(consumer.next().unwrap().unwrap().offset(), 0);
        consumer.commit().unwrap();
        consumer
    }

    fn coordinator(&self) -> i32 {
        self.cluster.java().group(self.name).coordinator.expect("it has one")
    }

    /// It is still the member that it was, and the group has seen one rebalance.
    fn assert_undisturbed(&self, consumer: &KafkaConsumer) {
        consumer.commit().unwrap();
        let standing = consumer.group_metadata().unwrap();
        assert_eq!(standing.generation_id, 1);
        let members = self.cluster.java().group(self.name).members;
        let members: Vec<&str> = members.iter().map(|member| member.id.as_str()).collect();
        assert_eq!(members, [standing.member_id.as_str()]);
        assert_eq!(self.cluster.rebalances(self.name).len(), 1);
    }
}

fn a_thousand_polls(consumer: &KafkaConsumer) -> Duration {
    let poll = |_| {
        let began = Instant::now();
        consumer.poll(Duration::ZERO).unwrap();
        began.elapsed()
    };
    (0..1_000).map(poll).max().expect("a thousand")
}

const HEARTBEAT: Duration = Duration::from_millis(300);
const AT_ONCE: Duration = Duration::from_millis(50);
