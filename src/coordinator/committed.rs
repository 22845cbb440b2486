//! What a group has committed: for partitions that are to go on there, and for a call that wants to know.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{
    GroupOptions,
    leaving::reachable,
    lookup::{Lookup, group_error},
};
use crate::{
    Error, ErrorCode, OffsetAndMetadata, Result,
    net::connection::{RequestId, later},
    protocol::{
        self, Request,
        offset_fetch::{
            OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic,
            OffsetFetchRequestTopics, OffsetFetchResponse,
        },
    },
    subscriptions::{Context, PartitionId, Place},
    types::TopicPartition,
};

/// The newest version that names topics and not their ids.
const BY_NAME: i16 = 9;

/// The oldest version that asks for several groups.
const SEVERAL: i16 = 8;

/// What the coordinator says of each partition.
type Answers = BTreeMap<TopicPartition, std::result::Result<Option<OffsetAndMetadata>, ErrorCode>>;

/// The machine.
#[derive(Debug)]
pub(super) struct Committed {
    require_stable: bool,
    /// Where partitions go on, by the names of their tenures.
    positions: Question,
    tenures: BTreeMap<TopicPartition, PartitionId>,
    /// What a call waits for.
    call: Option<(TopicPartition, Question)>,
    answer: Option<Result<Option<OffsetAndMetadata>>>,
    error: Option<Error>,
}

/// One question for committed offsets.
#[derive(Debug)]
struct Question {
    request: Option<Asked>,
    retry_at: Option<Instant>,
    retry_backoff: Duration,
    obstacle: Option<Error>,
}

/// A request that was sent.
#[derive(Clone, Copy, Debug)]
struct Asked {
    request: RequestId,
    /// To which node.
    node: i32,
    sent: Instant,
}

impl Committed {
    pub(super) fn new(read_committed: bool, retry_backoff: Duration) -> Self {
        Self {
            require_stable: read_committed,
            positions: Question::new(retry_backoff),
            tenures: BTreeMap::new(),
            call: None,
            answer: None,
            error: None,
        }
    }

    // Commands

    /// A call wants to know what is committed of a partition; it takes the place of one before.
    pub(super) fn ask(&mut self, partition: TopicPartition) {
        self.call = Some((partition, Question::new(self.positions.retry_backoff)));
        self.answer = None;
    }

    /// What the call wanted to know.
    pub(super) fn take_answer(&mut self) -> Option<Result<Option<OffsetAndMetadata>>> {
        self.answer.take()
    }

    /// The call does not wait any longer.
    pub(super) fn cancel(&mut self) {
        self.call = None;
        self.answer = None;
    }

    // What came in

    /// The answer to a question, if it is one.
    pub(super) fn handle_response(
        &mut self,
        id: RequestId,
        result: &Result<(i16, Vec<u8>)>,
        lookup: &mut Lookup,
        options: &GroupOptions,
        cx: &mut Context<'_>,
    ) -> bool {
        let read = |result: &Result<(i16, Vec<u8>)>| {
            let (version, body) = result.as_ref().map_err(Clone::clone)?;
            read(*version, body, options)
        };
        if self.positions.takes(id) {
            let answers = read(result);
            self.positions.heed(answers.as_ref().err(), lookup, cx);
            match answers {
                Ok(answers) => self.take_positions(answers, options, lookup, cx),
                Err(error) => self.fail(error),
            }
            return true;
        }
        let Some((partition, question)) = &mut self.call else { return false };
        if !question.takes(id) {
            return false;
        }
        let unanswered = Err(ErrorCode::UNKNOWN_SERVER_ERROR);
        let answer = read(result).and_then(|mut answers| {
            let answer = answers.remove(partition).unwrap_or(unanswered);
            answer.map_err(|code| partition_error(code, partition, options))
        });
        question.heed(answer.as_ref().err(), lookup, cx);
        if answer.as_ref().err().is_none_or(|error| !error.retriable()) {
            self.answer = Some(answer);
            self.call = None;
        }
        true
    }

    // What must go out

    /// Sends what is to be asked.
    pub(super) fn poll(
        &mut self,
        lookup: &mut Lookup,
        options: &GroupOptions,
        cx: &mut Context<'_>,
    ) {
        if let Some((partition, question)) = &mut self.call
            && question.is_due(lookup, cx.now)
        {
            let asked = std::iter::once(&*partition);
            if let Err(error) = question.send(asked, self.require_stable, lookup, options, cx) {
                self.answer = Some(Err(error));
                self.call = None;
            }
        }
        if !self.positions.is_due(lookup, cx.now) {
            return;
        }
        let wanted = cx.subscriptions.uncommitted().filter(|(_, state)| !state.revoking);
        self.tenures = wanted.map(|(id, state)| (state.partition.clone(), id)).collect();
        if !self.tenures.is_empty() {
            let asked = self.tenures.keys();
            let sent = self.positions.send(asked, self.require_stable, lookup, options, cx);
            sent.unwrap_or_else(|error| self.fail(error));
        }
    }

    /// When to call [`poll`](Self::poll) although nothing came in.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let call = self.call.as_ref().and_then(|(_, question)| question.retry_at);
        [self.positions.retry_at, call].into_iter().flatten().min()
    }

    /// An error that the caller has to know.
    pub(super) fn poll_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    /// Nobody is there to be asked: why, the call that waits is told.
    pub(super) fn fail_call(&mut self, error: Error) {
        if self.call.take().is_some() {
            self.answer = Some(Err(error));
        }
    }

    // What is known

    /// Since when a question is unanswered.
    pub(super) fn unanswered(&self) -> Option<Instant> {
        let call = self.call.as_ref().and_then(|(_, question)| question.request);
        [self.positions.request, call].into_iter().flatten().map(|asked| asked.sent).min()
    }

    /// Why there is no answer, as far as it is known.
    pub(super) fn obstacle(&self) -> Option<&Error> {
        let call = self.call.as_ref().and_then(|(_, question)| question.obstacle.as_ref());
        call.or(self.positions.obstacle.as_ref())
    }

    // Helpers

    fn take_positions(
        &mut self,
        answers: Answers,
        options: &GroupOptions,
        lookup: &mut Lookup,
        cx: &mut Context<'_>,
    ) {
        if self.tenures.keys().any(|p| !answers.contains_key(p)) {
            let reason = "it leaves out a partition".into();
            let error = Error::Protocol { what: "OffsetFetch response", reason };
            self.positions.heed(Some(&error), lookup, cx);
        }
        for (partition, answer) in answers {
            let Some(id) = self.tenures.get(&partition).copied() else { continue };
            match answer {
                Ok(committed) => {
                    log::debug!(target: "kafka_blocking::group", "{partition}: committed is {committed:?}");
                    let place =
                        committed.map(|c| Place { offset: c.offset(), epoch: c.leader_epoch() });
                    cx.subscriptions.set_committed(id, place);
                }
                Err(code) => {
                    // It is asked again: a partition is never left without a position for that.
                    let error = partition_error(code, &partition, options);
                    self.positions.heed(Some(&error), lookup, cx);
                    self.fail(error);
                }
            }
        }
    }

    fn fail(&mut self, error: Error) {
        if !error.retriable() {
            self.error = Some(error);
        }
    }
}

impl Question {
    fn new(retry_backoff: Duration) -> Self {
        Self { request: None, retry_at: None, retry_backoff, obstacle: None }
    }

    /// Whether it is to be put now: also where the node that it was put to coordinates no more.
    fn is_due(&mut self, lookup: &Lookup, now: Instant) -> bool {
        let coordinator = lookup.coordinator();
        self.request.take_if(|asked| coordinator.is_some_and(|c| c.id != asked.node));
        self.retry_at = self.retry_at.filter(|at| now < *at);
        self.request.is_none() && self.retry_at.is_none()
    }

    fn takes(&mut self, id: RequestId) -> bool {
        self.request.take_if(|asked| asked.request == id).is_some()
    }

    /// What an answer, or the lack of one, says of the coordinator, and of when to ask again.
    fn heed(&mut self, error: Option<&Error>, lookup: &mut Lookup, cx: &mut Context<'_>) {
        self.obstacle = error.cloned();
        let Some(error) = error else {
            self.retry_at = None;
            return lookup.confirm();
        };
        log::debug!(target: "kafka_blocking::group", "committed offsets: {error}");
        self.retry_at = Some(later(cx.now, self.retry_backoff));
        match error.code() {
            Some(ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE) => {
                lookup.lose("it says that it is none", cx.client, cx.now);
            }
            None | Some(ErrorCode::REQUEST_TIMED_OUT) => lookup.suspect(),
            _ => {}
        }
    }

    fn send<'a>(
        &mut self,
        partitions: impl Iterator<Item = &'a TopicPartition>,
        require_stable: bool,
        lookup: &mut Lookup,
        options: &GroupOptions,
        cx: &mut Context<'_>,
    ) -> Result<()> {
        let Some(node) = reachable(lookup, cx.client, cx.now) else { return Ok(()) };
        let Some(version) = cx.client.version::<OffsetFetchRequest>(node, Some(BY_NAME)) else {
            self.retry_at = Some(later(cx.now, self.retry_backoff));
            return Err(cx.client.unsupported::<OffsetFetchRequest>(node));
        };
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for partition in partitions {
            topics.entry(partition.topic()).or_default().push(partition.partition());
        }
        let request = request(version, topics, require_stable, options);
        let request = cx.client.send(node, version, &request, cx.now)?;
        self.request = Some(Asked { request, node: node.id, sent: cx.now });
        Ok(())
    }
}

fn request(
    version: i16,
    topics: BTreeMap<&str, Vec<i32>>,
    require_stable: bool,
    options: &GroupOptions,
) -> OffsetFetchRequest {
    const STABLE: i16 = 7;
    let group_id = options.group_id.to_string();
    let topics = topics.into_iter().map(|(name, partitions)| (name.to_owned(), partitions));
    let mut request = OffsetFetchRequest {
        require_stable: require_stable && version >= STABLE,
        ..OffsetFetchRequest::default()
    };
    if version >= SEVERAL {
        let topics = topics.map(|(name, partition_indexes)| OffsetFetchRequestTopics {
            name,
            partition_indexes,
            ..OffsetFetchRequestTopics::default()
        });
        let group = OffsetFetchRequestGroup {
            group_id,
            topics: Some(topics.collect()),
            ..OffsetFetchRequestGroup::default()
        };
        request.groups = vec![group];
    } else {
        let topics = topics
            .map(|(name, partition_indexes)| OffsetFetchRequestTopic { name, partition_indexes });
        request.group_id = group_id;
        request.topics = Some(topics.collect());
    }
    request
}

fn read(version: i16, body: &[u8], options: &GroupOptions) -> Result<Answers> {
    let malformed =
        |reason: String| Error::Protocol { what: "OffsetFetch response", reason: reason.into() };
    let response = protocol::decode_response::<OffsetFetchRequest>(body, version)
        .map_err(|e| malformed(e.to_string()))?;
    let (code, answers) = if version >= SEVERAL {
        let group = response.groups.into_iter().find(|g| *g.group_id == *options.group_id);
        let group = group.ok_or_else(|| malformed("the group is not in it".to_owned()))?;
        let partitions = group.topics.into_iter().flat_map(|topic| {
            let named = topic.partitions.into_iter().map(move |p| (topic.name.clone(), p));
            named.map(|(t, p)| {
                answer(
                    &t,
                    p.partition_index,
                    p.error_code,
                    p.committed_offset,
                    p.committed_leader_epoch,
                    p.metadata,
                )
            })
        });
        (group.error_code, partitions.collect())
    } else {
        (response.error_code, old_answers(response))
    };
    match ErrorCode(code) {
        ErrorCode::NONE => Ok(answers),
        code => Err(group_error(OffsetFetchRequest::NAME, code, &options.group_id, "")),
    }
}

fn old_answers(response: OffsetFetchResponse) -> Answers {
    let topics = response.topics.into_iter();
    let partitions = topics.flat_map(|topic| {
        let named = topic.partitions.into_iter().map(move |p| (topic.name.clone(), p));
        named.map(|(t, p)| {
            answer(
                &t,
                p.partition_index,
                p.error_code,
                p.committed_offset,
                p.committed_leader_epoch,
                p.metadata,
            )
        })
    });
    partitions.collect()
}

fn answer(
    topic: &str,
    partition: i32,
    code: i16,
    offset: i64,
    epoch: i32,
    metadata: Option<String>,
) -> (TopicPartition, std::result::Result<Option<OffsetAndMetadata>, ErrorCode>) {
    let committed = || {
        let committed = OffsetAndMetadata::new(offset).with_leader_epoch(epoch);
        (offset >= 0).then(|| committed.with_metadata(metadata.unwrap_or_default()))
    };
    let answer = if code == 0 { Ok(committed()) } else { Err(ErrorCode(code)) };
    (TopicPartition::new(topic, partition), answer)
}

fn partition_error(code: ErrorCode, partition: &TopicPartition, options: &GroupOptions) -> Error {
    if code == ErrorCode::TOPIC_AUTHORIZATION_FAILED {
        return Error::TopicAuthorizationFailed { topics: vec![partition.topic().to_owned()] };
    }
    let more = format!(": {partition}");
    group_error(OffsetFetchRequest::NAME, code, &options.group_id, &more)
}
