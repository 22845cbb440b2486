//! Answers to fetches that are old, cut, refused, or say odd things of the ends of logs. On a virtual clock.

use std::time::Duration;

use kafka_blocking::{
    Error, ErrorCode,
    protocol::{
        Request,
        fetch::{FetchRequest, PartitionData},
        list_offsets::ListOffsetsRequest,
        metadata::MetadataRequest,
    },
};
use scripted_broker::Simulation;

const MINUTE: Duration = Duration::from_secs(60);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// `t` with so many partitions, led by two nodes in turn, of ten records each, a batch each of about 100 bytes.
fn topic(partitions: usize, reset: &str, partition_bytes: u32) -> Simulation {
    let mut sim = Simulation::new(2, 1, |o| {
        o.auto_offset_reset(reset)
            .max_partition_fetch_bytes(partition_bytes)
            // Every answer is about every partition.
            .enable_incremental_fetch_sessions(false)
    });
    sim.cluster.state.create_topic("t", partitions);
    for partition in (0..).take(partitions) {
        append(&mut sim, partition, 10);
    }
    sim.assign((0..).take(partitions).map(|n| ("t", n)));
    sim
}

fn append(sim: &mut Simulation, partition: i32, records: usize) {
    for _ in 0..records {
        sim.cluster.state.append("t", partition, ["about forty bytes of a value"]);
    }
    sim.cluster.changed();
}

fn offsets(sim: &Simulation, partition: i32) -> Vec<i64> {
    let of = sim.received().iter().filter(|r| r.partition.partition() == partition);
    of.map(|r| r.offset).collect()
}

fn fetches(sim: &Simulation) -> usize {
    sim.cluster.requests_of::<FetchRequest>().len()
}

fn resets(sim: &Simulation) -> usize {
    sim.cluster.requests_of::<ListOffsetsRequest>().len()
}

/// Changes what fetches say of partition 0.
fn rewrite(sim: &mut Simulation, mut edit: impl FnMut(&mut PartitionData) + Send + 'static) {
    sim.cluster.on::<FetchRequest>().rewrite(move |response| {
        let all = response.responses.iter_mut().flat_map(|t| t.partitions.iter_mut());
        all.filter(|p| p.partition_index == 0).for_each(&mut edit);
    });
}

fn position(sim: &Simulation, partition: i32) -> Option<i64> {
    let subscriptions = &sim.machines.subscriptions;
    let id = subscriptions.id(&("t", partition).into()).unwrap();
    subscriptions.state(id).and_then(|state| state.offset())
}

#[test]
fn behaviour_33_an_answer_that_has_become_stale_does_not_keep_from_waiting_for_the_other() {
    let mut sim = topic(2, "earliest", 1 << 20);
    sim.cluster.on::<FetchRequest>().node(1).once().delay(ms(200));
    sim.cluster.on::<FetchRequest>().node(2).once().delay(ms(700));
    sim.run_until(MINUTE, |sim| fetches(sim) == 2);
    // Out of order: the one that comes first is of an offset that nobody wants any more.
    sim.seek(("t", 0), 9);
    sim.run_for(ms(300));
    assert_eq!((offsets(&sim, 0), offsets(&sim, 1)), (vec![9], vec![]));
    let turns = sim.turns();
    sim.run_until(MINUTE, |sim| sim.received().len() == 11);
    assert!(sim.spins().is_empty() && sim.turns() - turns < 60, "{} turns", sim.turns() - turns);
}

#[test]
fn behaviour_37_an_answer_for_an_offset_that_is_not_the_position_is_dropped() {
    for target in [0, 3, 9, 10] {
        let mut sim = topic(1, "earliest", 1 << 20);
        sim.seek(("t", 0), 5);
        sim.cluster.on::<FetchRequest>().once().delay(ms(5));
        sim.run_until(MINUTE, |sim| fetches(sim) == 1);
        sim.seek(("t", 0), target);
        sim.run_for(ms(3_000));
        assert_eq!(offsets(&sim, 0), (target..10).collect::<Vec<_>>());
        assert_eq!(position(&sim, 0), Some(10));
    }
}

#[test]
fn behaviour_38_a_partition_that_is_not_there_is_no_error_and_metadata_are_asked_for() {
    let codes = [
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::REPLICA_NOT_AVAILABLE,
        ErrorCode::KAFKA_STORAGE_ERROR,
        ErrorCode::UNKNOWN_TOPIC_ID,
    ];
    for code in codes {
        let mut sim = topic(2, "earliest", 1 << 20);
        rewrite(&mut sim, move |p| {
            p.error_code = code.0;
            p.records = Vec::new().into();
        });
        sim.run_until(MINUTE, |sim| offsets(sim, 1).len() == 10);
        let before = sim.cluster.requests_of::<MetadataRequest>().len();
        sim.run_for(ms(2_000));
        assert_eq!((offsets(&sim, 0), sim.errors().len()), (vec![], 0), "{code}");
        assert!(sim.cluster.requests_of::<MetadataRequest>().len() > before, "{code}");
        assert!(fetches(&sim) < 60, "{code}: {} fetches in two seconds", fetches(&sim));
        sim.cluster.clear_rules();
        sim.run_until(ms(1_000), |sim| offsets(sim, 0).len() == 10);
        assert_eq!(resets(&sim), 2, "{code}");
    }
}

#[test]
fn behaviour_39_out_of_range_is_a_reset_with_a_policy_and_an_error_with_the_offset_without() {
    for reset in ["earliest", "latest"] {
        let mut sim = topic(1, reset, 1 << 20);
        sim.seek(("t", 0), 99);
        sim.run_for(ms(2_000));
        append(&mut sim, 0, 1);
        sim.run_for(ms(1_000));
        let from = if reset == "earliest" { 0 } else { 10 };
        assert_eq!(offsets(&sim, 0), (from..11).collect::<Vec<_>>(), "{reset}");
        assert!(sim.errors().is_empty());
    }
    let mut sim = topic(1, "none", 1 << 20);
    sim.seek(("t", 0), 99);
    sim.run_for(ms(300));
    let Some((_, Error::OffsetOutOfRange { partition, offset: 99 })) = sim.errors().first() else {
        panic!("{:?}", sim.errors())
    };
    assert_eq!((partition, position(&sim, 0)), (&("t", 0).into(), Some(99)));
}

#[test]
fn behaviour_41_an_error_that_waits_to_be_told_is_dropped_by_a_seek_of_its_partition() {
    let mut sim = topic(2, "none", 1 << 20);
    sim.seek(("t", 0), 99);
    sim.seek(("t", 1), 99);
    sim.set_consuming(false);
    sim.run_for(ms(300));
    sim.seek(("t", 0), 7);
    sim.run_for(ms(300));
    assert_eq!(sim.errors().len(), 0, "nobody has asked yet");
    sim.set_consuming(true);
    sim.run_for(ms(50));
    assert_eq!(offsets(&sim, 0), [7, 8, 9]);
    let errors: Vec<_> = sim.errors().iter().map(|(_, error)| error.to_string()).collect();
    assert!(errors.len() == 1 && errors[0].contains("t-1"), "{errors:?}");
}

#[test]
fn fault_176_a_last_batch_that_is_cut_is_ignored_and_fetched_without_a_pause() {
    // Two batches and a half in each answer.
    let mut sim = topic(1, "earliest", 250);
    let batch = scripted_broker::encode_batch(&["about forty bytes of a value".into()]).len();
    assert!((84..125).contains(&batch), "{batch}");
    let took = sim.run_until(MINUTE, |sim| sim.received().len() == 10);
    assert!(took < ms(50), "no backoff: {took:?}");
    assert_eq!(offsets(&sim, 0), (0..10).collect::<Vec<_>>());
    assert!(fetches(&sim) <= 8, "{} fetches", fetches(&sim));
    assert!(sim.errors().is_empty());
}

#[test]
fn fault_176_a_batch_may_be_cut_anywhere() {
    let batch = scripted_broker::encode_batch(&["about forty bytes of a value".into()]).len();
    for cut in 1..batch {
        let mut sim = topic(1, "earliest", 1 << 20);
        let mut cuts = 0;
        rewrite(&mut sim, move |p| {
            let whole = p.records.as_slice();
            if cuts < 3 && whole.len() > 2 * batch {
                cuts += 1;
                p.records = whole[..batch + cut].to_vec().into();
            }
        });
        let took = sim.run_until(MINUTE, |sim| sim.received().len() == 10);
        assert!(took < ms(50), "{took:?}");
        assert_eq!(offsets(&sim, 0), (0..10).collect::<Vec<_>>(), "cut at {cut}");
    }
}

/// What holds where nothing but a part of a batch comes of partition 0.
fn only_a_part_of_a_batch(sim: &mut Simulation) {
    sim.run_for(ms(3_000));
    assert_eq!((offsets(sim, 0), offsets(sim, 1).len()), (vec![], 10), "others go on");
    let Some((_, error)) = sim.errors().first() else { panic!("no error") };
    let Error::RecordTooLarge { partition, offset: 0, limit: 60, option, .. } = error else {
        panic!("{error}")
    };
    assert_eq!((partition, *option), (&("t", 0).into(), "max_partition_fetch_bytes"));
    assert_eq!((position(sim, 0), error.next_position()), (Some(0), Some((("t", 0).into(), 1))));
    assert!(sim.errors().len() <= 31 && fetches(sim) < 80, "{} fetches", fetches(sim));
    assert!(sim.spins().is_empty());
}

#[test]
fn fault_177_nothing_but_a_part_of_a_batch_is_an_error_that_names_the_option() {
    let mut sim = topic(2, "earliest", 60);
    rewrite(&mut sim, |p| {
        let part = p.records.as_slice().iter().copied().take(60).collect::<Vec<u8>>();
        p.records = part.into();
    });
    only_a_part_of_a_batch(&mut sim);
    sim.cluster.clear_rules();
    sim.run_until(ms(1_000), |sim| offsets(sim, 0).len() == 10);
}

#[test]
fn fault_177_a_broker_that_is_too_old_to_send_a_batch_whole_is_no_endless_loop() {
    let mut sim = topic(2, "earliest", 60);
    for node in [1, 2] {
        for row in &mut sim.cluster.state.node_mut(node).versions {
            if row.0 == FetchRequest::KEY && node == 1 {
                row.2 = 2;
            }
        }
    }
    only_a_part_of_a_batch(&mut sim);
}

#[test]
fn fault_178_ends_of_logs_that_are_unknown_or_go_back_are_taken_as_they_are() {
    let ends =
        [(-1, -1, -1), (3, 2, 1), (0, 0, 0), (i64::MAX, i64::MAX, i64::MAX), (i64::MIN, -5, -9)];
    for (high, stable, start) in ends {
        for isolation in ["read_uncommitted", "read_committed"] {
            let mut sim = Simulation::new(1, 1, |o| {
                o.auto_offset_reset("earliest").isolation_level(isolation)
            });
            sim.cluster.state.create_topic("t", 1);
            append(&mut sim, 0, 5);
            sim.assign([("t", 0)]);
            sim.run_until(MINUTE, |sim| sim.received().len() == 5);
            sim.run_for(ms(1_000));
            rewrite(&mut sim, move |p| {
                (p.high_watermark, p.last_stable_offset, p.log_start_offset) =
                    (high, stable, start);
            });
            sim.run_for(ms(1_000));
            append(&mut sim, 0, 5);
            sim.run_until(ms(1_000), |sim| sim.received().len() == 10);
            assert_eq!(offsets(&sim, 0), (0..10).collect::<Vec<_>>());
            let id = sim.machines.subscriptions.id(&("t", 0).into()).unwrap();
            let marks = sim.machines.subscriptions.state(id).unwrap().marks;
            let known = if high < 0 { 5 } else { high };
            assert_eq!(marks.high_watermark, Some(known), "what is not told stays as it was");
            assert!(sim.errors().is_empty() && sim.spins().is_empty());
        }
    }
}
