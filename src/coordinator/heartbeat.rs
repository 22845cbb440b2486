//! When a member last heard of its coordinator, and when to tell it that the member lives.

use std::time::{Duration, Instant};

use crate::net::connection::{RequestId, later};

/// The timers of a membership.
#[derive(Debug)]
pub(super) struct Heartbeat {
    interval: Duration,
    session: Duration,
    next_at: Instant,
    in_flight: Option<(RequestId, Instant)>,
    /// When the last request was sent that the coordinator has answered as to a member.
    contact: Instant,
}

impl Heartbeat {
    pub(super) fn new(interval: Duration, session: Duration, now: Instant) -> Self {
        Self { interval, session, next_at: now, in_flight: None, contact: now }
    }

    /// A membership begins, or a request other than a heartbeat was answered: it counts as one.
    pub(super) fn restart(&mut self, now: Instant) {
        self.contact = now;
        self.next_at = later(now, self.interval);
    }

    /// A heartbeat was sent.
    pub(super) fn sent(&mut self, id: RequestId, now: Instant) {
        self.in_flight = Some((id, now));
        self.next_at = later(now, self.interval);
    }

    /// Whether an answer is one to the heartbeat that was sent last.
    pub(super) fn take(&mut self, id: RequestId) -> Option<Instant> {
        let (_, sent) = self.in_flight.take_if(|(sent, _)| *sent == id)?;
        Some(sent)
    }

    /// The heartbeat sent then was answered as to a member.
    pub(super) fn confirmed(&mut self, sent: Instant) {
        self.contact = self.contact.max(sent);
    }

    /// The last one was of no use: the next one leaves then.
    pub(super) fn retry_at(&mut self, at: Instant) {
        self.next_at = at;
    }

    /// Nobody waits for the answer any more.
    pub(super) fn forget(&mut self) {
        self.in_flight = None;
    }

    /// Nobody looked at the sockets for this long: the answer may be there. The session knows nothing of that.
    pub(super) fn was_away(&mut self, time: Duration) {
        if let Some((_, sent)) = &mut self.in_flight {
            *sent = later(*sent, time);
        }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.in_flight.is_none() && now >= self.next_at
    }

    /// Whether the coordinator must have given the member up by now.
    pub(super) fn is_expired(&self, now: Instant) -> bool {
        now >= self.expires_at()
    }

    pub(super) fn expires_at(&self) -> Instant {
        later(self.contact, self.session)
    }

    /// When to look again.
    pub(super) fn poll_timeout(&self) -> Instant {
        if self.in_flight.is_some() {
            self.expires_at()
        } else {
            self.next_at.min(self.expires_at())
        }
    }

    /// Since when a heartbeat is unanswered.
    pub(super) fn unanswered(&self) -> Option<Instant> {
        self.in_flight.map(|(_, sent)| sent)
    }
}
