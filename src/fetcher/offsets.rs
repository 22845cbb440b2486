//! Where partitions without a position begin: asks their leaders for the first or the last offset.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{
    Error, ErrorCode, Result,
    client::NodeKey,
    consumer::options::OffsetReset,
    fetcher::{
        Context,
        leaders::{LeaderQueries, Question, Reply, Verdict},
        list_offsets::{EARLIEST, FoundOffset, LATEST, ListOffsets},
    },
    net::connection::RequestId,
    protocol::{Request, list_offsets::ListOffsetsRequest},
    subscriptions::Place,
};

/// What nobody fetches is not piled up.
const MOST_ERRORS: usize = 4;

/// The machine.
#[derive(Debug)]
pub struct OffsetResets {
    queries: LeaderQueries<ListOffsets>,
    errors: VecDeque<Error>,
}

impl OffsetResets {
    /// Nothing is asked yet. `read_committed` decides what the end of a log is.
    #[must_use]
    pub fn new(read_committed: bool, retry_backoff: Duration) -> Self {
        Self {
            queries: LeaderQueries::new(ListOffsets { read_committed }, retry_backoff),
            errors: VecDeque::new(),
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
        self.queries.handle_timeout(cx);
        let open = cx.subscriptions.unresolved().filter_map(|(id, state)| {
            let what = state.reset.and_then(timestamp)?;
            Some((id, &state.partition, what))
        });
        let mut open = open.peekable();
        if open.peek().is_none() {
            self.queries.clear_obstacle();
            return;
        }
        let questions = open
            .filter(|(id, ..)| self.queries.is_free(*id))
            .map(|(id, partition, what)| Question { id, partition: partition.clone(), what })
            .collect();
        for (_, error) in self.queries.ask(questions, cx) {
            self.fail(error);
        }
    }

    /// When to call [`poll`](Self::poll) although nothing came in.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.queries.poll_timeout()
    }

    /// An error that the caller has to know.
    pub fn poll_error(&mut self) -> Option<Error> {
        self.errors.pop_front()
    }

    // What is known

    /// Why there is no position yet, as far as it is known.
    #[must_use]
    pub fn obstacle(&self) -> Option<&str> {
        self.queries.obstacle()
    }

    // Helpers

    fn take_over(
        &mut self,
        question: &Question<i64>,
        reply: Reply<FoundOffset>,
        cx: &mut Context<'_>,
    ) {
        let partition = &question.partition;
        // A seek, or another reset, has overtaken the question.
        let policy = cx.subscriptions.state(question.id).and_then(|s| s.reset);
        let Some(policy) = policy.filter(|p| timestamp(*p) == Some(question.what)) else { return };
        match self.queries.judge(question, reply, cx) {
            Verdict::Answer(found) if found.offset >= 0 => {
                log::debug!(target: "kafka_blocking::fetch", "{partition}: {policy} is {}", found.offset);
                let place = Place { offset: found.offset, epoch: found.leader_epoch };
                cx.subscriptions.set_position(question.id, place);
            }
            Verdict::Answer(found) => {
                let reason = format!("the offset is {}", found.offset);
                self.queries.ask_again(question, &reason, cx);
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

    fn fail(&mut self, error: Error) {
        self.errors.push_back(error);
        while self.errors.len() > MOST_ERRORS {
            self.errors.pop_front();
        }
    }
}

/// What to ask for; nothing for `none`.
fn timestamp(policy: OffsetReset) -> Option<i64> {
    match policy {
        OffsetReset::Earliest => Some(EARLIEST),
        OffsetReset::Latest => Some(LATEST),
        OffsetReset::None => None,
    }
}
