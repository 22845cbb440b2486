//! A set of brokers and the connections to them, as a machine: it knows no socket and reads no clock.
//!
//! The loop carries out [`Command`]s (look up, connect, close), moves bytes between sockets and [`Connection`]s, and
//! reports what became of it; the other machines [`send`](KafkaClient::send) requests and are given [`ClientEvent`]s.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::{
    Error, Result,
    consumer::options::{ConnectionOptions, DnsLookup},
    net::{
        connection::{Connection, Event, Failure, RequestId, later},
        fetch_stream::FetchPiece,
        resolver::{Found, Lookup},
        servers::HostPort,
    },
    protocol::Request,
    records::ChunkPool,
};

mod choice;
pub mod cluster;
mod dial;
pub(crate) mod inquiry;
pub mod metadata;
mod node;
pub mod options;
pub mod pattern;
mod refusals;
mod routes;

pub use node::{ConnectionId, NodeKey, Role};
use node::{Link, Node};
use routes::Plan;

/// What the loop is to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Look a name up, and report with [`KafkaClient::handle_found`].
    Lookup(Lookup),
    /// Open a socket, and report with [`KafkaClient::handle_connected`] or [`KafkaClient::handle_closed`].
    Connect {
        /// The name of the socket from now on.
        connection: ConnectionId,
        /// Where to.
        address: SocketAddr,
    },
    /// Run what [`KafkaClient::take_call`] gives, where it may block, and report with
    /// [`KafkaClient::handle_authenticated`].
    Authenticate(ConnectionId),
    /// Close a socket.
    Close(ConnectionId),
}

/// What the machines are told.
#[derive(Debug)]
pub enum ClientEvent {
    /// A connection can be used.
    Ready(NodeKey),
    /// A connection failed, or could not be made; its requests have been failed one by one before.
    Failed(NodeKey),
    /// A request was answered, or never will be.
    Response {
        /// The request.
        id: RequestId,
        /// Who was asked.
        node: NodeKey,
        /// The version of the answer and its body.
        result: Result<(i16, Vec<u8>)>,
    },
    /// A part of the answer to a Fetch request.
    Fetch {
        /// The request.
        id: RequestId,
        /// Who was asked.
        node: NodeKey,
        /// The part.
        piece: FetchPiece,
    },
}

/// The machine.
#[derive(Debug)]
pub struct KafkaClient {
    options: ConnectionOptions,
    client_id: String,
    nodes: BTreeMap<NodeKey, Node>,
    connections: BTreeMap<ConnectionId, (NodeKey, Connection)>,
    commands: VecDeque<Command>,
    events: VecDeque<ClientEvent>,
    /// Who refused us, or was refused, and was not told of.
    refusals: BTreeMap<NodeKey, Error>,
    next_connection: ConnectionId,
    next_request: RequestId,
    random: fastrand::Rng,
    pool: ChunkPool,
}

impl KafkaClient {
    /// A client that knows only its bootstrap servers. `seed` decides where jitter and rotation begin.
    #[must_use]
    pub fn new(
        options: ConnectionOptions,
        client_id: String,
        servers: &[HostPort],
        pool: ChunkPool,
        seed: u64,
        now: Instant,
    ) -> Self {
        let mut client = Self {
            options,
            client_id,
            nodes: BTreeMap::new(),
            connections: BTreeMap::new(),
            commands: VecDeque::new(),
            events: VecDeque::new(),
            refusals: BTreeMap::new(),
            next_connection: 1,
            next_request: 1,
            random: fastrand::Rng::with_seed(seed),
            pool,
        };
        // Clients that all have the same list should not all begin with the same server.
        let mut servers = servers.to_vec();
        client.random.shuffle(&mut servers);
        let canonical =
            client.options.dns_lookup == DnsLookup::ResolveCanonicalBootstrapServersOnly;
        for server in servers {
            let lookup = Command::Lookup(Lookup::CanonicalNames(server.host.clone()));
            let key = client.add_bootstrap(server, now);
            if canonical {
                // Not called by this name before it is known whether it has others.
                client.nodes.entry(key).and_modify(|n| n.link = Link::Resolving { since: now });
                client.commands.push_back(lookup);
            }
        }
        client
    }

    // Commands

    /// Makes a connection, unless there is one or the node is backing off.
    pub fn ensure(&mut self, key: NodeKey, now: Instant) {
        let Some(node) = self.nodes.get_mut(&key) else { return };
        if node.link != Link::Idle {
            return;
        }
        node.wanted = true;
        if now < node.retry_at {
            return;
        }
        match routes::plan(self.options.security.proxy.as_ref(), &node.host) {
            Plan::Routes(routes) => {
                node.routes = routes;
                self.try_next_route(key, now);
            }
            Plan::Ask(lookup) => {
                node.link = Link::Resolving { since: now };
                if !self.commands.contains(&Command::Lookup(lookup.clone())) {
                    self.commands.push_back(Command::Lookup(lookup));
                }
            }
        }
    }

    /// Sends a request on a connection that [`can_send`](Self::can_send).
    ///
    /// # Errors
    /// Where the request cannot be expressed in that version, or there is no such connection.
    pub fn send<R: Request>(
        &mut self,
        key: NodeKey,
        version: i16,
        request: &R,
        now: Instant,
    ) -> Result<RequestId> {
        self.send_for(key, version, request, self.options.request_timeout, now)
    }

    /// The same, with a time-out of its own for the answer.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_for<R: Request>(
        &mut self,
        key: NodeKey,
        version: i16,
        request: &R,
        timeout: Duration,
        now: Instant,
    ) -> Result<RequestId> {
        let id = self.next_request;
        let Some(connection) = self.connection_mut(key) else {
            return Err(Error::IllegalState("no connection to send on".into()));
        };
        connection
            .send(id, version, request, timeout, now)
            .map_err(|e| Error::Protocol { what: R::NAME, reason: e.to_string().into() })?;
        self.next_request += 1;
        if let Some(node) = self.nodes.get_mut(&key) {
            node.last_request = id;
        }
        log::trace!(target: "kafka_blocking::net", "{key}: {} v{version} as request {id}", R::NAME);
        Ok(id)
    }

    /// Takes over the brokers that the cluster named; drops those it no longer names.
    pub fn set_brokers(&mut self, brokers: impl Iterator<Item = (i32, HostPort)>, now: Instant) {
        let named: BTreeMap<i32, HostPort> = brokers.collect();
        let gone: Vec<NodeKey> = self
            .nodes
            .iter()
            .filter(|(key, _)| key.id >= 0 && key.role != Role::Coordinator)
            .filter(|(key, node)| named.get(&key.id) != Some(&node.host))
            .map(|(key, _)| *key)
            .collect();
        for key in gone {
            self.close_node(key, now, "the broker has left the cluster, or moved");
            self.nodes.remove(&key);
        }
        for (id, host) in named {
            for role in [Role::Control, Role::Fetch] {
                let key = NodeKey { id, role };
                if !self.nodes.contains_key(&key) {
                    let node = self.new_node(host.clone(), now);
                    self.nodes.insert(key, node);
                }
            }
        }
        self.close_idle_bootstrap(now);
        // Who was asked in vain before matters no more, and neither does who is gone.
        let nodes = &self.nodes;
        self.refusals.retain(|key, _| key.id >= 0 && nodes.contains_key(key));
    }

    /// Takes over who coordinates the group: the connection to who did so before is closed.
    pub fn set_coordinator(&mut self, coordinator: Option<(i32, HostPort)>, now: Instant) {
        let named = coordinator.as_ref().map(|(id, host)| (*id, host));
        let old = self.nodes.iter().filter(|(key, _)| key.role == Role::Coordinator);
        let gone = old.filter(|(key, node)| named != Some((key.id, &node.host)));
        for key in gone.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.close_node(key, now, "the group has another coordinator");
            self.nodes.remove(&key);
        }
        let Some((id, host)) = coordinator else { return };
        let key = NodeKey { id, role: Role::Coordinator };
        if !self.nodes.contains_key(&key) {
            let node = self.new_node(host, now);
            self.nodes.insert(key, node);
        }
    }

    /// There is fresh evidence that a node lives: its next attempt need not wait.
    pub fn forgive(&mut self, id: i32, now: Instant) {
        for role in [Role::Control, Role::Fetch] {
            if let Some(node) = self.nodes.get_mut(&NodeKey { id, role }) {
                node.backoff.reset();
                node.retry_at = node.retry_at.min(now);
            }
        }
    }

    /// Sends nothing to a node for a while: its quota is used up (KIP-219).
    pub fn throttle(&mut self, key: NodeKey, milliseconds: i32, now: Instant) {
        // A broker's delay is bounded: it may not put us to sleep for days.
        const LONGEST: i32 = 60_000;
        if let (Some(node), 1..) = (self.nodes.get_mut(&key), milliseconds) {
            let delay = Duration::from_millis(milliseconds.min(LONGEST).unsigned_abs().into());
            node.muted_until = Some(later(now, delay));
        }
    }

    /// Whether the bytes of records are left in the kernel.
    pub fn set_gated(&mut self, gated: bool, now: Instant) {
        for (key, connection) in self.connections.values_mut() {
            if key.role == Role::Fetch {
                connection.set_gated(gated, now);
            }
        }
    }

    /// How long an answer may take.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        self.options.request_timeout
    }

    /// What a socket is for.
    #[must_use]
    pub fn role(&self, id: ConnectionId) -> Option<Role> {
        self.connections.get(&id).map(|(key, _)| key.role)
    }

    /// Closes the connection to a node, if there is one; another one may be made at once.
    pub fn close_node(&mut self, key: NodeKey, now: Instant, why: &'static str) {
        let Some(Link::Open(id)) = self.nodes.get(&key).map(|n| n.link) else { return };
        let failure = Failure { step: "closing", source: io::Error::other(why), refused: None };
        self.fail_requests(id, &failure);
        if let Some(node) = self.nodes.get_mut(&key) {
            node.rest(now);
        }
    }

    // What came in

    /// A look-up was answered.
    pub fn handle_found(&mut self, lookup: &Lookup, found: Found, now: Instant) {
        match (lookup, found) {
            (Lookup::Addresses(_), Found::Addresses(result)) => {
                self.handle_addresses(lookup, result.map(|found| (found, Vec::new())), now)
            }
            (Lookup::Route(..), Found::Route(result)) => self.handle_addresses(lookup, result, now),
            (Lookup::CanonicalNames(host), Found::CanonicalNames(names)) => {
                let names = names.unwrap_or_else(|error| {
                    log::warn!(target: "kafka_blocking::net", "{host}: {error}; the name is used as it is");
                    Vec::new()
                });
                self.expand_bootstrap(host, &names, now);
            }
            _ => {}
        }
    }

    /// A socket is connected.
    pub fn handle_connected(&mut self, id: ConnectionId, now: Instant) {
        if let Some((_, connection)) = self.connections.get_mut(&id) {
            connection.handle_connected(now);
        }
    }

    /// A socket failed or was closed by the peer.
    pub fn handle_closed(&mut self, id: ConnectionId, source: io::Error, now: Instant) {
        if let Some((_, connection)) = self.connections.get(&id) {
            let failure = connection.hang_up(source);
            self.drop_connection(id, &failure, now);
        }
    }

    /// The machine of a socket, to exchange bytes with; report reads with [`handle_read`](Self::handle_read).
    pub fn connection(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.get_mut(&id).map(|(_, connection)| connection)
    }

    /// Bytes were read into the space of a connection.
    pub fn handle_read(&mut self, id: ConnectionId, n: usize, now: Instant) {
        let Some((_, connection)) = self.connections.get_mut(&id) else { return };
        let result = connection.handle_read(n, now);
        self.settle(id, result, now);
    }

    /// A connection was told something: what has come of it.
    fn settle(&mut self, id: ConnectionId, result: Result<(), Failure>, now: Instant) {
        while let Some((key, connection)) = self.connections.get_mut(&id) {
            let key = *key;
            let Some(event) = connection.poll_event() else { break };
            self.handle_event(key, event, now);
        }
        if let Err(failure) = result {
            return self.drop_connection(id, &failure, now);
        }
        let calls = self.connections.get(&id).is_some_and(|(_, c)| c.has_call());
        if calls && !self.commands.contains(&Command::Authenticate(id)) {
            self.commands.push_back(Command::Authenticate(id));
        }
    }

    /// The time is `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout_of(|_| true, now);
    }

    /// The time is `now` for these connections; nobody looks at the others.
    pub fn handle_timeout_of(&mut self, theirs: impl Fn(Role) -> bool, now: Instant) {
        let late: Vec<(ConnectionId, Failure)> = self
            .connections
            .iter_mut()
            .filter(|(_, (key, _))| theirs(key.role))
            .filter_map(|(id, (_, c))| c.handle_timeout(now).err().map(|failure| (*id, failure)))
            .collect();
        for (id, failure) in late {
            self.drop_connection(id, &failure, now);
        }
        let unresolved: Vec<NodeKey> = self.nodes.iter()
            .filter(|(key, n)| theirs(key.role) && matches!(n.link, Link::Resolving { since } if now >= later(since, n.setup_timeout())))
            .map(|(key, _)| *key).collect();
        for key in unresolved {
            let node = self.nodes.get_mut(&key).expect("listed above");
            node.failed(
                format!("the name was not resolved within {:?}", node.setup_timeout()),
                true,
            );
            self.back_off(key, now);
        }
    }

    // What must go out

    /// What the loop is to do next.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// What has happened, in order.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// Whether [`poll_event`](Self::poll_event) has something.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        self.poll_timeout_of(|_| true, now)
    }

    /// When to call [`handle_timeout_of`](Self::handle_timeout_of) next.
    pub fn poll_timeout_of(&self, theirs: impl Fn(Role) -> bool, now: Instant) -> Option<Instant> {
        let connections = self.connections.values().filter(|(key, _)| theirs(key.role));
        let connections = connections.map(|(_, c)| c.poll_timeout());
        let nodes = self.nodes.iter().filter(|(key, _)| theirs(key.role));
        let nodes = nodes.filter_map(|(_, n)| match n.link {
            Link::Resolving { since } => Some(later(since, n.setup_timeout())),
            Link::Idle if n.wanted => Some(n.retry_at).filter(|at| now < *at),
            _ => n.muted_until.filter(|until| now < *until),
        });
        connections.chain(nodes).min()
    }

    // What is known

    /// Whether a request can be sent to a node now.
    #[must_use]
    pub fn can_send(&self, key: NodeKey, now: Instant) -> bool {
        let Some(node) = self.nodes.get(&key) else { return false };
        !node.is_muted(now) && self.open(key).is_some_and(Connection::has_room)
    }

    /// The version in which to ask a node, up to `cap`; `None` when it has none in common with us.
    #[must_use]
    pub fn version<R: Request>(&self, key: NodeKey, cap: Option<i16>) -> Option<i16> {
        self.open(key).filter(|c| c.is_ready())?.ranges().pick::<R>(cap)
    }

    /// The error of a node that has no version of a request in common with us.
    #[must_use]
    pub fn unsupported<R: Request>(&self, key: NodeKey) -> Error {
        let theirs = self.open(key).and_then(|c| c.ranges().range(R::KEY));
        Error::UnsupportedVersion {
            node: self
                .nodes
                .get(&key)
                .map_or_else(|| key.to_string(), |n| n.host.to_string())
                .into(),
            api: R::NAME,
            theirs: theirs
                .map_or_else(|| "none".to_owned(), |(low, high)| format!("{low} to {high}"))
                .into(),
            ours: format!("{} to {}", R::VERSIONS.start(), R::VERSIONS.end()).into(),
        }
    }

    /// Whether the client knows a node.
    #[must_use]
    pub fn knows(&self, key: NodeKey) -> bool {
        self.nodes.contains_key(&key)
    }

    /// Whether a node neither has a connection nor gets one, because the last attempts failed.
    #[must_use]
    pub fn is_failing(&self, key: NodeKey) -> bool {
        self.nodes.get(&key).is_some_and(|n| {
            n.backoff.failures() > 0 && self.open(key).is_none_or(|c| !c.is_ready())
        })
    }

    /// When bytes last went to a node or came from it, while there is a connection.
    #[must_use]
    pub fn last_active(&self, key: NodeKey) -> Option<Instant> {
        self.open(key).map(Connection::active)
    }

    /// Whether a node has bytes for us that we leave in the kernel.
    #[must_use]
    pub fn is_gated(&self, key: NodeKey) -> bool {
        self.open(key).is_some_and(Connection::is_gated)
    }

    /// Whether any connection is ready.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connections.values().any(|(_, c)| c.is_ready())
    }

    /// The memory that records are read into.
    #[must_use]
    pub fn pool(&self) -> &ChunkPool {
        &self.pool
    }

    // Helpers

    fn open(&self, key: NodeKey) -> Option<&Connection> {
        match self.nodes.get(&key)?.link {
            Link::Open(id) => self.connections.get(&id).map(|(_, c)| c),
            _ => None,
        }
    }

    fn connection_mut(&mut self, key: NodeKey) -> Option<&mut Connection> {
        match self.nodes.get(&key)?.link {
            Link::Open(id) => self.connections.get_mut(&id).map(|(_, c)| c),
            _ => None,
        }
    }

    fn handle_event(&mut self, key: NodeKey, event: Event, now: Instant) {
        let whole = matches!(
            event,
            Event::Response { .. } | Event::Fetch { piece: FetchPiece::End(_), .. }
        );
        if let Some(node) = self.nodes.get_mut(&key).filter(|_| whole) {
            node.answered();
        }
        let event = match event {
            Event::Ready => {
                if let Some(node) = self.nodes.get_mut(&key) {
                    node.succeeded();
                    self.refusals.remove(&key);
                    log::debug!(target: "kafka_blocking::net", "{key}: {} is ready", node.host);
                }
                ClientEvent::Ready(key)
            }
            Event::Response { id, version, body, throttle_time_ms } => {
                self.throttle(key, throttle_time_ms, now);
                ClientEvent::Response { id, node: key, result: Ok((version, body)) }
            }
            Event::Fetch { id, piece } => ClientEvent::Fetch { id, node: key, piece },
        };
        self.events.push_back(event);
    }

    /// Bootstrap connections have done their work once real brokers are known.
    fn close_idle_bootstrap(&mut self, now: Instant) {
        let idle: Vec<NodeKey> = self
            .nodes
            .keys()
            .filter(|k| {
                k.id < 0 && self.open(**k).is_some_and(|c| c.is_ready() && c.in_flight() == 0)
            })
            .copied()
            .collect();
        for key in idle {
            self.close_node(key, now, "the brokers themselves are known now");
        }
    }
}
