//! Whatever happens to brokers and network, every record comes once and in order. On a virtual clock, from seeds.

use std::time::Duration;

use kafka_blocking::{
    ErrorCode,
    protocol::{fetch::FetchRequest, list_offsets::ListOffsetsRequest, metadata::MetadataRequest},
};
use scripted_broker::{Reach, Simulation};

const PARTITIONS: i32 = 3;
const NODES: u8 = 3;

/// A run of the consumer under faults, with what it must have read in the end.
struct Chaos {
    sim: Simulation,
    random: fastrand::Rng,
    written: Vec<Vec<String>>,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut sim = Simulation::new(NODES, seed, |o| o.auto_offset_reset("earliest"));
        sim.cluster.state.create_topic("t", 3);
        sim.subscribe(&["t"]);
        Self { sim, random: fastrand::Rng::with_seed(seed), written: vec![vec![]; 3] }
    }

    fn append(&mut self) {
        let partition = self.random.i32(0..PARTITIONS);
        let written = &mut self.written[usize::try_from(partition).unwrap()];
        let count = self.random.usize(1..5);
        let values: Vec<String> = (written.len()..written.len() + count)
            .map(|n| format!("{n} ").repeat(self.random.usize(1..200)))
            .collect();
        let records: Vec<_> = values.iter().map(|v| v.as_str().into()).collect();
        written.extend(values);
        let stored = self.sim.cluster.state.partition_mut("t", partition);
        stored.log.append(&records, stored.epoch);
        if self.random.u8(..) < 30 {
            let end = stored.log.end();
            stored.log.skip_to(end + 3);
        }
        self.sim.cluster.changed();
    }

    /// Something goes wrong, or right again.
    fn disturb(&mut self) {
        let node = self.random.u8(1..=NODES);
        let id = i32::from(node);
        let (sim, random) = (&mut self.sim, &mut self.random);
        match random.u8(0..16) {
            0 => sim.stop(node),
            1..=3 => {
                sim.restart(node);
                sim.cluster.set_paused(id, false);
            }
            4 => sim.cluster.set_paused(id, true),
            5 => sim.set_reach(Simulation::address(node), Reach::Lost),
            6 | 7 => {
                let leader = Some(id).filter(|_| random.u8(..) < 200);
                sim.cluster.state.move_leader("t", random.i32(0..PARTITIONS), leader);
                sim.cluster.changed();
            }
            8 => sim.cluster.close_connections(id),
            9 => sim.cluster.forget_sessions(id),
            10 => sim.cluster.on::<FetchRequest>().node(id).once().cut_at(random.usize(0..3000)),
            11 => {
                let all = ErrorCode::KNOWN;
                let code = all[random.usize(..all.len())];
                if code.retriable() {
                    sim.cluster.on::<FetchRequest>().node(id).times(2).fail(code);
                }
            }
            12 => sim.cluster.on::<MetadataRequest>().once().swallow(),
            13 => sim.cluster.on::<ListOffsetsRequest>().once().corrupt(7, 0x55),
            14 => sim.set_latency(id, Duration::from_millis(random.u64(0..300))),
            _ => {
                let rest = Duration::from_millis(random.u64(0..2_000));
                let at = random.usize(0..3000);
                sim.cluster.on::<FetchRequest>().node(id).once().stall_at(at, rest);
            }
        }
    }

    fn repair(&mut self) {
        self.sim.cluster.clear_rules();
        for node in 1..=NODES {
            self.sim.restart(node);
            self.sim.cluster.set_paused(node.into(), false);
        }
        for partition in 0..PARTITIONS {
            let leader = self.random.i32(1..=NODES.into());
            self.sim.cluster.state.move_leader("t", partition, Some(leader));
        }
        self.sim.cluster.changed();
    }

    fn read(&self, partition: i32) -> Vec<String> {
        let received = self.sim.received().iter().filter(|r| r.partition.partition() == partition);
        received.map(|r| String::from_utf8(r.value.clone().unwrap()).unwrap()).collect()
    }
}

#[test]
fn every_record_comes_once_and_in_order_whatever_happens_to_the_brokers() {
    for seed in 0..60 {
        let mut chaos = Chaos::new(seed);
        for _ in 0..40 {
            for _ in 0..chaos.random.u8(0..4) {
                chaos.append();
            }
            if chaos.random.bool() {
                chaos.disturb();
            }
            let pause = chaos.random.u64(0..1_500);
            chaos.sim.run_for(Duration::from_millis(pause));
        }
        chaos.repair();
        let wanted: usize = chaos.written.iter().map(Vec::len).sum();
        let limit = Duration::from_secs(70);
        chaos.sim.run_until(limit, |sim| sim.received().len() >= wanted);
        chaos.sim.run_for(Duration::from_secs(5));
        for partition in 0..PARTITIONS {
            let written = &chaos.written[usize::try_from(partition).unwrap()];
            assert_eq!(&chaos.read(partition), written, "seed {seed}, partition {partition}");
        }
        assert!(chaos.sim.errors().is_empty(), "seed {seed}: {:?}", chaos.sim.errors());
        assert_eq!(chaos.sim.spins(), [], "seed {seed}");
    }
}

#[test]
fn the_same_seed_makes_the_same_run() {
    let run = |seed| {
        let mut chaos = Chaos::new(seed);
        for _ in 0..30 {
            chaos.append();
            chaos.disturb();
            chaos.sim.run_for(Duration::from_millis(400));
        }
        let received: Vec<_> = chaos.sim.received().iter().map(|r| (r.offset, r.at)).collect();
        (received, chaos.sim.attempts().to_vec(), chaos.sim.turns())
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).0, run(8).0);
}
