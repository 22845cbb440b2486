//! From a broker's name to a connection: its addresses one after the other, and what happens when one fails.

use std::{io, net::IpAddr, sync::Arc, time::Instant};

use super::{
    ClientEvent, Command, ConnectionId, KafkaClient, NodeKey, Role,
    node::{Link, Lost, Node},
    routes::{self, Plan},
};
use crate::{
    Error,
    net::{
        backoff::Backoff,
        connection::{Connection, ConnectionLimits, Failure, Refused, later},
        proxy::Target,
        resolver::Lookup,
        servers::HostPort,
    },
    protocol::{Request, api_versions::ApiVersionsRequest},
};

impl KafkaClient {
    /// What stands in the way of every node that cannot be reached, as `address: cause; …`; empty where all can.
    #[must_use]
    pub fn describe_failures(&self, now: Instant) -> String {
        let control = self.nodes.iter().filter(|(k, _)| k.role == Role::Control);
        let failing = control.filter(|(k, _)| self.open(**k).is_none_or(|c| !c.is_ready()));
        // Where something is connected, what nobody needed just now stands in no way.
        let connected = self.is_connected();
        let mut parts: Vec<String> = Vec::new();
        for (key, node) in failing.filter(|(_, n)| !connected || n.is_troubled()) {
            let text = node.describe(self.open(*key).map_or("", Connection::step), now);
            // A bootstrap server is mostly one of the brokers too.
            if !parts.contains(&text) {
                parts.push(text);
            }
        }
        // A broker that is there and does not answer is in the way, too.
        for (key, node) in self.nodes.iter().filter(|(k, _)| k.role == Role::Control) {
            let silent = self.open(*key).filter(|c| c.is_ready()).and_then(Connection::unanswered);
            parts.extend(
                silent.map(|api| format!("{}: waiting for the answer to {api}", node.host)),
            );
        }
        parts.join("; ")
    }

    pub(super) fn new_node(&self, host: HostPort, now: Instant) -> Node {
        let o = &self.options;
        Node::new(
            host,
            Backoff::new(o.backoff, o.backoff_max),
            (o.setup_timeout, o.setup_timeout_max),
            now,
        )
    }

    pub(super) fn add_bootstrap(&mut self, server: HostPort, now: Instant) -> NodeKey {
        let id = self.nodes.keys().map(|k| k.id).min().unwrap_or(0).min(0) - 1;
        let key = NodeKey { id, role: Role::Control };
        let node = self.new_node(server, now);
        self.nodes.insert(key, node);
        key
    }

    /// Puts the canonical names of a bootstrap server in its place, if it has others than its own.
    pub(super) fn expand_bootstrap(&mut self, host: &str, names: &[String], now: Instant) {
        let known: Vec<(NodeKey, u16)> = self
            .nodes
            .iter()
            // One that did not want to wait any longer goes by its own name.
            .filter(|(k, n)| k.id < 0 && n.host.host == host && n.is_resolving())
            .map(|(k, n)| (*k, n.host.port))
            .collect();
        for (key, port) in known {
            if names.is_empty() || names.iter().any(|n| n == host) {
                if let Some(node) = self.nodes.get_mut(&key) {
                    node.rest(now);
                }
                continue;
            }
            self.nodes.remove(&key);
            for name in names {
                self.add_bootstrap(HostPort { host: name.clone(), port }, now);
            }
        }
    }

    /// The addresses that the sockets connect to, and those of brokers where a proxy wants to know them.
    pub(super) fn handle_addresses(
        &mut self,
        lookup: &Lookup,
        result: io::Result<(Vec<IpAddr>, Vec<IpAddr>)>,
        now: Instant,
    ) {
        let proxy = self.options.security.proxy.clone();
        let asks = |node: &Node| {
            node.is_resolving()
                && matches!(routes::plan(proxy.as_ref(), &node.host), Plan::Ask(its) if its == *lookup)
        };
        let waiting: Vec<NodeKey> =
            self.nodes.iter().filter(|(_, n)| asks(n)).map(|(key, _)| *key).collect();
        for key in waiting {
            let node = self.nodes.get_mut(&key).expect("listed above");
            match &result {
                Ok((sockets, behind)) => {
                    node.routes = routes::found(proxy.as_ref(), &node.host, sockets, behind);
                    if node.routes.is_empty() {
                        self.unresolved(key, "the name has no address", now);
                    } else {
                        self.try_next_route(key, now);
                    }
                }
                Err(error) => self.unresolved(key, &format!("looking up the name: {error}"), now),
            }
        }
    }

    pub(super) fn unresolved(&mut self, key: NodeKey, cause: &str, now: Instant) {
        if let Some(node) = self.nodes.get_mut(&key) {
            node.failed(cause.to_owned(), false);
        }
        self.back_off(key, now);
    }

    /// Opens a connection on the next way to a node, or backs off when there is none left.
    pub(super) fn try_next_route(&mut self, key: NodeKey, now: Instant) {
        let Some(node) = self.nodes.get_mut(&key) else { return };
        let Some(route) = node.routes.pop_front() else { return self.back_off(key, now) };
        let address = route.socket;
        let id = self.next_connection;
        self.next_connection += 1;
        node.link = Link::Open(id);
        node.trying = Some((address, now));
        // Jitter keeps many clients from giving up, and coming back, all at once.
        let setup = node.setup_timeout().mul_f64(0.8 + 0.2 * self.random.f64());
        let limits = ConnectionLimits {
            setup_timeout: setup,
            max_idle: self.options.max_idle,
            receive_max: self.options.receive_message_max,
            max_in_flight: self.options.max_in_flight,
            staging: if key.role == Role::Fetch { 64 << 10 } else { 8 << 10 },
            first_versions: if node.plain_versions {
                0
            } else {
                *ApiVersionsRequest::VERSIONS.end()
            },
        };
        // Connections that were made at once should not all log in again at once.
        let security = &self.options.security;
        let share = security.sasl.as_ref().map_or(0.9, |_| 0.85 + 0.1 * self.random.f64());
        let connection = Connection::new(limits, self.client_id.clone(), self.pool.clone(), now)
            .secured(security, &node.host.host, share);
        let connection = match &security.proxy {
            Some(proxy) => {
                let target = Target { broker: node.host.clone(), address: route.behind };
                connection.through(proxy, &target)
            }
            None => connection,
        };
        self.connections.insert(id, (key, connection));
        self.commands.push_back(Command::Connect { connection: id, address });
        log::debug!(target: "kafka_blocking::net", "{key}: connecting to {} ({address})", node.host);
    }

    /// A connection is at its end: fails its requests, and tries the next address or backs off.
    pub(super) fn drop_connection(&mut self, id: ConnectionId, failure: &Failure, now: Instant) {
        let Some((key, connection)) = self.connections.get(&id) else { return };
        let (key, was_ready) = (*key, connection.is_ready());
        let lost = Lost { was_ready, asked_versions: connection.is_asking_versions() };
        // Nothing was lost with a connection that nothing was asked on: brokers close idle ones, and so do we.
        let quiet = connection.is_at_rest() && failure.refused.is_none();
        self.fail_requests(id, failure);
        let Some(node) = self.nodes.get_mut(&key) else { return };
        if quiet {
            node.rest(later(now, self.options.backoff));
            return;
        }
        if failure.is_garbled() {
            log::warn!(target: "kafka_blocking::net", "{key} at {}: {}: {}", node.host, failure.step, failure.source);
        }
        node.lost(failure, lost);
        // At another address the same broker says the same of a password, but another one may be there.
        let last = self.nodes.get(&key).is_none_or(|node| node.routes.is_empty());
        if failure.refused == Some(Refused::Login) || (failure.refused.is_some() && last) {
            self.note_refusal(key, failure);
        }
        if was_ready || failure.refused == Some(Refused::Login) {
            self.back_off(key, now);
        } else {
            self.try_next_route(key, now);
        }
    }

    /// Forgets a connection, and tells those who wait for its answers.
    pub(super) fn fail_requests(&mut self, id: ConnectionId, failure: &Failure) {
        let Some((key, connection)) = self.connections.remove(&id) else { return };
        self.commands.push_back(Command::Close(id));
        let host = self.nodes.get(&key).map_or_else(|| key.to_string(), |n| n.host.to_string());
        log::debug!(target: "kafka_blocking::net", "{key} at {host}: {}: {}", failure.step, failure.source);
        let error = Error::Connection {
            node: host.into(),
            step: failure.step,
            source: Arc::new(io::Error::new(failure.source.kind(), failure.source.to_string())),
        };
        for id in connection.abandon() {
            let result = Err(error.clone());
            self.events.push_back(ClientEvent::Response { id, node: key, result });
        }
    }

    pub(super) fn back_off(&mut self, key: NodeKey, now: Instant) {
        let Some(node) = self.nodes.get_mut(&key) else { return };
        node.link = Link::Idle;
        node.routes.clear();
        node.trying = None;
        node.retry_at = later(now, node.backoff.next_delay(&mut self.random));
        self.events.push_back(ClientEvent::Failed(key));
    }
}
