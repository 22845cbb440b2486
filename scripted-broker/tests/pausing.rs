//! Partitions that are paused and resumed while records are ready, under way, or yet to come. On a virtual clock.

use std::{collections::BTreeSet, time::Duration};

use kafka_blocking::{
    OffsetReset, TopicPartition,
    protocol::{fetch::FetchRequest, list_offsets::ListOffsetsRequest},
};
use scripted_broker::Simulation;

const MINUTE: Duration = Duration::from_secs(60);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// `t-0` and `t-1` with so many records each, a batch each, on one node.
fn assigned(records: usize) -> Simulation {
    let mut sim = Simulation::new(1, 1, |o| o.auto_offset_reset("earliest"));
    sim.cluster.state.create_topic("t", 2);
    append(&mut sim, 0, records);
    append(&mut sim, 1, records);
    sim.assign([("t", 0), ("t", 1)]);
    sim
}

fn append(sim: &mut Simulation, partition: i32, records: usize) {
    for _ in 0..records {
        sim.cluster.state.append("t", partition, ["a value"]);
    }
    sim.cluster.changed();
}

fn only(partition: i32) -> BTreeSet<TopicPartition> {
    [("t", partition).into()].into()
}

fn pause(sim: &mut Simulation, partition: i32) {
    sim.machines.subscriptions.pause(&only(partition)).unwrap();
    sim.machines.follow();
}

fn resume(sim: &mut Simulation, partition: i32) {
    sim.machines.subscriptions.resume(&only(partition)).unwrap();
    sim.machines.follow();
}

fn offsets(sim: &Simulation, partition: i32) -> Vec<i64> {
    let of = sim.received().iter().filter(|r| r.partition.partition() == partition);
    of.map(|r| r.offset).collect()
}

fn up_to(end: i64) -> Vec<i64> {
    (0..end).collect()
}

fn fetches(sim: &Simulation) -> usize {
    sim.cluster.requests_of::<FetchRequest>().len()
}

/// The offsets that were asked for of a partition, in the fetches behind the first so many.
fn asked(sim: &Simulation, partition: i32, but: usize) -> Vec<i64> {
    let all = sim.cluster.requests_of::<FetchRequest>();
    let partitions = all.iter().skip(but).flat_map(|r| &r.topics).flat_map(|t| &t.partitions);
    partitions.filter(|p| p.partition == partition).map(|p| p.fetch_offset).collect()
}

fn fetch_is_under_way(sim: &mut Simulation) {
    sim.run_until(MINUTE, |sim| fetches(sim) > 0);
}

#[test]
fn fault_166_what_is_under_way_when_a_partition_is_paused_is_kept_and_comes_once_without_a_refetch()
{
    for delay in [0, 3, 200] {
        let mut sim = assigned(10);
        sim.cluster.on::<FetchRequest>().once().delay(ms(delay));
        fetch_is_under_way(&mut sim);
        pause(&mut sim, 0);
        sim.run_for(ms(3_000));
        assert_eq!((offsets(&sim, 0), offsets(&sim, 1)), (vec![], up_to(10)), "{delay}");
        let before = fetches(&sim);
        resume(&mut sim, 0);
        let took = sim.run_until(ms(100), |sim| offsets(sim, 0).len() == 10);
        assert_eq!((took, offsets(&sim, 0)), (ms(0), up_to(10)), "it was there: {delay}");
        append(&mut sim, 0, 2);
        sim.run_until(ms(1_000), |sim| offsets(sim, 0).len() == 12);
        sim.run_for(ms(1_000));
        assert_eq!(offsets(&sim, 0), up_to(12), "{delay}");
        assert!(asked(&sim, 0, before).iter().all(|n| *n >= 10), "{:?}", asked(&sim, 0, before));
    }
}

#[test]
fn behaviour_36_what_is_ready_when_a_partition_is_paused_is_parked_and_not_fetched_again() {
    let mut sim = assigned(10);
    sim.set_consuming(false);
    sim.run_for(ms(500));
    pause(&mut sim, 0);
    sim.run_for(ms(600));
    let before = fetches(&sim);
    sim.set_consuming(true);
    append(&mut sim, 0, 5);
    append(&mut sim, 1, 5);
    sim.run_for(ms(5_000));
    assert_eq!((offsets(&sim, 0), offsets(&sim, 1)), (vec![], up_to(15)), "others go on");
    assert_eq!(asked(&sim, 0, before + 1), [] as [i64; 0], "not fetched while it is paused");
    resume(&mut sim, 0);
    sim.run_until(ms(100), |sim| offsets(sim, 0).len() == 15);
    sim.run_for(ms(1_000));
    assert_eq!(offsets(&sim, 0), up_to(15));
    assert!(asked(&sim, 0, before).iter().all(|n| *n >= 10));
}

#[test]
fn behaviour_36_a_paused_partition_keeps_its_position_and_its_assignment() {
    let mut sim = assigned(3);
    sim.run_until(MINUTE, |sim| offsets(sim, 0).len() == 3);
    pause(&mut sim, 0);
    append(&mut sim, 0, 3);
    sim.run_for(ms(2_000));
    let id = sim.machines.subscriptions.id(&("t", 0).into()).unwrap();
    assert_eq!(sim.machines.subscriptions.state(id).unwrap().offset(), Some(3));
    resume(&mut sim, 0);
    sim.run_until(ms(600), |sim| offsets(sim, 0).len() == 6);
    assert_eq!(offsets(&sim, 0), up_to(6));
}

#[test]
fn behaviour_36_pausing_and_resuming_at_any_time_loses_and_repeats_nothing() {
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut sim = assigned(3);
        for _ in 0..60 {
            let partition = random.i32(0..2);
            match random.u8(0..6) {
                0 | 1 => pause(&mut sim, partition),
                2 => resume(&mut sim, partition),
                3 => sim.set_consuming(random.bool()),
                _ => append(&mut sim, partition, random.usize(1..4)),
            }
            sim.run_for(ms(random.u64(0..700) * random.u64(0..2)));
        }
        sim.set_consuming(true);
        resume(&mut sim, 0);
        resume(&mut sim, 1);
        sim.run_for(ms(3_000));
        for partition in [0, 1] {
            let end = sim.cluster.state.partition("t", partition).unwrap().log.end();
            assert_eq!(offsets(&sim, partition), up_to(end), "seed {seed}, partition {partition}");
        }
        assert!(sim.errors().is_empty() && sim.spins().is_empty(), "seed {seed}");
    }
}

#[test]
fn fault_167_a_seek_of_a_paused_partition_drops_what_is_kept_and_stays() {
    for consuming in [false, true] {
        let mut sim = assigned(10);
        if consuming {
            sim.cluster.on::<FetchRequest>().once().delay(ms(50));
            fetch_is_under_way(&mut sim);
        } else {
            sim.set_consuming(false);
            sim.run_for(ms(500));
        }
        pause(&mut sim, 0);
        sim.run_for(ms(20));
        sim.seek(("t", 0), 7);
        sim.run_for(ms(2_000));
        sim.set_consuming(true);
        sim.run_for(ms(200));
        assert_eq!(offsets(&sim, 0), [] as [i64; 0]);
        resume(&mut sim, 0);
        sim.run_for(ms(2_000));
        assert_eq!(offsets(&sim, 0), [7, 8, 9]);
    }
}

#[test]
fn fault_168_resuming_what_is_not_paused_changes_nothing() {
    let mut sim = assigned(10);
    sim.run_until(MINUTE, |sim| sim.received().len() == 20);
    sim.run_for(ms(100));
    let (before, connects) = (fetches(&sim), sim.attempts().len());
    resume(&mut sim, 0);
    sim.run_for(ms(300));
    assert_eq!((fetches(&sim), sim.attempts().len()), (before, connects), "not even a request");
    append(&mut sim, 0, 1);
    sim.run_until(ms(100), |sim| sim.received().len() == 21);
    assert_eq!(offsets(&sim, 0), up_to(11));
}

#[test]
fn fault_169_with_all_partitions_paused_nothing_spins_and_nothing_is_fetched() {
    let mut sim = assigned(10);
    sim.run_until(MINUTE, |sim| sim.received().len() == 20);
    pause(&mut sim, 0);
    pause(&mut sim, 1);
    sim.run_for(ms(1_000));
    append(&mut sim, 0, 5);
    let (before, turns) = (fetches(&sim), sim.turns());
    sim.run_for(10 * MINUTE);
    assert_eq!(fetches(&sim), before);
    assert!(sim.turns() - turns < 200, "{} turns in ten minutes", sim.turns() - turns);
    assert_eq!((sim.received().len(), sim.spins().len()), (20, 0));
    resume(&mut sim, 0);
    sim.run_until(ms(1_000), |sim| sim.received().len() == 25);
}

#[test]
fn behaviour_43_a_paused_partition_without_a_position_is_reset_and_not_fetched() {
    let mut sim = assigned(5);
    pause(&mut sim, 0);
    sim.run_for(ms(3_000));
    let id = sim.machines.subscriptions.id(&("t", 0).into()).unwrap();
    let offset = |sim: &Simulation| sim.machines.subscriptions.state(id).unwrap().offset();
    assert_eq!((offset(&sim), offsets(&sim, 0)), (Some(0), vec![]));
    sim.machines.subscriptions.seek_to(&only(0), OffsetReset::Latest).unwrap();
    sim.machines.follow();
    sim.run_for(ms(1_000));
    assert_eq!(offset(&sim), Some(5));
    assert_eq!(asked(&sim, 0, 0), [] as [i64; 0]);
    assert_eq!(sim.cluster.requests_of::<ListOffsetsRequest>().len(), 2);
    resume(&mut sim, 0);
    append(&mut sim, 0, 1);
    sim.run_until(ms(1_000), |sim| offsets(sim, 0) == [5]);
}

#[test]
fn behaviour_36_a_paused_partition_is_checked_when_its_leader_changes() {
    let mut sim = assigned(10);
    sim.run_until(MINUTE, |sim| sim.received().len() == 20);
    pause(&mut sim, 0);
    sim.cluster.state.elect_unclean("t", 0, 1, 6);
    append(&mut sim, 0, 2);
    sim.machines.metadata.request_update();
    sim.run_for(ms(2_000));
    resume(&mut sim, 0);
    sim.run_until(ms(2_000), |sim| sim.received().len() == 22);
    assert_eq!(offsets(&sim, 0)[10..], [6, 7]);
}

#[test]
fn fault_166_what_is_kept_of_paused_partitions_is_bounded_and_the_rest_fetched_again() {
    let mut sim = Simulation::new(1, 1, |o| {
        o.auto_offset_reset("earliest")
            .fetch_max_bytes(64 << 20)
            .max_partition_fetch_bytes(64 << 20)
    });
    sim.cluster.state.create_topic("t", 1);
    for _ in 0..24 {
        sim.cluster.state.append("t", 0, [vec![b'x'; 1_000_000]]);
    }
    sim.assign([("t", 0)]);
    sim.cluster.on::<FetchRequest>().once().delay(ms(50));
    fetch_is_under_way(&mut sim);
    pause(&mut sim, 0);
    sim.run_for(ms(3_000));
    let before = fetches(&sim);
    resume(&mut sim, 0);
    sim.run_until(MINUTE, |sim| offsets(sim, 0).len() == 24);
    assert_eq!(offsets(&sim, 0), up_to(24));
    let again = asked(&sim, 0, before);
    assert!((14..20).contains(&again[0]), "16 MiB were kept: {again:?}");
}
