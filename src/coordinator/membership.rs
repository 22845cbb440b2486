//! Whether this consumer is a member of its group, and what makes it join anew.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{GroupOptions, commits::CommitId, heartbeat::Heartbeat};
use crate::{
    Error, ErrorCode,
    assignors::GroupMember,
    net::{
        backoff::Backoff,
        connection::{RequestId, later},
    },
    subscriptions::Context,
    types::TopicPartition,
};

/// What nobody fetches is not piled up.
const MOST_ERRORS: usize = 4;

/// Of how many answers of metadata a topic has to be missing before it counts as gone: a broker that has just started may
/// not know it yet.
const ABSENCES: u64 = 3;

/// The machine, as far as it is not about single requests.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) options: Arc<GroupOptions>,
    pub(super) phase: Phase,
    /// What the coordinator calls this member; empty until it has a name.
    pub(super) member_id: String,
    /// What this consumer is a member of, if it is one as far as is known.
    pub(super) generation: Option<Generation>,
    /// Why to join anew, once nothing else is under way.
    pub(super) rejoin: Option<Box<str>>,
    /// What is assigned is no longer ours, and the caller does not know yet.
    pub(super) lost: bool,
    pub(super) heartbeat: Heartbeat,
    /// When it was last seen that no answer had come; looked for once in a heartbeat's interval at least.
    pub(super) looked: Instant,
    /// Whether something is assigned: what another one reads from the moment on in which this is no member any more.
    pub(super) holds: bool,
    /// The topics that were subscribed to when this member joined last.
    pub(super) joined: BTreeSet<Arc<str>>,
    /// What the assignment was made of, if this member made it.
    pub(super) leading: Option<Leading>,
    /// No join before this.
    pub(super) retry_at: Instant,
    pub(super) backoff: Backoff,
    pub(super) random: fastrand::Rng,
    errors: VecDeque<Error>,
    /// The error that no call gets past.
    fatal: Option<Error>,
}

/// How far a member is on its way into the next generation.
#[derive(Debug)]
pub(super) enum Phase {
    /// It wants none.
    Out,
    /// Partitions are given back before it joins.
    Revoking(Handover),
    /// It is to join, as soon as the coordinator can be asked and the caller is there.
    Joinable,
    /// It waits for the others.
    Joining { request: RequestId, sent: Instant },
    /// It leads, and has to say who gets what, unless that is settled.
    Leading { members: Vec<GroupMember>, settled: bool },
    /// It is to ask for its assignment; the leader brings those of all.
    Syncable(BTreeMap<String, Vec<u8>>),
    /// It waits for the leader.
    Syncing { request: RequestId, sent: Instant },
    /// It has its assignment, and gives back what is not in it; then what is new to the caller is known.
    Arrived {
        assignment: BTreeSet<TopicPartition>,
        handover: Handover,
        added: Option<Vec<TopicPartition>>,
    },
    /// It reads.
    Stable,
}

/// Partitions on their way back to the group.
#[derive(Debug)]
pub(super) struct Handover {
    pub(super) partitions: BTreeSet<TopicPartition>,
    /// The commit that goes before.
    pub(super) commit: Option<CommitId>,
    /// How long it is waited for.
    pub(super) until: Instant,
}

/// What this consumer is a member of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Generation {
    pub(super) id: i32,
    pub(super) protocol: Arc<str>,
}

/// What the leader has to watch.
#[derive(Debug)]
pub(super) struct Leading {
    /// All topics that members read.
    pub(super) topics: BTreeSet<Arc<str>>,
    /// How many partitions they had, those that there were.
    pub(super) counts: BTreeMap<Arc<str>, i32>,
    /// Topics that seem to be gone, and how many answers there were before that was seen.
    absent: BTreeMap<Arc<str>, u64>,
}

impl Leading {
    pub(super) fn new(topics: BTreeSet<Arc<str>>, counts: BTreeMap<Arc<str>, i32>) -> Self {
        Self { topics, counts, absent: BTreeMap::new() }
    }
}

impl Membership {
    pub(super) fn new(
        options: Arc<GroupOptions>,
        retry_backoff: Duration,
        seed: u64,
        now: Instant,
    ) -> Self {
        const LONGEST: Duration = Duration::from_secs(1);
        let heartbeat = Heartbeat::new(options.heartbeat_interval, options.session_timeout, now);
        Self {
            options,
            phase: Phase::Out,
            member_id: String::new(),
            generation: None,
            rejoin: None,
            lost: false,
            heartbeat,
            looked: now,
            holds: false,
            joined: BTreeSet::new(),
            leading: None,
            retry_at: now,
            backoff: Backoff::new(retry_backoff, retry_backoff.max(LONGEST)),
            random: fastrand::Rng::with_seed(seed),
            errors: VecDeque::new(),
            fatal: None,
        }
    }

    // What happens to a member

    /// Wants to be in the group.
    pub(super) fn enter(&mut self) {
        if matches!(self.phase, Phase::Out) {
            self.phase = Phase::Joinable;
            self.rejoin = None;
        }
    }

    /// Has the group assign everything anew.
    pub(super) fn request_rejoin(&mut self, why: &str) {
        if self.rejoin.is_none() && !matches!(self.phase, Phase::Out | Phase::Joinable) {
            log::info!(target: "kafka_blocking::group", "group {}: to rebalance, because {why}", self.options.group_id);
            self.rejoin = Some(why.into());
        }
    }

    /// Is no member any more: what is assigned may be somebody else's by now.
    pub(super) fn lose_generation(&mut self, why: &str) {
        if self.generation.take().is_some() {
            log::warn!(target: "kafka_blocking::group", "group {}: member {:?} is out of its generation: {why}", self.options.group_id, self.member_id);
        }
        self.lost = true;
        self.leading = None;
        self.heartbeat.forget();
        if !matches!(self.phase, Phase::Out) {
            self.phase = Phase::Joinable;
            self.rejoin = None;
        }
    }

    /// The coordinator does not know this member: it has to join as a new one.
    pub(super) fn lose_name(&mut self, why: &str) {
        self.lose_generation(why);
        self.member_id.clear();
    }

    /// Another one has this member's place, for good.
    pub(super) fn fence(&mut self) {
        let id = self.options.instance_id.as_deref().unwrap_or_default();
        self.fatal = Some(Error::FencedInstanceId { group_instance_id: id.into() });
        self.lose_name("it is fenced");
        self.phase = Phase::Out;
    }

    /// Joins again, a little later each time.
    pub(super) fn retry(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Out) {
            self.phase = Phase::Joinable;
        }
        self.retry_at = later(now, self.backoff.next_delay(&mut self.random));
    }

    /// The caller has to know, and joining goes on.
    pub(super) fn fail(&mut self, error: Error, now: Instant) {
        self.report(error);
        self.retry(now);
    }

    pub(super) fn report(&mut self, error: Error) {
        // The same may be wrong again and again.
        if !self.errors.iter().any(|e| e.to_string() == error.to_string()) {
            self.errors.push_back(error);
        }
        while self.errors.len() > MOST_ERRORS {
            self.errors.pop_front();
        }
    }

    /// Leaves everything behind: nothing of this group is wanted any more.
    pub(super) fn forget(&mut self) {
        self.phase = Phase::Out;
        self.generation = None;
        self.member_id.clear();
        self.rejoin = None;
        self.lost = false;
        self.leading = None;
        self.joined.clear();
        self.heartbeat.forget();
        self.errors.clear();
    }

    // What makes it join anew

    /// Looks whether what this member, or the whole group, reads has changed since it joined.
    pub(super) fn look_around(&mut self, cx: &Context<'_>) {
        if matches!(self.phase, Phase::Out | Phase::Joinable | Phase::Revoking(_)) {
            return;
        }
        if cx.subscriptions.subscription().is_some_and(|topics| *topics != self.joined) {
            self.request_rejoin("the subscription has changed");
        }
        if let Some(leading) = &mut self.leading
            && leading.has_changed(cx)
        {
            self.request_rejoin("the partitions of its topics have changed");
        }
    }

    // What is known

    pub(super) fn instance_id(&self) -> Option<String> {
        self.options.instance_id.as_deref().map(ToOwned::to_owned)
    }

    /// An error that the caller has to know. `shared`: whether it reads as a member.
    pub(super) fn poll_error(&mut self, shared: bool) -> Option<Error> {
        // The caller is told first what was taken from it.
        if let Some(fatal) = self.fatal.as_ref().filter(|_| shared && !self.lost) {
            return Some(fatal.clone());
        }
        self.errors.pop_front()
    }

    /// The error that no call gets past.
    pub(super) fn fatal(&self) -> Option<&Error> {
        self.fatal.as_ref()
    }

    /// Whether there is something to do that only the caller can.
    pub(super) fn wants_caller(&self) -> bool {
        self.lost || self.rejoin.is_some() || !matches!(self.phase, Phase::Out | Phase::Stable)
    }

    /// Since when the coordinator has left a request unanswered.
    pub(super) fn unanswered(&self) -> Option<Instant> {
        let waits_since = match &self.phase {
            Phase::Joining { sent, .. } | Phase::Syncing { sent, .. } => Some(*sent),
            _ => None,
        };
        [waits_since, self.heartbeat.unanswered()].into_iter().flatten().min()
    }

    /// Whether the coordinator has a request that it holds back until the others have done their part.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Joining { .. } | Phase::Syncing { .. })
    }

    /// When to look again although nothing came in.
    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let heartbeat = self.beats().then(|| self.heartbeat.poll_timeout(now));
        let look = self.is_waiting().then(|| later(self.looked, self.options.heartbeat_interval));
        let retry =
            matches!(self.phase, Phase::Joinable | Phase::Syncable(_)).then_some(self.retry_at);
        let until = match &self.phase {
            Phase::Revoking(handover) | Phase::Arrived { handover, .. } => Some(handover.until),
            _ => None,
        };
        // What is due already waits for something that will come in.
        let later = |at: &Instant| now < *at;
        [heartbeat, look, retry, until].into_iter().flatten().filter(later).min()
    }
}

impl Leading {
    /// Whether topics have come, gone or grown since the assignment was made.
    fn has_changed(&mut self, cx: &Context<'_>) -> bool {
        let mut changed = false;
        let answers = cx.metadata.answers();
        for topic in &self.topics {
            let old = self.counts.get(topic).copied();
            match count(topic, cx) {
                None if old.is_some() => {
                    let seen = *self.absent.entry(topic.clone()).or_insert(answers);
                    changed |= answers >= seen + ABSENCES;
                }
                new => {
                    self.absent.remove(topic);
                    // Partitions are never taken from a topic: fewer are what a broker knows that is behind.
                    changed |= new > old;
                }
            }
        }
        changed
    }
}

/// How many partitions a topic has, if there is one.
pub(super) fn count(topic: &str, cx: &Context<'_>) -> Option<i32> {
    let topic = cx.metadata.cluster().topic(topic)?;
    let gone = topic.error == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let last = topic.partitions.keys().next_back().filter(|_| !gone)?;
    Some(last.saturating_add(1))
}
