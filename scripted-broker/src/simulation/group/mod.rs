//! [`GroupSimulation`]: several consumers of one group against one [`Cluster`], without sockets, on a clock that jumps.
//!
//! A program of a member is an `async` function, only so that it can be left where it waits and be taken up again when the
//! clock has moved: there is one thread, and a seed decides everything. A member that is dropped where it waits is a process
//! that was killed, one that is not taken up is one that hangs.

use std::{
    cell::RefCell,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Waker},
    time::{Duration, Instant},
};

use kafka_blocking::{ConsumerBuilder, net::servers::HostPort};

use super::{
    Simulation,
    network::{Network, Reach},
};
use kafka_blocking::testing::Cluster;

mod closing;
mod consumer;
mod driver;
mod positions;
mod reading;
mod world;

pub use consumer::{ListenerHabits, SimulatedConsumer, Taken};
pub use world::{Entry, Happened, MemberId};
use world::{Shared, Wake, World};

/// The members of one group, brokers with the ids from 1 on, and the networks between them.
pub struct GroupSimulation {
    shared: Shared,
    members: Vec<Member>,
    nodes: u8,
    group: String,
    seed: u64,
    probing: bool,
}

struct Member {
    /// None once it has ended.
    program: Option<Pin<Box<dyn Future<Output = ()>>>>,
    frozen: bool,
}

/// So many rounds at one time are no progress any more.
const ROUNDS: usize = 10_000;

impl GroupSimulation {
    /// Brokers at `10.0.0.1:9092`, `10.0.0.2:9092`, …, and a group without members. With `probing`, machines that wait are
    /// now and then called before the time that they named, to see whether they had something to do.
    #[must_use]
    pub fn new(nodes: u8, group: &str, seed: u64, probing: bool) -> Self {
        let addresses = (1..=nodes).map(Simulation::address);
        let cluster = Cluster::new(addresses.map(|a| HostPort::new(a.ip().to_string(), a.port())));
        let world = World::new(cluster, group, Instant::now());
        Self {
            shared: Rc::new(RefCell::new(world)),
            members: Vec::new(),
            nodes,
            group: group.to_owned(),
            seed,
            probing,
        }
    }

    // Members

    /// Starts a member, which calls itself `m0`, `m1` and so on in the order in which they are started.
    ///
    /// # Panics
    /// Where the options are not allowed.
    pub fn start<F: Future<Output = ()> + 'static>(
        &mut self,
        options: impl FnOnce(ConsumerBuilder) -> ConsumerBuilder,
        listener: ListenerHabits,
        program: impl FnOnce(SimulatedConsumer) -> F,
    ) -> MemberId {
        let id = self.members.len();
        let addresses: Vec<SocketAddr> = (1..=self.nodes).map(Simulation::address).collect();
        let servers: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let builder = ConsumerBuilder::new()
            .bootstrap_servers(servers)
            .group_id(self.group.as_str())
            .client_id(format!("m{id}"));
        let resolved = options(builder).resolve().expect("options that are allowed");
        let seed = self.seed.wrapping_mul(1000).wrapping_add(id as u64);
        let mut world = self.shared.borrow_mut();
        let now = world.now;
        world.networks.push(Network::new(&addresses, seed).watched());
        world.wakes.push(Wake { at: now, listens: false, arrived: false });
        world.note(Some(id), Happened::Started);
        drop(world);
        let shared = self.shared.clone();
        let consumer = SimulatedConsumer::new(shared, id, &resolved, listener, seed, self.probing);
        self.members.push(Member { program: Some(Box::pin(program(consumer))), frozen: false });
        id
    }

    /// How many members were started, with those that have ended.
    #[must_use]
    pub fn started(&self) -> usize {
        self.members.len()
    }

    /// Whether a member runs; one that hangs does.
    #[must_use]
    pub fn is_running(&self, member: MemberId) -> bool {
        self.members[member].program.is_some()
    }

    /// Whether a member hangs.
    #[must_use]
    pub fn is_frozen(&self, member: MemberId) -> bool {
        self.members[member].frozen
    }

    /// A member's process dies. Its connections end if its machine lives on (`closing`), and fall silent if not.
    pub fn kill(&mut self, member: MemberId, closing: bool) {
        if self.members[member].program.take().is_some() {
            let mut world = self.shared.borrow_mut();
            world.note(Some(member), Happened::Note(format!("killed, closing: {closing}")));
            world.note(Some(member), Happened::Ended);
            let now = world.now;
            world.networks[member].abandon(closing, now);
        }
    }

    /// A member's process hangs, or goes on.
    pub fn set_frozen(&mut self, member: MemberId, frozen: bool) {
        if self.members[member].frozen != frozen {
            let note = if frozen { "frozen" } else { "thawed" };
            self.shared.borrow_mut().note(Some(member), Happened::Note(note.to_owned()));
        }
        self.members[member].frozen = frozen;
    }

    // Brokers

    /// Does something with the brokers.
    pub fn with_cluster<T>(&mut self, f: impl FnOnce(&mut Cluster, Instant) -> T) -> T {
        let mut world = self.shared.borrow_mut();
        let now = world.now;
        world.touched = true;
        f(&mut world.cluster, now)
    }

    /// A node dies: its connections end, and new ones are refused.
    pub fn stop(&mut self, node: u8) {
        self.with_cluster(|cluster, _| cluster.kill(node.into()));
        self.set_reach_of_all(node, Reach::Refuse);
    }

    /// A node comes back.
    pub fn restart(&mut self, node: u8) {
        self.with_cluster(|cluster, _| {
            cluster.revive(node.into());
            cluster.set_paused(node.into(), false);
        });
        self.set_reach_of_all(node, Reach::Up);
    }

    // Networks

    fn set_reach_of_all(&mut self, node: u8, reach: Reach) {
        for member in 0..self.members.len() {
            self.set_reach(member, node, reach);
        }
    }

    /// What becomes of attempts of a member to reach a node, and of packets between them, from now on.
    pub fn set_reach(&mut self, member: MemberId, node: u8, reach: Reach) {
        self.shared.borrow_mut().networks[member].set_reach(Simulation::address(node), reach);
    }

    /// How long packets take between a member and a node, one way.
    pub fn set_latency(&mut self, member: MemberId, node: u8, latency: Duration) {
        self.shared.borrow_mut().networks[member].set_latency(node.into(), latency);
    }

    /// Nothing arrives for so long on the connections that there are between a member and a node.
    pub fn hold(&mut self, member: MemberId, node: u8, time: Duration) {
        let mut world = self.shared.borrow_mut();
        let until = world.now + time;
        world.networks[member].hold(node.into(), until);
    }

    /// One of a member's connections dies.
    pub fn cut(&mut self, member: MemberId) {
        let mut world = self.shared.borrow_mut();
        let now = world.now;
        world.networks[member].cut(now);
    }

    // Time

    /// The time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.shared.borrow().elapsed()
    }

    /// Writes a note into the journal.
    pub fn note(&self, text: impl Into<String>) {
        self.shared.borrow_mut().note(None, Happened::Note(text.into()));
    }

    /// What has happened since the last call, in order.
    #[must_use]
    pub fn take_journal(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.shared.borrow_mut().journal)
    }

    /// Lets what is due now happen, and goes on to the time when there is more to do, but not beyond `limit` since the
    /// start. Says whether that is reached.
    pub fn step(&mut self, limit: Duration) -> bool {
        self.settle();
        let mut world = self.shared.borrow_mut();
        let limit = world.started + limit;
        if world.now >= limit {
            return true;
        }
        let waits = world.wakes.iter().zip(&self.members);
        let waits = waits.filter(|(_, m)| m.program.is_some() && !m.frozen);
        let next = waits.map(|(wake, _)| wake.at).chain(world.poll_timeout()).min();
        world.now = next.map_or(limit, |at| at.min(limit)).max(world.now);
        false
    }

    /// Does all that is to be done now.
    fn settle(&mut self) {
        for round in 0.. {
            assert!(round < ROUNDS, "it does not come to rest at {:?}", self.elapsed());
            let moved = self.shared.borrow_mut().carry();
            if !self.run_members() && !moved {
                break;
            }
        }
    }

    /// Lets those members go on that need not wait any longer; says whether there were any.
    fn run_members(&mut self) -> bool {
        let mut any = false;
        for (id, member) in self.members.iter_mut().enumerate().filter(|(_, m)| !m.frozen) {
            let Some(program) = &mut member.program else { continue };
            let world = self.shared.borrow();
            let wake = world.wakes[id];
            if world.now < wake.at && !(wake.listens && wake.arrived) {
                continue;
            }
            drop(world);
            any = true;
            if program.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                member.program = None;
                let mut world = self.shared.borrow_mut();
                world.note(Some(id), Happened::Ended);
                let now = world.now;
                world.networks[id].abandon(true, now);
            }
        }
        any
    }
}
