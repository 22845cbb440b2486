//! Whether waiting costs next to nothing: at most 2 % of a core, with nothing to read, and with nobody to read from; and a few
//! wake-ups a second while the caller is away.
//!
//! The consumer waits in a process of its own, so that the threads of other tests, and the broker's, do not count.

#![allow(clippy::disallowed_methods, reason = "tests look at the clock")]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use kafka_blocking::KafkaConsumer;
use scripted_broker::ScriptedBroker;

/// How long the consumer waits.
const WAIT: Duration = Duration::from_secs(3);

/// Set in the process that waits, to the servers.
const SERVERS: &str = "KAFKA_BLOCKING_TEST_SERVERS";

/// What that process says when its consumer is built.
const BUILT: &str = "the consumer is built";

#[test]
fn waiting_at_the_end_of_an_idle_topic_costs_at_most_2_percent_of_a_core() {
    check("waiting_at_the_end_of_an_idle_topic_costs_at_most_2_percent_of_a_core", wait, |_| {});
}

#[test]
fn waiting_for_brokers_that_are_all_down_costs_at_most_2_percent_of_a_core() {
    check(
        "waiting_for_brokers_that_are_all_down_costs_at_most_2_percent_of_a_core",
        wait,
        |broker| {
            (1..=3).for_each(|node| broker.stop(node));
        },
    );
}

#[test]
fn waiting_for_brokers_that_are_all_silent_costs_at_most_2_percent_of_a_core() {
    check(
        "waiting_for_brokers_that_are_all_silent_costs_at_most_2_percent_of_a_core",
        wait,
        |broker| {
            (1..=3).for_each(|node| broker.pause(node));
        },
    );
}

#[test]
fn waiting_for_brokers_that_hang_up_at_once_costs_at_most_2_percent_of_a_core() {
    check(
        "waiting_for_brokers_that_hang_up_at_once_costs_at_most_2_percent_of_a_core",
        wait,
        |broker| {
            broker.on_any().close();
            (1..=3).for_each(|node| broker.close_connections(node));
        },
    );
}

#[test]
fn waiting_for_a_topic_that_is_gone_costs_at_most_2_percent_of_a_core() {
    check("waiting_for_a_topic_that_is_gone_costs_at_most_2_percent_of_a_core", wait, |broker| {
        broker.with_state(|state| state.topics.clear());
    });
}

#[test]
fn a_member_whose_caller_is_away_wakes_up_a_few_times_a_second() {
    check("a_member_whose_caller_is_away_wakes_up_a_few_times_a_second", be_away, |_| {});
}

/// Runs the test of this name once more, in another process that does `idle` while the cluster is as `spoil` leaves it.
fn check(name: &str, idle: fn(&str), spoil: impl FnOnce(&ScriptedBroker)) {
    if let Ok(servers) = std::env::var(SERVERS) {
        return idle(&servers);
    }
    let broker = ScriptedBroker::cluster(3);
    broker.create_topic("t", 6);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(SERVERS, broker.addresses())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let built = lines.by_ref().any(|line| line.contains(BUILT));
    spoil(&broker);
    writeln!(child.stdin.take().unwrap(), "go on").unwrap();
    let rest: Vec<String> = lines.collect();
    assert!(built && child.wait().unwrap().success(), "{}", rest.join("\n"));
}

fn wait(servers: &str) {
    assert_the_measure_works();
    let consumer = KafkaConsumer::builder().bootstrap_servers(servers).topics("t").build().unwrap();
    assert!(consumer.poll(Duration::from_millis(300)).unwrap().is_empty());
    say_built_and_wait();
    // The first attempts come quickly, for a broker that is back soon.
    assert!(consumer.poll(Duration::from_secs(1)).unwrap().is_empty());
    let before = cpu_time();
    assert!(consumer.poll(WAIT).unwrap().is_empty());
    let used = cpu_time() - before;
    println!("used {used:?}");
    assert!(used <= WAIT / 50, "{used:?} of {WAIT:?}");
}

/// The caller is busy with something else; the thread that keeps the membership alive need not be.
fn be_away(servers: &str) {
    let builder = KafkaConsumer::builder().bootstrap_servers(servers).group_id("g").topics("t");
    let consumer = builder.build().unwrap();
    support::wait_until("it joins", || {
        assert!(consumer.poll(Duration::from_millis(50)).unwrap().is_empty());
        !consumer.assignment().unwrap().is_empty()
    });
    say_built_and_wait();
    let before = keepers_sleeps();
    thread::sleep(WAIT);
    let sleeps = keepers_sleeps() - before;
    assert!((1..=30).contains(&sleeps), "{sleeps} times in {WAIT:?}");
}

fn say_built_and_wait() {
    println!("{BUILT}");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

/// How often the thread that keeps the membership has gone to sleep so far.
fn keepers_sleeps() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let is_keeper = |task: &PathBuf| {
        fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "kafka-group")
    };
    let keeper = tasks.into_iter().find(is_keeper).expect("a membership has its thread");
    let status = fs::read_to_string(keeper.join("status")).unwrap();
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    count.unwrap().trim().parse().unwrap()
}

fn assert_the_measure_works() {
    let (before, start) = (cpu_time(), Instant::now());
    while cpu_time() - before < Duration::from_millis(40) {
        assert!(start.elapsed() < support::LONG, "working costs no time");
    }
}

/// What this process has used so far, with its threads that have ended; to 10 ms.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    // The name of the program stands in parentheses and may have spaces; user and system time are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).map(|f| f.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
