//! Leaving a group, so that it need not wait for the session to end.

use std::time::{Duration, Instant};

use super::{
    lookup::Lookup,
    membership::{Membership, Phase},
};
use crate::{
    ErrorCode, Result,
    client::{KafkaClient, NodeKey},
    net::connection::{RequestId, later},
    protocol::{
        self,
        join_group::JoinGroupRequest,
        leave_group::{LeaveGroupRequest, MemberIdentity},
    },
    subscriptions::Context,
};

/// How often it is tried: a coordinator that has moved is told once more.
const TRIES: u32 = 2;

/// A member on its way out. The names are its own: meanwhile the consumer may have joined again.
#[derive(Debug)]
pub(super) struct Leaving {
    group: String,
    /// Empty until it is known.
    member_id: String,
    /// The JoinGroup whose answer gives the member its name.
    naming: Option<RequestId>,
    reason: &'static str,
    tries: u32,
    request: Option<RequestId>,
    retry_at: Instant,
    done: bool,
}

impl Leaving {
    /// Takes a member out of its group: what is left to do about that, if anything is. A static member stays, so that it
    /// finds its partitions when it is back within its session (KIP-345). `named_at_once`: whether the coordinator tells a new
    /// member its name before it lets it join (KIP-394): the group then waits for whoever has asked for one.
    pub(super) fn begin(
        membership: &mut Membership,
        reason: &'static str,
        named_at_once: bool,
        now: Instant,
    ) -> Option<Self> {
        let member_id = std::mem::take(&mut membership.member_id);
        let is_static = membership.options.instance_id.is_some();
        let naming = match membership.phase {
            Phase::Joining { request, .. } if member_id.is_empty() && named_at_once => {
                Some(request)
            }
            _ => None,
        };
        membership.phase = Phase::Out;
        let known = !member_id.is_empty() || naming.is_some();
        let leaving = (known && !is_static).then(|| Self {
            group: membership.options.group_id.to_string(),
            member_id,
            naming,
            reason,
            tries: 0,
            request: None,
            retry_at: now,
            done: false,
        });
        if leaving.is_some() {
            log::info!(target: "kafka_blocking::group", "group {}: leaving, because {reason}", membership.options.group_id);
        }
        leaving
    }

    /// Sends what is to be sent.
    pub(super) fn poll(&mut self, lookup: &mut Lookup, cx: &mut Context<'_>) {
        if self.done || self.is_waiting() || cx.now < self.retry_at {
            return;
        }
        if self.tries == TRIES {
            self.done = true;
            return;
        }
        let Some(node) = reachable(lookup, cx.client, cx.now) else { return };
        let Some(version) = cx.client.version::<LeaveGroupRequest>(node, None) else { return };
        self.tries += 1;
        match cx.client.send(node, version, &self.request(version), cx.now) {
            Ok(id) => self.request = Some(id),
            Err(_) => self.done = true,
        }
    }

    /// The answer, if it is one to this.
    pub(super) fn handle_response(
        &mut self,
        id: RequestId,
        result: &Result<(i16, Vec<u8>)>,
        lookup: &mut Lookup,
        cx: &mut Context<'_>,
    ) -> bool {
        if self.naming.take_if(|request| *request == id).is_some() {
            self.named(result);
            return true;
        }
        if self.request.take_if(|request| *request == id).is_none() {
            return false;
        }
        self.done = true;
        let Ok((version, body)) = result else {
            self.done = self.tries >= TRIES;
            return true;
        };
        let response = protocol::decode_response::<LeaveGroupRequest>(body, *version);
        let code = response.map_or(ErrorCode::UNKNOWN_SERVER_ERROR, |r| ErrorCode(r.error_code));
        match code {
            ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE => {
                lookup.lose(code.name(), cx.client, cx.now);
                self.done = self.tries >= TRIES;
            }
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => {
                const SOON: Duration = Duration::from_millis(100);
                self.retry_at = later(cx.now, SOON);
                self.done = self.tries >= TRIES;
            }
            ErrorCode::NONE => {}
            code => {
                log::debug!(target: "kafka_blocking::group", "group {}: LeaveGroup: {code}", self.group);
            }
        }
        true
    }

    /// Who has no name by now is not known to the group.
    fn named(&mut self, result: &Result<(i16, Vec<u8>)>) {
        if let Ok((version, body)) = result
            && let Ok(response) = protocol::decode_response::<JoinGroupRequest>(body, *version)
        {
            self.member_id = response.member_id;
        }
        self.done = self.member_id.is_empty();
    }

    fn is_waiting(&self) -> bool {
        self.naming.is_some() || self.request.is_some()
    }

    /// When to try again.
    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        // What is due already waits for a coordinator.
        (!self.done && !self.is_waiting() && now < self.retry_at).then_some(self.retry_at)
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    fn request(&self, version: i16) -> LeaveGroupRequest {
        const SEVERAL: i16 = 3;
        let several = version >= SEVERAL;
        let member = MemberIdentity {
            member_id: self.member_id.clone(),
            // A static member does not leave.
            group_instance_id: None,
            reason: Some(self.reason.to_owned()),
        };
        LeaveGroupRequest {
            group_id: self.group.clone(),
            member_id: if several { String::new() } else { self.member_id.clone() },
            members: if several { vec![member] } else { Vec::new() },
        }
    }
}

/// The coordinator's connection for what is answered at once, if something can be sent on it; sees to it that there is one.
pub(super) fn reachable(
    lookup: &mut Lookup,
    client: &mut KafkaClient,
    now: Instant,
) -> Option<NodeKey> {
    let node = lookup.quick(client)?;
    if client.can_send(node, now) {
        return Some(node);
    }
    client.ensure(node, now);
    if client.is_failing(node) {
        lookup.suspect();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods, reason = "any time will do: nothing waits for it")]
    fn any_time() -> Instant {
        Instant::now()
    }

    #[test]
    fn who_cannot_leave_yet_keeps_nobody_awake() {
        let now = any_time();
        let leaving = Leaving {
            group: "g".to_owned(),
            member_id: "m".to_owned(),
            naming: None,
            reason: "it is done",
            tries: 1,
            request: None,
            retry_at: now,
            done: false,
        };
        assert_eq!(leaving.poll_timeout(now), None);
        let before = now.checked_sub(Duration::from_secs(1)).unwrap();
        assert_eq!(leaving.poll_timeout(before), Some(now));
    }
}
