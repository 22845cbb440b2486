//! What only the caller can do for its group: it is told what is taken from it, and its assignors are asked.
//!
//! No code of the user runs in here. A step is given out when the caller has nothing in hand, until it is reported as done.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Coordinator,
    commits::Finished,
    membership::{Handover, Leading, Phase, count},
};
use crate::{
    Error,
    assignors::{GroupMember, RebalanceProtocol},
    net::connection::later,
    subscriptions::Context,
    types::TopicPartition,
};

/// What the caller is to do.
#[derive(Debug)]
pub enum Step {
    /// To be told what has become of commits.
    Committed(Vec<Finished>),
    /// To be told that these partitions are lost; then [`Coordinator::lost`].
    Lost(Vec<TopicPartition>),
    /// To be told that these partitions are revoked, before this member joins anew; then [`Coordinator::revoked`].
    Revoke(Vec<TopicPartition>),
    /// To say what its assignors tell the leader; then [`Coordinator::join`].
    Join(Joining),
    /// To say who gets what; then [`Coordinator::lead`].
    Lead(Assigning),
    /// To be told that these partitions are revoked; then [`Coordinator::hand_over`]; to be told of those that are new;
    /// then [`Coordinator::arrived`].
    Take(Taking),
}

/// What a member tells of itself when it joins.
#[derive(Debug)]
pub struct Joining {
    /// What it reads.
    pub topics: BTreeSet<Arc<str>>,
    /// What it has kept.
    pub owned: Vec<TopicPartition>,
    /// Since when.
    pub generation: Option<i32>,
    /// Where it is.
    pub rack: Arc<str>,
}

/// What a leader has to divide.
#[derive(Debug)]
pub struct Assigning {
    /// The assignor that all members have.
    pub name: Arc<str>,
    /// How this member goes from one assignment to the next.
    pub protocol: RebalanceProtocol,
    /// The members.
    pub members: Vec<GroupMember>,
    /// The topics that there are, with the number of their partitions.
    pub topics: BTreeMap<Arc<str>, i32>,
}

/// What a member got.
#[derive(Debug)]
pub struct Taking {
    /// The assignor that gave it.
    pub name: Arc<str>,
    /// The generation.
    pub generation: i32,
    /// All of it.
    pub assignment: Vec<TopicPartition>,
    /// What is not in it, and was before.
    pub revoked: Vec<TopicPartition>,
    /// What was not there before.
    pub added: Vec<TopicPartition>,
}

impl Coordinator {
    /// What the caller is to do now. It has nothing in hand: all that was handed out before, it has come back from.
    pub fn step(&mut self, cx: &mut Context<'_>) -> Option<Step> {
        if self.commits.has_finished() {
            return Some(Step::Committed(self.commits.take_finished().into()));
        }
        if self.membership.lost {
            let all = assigned(cx);
            if !all.is_empty() {
                cx.subscriptions.begin_revocation(&all);
                return Some(Step::Lost(all.into_iter().collect()));
            }
            self.membership.lost = false;
        }
        self.begin_rejoin(cx);
        match &self.membership.phase {
            Phase::Revoking(_) => self.revoke(cx),
            Phase::Arrived { .. } => self.take(cx),
            Phase::Leading { .. } => self.divide(cx),
            _ => None,
        }
        .or_else(|| self.joining(cx))
    }

    // What the caller reports

    /// The caller knows what it has lost.
    pub fn lost(&mut self, cx: &mut Context<'_>) {
        self.membership.lost = false;
        let all = assigned(cx);
        cx.subscriptions.take_away(&all);
    }

    /// The caller has given back what it was to give back before joining.
    pub fn revoked(&mut self, partitions: &[TopicPartition], cx: &mut Context<'_>) {
        // Also where the membership was lost meanwhile: it is not told of them twice.
        cx.subscriptions.take_away(&partitions.iter().cloned().collect());
        if matches!(self.membership.phase, Phase::Revoking(_)) {
            self.membership.phase = Phase::Joinable;
        }
    }

    /// What the caller's assignors tell the leader, by their names.
    pub fn join(&mut self, protocols: Vec<(String, Vec<u8>)>, cx: &mut Context<'_>) {
        let ready = self.lookup.coordinator().filter(|key| cx.client.can_send(*key, cx.now));
        if let Some(node) = ready.filter(|_| matches!(self.membership.phase, Phase::Joinable)) {
            self.membership.join(protocols, node, cx);
        }
    }

    /// Who gets what, or why the caller's assignor cannot say.
    pub fn lead(
        &mut self,
        assignments: Result<BTreeMap<String, Vec<u8>>, Error>,
        cx: &mut Context<'_>,
    ) {
        if !matches!(self.membership.phase, Phase::Leading { .. }) {
            return;
        }
        match assignments {
            Ok(assignments) => {
                self.membership.phase = Phase::Syncable(assignments);
                self.membership.sync(&self.lookup, cx);
            }
            Err(error) => self.membership.fail(error, cx.now),
        }
    }

    /// The caller has given back what is not in its new assignment, which holds from now on; says whether it does. It does
    /// not where the membership was lost meanwhile, or something else was subscribed to.
    pub fn hand_over(&mut self, revoked: &[TopicPartition], cx: &mut Context<'_>) -> bool {
        if let Phase::Arrived { assignment, added, .. } = &mut self.membership.phase {
            if added.is_some() {
                return true;
            }
            let before = assigned(cx);
            match cx.subscriptions.assign_from_group(assignment) {
                Ok(()) => {
                    *added = Some(assignment.difference(&before).cloned().collect());
                    return true;
                }
                Err(error) => {
                    log::warn!(target: "kafka_blocking::group", "group {}: {error}", self.options.group_id);
                    self.membership.retry(cx.now);
                }
            }
        }
        // It is not told of them twice.
        cx.subscriptions.take_away(&revoked.iter().cloned().collect());
        false
    }

    /// The caller knows what it got.
    pub fn arrived(&mut self, cx: &mut Context<'_>) {
        let Phase::Arrived { handover, .. } = &self.membership.phase else { return };
        let gave = !handover.partitions.is_empty();
        self.membership.phase = Phase::Stable;
        self.membership.backoff.reset();
        self.schedule_auto_commit(cx.now);
        if gave {
            self.membership.request_rejoin("what it gave back goes to others now");
        }
    }

    // How it comes to that

    /// Leaves the present generation for the next one, if there is reason to.
    fn begin_rejoin(&mut self, cx: &mut Context<'_>) {
        if self.membership.rejoin.is_none() || !matches!(self.membership.phase, Phase::Stable) {
            return;
        }
        let eager = self.membership.options.protocol == RebalanceProtocol::Eager;
        let goes = |p: &TopicPartition| eager || !cx.subscriptions.is_subscribed(p);
        let partitions = assigned(cx).into_iter().filter(goes).collect();
        self.membership.phase = Phase::Revoking(self.begin_handover(partitions, cx));
    }

    /// Partitions are about to be revoked: not read any more from now on, and then committed.
    pub(super) fn begin_handover(
        &mut self,
        partitions: BTreeSet<TopicPartition>,
        cx: &mut Context<'_>,
    ) -> Handover {
        cx.subscriptions.begin_revocation(&partitions);
        // The group waits for this member, though not for ever.
        let patience = self.api_timeout.min(self.membership.options.max_poll_interval / 2);
        let auto_commit = self.membership.options.auto_commit.is_some();
        // Of a topic that is gone nothing can be committed, however long that is tried: nobody is to wait for it.
        let there = |p: &&TopicPartition| auto_commit && count(p.topic(), cx).is_some();
        let there: BTreeSet<_> = partitions.iter().filter(there).cloned().collect();
        let commit = self.commit_positions(|p| there.contains(p), patience, cx);
        // Now: whoever asked for a step waits for what comes in, and nothing would before this has gone out.
        self.commits.poll(&self.membership, &mut self.lookup, cx);
        Handover { partitions, commit, until: later(cx.now, patience) }
    }

    fn is_handed_over(&self, handover: &Handover, cx: &Context<'_>) -> bool {
        handover.commit.is_none_or(|id| !self.commits.is_pending(id)) || cx.now >= handover.until
    }

    fn revoke(&mut self, cx: &Context<'_>) -> Option<Step> {
        let Phase::Revoking(handover) = &self.membership.phase else { return None };
        if !self.is_handed_over(handover, cx) {
            return None;
        }
        if handover.partitions.is_empty() {
            self.membership.phase = Phase::Joinable;
            return None;
        }
        Some(Step::Revoke(handover.partitions.iter().cloned().collect()))
    }

    fn joining(&self, cx: &Context<'_>) -> Option<Step> {
        if !matches!(self.membership.phase, Phase::Joinable) || cx.now < self.membership.retry_at {
            return None;
        }
        let topics = cx.subscriptions.subscription()?.clone();
        let node = self.lookup.coordinator()?;
        if !is_known(&topics, cx) || !cx.client.can_send(node, cx.now) {
            return None;
        }
        Some(Step::Join(Joining {
            topics,
            owned: cx.subscriptions.assignment().cloned().collect(),
            generation: self.membership.generation.as_ref().map(|generation| generation.id),
            rack: self.membership.options.rack.clone(),
        }))
    }

    fn divide(&mut self, cx: &mut Context<'_>) -> Option<Step> {
        let Phase::Leading { members, settled } = &self.membership.phase else { return None };
        let settled = *settled;
        let all: BTreeSet<Arc<str>> =
            members.iter().flat_map(|m| m.topics().iter().cloned()).collect();
        let own = cx.subscriptions.subscription();
        let others = all
            .iter()
            .filter(|topic| own.is_none_or(|own| !own.contains(*topic)))
            .cloned()
            .collect();
        cx.metadata.set_group_topics(others, cx.now);
        if all.iter().any(|topic| cx.metadata.cluster().topic(topic).is_none()) {
            return None;
        }
        let counts = all.iter().filter_map(|topic| Some((topic.clone(), count(topic, cx)?)));
        let topics: BTreeMap<Arc<str>, i32> = counts.collect();
        let generation = self.membership.generation.as_ref()?;
        let step = Assigning {
            name: generation.protocol.clone(),
            protocol: self.options.protocol,
            members: members.clone(),
            topics: topics.clone(),
        };
        self.membership.leading = Some(Leading::new(all, topics));
        if settled {
            self.lead(Ok(BTreeMap::new()), cx);
            return None;
        }
        Some(Step::Lead(step))
    }

    fn take(&mut self, cx: &mut Context<'_>) -> Option<Step> {
        let Phase::Arrived { assignment, handover, added } = &self.membership.phase else {
            return None;
        };
        if let Some(added) = added {
            // Code of the user panicked after what goes was handed over: what comes is still to be told of.
            let (assignment, added) = (assignment.iter().cloned().collect(), added.clone());
            return self.taking(assignment, Vec::new(), added);
        }
        // What was asked for may be something else by now: then this is not what is to be read.
        let stray = assignment.iter().find(|p| !cx.subscriptions.is_subscribed(p));
        if let Some(stray) = stray {
            let why = format!("{stray} was assigned, whose topic is no longer subscribed to");
            log::warn!(target: "kafka_blocking::group", "group {}: {why}", self.options.group_id);
            self.membership.retry(cx.now);
            return None;
        }
        let before = assigned(cx);
        let revoked: BTreeSet<_> = before.difference(assignment).cloned().collect();
        let added = assignment.difference(&before).cloned().collect();
        let assignment = assignment.iter().cloned().collect();
        if handover.partitions != revoked {
            let begun = self.begin_handover(revoked.clone(), cx);
            if let Phase::Arrived { handover, .. } = &mut self.membership.phase {
                *handover = begun;
            }
        }
        let Phase::Arrived { handover, .. } = &self.membership.phase else { return None };
        if !self.is_handed_over(handover, cx) {
            return None;
        }
        self.taking(assignment, revoked.into_iter().collect(), added)
    }

    fn taking(
        &self,
        assignment: Vec<TopicPartition>,
        revoked: Vec<TopicPartition>,
        added: Vec<TopicPartition>,
    ) -> Option<Step> {
        let generation = self.membership.generation.as_ref()?;
        let (name, generation) = (generation.protocol.clone(), generation.id);
        Some(Step::Take(Taking { name, generation, assignment, revoked, added }))
    }
}

fn assigned(cx: &Context<'_>) -> BTreeSet<TopicPartition> {
    cx.subscriptions.assignment().cloned().collect()
}

/// Whether it is known of all topics whether they are there: who joins before that joins twice.
fn is_known(topics: &BTreeSet<Arc<str>>, cx: &Context<'_>) -> bool {
    cx.metadata.is_fresh()
        && topics.iter().all(|topic| cx.metadata.cluster().topic(topic).is_some())
}
