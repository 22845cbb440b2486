//! Which broker coordinates the group, and whether it can be reached.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Error, ErrorCode, Result,
    client::{KafkaClient, NodeKey, Role, cluster::Cluster, inquiry::Inquiry},
    net::{
        connection::{RequestId, later},
        servers::HostPort,
    },
    protocol::{
        self,
        find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse},
    },
};

/// How long a coordinator may leave a request unanswered before others are asked whether it is still the one; then twice as
/// long after each answer, up to eight times.
const SILENCE: Duration = Duration::from_secs(2);

/// The machine. Any node can be asked; one that is silent is no reason to wait.
#[derive(Debug)]
pub(super) struct Lookup {
    group: Arc<str>,
    wanted: bool,
    known: Option<i32>,
    inquiry: Inquiry,
    /// How often in a row others were asked about a coordinator that is silent.
    doubts: u32,
    doubt: bool,
    /// When somebody said last that it is the one.
    named: Option<Instant>,
    /// The last one was of no use: the next one may be no better.
    distrusted: bool,
    error: Option<Error>,
    /// The same for those who wait for the coordinator.
    refusal: Option<Error>,
    obstacle: Option<Box<str>>,
    random: fastrand::Rng,
}

impl Lookup {
    pub(super) fn new(group: Arc<str>, retry_backoff: Duration, seed: u64, now: Instant) -> Self {
        Self {
            group,
            wanted: false,
            known: None,
            inquiry: Inquiry::new(retry_backoff, now),
            doubts: 0,
            doubt: false,
            named: None,
            distrusted: false,
            error: None,
            refusal: None,
            obstacle: None,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    // Commands

    /// Somebody needs the coordinator from now on.
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// The coordinator is no longer one, or cannot be reached.
    pub(super) fn lose(&mut self, why: &str, client: &mut KafkaClient, now: Instant) {
        let Some(id) = self.known.take() else { return };
        log::info!(target: "kafka_blocking::group", "group {}: node {id} is lost as coordinator: {why}", self.group);
        self.obstacle = Some(
            format!("node {id} was lost as coordinator of group {}: {why}", self.group).into(),
        );
        client.set_coordinator(None, now);
        self.doubt = false;
        if std::mem::replace(&mut self.distrusted, true) {
            self.inquiry.back_off(&mut self.random, now);
        }
    }

    /// The coordinator may not be one any more, or cannot be reached: others are asked.
    pub(super) fn suspect(&mut self) {
        self.doubt |= self.known.is_some();
    }

    /// The coordinator has answered as one does.
    pub(super) fn confirm(&mut self) {
        self.distrusted = false;
        self.doubts = 0;
        self.inquiry.succeeded();
        self.obstacle = None;
    }

    // What came in

    /// A request was answered, or failed; says whether it was ours.
    pub(super) fn handle_response(
        &mut self,
        id: RequestId,
        result: &Result<(i16, Vec<u8>)>,
        client: &mut KafkaClient,
        now: Instant,
    ) -> bool {
        if self.inquiry.take(id).is_none() {
            return false;
        }
        let found = result.as_ref().map_err(Clone::clone).and_then(|(version, body)| {
            let response = protocol::decode_response::<FindCoordinatorRequest>(body, *version);
            let response = response.map_err(|e| Error::Protocol {
                what: "FindCoordinator response",
                reason: e.to_string().into(),
            })?;
            self.read(response)
        });
        match found {
            Ok((node, host)) => self.found(node, host, client, now),
            Err(error) => self.not_found(error, now),
        }
        true
    }

    // What must go out

    /// Asks, if it has to be asked. `unanswered`: since when the coordinator has left a request unanswered.
    pub(super) fn poll(
        &mut self,
        cluster: &Cluster,
        unanswered: Option<Instant>,
        client: &mut KafkaClient,
        now: Instant,
    ) {
        self.notice_silence(unanswered, now);
        let due = self.wanted && (self.known.is_none() || self.doubt);
        if !due {
            // Who was asked and is silent still is not waited for.
            return;
        }
        let silent = self.known.filter(|_| self.doubt).map(|id| (id, now)).into_iter().collect();
        let Some(node) = self.inquiry.next_node(true, cluster, &silent, client, now) else {
            return;
        };
        let Some(version) = client.version::<FindCoordinatorRequest>(node, None) else {
            return self.not_found(client.unsupported::<FindCoordinatorRequest>(node), now);
        };
        let request = FindCoordinatorRequest {
            key: self.group.to_string(),
            coordinator_keys: vec![self.group.to_string()],
            ..FindCoordinatorRequest::default()
        };
        match client.send(node, version, &request.of(version), now) {
            Ok(id) => self.inquiry.sent(id, node, now),
            Err(error) => self.not_found(error, now),
        }
    }

    /// When to call [`poll`](Self::poll) although nothing came in.
    pub(super) fn poll_timeout(
        &self,
        unanswered: Option<Instant>,
        client: &KafkaClient,
        now: Instant,
    ) -> Option<Instant> {
        if !self.wanted {
            return None;
        }
        if self.known.is_some() && !self.doubt {
            return self.doubtful_at(unanswered);
        }
        self.inquiry.poll_timeout(now, &BTreeMap::new(), client, now)
    }

    /// An error that asking again does not help.
    pub(super) fn poll_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    /// The same, for those who wait for the coordinator, and do so in vain.
    pub(super) fn take_refusal(&mut self) -> Option<Error> {
        self.refusal.take()
    }

    // What is known

    /// The connection for what the coordinator may hold back.
    pub(super) fn coordinator(&self) -> Option<NodeKey> {
        Some(NodeKey { id: self.known?, role: Role::Coordinator })
    }

    /// The connection for what the coordinator answers at once.
    pub(super) fn quick(&self, client: &KafkaClient) -> Option<NodeKey> {
        let control = NodeKey { id: self.known?, role: Role::Control };
        if client.knows(control) { Some(control) } else { self.coordinator() }
    }

    /// Why there is no coordinator, as far as it is known.
    pub(super) fn obstacle(&self) -> Option<&str> {
        self.obstacle.as_deref()
    }

    // Helpers

    fn notice_silence(&mut self, unanswered: Option<Instant>, now: Instant) {
        let is_silent = self.doubtful_at(unanswered).is_some_and(|at| now >= at);
        if self.known.is_some() && !self.doubt && is_silent {
            self.doubts += 1;
            self.doubt = true;
        }
    }

    /// A JoinGroup is held back for minutes where others are slow: nobody is to be asked again and again meanwhile.
    fn doubtful_at(&self, unanswered: Option<Instant>) -> Option<Instant> {
        let unanswered = unanswered?;
        let since = self.named.map_or(unanswered, |named| named.max(unanswered));
        Some(later(since, SILENCE * (1 << self.doubts.min(3))))
    }

    fn read(&self, response: FindCoordinatorResponse) -> Result<(i32, HostPort)> {
        let mut response = response;
        let ours = response.coordinators.iter().position(|c| *c.key == *self.group);
        let (code, message, id, host, port) =
            match ours.map(|at| response.coordinators.swap_remove(at)) {
                Some(c) => (c.error_code, c.error_message, c.node_id, c.host, c.port),
                None => (
                    response.error_code,
                    response.error_message,
                    response.node_id,
                    response.host,
                    response.port,
                ),
            };
        if code != 0 {
            let message = message.map_or_else(String::new, |m| format!(": {m}"));
            return Err(group_error("FindCoordinator", ErrorCode(code), &self.group, &message));
        }
        HostPort::from_broker(&host, port).filter(|_| id >= 0).map(|host| (id, host)).ok_or_else(
            || Error::Protocol {
                what: "FindCoordinator response",
                reason: "it names no broker".into(),
            },
        )
    }

    fn found(&mut self, id: i32, host: HostPort, client: &mut KafkaClient, now: Instant) {
        self.obstacle = None;
        self.refusal = None;
        if std::mem::take(&mut self.doubt) && self.known == Some(id) {
            // Who doubts again hears the same.
            self.inquiry.back_off(&mut self.random, now);
        }
        self.inquiry.take_silent().for_each(drop);
        if self.known != Some(id) {
            log::info!(target: "kafka_blocking::group", "group {}: node {id} at {host} is the coordinator", self.group);
            self.doubts = 0;
        }
        self.known = Some(id);
        self.named = Some(now);
        client.set_coordinator(Some((id, host)), now);
    }

    fn not_found(&mut self, error: Error, now: Instant) {
        log::debug!(target: "kafka_blocking::group", "group {}: {error}", self.group);
        self.obstacle = Some(error.to_string().into());
        self.doubt = false;
        self.inquiry.back_off(&mut self.random, now);
        if !error.retriable() {
            // Who is known already can still be asked.
            self.refusal = self.known.is_none().then(|| error.clone());
            self.error = Some(error);
        }
    }
}

impl FindCoordinatorRequest {
    /// Without the fields that a version does not have.
    fn of(self, version: i16) -> Self {
        const SEVERAL: i16 = 4;
        if version >= SEVERAL {
            Self { key: String::new(), ..self }
        } else {
            Self { coordinator_keys: Vec::new(), ..self }
        }
    }
}

/// The error of a code that is about the whole group.
pub(super) fn group_error(api: &'static str, code: ErrorCode, group: &str, more: &str) -> Error {
    if code == ErrorCode::GROUP_AUTHORIZATION_FAILED {
        return Error::GroupAuthorizationFailed { group: group.into() };
    }
    Error::broker(api, code, format!("group {group}{more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods, reason = "any time will do: nothing waits for it")]
    fn any_time() -> Instant {
        Instant::now()
    }

    #[test]
    fn who_is_silent_about_a_coordinator_that_nobody_doubts_any_more_is_not_replaced() {
        let start = any_time();
        let options = crate::ConsumerBuilder::new().bootstrap_servers("10.0.0.1:9092");
        let options = options.resolve().unwrap();
        let (connection, id) = (options.connection.clone(), options.client_id.clone());
        let pool = crate::records::ChunkPool::new(0);
        let mut client = KafkaClient::new(connection, id, &options.servers, pool, 1, start);
        let mut lookup = Lookup::new("g".into(), Duration::from_millis(100), 1, start);
        (lookup.known, lookup.wanted) = (Some(1), true);
        lookup.inquiry.sent(7, NodeKey { id: 3, role: Role::Control }, start);
        let later = start + Duration::from_secs(2);
        lookup.poll(&Cluster::default(), None, &mut client, later);
        assert!(client.poll_command().is_none());
        // It is while the coordinator is in doubt.
        lookup.suspect();
        lookup.poll(&Cluster::default(), None, &mut client, later);
        assert!(client.poll_command().is_some());
    }

    #[test]
    fn a_join_that_is_held_back_for_minutes_has_others_asked_a_few_times() {
        let start = any_time();
        let mut lookup = Lookup::new("g".into(), Duration::from_millis(100), 1, start);
        (lookup.known, lookup.named) = (Some(1), Some(start));
        let mut asked = Vec::new();
        for second in 0..300 {
            let now = start + Duration::from_secs(second);
            lookup.notice_silence(Some(start), now);
            if std::mem::take(&mut lookup.doubt) {
                asked.push(second);
                lookup.named = Some(now);
            }
        }
        assert_eq!(asked[..5], [2, 6, 14, 30, 46]);
        assert_eq!(asked.len(), 20);
    }
}
