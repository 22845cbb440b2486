//! When to ask what the cluster looks like, and whom.
//!
//! Asked is on need (a leader is missing, or was wrong, or is silent), on age, and for a call that wants to know
//! something once ([`Query`]).

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Error, ErrorCode, Result,
    client::{KafkaClient, NodeKey, cluster::Cluster, inquiry::Inquiry, pattern::TopicPattern},
    consumer::options::MetadataOptions,
    net::connection::{RequestId, later},
    protocol::{
        self,
        metadata::{MetadataRequest, MetadataResponse},
    },
};

mod query;

pub use query::Query;
use query::{Asking, Verdict};

/// Before this version a topic that is named may be created by that, so that without leave all are asked about.
const CHOSEN: i16 = 4;

/// For how long a node that was silent to somebody is not asked, if there are others.
const AVOIDANCE: Duration = Duration::from_secs(5);

/// The topics that are read, or are to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interest {
    /// These.
    Topics(BTreeSet<Arc<str>>),
    /// All that match, so all are asked about; those that are no longer there are forgotten. None is created.
    Matching(TopicPattern),
}

/// The machine.
#[derive(Debug)]
pub struct Metadata {
    options: MetadataOptions,
    cluster: Cluster,
    wanted: Wanted,
    needed: bool,
    refresh: Inquiry,
    /// The answer that is waited for tells all topics there are.
    tells_all: bool,
    /// What it does not name may be created by asking for it.
    creates: bool,
    refreshed: Option<Instant>,
    retry_backoff: Duration,
    asking: Option<Asking>,
    answer: Option<Result<Cluster>>,
    avoided: BTreeMap<i32, Instant>,
    errors: VecDeque<Error>,
    last_error: Option<Error>,
    answers: u64,
    random: fastrand::Rng,
}

/// The topics of which something is kept.
#[derive(Debug, Default)]
struct Wanted {
    interest: Interest,
    /// What a call looks up.
    also: BTreeSet<Arc<str>>,
    /// What other members of the group read.
    group: BTreeSet<Arc<str>>,
}

impl Metadata {
    /// Nothing is known yet; `seed` decides the jitter.
    #[must_use]
    pub fn new(options: MetadataOptions, retry_backoff: Duration, seed: u64, now: Instant) -> Self {
        Self {
            options,
            cluster: Cluster::default(),
            wanted: Wanted::default(),
            needed: true,
            refresh: Inquiry::new(retry_backoff, now),
            tells_all: false,
            creates: false,
            refreshed: None,
            retry_backoff,
            asking: None,
            answer: None,
            avoided: BTreeMap::new(),
            errors: VecDeque::new(),
            last_error: None,
            answers: 0,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    // Commands

    /// Asks about these topics from now on, at once if one is new. Others are forgotten with the next answer.
    pub fn set_interest(&mut self, interest: Interest, now: Instant) {
        let news = match &interest {
            Interest::Topics(names) => self.lacks(names),
            Interest::Matching(_) => interest != self.wanted.interest,
        };
        if interest != self.wanted.interest {
            if matches!(interest, Interest::Matching(_)) {
                // Nobody has looked yet which topics match.
                self.refreshed = None;
            }
            self.wanted.interest = interest;
            // About topics that are no longer wanted, or found again.
            self.errors.clear();
        }
        if news {
            self.ask_at_once(now);
        }
    }

    /// Asks about these topics too, until others are given here or none; at once if one is new. The caller looks at
    /// their errors in the [`cluster`](Self::cluster). No topic is created meanwhile.
    pub fn want_also(&mut self, topics: BTreeSet<Arc<str>>, now: Instant) {
        if self.lacks(&topics) {
            self.ask_at_once(now);
        }
        self.wanted.also = topics;
    }

    /// Asks about these topics too, which other members of the group read, until others are given here; at once if one is
    /// new. None is created.
    pub fn set_group_topics(&mut self, topics: BTreeSet<Arc<str>>, now: Instant) {
        let unknown = |name: &Arc<str>| self.cluster.topic(name).is_none();
        // Only once: whoever waits for the answer calls this again and again.
        if topics.iter().any(|name| !self.wanted.group.contains(name) && unknown(name)) {
            self.ask_at_once(now);
        }
        self.wanted.group = topics;
    }

    /// Something that is known turned out wrong, or something is missing.
    pub fn request_update(&mut self) {
        self.needed = true;
    }

    /// A node is silent: somebody else should be asked.
    pub fn avoid(&mut self, node: i32, now: Instant) {
        self.avoided.insert(node, later(now, AVOIDANCE));
        self.needed = true;
    }

    /// Asks something once, in place of what was asked so before: until [`take_answer`](Self::take_answer) gives
    /// something, or [`cancel_query`](Self::cancel_query).
    pub fn start_query(&mut self, query: Query, now: Instant) {
        let inquiry = Inquiry::new(self.retry_backoff, now);
        self.asking = Some(Asking { query, inquiry, error: None });
        self.answer = None;
    }

    /// What the cluster looks like as far as was asked; an unknown topic is not in it.
    pub fn take_answer(&mut self) -> Option<Result<Cluster>> {
        self.answer.take()
    }

    /// The answer is no longer waited for.
    pub fn cancel_query(&mut self) {
        self.asking = None;
        self.answer = None;
    }

    // What came in

    /// A request of ours was answered, or failed; says whether it was ours.
    pub fn handle_response(
        &mut self,
        id: RequestId,
        result: &Result<(i16, Vec<u8>)>,
        client: &mut KafkaClient,
        now: Instant,
    ) -> bool {
        let refresh = self.refresh.take(id);
        let node = refresh.or_else(|| self.asking.as_mut().and_then(|a| a.inquiry.take(id)));
        let Some(node) = node else { return false };
        let response = result
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|(version, body)| Ok((*version, decode(*version, body)?)));
        if let Err(error) = &response {
            log::debug!(target: "kafka_blocking::metadata", "{node}: {error}");
        }
        if refresh.is_some() {
            self.handle_refresh(response, client, now);
        } else {
            self.handle_answer(response, now);
        }
        true
    }

    // What must go out

    /// Sends what is to be asked.
    pub fn poll(&mut self, client: &mut KafkaClient, now: Instant) {
        self.avoided.retain(|_, until| now < *until);
        let aged = self.refreshed.is_none_or(|at| now >= later(at, self.options.max_age));
        let due = self.needed || aged;
        if let Some(node) = self.refresh.next_node(due, &self.cluster, &self.avoided, client, now) {
            self.ask_refresh(node, aged, client, now);
            if aged && self.refreshed.is_some() {
                // The only one that is ever asked may be cut off from the others, and not know it.
                client.widen(|id| self.avoided.contains_key(&id), now);
            }
        }
        let Some(asking) = &mut self.asking else { return };
        let node = asking.inquiry.next_node(true, &self.cluster, &self.avoided, client, now);
        let Some(node) = node else { return };
        match send(node, asking.query.topics().as_ref(), false, client, now) {
            Ok(id) => asking.inquiry.sent(id, node, now),
            Err(error) => asking.failed(error, &mut self.random, now),
        }
    }

    /// When to call [`poll`](Self::poll) although nothing came in.
    #[must_use]
    pub fn poll_timeout(&self, client: &KafkaClient, now: Instant) -> Option<Instant> {
        let aged = self.refreshed.map_or(now, |at| later(at, self.options.max_age));
        let due = if self.needed { now } else { aged };
        let timeout =
            |inquiry: &Inquiry, due| inquiry.poll_timeout(due, &self.avoided, client, now);
        let asking = self.asking.as_ref().and_then(|asking| timeout(&asking.inquiry, now));
        [timeout(&self.refresh, due), asking].into_iter().flatten().min()
    }

    /// An error that the caller has to know, such as a topic that may not be read.
    pub fn poll_error(&mut self) -> Option<Error> {
        self.errors.pop_front()
    }

    // What is known

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The cluster, to take over a hint.
    pub fn cluster_mut(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    /// Whether all that is wanted was asked about since it is.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.refreshed.is_some()
    }

    /// How many answers have come.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.answers
    }

    /// Why a call that waits for an answer has none, or why the last request failed, unless one succeeded since.
    #[must_use]
    pub fn last_error(&self) -> Option<&Error> {
        let asking = self.asking.as_ref().and_then(|asking| asking.error.as_ref());
        asking.or(self.last_error.as_ref())
    }

    // Helpers

    fn lacks(&self, topics: &BTreeSet<Arc<str>>) -> bool {
        topics.iter().any(|name| self.cluster.topic(name).is_none_or(|t| t.error.is_some()))
    }

    /// What is under way is not what is wanted now, so it is not waited for.
    fn ask_at_once(&mut self, now: Instant) {
        self.needed = true;
        self.refresh.take_silent().for_each(drop);
        self.refresh.retry_at(now);
    }

    fn ask_refresh(&mut self, node: NodeKey, aged: bool, client: &mut KafkaClient, now: Instant) {
        let mut topics = self.wanted.named();
        let others = self.wanted.others();
        if topics.is_none() && !aged && others.clone().next().is_some() {
            // Only by its name a topic is told from one that may not be seen.
            let known = self.cluster.topics().map(|(name, _)| name);
            topics = Some(known.chain(others).cloned().collect());
        }
        self.tells_all = topics.is_none();
        // What a call looks up is not created, so nothing is for as long as that takes, nor is what others read. A pattern
        // creates nothing.
        let own = self.wanted.also.is_empty() && self.wanted.group_is_ours();
        let create = self.options.allow_auto_create && own && !self.tells_all;
        self.creates = create;
        match send(node, topics.as_ref(), create, client, now) {
            Ok(id) => {
                self.refresh.sent(id, node, now);
                self.needed = false;
            }
            Err(error) => {
                self.refresh.back_off(&mut self.random, now);
                self.last_error = Some(error);
            }
        }
    }

    fn handle_refresh(
        &mut self,
        response: Result<(i16, MetadataResponse)>,
        client: &mut KafkaClient,
        now: Instant,
    ) {
        match response {
            Ok((version, response)) => {
                self.take_over(version, &response, client, now);
                let silent = self.refresh.take_silent().collect();
                self.avoid_all(silent, now);
                if self.tells_all || matches!(self.wanted.interest, Interest::Topics(_)) {
                    self.refreshed = Some(now);
                }
                self.answers += 1;
                self.last_error = None;
            }
            Err(error) => {
                self.needed = true;
                self.last_error = Some(error);
            }
        }
        if self.needed {
            self.refresh.back_off(&mut self.random, now);
        } else {
            self.refresh.succeeded();
            // However small metadata_max_age_ms is.
            self.refresh.retry_at(later(now, self.retry_backoff));
        }
    }

    fn handle_answer(&mut self, response: Result<(i16, MetadataResponse)>, now: Instant) {
        let Some(asking) = &mut self.asking else { return };
        let verdict = match response {
            Ok((version, response)) => asking.judge(version, &response),
            Err(error) => Verdict::AskAgain(error),
        };
        match verdict {
            Verdict::Final(answer) => {
                let silent = asking.inquiry.take_silent().collect();
                self.avoid_all(silent, now);
                self.asking = None;
                self.answer = Some(answer);
            }
            Verdict::AskAgain(error) => asking.failed(error, &mut self.random, now),
        }
    }

    /// Whoever was asked the same before and is silent still: not asked again soon.
    fn avoid_all(&mut self, silent: Vec<i32>, now: Instant) {
        self.avoided.extend(silent.into_iter().map(|id| (id, later(now, AVOIDANCE))));
    }

    fn take_over(
        &mut self,
        version: i16,
        response: &MetadataResponse,
        client: &mut KafkaClient,
        now: Instant,
    ) {
        let before = leaders(&self.cluster);
        self.cluster.update(version, response, |name, internal| self.wanted.wants(name, internal));
        if version < CHOSEN && !self.creates && !self.tells_all {
            // All were asked about: what was wanted and is not in the answer is not there.
            let told: BTreeSet<_> =
                response.topics.iter().filter_map(|t| t.name.as_deref()).collect();
            let wanted = self.wanted.named().unwrap_or_default().into_iter();
            let wanted: BTreeSet<_> = wanted.chain(self.wanted.others().cloned()).collect();
            let missing = wanted.iter().filter(|name| !told.contains(&***name));
            missing.for_each(|name| self.cluster.set_missing(name));
        }
        if self.tells_all {
            let named: BTreeSet<_> =
                response.topics.iter().filter_map(|t| t.name.as_deref()).collect();
            self.cluster.retain(|name, _| named.contains(name));
        }
        client.set_brokers(self.cluster.brokers().map(|(id, host)| (id, host.clone())), now);
        for leader in leaders(&self.cluster).difference(&before) {
            // Elected just now, so it lives: no reason to wait out the backoff of its last failure.
            client.forgive(leader.0, now);
        }
        self.judge_topics();
    }

    /// Asks again where leaders are missing; tells the caller what asking again does not help.
    fn judge_topics(&mut self) {
        // What is still wrong is found again.
        self.errors.clear();
        let missing = |name: &Arc<str>| self.cluster.topic(name).is_none();
        self.needed |= self.wanted.named().is_some_and(|names| names.iter().any(missing))
            || self.wanted.others().any(missing);
        let mut unauthorized = Vec::new();
        for (name, topic) in self.cluster.topics() {
            match topic.error {
                // Whoever looks it up sees that for itself.
                Some(_) if !self.wanted.reads(name) => self.needed = true,
                Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED) => unauthorized.push(name.to_string()),
                Some(code @ ErrorCode::INVALID_TOPIC_EXCEPTION) => {
                    self.errors.push_back(Error::broker("Metadata", code, name.as_ref()));
                }
                Some(_) => self.needed = true,
                None => {
                    self.needed |= topic.partitions.values().any(|p| p.leader.is_none())
                        || topic.partitions.is_empty()
                }
            }
        }
        if !unauthorized.is_empty() {
            self.needed = true;
            self.errors.push_back(Error::TopicAuthorizationFailed { topics: unauthorized });
        }
        // What nobody fetches is not piled up.
        while self.errors.len() > 4 {
            self.errors.pop_front();
        }
    }
}

impl Wanted {
    /// Whether anything of a topic is to be kept.
    fn wants(&self, name: &str, internal: bool) -> bool {
        self.also.contains(name)
            || self.group.contains(name)
            || match &self.interest {
                Interest::Topics(names) => names.contains(name),
                Interest::Matching(pattern) => pattern.matches(name, internal),
            }
    }

    /// Whether a topic, which is wanted, is so for reading.
    fn reads(&self, name: &str) -> bool {
        match &self.interest {
            Interest::Topics(names) => names.contains(name),
            Interest::Matching(_) => !self.others().any(|other| **other == *name),
        }
    }

    /// What somebody else than the reader wants to know of.
    fn others(&self) -> impl Iterator<Item = &Arc<str>> + Clone {
        self.also.iter().chain(&self.group)
    }

    /// Whether the group reads nothing but what is read here.
    fn group_is_ours(&self) -> bool {
        match &self.interest {
            Interest::Topics(names) => self.group.is_subset(names),
            Interest::Matching(_) => self.group.is_empty(),
        }
    }

    /// The topics to name in a request; `None` for all.
    fn named(&self) -> Option<BTreeSet<Arc<str>>> {
        match &self.interest {
            Interest::Topics(names) => Some(names.iter().chain(self.others()).cloned().collect()),
            Interest::Matching(_) => None,
        }
    }
}

impl Default for Interest {
    fn default() -> Self {
        Self::Topics(BTreeSet::new())
    }
}

/// Asks a node about topics, or about all.
fn send(
    node: NodeKey,
    topics: Option<&BTreeSet<Arc<str>>>,
    create: bool,
    client: &mut KafkaClient,
    now: Instant,
) -> Result<RequestId> {
    let Some(version) = client.version::<MetadataRequest>(node, None) else {
        return Err(client.unsupported::<MetadataRequest>(node));
    };
    client.send(node, version, &request(version, topics, create), now)
}

fn request(version: i16, topics: Option<&BTreeSet<Arc<str>>>, create: bool) -> MetadataRequest {
    let chosen = version >= CHOSEN;
    let named = topics.filter(|names| create || chosen || names.is_empty());
    let request = named.map_or_else(MetadataRequest::all_topics, |names| {
        MetadataRequest::topics(names.iter().map(|name| name.to_string()))
    });
    MetadataRequest { allow_auto_topic_creation: create || !chosen, ..request }
}

fn decode(version: i16, body: &[u8]) -> Result<MetadataResponse> {
    let malformed =
        |reason: String| Error::Protocol { what: "Metadata response", reason: reason.into() };
    let response = protocol::decode_response::<MetadataRequest>(body, version)
        .map_err(|e| malformed(e.to_string()))?;
    if response.error_code != 0 {
        return Err(Error::broker("Metadata", ErrorCode(response.error_code), ""));
    }
    if response.brokers.is_empty() {
        return Err(malformed("it names no broker".to_owned()));
    }
    Ok(response)
}

/// Who leads what, with the epoch: a difference is an election.
fn leaders(cluster: &Cluster) -> BTreeSet<(i32, Option<i32>, Arc<str>, i32)> {
    let of_topic = |(name, topic): (&Arc<str>, &crate::client::cluster::Topic)| {
        let led = topic.partitions.iter().filter_map(|(n, p)| Some((p.leader?, p.epoch, *n)));
        led.map(|(leader, epoch, n)| (leader, epoch, name.clone(), n)).collect::<Vec<_>>()
    };
    cluster.topics().flat_map(of_topic).collect()
}
