//! What is left of a group when its coordinator changes: what Kafka keeps in `__consumer_offsets`.
//!
//! That is the last generation that was assigned, and the offsets. A rebalance that was under way never happened.

use std::time::Instant;

use crate::ErrorCode;

use super::{
    group::{Group, GroupState},
    join,
    mail::Answer,
    member::Member,
    sync,
};

/// The last generation that was assigned.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    generation: i32,
    protocol_type: Option<String>,
    protocol: Option<String>,
    leader: Option<String>,
    members: Vec<Member>,
}

impl Group {
    /// Writes down what it is now.
    pub(super) fn store(&mut self) {
        self.stored = Stored {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            members: self.members.clone(),
        };
    }

    /// Its coordinator is no longer that. Whoever waits is told.
    pub(super) fn unload(&mut self) {
        let waiting: Vec<_> =
            self.members.iter_mut().map(|m| (m.id.clone(), m.join.take(), m.sync.take())).collect();
        for (id, join, sync) in waiting {
            let code = ErrorCode::NOT_COORDINATOR;
            self.answer(join, Answer::Join(join::refused(&id, code)));
            self.answer(sync, Answer::Sync(sync::refused(code)));
        }
        self.restore();
        self.unloaded = true;
    }

    fn restore(&mut self) {
        let Stored { generation, protocol_type, protocol, leader, members } = self.stored.clone();
        self.generation = generation;
        self.protocol_type = protocol_type;
        self.protocol = protocol;
        self.leader = leader;
        self.members = members;
        self.pending.clear();
        (self.joining, self.sync_by) = (None, None);
        for member in &mut self.members {
            // Only the protocol that was chosen is written down.
            member.protocols.retain(|(name, _)| Some(name) == self.protocol.as_ref());
            (member.join, member.sync) = (None, None);
            (member.is_new, member.owes_sync) = (false, false);
        }
        let empty = self.members.is_empty();
        self.state = if empty { GroupState::Empty } else { GroupState::Stable };
    }

    /// A coordinator has read what was written down. Sessions begin anew.
    pub(super) fn load(&mut self, now: Instant) {
        if std::mem::take(&mut self.unloaded) {
            self.members.iter_mut().for_each(|member| member.renew(now));
        }
    }
}
