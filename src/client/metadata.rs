//! When to ask what the cluster looks like, and whom.
//!
//! Asked is on need (a leader is missing, or was wrong, or is silent) and on age. A node that does not answer within a
//! second is no reason to wait: another is asked the same.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Error, ErrorCode, Result,
    client::{KafkaClient, NodeKey, cluster::Cluster},
    consumer::options::MetadataOptions,
    net::{
        backoff::Backoff,
        connection::{RequestId, later},
    },
    protocol::{self, metadata::MetadataRequest},
};

/// How long a node may be silent before another one is asked.
const PATIENCE: Duration = Duration::from_secs(1);

/// For how long a node that was silent to somebody is not asked, if there are others.
const AVOIDANCE: Duration = Duration::from_secs(5);

/// The machine.
#[derive(Debug)]
pub struct Metadata {
    options: MetadataOptions,
    cluster: Cluster,
    topics: BTreeSet<Arc<str>>,
    needed: bool,
    in_flight: BTreeMap<RequestId, (NodeKey, Instant)>,
    refreshed: Option<Instant>,
    /// Not before this, whatever the need.
    retry_at: Instant,
    retry_backoff: Duration,
    backoff: Backoff,
    avoided: BTreeMap<i32, Instant>,
    errors: VecDeque<Error>,
    last_error: Option<Error>,
    answers: u64,
    random: fastrand::Rng,
}

impl Metadata {
    /// Nothing is known yet; `seed` decides the jitter.
    #[must_use]
    pub fn new(options: MetadataOptions, retry_backoff: Duration, seed: u64, now: Instant) -> Self {
        Self {
            options,
            cluster: Cluster::default(),
            topics: BTreeSet::new(),
            needed: true,
            in_flight: BTreeMap::new(),
            refreshed: None,
            retry_at: now,
            retry_backoff,
            backoff: Backoff::new(retry_backoff, retry_backoff.max(PATIENCE)),
            avoided: BTreeMap::new(),
            errors: VecDeque::new(),
            last_error: None,
            answers: 0,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    // Commands

    /// Asks about these topics from now on, at once if one is new.
    pub fn set_topics(&mut self, topics: BTreeSet<Arc<str>>, now: Instant) {
        if topics.iter().any(|t| self.cluster.topic(t).is_none_or(|t| t.error.is_some())) {
            self.needed = true;
            self.retry_at = now;
        }
        self.topics = topics;
    }

    /// Something that is known turned out wrong, or something is missing.
    pub fn request_update(&mut self) {
        self.needed = true;
    }

    /// A node is silent: somebody else should be asked.
    pub fn avoid(&mut self, node: i32, now: Instant) {
        self.avoided.insert(node, later(now, AVOIDANCE));
        self.needed = true;
    }

    // What came in

    /// A request of ours was answered, or failed; says whether it was ours.
    pub fn handle_response(
        &mut self,
        id: RequestId,
        result: &Result<(i16, Vec<u8>)>,
        client: &mut KafkaClient,
        now: Instant,
    ) -> bool {
        let Some((node, _)) = self.in_flight.remove(&id) else { return false };
        let outcome = result
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|(version, body)| self.take_over(node, *version, body, client, now));
        match outcome {
            Ok(()) => {
                // Whoever was asked the same before is silent still: not waited for, and not asked again soon.
                for (silent, _) in std::mem::take(&mut self.in_flight).into_values() {
                    self.avoided.insert(silent.id, later(now, AVOIDANCE));
                }
                self.refreshed = Some(now);
                self.answers += 1;
                self.last_error = None;
            }
            Err(error) => {
                log::debug!(target: "kafka_blocking::metadata", "{node}: {error}");
                self.needed = true;
                self.last_error = Some(error);
            }
        }
        if self.needed {
            let delay = self.backoff.next_delay(&mut self.random);
            self.retry_at = later(now, delay);
        } else {
            self.backoff.reset();
            // However small metadata_max_age_ms is.
            self.retry_at = later(now, self.retry_backoff);
        }
        true
    }

    // What must go out

    /// Sends what is to be asked.
    pub fn poll(&mut self, client: &mut KafkaClient, now: Instant) {
        self.avoided.retain(|_, until| now < *until);
        let due =
            self.needed || self.refreshed.is_none_or(|at| now >= later(at, self.options.max_age));
        let waiting = self.in_flight.values().any(|(_, sent)| now < later(*sent, PATIENCE));
        if !due && self.in_flight.is_empty()
            || waiting
            || (now < self.retry_at && self.in_flight.is_empty())
        {
            return;
        }
        let asked: Vec<i32> = self.in_flight.values().map(|(node, _)| node.id).collect();
        // Whom to leave out, as long as that leaves somebody.
        let avoided = |id| self.avoided.contains_key(&id);
        let choice = self.cluster.brokers().any(|(id, _)| !avoided(id) && !asked.contains(&id));
        if choice && !self.avoided.is_empty() {
            client.widen(avoided, now);
        }
        let node = client.any_node(|id| asked.contains(&id) || (choice && avoided(id)), now);
        let Some(node) = node else { return };
        if let Err(error) = self.ask(node, client, now) {
            self.retry_at = later(now, self.backoff.next_delay(&mut self.random));
            self.last_error = Some(error);
        }
    }

    /// When to call [`poll`](Self::poll) although nothing came in.
    #[must_use]
    pub fn poll_timeout(&self, client: &KafkaClient, now: Instant) -> Option<Instant> {
        let due = if self.needed {
            self.retry_at
        } else {
            self.refreshed.map_or(now, |at| later(at, self.options.max_age)).max(self.retry_at)
        };
        let silent = self.in_flight.values().map(|(_, sent)| later(*sent, PATIENCE)).max();
        let next = silent.unwrap_or(due);
        // Due, but nobody can be asked: it depends on when a node may be tried again.
        if next <= now { client.any_node_timeout(now) } else { Some(next) }
    }

    /// An error that the caller has to know, such as a topic that may not be read.
    pub fn poll_error(&mut self) -> Option<Error> {
        self.errors.pop_front()
    }

    // What is known

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The cluster, to take over a hint.
    pub fn cluster_mut(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    /// How many answers have come.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.answers
    }

    /// Why the last request failed, unless one succeeded since.
    #[must_use]
    pub fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }

    // Helpers

    fn ask(&mut self, node: NodeKey, client: &mut KafkaClient, now: Instant) -> Result<()> {
        let Some(version) = client.version::<MetadataRequest>(node, None) else {
            return Err(client.unsupported::<MetadataRequest>(node));
        };
        let request = MetadataRequest {
            allow_auto_topic_creation: self.options.allow_auto_create,
            ..MetadataRequest::topics(self.topics.iter().map(|t| t.to_string()))
        };
        let id = client.send(node, version, &request, now)?;
        self.in_flight.insert(id, (node, now));
        self.needed = false;
        Ok(())
    }

    fn take_over(
        &mut self,
        node: NodeKey,
        version: i16,
        body: &[u8],
        client: &mut KafkaClient,
        now: Instant,
    ) -> Result<()> {
        let response =
            protocol::decode_response::<MetadataRequest>(body, version).map_err(|e| {
                Error::Protocol { what: "Metadata response", reason: e.to_string().into() }
            })?;
        if version >= 6 {
            client.throttle(node, response.throttle_time_ms, now);
        }
        if response.error_code != 0 {
            let code = ErrorCode(response.error_code);
            return Err(Error::broker("Metadata", code, ""));
        }
        if response.brokers.is_empty() {
            return Err(Error::Protocol {
                what: "Metadata response",
                reason: "it names no broker".into(),
            });
        }
        let before = leaders(&self.cluster, &self.topics);
        self.cluster.update(version, &response);
        client.set_brokers(self.cluster.brokers().map(|(id, host)| (id, host.clone())), now);
        for leader in leaders(&self.cluster, &self.topics).difference(&before) {
            // Elected just now, so it lives: no reason to wait out the backoff of its last failure.
            client.forgive(leader.0, now);
        }
        self.judge_topics();
        Ok(())
    }

    /// Asks again where leaders are missing; tells the caller what asking again does not help.
    fn judge_topics(&mut self) {
        // What is still wrong is found again.
        self.errors.clear();
        let mut unauthorized = Vec::new();
        for name in &self.topics {
            let Some(topic) = self.cluster.topic(name) else {
                self.needed = true;
                continue;
            };
            match topic.error {
                Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED) => unauthorized.push(name.to_string()),
                Some(code @ ErrorCode::INVALID_TOPIC_EXCEPTION) => {
                    self.errors.push_back(Error::broker("Metadata", code, name.as_ref()));
                }
                Some(_) => self.needed = true,
                None => {
                    self.needed |= topic.partitions.values().any(|p| p.leader.is_none())
                        || topic.partitions.is_empty()
                }
            }
        }
        if !unauthorized.is_empty() {
            self.needed = true;
            self.errors.push_back(Error::TopicAuthorizationFailed { topics: unauthorized });
        }
        // What nobody fetches is not piled up.
        while self.errors.len() > 4 {
            self.errors.pop_front();
        }
    }
}

/// Who leads what, with the epoch: a difference is an election.
fn leaders(
    cluster: &Cluster,
    topics: &BTreeSet<Arc<str>>,
) -> BTreeSet<(i32, Option<i32>, Arc<str>, i32)> {
    let partitions = topics.iter().filter_map(|name| cluster.topic(name).map(|t| (name, t)));
    partitions
        .flat_map(|(name, t)| {
            t.partitions.iter().filter_map(|(n, p)| Some((p.leader?, p.epoch, name.clone(), *n)))
        })
        .collect()
}
