//! What the members of a simulated group share: the brokers, the clock, their networks, and a journal of what happened.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt,
    rc::Rc,
    time::{Duration, Instant},
};

use kafka_blocking::{
    Error, TopicPartition,
    client::KafkaClient,
    protocol::{self, Request, RequestHeader, offset_commit::OffsetCommitRequest},
    testing::{Cluster, ConnectionId, GroupState},
};

use crate::simulation::network::{Event, Network, Which};

/// Which member of a simulation it is, counted from 0 in the order in which they were started.
pub type MemberId = usize;

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When, since the start.
    pub at: Duration,
    /// To whom; `None` is the group itself.
    pub member: Option<MemberId>,
    /// What.
    pub what: Happened,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Happened {
    /// A member was started.
    Started,
    /// The program has come back from all that it was given.
    CameBack,
    /// The program was given a record.
    HandedOut(TopicPartition, i64),
    /// The program has finished with a record, and with those of its partition before it.
    Finished(TopicPartition, i64),
    /// The program goes to an offset.
    Sought(TopicPartition, i64),
    /// A call that blocks has come back.
    Returned {
        /// Which one.
        call: &'static str,
        /// How long it may have taken.
        timeout: Duration,
        /// How long it has, without the listener.
        took: Duration,
        /// When it began, since the start.
        began: Duration,
    },
    /// All that the program has paused now.
    Paused(BTreeSet<TopicPartition>),
    /// The listener is told what is assigned.
    Assigned(Vec<TopicPartition>),
    /// The listener is told what is revoked.
    Revoked(Vec<TopicPartition>),
    /// The listener is told what is lost.
    Lost(Vec<TopicPartition>),
    /// The listener has come back.
    Told,
    /// A member's machines have sent offsets to this node.
    CommitSent(i32, BTreeMap<TopicPartition, i64>),
    /// The program is told what has become of a commit.
    CommitDone(BTreeMap<TopicPartition, i64>, Result<(), Error>),
    /// The group has stored an offset, after this one.
    Stored(TopicPartition, Option<i64>, i64),
    /// The coordinator sees other members, by what their clients call themselves, in another state or generation.
    Group(GroupState, i32, Vec<(String, String)>),
    /// A call has failed.
    Failed(&'static str, Error),
    /// What a program, or a test, wants to be read beside the rest.
    Note(String),
    /// The machines wanted to be called again at once although there was nothing to do.
    Spun(&'static str),
    /// The machines did something before the time that they had named, although nothing had come in.
    WokeTooLate(String),
    /// A member has stopped: on its own, or from outside.
    Ended,
}

/// All of it.
pub(super) struct World {
    pub(super) cluster: Cluster,
    pub(super) now: Instant,
    pub(super) started: Instant,
    pub(super) networks: Vec<Network>,
    pub(super) wakes: Vec<Wake>,
    pub(super) journal: Vec<Entry>,
    /// A test may have changed something.
    pub(super) touched: bool,
    /// What the last exchange has done, for failures.
    pub(super) done: Vec<String>,
    group: String,
    seen: (Option<GroupState>, i32, Vec<(String, String)>),
    stored: BTreeMap<TopicPartition, i64>,
}

pub(super) type Shared = Rc<RefCell<World>>;

/// What a member waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wake {
    pub(super) at: Instant,
    /// Whether something that arrives ends the wait too.
    pub(super) listens: bool,
    pub(super) arrived: bool,
}

/// Connections of all clients have names of their own at the brokers.
const MEMBER_SHIFT: u32 = 32;

impl World {
    pub(super) fn new(cluster: Cluster, group: &str, now: Instant) -> Self {
        Self {
            cluster,
            now,
            started: now,
            networks: Vec::new(),
            wakes: Vec::new(),
            journal: Vec::new(),
            touched: true,
            done: Vec::new(),
            group: group.to_owned(),
            seen: (None, 0, Vec::new()),
            stored: BTreeMap::new(),
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.now - self.started
    }

    pub(super) fn note(&mut self, member: Option<MemberId>, what: Happened) {
        self.journal.push(Entry { at: self.elapsed(), member, what });
    }

    /// Moves what is on its way and has arrived by now; says whether there was anything.
    pub(super) fn carry(&mut self) -> bool {
        let mut moved = false;
        for member in 0..self.networks.len() {
            while let Some(event) = self.networks[member].due(self.now) {
                moved = true;
                self.arrive(member, event);
            }
        }
        let due = self.cluster.poll_timeout().is_some_and(|at| at <= self.now);
        self.cluster.handle(self.now);
        while let Some((id, output)) = self.cluster.poll_output() {
            moved = true;
            let (member, local) = (id >> MEMBER_SHIFT, id & ((1 << MEMBER_SHIFT) - 1));
            let member = usize::try_from(member).expect("it came from a member");
            self.networks[member].send_to_client(local, output, self.now);
        }
        if moved || due || self.touched {
            self.touched = false;
            self.look_at_group();
        }
        moved
    }

    fn arrive(&mut self, member: MemberId, event: Event) {
        let global = |local: ConnectionId| ((member as ConnectionId) << MEMBER_SHIFT) | local;
        match event {
            Event::Accept { connection, node } => self.cluster.accept(node, global(connection)),
            Event::ToNode { connection, bytes } => {
                self.cluster.receive(global(connection), &bytes, self.now);
            }
            Event::Gone { connection } => self.cluster.lost(global(connection)),
            event => {
                self.networks[member].keep(event);
                self.wakes[member].arrived = true;
            }
        }
    }

    /// When there is more to do; members aside.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let networks = self.networks.iter().filter_map(Network::poll_timeout);
        networks.chain(self.cluster.poll_timeout()).min()
    }

    /// Moves all that a member's connections can move now; says whether there was anything.
    pub(super) fn exchange(
        &mut self,
        member: MemberId,
        client: &mut KafkaClient,
        which: Which,
    ) -> bool {
        let (now, started) = (self.now, self.started);
        let network = &mut self.networks[member];
        let attempts = network.attempts.len();
        let mut moved = network.take_kept(client, which, now);
        moved |= network.execute(client, started, now);
        moved |= network.transmit(client, which, now);
        moved |= network.deliver(client, which, now);
        let attempts = network.attempts[attempts..].iter();
        self.done = attempts.map(|a| format!("connect to {}", a.address)).collect();
        for (node, bytes) in network.take_watched() {
            self.done
                .extend(apis(&bytes).into_iter().map(|api| format!("api {api} to node {node}")));
            for commit in commits(&bytes) {
                self.note(Some(member), Happened::CommitSent(node, commit));
            }
        }
        moved
    }

    fn look_at_group(&mut self) {
        let (group, now) = (self.group.clone(), self.now);
        let view = self.cluster.group(&group, now).view();
        let members = view.members.into_iter().map(|m| (m.client_id, m.id)).collect();
        let seen = (Some(view.state), view.generation, members);
        if seen != self.seen {
            self.seen = seen.clone();
            self.note(None, Happened::Group(view.state, seen.1, seen.2));
        }
        for (partition, committed) in view.offsets {
            let before = self.stored.insert(partition.clone(), committed.offset);
            if before != Some(committed.offset) {
                self.note(None, Happened::Stored(partition, before, committed.offset));
            }
        }
    }
}

/// The keys of whole requests in these bytes.
fn apis(bytes: &[u8]) -> Vec<i16> {
    requests(bytes).into_iter().map(|(header, _)| header.api_key).collect()
}

/// Whole requests in these bytes.
fn requests(mut bytes: &[u8]) -> Vec<(RequestHeader, &[u8])> {
    let mut found = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((frame, rest)) = rest.split_at_checked(length) else { break };
        bytes = rest;
        let Ok((header, start)) = protocol::decode_request_header(frame) else { break };
        found.push((header, &frame[start..]));
    }
    found
}

/// The offsets that whole requests in these bytes commit.
fn commits(bytes: &[u8]) -> Vec<BTreeMap<TopicPartition, i64>> {
    let all = requests(bytes).into_iter().filter(|(h, _)| h.api_key == OffsetCommitRequest::KEY);
    let offsets = |(header, body): (RequestHeader, &[u8])| {
        let request: OffsetCommitRequest = protocol::decode_request(body, header.api_version)
            .expect("what the client sends is well-formed");
        let topics = request.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|p| {
                let partition = TopicPartition::new(topic.name.as_str(), p.partition_index);
                (partition, p.committed_offset)
            })
        });
        topics.collect()
    };
    all.map(offsets).collect()
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = self.member.map_or_else(|| "group".to_owned(), |member| format!("m{member}"));
        write!(f, "{:>9.3} {who:<5} ", self.at.as_secs_f64())?;
        match &self.what {
            Happened::HandedOut(partition, offset) => write!(f, "handed out {partition} @{offset}"),
            Happened::Sought(partition, offset) => write!(f, "seeks to {partition} @{offset}"),
            Happened::Assigned(all) => write!(f, "assigned {}", list(all)),
            Happened::Revoked(all) => write!(f, "revoked {}", list(all)),
            Happened::Lost(all) => write!(f, "lost {}", list(all)),
            Happened::CommitSent(node, offsets) => {
                write!(f, "commit to node {node}: {}", pairs(offsets))
            }
            Happened::CommitDone(offsets, Ok(())) => write!(f, "committed {}", pairs(offsets)),
            Happened::CommitDone(offsets, Err(error)) => {
                write!(f, "not committed {}: {error}", pairs(offsets))
            }
            Happened::Stored(partition, before, offset) => {
                write!(f, "stored {partition} @{offset}, before that {before:?}")
            }
            Happened::Group(state, generation, members) => {
                write!(f, "{state:?} generation {generation}:")?;
                members.iter().try_for_each(|(_, id)| write!(f, " {id}"))
            }
            Happened::Failed(call, error) => write!(f, "{call} failed: {error}"),
            Happened::Note(text) => f.write_str(text),
            other => write!(f, "{other:?}"),
        }
    }
}

fn list(partitions: &[TopicPartition]) -> String {
    partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn pairs(offsets: &BTreeMap<TopicPartition, i64>) -> String {
    offsets.iter().map(|(p, o)| format!("{p} @{o}")).collect::<Vec<_>>().join(" ")
}
