//! The network of a simulation: which packet arrives when, and which never does.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use kafka_blocking::{
    client::{Command, KafkaClient, Role},
    net::resolver::{Found, Lookup},
};

use kafka_blocking::testing::{ConnectionId, Output};

/// What becomes of packets to and from an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// They arrive.
    #[default]
    Up,
    /// Attempts to connect are refused; connections that there are go on.
    Refuse,
    /// They are lost: attempts to connect hang, and connections that there are fall silent.
    Lost,
}

/// What becomes of the look-up of a name.
#[derive(Clone, Debug)]
pub enum Names {
    /// It has these addresses.
    Addresses(Vec<IpAddr>),
    /// It fails with this text.
    Fails(&'static str),
    /// It is never answered.
    Never,
}

/// An attempt to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When, since the start.
    pub at: Duration,
    /// Where to.
    pub address: SocketAddr,
}

/// Something that happens at its time.
#[derive(Debug)]
pub(super) enum Event {
    Found { lookup: Lookup, found: Found },
    Refused { connection: ConnectionId },
    Accept { connection: ConnectionId, node: i32 },
    Connected { connection: ConnectionId },
    ToNode { connection: ConnectionId, bytes: Vec<u8> },
    Gone { connection: ConnectionId },
    ToClient { connection: ConnectionId, bytes: Vec<u8> },
    Closed { connection: ConnectionId },
}

pub(super) struct Network {
    pub(super) attempts: Vec<Attempt>,
    pub(super) lookups: Vec<(Duration, String)>,
    listeners: BTreeMap<SocketAddr, i32>,
    reach: BTreeMap<SocketAddr, Reach>,
    latency: BTreeMap<i32, Duration>,
    names: BTreeMap<String, Names>,
    links: BTreeMap<ConnectionId, Link>,
    /// Where connections went that a client has left behind.
    orphans: BTreeMap<ConnectionId, SocketAddr>,
    events: BTreeMap<(Instant, u64), Event>,
    scheduled: u64,
    random: fastrand::Rng,
    /// What has arrived for a client that did not look yet.
    kept: Vec<Event>,
    /// What was sent to nodes since somebody looked, where somebody does.
    watched: Option<Vec<(i32, Vec<u8>)>>,
}

/// Whose bytes are moved, by what connections are for.
pub(super) type Which = fn(Option<Role>) -> bool;

/// Every connection's.
pub(super) const ALL: Which = |_| true;

/// A connection, as the client's machine sees it.
struct Link {
    address: SocketAddr,
    latency: Duration,
    connected: bool,
    inbound: VecDeque<u8>,
    closed: bool,
    /// No packet overtakes another.
    last: Instant,
}

const LATENCY: Duration = Duration::from_millis(1);

impl Network {
    pub(super) fn new(nodes: &[SocketAddr], seed: u64) -> Self {
        Self {
            attempts: Vec::new(),
            lookups: Vec::new(),
            listeners: nodes.iter().copied().zip(1..).collect(),
            reach: BTreeMap::new(),
            latency: BTreeMap::new(),
            names: BTreeMap::new(),
            links: BTreeMap::new(),
            orphans: BTreeMap::new(),
            events: BTreeMap::new(),
            scheduled: 0,
            random: fastrand::Rng::with_seed(seed),
            kept: Vec::new(),
            watched: None,
        }
    }

    /// The same, and remembers what is sent, for [`take_watched`](Self::take_watched).
    pub(super) fn watched(self) -> Self {
        Self { watched: Some(Vec::new()), ..self }
    }

    /// What was sent since the last call, and to which node.
    pub(super) fn take_watched(&mut self) -> Vec<(i32, Vec<u8>)> {
        self.watched.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn set_reach(&mut self, address: SocketAddr, reach: Reach) {
        self.reach.insert(address, reach);
    }

    pub(super) fn set_latency(&mut self, node: i32, latency: Duration) {
        self.latency.insert(node, latency);
        let listeners = &self.listeners;
        for link in self.links.values_mut().filter(|l| listeners.get(&l.address) == Some(&node)) {
            link.latency = latency;
        }
    }

    pub(super) fn set_name(&mut self, name: &str, names: Names) {
        self.names.insert(name.to_owned(), names);
    }

    pub(super) fn add_address(&mut self, node: i32, address: SocketAddr) {
        self.listeners.insert(address, node);
    }

    /// Nothing arrives on the connections that there are to a node before `until`, in either direction.
    pub(super) fn hold(&mut self, node: i32, until: Instant) {
        let listeners = &self.listeners;
        for link in self.links.values_mut().filter(|l| listeners.get(&l.address) == Some(&node)) {
            link.last = link.last.max(until);
        }
    }

    /// One of the connections dies; both ends learn of it.
    pub(super) fn cut(&mut self, now: Instant) {
        let ids: Vec<ConnectionId> =
            self.links.iter().filter(|(_, l)| l.connected).map(|(id, _)| *id).collect();
        let Some(connection) = ids.get(self.random.usize(..ids.len().max(1))).copied() else {
            return;
        };
        let Some(link) = self.links.get(&connection) else { return };
        let at = now + link.latency;
        self.schedule(at, Event::Gone { connection });
        self.schedule(at, Event::Closed { connection });
    }

    /// The client is no more. With `closing` its connections end; without, nobody hears of that.
    pub(super) fn abandon(&mut self, closing: bool, now: Instant) {
        let links = std::mem::take(&mut self.links);
        if !closing {
            return self.events.clear();
        }
        // What was sent before still arrives.
        let to_nodes = |e: &Event| matches!(e, Event::Accept { .. } | Event::ToNode { .. });
        self.events.retain(|_, event| to_nodes(event));
        for (connection, link) in links {
            let at = link.last.max(now + link.latency);
            self.orphans.insert(connection, link.address);
            self.schedule(at, Event::Gone { connection });
        }
    }

    // From the client

    /// Carries the client's commands out.
    pub(super) fn execute(
        &mut self,
        client: &mut KafkaClient,
        started: Instant,
        now: Instant,
    ) -> bool {
        let mut any = false;
        while let Some(command) = client.poll_command() {
            any = true;
            let at = now - started;
            match command {
                Command::Lookup(lookup) => self.look_up(lookup, at, now),
                Command::Connect { connection, address } => {
                    self.attempts.push(Attempt { at, address });
                    self.connect(connection, address, now);
                }
                Command::Authenticate(connection) => {
                    if let Some(call) = client.take_call(connection) {
                        client.handle_authenticated(connection, call.run(), now);
                    }
                }
                Command::Close(connection) => {
                    if let Some(link) = self.links.remove(&connection) {
                        self.schedule(
                            link.last.max(now + link.latency),
                            Event::Gone { connection },
                        );
                    }
                }
            }
        }
        any
    }

    /// Sends what the connections have to send.
    pub(super) fn transmit(
        &mut self,
        client: &mut KafkaClient,
        which: Which,
        now: Instant,
    ) -> bool {
        let mut sent = Vec::new();
        for (id, link) in self.links.iter_mut().filter(|(_, l)| l.connected) {
            if !which(client.role(*id)) {
                continue;
            }
            let Some(connection) = client.connection(*id) else { continue };
            let bytes = connection.poll_transmit().to_vec();
            if !bytes.is_empty() {
                connection.handle_sent(bytes.len(), now);
                link.last = link.last.max(now + link.latency);
                if let Some(watched) = &mut self.watched {
                    let node = self.listeners.get(&link.address).copied();
                    watched.extend(node.map(|node| (node, bytes.clone())));
                }
                sent.push((link.last, Event::ToNode { connection: *id, bytes }));
            }
        }
        let any = !sent.is_empty();
        sent.into_iter().for_each(|(at, event)| self.schedule(at, event));
        any
    }

    // To the client

    /// Puts an answer on its way.
    pub(super) fn send_to_client(
        &mut self,
        connection: ConnectionId,
        output: Output,
        now: Instant,
    ) {
        let Some(link) = self.links.get_mut(&connection) else { return };
        link.last = link.last.max(now + link.latency);
        let at = link.last;
        self.schedule(
            at,
            match output {
                Output::Send(bytes) => Event::ToClient { connection, bytes },
                Output::Close => Event::Closed { connection },
            },
        );
    }

    /// Something has arrived at the client's machine.
    pub(super) fn arrive(&mut self, event: Event, client: &mut KafkaClient, now: Instant) {
        match event {
            Event::Found { lookup, found } => client.handle_found(&lookup, found, now),
            Event::Refused { connection } => {
                if self.links.remove(&connection).is_some() {
                    client.handle_closed(connection, io::ErrorKind::ConnectionRefused.into(), now);
                }
            }
            Event::Connected { connection } => {
                if let Some(link) = self.links.get_mut(&connection) {
                    link.connected = true;
                    client.handle_connected(connection, now);
                }
            }
            event @ (Event::ToClient { .. } | Event::Closed { .. }) => self.keep(event),
            Event::Accept { .. } | Event::ToNode { .. } | Event::Gone { .. } => {
                unreachable!("what goes to the nodes is not for the client")
            }
        }
    }

    /// Something has arrived for a client that does not look now.
    pub(super) fn keep(&mut self, event: Event) {
        match event {
            Event::ToClient { connection, bytes } => {
                if let Some(link) = self.links.get_mut(&connection) {
                    link.inbound.extend(bytes);
                }
            }
            Event::Closed { connection } => {
                if let Some(link) = self.links.get_mut(&connection) {
                    link.closed = true;
                }
            }
            event => self.kept.push(event),
        }
    }

    /// Lets the client see what was kept for it; says whether there was anything.
    pub(super) fn take_kept(
        &mut self,
        client: &mut KafkaClient,
        which: Which,
        now: Instant,
    ) -> bool {
        let (seen, left) = std::mem::take(&mut self.kept).into_iter().partition(|e| match e {
            Event::Refused { connection } | Event::Connected { connection } => {
                which(client.role(*connection))
            }
            _ => true,
        });
        self.kept = left;
        let seen: Vec<Event> = seen;
        let any = !seen.is_empty();
        seen.into_iter().for_each(|event| self.arrive(event, client, now));
        any
    }

    /// Lets the client read what has arrived, in pieces as they come; leaves what it does not want.
    pub(super) fn deliver(&mut self, client: &mut KafkaClient, which: Which, now: Instant) -> bool {
        let mut any = false;
        for (id, link) in &mut self.links {
            if !which(client.role(*id)) {
                continue;
            }
            while !link.inbound.is_empty() && !client.has_events() {
                let Some(space) = client.connection(*id).and_then(|c| c.read_space()) else {
                    break;
                };
                let most = space.len().min(link.inbound.len());
                let n = self.random.usize(1..=most);
                for (to, from) in space.iter_mut().zip(link.inbound.drain(..n)) {
                    *to = from;
                }
                client.handle_read(*id, n, now);
                any = true;
            }
            if link.closed && link.inbound.is_empty() && client.connection(*id).is_some() {
                let text = "the broker closed the connection";
                let error = io::Error::new(io::ErrorKind::UnexpectedEof, text);
                client.handle_closed(*id, error, now);
                any = true;
            }
        }
        any
    }

    // Time

    /// The next event whose time has come, unless it is lost on the way.
    pub(super) fn due(&mut self, now: Instant) -> Option<Event> {
        loop {
            let entry = self.events.first_entry().filter(|e| e.key().0 <= now)?;
            let event = entry.remove();
            let (Event::Refused { connection }
            | Event::Accept { connection, .. }
            | Event::Connected { connection }
            | Event::ToNode { connection, .. }
            | Event::ToClient { connection, .. }
            | Event::Closed { connection }) = &event
            else {
                return Some(event);
            };
            let link = self.links.get(connection).map(|l| l.address);
            let address = link.or_else(|| self.orphans.get(connection).copied());
            if address.is_some_and(|a| self.reach_of(a) != Reach::Lost) {
                return Some(event);
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.events.keys().next().map(|(at, _)| *at)
    }

    // Helpers

    fn schedule(&mut self, at: Instant, event: Event) {
        self.scheduled += 1;
        self.events.insert((at, self.scheduled), event);
    }

    fn reach_of(&self, address: SocketAddr) -> Reach {
        self.reach.get(&address).copied().unwrap_or_default()
    }

    fn look_up(&mut self, lookup: Lookup, at: Duration, now: Instant) {
        let (Lookup::Addresses(name) | Lookup::CanonicalNames(name)) = &lookup else {
            unreachable!("{lookup:?}: there is no proxy");
        };
        self.lookups.push((at, name.clone()));
        let result = match self.names.get(name) {
            Some(Names::Never) => return,
            Some(Names::Addresses(addresses)) => Ok(addresses.clone()),
            Some(Names::Fails(text)) => Err(io::Error::other(*text)),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
        };
        let found = match &lookup {
            Lookup::Addresses(_) => Found::Addresses(result),
            _ => Found::CanonicalNames(
                result.map(|all| all.iter().map(ToString::to_string).collect()),
            ),
        };
        self.schedule(now + LATENCY, Event::Found { lookup, found });
    }

    fn connect(&mut self, connection: ConnectionId, address: SocketAddr, now: Instant) {
        let node = self.listeners.get(&address).copied();
        let latency = node.and_then(|n| self.latency.get(&n)).copied().unwrap_or(LATENCY);
        let last = now + latency;
        let link = Link {
            address,
            latency,
            connected: false,
            inbound: VecDeque::new(),
            closed: false,
            last,
        };
        self.links.insert(connection, link);
        match (node, self.reach_of(address)) {
            (_, Reach::Lost) => {}
            (Some(node), Reach::Up) => {
                self.schedule(last, Event::Accept { connection, node });
                self.schedule(last, Event::Connected { connection });
            }
            _ => self.schedule(last, Event::Refused { connection }),
        }
    }
}
