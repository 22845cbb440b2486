//! Who is alive: heartbeats, sessions that end, and when something is due in a group.

use std::time::Instant;

use crate::{ErrorCode, protocol::heartbeat::HeartbeatRequest};

use super::{
    group::{Group, GroupState},
    join,
    mail::Answer,
    settings::GroupSettings,
};

impl Group {
    pub(super) fn heartbeat(
        &mut self,
        request: &HeartbeatRequest,
        now: Instant,
    ) -> Result<(), ErrorCode> {
        self.check_member(&request.member_id, request.group_instance_id.as_deref())?;
        self.check_generation(request.generation_id)?;
        self.renew(&request.member_id, now);
        match self.state {
            GroupState::PreparingRebalance => Err(ErrorCode::REBALANCE_IN_PROGRESS),
            _ => Ok(()),
        }
    }

    pub(super) fn renew(&mut self, id: &str, now: Instant) {
        if let Some(member) = self.member_mut(id) {
            member.renew(now);
        }
    }

    /// Does all that is due.
    pub(super) fn handle(&mut self, settings: &GroupSettings, now: Instant) {
        self.load(now);
        while self.poll_timeout().is_some_and(|at| at <= now) {
            self.expire_sessions(now);
            if self.joining.as_ref().is_some_and(|joining| joining.until <= now) {
                self.join_time_is_over(settings.initial_delay, now);
            }
            if self.sync_by.is_some_and(|at| at <= now) {
                self.sync_time_is_over(now);
            }
        }
    }

    /// When [`handle`](Self::handle) has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let sessions = self.members.iter().filter_map(|m| m.deadline());
        let pending = self.pending.values().copied();
        let joining = self.joining.as_ref().map(|joining| joining.until);
        sessions.chain(pending).chain(joining).chain(self.sync_by).min()
    }

    fn expire_sessions(&mut self, now: Instant) {
        let pending = self.pending.iter().filter(|(_, at)| **at <= now);
        let pending: Vec<String> = pending.map(|(id, _)| id.clone()).collect();
        for id in pending {
            self.remove(&id);
            self.complete_if_all_joined(now);
        }
        while let Some(member) =
            self.members.iter().find(|m| m.deadline().is_some_and(|at| at <= now))
        {
            let id = member.id.clone();
            self.dismiss(&id);
            self.after_dismissal(now);
        }
    }

    /// A member goes. If it waits to join, it is told.
    pub(super) fn dismiss(&mut self, id: &str) {
        let ticket = self.member_mut(id).and_then(|m| m.join.take());
        self.answer(ticket, Answer::Join(join::refused("", ErrorCode::UNKNOWN_MEMBER_ID)));
        self.remove(id);
    }

    /// The others begin again without those that were dismissed.
    pub(super) fn after_dismissal(&mut self, now: Instant) {
        match self.state {
            GroupState::Stable | GroupState::CompletingRebalance => {
                self.rebalance(std::time::Duration::ZERO, now);
            }
            GroupState::PreparingRebalance => self.complete_if_all_joined(now),
            GroupState::Empty | GroupState::Dead => {}
        }
    }
}
