//! Answers that come slowly, in part, or faster than they are wanted. On a virtual clock.

use std::collections::BTreeSet;

use std::time::Duration;

use kafka_blocking::protocol::{fetch::FetchRequest, list_offsets::ListOffsetsRequest};
use scripted_broker::{Reach, Simulation};

const MINUTE: Duration = Duration::from_secs(60);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A topic led by the nodes in turn, with `batches` batches of `size` bytes in each partition.
fn with_data(nodes: u8, seed: u64, partitions: usize, batches: usize, size: usize) -> Simulation {
    let mut sim = Simulation::new(nodes, seed, |o| o.auto_offset_reset("earliest"));
    sim.cluster.state.create_topic("t", partitions);
    for partition in 0..i32::try_from(partitions).unwrap() {
        let log = &mut sim.cluster.state.partition_mut("t", partition).log;
        for _ in 0..batches {
            log.append(&[vec![b'x'; size].into()], 0);
        }
    }
    sim.subscribe(&["t"]);
    sim
}

/// The offsets that have come of a partition.
fn offsets(sim: &Simulation, partition: i32) -> Vec<i64> {
    let received = sim.received().iter().filter(|r| r.partition.partition() == partition);
    received.map(|r| r.offset).collect()
}

#[test]
fn fault_7_an_answer_that_is_cut_anywhere_costs_no_record_and_doubles_none() {
    for cut in (0..200_000).step_by(9_973) {
        let mut sim = with_data(1, 1, 2, 20, 5_000);
        sim.cluster.on::<FetchRequest>().once().cut_at(cut);
        sim.run_until(MINUTE, |sim| sim.received().len() >= 40);
        sim.run_for(ms(2_000));
        for partition in 0..2 {
            assert_eq!(offsets(&sim, partition), (0..20).collect::<Vec<i64>>(), "cut at {cut}");
        }
        assert!(sim.errors().is_empty(), "{:?}", sim.errors());
    }
}

#[test]
fn fault_9_an_answer_whose_bytes_keep_coming_is_not_late() {
    let mut sim = with_data(1, 1, 1, 20, 5_000);
    for n in 0..3 {
        sim.cluster.on::<FetchRequest>().once().stall_at(50 + n, ms(25_000));
    }
    sim.run_until(2 * MINUTE, |sim| sim.received().len() == 20);
    let fetches = sim.cluster.requests_of::<FetchRequest>();
    let first = &fetches[0].topics[0].partitions[0];
    assert_eq!(first.fetch_offset, 0);
    let fetches = sim.cluster.requests().iter().filter(|r| r.is::<FetchRequest>());
    let connections: BTreeSet<_> = fetches.map(|r| r.connection).collect();
    assert_eq!(connections.len(), 1, "the connection was not given up");
}

#[test]
fn an_answer_that_stops_half_way_is_given_up_and_fetched_again_from_where_it_stopped() {
    let mut sim = with_data(1, 1, 1, 20, 50_000);
    sim.cluster.on::<FetchRequest>().once().stall_at(600_000, ms(100_000));
    sim.run_until(2 * MINUTE, |sim| sim.received().len() == 20);
    assert!((ms(30_000)..ms(31_000)).contains(&sim.elapsed()), "{:?}", sim.elapsed());
    assert_eq!(offsets(&sim, 0), (0..20).collect::<Vec<i64>>());
    assert!(sim.errors().is_empty() && sim.spins().is_empty());
}

#[test]
fn fault_12_a_leader_that_is_silent_for_a_minute_holds_up_no_other() {
    let mut sim = with_data(3, 1, 3, 1, 100);
    sim.run_until(MINUTE, |sim| sim.received().len() == 3);
    sim.set_reach(Simulation::address(2), Reach::Lost);
    for n in 1..=60 {
        for partition in [0, 2] {
            let log = &mut sim.cluster.state.partition_mut("t", partition).log;
            log.append(&[vec![1].into()], 0);
        }
        sim.cluster.changed();
        sim.run_for(ms(1_000));
        assert_eq!((offsets(&sim, 0).len(), offsets(&sim, 2).len()), (n + 1, n + 1));
    }
    assert!(sim.errors().is_empty() && sim.spins().is_empty());
}

#[test]
fn fault_17_an_answer_that_comes_twice_closes_the_connection() {
    let mut sim = with_data(1, 1, 1, 1, 100);
    sim.cluster.on::<ListOffsetsRequest>().once().twice();
    sim.run_until(MINUTE, |sim| !sim.cluster.requests_of::<ListOffsetsRequest>().is_empty());
    let connection = sim.cluster.requests().last().unwrap().connection;
    sim.run_for(ms(100));
    assert!(!sim.cluster.is_open(connection));
    sim.run_until(MINUTE, |sim| sim.received().len() == 1);
    assert!(sim.errors().is_empty());
}

#[test]
fn what_is_not_taken_is_not_read_and_what_is_not_read_is_not_late() {
    let mut sim = with_data(1, 1, 8, 30, 100_000);
    sim.set_consuming(false);
    sim.run_for(2 * MINUTE);
    let asked = sim.cluster.requests_of::<FetchRequest>().len();
    let attempts = sim.attempts().len();
    assert!(asked <= 2, "{asked} fetches while nothing is taken");
    assert_eq!(sim.spins(), []);
    sim.set_consuming(true);
    let took = sim.run_until(MINUTE, |sim| sim.received().len() == 240);
    assert!(took < ms(2_000), "{took:?}");
    assert_eq!(sim.attempts().len(), attempts, "no connection was lost by waiting");
    for partition in 0..8 {
        assert_eq!(offsets(&sim, partition), (0..30).collect::<Vec<i64>>());
    }
}
