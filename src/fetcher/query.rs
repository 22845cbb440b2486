//! A question for offsets that a call waits for: the first, the last, or the first at or after a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

pub use crate::fetcher::list_offsets::{EARLIEST, FoundOffset, LATEST};
use crate::{
    Error, ErrorCode, Result,
    client::NodeKey,
    fetcher::{
        Context,
        leaders::{LeaderQueries, Question, Reply, Verdict},
        list_offsets::ListOffsets,
    },
    net::connection::RequestId,
    protocol::{Request, list_offsets::ListOffsetsRequest},
    subscriptions::PartitionId,
    types::TopicPartition,
};

/// What every partition was found to have; `None` where there is no record at or after the time.
pub type FoundOffsets = BTreeMap<TopicPartition, Option<FoundOffset>>;

/// What a broker says that knows no such offset.
const UNKNOWN: i64 = -1;

/// The machine of one question. The partitions need not be assigned, and no position changes.
#[derive(Debug)]
pub struct OffsetQuery {
    queries: LeaderQueries<ListOffsets>,
    /// What is not answered yet, with the time that is asked about.
    pending: BTreeMap<PartitionId, (TopicPartition, i64)>,
    found: FoundOffsets,
    error: Option<Error>,
}

impl OffsetQuery {
    /// Asks about these partitions: a time in milliseconds since 1970, [`LATEST`] or [`EARLIEST`] for each.
    #[must_use]
    pub fn new(
        times: BTreeMap<TopicPartition, i64>,
        read_committed: bool,
        retry_backoff: Duration,
    ) -> Self {
        Self {
            queries: LeaderQueries::new(ListOffsets { read_committed }, retry_backoff),
            pending: (0..).zip(times).collect(),
            found: BTreeMap::new(),
            error: None,
        }
    }

    // What came in

    /// A request was answered, or failed; says whether it was ours.
    pub fn handle_response(
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

    /// Sends what is to be asked.
    pub fn poll(&mut self, cx: &mut Context<'_>) {
        if self.is_settled() {
            return;
        }
        self.fail_unauthorized(cx);
        self.queries.handle_timeout(cx);
        let free = self.pending.iter().filter(|(id, _)| self.queries.is_free(**id));
        let questions = free
            .map(|(id, (partition, time))| Question {
                id: *id,
                partition: partition.clone(),
                what: *time,
            })
            .collect();
        for (_, error) in self.queries.ask(questions, cx) {
            self.fail(error);
        }
    }

    /// When to call [`poll`](Self::poll) although nothing came in.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.queries.poll_timeout().filter(|_| !self.is_settled())
    }

    // What is known

    /// The topics of which metadata is needed.
    #[must_use]
    pub fn topics(&self) -> BTreeSet<Arc<str>> {
        self.pending.values().map(|(partition, _)| partition.shared_topic().clone()).collect()
    }

    /// What was found, once that is known of every partition, or an error that asking again does not help.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<FoundOffsets>> {
        match &self.error {
            Some(error) => Some(Err(error.clone())),
            None => self.pending.is_empty().then(|| Ok(self.found.clone())),
        }
    }

    /// Why there is no outcome yet, as far as it is known.
    #[must_use]
    pub fn obstacle(&self) -> Option<&str> {
        self.queries.obstacle()
    }

    // Helpers

    fn is_settled(&self) -> bool {
        self.error.is_some() || self.pending.is_empty()
    }

    fn take_over(
        &mut self,
        question: &Question<i64>,
        reply: Reply<FoundOffset>,
        cx: &mut Context<'_>,
    ) {
        let partition = &question.partition;
        if let Reply::Failed(error @ Error::Protocol { .. }) = reply {
            return self.fail(error);
        }
        match self.queries.judge(question, reply, cx) {
            Verdict::Answer(found) if found.offset >= 0 => self.settle(question, Some(found)),
            Verdict::Answer(found) if found.offset != UNKNOWN => self.fail(Error::Protocol {
                what: "ListOffsets response",
                reason: format!("{partition} has the offset {}", found.offset).into(),
            }),
            // No record is as late as that.
            Verdict::Answer(_) if question.what >= 0 => self.settle(question, None),
            Verdict::Answer(_) => {
                self.queries.ask_again(question, "the leader does not know the offset", cx);
            }
            // Records without a time cannot be found by it.
            Verdict::Refused(ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT) => {
                self.settle(question, None);
            }
            Verdict::Refused(ErrorCode::TOPIC_AUTHORIZATION_FAILED) => {
                let topics = vec![partition.topic().to_owned()];
                self.fail(Error::TopicAuthorizationFailed { topics });
            }
            Verdict::Refused(code) => {
                self.fail(Error::broker(ListOffsetsRequest::NAME, code, partition.to_string()));
            }
            Verdict::Again => {}
        }
    }

    fn settle(&mut self, question: &Question<i64>, found: Option<FoundOffset>) {
        if let Some((partition, _)) = self.pending.remove(&question.id) {
            self.found.insert(partition, found);
        }
    }

    /// Where metadata says already that a topic may not be read, no leader is known that could say so.
    fn fail_unauthorized(&mut self, cx: &Context<'_>) {
        let cluster = cx.metadata.cluster();
        let refused = |name: &Arc<str>| {
            cluster.topic(name).and_then(|t| t.error) == Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED)
        };
        let topics: Vec<String> =
            self.topics().iter().filter(|name| refused(name)).map(ToString::to_string).collect();
        if !topics.is_empty() {
            self.fail(Error::TopicAuthorizationFailed { topics });
        }
    }

    /// The first error counts; it names all topics that may not be read.
    fn fail(&mut self, error: Error) {
        match (&mut self.error, error) {
            (
                Some(Error::TopicAuthorizationFailed { topics }),
                Error::TopicAuthorizationFailed { topics: more },
            ) => {
                for topic in more {
                    if !topics.contains(&topic) {
                        topics.push(topic);
                    }
                }
            }
            (Some(_), _) => {}
            (none, error) => *none = Some(error),
        }
    }
}
