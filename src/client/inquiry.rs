//! One question to the cluster: whom it was put to, and when to put it to another node.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    client::{KafkaClient, NodeKey, cluster::Cluster},
    net::{
        backoff::Backoff,
        connection::{RequestId, later},
    },
};

/// How long a node may be silent before another one is asked.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// A question that any node can answer. A node that does not answer within a second is no reason to wait: another is
/// asked the same.
#[derive(Debug)]
pub(crate) struct Inquiry {
    in_flight: BTreeMap<RequestId, (NodeKey, Instant)>,
    /// Not before this, whatever the need.
    retry_at: Instant,
    backoff: Backoff,
}

impl Inquiry {
    pub(crate) fn new(retry_backoff: Duration, now: Instant) -> Self {
        Self {
            in_flight: BTreeMap::new(),
            retry_at: now,
            backoff: Backoff::new(retry_backoff, retry_backoff.max(PATIENCE)),
        }
    }

    /// Not before this, whatever the need.
    pub(crate) fn retry_at(&mut self, at: Instant) {
        self.retry_at = at;
    }

    /// It was of no use: again a little later, and later each time.
    pub(crate) fn back_off(&mut self, random: &mut fastrand::Rng, now: Instant) {
        self.retry_at = later(now, self.backoff.next_delay(random));
    }

    /// It was of use.
    pub(crate) fn succeeded(&mut self) {
        self.backoff.reset();
    }

    /// It was put to a node.
    pub(crate) fn sent(&mut self, id: RequestId, node: NodeKey, now: Instant) {
        self.in_flight.insert(id, (node, now));
    }

    /// A request was answered, or failed: who was asked, if it is one of these.
    pub(crate) fn take(&mut self, id: RequestId) -> Option<NodeKey> {
        self.in_flight.remove(&id).map(|(node, _)| node)
    }

    /// Those who were asked and have not answered; they are not waited for any longer.
    pub(crate) fn take_silent(&mut self) -> impl Iterator<Item = i32> {
        std::mem::take(&mut self.in_flight).into_values().map(|(node, _)| node.id)
    }

    /// Whom to ask now; sees to it that there will be somebody. `due`: whether it is to be asked although nobody was yet.
    pub(crate) fn next_node(
        &self,
        due: bool,
        cluster: &Cluster,
        avoided: &BTreeMap<i32, Instant>,
        client: &mut KafkaClient,
        now: Instant,
    ) -> Option<NodeKey> {
        let waiting = self.in_flight.values().any(|(_, sent)| now < later(*sent, PATIENCE));
        if waiting || (self.in_flight.is_empty() && (!due || now < self.retry_at)) {
            return None;
        }
        let asked: Vec<i32> = self.in_flight.values().map(|(node, _)| node.id).collect();
        // Whom to leave out, as long as that leaves somebody.
        let avoided_id = |id| avoided.contains_key(&id);
        let choice = cluster.brokers().any(|(id, _)| !avoided_id(id) && !asked.contains(&id));
        if choice && !avoided.is_empty() {
            client.widen(avoided_id, now);
        }
        client.any_node(|id| asked.contains(&id) || (choice && avoided_id(id)), now)
    }

    /// When to look for a node, where it is due from `due` on.
    pub(crate) fn poll_timeout(
        &self,
        due: Instant,
        avoided: &BTreeMap<i32, Instant>,
        client: &KafkaClient,
        now: Instant,
    ) -> Option<Instant> {
        let silent = self.in_flight.values().map(|(_, sent)| later(*sent, PATIENCE)).max();
        let next = silent.unwrap_or_else(|| due.max(self.retry_at));
        if next > now {
            return Some(next);
        }
        // Due, but nobody can be asked: it depends on when a node may be tried again, or is no longer to be avoided.
        let trusted = avoided.values().copied().filter(|until| now < *until).min();
        [client.any_node_timeout(now), trusted].into_iter().flatten().min()
    }
}
