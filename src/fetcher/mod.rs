//! Which partitions to ask of which broker, and what becomes of the answers.
//!
//! One Fetch is under way per broker. Its answer is taken as it streams in: a chunk is ready as soon as it is whole,
//! and the next request leaves when the last byte of the answer was read, while its records are still handed out.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Error, Result,
    client::{KafkaClient, NodeKey, Role},
    consumer::options::FetchOptions,
    net::{
        connection::{RequestId, later},
        fetch_stream::RecordsPiece,
    },
    protocol::fetch::FetchRequest,
    subscriptions::{PartitionId, Subscriptions},
};

mod aborted;
mod answers;
pub mod leaders;
pub mod list_offsets;
pub mod offsets;
mod parking;
pub mod query;
mod replicas;
mod request;
mod session;
pub mod validation;

pub use crate::subscriptions::Context;
use aborted::AbortedFilter;
use parking::Parked;

use request::{NAMES_BY_ID, fetch_request};
use session::{Ask, Session};

/// With this much ready, no more is read: the rest waits in the kernel.
const READY_ENOUGH: usize = 1 << 20;

/// With this much ready, nothing more is asked for.
const READY_FULL: usize = 4 << 20;

/// How long a broker may be silent beyond `fetch_max_wait_ms` before others are asked whether it still leads.
const SILENCE: Duration = Duration::from_secs(1);

/// How often others are asked while a broker stays silent.
const SUSPICION: Duration = Duration::from_millis(500);

/// How long a partition that was just given a position waits for the answer to a request that knows nothing of it.
/// A broker without new records holds that back for up to `fetch_max_wait_ms`, and takes no other request meanwhile.
const HURRY: Duration = Duration::from_millis(10);

/// Something for the caller, in the order in which it is to be handed out.
#[derive(Debug)]
pub struct Ready {
    /// The partition that it belongs to.
    pub id: PartitionId,
    /// What it is.
    pub item: Item,
}

/// What a partition has to offer.
#[derive(Debug)]
pub enum Item {
    /// Whole batches.
    Records(Fetched),
    /// The leader does not have the offset.
    OutOfRange(i64),
    /// An error for the caller.
    Failed(Error),
}

/// Whole batches, and what of them is not for the caller.
#[derive(Debug)]
pub struct Fetched {
    /// The batches.
    pub piece: RecordsPiece,
    /// The base offsets of those that belong to aborted transactions, in order.
    pub aborted: Vec<i64>,
}

/// The machine.
#[derive(Debug)]
pub struct Fetcher {
    options: FetchOptions,
    retry_backoff: Duration,
    /// For how long a follower is read from before the leader is asked again.
    replica_max_age: Duration,
    nodes: BTreeMap<i32, NodeFetch>,
    homes: BTreeMap<PartitionId, i32>,
    retries: BTreeSet<(Instant, PartitionId)>,
    ready: VecDeque<Ready>,
    ready_bytes: usize,
    parked: Parked,
    /// Partitions that were paused while a request was under way that asks for them.
    lingering: BTreeSet<PartitionId>,
    /// Followers that have failed, and until when they are not read from.
    distrusted: BTreeMap<i32, Instant>,
    cluster_seen: u64,
}

#[derive(Debug, Default)]
struct NodeFetch {
    session: Session,
    flight: Option<Flight>,
    retry_at: Option<Instant>,
    /// When to give up the request that is under way, for a better one.
    hurry_at: Option<Instant>,
    /// When to read from leaders what a follower has, unless it can be reached before.
    reach_by: Option<Instant>,
    /// The last answer was too long to be taken.
    too_long: bool,
}

/// The request that is under way.
#[derive(Debug)]
struct Flight {
    id: RequestId,
    version: i16,
    /// When to suspect the broker, unless it is heard of before.
    suspect_at: Instant,
    /// Whether the answer has begun.
    heard: bool,
    failed: bool,
    topic: Option<Arc<str>>,
    seen: BTreeSet<PartitionId>,
    reading: Option<Reading>,
    progress: bool,
}

/// The partition whose part of an answer is being read.
#[derive(Debug)]
struct Reading {
    id: PartitionId,
    /// Where its next records should begin.
    offset: i64,
    /// The leader's epoch as it was asked with.
    leader_epoch: Option<i32>,
    aborted: Option<AbortedFilter>,
}

impl Fetcher {
    /// Nothing is fetched yet.
    #[must_use]
    pub fn new(options: FetchOptions, retry_backoff: Duration, replica_max_age: Duration) -> Self {
        Self {
            options,
            retry_backoff,
            replica_max_age,
            nodes: BTreeMap::new(),
            homes: BTreeMap::new(),
            retries: BTreeSet::new(),
            ready: VecDeque::new(),
            ready_bytes: 0,
            parked: Parked::default(),
            lingering: BTreeSet::new(),
            distrusted: BTreeMap::new(),
            cluster_seen: 0,
        }
    }

    // Commands

    /// What to hand out next.
    pub fn take_ready(&mut self) -> Option<Ready> {
        let ready = self.ready.pop_front()?;
        self.ready_bytes -= size(&ready);
        Some(ready)
    }

    /// Nobody did anything about connections for this long, and some take more than one step.
    pub fn was_away(&mut self, time: Duration) {
        for at in self.nodes.values_mut().filter_map(|node| node.reach_by.as_mut()) {
            *at = later(*at, time);
        }
    }

    /// Has the bytes of records wait in the kernel while enough of them are here.
    pub fn gate(&self, client: &mut KafkaClient, now: Instant) {
        client.set_gated(self.ready_bytes >= READY_ENOUGH, now);
    }

    // What must go out

    /// Sends what is to be asked.
    pub fn poll(&mut self, cx: &mut Context<'_>) {
        self.follow(cx.subscriptions);
        self.distrusted.retain(|_, until| cx.now < *until);
        self.poll_nodes(cx);
        if cx.subscriptions.has_touched() {
            // A follower was left: its leader is asked at once.
            self.poll_nodes(cx);
        }
        self.nodes.retain(|id, node| {
            node.flight.is_some()
                || !node.session.is_empty()
                || cx.client.knows(NodeKey { id: *id, role: Role::Fetch })
        });
        self.gate(cx.client, cx.now);
    }

    /// When to call [`poll`](Self::poll) although nothing came in.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let retry = self.retries.first().map(|(at, _)| *at);
        let nodes = self.nodes.values().flat_map(|n| match &n.flight {
            Some(flight) => [Some(flight.suspect_at), n.hurry_at],
            None => [n.retry_at.filter(|_| !n.session.is_empty()), n.reach_by],
        });
        nodes.flatten().chain(retry).filter(|at| now < *at).min()
    }

    // What is known

    /// Whether there is something to hand out.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether what is to be handed out next are records.
    #[must_use]
    pub fn has_ready_records(&self) -> bool {
        matches!(self.ready.front(), Some(Ready { item: Item::Records(_), .. }))
    }

    /// Whether so little is ready that reading on is worth while.
    #[must_use]
    pub fn wants_more(&self) -> bool {
        self.ready_bytes < READY_ENOUGH / 2
    }

    fn poll_nodes(&mut self, cx: &mut Context<'_>) {
        self.place_partitions(cx);
        for id in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.watch_silence(id, cx);
            self.give_up_for_better(id, cx);
            self.poll_node(id, cx);
        }
    }

    // Placing partitions with their leaders

    fn place_partitions(&mut self, cx: &mut Context<'_>) {
        let mut touched = cx.subscriptions.take_touched();
        let changes = cx.metadata.cluster().changes();
        if changes != self.cluster_seen {
            self.cluster_seen = changes;
            touched.extend(cx.subscriptions.partition_ids());
        }
        while let Some((at, id)) = self.retries.first().copied().filter(|(at, _)| *at <= cx.now) {
            self.retries.remove(&(at, id));
            touched.insert(id);
        }
        for id in touched {
            if cx.subscriptions.is_paused(id) && self.is_under_way(id) {
                // What was asked for will be there when it is resumed; then, or with the next request, this is looked at.
                self.lingering.insert(id);
                continue;
            }
            self.lingering.remove(&id);
            let ask = self.ask_for(id, cx);
            let home = ask.as_ref().map(|(node, _)| *node);
            if let Some(old) = self.homes.get(&id).copied().filter(|old| Some(*old) != home) {
                self.homes.remove(&id);
                if let Some(node) = self.nodes.get_mut(&old) {
                    node.session.drop_member(id);
                }
            }
            if let Some((home, ask)) = ask {
                self.homes.insert(id, home);
                let node = self.nodes.entry(home).or_default();
                node.session.want(id, ask);
                if cx.subscriptions.take_moved(id) && node.flight.is_some() {
                    node.hurry_at = Some(later(cx.now, HURRY));
                }
            }
        }
    }

    /// Whether the request that is under way may bring records of a partition.
    fn is_under_way(&self, id: PartitionId) -> bool {
        let node = self.homes.get(&id).and_then(|home| self.nodes.get(home));
        node.is_some_and(|node| node.flight.is_some())
    }

    /// What to ask about a partition now, and whom.
    fn ask_for(&mut self, id: PartitionId, cx: &mut Context<'_>) -> Option<(i32, Ask)> {
        let state = cx.subscriptions.state(id).filter(|state| !state.paused)?;
        let place = state.wanted()?;
        if let Some(at) = state.retry_at.filter(|at| *at > cx.now) {
            self.retries.insert((at, id));
            return None;
        }
        let cluster = cx.metadata.cluster();
        let Some(leader) = cluster.leader(&state.partition) else {
            // Asked about until there is one: an answer that changes nothing touches no partition.
            cx.metadata.request_update();
            self.retries.insert((later(cx.now, SILENCE), id));
            return None;
        };
        let known = cluster.partition(&state.partition)?;
        let source = self.source(id, leader, state, known, cx);
        let ask = Ask {
            topic_id: cluster.topic(state.partition.topic()).and_then(|t| t.id),
            partition: state.partition.clone(),
            offset: place.offset,
            // A follower knows no epoch that it has no record of, and takes an offset in such a one to be out of range.
            last_fetched_epoch: place.epoch.filter(|_| source == leader),
            leader_epoch: known.epoch,
        };
        Some((source, ask))
    }

    fn watch_silence(&mut self, id: i32, cx: &mut Context<'_>) {
        let Some(flight) = self.nodes.get_mut(&id).and_then(|n| n.flight.as_mut()) else { return };
        if cx.now < flight.suspect_at {
            return;
        }
        let key = NodeKey { id, role: Role::Fetch };
        // Over a slow line a chunk takes long, and its bytes are no silence.
        let active = cx.client.last_active(key).filter(|_| flight.heard);
        if let Some(until) = active.map(|at| later(at, SILENCE)).filter(|until| cx.now < *until) {
            flight.suspect_at = until;
            return;
        }
        flight.suspect_at = later(cx.now, SUSPICION);
        // It is we who do not read.
        if !cx.client.is_gated(key) && !self.give_up_follower(id, cx) {
            log::debug!(target: "kafka_blocking::fetch", "node {id} is silent: asking others whether it still leads");
            cx.metadata.avoid(id, cx.now);
        }
    }

    /// Drops a request that only waits for new records when a seek wants others: over a fresh connection they come at once.
    fn give_up_for_better(&mut self, id: i32, cx: &mut Context<'_>) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let answered = node.flight.as_ref().is_none_or(|f| f.heard);
        if answered || !node.session.has_changes() {
            node.hurry_at = None;
        } else if node.hurry_at.is_some_and(|at| cx.now >= at) {
            node.hurry_at = None;
            node.flight = None;
            node.session.reset(false);
            cx.client.close_node(
                NodeKey { id, role: Role::Fetch },
                cx.now,
                "a seek wants other records",
            );
        }
    }

    fn poll_node(&mut self, id: i32, cx: &mut Context<'_>) {
        let key = NodeKey { id, role: Role::Fetch };
        if self.nodes.get(&id).is_some_and(|node| node.flight.is_none()) {
            self.drop_paused(id, cx);
        }
        let rack = self.rack(cx.now).to_owned();
        let Some(node) = self.nodes.get_mut(&id) else { return };
        if node.flight.is_some() || node.session.is_empty() || self.ready_bytes >= READY_FULL {
            return;
        }
        if node.retry_at.is_some_and(|at| cx.now < at) {
            return;
        }
        if !cx.client.can_send(key, cx.now) {
            let reach_by = *node.reach_by.get_or_insert_with(|| later(cx.now, SILENCE));
            cx.client.ensure(key, cx.now);
            let failing = cx.client.is_failing(key);
            if failing {
                // Until it can be reached, or another leads.
                cx.metadata.request_update();
            }
            if failing || cx.now >= reach_by {
                self.leave_follower(id, cx);
            }
            return;
        }
        node.reach_by = None;
        let cap = if node.session.all_have_ids() { None } else { Some(NAMES_BY_ID - 1) };
        let Some(version) = cx.client.version::<FetchRequest>(key, cap) else {
            let error = cx.client.unsupported::<FetchRequest>(key);
            node.retry_at = Some(later(cx.now, self.retry_backoff.max(SILENCE)));
            self.fail_members(id, &error, cx);
            return;
        };
        let next = node
            .session
            .next_request(self.options.sessions && version >= 7, version >= NAMES_BY_ID);
        let request = fetch_request(&self.options, version, rack, next);
        match cx.client.send(key, version, &request, cx.now) {
            Ok(request) => {
                let suspect_at = later(cx.now, self.options.max_wait.saturating_add(SILENCE));
                node.flight = Some(Flight::new(request, version, suspect_at));
            }
            Err(error) => {
                node.session.reset(true);
                node.retry_at = Some(later(cx.now, self.retry_backoff));
                self.fail_members(id, &error, cx);
            }
        }
    }

    /// Asks a broker no longer for what was paused while a request was under way.
    fn drop_paused(&mut self, node: i32, cx: &Context<'_>) {
        let here: Vec<PartitionId> =
            self.lingering.iter().copied().filter(|id| self.homes.get(id) == Some(&node)).collect();
        for id in here {
            self.lingering.remove(&id);
            if cx.subscriptions.is_paused(id) {
                self.homes.remove(&id);
                self.nodes.entry(node).or_default().session.drop_member(id);
            }
        }
    }

    /// Tells the caller that none of a broker's partitions can be fetched.
    fn fail_members(&mut self, node: i32, error: &Error, cx: &mut Context<'_>) {
        let members: Vec<PartitionId> =
            self.homes.iter().filter(|(_, home)| **home == node).map(|(id, _)| *id).collect();
        for id in members {
            self.push(id, Item::Failed(error.clone()), cx);
        }
    }
}

impl Flight {
    fn new(id: RequestId, version: i16, suspect_at: Instant) -> Self {
        Self {
            id,
            version,
            suspect_at,
            heard: false,
            failed: false,
            topic: None,
            seen: BTreeSet::new(),
            reading: None,
            progress: false,
        }
    }
}

fn size(ready: &Ready) -> usize {
    match &ready.item {
        Item::Records(fetched) => fetched.piece.len,
        _ => 0,
    }
}

/// What came of taking something that was ready: for the consumer's own half.
impl Fetcher {
    /// Deals with an item that is no records: the partition goes on from its position, or is reset.
    ///
    /// # Errors
    /// What the caller has to know.
    pub fn settle(
        &mut self,
        id: PartitionId,
        item: Item,
        subscriptions: &mut Subscriptions,
        now: Instant,
    ) -> Result<()> {
        let result = match item {
            Item::Records(_) => Ok(()),
            Item::Failed(error) => Err(error),
            Item::OutOfRange(offset) => subscriptions.out_of_range(id, offset),
        };
        if result.is_err() {
            subscriptions.refetch(id, Some(later(now, self.retry_backoff)));
        }
        result
    }

    /// What was handed out last turned out damaged: fetches it again, after a while.
    pub fn handle_damage(
        &mut self,
        id: PartitionId,
        subscriptions: &mut Subscriptions,
        now: Instant,
    ) {
        subscriptions.void(id);
        subscriptions.back_off(id, later(now, self.retry_backoff));
    }
}
