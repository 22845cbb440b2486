//! What becomes of a group when its brokers are restarted, the network is bad or away, or a member's process stands still.
//! On a virtual clock.

use std::{collections::BTreeMap, time::Duration};

use kafka_blocking::TopicPartition;
use scripted_broker::{
    Entry, GroupSimulation, GroupState, Happened, ListenerHabits, MemberId, Reach,
    SimulatedConsumer,
};

const GROUP: &str = "g";
const NODES: u8 = 3;
const SESSION: Duration = Duration::from_secs(10);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Reads until it is ended, and commits by itself.
async fn read_on(mut consumer: SimulatedConsumer) {
    while !consumer.connect().await {
        consumer.work(ms(500)).await;
    }
    consumer.subscribe(&["t"]);
    loop {
        match consumer.poll_max(ms(200), 20).await {
            Ok(taken) => consumer.work(ms(if taken.is_empty() { 1 } else { 20 })).await,
            Err(error) => {
                consumer.failed("poll", error);
                consumer.work(ms(50)).await;
            }
        }
    }
}

/// A group of members that read `t`, and all that has happened to it.
struct Bed {
    sim: GroupSimulation,
    partitions: i32,
    journal: Vec<Entry>,
    appended: i32,
}

impl Bed {
    /// So many members, which have joined.
    fn new(seed: u64, members: usize, partitions: i32, session: Duration) -> Self {
        let mut sim = GroupSimulation::new(NODES, GROUP, seed, false);
        sim.with_cluster(|cluster, _| {
            cluster.state.create_topic("t", usize::try_from(partitions).unwrap());
            cluster.state.groups.failover = true;
        });
        for _ in 0..members {
            let options = |o: kafka_blocking::ConsumerBuilder| {
                o.auto_offset_reset("earliest")
                    .session_timeout_ms(session)
                    .heartbeat_interval_ms(3_000)
                    .auto_commit_interval_ms(1_000)
            };
            sim.start(options, ListenerHabits::default(), read_on);
        }
        let mut bed = Self { sim, partitions, journal: Vec::new(), appended: 0 };
        bed.run_for(secs(15));
        assert_eq!(bed.members(), members, "all have joined");
        bed
    }

    fn run_for(&mut self, time: Duration) {
        let limit = self.sim.elapsed() + time;
        while !self.sim.step(limit) {
            self.journal.extend(self.sim.take_journal());
        }
        self.journal.extend(self.sim.take_journal());
    }

    /// Lets time pass in which a record is appended each tenth of a second.
    fn flow_for(&mut self, time: Duration) {
        self.flow(time, ms(100));
    }

    /// Lets time pass in which a record is appended now and then.
    fn flow(&mut self, time: Duration, every: Duration) {
        let end = self.sim.elapsed() + time;
        while self.sim.elapsed() < end {
            let partition = self.appended % self.partitions;
            self.appended += 1;
            self.sim.with_cluster(|cluster, _| {
                cluster.state.append("t", partition, ["x"]);
                cluster.changed();
            });
            self.run_for(every);
        }
    }

    /// Both members have stayed in this generation, and all was read once.
    fn has_rested_in(&mut self, generation: i32) {
        self.run_for(secs(5));
        assert_eq!(self.nothing_is_lost(), 0, "none came twice");
        assert_eq!((self.generation(), self.members()), (generation, 2));
        self.nothing_went_wrong();
    }

    fn generation(&mut self) -> i32 {
        self.sim.with_cluster(|cluster, now| cluster.group(GROUP, now).view()).generation
    }

    /// How many members the group has, if it is at rest.
    fn members(&mut self) -> usize {
        let view = self.sim.with_cluster(|cluster, now| cluster.group(GROUP, now).view());
        if view.state == GroupState::Stable { view.members.len() } else { 0 }
    }

    /// What happened to a member, from an entry of the journal on.
    fn of(&self, member: MemberId, from: usize) -> impl Iterator<Item = &Happened> {
        let those = self.journal[from..].iter().filter(move |e| e.member == Some(member));
        those.map(|e| &e.what)
    }

    /// How often each record was handed out.
    fn handed_out(&self) -> BTreeMap<(TopicPartition, i64), usize> {
        let mut counts = BTreeMap::new();
        for entry in &self.journal {
            if let Happened::HandedOut(partition, offset) = &entry.what {
                *counts.entry((partition.clone(), *offset)).or_default() += 1;
            }
        }
        counts
    }

    /// Everything was handed out; gives how many records came more than once.
    #[track_caller]
    fn nothing_is_lost(&mut self) -> usize {
        let handed_out = self.handed_out();
        for partition in 0..self.partitions {
            let end = self.sim.with_cluster(|cluster, _| {
                cluster.state.partition("t", partition).expect("it exists").log.end()
            });
            for offset in 0..end {
                let key = (("t", partition).into(), offset);
                assert!(handed_out.contains_key(&key), "t-{partition} @{offset} is lost");
            }
        }
        handed_out.values().filter(|count| **count > 1).count()
    }

    /// Nobody was told of an error, nobody was busy in vain, and what is stored never went back.
    #[track_caller]
    fn nothing_went_wrong(&self) {
        for entry in &self.journal {
            match &entry.what {
                Happened::Failed(..) | Happened::Spun(_) => panic!("{entry}"),
                Happened::Stored(_, before, after) => {
                    assert!(before.is_none_or(|before| before <= *after), "{entry}");
                }
                _ => {}
            }
        }
    }
}

/// A node is told to stop, and gives what it leads and coordinates to the next one before it does.
fn hand_over(bed: &mut Bed, node: u8) {
    let next = i32::from(node % NODES + 1);
    let partitions = bed.partitions;
    bed.sim.with_cluster(|cluster, now| {
        for partition in 0..partitions {
            if cluster.state.partition_mut("t", partition).leader == Some(node.into()) {
                cluster.state.move_leader("t", partition, Some(next));
            }
        }
        if cluster.state.coordinator(GROUP) == Some(node.into()) {
            cluster.group(GROUP, now).set_coordinator(next);
        }
        cluster.changed();
    });
}

#[test]
fn fault_43_five_rolling_restarts_cost_no_rebalance_no_record_and_none_twice() {
    let mut bed = Bed::new(1, 2, 6, secs(45));
    let generation = bed.generation();
    for _ in 0..5 {
        for node in 1..=NODES {
            hand_over(&mut bed, node);
            bed.flow_for(ms(500));
            bed.sim.stop(node);
            bed.flow_for(secs(5));
            bed.sim.restart(node);
            bed.flow_for(secs(2));
        }
    }
    bed.has_rested_in(generation);
}

#[test]
fn fault_44_five_rounds_of_kills_of_all_brokers_in_turn_cost_no_record() {
    let mut bed = Bed::new(1, 2, 6, secs(45));
    let generation = bed.generation();
    for _ in 0..5 {
        for node in 1..=NODES {
            bed.sim.stop(node);
            // The others need a while to see it.
            bed.flow_for(secs(6));
            hand_over(&mut bed, node);
            bed.flow_for(secs(4));
            bed.sim.restart(node);
            bed.flow_for(secs(2));
        }
    }
    bed.has_rested_in(generation);
}

#[test]
fn fault_29_a_group_far_away_reads_for_ten_minutes_without_a_rebalance() {
    let mut bed = Bed::new(1, 2, 6, SESSION);
    let generation = bed.generation();
    for member in 0..2 {
        (1..=NODES).for_each(|node| bed.sim.set_latency(member, node, ms(100)));
    }
    bed.flow(secs(600), secs(1));
    bed.has_rested_in(generation);
}

#[test]
fn fault_32_connections_that_live_about_a_second_cost_no_record_and_no_rebalance() {
    for seed in 1..3 {
        let mut bed = Bed::new(seed, 3, 6, SESSION);
        let generation = bed.generation();
        for _ in 0..200 {
            // Each has up to seven.
            (0..3).for_each(|member| bed.sim.cut(member));
            bed.flow_for(ms(100));
        }
        bed.run_for(secs(5));
        assert_eq!(bed.nothing_is_lost(), 0, "seed {seed}: none came twice");
        assert_eq!((bed.generation(), bed.members()), (generation, 3), "seed {seed}");
        bed.nothing_went_wrong();
    }
}

/// What a member did that was no member any more, from `from` on: nothing was committed or handed out before its listener
/// was told of the loss, and nothing committed before it had partitions again.
#[track_caller]
fn gave_up_first(bed: &Bed, member: MemberId, from: usize) {
    let (mut lost, mut back) = (false, false);
    for what in bed.of(member, from) {
        match what {
            Happened::Lost(_) => lost = true,
            Happened::Assigned(_) if lost => back = true,
            Happened::HandedOut(..) | Happened::CommitSent(..) => {
                assert!(back, "{what:?}, told of the loss: {lost}");
            }
            _ => {}
        }
    }
    assert!(lost && back, "it lost its partitions, and has some again");
}

#[test]
fn fault_30_a_member_that_is_cut_off_for_longer_than_its_session_gives_up_and_comes_back() {
    for seed in 0..3 {
        let mut bed = Bed::new(seed, 2, 6, SESSION);
        bed.flow_for(ms(5_000 + 130 * seed));
        (1..=NODES).for_each(|node| bed.sim.set_reach(0, node, Reach::Lost));
        let (cut_off, at) = (bed.journal.len(), bed.sim.elapsed());
        bed.flow_for(secs(60));
        let told = bed.journal[cut_off..]
            .iter()
            .position(|entry| entry.member == Some(0) && matches!(entry.what, Happened::Lost(_)));
        let lost = cut_off + told.expect("it knows by itself");
        let took = bed.journal[lost].at - at;
        // Up to a heartbeat's interval before, it had heard of the coordinator.
        assert!((SESSION - ms(3_500)..SESSION + secs(1)).contains(&took), "seed {seed}: {took:?}");
        (1..=NODES).for_each(|node| bed.sim.set_reach(0, node, Reach::Up));
        bed.flow_for(secs(60));
        bed.run_for(secs(5));
        bed.nothing_is_lost();
        gave_up_first(&bed, 0, lost);
        assert_eq!(bed.members(), 2, "seed {seed}: it is back");
        bed.nothing_went_wrong();
    }
}

#[test]
fn fault_36_a_member_that_stood_still_for_longer_than_its_session_gives_up_before_anything_else() {
    for seed in 0..3 {
        let mut bed = Bed::new(seed, 2, 6, SESSION);
        // Wherever it is in its loop.
        bed.flow_for(ms(5_000 + 67 * seed));
        bed.sim.set_frozen(0, true);
        bed.flow_for(secs(60));
        let thawed = bed.journal.len();
        bed.sim.set_frozen(0, false);
        bed.flow_for(secs(30));
        bed.run_for(secs(5));
        bed.nothing_is_lost();
        gave_up_first(&bed, 0, thawed);
        assert_eq!(bed.members(), 2, "seed {seed}: it is back");
        bed.nothing_went_wrong();
    }
}
