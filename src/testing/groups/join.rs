//! What becomes of a JoinGroup request.

use std::time::{Duration, Instant};

use crate::{
    ErrorCode,
    protocol::join_group::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember},
};

use super::{
    group::{Group, GroupState},
    mail::{Answer, Ticket},
    member::{Member, millis},
    script::Role,
    settings::GroupSettings,
};

/// Who asks, and in which version.
pub(super) struct Caller<'a> {
    pub(super) client_id: &'a str,
    /// Whether a new member is first told its id (KIP-394).
    pub(super) id_first: bool,
    /// Whether a static leader that comes back can be told to leave the assignment as it is (KIP-814).
    pub(super) may_skip: bool,
    /// Whether it wants to lead.
    pub(super) role: Role,
}

/// How long a new member waits at most, which has no session yet.
const NEW_MEMBER: Duration = Duration::from_secs(300);

type Refused = (String, ErrorCode);

impl Group {
    pub(super) fn join(
        &mut self,
        request: &JoinGroupRequest,
        caller: &Caller<'_>,
        settings: &GroupSettings,
        ticket: Ticket,
        now: Instant,
    ) {
        if let Err((member_id, code)) = self.try_join(request, caller, settings, ticket, now) {
            self.answer(Some(ticket), Answer::Join(refused(&member_id, code)));
        }
        self.complete_if_all_joined(now);
    }

    fn try_join(
        &mut self,
        request: &JoinGroupRequest,
        caller: &Caller<'_>,
        settings: &GroupSettings,
        ticket: Ticket,
        now: Instant,
    ) -> Result<(), Refused> {
        let id = &request.member_id;
        if !self.has_room(id, settings.max_size) {
            self.remove(id);
            return Err((String::new(), ErrorCode::GROUP_MAX_SIZE_REACHED));
        }
        let names: Vec<&str> = request.protocols.iter().map(|p| p.name.as_str()).collect();
        if !self.supports(&request.protocol_type, &names) {
            return Err((id.clone(), ErrorCode::INCONSISTENT_GROUP_PROTOCOL));
        }
        if !id.is_empty() {
            return self.join_again(request, caller, settings, ticket, now);
        }
        let Some(instance_id) = &request.group_instance_id else {
            let id = self.new_id(caller.client_id);
            if caller.id_first {
                self.pending.insert(id.clone(), now + millis(request.session_timeout_ms));
                return Err((id, ErrorCode::MEMBER_ID_REQUIRED));
            }
            self.add(id, request, caller, settings, ticket, now);
            return Ok(());
        };
        let id = self.new_id(instance_id);
        match self.static_member(instance_id).map(|m| m.id.clone()) {
            Some(old) => self.replace(&old, id, request, caller, settings, ticket, now),
            None => self.add(id, request, caller, settings, ticket, now),
        }
        Ok(())
    }

    /// A group that is too large sends away those that come last.
    fn has_room(&self, id: &str, max_size: usize) -> bool {
        let own = self.member(id);
        match self.state {
            GroupState::Empty | GroupState::Dead => true,
            GroupState::PreparingRebalance => {
                own.is_some_and(|m| m.join.is_some()) || self.waiting_to_join() < max_size
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                own.is_some() || self.members.len() < max_size
            }
        }
    }

    fn add(
        &mut self,
        id: String,
        request: &JoinGroupRequest,
        caller: &Caller<'_>,
        settings: &GroupSettings,
        ticket: Ticket,
        now: Instant,
    ) {
        self.pending.remove(&id);
        let mut member = Member::new(id, caller.client_id, request, now);
        member.expires = now + NEW_MEMBER;
        member.join = Some(ticket);
        member.role = caller.role;
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.clone());
        }
        self.leader.get_or_insert_with(|| member.id.clone());
        self.members.push(member);
        if let Some(joining) = &mut self.joining {
            joining.newcomers = true;
        }
        self.rebalance(settings.initial_delay, now);
    }

    /// Someone that has an id asks.
    fn join_again(
        &mut self,
        request: &JoinGroupRequest,
        caller: &Caller<'_>,
        settings: &GroupSettings,
        ticket: Ticket,
        now: Instant,
    ) -> Result<(), Refused> {
        let id = &request.member_id;
        if self.pending.contains_key(id) {
            if request.group_instance_id.is_some() {
                return Err((String::new(), ErrorCode::UNKNOWN_SERVER_ERROR));
            }
            self.add(id.clone(), request, caller, settings, ticket, now);
            return Ok(());
        }
        self.check_member(id, request.group_instance_id.as_deref())
            .map_err(|code| (id.clone(), code))?;
        let leads = self.is_leader(id);
        let same = self.member(id).is_some_and(|m| m.matches(request));
        match self.state {
            // It has not got the answer, or is a follower without news: the generation stays.
            GroupState::CompletingRebalance if same => {
                let answer = self.joined(id, leads);
                self.answer(Some(ticket), Answer::Join(answer));
            }
            GroupState::Stable if same && !leads => {
                let answer = self.joined(id, false);
                self.answer(Some(ticket), Answer::Join(answer));
            }
            // A leader that joins again wants to assign anew.
            _ => {
                let member = self.member_mut(id).expect("checked above");
                member.update(request);
                member.role = caller.role;
                member.join = Some(ticket);
                self.rebalance(settings.initial_delay, now);
            }
        }
        Ok(())
    }

    /// A static member comes back without its id, and has another one from now on (KIP-345).
    #[expect(clippy::too_many_arguments, reason = "who, instead of whom, and with what")]
    fn replace(
        &mut self,
        old: &str,
        id: String,
        request: &JoinGroupRequest,
        caller: &Caller<'_>,
        settings: &GroupSettings,
        ticket: Ticket,
        now: Instant,
    ) {
        let leader = self.leader.clone();
        let member = self.member_mut(old).expect("it was found");
        let (join, sync) = (member.join.take(), member.sync.take());
        member.id.clone_from(&id);
        member.is_new = false;
        member.client_id = caller.client_id.to_owned();
        member.role = caller.role;
        member.update(request);
        member.renew(now);
        member.join = Some(ticket);
        let fenced = ErrorCode::FENCED_INSTANCE_ID;
        self.answer(join, Answer::Join(refused(old, fenced)));
        self.answer(sync, Answer::Sync(super::sync::refused(fenced)));
        if self.is_leader(old) {
            self.leader = Some(id.clone());
        }
        if self.state != GroupState::Stable || self.elect_protocol() != self.protocol {
            return self.rebalance(settings.initial_delay, now);
        }
        self.store();
        let leads = self.is_leader(&id) && caller.may_skip;
        let mut answer = self.joined(&id, leads);
        answer.skip_assignment = leads;
        if !caller.may_skip {
            // Who cannot be told to skip must not take itself for the leader.
            answer.leader = leader.unwrap_or_default();
        }
        self.member_mut(&id).expect("it has this id now").join = None;
        self.answer(Some(ticket), Answer::Join(answer));
    }

    pub(super) fn waiting_to_join(&self) -> usize {
        self.members.iter().filter(|m| m.join.is_some()).count()
    }

    /// What a member of the generation is told; the one that assigns is told of all.
    pub(super) fn joined(&self, id: &str, assigns: bool) -> JoinGroupResponse {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let all = self.members.iter().map(|m| JoinGroupResponseMember {
            member_id: m.id.clone(),
            group_instance_id: m.instance_id.clone(),
            metadata: m.subscription(protocol).to_vec(),
        });
        JoinGroupResponse {
            generation_id: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: Some(protocol.to_owned()),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: id.to_owned(),
            members: if assigns { all.collect() } else { Vec::new() },
            ..JoinGroupResponse::default()
        }
    }
}

pub(super) fn refused(member_id: &str, code: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: code.0,
        protocol_name: None,
        member_id: member_id.to_owned(),
        ..JoinGroupResponse::default()
    }
}
