//! Whether a position still lies in the log of the partition's new leader: asks where its epoch ended (KIP-320).

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    ErrorCode, Result,
    client::NodeKey,
    fetcher::{
        Context,
        leaders::{Item, LeaderApi, LeaderQueries, Question, Reply, Split, Verdict, by_topic},
    },
    net::connection::RequestId,
    protocol::offset_for_leader_epoch::{
        OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
        OffsetForLeaderTopic,
    },
    subscriptions::PartitionId,
    types::TopicPartition,
};

/// What became of the question where an epoch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The partition.
    pub id: PartitionId,
    /// The epoch that was asked about.
    pub asked: i32,
    /// The largest epoch not above it that the leader has, and the offset after its last record; -1 and -1 where it has
    /// none. `None` where it cannot be asked: the broker is too old, or the right to ask is missing.
    pub answer: Option<(i32, i64)>,
}

/// The machine.
#[derive(Debug)]
pub struct Validation {
    queries: LeaderQueries<EpochEnds>,
    findings: VecDeque<Finding>,
}

impl Validation {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(retry_backoff: Duration) -> Self {
        Self { queries: LeaderQueries::new(EpochEnds, retry_backoff), findings: VecDeque::new() }
    }

    // Commands

    /// Asks where epochs of partitions ended. Whatever has no [`Finding`] yet is to be named on each call: it is asked
    /// when it can be, and once at a time.
    pub fn ask(&mut self, mut epochs: Vec<Question<i32>>, cx: &mut Context<'_>) {
        self.queries.handle_timeout(cx);
        epochs.retain(|question| self.queries.is_free(question.id));
        self.ask_free(epochs, cx);
    }

    // What came in

    /// A request was answered, or failed; says whether it was ours, and tells the subscriptions what was found.
    pub fn handle_response(
        &mut self,
        node: NodeKey,
        id: RequestId,
        result: &Result<(i16, Vec<u8>)>,
        cx: &mut Context<'_>,
    ) -> bool {
        let ours = self.take_response(node, id, result, cx);
        self.tell(cx);
        ours
    }

    /// A request was answered, or failed; says whether it was ours.
    pub fn take_response(
        &mut self,
        node: NodeKey,
        id: RequestId,
        result: &Result<(i16, Vec<u8>)>,
        cx: &mut Context<'_>,
    ) -> bool {
        let Some(replies) = self.queries.handle_response(node, id, result) else {
            return false;
        };
        for (question, reply) in replies {
            self.take_over(&question, reply, cx);
        }
        true
    }

    // What must go out

    /// Sends what the subscriptions want to know.
    pub fn poll(&mut self, cx: &mut Context<'_>) {
        self.queries.handle_timeout(cx);
        let mut open = cx.subscriptions.unvalidated().peekable();
        if open.peek().is_none() {
            self.queries.clear_obstacle();
            return;
        }
        let epochs = open
            .filter(|(id, ..)| self.queries.is_free(*id))
            .map(|(id, partition, what)| Question { id, partition: partition.clone(), what })
            .collect();
        self.ask_free(epochs, cx);
        self.tell(cx);
    }

    /// What was found.
    pub fn poll_finding(&mut self) -> Option<Finding> {
        self.findings.pop_front()
    }

    /// When to call [`poll`](Self::poll) although nothing came in.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.queries.poll_timeout()
    }

    // What is known

    /// Why a position is not checked yet, as far as it is known.
    #[must_use]
    pub fn obstacle(&self) -> Option<&str> {
        self.queries.obstacle()
    }

    // Helpers

    fn ask_free(&mut self, epochs: Vec<Question<i32>>, cx: &mut Context<'_>) {
        for (questions, error) in self.queries.ask(epochs, cx) {
            log::debug!(target: "kafka_blocking::fetch", "positions are not checked: {error}");
            questions.iter().for_each(|question| self.skip(question));
        }
    }

    fn tell(&mut self, cx: &mut Context<'_>) {
        while let Some(Finding { id, asked, answer }) = self.poll_finding() {
            cx.subscriptions.validated(id, asked, answer);
        }
    }

    fn take_over(
        &mut self,
        question: &Question<i32>,
        reply: Reply<(i32, i64)>,
        cx: &mut Context<'_>,
    ) {
        match self.queries.judge(question, reply, cx) {
            Verdict::Answer((epoch, end)) if epoch >= -1 && end >= -1 => {
                let answer = Some((epoch, end));
                self.findings.push_back(Finding { id: question.id, asked: question.what, answer });
            }
            Verdict::Answer((epoch, end)) => {
                let reason = format!("epoch {epoch} ends at {end}");
                self.queries.ask_again(question, &reason, cx);
            }
            Verdict::Refused(
                code @ (ErrorCode::TOPIC_AUTHORIZATION_FAILED
                | ErrorCode::CLUSTER_AUTHORIZATION_FAILED),
            ) => {
                log::debug!(target: "kafka_blocking::fetch", "{}: the position is not checked: {code}", question.partition);
                self.skip(question);
            }
            Verdict::Refused(code) => {
                log::warn!(target: "kafka_blocking::fetch", "{}: the position cannot be checked: {code}", question.partition);
                self.queries.ask_again(question, &code.to_string(), cx);
            }
            Verdict::Again => {}
        }
    }

    fn skip(&mut self, question: &Question<i32>) {
        self.findings.push_back(Finding { id: question.id, asked: question.what, answer: None });
    }
}

/// How OffsetForLeaderEpoch is put to leaders, and what its answers are.
#[derive(Clone, Copy, Debug)]
struct EpochEnds;

impl LeaderApi for EpochEnds {
    type Request = OffsetForLeaderEpochRequest;
    type Question = i32;
    type Answer = (i32, i64);

    const RESPONSE: &'static str = "OffsetForLeaderEpoch response";

    // To ask in older ones takes the rights of a broker (KIP-320).
    const OLDEST: i16 = 3;

    fn request(&self, _: i16, items: &[Item<'_, i32>]) -> OffsetForLeaderEpochRequest {
        let topics = by_topic(items, |item| OffsetForLeaderPartition {
            partition: item.question.partition.partition(),
            current_leader_epoch: item.leader_epoch,
            leader_epoch: item.question.what,
        });
        let topic =
            |(name, partitions): (&str, _)| OffsetForLeaderTopic { topic: name.into(), partitions };
        OffsetForLeaderEpochRequest {
            replica_id: -1,
            topics: topics.into_iter().map(topic).collect(),
        }
    }

    fn split(&self, response: OffsetForLeaderEpochResponse) -> Split<(i32, i64)> {
        let answers = response.topics.into_iter().flat_map(|topic| {
            let name: Arc<str> = topic.topic.into();
            topic.partitions.into_iter().map(move |p| {
                let partition = TopicPartition::new(name.clone(), p.partition);
                (partition, ErrorCode(p.error_code), (p.leader_epoch, p.end_offset))
            })
        });
        answers.collect()
    }
}
