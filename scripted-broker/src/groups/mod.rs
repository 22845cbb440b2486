//! The groups of the cluster: which there are, and which of their requests wait.
//!
//! One file below answers one question. A group is a machine: it is given requests and the time, and reads no clock.

use std::{collections::BTreeMap, time::Instant};

use kafka_blocking::{
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
};

mod group;
mod join;
mod leave;
pub(crate) mod mail;
mod member;
mod offsets;
mod placement;
mod rebalance;
mod sessions;
mod settings;
mod sync;

pub use self::{group::GroupState, offsets::CommittedOffset, settings::GroupSettings};

/// The groups.
#[derive(Debug, Default)]
pub struct Groups {
    /// What coordinators allow, and how long they wait.
    pub settings: GroupSettings,
    /// Groups that answer everything with an error, such as `GROUP_AUTHORIZATION_FAILED`.
    pub errors: BTreeMap<String, ErrorCode>,
    /// Which node coordinates a group, where it was set.
    homes: BTreeMap<String, i32>,
    groups: BTreeMap<String, Group>,
    mail: Mail,
    answered: bool,
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
        let ticket = self.mail.ticket();
        let session = millis(request.session_timeout_ms);
        let new = request.member_id.is_empty();
        let refused = if request.group_id.is_empty() {
            Some(ErrorCode::INVALID_GROUP_ID)
        } else if !self.settings.sessions.contains(&session) {
            Some(ErrorCode::INVALID_SESSION_TIMEOUT)
        } else if !new && !self.groups.contains_key(&request.group_id) {
            Some(ErrorCode::UNKNOWN_MEMBER_ID)
        } else {
            None
        };
        if let Some(code) = refused {
            self.deliver(ticket, Answer::Join(join::refused(&request.member_id, code)));
            return ticket;
        }
        let caller = Caller { client_id, id_first: version >= 4, may_skip: version >= 9 };
        let settings = self.settings.clone();
        let group = self.groups.entry(request.group_id.clone()).or_default();
        group.handle(&settings, now);
        group.join(request, &caller, &settings, ticket, now);
        self.handle_group(&request.group_id, now);
        ticket
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
        self.groups.get(id).and_then(Group::poll_timeout)
    }

    fn ids(&self) -> impl Iterator<Item = &String> {
        self.groups.keys()
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
        let Some(group) = self.groups.get_mut(id) else { return };
        group.handle(&self.settings, now);
        let answers = std::mem::take(&mut group.out);
        answers.into_iter().for_each(|(ticket, answer)| self.deliver(ticket, answer));
    }

    fn deliver(&mut self, ticket: Ticket, answer: Answer) {
        self.answered = true;
        self.mail.deliver(ticket, answer);
    }
}
