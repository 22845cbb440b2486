//! Whom to ask what any node can answer.

use std::time::{Duration, Instant};

use super::{KafkaClient, NodeKey, Role, node::Link};
use crate::net::connection::{Connection, later};

/// A connection attempt that shows no sign of life for this long is no reason to leave other nodes untried.
const PATIENCE: Duration = Duration::from_secs(1);

impl KafkaClient {
    /// A node that can be asked now what any node can answer; sees to it that there will be one.
    pub fn any_node(&mut self, avoid: impl Fn(i32) -> bool, now: Instant) -> Option<NodeKey> {
        let ready = self
            .nodes
            .keys()
            .filter(|k| k.role == Role::Control && !avoid(k.id))
            .filter(|k| self.can_send(**k, now))
            .min_by_key(|k| {
                let in_flight = self.open(**k).map_or(0, Connection::in_flight);
                (k.id < 0, in_flight, self.nodes.get(k).map(|n| n.last_request))
            });
        if let Some(key) = ready {
            return Some(*key);
        }
        let control = || self.nodes.iter().filter(|(k, _)| k.role == Role::Control && !avoid(k.id));
        let under_way = control().any(|(_, n)| match n.link {
            Link::Idle => false,
            Link::Resolving { since } => now < later(since, PATIENCE),
            Link::Open(_) => n.trying.is_some_and(|(_, since)| now < later(since, PATIENCE)),
        });
        if !under_way {
            // The one that has waited longest; learned brokers before bootstrap servers.
            let idle = control().filter(|(_, n)| n.link == Link::Idle && now >= n.retry_at);
            let next = idle
                .min_by_key(|(k, n)| (n.backoff.failures(), k.id < 0, n.retry_at))
                .map(|(k, _)| *k);
            if let Some(key) = next {
                self.ensure(key, now);
            }
        }
        None
    }

    /// Sees to it that [`any_node`](Self::any_node) has a few brokers to choose from: one that is asked alone may be the
    /// one that is behind.
    pub fn widen(&mut self, avoid: impl Fn(i32) -> bool, now: Instant) {
        const ENOUGH: usize = 3;
        let control = || {
            let learned = self.nodes.iter().filter(|(k, _)| k.role == Role::Control && k.id >= 0);
            learned.filter(|(k, _)| !avoid(k.id))
        };
        let idle = control().find(|(_, n)| n.link == Link::Idle && now >= n.retry_at);
        let linked = control().filter(|(_, n)| n.link != Link::Idle).count();
        if let Some(key) = idle.map(|(k, _)| *k).filter(|_| linked < ENOUGH) {
            self.ensure(key, now);
        }
    }

    /// When [`any_node`](Self::any_node) may have more to say although nothing has come in.
    #[must_use]
    pub fn any_node_timeout(&self, now: Instant) -> Option<Instant> {
        self.nodes
            .iter()
            .filter(|(k, _)| k.role == Role::Control)
            .filter_map(|(_, n)| match n.link {
                Link::Idle => Some(n.retry_at),
                Link::Resolving { since } => Some(later(since, PATIENCE)),
                Link::Open(_) => n.trying.map(|(_, since)| later(since, PATIENCE)),
            })
            .filter(|at| now < *at)
            .min()
    }
}
