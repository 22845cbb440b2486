//! A consumer's side of its group: who coordinates it, whether this consumer is a member, and what it commits.
//!
//! Machines like the others: no socket, no clock, and no code of the user. What the caller has to do is given out as a
//! [`Step`]; what has to go on while the caller is away is told apart by [`Attendance`].

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Error, OffsetAndMetadata, Result,
    client::NodeKey,
    consumer::options::GroupOptions,
    net::connection::{RequestId, later},
    plants::{self, Plant},
    protocol::join_group::JoinGroupRequest,
    subscriptions::{Context, Mode},
    types::TopicPartition,
};

mod commits;
mod committed;
mod heartbeat;
mod joining;
mod leaving;
mod lookup;
mod membership;
mod steps;

use commits::Commits;
pub use commits::{CommitId, Finished, Offsets};
use committed::Committed;
use leaving::Leaving;
use lookup::Lookup;
use membership::{Membership, Phase};
pub use steps::{Assigning, Joining, Step, Taking};

/// However often positions are to be committed: an interval of 0 must not keep the loop from waiting.
const MOST_OFTEN: Duration = Duration::from_millis(10);

/// The version of JoinGroup from which on a new member is told its name first (KIP-394).
const ID_FIRST: i16 = 4;

/// Who drives the machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attendance {
    /// The caller, to read more: it has nothing in hand, and has come back from all that was handed out.
    Reading,
    /// The caller, for something else, or with records in hand.
    Present,
    /// Nobody but the keeper of the group: the caller is busy with records.
    Away,
}

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GroupState {
    /// Not a member: not yet, or not any more.
    Unjoined,
    /// On the way into the next generation.
    Rebalancing,
    /// A member, with its partitions assigned.
    Stable,
}

/// The machine.
#[derive(Debug)]
pub struct Coordinator {
    options: Arc<GroupOptions>,
    lookup: Lookup,
    membership: Membership,
    commits: Commits,
    committed: Committed,
    leaving: Option<Leaving>,
    /// When positions are committed next.
    auto_commit_at: Option<Instant>,
    /// The last time that they were.
    auto_commit: Option<CommitId>,
    /// When the caller was last seen to read.
    progress: Instant,
    api_timeout: Duration,
}

impl Coordinator {
    /// The side of a consumer that has not joined yet.
    #[must_use]
    pub fn new(
        options: GroupOptions,
        retry_backoff: Duration,
        api_timeout: Duration,
        seed: u64,
        now: Instant,
    ) -> Self {
        let options = Arc::new(options);
        Self {
            lookup: Lookup::new(options.group_id.clone(), retry_backoff, seed, now),
            membership: Membership::new(options.clone(), retry_backoff, seed, now),
            commits: Commits::new(retry_backoff),
            committed: Committed::new(options.read_committed, retry_backoff),
            leaving: None,
            auto_commit_at: options.auto_commit.map(|interval| later(now, interval)),
            auto_commit: None,
            progress: now,
            api_timeout,
            options,
        }
    }

    // Commands

    /// What is read, and how it is assigned, has changed.
    pub fn subscription_changed(&mut self, cx: &mut Context<'_>) {
        if cx.subscriptions.is_shared() && self.membership.fatal().is_none() {
            self.membership.enter();
        }
    }

    /// Has the group assign everything anew, with the next call that reads.
    pub fn enforce_rebalance(&mut self, reason: &str) {
        self.membership.request_rejoin(reason);
    }

    /// Leaves the group: all that is assigned is another's from now on.
    pub fn leave(&mut self, reason: &'static str, cx: &mut Context<'_>) {
        self.begin_leaving(reason, cx);
        self.membership.forget();
        // What the others read is no concern of ours any more.
        cx.metadata.set_group_topics(BTreeSet::new(), cx.now);
    }

    /// Whether the group knows that this member has left, or has to find out for itself.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.leaving.as_ref().is_none_or(Leaving::is_done)
    }

    /// Commits offsets; what becomes of it is told by a [`Step`].
    ///
    /// # Errors
    /// Where a group has not assigned one of the partitions to this member, or this is no member any more.
    pub fn commit(
        &mut self,
        offsets: Offsets,
        timeout: Duration,
        cx: &mut Context<'_>,
    ) -> Result<CommitId> {
        if let Some(error) = self.membership.fatal() {
            return Err(error.clone());
        }
        let tenures = if cx.subscriptions.is_shared() {
            let owned = |p: &TopicPartition| cx.subscriptions.id(p).ok();
            if let Some(stray) = offsets.keys().find(|p| owned(p).is_none()) {
                let reason = format!(
                    "{stray} is not assigned to this member of group {}",
                    self.options.group_id
                );
                return Err(Error::CommitFailed { reason: reason.into() });
            }
            Some(offsets.keys().filter_map(|p| Some((p.clone(), owned(p)?))).collect())
        } else {
            None
        };
        self.lookup.want();
        Ok(self.commits.start(offsets, tenures, timeout, cx.now))
    }

    /// Commits the positions of partitions, if they have any.
    pub fn commit_positions(
        &mut self,
        which: impl Fn(&TopicPartition) -> bool,
        timeout: Duration,
        cx: &mut Context<'_>,
    ) -> Option<CommitId> {
        let positions = cx.subscriptions.positions().into_iter().filter(|(p, _)| which(p));
        let offsets: Offsets = positions.map(|(p, (_, offset))| (p, offset)).collect();
        if offsets.is_empty() { None } else { self.commit(offsets, timeout, cx).ok() }
    }

    /// Those that were taken and could not all be told of.
    pub fn put_back_finished(&mut self, finished: impl IntoIterator<Item = Finished>) {
        self.commits.put_back_finished(finished.into_iter().collect());
    }

    /// Nobody waits for commits any more.
    pub fn give_up_commits(&mut self) {
        self.commits.give_up();
    }

    /// Whether it is still open what becomes of a commit.
    #[must_use]
    pub fn is_pending(&self, id: CommitId) -> bool {
        self.commits.is_pending(id)
    }

    /// What has become of commits, in the order in which they were made.
    pub fn take_finished(&mut self) -> Vec<Finished> {
        self.commits.take_finished().into()
    }

    /// Whether commits are on their way.
    #[must_use]
    pub fn has_commits(&self) -> bool {
        self.commits.has_work()
    }

    /// Asks what is committed of a partition, for a call.
    pub fn ask_committed(&mut self, partition: TopicPartition) {
        self.lookup.want();
        self.committed.ask(partition);
    }

    /// The answer to that.
    pub fn take_committed(&mut self) -> Option<Result<Option<OffsetAndMetadata>>> {
        self.committed.take_answer()
    }

    /// Nobody waits for that any more.
    pub fn cancel_committed(&mut self) {
        self.committed.cancel();
    }

    /// The caller reads on.
    pub fn note_progress(&mut self, now: Instant) {
        self.progress = now;
    }

    // What came in

    /// A request was answered, or failed; says whether it was one of the group's.
    pub fn handle_response(
        &mut self,
        id: RequestId,
        result: &Result<(i16, Vec<u8>)>,
        cx: &mut Context<'_>,
    ) -> bool {
        let (lookup, membership) = (&mut self.lookup, &mut self.membership);
        lookup.handle_response(id, result, cx.client, cx.now)
            || membership.handle_heartbeat(id, result, lookup, cx)
            || membership.handle_joining(id, result, lookup, cx)
            || self.commits.handle_response(id, result, membership, lookup, cx)
            || self.committed.handle_response(id, result, lookup, &self.options, cx)
            || self.leaving.as_mut().is_some_and(|l| l.handle_response(id, result, lookup, cx))
    }

    /// A connection failed, or could not be made.
    pub fn handle_node_failed(&mut self, node: NodeKey, cx: &mut Context<'_>) {
        if self.lookup.coordinator() == Some(node) {
            self.lookup.lose("its connection failed", cx.client, cx.now);
        }
    }

    // What must go out

    /// Sends what is to be sent.
    pub fn poll(&mut self, attendance: Attendance, cx: &mut Context<'_>) {
        let shared = cx.subscriptions.is_shared();
        let member = !matches!(self.membership.phase, Phase::Out);
        if member || cx.subscriptions.uncommitted().next().is_some() {
            self.lookup.want();
        }
        self.lookup.poll(cx.metadata.cluster(), self.unanswered(), cx.client, cx.now);
        if let Some(node) = self.lookup.coordinator().filter(|_| member) {
            cx.client.ensure(node, cx.now);
        }
        self.poll_requests(attendance, shared, cx);
        // Whoever could not reach the coordinator just now doubts it, and that is due now: no time will tell.
        self.lookup.poll(cx.metadata.cluster(), self.unanswered(), cx.client, cx.now);
        self.membership.looked = cx.now;
    }

    fn poll_requests(&mut self, attendance: Attendance, shared: bool, cx: &mut Context<'_>) {
        self.membership.beat(&mut self.lookup, cx);
        if attendance == Attendance::Away {
            self.watch_progress(cx);
        }
        if let Some(leaving) = &mut self.leaving {
            leaving.poll(&mut self.lookup, cx);
        }
        if attendance == Attendance::Away {
            return;
        }
        if shared {
            self.membership.look_around(cx);
            self.membership.sync(&self.lookup, cx);
        }
        if attendance == Attendance::Reading {
            self.progress = cx.now;
        }
        if attendance == Attendance::Reading || plants::is(Plant::CommitBeforeProcessing) {
            self.auto_commit(cx);
        }
        if let Some(error) = self.lookup.take_refusal() {
            self.commits.fail_all(&error);
            self.committed.fail_call(error);
        }
        self.commits.poll(&self.membership, &mut self.lookup, cx);
        self.committed.poll(&mut self.lookup, &self.options, cx);
    }

    /// When to call [`poll`](Self::poll) although nothing came in.
    #[must_use]
    pub fn poll_timeout(&self, attendance: Attendance, cx: &Context<'_>) -> Option<Instant> {
        let always = [
            self.lookup.poll_timeout(self.unanswered(), cx.client, cx.now),
            self.membership.poll_timeout(cx.now),
            self.leaving.as_ref().and_then(|leaving| leaving.poll_timeout(cx.now)),
        ];
        let own = match attendance {
            // When it is due, the caller is to come in at its next record.
            Attendance::Away => [
                self.is_member().then(|| self.leaves_at()),
                self.auto_commit_at.filter(|at| cx.now < *at),
                None,
            ],
            Attendance::Present => {
                [None, self.commits.poll_timeout(), self.committed.poll_timeout()]
            }
            Attendance::Reading => {
                [self.auto_commit_at, self.commits.poll_timeout(), self.committed.poll_timeout()]
            }
        };
        always.into_iter().chain(own).flatten().min()
    }

    /// An error that the caller has to know. `shared`: whether it reads as a member.
    pub fn poll_error(&mut self, shared: bool) -> Option<Error> {
        let error = self.membership.poll_error(shared).or_else(|| self.lookup.poll_error());
        error.or_else(|| self.committed.poll_error())
    }

    // What is known

    /// Whether the caller should look in soon, whatever it is doing.
    #[must_use]
    pub fn wants_caller(&self, now: Instant) -> bool {
        self.membership.wants_caller()
            || self.commits.has_finished()
            || self.auto_commit_at.is_some_and(|at| now >= at)
    }

    /// Whether there is a membership that has to be kept alive, or something else goes on by itself.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.membership.generation.is_some() || !self.has_left()
    }

    /// Whether the coordinator may know of this consumer, as a member or as one that is to be.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !self.membership.member_id.is_empty()
            || matches!(self.membership.phase, Phase::Joining { .. })
            || !self.has_left()
    }

    /// How often a member tells the coordinator that it lives.
    #[must_use]
    pub fn heartbeat_interval(&self) -> Duration {
        self.options.heartbeat_interval
    }

    /// Whether nothing is under way that somebody should wait for: no answer, and no connection for a heartbeat that is due.
    #[must_use]
    pub fn is_quiet(&self, now: Instant) -> bool {
        self.lookup.coordinator().is_some()
            && self.membership.unanswered().is_none()
            && !self.membership.owes_heartbeat(now)
            && self.has_left()
    }

    /// The group, the generation, the name of this member in it, and where it stands.
    #[must_use]
    pub fn standing(&self) -> (&GroupOptions, i32, &str, GroupState) {
        let generation = self.membership.generation.as_ref().map_or(-1, |generation| generation.id);
        let state = match &self.membership.phase {
            Phase::Out => GroupState::Unjoined,
            Phase::Stable => GroupState::Stable,
            Phase::Joinable if generation < 0 => GroupState::Unjoined,
            _ => GroupState::Rebalancing,
        };
        (&self.options, generation, &self.membership.member_id, state)
    }

    /// Whether the group is about to say who gets what: until it has, no commit of a member is taken. `soon`: or will be, once
    /// all have joined.
    #[must_use]
    pub fn is_dividing(&self, soon: bool) -> bool {
        match self.membership.phase {
            Phase::Leading { .. } | Phase::Syncable(_) | Phase::Syncing { .. } => true,
            Phase::Joining { .. } => soon,
            _ => false,
        }
    }

    /// Whether this is a member as far as is known.
    #[must_use]
    pub fn is_member(&self) -> bool {
        self.membership.generation.is_some()
    }

    /// What stands in the way, as far as it is known.
    pub fn obstacles(&self) -> impl Iterator<Item = String> {
        let lookup = self.lookup.obstacle().map(ToOwned::to_owned);
        let committed = self.committed.obstacle().map(ToString::to_string);
        let commits = self.commits.obstacle().map(ToString::to_string);
        [lookup, committed, commits].into_iter().flatten()
    }

    // Helpers

    fn unanswered(&self) -> Option<Instant> {
        let membership = self.membership.unanswered();
        [membership, self.commits.unanswered(), self.committed.unanswered()]
            .into_iter()
            .flatten()
            .min()
    }

    /// When the caller has been busy for too long.
    fn leaves_at(&self) -> Instant {
        later(self.progress, self.options.max_poll_interval)
    }

    fn begin_leaving(&mut self, reason: &'static str, cx: &Context<'_>) {
        let version = self.lookup.coordinator();
        let version = version.and_then(|node| cx.client.version::<JoinGroupRequest>(node, None));
        let named_at_once = version.is_some_and(|version| version >= ID_FIRST);
        let leaving = Leaving::begin(&mut self.membership, reason, named_at_once, cx.now);
        // One that is under way still, of a membership before, goes on.
        self.leaving = leaving.or_else(|| self.leaving.take());
    }

    fn watch_progress(&mut self, cx: &Context<'_>) {
        if !self.is_member() || cx.now < self.leaves_at() {
            return;
        }
        let interval = self.options.max_poll_interval;
        log::warn!(target: "kafka_blocking::group", "group {}: nothing was read for {interval:?} (max_poll_interval_ms): this member leaves the group", self.options.group_id);
        if self.options.instance_id.is_none() {
            self.begin_leaving("max_poll_interval_ms is over", cx);
        }
        // With the next call that reads it joins again.
        self.membership.phase = Phase::Joinable;
        self.membership.lose_generation("the caller was away for max_poll_interval_ms");
    }

    fn auto_commit(&mut self, cx: &mut Context<'_>) {
        let Some(at) = self.auto_commit_at else { return };
        if cx.now < at {
            return;
        }
        self.schedule_auto_commit(cx.now);
        let assigned = self.is_member() || matches!(cx.subscriptions.mode(), Mode::Assigned);
        let under_way = self.auto_commit.is_some_and(|id| self.commits.is_pending(id));
        if assigned && !under_way {
            self.auto_commit = self.commit_positions(|_| true, self.api_timeout, cx);
        }
    }

    fn schedule_auto_commit(&mut self, now: Instant) {
        let interval = self.options.auto_commit;
        self.auto_commit_at = interval.map(|interval| later(now, interval.max(MOST_OFTEN)));
    }
}
