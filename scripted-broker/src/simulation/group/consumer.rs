//! [`SimulatedConsumer`]: the machines and the cursor of a consumer, and its methods as a member of a group. Each does what
//! the method of the same name of `KafkaConsumer` does, step by step; a change there belongs here too.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    time::{Duration, Instant},
};

use kafka_blocking::{
    Error, PartitionAssignor, Result, TopicPartition,
    assignors::{Subscription, divide},
    consumer::{cursor::Cursor, machines::Machines, options::Resolved},
    coordinator::{
        Assigning, CommitId, Coordinator, Finished, GroupState, Joining, Offsets, Step, Taking,
    },
    subscriptions::Context,
};

use super::world::{Happened, MemberId, Shared};

/// What a member's listener does when it is told something.
#[derive(Clone, Debug, Default)]
pub struct ListenerHabits {
    /// Whether it commits when partitions are revoked, and how long it waits for that.
    pub commits: Option<Duration>,
    /// How long it takes, in milliseconds.
    pub takes_ms: Range<u64>,
}

/// What a call that reads gives: where the records were.
pub type Taken = Vec<(TopicPartition, i64)>;

/// A consumer on the simulated clock, in the hands of its program.
pub struct SimulatedConsumer {
    pub(super) shared: Shared,
    pub(super) id: MemberId,
    pub(super) machines: Machines,
    pub(super) cursor: Cursor,
    assignors: Vec<Box<dyn PartitionAssignor>>,
    listener: ListenerHabits,
    pub(super) limits: Limits,
    pub(super) random: fastrand::Rng,
    pub(super) probing: bool,
    /// Since when the caller is away.
    pub(super) left: Option<Instant>,
    /// Whether there is a keeper, and when it looks next.
    pub(super) keeper: bool,
    pub(super) keeper_at: Instant,
    /// Whether the caller has come back for more since the keeper looked.
    pub(super) progressed: bool,
    /// Whether the group wants the caller to look in.
    pub(super) group_signal: bool,
    pub(super) in_callback: bool,
    /// How long the listener has taken, in all.
    pub(super) told: Duration,
    outcomes: BTreeMap<CommitId, Result<()>>,
}

/// The options that the methods themselves use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) api_timeout: Duration,
    pub(super) bootstrap_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) auto_commit: bool,
}

/// What a listener is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum News {
    Assigned,
    Revoked,
    Lost,
}

impl SimulatedConsumer {
    pub(super) fn new(
        shared: Shared,
        id: MemberId,
        options: &Resolved,
        listener: ListenerHabits,
        seed: u64,
        probing: bool,
    ) -> Self {
        let now = shared.borrow().now;
        let machines = Machines::new(options, seed, now);
        let cursor = Cursor::new(&options.fetch, machines.client.pool().clone());
        Self {
            shared,
            id,
            machines,
            cursor,
            assignors: options.assignors.assignors(),
            listener,
            limits: Limits {
                api_timeout: options.api_timeout,
                bootstrap_timeout: options.bootstrap_timeout,
                request_timeout: options.connection.request_timeout,
                auto_commit: options.group.as_ref().is_some_and(|g| g.auto_commit.is_some()),
            },
            random: fastrand::Rng::with_seed(seed),
            probing,
            left: None,
            keeper: false,
            keeper_at: now,
            progressed: false,
            group_signal: false,
            in_callback: false,
            told: Duration::ZERO,
            outcomes: BTreeMap::new(),
        }
    }

    // What the program does

    /// Connects, as the end of a builder does; says whether that worked in time.
    pub async fn connect(&mut self) -> bool {
        let call = self.begin("build", self.limits.bootstrap_timeout);
        let until = self.now() + self.limits.bootstrap_timeout;
        let connected = |m: &mut Machines| (m.metadata.answers() > 0).then_some(());
        let connected = self.run_until(until, connected).await.is_some();
        self.end(call);
        connected
    }

    /// Reads these topics, as a member of the group, from now on.
    ///
    /// # Panics
    /// Never: nothing else is ever asked for.
    pub fn subscribe(&mut self, topics: &[&str]) {
        self.note(Happened::Note(format!("subscribes to {topics:?}")));
        let topics = topics.iter().map(|t| (*t).into()).collect();
        self.with_driver(|machines, now| {
            let cluster = machines.metadata.cluster();
            machines.subscriptions.subscribe(topics, cluster).expect("nothing else is asked for");
            machines.subscription_changed(now);
        });
        self.start_keeper();
    }

    /// Neither fetches nor hands out these partitions, those of them that are assigned.
    pub fn pause(&mut self, partitions: &BTreeSet<TopicPartition>) {
        self.with_driver(|machines, _| {
            let assigned = machines.subscriptions.assignment().cloned().collect();
            let those = partitions.intersection(&assigned).cloned().collect();
            machines.subscriptions.pause(&those).expect("they are assigned");
        });
        self.note(Happened::Paused(self.paused()));
    }

    /// Goes on with all that is paused.
    pub fn resume_all(&mut self) {
        self.with_driver(|machines, _| {
            let paused = machines.subscriptions.paused().map(|(_, p)| p.clone()).collect();
            machines.subscriptions.resume(&paused).expect("they are assigned");
        });
        self.note(Happened::Paused(self.paused()));
    }

    /// What is paused.
    #[must_use]
    pub fn paused(&self) -> BTreeSet<TopicPartition> {
        self.machines.subscriptions.paused().map(|(_, p)| p.clone()).collect()
    }

    /// What is assigned.
    #[must_use]
    pub fn assignment(&self) -> BTreeSet<TopicPartition> {
        self.machines.subscriptions.assignment().cloned().collect()
    }

    /// The generation, -1 without one, and how far the member has come.
    #[must_use]
    pub fn standing(&self) -> (i32, GroupState) {
        let group = self.machines.group.as_ref().expect("there is a group");
        let (_, generation, _, state) = group.standing();
        (generation, state)
    }

    /// What stands in the way of what it waits for.
    #[must_use]
    pub fn obstacles(&self) -> String {
        let now = self.now();
        self.machines.timeout("it", Duration::ZERO, "", now).to_string()
    }

    /// Writes something into the journal.
    pub fn write(&self, text: String) {
        self.note(Happened::Note(text));
    }

    /// Has the group divide its partitions anew.
    pub fn enforce_rebalance(&mut self) {
        self.note(Happened::Note("enforces a rebalance".into()));
        self.with_group(|group, _| group.enforce_rebalance("it feels like it"));
    }

    /// The program has come back from all that it was given.
    pub fn came_back(&self) {
        self.note(Happened::CameBack);
    }

    /// The program has finished with a record, and with those of its partition before it.
    pub fn finished(&self, partition: &TopicPartition, offset: i64) {
        self.note(Happened::Finished(partition.clone(), offset));
    }

    /// Writes a call that has failed into the journal.
    pub fn failed(&self, call: &'static str, error: Error) {
        self.note(Happened::Failed(call, error));
    }

    /// Commits the positions, and waits until they are stored.
    ///
    /// # Errors
    /// As `KafkaConsumer::commit`.
    pub async fn commit(&mut self, timeout: Duration) -> Result<()> {
        let started = self.with_group(|group, cx| {
            let positions = cx.subscriptions.positions();
            group.commit(positions.into_iter().map(|(p, (_, o))| (p, o)).collect(), timeout, cx)
        });
        self.wait_for_commit(started?, timeout).await
    }

    /// Commits these offsets, and waits until they are stored.
    ///
    /// # Errors
    /// As `KafkaConsumer::commit_offsets`.
    pub async fn commit_offsets(
        &mut self,
        offsets: &BTreeMap<TopicPartition, i64>,
        timeout: Duration,
    ) -> Result<()> {
        let offsets: Offsets = offsets.iter().map(|(p, o)| (p.clone(), (*o).into())).collect();
        let started = self.with_group(|group, cx| group.commit(offsets, timeout, cx));
        self.wait_for_commit(started?, timeout).await
    }

    /// Commits the positions, and does not wait for it.
    ///
    /// # Errors
    /// As `KafkaConsumer::commit_async`.
    pub fn commit_async(&mut self) -> Result<()> {
        let timeout = self.limits.api_timeout;
        self.with_group(|group, cx| {
            let positions = cx.subscriptions.positions();
            group.commit(positions.into_iter().map(|(p, (_, o))| (p, o)).collect(), timeout, cx)
        })?;
        self.pump_inside();
        self.tell_of_finished();
        Ok(())
    }

    /// Asks what is committed of a partition.
    pub async fn committed(&mut self, partition: &TopicPartition, timeout: Duration) {
        let call = self.begin("committed", timeout);
        self.with_group(|group, _| group.ask_committed(partition.clone()));
        let until = self.now() + timeout;
        self.publish();
        let answer =
            self.run_until(until, |m| m.group.as_mut().and_then(Coordinator::take_committed)).await;
        if let Some(group) = &mut self.machines.group {
            group.cancel_committed();
        }
        self.follow();
        self.end(call);
        if let Some(Err(error)) = answer {
            self.note(Happened::Failed("committed", error));
        }
    }

    // What the group wants

    /// What the group wants of the caller, who has nothing in hand.
    pub(super) async fn take_step(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Committed(finished) => self.tell_of_commits(finished),
            Step::Lost(partitions) => {
                self.tell(News::Lost, &partitions).await;
                self.with_group(Coordinator::lost);
            }
            Step::Revoke(partitions) => {
                self.tell(News::Revoked, &partitions).await;
                self.with_group(|group, cx| group.revoked(&partitions, cx));
            }
            Step::Join(joining) => {
                let protocols = self.describe(&joining)?;
                self.with_group(|group, cx| group.join(protocols, cx));
            }
            Step::Lead(assigning) => {
                let assignments = self.divide(&assigning);
                self.with_group(|group, cx| group.lead(assignments, cx));
            }
            Step::Take(taking) => self.take_over(&taking).await,
        }
        Ok(())
    }

    async fn take_over(&mut self, taking: &Taking) {
        self.tell(News::Revoked, &taking.revoked).await;
        if !self.with_group(|group, cx| group.hand_over(&taking.revoked, cx)) {
            return;
        }
        let assignor = self.assignors.iter_mut().find(|a| *a.name() == *taking.name);
        if let Some(assignor) = assignor {
            assignor.on_assignment(&taking.assignment, taking.generation);
        }
        self.tell(News::Assigned, &taking.added).await;
        self.with_group(Coordinator::arrived);
    }

    fn describe(&self, joining: &Joining) -> Result<Vec<(String, Vec<u8>)>> {
        let Joining { topics, owned, generation, rack } = joining;
        let subscription = Subscription { topics, owned, generation: *generation, rack };
        let each = self.assignors.iter().map(|assignor| {
            let told = subscription.encode(assignor.user_data(topics))?;
            Ok((assignor.name().to_owned(), told))
        });
        each.collect()
    }

    fn divide(&self, assigning: &Assigning) -> Result<BTreeMap<String, Vec<u8>>> {
        let Assigning { name, protocol, members, topics } = assigning;
        let assignor = self.assignors.iter().find(|assignor| *assignor.name() == **name);
        let divided = match assignor {
            Some(assignor) => divide(&**assignor, *protocol, topics, members),
            None => Err(format!("no assignor {name}").into()),
        };
        divided.map_err(|source| Error::Assignor { source: source.into() })
    }

    /// Tells the listener, if there is something to tell.
    pub(super) async fn tell(&mut self, news: News, partitions: &[TopicPartition]) {
        if partitions.is_empty() {
            return;
        }
        let all = partitions.to_vec();
        self.note(match news {
            News::Assigned => Happened::Assigned(all),
            News::Revoked => Happened::Revoked(all),
            News::Lost => Happened::Lost(all),
        });
        self.in_callback = true;
        let (began, before) = (self.now(), self.told);
        let takes = self.listener.takes_ms.clone();
        if !takes.is_empty() {
            let time = self.random.u64(takes);
            self.work(Duration::from_millis(time)).await;
        }
        if let (News::Revoked, Some(timeout)) = (news, self.listener.commits) {
            self.note(Happened::CameBack);
            if let Err(error) = self.commit(timeout).await {
                self.note(Happened::Failed("commit in the listener", error));
            }
        }
        self.in_callback = false;
        self.told = before + (self.now() - began);
        self.note(Happened::Told);
    }

    // Commits

    /// Drives the loop until it is known what has become of a commit.
    pub(super) async fn wait_for_commit(&mut self, id: CommitId, timeout: Duration) -> Result<()> {
        let call = self.begin("commit", timeout);
        let until = self.now() + timeout;
        self.publish();
        let ended = self
            .run_until(until, |m| {
                let pending = m.group.as_ref().is_some_and(|group| group.is_pending(id));
                (!pending).then_some(())
            })
            .await;
        self.end(call);
        let now = self.now();
        let result = ended.ok_or_else(|| self.machines.timeout("commit", timeout, "", now));
        self.follow();
        self.outcomes.clear();
        self.tell_of_finished();
        self.outcomes.remove(&id).unwrap_or(result)
    }

    pub(super) fn tell_of_finished(&mut self) {
        let finished = self.with_driver(|machines, _| {
            machines.group.as_mut().map(Coordinator::take_finished).unwrap_or_default()
        });
        self.tell_of_commits(finished);
    }

    pub(super) fn tell_of_commits(&mut self, finished: Vec<Finished>) {
        for Finished { id, offsets, result } in finished {
            let offsets = offsets.into_iter().map(|(p, o)| (p, o.offset())).collect();
            self.note(Happened::CommitDone(offsets, result.clone()));
            self.outcomes.insert(id, result);
        }
    }

    // Helpers

    /// Enters the machines, as every method does.
    pub(super) fn with_driver<T>(&mut self, f: impl FnOnce(&mut Machines, Instant) -> T) -> T {
        self.publish();
        let now = self.now();
        let result = f(&mut self.machines, now);
        self.follow();
        result
    }

    /// Does something with the group.
    pub(super) fn with_group<T>(
        &mut self,
        f: impl FnOnce(&mut Coordinator, &mut Context<'_>) -> T,
    ) -> T {
        self.with_driver(|machines, now| {
            let done = machines.with_group(now, f);
            machines.assignment_changed(now);
            done.expect("there is a group")
        })
    }

    /// The first half of entering: the machines are told how far the caller has come.
    pub(super) fn publish(&mut self) {
        if let Some((ticket, place)) = self.cursor.position() {
            self.machines.subscriptions.advance_position(ticket, place);
        }
    }

    /// The way out: what the machines say of what is buffered is followed.
    pub(super) fn follow(&mut self) {
        self.cursor.follow(&mut self.machines.subscriptions);
        self.machines.follow();
        let now = self.now();
        self.group_signal = self.machines.wants_caller(now);
    }

    pub(super) fn pump_inside(&mut self) {
        self.publish();
        self.pump();
        self.follow();
    }

    fn start_keeper(&mut self) {
        if !self.keeper {
            self.keeper = true;
            self.keeper_at = self.now();
        }
    }
}
