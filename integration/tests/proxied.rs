//! Whether groups keep their promises over connections that die, are slow, or narrow; and readers over damaged ones.
mod through;

use std::time::{Duration, Instant};

use kafka_blocking_integration::{
    Rebalance,
    groups::{CommitMode, Rules, longest_silence},
    proxy::Proxy,
};
use through::{Bed, LATENCY, NARROW, Reader, Run, seconds};

#[test]
fn a_group_whose_connections_all_die_within_a_second_and_a_half_keeps_its_promises() {
    let bed = Bed::get();
    let run = Run::start("dying", &bed.dying, SMALL, 300);
    let joined = run.join(["poll", "next"], [CommitMode::Auto, CommitMode::Batch]);
    let begun = Instant::now();
    run.load(seconds());
    let elapsed = begun.elapsed();
    let died = bed.dying.reports().iter().filter(|report| report.end.is_some()).count();
    let rebalances = run.rebalances();
    // Two members each have connections open to three nodes all the time, and each has died within two seconds.
    let expected = usize::try_from(elapsed.as_secs()).expect("it is short");
    println!(
        "dying: {died} connections died in {elapsed:?}; joined by {joined:?}, then {rebalances:?}"
    );
    assert!(died > expected, "only {died} connections died");
    assert_eq!(rebalances, joined, "no rebalance but for joining");
    // An answer to JoinGroup that is lost costs one more.
    let members = run.finish(&Rules::strict(last(&joined) + 3));
    println!("dying: nobody read anything for {:?} at most", longest_silence(&members));
}

#[test]
fn a_group_with_a_latency_of_200_ms_each_way_rebalances_only_to_join() {
    let bed = Bed::get();
    let run = Run::start("late", &bed.late, SMALL, 300);
    let joined = run.join(["poll", "next"], [CommitMode::Auto, CommitMode::Batch]);
    run.load(seconds());
    let rebalances = run.rebalances();
    let members: Vec<usize> = rebalances.iter().map(|rebalance| rebalance.members).collect();
    println!("late: {rebalances:?}");
    assert_eq!(rebalances, joined, "no rebalance from latency alone");
    assert_eq!(members, [1, 2]);
    let members = run.finish(&Rules::strict(last(&joined) + 1));
    println!(
        "late: {LATENCY:?} each way, nobody read anything for {:?} at most",
        longest_silence(&members)
    );
}

#[test]
fn a_group_behind_a_line_of_a_megabyte_a_second_keeps_its_promises() {
    let bed = Bed::get();
    let run = Run::start("narrow", &bed.narrow, LARGE, 850);
    run.wait_until_written(8_000);
    let joined = run.join(["poll", "next"], [CommitMode::Auto, CommitMode::Batch]);
    let through = || bed.narrow.reports().iter().map(|report| report.answers).sum::<u64>();
    let (begun, before) = (Instant::now(), through());
    run.load(Duration::from_secs(3));
    let (elapsed, first) = (begun.elapsed(), through() - before);
    run.load(seconds().saturating_sub(elapsed));
    let (all, all_elapsed) = (through() - before, begun.elapsed());
    println!(
        "narrow: {first} bytes in {elapsed:?}, {all} in {all_elapsed:?}, {:?}",
        run.rebalances()
    );
    let rate = |bytes: u64, time: Duration| bytes as f64 / time.as_secs_f64() / NARROW as f64;
    assert!(rate(first, elapsed) > 0.7, "there is more to read than the line lets through");
    assert!(rate(all, all_elapsed) < 1.05, "the line lets no more through than it may");
    assert_eq!(run.rebalances(), joined, "no rebalance but for joining");
    let members = run.finish(&Rules::strict(last(&joined) + 1));
    println!("narrow: nobody read anything for {:?} at most", longest_silence(&members));
}

/// The generation that a group has come to; one more follows when the first of two members leaves.
fn last(rebalances: &[Rebalance]) -> i32 {
    rebalances.last().expect("there is one").generation
}

#[test]
fn flipped_bits_in_answers_lead_to_errors_and_never_to_wrong_records() {
    let bed = Bed::get();
    bed.fill("flipped", 10_000, "16384");
    read_damaged(&bed.flipping, "flipped", 10_000, 131_072);
}

#[test]
fn many_flipped_bits_in_small_answers_lead_to_errors_and_never_to_wrong_records() {
    let bed = Bed::get();
    bed.fill("shredded", 200, "2000");
    read_damaged(&bed.shredding, "shredded", 200, 4_000);
}

/// Reads all with each call, and again for as long as there is time.
fn read_damaged(proxy: &Proxy, topic: &str, records: i64, fetched: usize) {
    let until = Instant::now() + seconds() / 2;
    for pass in 0.. {
        let mut reader = Reader::open(proxy, topic, records, fetched);
        reader.read_all(if pass % 2 == 0 { "next" } else { "poll" });
        println!("{topic}, pass {pass}: {}", reader.summary());
        if pass > 0 && Instant::now() > until {
            break;
        }
    }
    let reports = proxy.reports();
    let flips: usize = reports.iter().map(|report| report.flips.len()).sum();
    println!("{topic}: {flips} bits were flipped on {} connections", reports.len());
    assert!(flips > 50, "only {flips} bits were flipped");
}

/// A group reads these in passing.
const SMALL: u32 = 0;
/// With the writer's rate, a little less than the line lets through.
const LARGE: u32 = 1_000;
