//! The machines of a consumer, side by side, and who is told what.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use crate::{
    Error, IsolationLevel, Result, TopicPartition,
    client::{ClientEvent, KafkaClient, Role, metadata::Metadata},
    consumer::options::Resolved,
    coordinator::{Attendance, Coordinator},
    fetcher::{
        Context, Fetcher,
        offsets::OffsetResets,
        query::{FoundOffsets, OffsetQuery},
        validation::Validation,
    },
    records::ChunkPool,
    subscriptions::Subscriptions,
};

mod group;

/// How much unused memory for records is kept for the next ones.
const POOLED: usize = 4 << 20;

/// All that runs without a socket and without a clock.
#[derive(Debug)]
pub struct Machines {
    /// Connections to brokers.
    pub client: KafkaClient,
    /// What the cluster looks like.
    pub metadata: Metadata,
    /// What is to be read, and how far it has been.
    pub subscriptions: Subscriptions,
    /// Reading ahead.
    pub fetcher: Fetcher,
    /// Finding first positions.
    pub resets: OffsetResets,
    /// Finding out whether positions are still in the logs of new leaders.
    pub validation: Validation,
    /// The group, if there is one.
    pub group: Option<Coordinator>,
    /// What the caller is at.
    pub attendance: Attendance,
    /// What came in while the caller was away, and is not the group's.
    deferred: VecDeque<ClientEvent>,
    /// What a call of the user wants to know of offsets, while it waits.
    query: Option<OffsetQuery>,
    read_committed: bool,
    retry_backoff: Duration,
    errors: VecDeque<Error>,
    cluster_seen: u64,
    /// When the machines were handled last.
    now: Instant,
}

impl Machines {
    /// The machines of a consumer that has just been made. `seed` decides jitter and rotation.
    #[must_use]
    pub fn new(options: &Resolved, seed: u64, now: Instant) -> Self {
        let retry_backoff = options.retry_backoff;
        let read_committed = options.fetch.isolation == IsolationLevel::ReadCommitted;
        let pool = ChunkPool::new(POOLED);
        let connection = options.connection.clone();
        let group = options
            .group
            .clone()
            .map(|group| Coordinator::new(group, retry_backoff, options.api_timeout, seed, now));
        Self {
            client: KafkaClient::new(
                connection,
                options.client_id.clone(),
                &options.servers,
                pool,
                seed,
                now,
            ),
            metadata: Metadata::new(options.metadata, retry_backoff, seed, now),
            subscriptions: Subscriptions::new(options.reset).in_group(group.is_some()),
            fetcher: Fetcher::new(options.fetch.clone(), retry_backoff, options.metadata.max_age),
            resets: OffsetResets::new(read_committed, retry_backoff),
            validation: Validation::new(retry_backoff),
            group,
            attendance: Attendance::Present,
            deferred: VecDeque::new(),
            query: None,
            read_committed,
            retry_backoff,
            errors: VecDeque::new(),
            cluster_seen: 0,
            now,
        }
    }

    /// The time is `now`: tells every machine what has happened, and lets it say what to send.
    pub fn handle(&mut self, now: Instant) {
        self.now = now;
        self.client.handle_timeout(now);
        self.take_in(now);
        let changes = self.metadata.cluster().changes();
        let changed = changes != self.cluster_seen;
        if changed {
            self.cluster_seen = changes;
            for topic in self.metadata.cluster_mut().take_recreated() {
                self.subscriptions.restart(&topic);
            }
            self.subscriptions.update_from(self.metadata.cluster());
        }
        self.check_epochs(changed);
        let mut cx = Context {
            subscriptions: &mut self.subscriptions,
            metadata: &mut self.metadata,
            client: &mut self.client,
            now,
        };
        if let Some(group) = &mut self.group {
            group.poll(self.attendance, &mut cx);
        }
        self.resets.poll(&mut cx);
        self.validation.poll(&mut cx);
        if let Some(query) = &mut self.query {
            query.poll(&mut cx);
        }
        self.fetcher.poll(&mut cx);
        self.metadata.poll(&mut self.client, now);
    }

    /// Tells the machines what has come in, and judges nobody who is late: more may be there.
    pub fn take_in(&mut self, now: Instant) {
        // Before answers that are there already: they may be of a leader that is none any more.
        self.check_epochs(false);
        while let Some(event) = self.deferred.pop_front().or_else(|| self.client.poll_event()) {
            self.route(event, now);
        }
        self.fetcher.gate(&mut self.client, now);
    }

    /// Brings what is ready in line with what the caller has paused, resumed or moved.
    pub fn follow(&mut self) {
        self.fetcher.follow(&mut self.subscriptions);
    }

    /// The caller was away for this long: nobody has gone on making connections, which takes several steps.
    pub fn was_away(&mut self, time: Duration) {
        self.fetcher.was_away(time);
    }

    /// When to call [`handle`](Self::handle) although nothing came in.
    #[must_use]
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        [
            self.group_timeout(self.attendance, now),
            self.client.poll_timeout(now),
            self.metadata.poll_timeout(&self.client, now),
            self.resets.poll_timeout(),
            self.validation.poll_timeout(),
            self.query.as_ref().and_then(OffsetQuery::poll_timeout),
            self.fetcher.poll_timeout(now),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// An error that the caller of `poll` has to know.
    pub fn poll_error(&mut self) -> Option<Error> {
        let shared = self.subscriptions.is_shared();
        self.errors
            .pop_front()
            .or_else(|| self.group.as_mut().and_then(|group| group.poll_error(shared)))
            .or_else(|| self.metadata.poll_error())
            .or_else(|| self.resets.poll_error())
    }

    /// The error of a broker that refuses us, or we it. Before the cluster is known it is one only when nobody is left to ask.
    pub fn poll_refusal(&mut self) -> Option<Error> {
        let told = self.metadata.answers() > 0 || self.client.is_hopeless();
        told.then(|| self.client.poll_refusal()).flatten()
    }

    /// The first error that names a topic; errors about others stay for `poll`.
    pub fn poll_error_about(&mut self, topic: &str) -> Option<Error> {
        const KEPT: usize = 8;
        while let Some(error) = self.metadata.poll_error().or_else(|| self.resets.poll_error()) {
            if self.errors.len() < KEPT {
                self.errors.push_back(error);
            }
        }
        let names = |error: &Error| match error {
            Error::TopicAuthorizationFailed { topics } => topics.iter().any(|t| t == topic),
            Error::Broker(error) => error.detail.contains(topic),
            _ => true,
        };
        let at = self.errors.iter().position(names)?;
        self.errors.remove(at)
    }

    /// Asks for offsets of partitions: the first ([`EARLIEST`](crate::fetcher::list_offsets::EARLIEST)), the last, or the first
    /// at a time. One such question is open at a time.
    pub fn start_query(&mut self, wanted: BTreeMap<TopicPartition, i64>, now: Instant) {
        let query = OffsetQuery::new(wanted, self.read_committed, self.retry_backoff);
        self.metadata.want_also(query.topics(), now);
        self.query = Some(query);
    }

    /// The answer, once there is one.
    pub fn query_outcome(&self) -> Option<Result<FoundOffsets>> {
        self.query.as_ref()?.outcome()
    }

    /// Nobody waits for the answer any more.
    pub fn end_query(&mut self, now: Instant) {
        self.query = None;
        self.metadata.want_also(BTreeSet::new(), now);
    }

    /// What was asked for has changed: metadata of other topics is needed, and some buffers are not.
    pub fn subscription_changed(&mut self, now: Instant) {
        self.metadata.set_interest(self.subscriptions.topics(), now);
        self.with_group(now, Coordinator::subscription_changed);
    }

    /// The error of a call that took too long, with what stood in its way.
    #[must_use]
    pub fn timeout(
        &self,
        operation: &'static str,
        after: Duration,
        subject: &str,
        now: Instant,
    ) -> Error {
        let mut parts = vec![subject.to_owned(), self.client.describe_failures(now)];
        parts.extend(self.metadata.last_error().map(ToString::to_string));
        let query = self.query.as_ref().and_then(OffsetQuery::obstacle);
        let obstacles = [query, self.resets.obstacle(), self.validation.obstacle()];
        parts.extend(obstacles.into_iter().flatten().map(ToOwned::to_owned));
        parts.extend(self.group.iter().flat_map(Coordinator::obstacles));
        parts.retain(|part| !part.is_empty());
        Error::Timeout { operation, after, cause: parts.join("; ").into() }
    }

    fn check_epochs(&mut self, changed: bool) {
        let answers = self.metadata.answers();
        if self.subscriptions.check_epochs(self.metadata.cluster(), answers, changed) {
            self.metadata.request_update();
        }
    }

    fn route(&mut self, event: ClientEvent, now: Instant) {
        if let ClientEvent::Response { id, result, .. } = &event
            && self.metadata.handle_response(*id, result, &mut self.client, now)
        {
            return;
        }
        let mut cx = Context {
            subscriptions: &mut self.subscriptions,
            metadata: &mut self.metadata,
            client: &mut self.client,
            now,
        };
        match event {
            ClientEvent::Failed(node) if node.role == Role::Coordinator => {
                if let Some(group) = &mut self.group {
                    group.handle_node_failed(node, &mut cx);
                }
            }
            // What was asked there has failed by itself, and whoever has something to ask sees that the node cannot be reached.
            ClientEvent::Ready(_) | ClientEvent::Failed(_) => {}
            ClientEvent::Fetch { id, node, piece } => {
                self.fetcher.handle_piece(node, id, piece, &mut cx)
            }
            ClientEvent::Response { id, node, result } => {
                let query = self.query.as_mut();
                let group = self.group.as_mut();
                let ours = group.is_some_and(|g| g.handle_response(id, &result, &mut cx))
                    || self.resets.handle_response(node, id, &result, &mut cx)
                    || self.validation.handle_response(node, id, &result, &mut cx)
                    || query.is_some_and(|q| q.handle_response(node, id, &result, &mut cx))
                    || self.fetcher.handle_failure(node, id, result.as_ref().err(), &mut cx);
                if !ours {
                    log::debug!(target: "kafka_blocking::fetch", "{node}: an answer that nobody waits for any more");
                }
            }
        }
    }
}
