//! How members act that live inside the broker.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use crate::{
    ErrorCode,
    protocol::{
        join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse},
        leave_group::MemberIdentity,
        sync_group::{SyncGroupRequest, SyncGroupRequestAssignment},
    },
};

use super::{
    Groups,
    group::GroupState,
    join::Caller,
    mail::{Answer, Ticket},
    ranges,
    script::{Assigns, MemberScript},
};
use crate::testing::state::State;

/// Names a scripted member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScriptedMemberId(u64);

/// A scripted member, and how far it is.
#[derive(Debug)]
pub(super) struct Actor {
    pub(super) group_id: String,
    pub(super) script: MemberScript,
    pub(super) member_id: String,
    generation: i32,
    protocol: Option<String>,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    /// Joins at this time, or never.
    Joins(Option<Instant>),
    Joining(Ticket),
    /// Syncs at this time, or never, and with these assignments.
    Syncs(Option<Instant>, Vec<(String, Vec<u8>)>),
    Syncing(Ticket),
    Settled,
    /// It was refused, or is no member any more.
    Out(ErrorCode),
}

// What a test says

impl Groups {
    pub(super) fn add_scripted(
        &mut self,
        group_id: &str,
        script: MemberScript,
        now: Instant,
    ) -> ScriptedMemberId {
        self.actors_made += 1;
        let id = ScriptedMemberId(self.actors_made);
        let actor = Actor {
            group_id: group_id.to_owned(),
            script,
            member_id: String::new(),
            generation: -1,
            protocol: None,
            phase: Phase::Joins(Some(now)),
        };
        self.actors.insert(id, actor);
        id
    }

    pub(super) fn actor(&self, id: ScriptedMemberId) -> &Actor {
        self.actors.get(&id).expect("a member that has not left")
    }

    pub(super) fn actor_mut(&mut self, id: ScriptedMemberId) -> &mut Actor {
        self.actors.get_mut(&id).expect("a member that has not left")
    }

    /// It joins again, with what its script says now.
    pub(super) fn rejoin_scripted(&mut self, id: ScriptedMemberId, now: Instant) {
        let actor = self.actor_mut(id);
        let before = std::mem::replace(&mut actor.phase, Phase::Joins(Some(now)));
        if let Phase::Joining(ticket) | Phase::Syncing(ticket) = before {
            self.forget(ticket);
        }
    }

    pub(super) fn leave_scripted(&mut self, id: ScriptedMemberId, now: Instant) {
        let actor = self.actors.remove(&id).expect("a member that has not left");
        if let Phase::Joining(ticket) | Phase::Syncing(ticket) = actor.phase {
            self.forget(ticket);
        }
        let who = MemberIdentity { member_id: actor.member_id, ..MemberIdentity::default() };
        // Whoever was refused, or removed, has nothing to leave.
        let _ = self.leave(&actor.group_id, &[who], now);
    }
}

impl Actor {
    /// Why it is no member, if it is none.
    pub(super) fn refused(&self) -> Option<ErrorCode> {
        match self.phase {
            Phase::Out(code) => Some(code),
            _ => None,
        }
    }
}

// What it does

impl State {
    /// Lets each scripted member do one thing; says whether one did.
    pub(super) fn act_scripted_members(&mut self, paused: &BTreeSet<i32>, now: Instant) -> bool {
        let ids: Vec<ScriptedMemberId> = self.groups.actors.keys().copied().collect();
        let mut any = false;
        for id in ids {
            let actor = &self.groups.actors[&id];
            if !actor.script.frozen && self.runs(&actor.group_id, paused) {
                any |= self.act(id, now);
            }
        }
        any
    }

    fn act(&mut self, id: ScriptedMemberId, now: Instant) -> bool {
        let groups = &mut self.groups;
        let actor = groups.actor_mut(id);
        match actor.phase.clone() {
            Phase::Joins(Some(at)) if at <= now => {
                let request = actor.join_request();
                let client_id = actor.script.client_id.clone();
                let role = actor.script.role;
                let caller =
                    Caller { client_id: &client_id, id_first: false, may_skip: true, role };
                let ticket = groups.join_as(&request, &caller, now);
                let waiting = groups.groups.get(&request.group_id).and_then(|group| {
                    group.members.iter().find(|m| m.join == Some(ticket)).map(|m| m.id.clone())
                });
                let actor = groups.actor_mut(id);
                actor.member_id = waiting.unwrap_or(request.member_id);
                actor.phase = Phase::Joining(ticket);
            }
            Phase::Syncs(Some(at), assignments) if at <= now => {
                let request = actor.sync_request(assignments);
                let ticket = groups.sync(&request, SYNC_VERSION, now);
                groups.actor_mut(id).phase = Phase::Syncing(ticket);
            }
            Phase::Joining(ticket) => {
                let Some(Answer::Join(answer)) = groups.take_answer(ticket) else { return false };
                return self.has_joined(id, answer, now);
            }
            Phase::Syncing(ticket) => {
                let Some(Answer::Sync(answer)) = groups.take_answer(ticket) else { return false };
                let actor = groups.actor_mut(id);
                match ErrorCode(answer.error_code) {
                    ErrorCode::NONE => actor.phase = Phase::Settled,
                    code => actor.turned_away(code, now),
                }
            }
            Phase::Settled => return groups.look_around(id, now),
            Phase::Joins(_) | Phase::Syncs(..) | Phase::Out(_) => return false,
        }
        true
    }

    fn has_joined(
        &mut self,
        id: ScriptedMemberId,
        answer: JoinGroupResponse,
        now: Instant,
    ) -> bool {
        let actor = self.groups.actor_mut(id);
        if answer.error_code != 0 {
            actor.turned_away(ErrorCode(answer.error_code), now);
            return true;
        }
        let leads = answer.leader == answer.member_id && !answer.skip_assignment;
        actor.member_id = answer.member_id;
        actor.generation = answer.generation_id;
        actor.protocol = answer.protocol_name;
        let mut at = now.checked_add(actor.script.syncs_after);
        let assignments = match &mut actor.script.assigns {
            _ if !leads => Vec::new(),
            Assigns::Ranges => ranges::assign(&answer.members, &self.topics),
            Assigns::With(assign) => assign(&answer.members),
            Assigns::Bytes(bytes) => {
                answer.members.iter().map(|m| (m.member_id.clone(), bytes.clone())).collect()
            }
            Assigns::Never => {
                at = None;
                Vec::new()
            }
        };
        actor.phase = Phase::Syncs(at, assignments);
        true
    }
}

/// The version in which a member names the protocol that it takes for the chosen one.
const SYNC_VERSION: i16 = 5;

impl Groups {
    /// Whether the group begins again, or has gone on without the member.
    fn look_around(&mut self, id: ScriptedMemberId, now: Instant) -> bool {
        let actor = self.actor(id);
        let group = self.groups.get(&actor.group_id);
        let code = match group.filter(|group| group.member(&actor.member_id).is_some()) {
            None => ErrorCode::UNKNOWN_MEMBER_ID,
            Some(group) if group.state == GroupState::PreparingRebalance => {
                ErrorCode::REBALANCE_IN_PROGRESS
            }
            Some(_) => return false,
        };
        let actor = self.actor_mut(id);
        match code {
            // Whoever was removed by a test is meant to be gone.
            ErrorCode::UNKNOWN_MEMBER_ID => actor.phase = Phase::Out(code),
            code => actor.turned_away(code, now),
        }
        true
    }

    /// Keeps the sessions of the scripted members of a group.
    pub(super) fn beat_scripted(&mut self, group_id: &str, now: Instant) {
        let own = self.actors.values().filter(|a| a.group_id == group_id && !a.script.frozen);
        for actor in own {
            if let Some(group) = self.groups.get_mut(group_id) {
                group.renew(&actor.member_id, now);
            }
        }
    }

    /// When the scripted members of a group have something to do.
    pub(super) fn poll_scripted(&self, group_id: &str) -> Option<Instant> {
        let own = self.actors.values().filter(|a| a.group_id == group_id && !a.script.frozen);
        own.filter_map(|actor| match &actor.phase {
            Phase::Joins(at) | Phase::Syncs(at, _) => *at,
            _ => None,
        })
        .min()
    }
}

impl Actor {
    /// The group has not done what was asked.
    fn turned_away(&mut self, code: ErrorCode, now: Instant) {
        self.phase = match code {
            // It came too late for the last generation, and comes as a new member.
            ErrorCode::UNKNOWN_MEMBER_ID if !self.member_id.is_empty() => {
                self.member_id.clear();
                Phase::Joins(Some(now))
            }
            ErrorCode::REBALANCE_IN_PROGRESS | ErrorCode::ILLEGAL_GENERATION => {
                Phase::Joins(now.checked_add(self.script.joins_after))
            }
            ErrorCode::NOT_COORDINATOR => Phase::Joins(Some(now)),
            code => Phase::Out(code),
        };
    }

    fn join_request(&self) -> JoinGroupRequest {
        let protocols = self.script.protocols.iter().map(|(name, metadata)| {
            JoinGroupRequestProtocol { name: name.clone(), metadata: metadata.clone() }
        });
        let ms = |d: Duration| i32::try_from(d.as_millis()).unwrap_or(i32::MAX);
        JoinGroupRequest {
            group_id: self.group_id.clone(),
            session_timeout_ms: ms(self.script.session_timeout),
            rebalance_timeout_ms: ms(self.script.rebalance_timeout),
            member_id: self.member_id.clone(),
            group_instance_id: self.script.instance_id.clone(),
            protocol_type: "consumer".to_owned(),
            protocols: protocols.collect(),
            ..JoinGroupRequest::default()
        }
    }

    fn sync_request(&self, assignments: Vec<(String, Vec<u8>)>) -> SyncGroupRequest {
        let assignments = assignments
            .into_iter()
            .map(|(member_id, assignment)| SyncGroupRequestAssignment { member_id, assignment });
        SyncGroupRequest {
            group_id: self.group_id.clone(),
            generation_id: self.generation,
            member_id: self.member_id.clone(),
            group_instance_id: self.script.instance_id.clone(),
            protocol_type: Some("consumer".to_owned()),
            protocol_name: self.protocol.clone(),
            assignments: assignments.collect(),
        }
    }
}
