//! [`Simulation`]: the consumer's machines against a [`Cluster`], without sockets, on a clock that jumps.
//!
//! All that happens is decided by a seed: the jitter of the machines, and the pieces in which bytes arrive.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use kafka_blocking::{
    ConsumerBuilder, Error, TopicPartition,
    consumer::{cursor::Cursor, machines::Machines},
    fetcher::{Item, Ready},
    net::servers::HostPort,
    subscriptions::Place,
};

use kafka_blocking::testing::{Cluster, GroupHandle};

mod group;
mod network;

pub use group::{
    Entry, GroupSimulation, Happened, ListenerHabits, MemberId, SimulatedConsumer, Taken,
};
use network::{ALL, Event, Network};
pub use network::{Attempt, Names, Reach};

/// A record that has come out of the machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Where it was.
    pub partition: TopicPartition,
    /// Its offset.
    pub offset: i64,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// When it came, since the start.
    pub at: Duration,
}

/// The machines of one consumer, brokers with the ids from 1 on, and the network between them.
pub struct Simulation {
    /// The machines.
    pub machines: Machines,
    /// The brokers.
    pub cluster: Cluster,
    network: Network,
    started: Instant,
    now: Instant,
    turns: u64,
    spins: Vec<(Duration, &'static str)>,
    consuming: bool,
    cursor: Cursor,
    received: Vec<Received>,
    errors: Vec<(Duration, Error)>,
}

/// How long a turn takes of a loop that does not wait.
const SPIN: Duration = Duration::from_micros(100);

impl Simulation {
    /// Brokers at `10.0.0.1:9092`, `10.0.0.2:9092`, …; all are bootstrap servers unless `options` names others.
    ///
    /// # Panics
    /// Where the options are not allowed.
    pub fn new(
        nodes: u8,
        seed: u64,
        options: impl FnOnce(ConsumerBuilder) -> ConsumerBuilder,
    ) -> Self {
        let addresses: Vec<SocketAddr> = (1..=nodes).map(Self::address).collect();
        let servers: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let builder = ConsumerBuilder::new().bootstrap_servers(servers);
        let resolved = options(builder).resolve().expect("options that are allowed");
        let now = Instant::now();
        let machines = Machines::new(&resolved, seed, now);
        let cursor = Cursor::new(&resolved.fetch, machines.client.pool().clone());
        Self {
            machines,
            cluster: Cluster::new(
                addresses.iter().map(|a| HostPort::new(a.ip().to_string(), a.port())),
            ),
            network: Network::new(&addresses, seed),
            started: now,
            now,
            turns: 0,
            spins: Vec::new(),
            consuming: true,
            cursor,
            received: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Where a node listens.
    #[must_use]
    pub fn address(node: u8) -> SocketAddr {
        ([10, 0, 0, node], 9092).into()
    }

    // What the user does

    /// Reads from these partitions.
    ///
    /// # Panics
    /// After [`subscribe`](Self::subscribe).
    pub fn assign<P: Into<TopicPartition>>(&mut self, partitions: impl IntoIterator<Item = P>) {
        let partitions = partitions.into_iter().map(Into::into).collect();
        self.machines.subscriptions.assign(partitions).expect("nothing is subscribed to");
        self.machines.subscription_changed(self.now);
    }

    /// Reads all partitions of these topics.
    ///
    /// # Panics
    /// After [`assign`](Self::assign).
    pub fn subscribe(&mut self, topics: &[&str]) {
        let topics = topics.iter().map(|t| (*t).into()).collect();
        let cluster = self.machines.metadata.cluster();
        self.machines.subscriptions.subscribe(topics, cluster).expect("nothing is assigned");
        self.machines.subscription_changed(self.now);
    }

    /// Reads on from an offset.
    ///
    /// # Panics
    /// Where the partition is not assigned.
    pub fn seek(&mut self, partition: impl Into<TopicPartition>, offset: i64) {
        let place = Place { offset, epoch: None };
        self.machines.subscriptions.seek(&partition.into(), place).expect("an assigned partition");
        self.machines.follow();
    }

    /// Whether records are taken out of the machines as they come; they are unless this says otherwise.
    pub fn set_consuming(&mut self, consuming: bool) {
        self.consuming = consuming;
    }

    // What happens to the network

    /// What becomes of attempts to reach an address, and of packets from and to it, from now on.
    pub fn set_reach(&mut self, address: SocketAddr, reach: Reach) {
        self.network.set_reach(address, reach);
    }

    /// How long packets take from and to a node, one way. It is a millisecond at first.
    pub fn set_latency(&mut self, node: i32, latency: Duration) {
        self.network.set_latency(node, latency);
    }

    /// What becomes of look-ups of a name. A name that was not set is unknown.
    pub fn set_name(&mut self, name: &str, names: Names) {
        self.network.set_name(name, names);
    }

    /// Lets a node listen at one more address.
    pub fn add_address(&mut self, node: i32, address: SocketAddr) {
        self.network.add_address(node, address);
    }

    /// A node dies: its connections end, and new ones are refused.
    pub fn stop(&mut self, node: u8) {
        self.cluster.kill(node.into());
        self.network.set_reach(Self::address(node), Reach::Refuse);
    }

    /// A node comes back.
    pub fn restart(&mut self, node: u8) {
        self.cluster.revive(node.into());
        self.network.set_reach(Self::address(node), Reach::Up);
    }

    /// A group, to look at and to change.
    #[must_use]
    pub fn group(&mut self, id: &str) -> GroupHandle<'_> {
        self.cluster.group(id, self.now)
    }

    // Time

    /// The time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now.duration_since(self.started)
    }

    /// The time as the machines see it.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle();
        while self.now < end {
            self.jump(end);
            self.settle();
        }
    }

    /// Lets time pass until something is so; gives how long it took.
    ///
    /// # Panics
    /// Where it has not become so within `limit`.
    pub fn run_until(
        &mut self,
        limit: Duration,
        mut condition: impl FnMut(&mut Self) -> bool,
    ) -> Duration {
        let (begin, end) = (self.now, self.now + limit);
        self.settle();
        while !condition(self) {
            let cause = self.machines.client.describe_failures(self.now);
            assert!(self.now < end, "it has not come about within {limit:?}: {cause}");
            self.jump(end);
            self.settle();
        }
        self.now - begin
    }

    // What was seen

    /// All attempts to connect, in order.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.network.attempts
    }

    /// All look-ups of names, in order, with their times since the start.
    #[must_use]
    pub fn lookups(&self) -> &[(Duration, String)] {
        &self.network.lookups
    }

    /// The records that have come, in order.
    #[must_use]
    pub fn received(&self) -> &[Received] {
        &self.received
    }

    /// The values that have come, in order, as text.
    #[must_use]
    pub fn values(&self) -> Vec<String> {
        let values = self.received.iter().map(|r| r.value.as_deref().unwrap_or_default());
        values.map(|v| String::from_utf8_lossy(v).into_owned()).collect()
    }

    /// The errors that the caller would have got, in order, with their times since the start.
    #[must_use]
    pub fn errors(&self) -> &[(Duration, Error)] {
        &self.errors
    }

    /// How often the machines were called: what a loop would cost.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// When the machines wanted to be called again at once although there was nothing to do, and which one did: a real
    /// loop would burn the processor.
    #[must_use]
    pub fn spins(&self) -> &[(Duration, &'static str)] {
        &self.spins
    }

    // Helpers

    /// Does all that is to be done now.
    fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 10_000, "the machines do not come to rest at {:?}", self.elapsed());
            self.machines.handle(self.now);
            self.turns += 1;
            // Whoever has taken something makes room for more.
            let taken = self.consume();
            if !self.exchange() && !taken {
                break;
            }
        }
    }

    /// Goes to the time when there is more to do, but not beyond `limit`.
    fn jump(&mut self, limit: Instant) {
        let next = [
            self.machines.poll_timeout(self.now),
            self.network.poll_timeout(),
            self.cluster.poll_timeout(),
        ];
        let next = next.into_iter().flatten().min().unwrap_or(limit);
        if next <= self.now {
            self.spins.push((self.elapsed(), most_urgent(&mut self.machines, self.now)));
        }
        self.now = next.max(self.now + SPIN).min(limit);
    }

    /// Takes what is ready; says whether there was anything.
    fn consume(&mut self) -> bool {
        let (at, mut taken) = (self.elapsed(), false);
        while let Some(error) = self.machines.poll_error() {
            self.errors.push((at, error));
        }
        while let Some(ready) = self.consuming.then(|| self.machines.fetcher.take_ready()).flatten()
        {
            self.take(ready);
            taken = true;
        }
        taken
    }

    fn take(&mut self, Ready { id, item }: Ready) {
        let (at, now) = (self.elapsed(), self.now);
        let subscriptions = &mut self.machines.subscriptions;
        let Item::Records(fetched) = item else {
            if let Err(error) = self.machines.fetcher.settle(id, item, subscriptions, now) {
                self.errors.push((at, error));
            }
            return;
        };
        let Some(state) = subscriptions.state(id) else { return };
        self.cursor.open(id, state, fetched);
        loop {
            while let Some(record) = self.cursor.next_in_batch() {
                self.received.push(Received {
                    partition: record.topic_partition(),
                    offset: record.offset(),
                    value: record.value().map(<[u8]>::to_vec),
                    at,
                });
            }
            match self.cursor.advance() {
                Ok(true) => {}
                Ok(false) => break,
                Err(damage) => {
                    self.errors.push((at, damage.error));
                    self.publish();
                    let subscriptions = &mut self.machines.subscriptions;
                    return self.machines.fetcher.handle_damage(damage.id, subscriptions, now);
                }
            }
        }
        self.publish();
    }

    /// Tells the machines how far records were taken.
    fn publish(&mut self) {
        if let Some((ticket, place)) = self.cursor.position() {
            self.machines.subscriptions.advance_position(ticket, place);
        }
        self.cursor.clear();
    }

    /// Moves all that can be moved now; says whether there was anything.
    fn exchange(&mut self) -> bool {
        let now = self.now;
        let client = &mut self.machines.client;
        let mut moved = self.network.execute(client, self.started, now);
        moved |= self.network.transmit(client, ALL, now);
        moved |= self.network.deliver(client, ALL, now);
        while let Some(event) = self.network.due(now) {
            moved = true;
            match event {
                Event::Accept { connection, node } => self.cluster.accept(node, connection),
                Event::ToNode { connection, bytes } => {
                    self.cluster.receive(connection, &bytes, now)
                }
                Event::Gone { connection } => self.cluster.lost(connection),
                event => self.network.arrive(event, client, now),
            }
        }
        self.cluster.handle(now);
        while let Some((connection, output)) = self.cluster.poll_output() {
            moved = true;
            self.network.send_to_client(connection, output, now);
        }
        moved
    }
}

/// Which machine wants to be called first.
fn most_urgent(machines: &mut Machines, now: Instant) -> &'static str {
    let attendance = machines.attendance;
    let group = machines.with_group(now, |group, cx| group.poll_timeout(attendance, cx)).flatten();
    let all = [
        (machines.client.poll_timeout(now), "client"),
        (machines.metadata.poll_timeout(&machines.client, now), "metadata"),
        (machines.resets.poll_timeout(), "resets"),
        (machines.validation.poll_timeout(), "validation"),
        (machines.fetcher.poll_timeout(now), "fetcher"),
        (group, "group"),
    ];
    let first = all.into_iter().filter_map(|(at, name)| Some((at?, name))).min();
    first.map_or("nobody", |(_, name)| name)
}

/// An address of the network that nobody listens at.
#[must_use]
pub fn nowhere(last: u8) -> IpAddr {
    [10, 9, 9, last].into()
}
