//! Whether members of several clients share a group: all records once, one owner a partition, and rebalances that end.
use std::{
    env, mem,
    path::PathBuf,
    sync::OnceLock,
    time::{Duration, Instant},
};

use fastrand::Rng;
use kafka_blocking_integration::{
    Cluster,
    groups::{Client, CommitMode, GroupRun, Kind, Rules, longest_silence},
};

#[test]
fn members_of_all_clients_share_a_group_by_range() {
    come_and_go("range");
}

#[test]
fn members_of_all_clients_share_a_group_by_roundrobin() {
    come_and_go("roundrobin");
}

#[test]
fn members_of_all_clients_share_a_group_by_sticky() {
    come_and_go("sticky");
}

#[test]
fn members_of_all_clients_share_a_group_by_cooperative_sticky() {
    come_and_go("cooperative-sticky");
}

#[test]
fn a_group_changes_from_range_to_cooperative_sticky_without_a_stop() {
    // kafka-python takes no list of the two.
    let clients: Vec<Client> =
        clients().into_iter().filter(|client| client.kind() != Kind::KafkaPython).collect();
    let cluster = cluster();
    let _logs = cluster.logs_on_failure();
    let group = "rolling";
    let mut run = GroupRun::start(cluster, group, PARTITIONS, RATE);
    let settings = |run: &GroupRun<'_>, list: &[&str]| {
        run.settings().assignors(list).commit(CommitMode::Batch)
    };
    for client in &clients {
        run.join(client, &settings(&run, &["range"]));
    }
    run.wait_until_settled();
    for list in [&["cooperative-sticky", "range"][..], &["cooperative-sticky"]] {
        for client in &clients {
            run.quit(0);
            run.join(client, &settings(&run, list));
            run.wait_until_settled();
        }
    }
    assert_eq!(assignor_of(cluster, group), "cooperative-sticky");
    run.wait_for_records(300);
    let generations = 4 * GENERATIONS_PER_CHANGE * i32::try_from(clients.len()).expect("a few");
    let members = run.finish(&Rules::strict(generations));
    let silence = longest_silence(&members);
    assert!(silence < LONGEST_SILENCE, "nobody read anything for {silence:?}");
}

/// What the members agreed on; a group that is being divided once more has none.
fn assignor_of(cluster: &Cluster, group: &str) -> String {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let group = cluster.java().group(group);
        if group.state == "Stable" || Instant::now() >= patience {
            return group.assignor;
        }
    }
}

/// Members join and quit as a seed says, for as long as `MIXED_SECONDS` says; the group never has none.
fn come_and_go(assignor: &str) {
    let seconds = number("MIXED_SECONDS").unwrap_or(8);
    let seed = number("MIXED_SEED").unwrap_or(1);
    println!("MIXED_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let cluster = cluster();
    let _logs = cluster.logs_on_failure();
    let group = format!("mixed-{assignor}");
    let mut run = GroupRun::start(cluster, &group, PARTITIONS, RATE);
    let mut changes = 0;
    for client in clients() {
        join(&mut run, &client, assignor, &mut rng);
        changes += 1;
    }
    run.wait_until_settled();
    let until = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < until {
        let client = &clients()[rng.usize(..clients().len())];
        match run.running().iter().position(|member| member.kind() == client.kind()) {
            None => join(&mut run, client, assignor, &mut rng),
            // kafka-python may hang in its first rebalance, and is not left alone: nobody would take over.
            Some(index)
                if !run
                    .running()
                    .iter()
                    .enumerate()
                    .any(|(n, other)| n != index && other.kind() != Kind::KafkaPython) =>
            {
                continue;
            }
            Some(index) => run.quit(index),
        }
        changes += 1;
        run.wait_for_records(rng.usize(20..400));
    }
    for client in clients() {
        if run.running().iter().all(|member| member.kind() != client.kind()) {
            join(&mut run, &client, assignor, &mut rng);
            changes += 1;
        }
    }
    run.wait_until_settled();
    // A cooperative one comes in two rounds; then nothing happens, so nothing changes.
    let mut settled = cluster.rebalances(&group);
    let calm = (0..4).any(|_| {
        run.wait_for_records(400);
        let before = mem::replace(&mut settled, cluster.rebalances(&group));
        before == settled
    });
    assert!(calm, "{assignor}: it rebalances on and on: {settled:?}");
    println!("{assignor}: {changes} changes, {settled:?}");
    // kafka-python goes on where it was when a partition comes back to it, whatever was committed meanwhile.
    let may_repeat = [Kind::KafkaPython].into();
    run.finish(&Rules { may_repeat, generations: changes * GENERATIONS_PER_CHANGE });
}

fn join(run: &mut GroupRun<'_>, client: &Client, assignor: &str, rng: &mut Rng) {
    let modes = [CommitMode::Auto, CommitMode::Record, CommitMode::Batch];
    let settings = run.settings().assignors(&[assignor]).commit(modes[rng.usize(..3)]);
    run.join(client, &settings);
}

fn clients() -> [Client; 4] {
    let ours = |way: &str| {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_group_member"));
        Client::Ours(program, vec![way.to_owned()])
    };
    [Client::Java, Client::KafkaPython, ours("poll"), ours("next")]
}

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::release("4.4.0").start())
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

const PARTITIONS: i32 = 6;
const RATE: u32 = 300;
/// A rebalance takes a third of a second where a member has to hear of it first.
const LONGEST_SILENCE: Duration = Duration::from_secs(5);
const GENERATIONS_PER_CHANGE: i32 = 4;
