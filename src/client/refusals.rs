//! Who is let in, at which broker: the steps of logging in, and what users are told when there is a no.

use std::time::Instant;

use super::{ConnectionId, KafkaClient, NodeKey, node::Link};
use crate::{
    Error,
    net::{
        connection::Failure,
        sasl::{SaslCall, SaslReply},
    },
};

impl KafkaClient {
    /// The step that [`super::Command::Authenticate`] is about.
    pub fn take_call(&mut self, id: ConnectionId) -> Option<SaslCall> {
        self.connections.get_mut(&id)?.1.take_call()
    }

    /// A step of a mechanism was run.
    pub fn handle_authenticated(&mut self, id: ConnectionId, reply: SaslReply, now: Instant) {
        // The connection may be gone: the step took too long, or the broker has closed it.
        let Some((_, connection)) = self.connections.get_mut(&id) else { return };
        let result = connection.handle_authenticated(reply, now);
        self.settle(id, result, now);
    }

    /// An error that users have to know: a broker refuses us, or we it. Each attempt gives one.
    pub fn poll_refusal(&mut self) -> Option<Error> {
        self.refusals.pop_first().map(|(_, error)| error)
    }

    /// Whether every node was tried, without success, and none is being tried.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        self.nodes.values().all(|n| n.link == Link::Idle && n.backoff.failures() > 0)
    }

    /// Remembers that a broker refused us, or we it.
    pub(super) fn note_refusal(&mut self, key: NodeKey, failure: &Failure) {
        let Some(node) = self.nodes.get(&key) else { return };
        log::warn!(target: "kafka_blocking::net", "{key} at {}: {}: {}", node.host, failure.step, failure.source);
        let error = Error::AuthenticationFailed {
            node: node.host.to_string().into(),
            step: failure.step,
            reason: failure.source.to_string().into(),
        };
        self.refusals.insert(key, error);
    }
}
