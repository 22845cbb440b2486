//! What becomes of a SyncGroup request: it waits for the leader's.

use std::time::Instant;

use crate::{
    ErrorCode,
    protocol::sync_group::{SyncGroupRequest, SyncGroupResponse},
};

use super::{
    group::{Group, GroupState},
    mail::{Answer, Ticket},
};

impl Group {
    pub(super) fn sync(&mut self, request: &SyncGroupRequest, ticket: Ticket, now: Instant) {
        if let Err(code) = self.try_sync(request, ticket, now) {
            self.answer(Some(ticket), Answer::Sync(refused(code)));
        }
    }

    fn try_sync(
        &mut self,
        request: &SyncGroupRequest,
        ticket: Ticket,
        now: Instant,
    ) -> Result<(), ErrorCode> {
        let id = &request.member_id;
        self.check_member(id, request.group_instance_id.as_deref())?;
        self.check_generation(request.generation_id)?;
        let differs = |said: &Option<String>, own: &Option<String>| said.is_some() && said != own;
        if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol_name, &self.protocol)
        {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        if self.state == GroupState::PreparingRebalance {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        let waits = self.state == GroupState::CompletingRebalance;
        let member = self.member_mut(id).expect("checked above");
        member.owes_sync = false;
        if waits {
            member.sync = Some(ticket);
            if self.is_leader(id) {
                self.assign(request, now);
            }
            return Ok(());
        }
        member.renew(now);
        let assignment = member.assignment.clone();
        let answer = self.synced(assignment);
        self.answer(Some(ticket), Answer::Sync(answer));
        Ok(())
    }

    /// The leader has spoken. Who is not named gets nothing.
    fn assign(&mut self, request: &SyncGroupRequest, now: Instant) {
        for member in &mut self.members {
            let own = request.assignments.iter().rfind(|a| a.member_id == member.id);
            member.assignment = own.map(|a| a.assignment.clone()).unwrap_or_default();
        }
        self.state = GroupState::Stable;
        self.store();
        for n in 0..self.members.len() {
            let member = &mut self.members[n];
            let Some(ticket) = member.sync.take() else { continue };
            member.renew(now);
            let assignment = member.assignment.clone();
            let answer = self.synced(assignment);
            self.answer(Some(ticket), Answer::Sync(answer));
        }
    }

    fn synced(&self, assignment: Vec<u8>) -> SyncGroupResponse {
        SyncGroupResponse {
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            assignment,
            ..SyncGroupResponse::default()
        }
    }
}

pub(super) fn refused(code: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse { error_code: code.0, ..SyncGroupResponse::default() }
}
