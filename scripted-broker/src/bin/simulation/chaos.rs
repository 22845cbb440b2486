//! A run of a group under faults: how it begins, what must have become of it in the end, and how it is played again.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use kafka_blocking::TopicPartition;
use scripted_broker::{GroupSimulation, GroupState};

use crate::{
    ledger::{Failure, Ledger, MemberId},
    operations::{Label, Operation},
    panics,
    program::{self, Dice, End, Habits, SESSION, Word},
};

pub(crate) const TOPICS: [&str; 2] = ["t", "u"];
pub(crate) const GROUP: &str = "g";
pub(crate) const NODES: u8 = 3;

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
    fn of(seed: u64) -> Self {
        match seed % 4 {
            0 => Self::Calm,
            1 => Self::Members,
            _ => Self::All,
        }
    }
}

/// All that a run is made of: played again, it is the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recipe {
    /// Decides what is there from the beginning.
    pub(crate) seed: u64,
    /// What happens.
    pub(crate) operations: Vec<Operation>,
    /// By what the members are made that come when all is repaired; `None` where it does not come to that.
    pub(crate) rest: Option<fastrand::Rng>,
}

/// A run that was begun.
pub(crate) struct Chaos {
    pub(crate) sim: GroupSimulation,
    pub(crate) ledger: Ledger,
    pub(crate) random: fastrand::Rng,
    /// By what is drawn what did not happen at first: seeks, commits in haste, and refusals of commits.
    pub(crate) whims: fastrand::Rng,
    /// Whether that happens.
    pub(crate) whimsical: bool,
    pub(crate) trouble: Trouble,
    pub(crate) assignors: &'static [&'static str],
    pub(crate) words: Vec<Word>,
    /// In which stage of a rolling change each was started.
    pub(crate) stages: Vec<usize>,
    /// The members by their numbers in the run that is played again.
    pub(crate) members: BTreeMap<Label, MemberId>,
    /// What has happened.
    pub(crate) recipe: Rc<RefCell<Recipe>>,
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
        let calm = trouble == Trouble::Calm;
        Self {
            sim,
            ledger: Ledger::new(SESSION + Duration::from_secs(3), calm),
            random,
            whims: fastrand::Rng::with_seed(!seed),
            whimsical: true,
            trouble,
            assignors,
            words: Vec::new(),
            stages: Vec::new(),
            members: BTreeMap::new(),
            recipe: Rc::new(RefCell::new(Recipe { seed, ..Recipe::default() })),
            calm: false,
        }
    }

    // Members

    pub(crate) fn start(&mut self, label: Label, stage: usize, habits: Habits, dice: Dice) {
        let member = self.sim.started();
        self.members.insert(label, member);
        self.stages.push(stage);
        self.sim.note(format!("m{member} is {habits:?}"));
        self.ledger.add_member(habits.commits_by_itself());
        let word = Word::default();
        word.calm.set(self.calm);
        self.words.push(word.clone());
        let options = habits.clone();
        let listener = habits.listener.clone();
        self.sim.start(
            |builder| options.options(builder),
            listener,
            |consumer| program::run(consumer, habits, word, dice),
        );
    }

    pub(crate) fn running(&self) -> Vec<MemberId> {
        (0..self.sim.started()).filter(|m| self.sim.is_running(*m)).collect()
    }

    pub(crate) fn freeze(&mut self, member: MemberId, frozen: bool) {
        self.sim.set_frozen(member, frozen);
        if !frozen {
            self.ledger.thawed(member, self.sim.elapsed());
        }
    }

    // The end

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
            self.draw_start(usize::MAX);
        }
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
                self.draw_start(usize::MAX);
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
        self.words.iter().for_each(|word| word.idle.set(true));
        (0..10).for_each(|_| self.draw_append());
        self.run_for(REST);
        let at = self.sim.elapsed();
        if let Some(wrong) = self.unrest() {
            self.ledger.fail(at, &wrong);
        }
        if self.ledger.generation != generation {
            self.ledger.fail(at, "the group has rebalanced without a reason");
        }
    }

    /// Whoever runs closes in time.
    fn close_all(&mut self) {
        let running = self.running();
        running.iter().for_each(|m| self.words[*m].end.set(Some(End::Closes)));
        let limit = self.sim.elapsed() + Duration::from_secs(45);
        while !self.running().is_empty() && self.sim.elapsed() < limit {
            self.run_for(Duration::from_secs(1));
        }
        let at = self.sim.elapsed();
        if let Some(left) = self.running().first() {
            self.ledger.fail(at, &format!("m{left} has not closed"));
        }
    }

    fn end(&mut self) -> Outcome {
        // What is drawn from here on belongs to the end of every run, and is no part of the recipe.
        self.recipe = Rc::default();
        self.repair();
        self.settle();
        self.close_all();
        self.outcome()
    }

    fn outcome(&self) -> Outcome {
        Outcome {
            records: self.ledger.records,
            duplicates: self.ledger.duplicates,
            unclean: self.ledger.unclean,
            generations: self.ledger.generation,
            members: self.sim.started(),
            ended: self.sim.elapsed(),
        }
    }

    // Time

    pub(crate) fn run_for(&mut self, time: Duration) {
        let limit = self.sim.elapsed() + time;
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

    fn partitions(&mut self) -> Vec<(TopicPartition, i64)> {
        self.sim.with_cluster(|cluster, _| {
            let topics = cluster.state.topics.iter();
            let each = topics.flat_map(|(name, topic)| {
                (0..).zip(&topic.partitions).map(|(n, p)| ((name.as_str(), n).into(), p.log.end()))
            });
            each.collect()
        })
    }
}

/// Runs what a seed makes; gives what it was made of, too. Without `whimsical`, nothing happens but what did at first.
pub(crate) fn run(seed: u64, whimsical: bool) -> (Result<Outcome, Failure>, Recipe) {
    let recipe = Rc::new(RefCell::new(Recipe { seed, ..Recipe::default() }));
    let kept = recipe.clone();
    let result = panics::caught(move || {
        let mut chaos = Chaos { whimsical, recipe: kept.clone(), ..Chaos::new(seed) };
        chaos.draw();
        kept.borrow_mut().rest = Some(chaos.random.clone());
        chaos.end()
    });
    (result, recipe.take())
}

/// Runs the same once more, or what is left of it.
pub(crate) fn play(recipe: &Recipe) -> Result<Outcome, Failure> {
    /// What was begun last may take so long to go wrong.
    const AFTERMATH: Duration = Duration::from_secs(5);
    panics::caught(|| {
        let mut chaos = Chaos::new(recipe.seed);
        recipe.operations.iter().for_each(|operation| chaos.happen(operation.clone()));
        if let Some(rest) = &recipe.rest {
            chaos.random = rest.clone();
            return chaos.end();
        }
        chaos.run_for(AFTERMATH);
        chaos.outcome()
    })
}
