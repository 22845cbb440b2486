//! A run of a group under faults: what goes wrong, in what order, and what must have become of it in the end.

use std::time::Duration;

use kafka_blocking::{
    ErrorCode, TopicPartition,
    protocol::{
        Request, fetch::FetchRequest, find_coordinator::FindCoordinatorRequest,
        heartbeat::HeartbeatRequest, join_group::JoinGroupRequest, leave_group::LeaveGroupRequest,
        metadata::MetadataRequest, offset_commit::OffsetCommitRequest,
        offset_fetch::OffsetFetchRequest, sync_group::SyncGroupRequest,
    },
};
use scripted_broker::{GroupSimulation, GroupState, MemberId, Reach};

use crate::{
    ledger::Ledger,
    program::{self, Commits, End, Habits, SESSION, Word},
};

pub(crate) const TOPICS: [&str; 2] = ["t", "u"];
const GROUP: &str = "g";
const NODES: u8 = 3;
const MOST_MEMBERS: usize = 5;

/// How long it may take at most, after the faults have ended, until all is well.
const RECOVERY: Duration = Duration::from_secs(120);

/// How long nothing happens any more then.
const REST: Duration = Duration::from_secs(15);

/// What kind of trouble there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Members come and go in good order.
    Calm,
    /// And die, hang, and dawdle.
    Members,
    /// And everything else goes wrong too.
    All,
}

impl Trouble {
    /// What a seed makes.
    pub(crate) fn of(seed: u64) -> Self {
        match seed % 4 {
            0 => Self::Calm,
            1 => Self::Members,
            _ => Self::All,
        }
    }
}

struct Chaos {
    sim: GroupSimulation,
    ledger: Ledger,
    random: fastrand::Rng,
    trouble: Trouble,
    assignors: &'static [&'static str],
    words: Vec<Word>,
    /// In which stage of a rolling change each was started.
    stages: Vec<usize>,
    calm: bool,
}

/// What a run was like.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) records: usize,
    pub(crate) duplicates: usize,
    pub(crate) unclean: usize,
    pub(crate) generations: i32,
    pub(crate) members: usize,
    pub(crate) ended: Duration,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let trouble = Trouble::of(seed);
        let sets: [&[&str]; 6] = [
            &["range"],
            &["range,roundrobin"],
            &["sticky"],
            &["cooperative-sticky"],
            &["cooperative-sticky"],
            // A rolling change from one to the other.
            &["range", "range,cooperative-sticky", "cooperative-sticky"],
        ];
        let assignors = sets[random.usize(..sets.len())];
        let mut sim = GroupSimulation::new(NODES, GROUP, seed, random.bool());
        sim.with_cluster(|cluster, _| {
            cluster.state.create_topic("t", 3);
            cluster.state.create_topic("u", 2);
            cluster.state.groups.failover = random.bool();
            cluster.state.groups.settings.initial_delay =
                Duration::from_millis([0, 500][usize::from(random.bool())]);
        });
        sim.note(format!("{trouble:?}, {assignors:?}"));
        let ledger = Ledger::new(seed, SESSION + Duration::from_secs(3));
        Self {
            sim,
            ledger,
            random,
            trouble,
            assignors,
            words: Vec::new(),
            stages: Vec::new(),
            calm: false,
        }
    }

    // Members

    fn start(&mut self, stage: usize) {
        let stage = stage.min(self.assignors.len() - 1);
        let assignors = self.assignors[stage];
        self.stages.push(stage);
        let quiet = self.trouble == Trouble::Calm;
        let habits = Habits::of(&mut self.random, assignors, quiet);
        self.sim.note(format!("m{} is {habits:?}", self.sim.started()));
        self.ledger.add_member(habits.commits == Commits::Auto);
        let word = Word::default();
        word.calm.set(self.calm);
        self.words.push(word.clone());
        let random = self.random.fork();
        let options = habits.clone();
        let listener = habits.listener.clone();
        self.sim.start(
            |builder| options.options(builder),
            listener,
            |consumer| program::run(consumer, habits, word, random),
        );
    }

    /// Goes on with a rolling change: the members of the stage before are replaced, and none is left of those before.
    fn begin_stage(&mut self, stage: usize) {
        for member in self.running() {
            if self.stages[member] + 1 < stage {
                self.sim.kill(member, true);
            } else if self.stages[member] < stage {
                self.words[member].end.set(Some(End::Closes));
                self.start(stage);
            }
        }
    }

    fn running(&self) -> Vec<MemberId> {
        (0..self.sim.started()).filter(|m| self.sim.is_running(*m)).collect()
    }

    fn any_running(&mut self) -> Option<MemberId> {
        let running = self.running();
        let n = self.random.usize(..running.len().max(1));
        running.get(n).copied()
    }

    /// A member comes or goes.
    fn shuffle(&mut self, stage: usize) {
        let Some(member) = self.any_running() else { return self.start(stage) };
        let running = self.running().len();
        match self.random.u8(0..10) {
            0..4 if running < MOST_MEMBERS => self.start(stage),
            4..6 if running > 1 => self.words[member].end.set(Some(End::Closes)),
            6 if running > 1 && self.trouble != Trouble::Calm => {
                self.words[member].end.set(Some(End::IsDropped));
            }
            7 => self.words[member].end.set(Some(End::Returns)),
            8 if self.trouble != Trouble::Calm => {
                let closing = self.random.bool();
                self.sim.kill(member, closing);
            }
            9 if self.trouble != Trouble::Calm => {
                let frozen = !self.sim.is_frozen(member);
                self.freeze(member, frozen);
            }
            _ => {}
        }
    }

    fn freeze(&mut self, member: MemberId, frozen: bool) {
        self.sim.set_frozen(member, frozen);
        if !frozen {
            self.ledger.thawed(member, self.sim.elapsed());
        }
    }

    // Brokers and networks

    fn append(&mut self) {
        let topic = TOPICS[self.random.usize(..TOPICS.len())];
        let random = &mut self.random;
        self.sim.with_cluster(|cluster, _| {
            let partitions = cluster.state.topics[topic].partitions.len();
            let partition = i32::try_from(random.usize(..partitions)).expect("a few");
            let count = random.usize(1..6);
            let value = "x".repeat(random.usize(1..120));
            cluster.state.append(topic, partition, vec![value.as_str(); count]);
            cluster.changed();
        });
    }

    /// Something goes wrong, or right again.
    fn disturb(&mut self) {
        let node = self.random.u8(1..=NODES);
        let id = i32::from(node);
        let Some(member) = self.any_running() else { return };
        let random = &mut self.random;
        let sim = &mut self.sim;
        let what = random.u8(0..18);
        sim.note(format!("disturbance {what} at node {node}, m{member}"));
        match what {
            0 => sim.stop(node),
            1..=3 => sim.restart(node),
            4 => sim.with_cluster(|cluster, _| cluster.set_paused(id, true)),
            5 | 6 => sim.with_cluster(|cluster, now| cluster.group(GROUP, now).set_coordinator(id)),
            7 => sim.with_cluster(|cluster, _| cluster.close_connections(id)),
            8 => sim.cut(member),
            9 => sim.set_reach(member, node, Reach::Lost),
            10 => sim.set_reach(member, node, Reach::Up),
            11 => {
                let latency = Duration::from_millis(random.u64(0..200));
                sim.set_latency(member, node, latency);
            }
            12 => sim.hold(member, node, Duration::from_millis(random.u64(100..8_000))),
            13 => {
                let topic = TOPICS[random.usize(..TOPICS.len())];
                sim.with_cluster(|cluster, _| {
                    if cluster.state.topics[topic].partitions.len() < 6 {
                        cluster.state.add_partitions(topic, 1);
                        cluster.changed();
                    }
                });
            }
            14 => {
                let topic = TOPICS[random.usize(..TOPICS.len())];
                let leader = Some(id).filter(|_| random.u8(..) < 220);
                sim.with_cluster(|cluster, _| {
                    cluster.state.move_leader(topic, 0, leader);
                    cluster.changed();
                });
            }
            15 => sim.with_cluster(|cluster, now| {
                // A group without a coordinator that runs is left as it is.
                let coordinator = cluster.state.coordinator(GROUP);
                if coordinator.is_none_or(|node| cluster.is_paused(node)) {
                    return;
                }
                cluster.handle(now);
                let group = cluster.group(GROUP, now);
                let members = group.view().members;
                if !members.is_empty() {
                    let id = members[random.usize(..members.len())].id.clone();
                    if random.bool() { group.remove_member(&id) } else { group.expire_session(&id) }
                }
            }),
            _ => hinder(sim, random),
        }
    }

    fn repair(&mut self) {
        self.sim.note("everything is well from now on");
        self.calm = true;
        self.sim.with_cluster(|cluster, _| cluster.clear_rules());
        for node in 1..=NODES {
            self.sim.restart(node);
            for member in 0..self.sim.started() {
                self.sim.set_latency(member, node, Duration::from_millis(1));
            }
        }
        self.sim.with_cluster(|cluster, _| {
            for topic in TOPICS {
                for n in 0..cluster.state.topics[topic].partitions.len() {
                    let partition = i32::try_from(n).expect("a few");
                    if cluster.state.partition_mut(topic, partition).leader.is_none() {
                        cluster.state.move_leader(topic, partition, Some(1));
                    }
                }
            }
            cluster.changed();
        });
        for member in self.running() {
            if self.sim.is_frozen(member) {
                self.freeze(member, false);
            }
            self.words[member].calm.set(true);
            self.words[member].end.set(None);
        }
        while self.running().len() < 2 {
            self.start(usize::MAX);
        }
    }

    // Time

    fn run_until(&mut self, limit: Duration) {
        loop {
            let over = self.sim.step(limit);
            for entry in self.sim.take_journal() {
                self.ledger.take(&entry);
            }
            if over {
                return;
            }
        }
    }

    fn run_for(&mut self, time: Duration) {
        self.run_until(self.sim.elapsed() + time);
    }

    fn partitions(&mut self) -> Vec<(TopicPartition, i64)> {
        self.sim.with_cluster(|cluster, _| {
            let topics = cluster.state.topics.iter();
            let each = topics.flat_map(|(name, topic)| {
                (0..).zip(&topic.partitions).map(|(n, p)| ((name.as_str(), n).into(), p.log.end()))
            });
            each.collect()
        })
    }

    /// What is not as it has to be in the end, if something is not.
    fn unrest(&mut self) -> Option<String> {
        let view = self.sim.with_cluster(|cluster, now| cluster.group(GROUP, now).view());
        if let Some(busy) = self.running().iter().find(|m| !self.words[**m].calmed.get()) {
            return Some(format!("m{busy} has not come back"));
        }
        if view.state != GroupState::Stable {
            return Some(format!("the group is {:?}", view.state));
        }
        let running = self.running().len();
        if view.members.len() != running {
            return Some(format!("the group has {} of {running} members", view.members.len()));
        }
        for (partition, end) in self.partitions() {
            let owners = self.ledger.owners(&partition);
            if owners.len() != 1 {
                return Some(format!("{partition} is read by {owners:?}"));
            }
            if let Some(missing) = self.ledger.first_missing(&partition, end) {
                return Some(format!("{partition} @{missing} was handed out to nobody (I1)"));
            }
        }
        let quiet = self.sim.elapsed() - self.ledger.generation_since;
        (quiet < REST).then(|| format!("generation {} has just begun", view.generation))
    }

    fn settle(&mut self) {
        let limit = self.sim.elapsed() + RECOVERY;
        // Twice in a row: a program may just have asked for something else, which nobody sees yet.
        let mut well = 0;
        while well < 2 {
            if self.running().is_empty() {
                // Those that ran when the faults ended were on their way out.
                self.start(usize::MAX);
            }
            let wrong = self.unrest();
            let at = self.sim.elapsed();
            if let Some(wrong) = wrong.as_ref().filter(|_| at > limit) {
                self.ledger.fail(at, wrong);
            }
            well = if wrong.is_none() { well + 1 } else { 0 };
            self.run_for(Duration::from_secs(1));
        }
        // What is written now is read without another rebalance.
        let generation = self.ledger.generation;
        (0..10).for_each(|_| self.append());
        self.run_for(Duration::from_secs(35));
        let at = self.sim.elapsed();
        if let Some(wrong) = self.unrest() {
            self.ledger.fail(at, &wrong);
        }
        if self.ledger.generation != generation {
            self.ledger.fail(at, "the group has rebalanced without a reason");
        }
    }

    /// Whoever commits has committed everything in the end.
    fn close_all(&mut self) {
        let running = self.running();
        running.iter().for_each(|m| self.words[*m].end.set(Some(End::Closes)));
        self.run_for(Duration::from_secs(45));
        let at = self.sim.elapsed();
        if let Some(left) = self.running().first() {
            self.ledger.fail(at, &format!("m{left} has not closed"));
        }
    }
}

/// Something happens to the next requests of the group.
fn hinder(sim: &mut GroupSimulation, random: &mut fastrand::Rng) {
    match random.u8(0..9) {
        0 => hinder_one::<JoinGroupRequest>(sim, random),
        1 => hinder_one::<SyncGroupRequest>(sim, random),
        2 => hinder_one::<HeartbeatRequest>(sim, random),
        3 | 4 => hinder_one::<OffsetCommitRequest>(sim, random),
        5 => hinder_one::<OffsetFetchRequest>(sim, random),
        6 => hinder_one::<FindCoordinatorRequest>(sim, random),
        7 => hinder_one::<LeaveGroupRequest>(sim, random),
        8 if random.bool() => sim.with_cluster(|c, _| c.on::<MetadataRequest>().once().swallow()),
        _ => {
            let at = random.usize(0..2000);
            sim.with_cluster(|c, _| c.on::<FetchRequest>().once().cut_at(at));
        }
    }
}

fn hinder_one<R: Request>(sim: &mut GroupSimulation, random: &mut fastrand::Rng)
where
    R::Response: Send + 'static,
{
    sim.note(format!("hinders {}", R::NAME));
    sim.with_cluster(|cluster, _| {
        let rule = cluster.on::<R>().times(random.usize(1..3));
        match random.u8(0..8) {
            0 => rule.close(),
            1 => rule.close_after(),
            2 => rule.delay(Duration::from_millis(random.u64(0..6_000))),
            3 => rule.swallow(),
            _ => {
                let codes: &[i16] = match R::KEY {
                    FindCoordinatorRequest::KEY => &[14, 15, 7],
                    OffsetFetchRequest::KEY => &[14, 15, 16, 7],
                    _ => &[14, 15, 16, 7, 22, 25, 27],
                };
                rule.fail(ErrorCode(codes[random.usize(..codes.len())]));
            }
        }
    });
}

pub(crate) fn run(seed: u64) -> Outcome {
    let mut chaos = Chaos::new(seed);
    let first = chaos.random.usize(1..4);
    (0..first).for_each(|_| chaos.start(0));
    let stages = chaos.assignors.len();
    const TURNS: usize = 40;
    for turn in 0..TURNS {
        let stage = turn * stages / TURNS;
        if turn > 0 && stage > (turn - 1) * stages / TURNS {
            chaos.begin_stage(stage);
        }
        chaos.ledger.calm = chaos.trouble == Trouble::Calm;
        for _ in 0..chaos.random.u8(0..4) {
            chaos.append();
        }
        if chaos.random.u8(0..4) == 0 {
            chaos.shuffle(stage);
        }
        if chaos.trouble == Trouble::All && chaos.random.u8(0..3) > 0 {
            chaos.disturb();
        }
        let pause = chaos.random.u64(0..2_000);
        chaos.run_for(Duration::from_millis(pause));
    }
    chaos.repair();
    chaos.settle();
    chaos.close_all();
    Outcome {
        records: chaos.ledger.records,
        duplicates: chaos.ledger.duplicates,
        unclean: chaos.ledger.unclean,
        generations: chaos.ledger.generation,
        members: chaos.sim.started(),
        ended: chaos.sim.elapsed(),
    }
}
