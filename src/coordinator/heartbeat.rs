//! When a member last heard of its coordinator, and when to tell it that the member lives.

use std::time::{Duration, Instant};

use crate::net::connection::{RequestId, later};

/// The timers of a membership.
#[derive(Debug)]
pub(super) struct Heartbeat {
    interval: Duration,
    session: Duration,
    next_at: Instant,
    in_flight: Option<InFlight>,
    /// When the last request was sent that the coordinator has answered as to a member.
    contact: Instant,
}

/// A heartbeat that waits for its answer.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    id: RequestId,
    sent: Instant,
    /// The same, later by the time in which nobody looked for an answer.
    waits_since: Instant,
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
        self.in_flight = Some(InFlight { id, sent: now, waits_since: now });
        self.next_at = later(now, self.interval);
    }

    /// Whether an answer is one to the heartbeat that was sent last.
    pub(super) fn take(&mut self, id: RequestId) -> Option<Instant> {
        Some(self.in_flight.take_if(|sent| sent.id == id)?.sent)
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
        if let Some(InFlight { waits_since, .. }) = &mut self.in_flight {
            *waits_since = later(*waits_since, time);
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
    pub(super) fn poll_timeout(&self, now: Instant) -> Instant {
        // One that is due already waits for a coordinator, and the session does not.
        let next = Some(self.next_at).filter(|at| self.in_flight.is_none() && now < *at);
        next.map_or_else(|| self.expires_at(), |at| at.min(self.expires_at()))
    }

    /// Since when a heartbeat is unanswered.
    pub(super) fn unanswered(&self) -> Option<Instant> {
        self.in_flight.map(|in_flight| in_flight.waits_since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[allow(clippy::disallowed_methods, reason = "any time will do: nothing waits for it")]
    fn any_time() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_heartbeat_counts_from_when_it_was_sent_however_long_nobody_looked_for_its_answer() {
        let start = any_time();
        let mut heartbeat = Heartbeat::new(SECOND * 3, SECOND * 45, start);
        heartbeat.sent(7, start);
        heartbeat.was_away(SECOND * 40);
        assert_eq!(heartbeat.unanswered(), Some(start + SECOND * 40));
        let sent = heartbeat.take(7).unwrap();
        heartbeat.confirmed(sent);
        assert!(!heartbeat.is_expired(start + SECOND * 44));
        assert!(heartbeat.is_expired(start + SECOND * 45));
    }

    #[test]
    fn fault_87_the_end_of_the_session_is_looked_for_while_a_heartbeat_cannot_be_sent() {
        let start = any_time();
        let mut heartbeat = Heartbeat::new(SECOND * 3, SECOND * 45, start);
        heartbeat.restart(start);
        assert_eq!(heartbeat.poll_timeout(start), start + SECOND * 3);
        assert_eq!(heartbeat.poll_timeout(start + SECOND * 5), start + SECOND * 45);
    }
}
