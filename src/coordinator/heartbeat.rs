//! When a member last heard of its coordinator, and when to tell it that the member lives.

use std::time::{Duration, Instant};

use super::{
    leaving::reachable,
    lookup::{Lookup, group_error},
    membership::{Membership, Phase},
};
use crate::{
    ErrorCode, Result,
    client::{NodeKey, Role},
    net::connection::{RequestId, later},
    protocol::{self, heartbeat::HeartbeatRequest},
    subscriptions::Context,
};

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
}

impl Heartbeat {
    pub(super) fn new(interval: Duration, session: Duration, now: Instant) -> Self {
        Self { interval, session, next_at: now, in_flight: None, contact: now }
    }

    /// A request other than a heartbeat was answered, which had been held back until then at least. What a heartbeat before
    /// that is answered is about the past.
    pub(super) fn restart(&mut self, then: Instant) {
        self.in_flight = None;
        self.contact = then;
        self.next_at = later(then, self.interval);
    }

    /// A heartbeat was sent.
    pub(super) fn sent(&mut self, id: RequestId, now: Instant) {
        self.in_flight = Some(InFlight { id, sent: now });
        self.next_at = later(now, self.interval);
    }

    /// Whether an answer is one to the heartbeat that was sent last, and when that was.
    fn take(&mut self, id: RequestId) -> Option<Instant> {
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
        self.in_flight.map(|in_flight| in_flight.sent)
    }
}

impl Membership {
    /// Sends a heartbeat if it is time for one; notices when none has arrived for too long.
    pub(super) fn beat(&mut self, lookup: &mut Lookup, cx: &mut Context<'_>) {
        self.holds = cx.subscriptions.assignment().next().is_some();
        if !self.beats() {
            return;
        }
        if self.heartbeat.is_expired(cx.now) {
            self.give_up_waiting(lookup, cx);
            let why = "no heartbeat was answered for session_timeout_ms";
            return self.lose_generation(why);
        }
        if !self.heartbeat.is_due(cx.now) {
            return;
        }
        let Some(generation) = &self.generation else { return };
        let request = HeartbeatRequest {
            group_id: self.options.group_id.to_string(),
            generation_id: generation.id,
            member_id: self.member_id.clone(),
            group_instance_id: self.instance_id(),
        };
        let Some(node) = self.path(lookup, cx) else { return };
        let Some(version) = cx.client.version::<HeartbeatRequest>(node, None) else { return };
        match cx.client.send(node, version, &request, cx.now) {
            Ok(id) => self.heartbeat.sent(id, cx.now),
            Err(error) => {
                self.heartbeat.retry_at(later(cx.now, self.options.heartbeat_interval));
                self.report(error);
            }
        }
    }

    /// The answer to a heartbeat, if it is one.
    pub(super) fn handle_heartbeat(
        &mut self,
        id: RequestId,
        result: &Result<(i16, Vec<u8>)>,
        lookup: &mut Lookup,
        cx: &mut Context<'_>,
    ) -> bool {
        let Some(sent) = self.heartbeat.take(id) else { return false };
        let Ok((version, body)) = result else {
            self.heartbeat.retry_at(cx.now);
            return true;
        };
        match protocol::decode_response::<HeartbeatRequest>(body, *version) {
            Ok(response) => {
                self.judge_heartbeat(ErrorCode(response.error_code), sent, lookup, cx);
            }
            Err(error) => {
                lookup.lose(&format!("malformed Heartbeat response: {error}"), cx.client, cx.now)
            }
        }
        true
    }

    fn judge_heartbeat(
        &mut self,
        code: ErrorCode,
        sent: Instant,
        lookup: &mut Lookup,
        cx: &mut Context<'_>,
    ) {
        match code {
            ErrorCode::NONE | ErrorCode::REBALANCE_IN_PROGRESS => {
                self.heartbeat.confirmed(sent);
                // What it holds back is unanswered all the same.
                if !self.is_waiting() {
                    lookup.confirm();
                }
                // On the way to an assignment it is no news: old brokers say so until the leader has made it.
                if code != ErrorCode::NONE && matches!(self.phase, Phase::Stable) {
                    self.request_rejoin("others join or leave");
                }
            }
            ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE => {
                self.heartbeat.retry_at(cx.now);
                lookup.lose(code.name(), cx.client, cx.now);
            }
            // It has joined the next one, and the answer that says so is on its way, or lost: then the session ends.
            ErrorCode::ILLEGAL_GENERATION if matches!(self.phase, Phase::Joining { .. }) => {}
            ErrorCode::ILLEGAL_GENERATION
            | ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::FENCED_INSTANCE_ID => {
                self.give_up_waiting(lookup, cx);
                self.expel(code);
            }
            code => {
                self.heartbeat.retry_at(later(cx.now, self.backoff.next_delay(&mut self.random)));
                if !code.retriable() {
                    self.report(group_error("Heartbeat", code, &self.options.group_id, ""));
                }
            }
        }
    }

    /// The coordinator says that this is no member of the generation.
    pub(super) fn expel(&mut self, code: ErrorCode) {
        match code {
            ErrorCode::FENCED_INSTANCE_ID => self.fence(),
            ErrorCode::UNKNOWN_MEMBER_ID => self.lose_name("the coordinator does not know it"),
            _ => self.lose_generation("the group has gone on without it"),
        }
    }

    /// An answer that is held back is of no use any more, if it is not lost: what is asked next does not wait behind it.
    fn give_up_waiting(&self, lookup: &Lookup, cx: &mut Context<'_>) {
        if let Some(node) = lookup.coordinator().filter(|_| self.is_waiting()) {
            cx.client.close_node(node, cx.now, "the membership is over");
        }
    }

    /// Whether heartbeats are sent now. While the coordinator holds back an answer, it knows that this member is there; but that
    /// answer may be lost on its way, which is to be noticed by who has something that another one would read then.
    pub(super) fn beats(&self) -> bool {
        self.generation.is_some() && (self.holds || !self.is_waiting())
    }

    /// The connection for a heartbeat, if something can be sent on it. A broker reads no further on one where it holds back an
    /// answer.
    fn path(&self, lookup: &mut Lookup, cx: &mut Context<'_>) -> Option<NodeKey> {
        if self.is_waiting() {
            return reachable(lookup, cx.client, cx.now).filter(|node| node.role == Role::Control);
        }
        lookup.coordinator().filter(|node| cx.client.can_send(*node, cx.now))
    }

    /// Whether a heartbeat is due that could not be sent yet.
    pub(super) fn owes_heartbeat(&self, now: Instant) -> bool {
        self.beats() && self.heartbeat.is_due(now)
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
    fn a_heartbeat_counts_from_when_it_was_sent_however_late_its_answer_is() {
        let start = any_time();
        let mut heartbeat = Heartbeat::new(SECOND * 3, SECOND * 45, start);
        heartbeat.sent(7, start);
        assert_eq!(heartbeat.unanswered(), Some(start));
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
