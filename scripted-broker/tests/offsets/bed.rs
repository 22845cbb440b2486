//! One machine between a client and scripted brokers, on a network that takes no time.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use kafka_blocking::{
    ConsumerBuilder, OffsetReset, Result,
    client::{
        ClientEvent, Command, KafkaClient, NodeKey,
        metadata::{Interest, Metadata},
    },
    fetcher::Context,
    net::{connection::RequestId, servers::HostPort},
    protocol::Request,
    records::ChunkPool,
    subscriptions::Subscriptions,
};
use scripted_broker::{Cluster, ConnectionId, Output, Simulation};

pub(crate) const BACKOFF: Duration = Duration::from_millis(100);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// What the machines of this folder have in common.
pub(crate) trait Machine {
    fn handle_response(
        &mut self,
        node: NodeKey,
        id: RequestId,
        result: &Result<(i16, Vec<u8>)>,
        cx: &mut Context<'_>,
    ) -> bool;
    fn poll(&mut self, cx: &mut Context<'_>);
    fn poll_timeout(&self) -> Option<Instant>;
}

pub(crate) struct Bed<M> {
    pub(crate) machine: M,
    pub(crate) cluster: Cluster,
    pub(crate) subscriptions: Subscriptions,
    client: KafkaClient,
    metadata: Metadata,
    links: BTreeMap<ConnectionId, Link>,
    down: BTreeSet<i32>,
    started: Instant,
    now: Instant,
    spins: usize,
}

#[derive(Default)]
struct Link {
    inbound: VecDeque<u8>,
    closed: bool,
}

impl<M: Machine> Bed<M> {
    /// Brokers with the ids from 1 on, that all lead some partition of `t`, which has one for each.
    pub(crate) fn new(nodes: u8, machine: M) -> Self {
        let addresses: Vec<SocketAddr> = (1..=nodes).map(Simulation::address).collect();
        let servers: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let options = ConsumerBuilder::new().bootstrap_servers(servers).resolve().unwrap();
        let hosts = addresses.iter().map(|a| HostPort::new(a.ip().to_string(), a.port()));
        let mut cluster = Cluster::new(hosts);
        cluster.state.create_topic("t", nodes.into());
        let now = Instant::now();
        let mut metadata = Metadata::new(options.metadata, BACKOFF, 1, now);
        metadata.set_interest(Interest::Topics(["t".into()].into()), now);
        let (connection, name) = (options.connection, options.client_id);
        let pool = ChunkPool::new(1 << 20);
        Self {
            machine,
            cluster,
            subscriptions: Subscriptions::new(OffsetReset::Earliest),
            client: KafkaClient::new(connection, name, &options.servers, pool, 1, now),
            metadata,
            links: BTreeMap::new(),
            down: BTreeSet::new(),
            started: now,
            now,
            spins: 0,
        }
    }

    /// The topics that metadata is asked about, besides `t`.
    pub(crate) fn set_topics(&mut self, topics: BTreeSet<Arc<str>>) {
        self.metadata.set_interest(Interest::Topics(topics), self.now);
    }

    /// Lets the client look again who leads.
    pub(crate) fn refresh_metadata(&mut self) {
        self.metadata.request_update();
    }

    /// The highest version of an API that a node speaks from now on.
    pub(crate) fn set_highest<R: Request>(&mut self, node: i32, highest: Option<i16>) {
        let versions = &mut self.cluster.state.node_mut(node).versions;
        versions.retain(|row| row.0 != R::KEY);
        versions.extend(highest.map(|highest| (R::KEY, 0, highest)));
    }

    /// A node dies, or comes back.
    pub(crate) fn set_down(&mut self, node: i32, down: bool) {
        if down {
            self.cluster.kill(node);
            self.down.insert(node);
        } else {
            self.down.remove(&node);
        }
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle();
        while self.now < end {
            self.jump(end);
            self.settle();
        }
    }

    /// Lets time pass until something is so; gives how long it took.
    pub(crate) fn run_until(
        &mut self,
        limit: Duration,
        condition: impl Fn(&Self) -> bool,
    ) -> Duration {
        let (begin, end) = (self.now, self.now + limit);
        self.settle();
        while !condition(self) {
            assert!(self.now < end, "it has not come about within {limit:?}");
            self.jump(end);
            self.settle();
        }
        self.now - begin
    }

    /// The requests of an API that a node was sent, with their times since the start.
    pub(crate) fn requests<R: Request>(&self, node: i32) -> Vec<(Duration, R)> {
        let of_node = self.cluster.requests().iter().filter(|r| r.node == node && r.is::<R>());
        of_node.map(|r| (r.at - self.started, r.decode().unwrap())).collect()
    }

    /// How often a machine wanted to be called again at once although there was nothing to do.
    pub(crate) fn spins(&self) -> usize {
        self.spins
    }

    fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 1_000, "the machines do not come to rest");
            self.client.handle_timeout(self.now);
            while let Some(event) = self.client.poll_event() {
                self.route(event);
            }
            let (machine, mut cx) = split(
                &mut self.machine,
                &mut self.subscriptions,
                &mut self.metadata,
                &mut self.client,
                self.now,
            );
            machine.poll(&mut cx);
            self.metadata.poll(&mut self.client, self.now);
            if !self.exchange() {
                break;
            }
        }
    }

    fn route(&mut self, event: ClientEvent) {
        let ClientEvent::Response { id, node, result } = event else { return };
        if self.metadata.handle_response(id, &result, &mut self.client, self.now) {
            return;
        }
        let (machine, mut cx) = split(
            &mut self.machine,
            &mut self.subscriptions,
            &mut self.metadata,
            &mut self.client,
            self.now,
        );
        assert!(machine.handle_response(node, id, &result, &mut cx), "nobody asked for {id}");
    }

    fn jump(&mut self, limit: Instant) {
        let next = [
            self.client.poll_timeout(self.now),
            self.metadata.poll_timeout(&self.client, self.now),
            self.machine.poll_timeout(),
            self.cluster.poll_timeout(),
        ];
        let next = next.into_iter().flatten().min().unwrap_or(limit);
        self.spins += usize::from(next <= self.now);
        self.now = next.max(self.now + Duration::from_micros(100)).min(limit);
    }

    /// Moves all that can be moved; says whether there was anything.
    fn exchange(&mut self) -> bool {
        let now = self.now;
        let mut moved = self.execute();
        for id in self.links.keys() {
            let Some(connection) = self.client.connection(*id) else { continue };
            let bytes = connection.poll_transmit().to_vec();
            if !bytes.is_empty() {
                connection.handle_sent(bytes.len(), now);
                self.cluster.receive(*id, &bytes, now);
                moved = true;
            }
        }
        self.cluster.handle(now);
        while let Some((id, output)) = self.cluster.poll_output() {
            match (self.links.get_mut(&id), output) {
                (Some(link), Output::Send(bytes)) => link.inbound.extend(bytes),
                (Some(link), Output::Close) => link.closed = true,
                (None, _) => {}
            }
        }
        moved | self.deliver()
    }

    fn execute(&mut self) -> bool {
        let mut any = false;
        while let Some(command) = self.client.poll_command() {
            any = true;
            match command {
                Command::Lookup(lookup) => unreachable!("{lookup:?}: addresses need none"),
                Command::Connect { connection, address } => {
                    let node = (1..).find(|n| Simulation::address(*n) == address).unwrap().into();
                    if self.down.contains(&node) {
                        let error = io::ErrorKind::ConnectionRefused.into();
                        self.client.handle_closed(connection, error, self.now);
                    } else {
                        self.links.insert(connection, Link::default());
                        self.cluster.accept(node, connection);
                        self.client.handle_connected(connection, self.now);
                    }
                }
                Command::Authenticate(_) => unreachable!("nobody has to log in"),
                Command::Close(connection) => {
                    self.links.remove(&connection);
                    self.cluster.lost(connection);
                }
            }
        }
        any
    }

    fn deliver(&mut self) -> bool {
        let mut any = false;
        for (id, link) in &mut self.links {
            while !link.inbound.is_empty() {
                let Some(space) = self.client.connection(*id).and_then(|c| c.read_space()) else {
                    break;
                };
                let n = space.len().min(link.inbound.len());
                space.iter_mut().zip(link.inbound.drain(..n)).for_each(|(to, from)| *to = from);
                self.client.handle_read(*id, n, self.now);
                any = true;
            }
            if link.closed && link.inbound.is_empty() && self.client.connection(*id).is_some() {
                let error = io::ErrorKind::UnexpectedEof.into();
                self.client.handle_closed(*id, error, self.now);
                any = true;
            }
        }
        any
    }
}

fn split<'a, M>(
    machine: &'a mut M,
    subscriptions: &'a mut Subscriptions,
    metadata: &'a mut Metadata,
    client: &'a mut KafkaClient,
    now: Instant,
) -> (&'a mut M, Context<'a>) {
    (machine, Context { subscriptions, metadata, client, now })
}
