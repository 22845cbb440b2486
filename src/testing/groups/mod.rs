//! The groups of the cluster: which there are, and which of their requests wait.
//!
//! One file below answers one question. A group is a machine: it is given requests and the time, and reads no clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use crate::{
    ErrorCode,
    protocol::{
        heartbeat::HeartbeatRequest,
        join_group::JoinGroupRequest,
        leave_group::{MemberIdentity, MemberResponse},
        offset_commit::OffsetCommitRequest,
        sync_group::SyncGroupRequest,
    },
};

use self::{
    group::Group,
    join::Caller,
    mail::{Answer, Mail, Ticket},
    member::millis,
    scripted::Actor,
};

mod group;
mod handle;
mod join;
mod leave;
pub(crate) mod mail;
mod member;
mod offsets;
mod placement;
mod ranges;
mod rebalance;
mod script;
mod scripted;
mod sessions;
mod settings;
mod stored;
mod sync;
mod view;

pub use self::{
    group::GroupState,
    handle::GroupHandle,
    offsets::CommittedOffset,
    ranges::{assignment_bytes, subscription_bytes},
    script::{AssignWith, Assigns, MemberScript, Role},
    scripted::ScriptedMemberId,
    settings::GroupSettings,
    view::{GroupView, MemberView},
};

/// The groups.
#[derive(Debug, Default)]
pub struct Groups {
    /// What coordinators allow, and how long they wait.
    pub settings: GroupSettings,
    /// Groups that answer everything with an error, such as `GROUP_AUTHORIZATION_FAILED`.
    pub errors: BTreeMap<String, ErrorCode>,
    /// Whether another node takes over the groups of one that stops. Without this, there is no coordinator until it is
    /// back.
    pub failover: bool,
    /// Which node coordinates a group, where it was set.
    homes: BTreeMap<String, i32>,
    /// Which node coordinates the others, where it is not the first.
    default_home: Option<i32>,
    groups: BTreeMap<String, Group>,
    mail: Mail,
    answered: bool,
    actors: BTreeMap<ScriptedMemberId, Actor>,
    actors_made: u64,
}

impl Groups {
    // What members ask

    pub(crate) fn join(
        &mut self,
        request: &JoinGroupRequest,
        client_id: &str,
        version: i16,
        now: Instant,
    ) -> Ticket {
        let (id_first, may_skip) = (version >= 4, version >= 9);
        self.join_as(request, &Caller { client_id, id_first, may_skip, role: Role::AsItComes }, now)
    }

    fn join_as(&mut self, request: &JoinGroupRequest, caller: &Caller<'_>, now: Instant) -> Ticket {
        let ticket = self.mail.ticket();
        if let Some(code) = self.refuse_join(request) {
            self.deliver(ticket, Answer::Join(join::refused(&request.member_id, code)));
            return ticket;
        }
        self.groups.entry(request.group_id.clone()).or_default();
        self.handle_group(&request.group_id, now);
        let group = self.groups.get_mut(&request.group_id).expect("made above");
        group.join(request, caller, &self.settings, ticket, now);
        self.handle_group(&request.group_id, now);
        ticket
    }

    fn refuse_join(&self, request: &JoinGroupRequest) -> Option<ErrorCode> {
        let known = self.groups.contains_key(&request.group_id);
        if request.group_id.is_empty() {
            Some(ErrorCode::INVALID_GROUP_ID)
        } else if !self.settings.sessions.contains(&millis(request.session_timeout_ms)) {
            Some(ErrorCode::INVALID_SESSION_TIMEOUT)
        } else if !request.member_id.is_empty() && !known {
            Some(ErrorCode::UNKNOWN_MEMBER_ID)
        } else {
            None
        }
    }

    pub(crate) fn sync(
        &mut self,
        request: &SyncGroupRequest,
        version: i16,
        now: Instant,
    ) -> Ticket {
        let ticket = self.mail.ticket();
        let named = request.protocol_type.is_some() && request.protocol_name.is_some();
        let outcome = if version >= 5 && !named {
            Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL)
        } else {
            self.group(&request.group_id, now).map(|group| group.sync(request, ticket, now))
        };
        match outcome {
            Ok(()) => self.handle_group(&request.group_id, now),
            Err(code) => self.deliver(ticket, Answer::Sync(sync::refused(code))),
        }
        ticket
    }

    pub(crate) fn heartbeat(
        &mut self,
        request: &HeartbeatRequest,
        now: Instant,
    ) -> Result<(), ErrorCode> {
        self.group(&request.group_id, now)?.heartbeat(request, now)
    }

    pub(crate) fn leave(
        &mut self,
        group_id: &str,
        who: &[MemberIdentity],
        now: Instant,
    ) -> Result<Vec<MemberResponse>, ErrorCode> {
        let left = match self.group(group_id, now) {
            Ok(group) => group.leave(who, now),
            Err(ErrorCode::UNKNOWN_MEMBER_ID) => {
                who.iter().map(|m| leave::response(m, Err(ErrorCode::UNKNOWN_MEMBER_ID))).collect()
            }
            Err(code) => return Err(code),
        };
        self.handle_group(group_id, now);
        Ok(left)
    }

    /// Whether a commit is allowed now.
    pub(crate) fn admit_commit(
        &mut self,
        request: &OffsetCommitRequest,
        version: i16,
        now: Instant,
    ) -> Result<(), ErrorCode> {
        let simple = request.generation_id_or_member_epoch < 0;
        if !simple && !self.groups.contains_key(&request.group_id) {
            let gone = ErrorCode::GROUP_ID_NOT_FOUND;
            return Err(if version >= 9 { gone } else { ErrorCode::ILLEGAL_GENERATION });
        }
        self.groups.entry(request.group_id.clone()).or_default();
        self.handle_group(&request.group_id, now);
        let group = self.groups.get_mut(&request.group_id).expect("made above");
        group.admit_commit(request, now)
    }

    // What tests see and do

    /// A group as it is now.
    #[must_use]
    pub fn view(&self, id: &str) -> GroupView {
        GroupView::of(self.groups.get(id))
    }

    /// Does something to a group that there must be, and what comes of it.
    fn change(&mut self, id: &str, now: Instant, change: impl FnOnce(&mut Group, Instant)) {
        self.handle_group(id, now);
        change(self.groups.get_mut(id).unwrap_or_else(|| panic!("no group {id}")), now);
        self.handle_group(id, now);
    }

    /// The groups that there are.
    pub(crate) fn names(&self) -> Vec<String> {
        self.groups.keys().cloned().collect()
    }

    /// Forgets a group, with its offsets, unless it has members.
    pub(crate) fn delete_empty(&mut self, id: &str) -> Result<(), ErrorCode> {
        let group = self.groups.get(id).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
        if group.state != GroupState::Empty {
            return Err(ErrorCode::NON_EMPTY_GROUP);
        }
        self.delete(id);
        Ok(())
    }

    fn delete(&mut self, id: &str) {
        let Some(group) = self.groups.get_mut(id) else { return };
        let members: Vec<String> = group.members.iter().map(|m| m.id.clone()).collect();
        members.iter().for_each(|member| group.dismiss(member));
        self.deliver_answers(id);
        self.groups.remove(id);
    }

    // Offsets

    /// Stores an offset, as if it had been committed.
    pub fn set_committed(
        &mut self,
        group_id: &str,
        topic: &str,
        partition: i32,
        committed: impl Into<CommittedOffset>,
    ) {
        let group = self.groups.entry(group_id.to_owned()).or_default();
        group.offsets.insert((topic.to_owned(), partition), committed.into());
    }

    /// The offset that a group has committed.
    #[must_use]
    pub fn committed(
        &self,
        group_id: &str,
        topic: &str,
        partition: i32,
    ) -> Option<&CommittedOffset> {
        self.groups.get(group_id)?.offsets.get(&(topic.to_owned(), partition))
    }

    /// Lets a transaction be open, or not, that commits an offset here: who asks for stable offsets has to ask again.
    pub fn set_unstable(&mut self, group_id: &str, topic: &str, partition: i32, unstable: bool) {
        let group = self.groups.entry(group_id.to_owned()).or_default();
        let partition = (topic.to_owned(), partition);
        if unstable {
            group.unstable.insert(partition)
        } else {
            group.unstable.remove(&partition)
        };
    }

    pub(crate) fn is_unstable(&self, group_id: &str, topic: &str, partition: i32) -> bool {
        let unstable = |g: &Group| g.unstable.contains(&(topic.to_owned(), partition));
        self.groups.get(group_id).is_some_and(unstable)
    }

    pub(crate) fn committed_partitions(&self, group_id: &str) -> Vec<(String, i32)> {
        self.groups.get(group_id).map(|g| g.offsets.keys().cloned().collect()).unwrap_or_default()
    }

    // What waits

    /// The answer that a request waits for, if it has come about.
    pub(crate) fn take_answer(&mut self, ticket: Ticket) -> Option<Answer> {
        self.mail.take(ticket)
    }

    /// Nobody waits for an answer any more.
    pub(crate) fn forget(&mut self, ticket: Ticket) {
        self.mail.forget(ticket);
    }

    /// Whether answers have come about since it was last asked.
    pub(crate) fn has_answered(&mut self) -> bool {
        std::mem::take(&mut self.answered)
    }

    /// When [`handle_group`](Self::handle_group) has something to do.
    fn poll_timeout(&self, id: &str) -> Option<Instant> {
        let group = self.groups.get(id).and_then(Group::poll_timeout);
        group.into_iter().chain(self.poll_scripted(id)).min()
    }

    /// The coordinator of a group is no longer that.
    fn unload(&mut self, id: &str) {
        if let Some(group) = self.groups.get_mut(id) {
            group.unload();
            self.deliver_answers(id);
        }
    }

    /// The groups that there are, or that a scripted member wants to join.
    fn ids(&self) -> BTreeSet<String> {
        let wanted = self.actors.values().map(|actor| &actor.group_id);
        self.groups.keys().chain(wanted).cloned().collect()
    }

    /// What a group answers to everything.
    pub(crate) fn error(&self, id: &str) -> Option<ErrorCode> {
        self.errors.get(id).copied()
    }

    // Helpers

    /// A group with members, or one that has had some.
    fn group(&mut self, id: &str, now: Instant) -> Result<&mut Group, ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::INVALID_GROUP_ID);
        }
        self.handle_group(id, now);
        self.groups.get_mut(id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)
    }

    /// Does what is due in a group, and takes its answers.
    fn handle_group(&mut self, id: &str, now: Instant) {
        self.beat_scripted(id, now);
        let Some(group) = self.groups.get_mut(id) else { return };
        group.handle(&self.settings, now);
        self.deliver_answers(id);
    }

    fn deliver_answers(&mut self, id: &str) {
        let Some(group) = self.groups.get_mut(id) else { return };
        let answers = std::mem::take(&mut group.out);
        answers.into_iter().for_each(|(ticket, answer)| self.deliver(ticket, answer));
    }

    fn deliver(&mut self, ticket: Ticket, answer: Answer) {
        self.answered = true;
        self.mail.deliver(ticket, answer);
    }
}
