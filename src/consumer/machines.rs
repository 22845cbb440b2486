//! The machines of a consumer, side by side, and who is told what.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{
    Error,
    client::{ClientEvent, KafkaClient, metadata::Metadata},
    consumer::options::Resolved,
    fetcher::{Context, Fetcher, offsets::OffsetResets},
    records::ChunkPool,
    subscriptions::Subscriptions,
};

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
    errors: VecDeque<Error>,
    cluster_seen: u64,
}

impl Machines {
    /// The machines of a consumer that has just been made. `seed` decides jitter and rotation.
    #[must_use]
    pub fn new(options: &Resolved, seed: u64, now: Instant) -> Self {
        let retry_backoff = options.retry_backoff;
        let pool = ChunkPool::new(POOLED);
        let connection = options.connection.clone();
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
            subscriptions: Subscriptions::new(options.reset),
            fetcher: Fetcher::new(options.fetch.clone(), retry_backoff),
            resets: OffsetResets::new(retry_backoff),
            errors: VecDeque::new(),
            cluster_seen: 0,
        }
    }

    /// The time is `now`: tells every machine what has happened, and lets it say what to send.
    pub fn handle(&mut self, now: Instant) {
        self.client.handle_timeout(now);
        while let Some(event) = self.client.poll_event() {
            self.route(event, now);
        }
        let changes = self.metadata.cluster().changes();
        if changes != self.cluster_seen {
            self.cluster_seen = changes;
            for topic in self.metadata.cluster_mut().take_recreated() {
                self.subscriptions.restart(&topic);
                self.fetcher.discard_unassigned(&self.subscriptions);
            }
            self.subscriptions.update_from(self.metadata.cluster());
        }
        let mut cx = Context {
            subscriptions: &mut self.subscriptions,
            metadata: &mut self.metadata,
            client: &mut self.client,
            now,
        };
        self.resets.poll(&mut cx);
        self.fetcher.poll(&mut cx);
        self.metadata.poll(&mut self.client, now);
    }

    /// Nobody looked at the sockets for this long: no answer was late meanwhile.
    pub fn was_away(&mut self, time: Duration) {
        self.client.was_away(time);
        self.fetcher.was_away(time);
    }

    /// When to call [`handle`](Self::handle) although nothing came in.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        [
            self.client.poll_timeout(now),
            self.metadata.poll_timeout(&self.client, now),
            self.resets.poll_timeout(),
            self.fetcher.poll_timeout(now),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// An error that the caller of `poll` has to know.
    pub fn poll_error(&mut self) -> Option<Error> {
        self.errors
            .pop_front()
            .or_else(|| self.metadata.poll_error())
            .or_else(|| self.resets.poll_error())
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

    /// What was asked for has changed: metadata of other topics is needed, and some buffers are not.
    pub fn subscription_changed(&mut self, now: Instant) {
        self.metadata.set_topics(self.subscriptions.topics(), now);
        self.fetcher.discard_unassigned(&self.subscriptions);
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
        parts.extend(self.resets.obstacle().map(ToOwned::to_owned));
        parts.retain(|part| !part.is_empty());
        Error::Timeout { operation, after, cause: parts.join("; ").into() }
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
            ClientEvent::Ready(_) => {}
            ClientEvent::Failed(node) => self.fetcher.handle_node_failed(node, &mut cx),
            ClientEvent::Fetch { id, node, piece } => {
                self.fetcher.handle_piece(node, id, piece, &mut cx)
            }
            ClientEvent::Response { id, node, result } => {
                if !self.resets.handle_response(node, id, &result, &mut cx) {
                    self.fetcher.handle_failure(node, id, &mut cx);
                }
            }
        }
    }
}
