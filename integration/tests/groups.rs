//! Whether a member stays in its group while its caller works, is told when it does not, and nothing is skipped after it.
mod grouping;

use std::{
    error, thread,
    time::{Duration, Instant},
};

use grouping::{Heard, cluster, fill, is_long, open, ours};
use kafka_blocking::{Error, KafkaConsumer};
use kafka_blocking_integration::groups::{CommitMode, GroupRun, Rules};

#[test]
fn a_caller_that_sleeps_longer_than_the_session_stays_a_member() {
    let (records, sleep) = if is_long() { (3, 30) } else { (1, 9) };
    let topic = fill("sleeper", 100);
    let consumer = open(topic, &[("session_timeout_ms", "6000"), ("enable_auto_commit", "false")]);
    consumer.subscribe([topic]).unwrap();
    for offset in 0..records {
        let record = consumer.next().unwrap().unwrap();
        assert_eq!(record.offset(), offset);
        thread::sleep(Duration::from_secs(sleep));
        consumer.commit().unwrap();
        assert_eq!(consumer.group_metadata().unwrap().generation_id, 1);
    }
    assert_eq!(cluster().rebalances(topic).len(), 1);
}

#[test]
fn a_caller_that_takes_long_for_a_batch_but_not_for_a_record_stays_a_member() {
    let (records, work, interval) = if is_long() { (60, 1_000, 5_000) } else { (12, 500, 2_000) };
    let topic = fill("slow", 10_000);
    let interval = interval.to_string();
    let consumer = open(topic, &[("max_poll_interval_ms", &interval)]);
    consumer.subscribe([topic]).unwrap();
    for offset in 0..records {
        assert_eq!(consumer.next().unwrap().unwrap().offset(), offset);
        thread::sleep(Duration::from_millis(work));
    }
    for offset in records..10_000 {
        assert_eq!(consumer.next().unwrap().unwrap().offset(), offset);
    }
    consumer.close().unwrap();
    assert_eq!(cluster().rebalances(topic).len(), 1);
    assert_eq!(cluster().java().committed(topic)[&(topic, 0).into()], 10_000);
}

#[test]
fn a_caller_that_exceeds_max_poll_interval_is_told_and_goes_on_from_what_was_committed() {
    let topic = fill("late", 100);
    let options = [("max_poll_interval_ms", "1000"), ("enable_auto_commit", "false")];
    let consumer = open(topic, &options);
    let heard = Heard::default();
    consumer.subscribe_with([topic], heard.listener()).unwrap();
    for _ in 0..3 {
        consumer.next().unwrap().unwrap();
    }
    consumer.commit().unwrap();
    assert_eq!(consumer.next().unwrap().unwrap().offset(), 3);
    let patience = Instant::now() + Duration::from_secs(10);
    while !cluster().java().group(topic).members.is_empty() {
        assert!(Instant::now() < patience, "it left the group by itself");
        thread::sleep(Duration::from_millis(100));
    }
    let refused = consumer.commit().unwrap_err();
    assert!(matches!(refused, Error::CommitFailed { .. }), "{refused}");
    assert_eq!(consumer.next().unwrap().unwrap().offset(), 3);
    assert_eq!(heard.all(), ["assigned late-0", "lost late-0", "assigned late-0"]);
    consumer.commit().unwrap();
    consumer.close().unwrap();
    assert_eq!(cluster().java().committed(topic)[&(topic, 0).into()], 4);
}

#[test]
fn every_start_joins_once_whatever_the_time_out_of_its_polls() {
    let starts = if is_long() { 200 } else { 10 };
    let topic = fill("starts", 10);
    let mut groups = Vec::new();
    for timeout in [0, 20, 200, 1500] {
        for start in 0..starts {
            let group = format!("starts-{timeout}-{start}");
            let consumer = open(&group, &[]);
            consumer.subscribe([topic]).unwrap();
            let began = Instant::now();
            let records = loop {
                let records = consumer.poll(Duration::from_millis(timeout)).unwrap();
                if !records.is_empty() {
                    break records;
                }
                assert!(began.elapsed() < Duration::from_secs(10), "{group}: no records");
            };
            assert_eq!(records.into_records().next().unwrap().offset(), 0);
            assert_eq!(consumer.group_metadata().unwrap().generation_id, 1, "{group}");
            consumer.close().unwrap();
            groups.push(group);
        }
    }
    for group in groups {
        let rebalances = cluster().rebalances(&group);
        assert_eq!(rebalances.len(), 1, "{group}: {rebalances:?}");
    }
}

#[test]
fn a_loop_that_is_left_by_a_question_mark_leaves_its_record_to_the_next_owner() {
    const LAST: i64 = 60;
    fn work(consumer: &KafkaConsumer) -> Result<(), Box<dyn error::Error>> {
        for record in consumer {
            let record = record?;
            thread::sleep(Duration::from_millis(5));
            if record.offset() == LAST {
                Err("this record is too much")?;
            }
        }
        Ok(())
    }
    let topic = fill("left", 100);
    let options = [("auto_commit_interval_ms", "20")];
    let consumer = open(topic, &options);
    consumer.subscribe([topic]).unwrap();
    work(&consumer).unwrap_err();
    drop(consumer);

    let next = open(topic, &options);
    next.subscribe([topic]).unwrap();
    let mut offsets = Vec::new();
    while offsets.last() != Some(&99) {
        offsets.push(next.next().unwrap().unwrap().offset());
    }
    let first = offsets[0];
    assert!((1..=LAST).contains(&first), "it was committed now and then, and not too far: {first}");
    assert_eq!(offsets, (first..100).collect::<Vec<_>>());
}

#[test]
fn no_record_is_skipped_when_members_are_killed_between_two_polls() {
    let kills = if is_long() { 60 } else { 4 };
    let mut run = GroupRun::start(cluster(), "killed", 4, 300);
    let mut settings = run.settings();
    settings.session_timeout = Duration::from_millis(1_500);
    settings.auto_commit_interval = Duration::from_millis(50);
    settings.max_poll_records = 20;
    settings.process = Duration::from_millis(2);
    for number in 0..kills {
        run.join(&ours(if number % 2 == 0 { "poll" } else { "next" }), &settings);
        run.wait_for_records(400);
        run.kill(0);
    }
    settings.process = Duration::ZERO;
    settings.max_poll_records = 500;
    run.join(&ours("poll"), &settings);
    run.finish(&Rules::strict(kills * 3));
}

#[test]
fn a_member_that_was_frozen_past_its_session_commits_nothing_when_it_thaws() {
    let rounds = if is_long() { 20 } else { 1 };
    let mut run = GroupRun::start(cluster(), "frozen", 4, 200);
    let mut settings = run.settings().commit(CommitMode::Batch);
    settings.max_poll_records = 20;
    settings.session_timeout = Duration::from_millis(1_500);
    settings.process = Duration::from_millis(1);
    for way in ["poll", "next"] {
        run.join(&ours(way), &settings);
    }
    run.wait_until_settled();
    for round in 0..rounds {
        let frozen = &run.running()[round % 2];
        frozen.freeze();
        let rebalances = cluster().rebalances("frozen").len();
        let patience = Instant::now() + Duration::from_secs(20);
        while cluster().rebalances("frozen").len() == rebalances {
            assert!(Instant::now() < patience, "the group goes on without it");
            thread::sleep(Duration::from_millis(100));
        }
        run.wait_for_records(400);
        frozen.thaw();
        run.wait_until_settled();
    }
    let rounds = i32::try_from(rounds).expect("a few");
    run.finish(&Rules::strict(4 + rounds * 3));
}
