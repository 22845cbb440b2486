//! Which requests wait for an answer of their group, and the answers that have come about.

use std::collections::BTreeMap;

use crate::protocol::{join_group::JoinGroupResponse, sync_group::SyncGroupResponse};

/// Names a request that is answered later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// What a request that waited gets.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Join(JoinGroupResponse),
    Sync(SyncGroupResponse),
}

/// The requests that wait.
#[derive(Debug, Default)]
pub(super) struct Mail {
    given: u64,
    waiting: BTreeMap<Ticket, Option<Answer>>,
}

impl Mail {
    /// A request has come.
    pub(super) fn ticket(&mut self) -> Ticket {
        self.given += 1;
        let ticket = Ticket(self.given);
        self.waiting.insert(ticket, None);
        ticket
    }

    /// An answer has come about; it is dropped where nobody waits for it any more.
    pub(super) fn deliver(&mut self, ticket: Ticket, answer: Answer) {
        if let Some(slot) = self.waiting.get_mut(&ticket) {
            *slot = Some(answer);
        }
    }

    /// Takes the answer, if it has come about.
    pub(super) fn take(&mut self, ticket: Ticket) -> Option<Answer> {
        let answer = self.waiting.get_mut(&ticket)?.take()?;
        self.waiting.remove(&ticket);
        Some(answer)
    }

    /// Nobody waits for it any more.
    pub(super) fn forget(&mut self, ticket: Ticket) {
        self.waiting.remove(&ticket);
    }
}
