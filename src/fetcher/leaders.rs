//! Asks the leaders of partitions a question, in one request per leader, until each partition has its answer.
//!
//! What the question is, and what an answer means, is up to the machine on top: it says what it wants to know, judges
//! what comes back, and whatever it does not settle is asked again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::{Duration, Instant},
};

use crate::{
    Error, ErrorCode, Result,
    client::{NodeKey, Role},
    fetcher::{Context, SILENCE},
    net::connection::{RequestId, later},
    protocol::{self, Request},
    subscriptions::PartitionId,
    types::TopicPartition,
};

/// A request that only the leader of a partition can answer.
pub trait LeaderApi {
    /// The request.
    type Request: Request;
    /// What is asked about one partition.
    type Question: Clone + fmt::Debug;
    /// What the leader says about one partition when it has no error.
    type Answer;

    /// What error texts call its response.
    const RESPONSE: &'static str;

    /// The oldest version whose answers are of use.
    const OLDEST: i16;

    /// The request with these questions.
    fn request(&self, version: i16, items: &[Item<'_, Self::Question>]) -> Self::Request;

    /// The answers of a response.
    fn split(&self, response: <Self::Request as Request>::Response) -> Split<Self::Answer>;
}

/// A question as it goes into a request.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a, Q> {
    /// The question.
    pub question: &'a Question<Q>,
    /// The leader's epoch as we know it, -1 where we do not.
    pub leader_epoch: i32,
}

/// A question about a partition.
#[derive(Clone, Debug)]
pub struct Question<Q> {
    /// Names it: one question at a time is asked under an id.
    pub id: PartitionId,
    /// The partition.
    pub partition: TopicPartition,
    /// What is to be known.
    pub what: Q,
}

/// The partitions of a response, each with its code and its answer.
pub type Split<A> = Vec<(TopicPartition, ErrorCode, A)>;

/// What came back for a question.
#[derive(Debug)]
pub enum Reply<A> {
    /// The leader's code, and its answer.
    Answer(ErrorCode, A),
    /// The response does not name the partition.
    Missing,
    /// There is no response, or it is malformed.
    Failed(Error),
}

/// What to do about a reply.
#[derive(Debug)]
pub enum Verdict<A> {
    /// The question is answered.
    Answer(A),
    /// To ask again will hardly help; after a while it may be tried all the same.
    Refused(ErrorCode),
    /// It will be asked again by itself.
    Again,
}

/// The questions that no leader can be sent, and why.
pub type Unsent<Q> = (Vec<Question<Q>>, Error);

/// The questions of a request, each with what came back for it.
pub type Replies<Q, A> = Vec<(Question<Q>, Reply<A>)>;

/// The machine.
#[derive(Debug)]
pub struct LeaderQueries<A: LeaderApi> {
    api: A,
    retry_backoff: Duration,
    in_flight: BTreeMap<RequestId, Asked<A::Question>>,
    asked: BTreeSet<PartitionId>,
    retry_at: BTreeMap<PartitionId, Instant>,
    /// Why a question has no answer yet, for error texts.
    obstacle: Option<(PartitionId, String)>,
    cluster_seen: u64,
}

/// A request that is under way.
#[derive(Debug)]
struct Asked<Q> {
    leader: i32,
    suspect_at: Instant,
    questions: Vec<Question<Q>>,
}

impl<A: LeaderApi> LeaderQueries<A> {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(api: A, retry_backoff: Duration) -> Self {
        Self {
            api,
            retry_backoff,
            in_flight: BTreeMap::new(),
            asked: BTreeSet::new(),
            retry_at: BTreeMap::new(),
            obstacle: None,
            cluster_seen: 0,
        }
    }

    // Commands

    /// Sends these questions to whoever leads; those that it cannot send now are to be asked again on the next call.
    pub fn ask(
        &mut self,
        questions: Vec<Question<A::Question>>,
        cx: &mut Context<'_>,
    ) -> Vec<Unsent<A::Question>> {
        let mut by_leader: BTreeMap<i32, Vec<Question<A::Question>>> = BTreeMap::new();
        for question in questions {
            match cx.metadata.cluster().leader(&question.partition) {
                Some(leader) => by_leader.entry(leader).or_default().push(question),
                None => {
                    self.obstacle = Some((question.id, no_leader(&question.partition, cx)));
                    cx.metadata.request_update();
                }
            }
        }
        by_leader
            .into_iter()
            .filter_map(|(leader, questions)| self.ask_leader(leader, questions, cx))
            .collect()
    }

    /// What came back settles nothing: asks again after a while, with fresh metadata.
    pub fn ask_again(
        &mut self,
        question: &Question<A::Question>,
        reason: &str,
        cx: &mut Context<'_>,
    ) {
        let text = format!("{} of {}: {reason}", A::Request::NAME, question.partition);
        log::debug!(target: "kafka_blocking::fetch", "{text}");
        self.obstacle = Some((question.id, text));
        cx.metadata.request_update();
        self.retry_later(question.id, cx.now);
    }

    /// Nobody waits for an answer: what stood in the way of one is of no interest.
    pub fn clear_obstacle(&mut self) {
        self.obstacle = None;
    }

    // What came in

    /// The time is `cx.now`: whoever leads no longer is not waited for; about whoever is silent, others are asked.
    pub fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        let cluster = cx.metadata.cluster();
        if cluster.changes() != self.cluster_seen {
            self.cluster_seen = cluster.changes();
            for request in self.in_flight.values_mut() {
                request.questions.retain(|question| {
                    let leader = cluster.leader(&question.partition);
                    let stays = leader.is_none_or(|leader| leader == request.leader);
                    stays || !self.asked.remove(&question.id)
                });
            }
        }
        for request in self.in_flight.values_mut().filter(|r| !r.questions.is_empty()) {
            if cx.now >= request.suspect_at {
                request.suspect_at = later(cx.now, SILENCE);
                cx.metadata.avoid(request.leader, cx.now);
            }
        }
        self.retry_at.retain(|_, at| cx.now < *at);
    }

    /// A request was answered, or failed; gives what came of its questions if it was ours.
    pub fn handle_response(
        &mut self,
        node: NodeKey,
        id: RequestId,
        result: &Result<(i16, Vec<u8>)>,
    ) -> Option<Replies<A::Question, A::Answer>> {
        let questions = self.in_flight.remove(&id)?.questions;
        for question in &questions {
            self.asked.remove(&question.id);
        }
        let split = result
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|(version, body)| self.decode(*version, body));
        Some(match split {
            Ok(split) => {
                let answers = split.into_iter();
                let mut answers: BTreeMap<TopicPartition, Reply<A::Answer>> =
                    answers.map(|(p, code, a)| (p, Reply::Answer(code, a))).collect();
                let reply = |q: &Question<_>| answers.remove(&q.partition);
                pair(questions, reply)
            }
            Err(error) => {
                log::debug!(target: "kafka_blocking::fetch", "{node}: {error}");
                pair(questions, |_| Some(Reply::Failed(error.clone())))
            }
        })
    }

    /// Decides about a reply as far as that is the same for all questions. Unless it is an answer, the question will not
    /// be asked again before its backoff is over.
    pub fn judge(
        &mut self,
        question: &Question<A::Question>,
        reply: Reply<A::Answer>,
        cx: &mut Context<'_>,
    ) -> Verdict<A::Answer> {
        match reply {
            Reply::Answer(ErrorCode::NONE, answer) => {
                self.obstacle.take_if(|(id, _)| *id == question.id);
                return Verdict::Answer(answer);
            }
            Reply::Answer(code, _) if code.retriable() => {
                self.ask_again(question, &code.to_string(), cx);
            }
            Reply::Answer(code, _) => {
                self.obstacle.take_if(|(id, _)| *id == question.id);
                self.retry_later(question.id, cx.now);
                return Verdict::Refused(code);
            }
            Reply::Missing => self.ask_again(question, "the response does not name it", cx),
            // The client itself tells what is wrong with its connections.
            Reply::Failed(error) if error.retriable() => {
                cx.metadata.request_update();
                self.retry_later(question.id, cx.now);
            }
            Reply::Failed(error) => self.ask_again(question, &error.to_string(), cx),
        }
        Verdict::Again
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) although nothing came in.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let waiting = self.in_flight.values().filter(|a| !a.questions.is_empty());
        self.retry_at.values().copied().chain(waiting.map(|a| a.suspect_at)).min()
    }

    // What is known

    /// Whether a question with this id can be asked: it neither is under way nor has to wait.
    #[must_use]
    pub fn is_free(&self, id: PartitionId) -> bool {
        !self.asked.contains(&id) && !self.retry_at.contains_key(&id)
    }

    /// Why a question has no answer yet, as far as it is known.
    #[must_use]
    pub fn obstacle(&self) -> Option<&str> {
        self.obstacle.as_ref().map(|(_, text)| text.as_str())
    }

    // Helpers

    fn ask_leader(
        &mut self,
        leader: i32,
        questions: Vec<Question<A::Question>>,
        cx: &mut Context<'_>,
    ) -> Option<Unsent<A::Question>> {
        let key = NodeKey { id: leader, role: Role::Control };
        if !cx.client.can_send(key, cx.now) {
            cx.client.ensure(key, cx.now);
            if cx.client.is_failing(key) {
                cx.metadata.request_update();
            }
            return None;
        }
        let version = cx.client.version::<A::Request>(key, None).filter(|v| *v >= A::OLDEST);
        let sent = match version {
            Some(version) => {
                let request = self.api.request(version, &items(&questions, cx));
                cx.client.send(key, version, &request, cx.now)
            }
            None => Err(cx.client.unsupported::<A::Request>(key)),
        };
        match sent {
            Ok(id) => {
                self.asked.extend(questions.iter().map(|q| q.id));
                let suspect_at = later(cx.now, SILENCE);
                self.in_flight.insert(id, Asked { leader, suspect_at, questions });
                None
            }
            Err(error) => {
                questions.iter().for_each(|q| self.retry_later(q.id, cx.now));
                Some((questions, error))
            }
        }
    }

    fn decode(&self, version: i16, body: &[u8]) -> Result<Split<A::Answer>> {
        let response = protocol::decode_response::<A::Request>(body, version)
            .map_err(|e| Error::Protocol { what: A::RESPONSE, reason: e.to_string().into() })?;
        Ok(self.api.split(response))
    }

    fn retry_later(&mut self, id: PartitionId, now: Instant) {
        self.retry_at.insert(id, later(now, self.retry_backoff));
    }
}

/// The entries of a request, by topic: brokers expect each topic once.
pub fn by_topic<'a, Q, P>(
    items: &[Item<'a, Q>],
    entry: impl Fn(&Item<'a, Q>) -> P,
) -> BTreeMap<&'a str, Vec<P>> {
    let mut topics: BTreeMap<&str, Vec<P>> = BTreeMap::new();
    for item in items {
        topics.entry(item.question.partition.topic()).or_default().push(entry(item));
    }
    topics
}

fn items<'a, Q>(questions: &'a [Question<Q>], cx: &Context<'_>) -> Vec<Item<'a, Q>> {
    let item = |question: &'a Question<Q>| {
        let known = cx.metadata.cluster().partition(&question.partition);
        Item { question, leader_epoch: known.and_then(|p| p.epoch).unwrap_or(-1) }
    };
    questions.iter().map(item).collect()
}

fn pair<Q, A>(
    questions: Vec<Question<Q>>,
    mut reply: impl FnMut(&Question<Q>) -> Option<Reply<A>>,
) -> Replies<Q, A> {
    let pairs = questions.into_iter().map(|q| {
        let reply = reply(&q).unwrap_or(Reply::Missing);
        (q, reply)
    });
    pairs.collect()
}

fn no_leader(partition: &TopicPartition, cx: &Context<'_>) -> String {
    let topic = cx.metadata.cluster().topic(partition.topic());
    match topic.and_then(|t| t.error) {
        Some(code) => format!("metadata names no leader of {partition}: {code}"),
        None => format!("metadata names no leader of {partition}"),
    }
}
