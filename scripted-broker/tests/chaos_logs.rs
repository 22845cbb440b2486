//! Whatever happens to logs as well as to brokers, what is committed and survives comes once and in order: transactions,
//! truncation by unclean elections, followers, and pauses. On a virtual clock, from seeds.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use kafka_blocking::{
    ErrorCode, TopicPartition,
    protocol::{
        Request, fetch::FetchRequest, list_offsets::ListOffsetsRequest, metadata::MetadataRequest,
        offset_for_leader_epoch::OffsetForLeaderEpochRequest,
    },
};
use scripted_broker::{Follower, Marker, Reach, Simulation};

const PARTITIONS: i32 = 3;
const NODES: u8 = 3;

/// What stands at an offset of a log.
#[derive(Clone, Debug)]
enum Entry {
    Data { producer: Option<i64>, value: String },
    Marker { producer: i64, commit: bool },
}

/// What a log holds, and what it has lost.
#[derive(Default)]
struct Model {
    entries: BTreeMap<i64, Entry>,
    lost: BTreeSet<String>,
    truncations: usize,
}

impl Model {
    /// The producers of transactions that are open at an offset.
    fn open_at(&self, offset: i64) -> BTreeSet<i64> {
        let mut open = BTreeSet::new();
        for (_, entry) in self.entries.range(..offset) {
            match entry {
                Entry::Data { producer: Some(producer), .. } => open.insert(*producer),
                Entry::Marker { producer, .. } => open.remove(producer),
                Entry::Data { .. } => false,
            };
        }
        open
    }

    fn truncate(&mut self, offset: i64) {
        let cut = self.entries.split_off(&offset);
        self.lost.extend(cut.into_values().filter_map(|entry| match entry {
            Entry::Data { value, .. } => Some(value),
            Entry::Marker { .. } => None,
        }));
        self.truncations += 1;
    }

    /// The offsets and values of what a reader is to see, when nothing is open.
    fn visible(&self, committed: bool) -> Vec<(i64, String)> {
        let (mut pending, mut visible) = (BTreeMap::<i64, Vec<_>>::new(), BTreeMap::new());
        for (offset, entry) in &self.entries {
            match entry {
                Entry::Data { producer: Some(producer), value } if committed => {
                    pending.entry(*producer).or_default().push((*offset, value.clone()));
                }
                Entry::Data { value, .. } => {
                    visible.insert(*offset, value.clone());
                }
                Entry::Marker { producer, commit } => {
                    let decided = pending.remove(producer).unwrap_or_default();
                    visible.extend(decided.into_iter().filter(|_| *commit));
                }
            }
        }
        assert!(pending.is_empty(), "nothing is open in the end");
        visible.into_iter().collect()
    }
}

struct Chaos {
    sim: Simulation,
    random: fastrand::Rng,
    models: Vec<Model>,
    committed: bool,
    written: usize,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let (committed, near) = (random.bool(), random.bool());
        let bytes = [1, 400, 1 << 20][random.usize(0..3)];
        let mut sim = Simulation::new(NODES, seed, |o| {
            o.auto_offset_reset("earliest")
                .isolation_level(if committed { "read_committed" } else { "read_uncommitted" })
                .client_rack(if near { "2" } else { "" })
                .max_partition_fetch_bytes(bytes)
        });
        let state = &mut sim.cluster.state;
        state.create_topic("t", 3);
        state.rack_aware = near;
        for node in 1..=NODES.into() {
            state.node_mut(node).rack = Some(node.to_string());
        }
        sim.subscribe(&["t"]);
        let models = (0..PARTITIONS).map(|_| Model::default()).collect();
        Self { sim, random, models, committed, written: 0 }
    }

    fn model(&mut self, partition: i32) -> &mut Model {
        &mut self.models[usize::try_from(partition).unwrap()]
    }

    fn append(&mut self) {
        let partition = self.random.i32(0..PARTITIONS);
        let producer = Some(self.random.i64(1..4)).filter(|_| self.random.bool());
        let count = self.random.usize(1..5);
        let size = self.random.usize(1..300);
        let name = |n: usize| format!("{n} {}", "x".repeat(size));
        let values: Vec<String> = (self.written..self.written + count).map(name).collect();
        self.written += count;
        let state = &mut self.sim.cluster.state;
        let first = match producer {
            Some(id) => state.append_transactional("t", partition, id, values.clone()),
            None => state.append("t", partition, values.clone()),
        };
        let entries =
            (first..).zip(values.into_iter().map(|value| Entry::Data { producer, value }));
        self.model(partition).entries.extend(entries);
        if self.random.u8(..) < 30 {
            let log = &mut self.sim.cluster.state.partition_mut("t", partition).log;
            log.skip_to(log.end() + 3);
        }
        if self.random.u8(..) < 80 {
            let (producer, commit) = (self.random.i64(1..4), self.random.bool());
            self.end(partition, producer, commit);
        }
        self.sim.cluster.changed();
    }

    fn end(&mut self, partition: i32, producer: i64, commit: bool) {
        let marker = if commit { Marker::Commit } else { Marker::Abort };
        let offset = self.sim.cluster.state.append_marker("t", partition, producer, marker);
        self.model(partition).entries.insert(offset, Entry::Marker { producer, commit });
    }

    /// A node with less of the log leads; no transaction loses its end only, which nobody could set right.
    fn truncate(&mut self) {
        let (partition, leader) =
            (self.random.i32(0..PARTITIONS), self.random.i32(1..=NODES.into()));
        let end = self.sim.cluster.state.partition_mut("t", partition).log.end();
        let offset = (end - self.random.i64(0..12)).max(0);
        let committed = self.committed;
        let model = self.model(partition);
        // A batch is not cut in half.
        let offset = model.entries.range(..offset).next_back().map_or(0, |(last, _)| last + 1);
        if committed && !model.open_at(offset).is_empty() {
            return;
        }
        self.sim.cluster.state.elect_unclean("t", partition, leader, offset);
        let kept = self.sim.cluster.state.partition_mut("t", partition).log.end();
        let first_lost = self.first_kept_end(partition, kept);
        self.model(partition).truncate(first_lost);
        self.sim.cluster.changed();
    }

    /// Batches go as a whole: where what is left of the log really ends.
    fn first_kept_end(&self, partition: i32, end: i64) -> i64 {
        let log = &self.sim.cluster.state.partition("t", partition).unwrap().log;
        let bytes = log.read(0, usize::MAX, true).bytes;
        let (mut at, mut next) = (0, 0);
        while at < bytes.len() {
            let int = |n: usize| i32::from_be_bytes(bytes[at + n..at + n + 4].try_into().unwrap());
            let base = i64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
            next = base + i64::from(int(23)) + 1;
            at += 12 + usize::try_from(int(8)).unwrap();
        }
        next.min(end)
    }

    /// Something goes wrong, or right again.
    fn disturb(&mut self) {
        let node = self.random.u8(1..=NODES);
        let (id, partition) = (i32::from(node), self.random.i32(0..PARTITIONS));
        let only: BTreeSet<TopicPartition> = [("t", partition).into()].into();
        let (sim, random) = (&mut self.sim, &mut self.random);
        match random.u8(0..20) {
            0 => sim.stop(node),
            1 | 2 => {
                sim.restart(node);
                sim.cluster.set_paused(id, false);
            }
            3 => sim.cluster.set_paused(id, true),
            4 => sim.set_reach(Simulation::address(node), Reach::Lost),
            5 => {
                let leader = Some(id).filter(|_| random.u8(..) < 200);
                sim.cluster.state.move_leader("t", partition, leader);
                sim.cluster.changed();
            }
            6 => sim.cluster.close_connections(id),
            7 => sim.cluster.forget_sessions(id),
            8 => sim.cluster.on::<FetchRequest>().node(id).once().cut_at(random.usize(0..3000)),
            9 => hinder::<FetchRequest>(sim, random),
            10 => hinder::<OffsetForLeaderEpochRequest>(sim, random),
            11 => hinder::<ListOffsetsRequest>(sim, random),
            12 => sim.cluster.on::<MetadataRequest>().once().swallow(),
            13 => sim.set_latency(id, Duration::from_millis(random.u64(0..300))),
            14 => sim.machines.subscriptions.pause(&only).unwrap_or_default(),
            15 => sim.machines.subscriptions.resume(&only).unwrap_or_default(),
            16 => sim.set_consuming(random.bool()),
            17 => {
                let end = sim.cluster.state.partition_mut("t", partition).log.end();
                let less = |random: &mut fastrand::Rng| {
                    Some((end - random.i64(0..9)).max(0)).filter(|_| random.bool())
                };
                let follower = Follower {
                    end: less(random),
                    high_watermark: less(random),
                    out_of_sync: random.bool(),
                    ahead: Some(ErrorCode::OFFSET_NOT_AVAILABLE).filter(|_| random.bool()),
                };
                *sim.cluster.state.follower_mut("t", partition, id) = follower;
                sim.cluster.changed();
            }
            18 => self.truncate(),
            _ => {
                let rest = Duration::from_millis(random.u64(0..2_000));
                let at = random.usize(0..3000);
                sim.cluster.on::<FetchRequest>().node(id).once().stall_at(at, rest);
            }
        }
        self.sim.machines.follow();
    }

    fn repair(&mut self) {
        let sim = &mut self.sim;
        sim.cluster.clear_rules();
        for node in 1..=NODES {
            sim.restart(node);
            sim.cluster.set_paused(node.into(), false);
        }
        sim.set_consuming(true);
        let all = (0..PARTITIONS).map(|n| ("t", n).into()).collect();
        sim.machines.subscriptions.resume(&all).unwrap_or_default();
        sim.machines.follow();
        for partition in 0..PARTITIONS {
            let leader = self.random.i32(1..=NODES.into());
            self.sim.cluster.state.partition_mut("t", partition).followers.clear();
            self.sim.cluster.state.move_leader("t", partition, Some(leader));
            for producer in 1..4 {
                let commit = self.random.bool();
                self.end(partition, producer, commit);
            }
        }
        self.sim.cluster.changed();
    }

    fn read(&self, partition: i32) -> Vec<(i64, String)> {
        let received = self.sim.received().iter().filter(|r| r.partition.partition() == partition);
        let text = |v: &Option<Vec<u8>>| String::from_utf8(v.clone().unwrap()).unwrap();
        received.map(|r| (r.offset, text(&r.value))).collect()
    }

    fn is_all_there(&self) -> bool {
        (0..).zip(&self.models).all(|(partition, model)| {
            let read: BTreeSet<_> = self.read(partition).into_iter().collect();
            model.visible(self.committed).iter().all(|record| read.contains(record))
        })
    }

    /// What must hold in the end.
    fn check(&self, seed: u64) {
        for (partition, model) in (0..).zip(&self.models) {
            let at = format!("seed {seed}, partition {partition}");
            let read = self.read(partition);
            let distinct: BTreeSet<_> = read.iter().collect();
            assert_eq!(distinct.len(), read.len(), "{at}: a record twice");
            let back = read.windows(2).filter(|pair| pair[1].0 <= pair[0].0).count();
            assert!(back <= model.truncations, "{at}: {back} times back");
            // What a later record at the same offset has replaced was lost with the log; the rest is the log.
            let kept: Vec<_> =
                read.iter().filter(|(_, value)| !model.lost.contains(value)).cloned().collect();
            assert_eq!(kept, model.visible(self.committed), "{at}: {:?}", read.len());
        }
        assert!(self.sim.errors().is_empty(), "seed {seed}: {:?}", self.sim.errors());
        assert_eq!(self.sim.spins(), [], "seed {seed}");
    }
}

/// Something happens to the next requests of an API.
fn hinder<R: Request>(sim: &mut Simulation, random: &mut fastrand::Rng)
where
    R::Response: Send + 'static,
{
    let rule = sim.cluster.on::<R>().times(random.usize(1..3));
    match random.u8(0..5) {
        0 => rule.close(),
        1 => rule.delay(Duration::from_millis(random.u64(0..3_000))),
        2 => rule.corrupt(7, 0x55),
        3 => rule.silence(),
        _ => {
            let all: Vec<_> =
                ErrorCode::KNOWN.into_iter().filter(|code| code.retriable()).collect();
            rule.fail(*all[random.usize(..all.len())]);
        }
    }
}

fn run(seed: u64) -> Chaos {
    let mut chaos = Chaos::new(seed);
    for _ in 0..50 {
        for _ in 0..chaos.random.u8(0..4) {
            chaos.append();
        }
        if chaos.random.u8(0..3) > 0 {
            chaos.disturb();
        }
        if chaos.random.u8(0..3) == 0 {
            chaos.truncate();
        }
        let pause = chaos.random.u64(0..1_500);
        chaos.sim.run_for(Duration::from_millis(pause));
    }
    chaos.repair();
    let limit = chaos.sim.elapsed() + Duration::from_secs(90);
    while !chaos.is_all_there() && chaos.sim.elapsed() < limit {
        chaos.sim.run_for(Duration::from_millis(500));
    }
    chaos.sim.run_for(Duration::from_secs(5));
    chaos
}

#[test]
fn what_is_committed_and_survives_comes_once_and_in_order_whatever_happens_to_logs_and_brokers() {
    for seed in 0..40 {
        run(seed).check(seed);
    }
}

#[test]
fn the_same_seed_makes_the_same_run() {
    let outcome = |seed| {
        let chaos = run(seed);
        let received: Vec<_> = chaos.sim.received().iter().map(|r| (r.offset, r.at)).collect();
        (received, chaos.sim.attempts().to_vec(), chaos.sim.turns())
    };
    assert_eq!(outcome(3), outcome(3));
}
