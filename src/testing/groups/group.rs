//! What a group is: its state, its members, its offsets; and the rules that all requests share.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use crate::ErrorCode;

use super::{
    mail::{Answer, Ticket},
    member::Member,
    offsets::CommittedOffset,
    stored::Stored,
};

/// In which state a group is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupState {
    /// It has no members, but perhaps offsets.
    #[default]
    Empty,
    /// It waits for its members to join.
    PreparingRebalance,
    /// Its members have joined, and it waits for the leader's assignment.
    CompletingRebalance,
    /// Its members have their assignments.
    Stable,
    /// There is no such group.
    Dead,
}

/// One group, as its coordinator has it. It is given the time.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(super) state: GroupState,
    pub(super) generation: i32,
    pub(super) protocol_type: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) leader: Option<String>,
    /// In the order in which they came.
    pub(super) members: Vec<Member>,
    /// Those that were given an id and have not come back with it, and until when they may.
    pub(super) pending: BTreeMap<String, Instant>,
    pub(super) joining: Option<Joining>,
    /// Until when the members must have asked for their assignments.
    pub(super) sync_by: Option<Instant>,
    pub(super) offsets: BTreeMap<(String, i32), CommittedOffset>,
    /// Where offsets of transactions are not decided yet.
    pub(super) unstable: BTreeSet<(String, i32)>,
    pub(super) ids: u64,
    /// What another coordinator would know of it.
    pub(super) stored: Stored,
    /// Whether its coordinator has yet to load it.
    pub(super) unloaded: bool,
    /// Answers that have come about.
    pub(super) out: Vec<(Ticket, Answer)>,
}

/// How long the group waits for its members to join.
#[derive(Debug)]
pub(super) struct Joining {
    pub(super) until: Instant,
    /// Of the first rebalance of an empty group: by how much the wait may grow when more members come.
    pub(super) initial: Option<Duration>,
    /// Whether a member has come since the wait began.
    pub(super) newcomers: bool,
}

impl Group {
    pub(super) fn member(&self, id: &str) -> Option<&Member> {
        self.members.iter().find(|m| m.id == id)
    }

    pub(super) fn member_mut(&mut self, id: &str) -> Option<&mut Member> {
        self.members.iter_mut().find(|m| m.id == id)
    }

    /// The member with an instance id.
    pub(super) fn static_member(&self, instance_id: &str) -> Option<&Member> {
        self.members.iter().find(|m| m.instance_id.as_deref() == Some(instance_id))
    }

    pub(super) fn is_leader(&self, id: &str) -> bool {
        self.leader.as_deref() == Some(id)
    }

    /// Whether a request is from a member, and from the one that has the instance id now.
    pub(super) fn check_member(
        &self,
        id: &str,
        instance_id: Option<&str>,
    ) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            let owner = self.static_member(instance_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
            if owner.id != id {
                return Err(ErrorCode::FENCED_INSTANCE_ID);
            }
        }
        self.member(id).map(drop).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)
    }

    pub(super) fn check_generation(&self, generation: i32) -> Result<(), ErrorCode> {
        if generation == self.generation { Ok(()) } else { Err(ErrorCode::ILLEGAL_GENERATION) }
    }

    /// An id that no member has had.
    pub(super) fn new_id(&mut self, prefix: &str) -> String {
        self.ids += 1;
        format!("{prefix}-{:08}-0000-4000-8000-{:012}", self.ids, self.ids)
    }

    /// A member goes, without a word to it. Another one leads, if it has led.
    pub(super) fn remove(&mut self, id: &str) {
        self.members.retain(|m| m.id != id);
        self.pending.remove(id);
        if self.is_leader(id) {
            self.leader = self.members.first().map(|m| m.id.clone());
        }
    }

    pub(super) fn answer(&mut self, ticket: Option<Ticket>, answer: Answer) {
        self.out.extend(ticket.map(|ticket| (ticket, answer)));
    }

    /// The protocols that all members have.
    fn candidates(&self) -> Vec<&str> {
        let Some((first, others)) = self.members.split_first() else { return Vec::new() };
        let names = first.protocols.iter().map(|(name, _)| name.as_str());
        let has = |m: &Member, name: &str| m.protocols.iter().any(|(own, _)| own == name);
        names.filter(|name| others.iter().all(|m| has(m, name))).collect()
    }

    /// Whether a member with these protocols fits in.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[&str]) -> bool {
        if self.state == GroupState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let common = self.candidates();
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|name| self.members.is_empty() || common.contains(name))
    }

    /// The protocol for which most members vote, each for the first of its own that all have. Among equals, the one that
    /// the first member likes best.
    pub(super) fn elect_protocol(&self) -> Option<String> {
        let candidates = self.candidates();
        let vote = |m: &&Member| {
            let own = m.protocols.iter().map(|(name, _)| name.as_str());
            own.into_iter().find(|name| candidates.contains(name)).map(str::to_owned)
        };
        let votes: Vec<String> = self.members.iter().filter_map(|m| vote(&m)).collect();
        let count = |name: &str| votes.iter().filter(|v| *v == name).count();
        // max_by_key takes the last of equals.
        candidates.iter().rev().max_by_key(|name| count(name)).map(|name| (*name).to_owned())
    }
}
