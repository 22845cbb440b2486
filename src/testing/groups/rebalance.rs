//! How a group gets from one generation to the next.

use std::time::{Duration, Instant};

use crate::ErrorCode;

use super::{
    group::{Group, GroupState, Joining},
    mail::Answer,
    member::Member,
    script::Role,
    sync,
};

/// However short the time-outs of the members are, a wait takes some time.
const LEAST: Duration = Duration::from_millis(1);

impl Group {
    /// Lets all members join again, unless they are about to.
    pub(super) fn rebalance(&mut self, initial_delay: Duration, now: Instant) {
        match self.state {
            GroupState::PreparingRebalance | GroupState::Dead => return,
            GroupState::CompletingRebalance => self.cancel_syncs(now),
            GroupState::Empty | GroupState::Stable => {}
        }
        self.sync_by = None;
        let first = self.state == GroupState::Empty;
        let patience = self.patience();
        self.state = GroupState::PreparingRebalance;
        self.joining = Some(Joining {
            until: now + if first { initial_delay } else { patience },
            initial: first.then(|| patience.saturating_sub(initial_delay)),
            newcomers: false,
        });
        self.complete_if_all_joined(now);
    }

    /// Whoever waits for an assignment has to join again, and has a session to do so.
    fn cancel_syncs(&mut self, now: Instant) {
        for n in 0..self.members.len() {
            let member = &mut self.members[n];
            member.assignment.clear();
            member.owes_sync = false;
            let Some(ticket) = member.sync.take() else { continue };
            member.renew(now);
            let answer = sync::refused(ErrorCode::REBALANCE_IN_PROGRESS);
            self.answer(Some(ticket), Answer::Sync(answer));
        }
    }

    /// Goes on as soon as nobody is missing. The first rebalance of an empty group takes its time.
    pub(super) fn complete_if_all_joined(&mut self, now: Instant) {
        let again = self.joining.as_ref().is_some_and(|j| j.initial.is_none());
        let all = self.waiting_to_join() == self.members.len() && self.pending.is_empty();
        if self.state == GroupState::PreparingRebalance && again && all {
            self.complete_join(now);
        }
    }

    /// The time to join is over.
    pub(super) fn join_time_is_over(&mut self, initial_delay: Duration, now: Instant) {
        let Some(joining) = &mut self.joining else { return };
        match joining.initial {
            Some(left) if joining.newcomers && !left.is_zero() => {
                let more = initial_delay.min(left);
                joining.until = now + more.max(LEAST);
                joining.initial = Some(left.saturating_sub(more));
                joining.newcomers = false;
            }
            _ => self.complete_join(now),
        }
    }

    /// Begins the next generation with those that have joined.
    fn complete_join(&mut self, now: Instant) {
        // A static member keeps its place until its session ends.
        let stays = |m: &Member| m.join.is_some() || m.instance_id.is_some();
        let gone: Vec<_> =
            self.members.iter().filter(|m| !stays(m)).map(|m| m.id.clone()).collect();
        gone.iter().for_each(|id| self.remove(id));
        if !self.members.is_empty() && !self.elect_leader() {
            let until = now + self.patience().max(LEAST);
            self.joining = Some(Joining { until, initial: None, newcomers: false });
            return;
        }
        self.joining = None;
        self.generation += 1;
        self.protocol = self.elect_protocol();
        if self.members.is_empty() {
            self.state = GroupState::Empty;
            self.store();
            return;
        }
        self.state = GroupState::CompletingRebalance;
        self.sync_by = Some(now + self.patience().max(LEAST));
        for n in 0..self.members.len() {
            let id = self.members[n].id.clone();
            let answer = self.joined(&id, self.is_leader(&id));
            let member = &mut self.members[n];
            member.renew(now);
            member.is_new = false;
            member.owes_sync = true;
            let ticket = member.join.take();
            self.answer(ticket, Answer::Join(answer));
        }
    }

    /// Says whether there is a leader that has joined. The old one stays, if it has, unless a scripted member wants it
    /// otherwise.
    fn elect_leader(&mut self) -> bool {
        let joined = || self.members.iter().filter(|m| m.join.is_some());
        let leads = |m: &&Member| self.is_leader(&m.id);
        let elected = joined()
            .find(|m| m.role == Role::Leader)
            .or_else(|| joined().filter(|m| m.role != Role::Follower).find(leads))
            .or_else(|| joined().find(|m| m.role != Role::Follower))
            .or_else(|| joined().find(leads))
            .or_else(|| joined().next());
        let Some(elected) = elected else { return false };
        self.leader = Some(elected.id.clone());
        true
    }

    /// The time to ask for assignments is over: those that have not asked go, and the others begin again.
    pub(super) fn sync_time_is_over(&mut self, now: Instant) {
        self.sync_by = None;
        let missing: Vec<_> =
            self.members.iter().filter(|m| m.owes_sync).map(|m| m.id.clone()).collect();
        missing.iter().for_each(|id| self.remove(id));
        if !missing.is_empty() {
            self.rebalance(Duration::ZERO, now);
        }
    }

    /// How long the most patient member wants to be waited for.
    fn patience(&self) -> Duration {
        self.members.iter().map(|m| m.patience).max().unwrap_or_default()
    }
}
