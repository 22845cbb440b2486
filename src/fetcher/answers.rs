//! What becomes of the answers to Fetch requests, piece by piece as they stream in.

use std::{io, sync::Arc, time::Duration};

use super::{AbortedFilter, Context, Fetched, Fetcher, Flight, Item, Reading, SILENCE};
use crate::{
    Error, ErrorCode, IsolationLevel,
    client::NodeKey,
    net::{
        connection::{RequestId, later},
        fetch_stream::{FetchPiece, RecordsPiece},
    },
    plants::{self, Plant},
    protocol::fetch::{EpochEndOffset, FetchResponse, FetchableTopicResponse, PartitionData},
    subscriptions::{Marks, PartitionId, Place},
    types::TopicPartition,
};

/// What the protocol has for an epoch that is not known.
const UNKNOWN_EPOCH: i32 = -1;

impl Fetcher {
    /// A part of an answer has come.
    pub fn handle_piece(
        &mut self,
        node: NodeKey,
        id: RequestId,
        piece: FetchPiece,
        cx: &mut Context<'_>,
    ) {
        let Some(flight) = self.nodes.get_mut(&node.id).and_then(|n| n.flight.as_mut()) else {
            return;
        };
        if flight.id != id {
            return;
        }
        flight.heard = true;
        flight.suspect_at = later(cx.now, SILENCE);
        match piece {
            FetchPiece::Start(top) => {
                // Before v8 the broker has waited before it answered (KIP-219).
                if flight.version >= 8 {
                    cx.client.throttle(node, top.throttle_time_ms, cx.now);
                }
                self.handle_start(node.id, &top, cx);
            }
            FetchPiece::Topic(topic) => flight.topic = topic_name(&topic, cx),
            FetchPiece::Partition(partition) => self.handle_partition(node.id, &partition, cx),
            FetchPiece::Records(piece) => self.handle_records(node.id, piece, cx),
            FetchPiece::PartitionEnd { partition, truncated } => {
                self.handle_partition_end(node.id, &partition, truncated, cx)
            }
            FetchPiece::End(top) => {
                let Some(node) = self.nodes.get_mut(&node.id) else { return };
                node.too_long = false;
                if let Some(Flight { failed: false, .. }) = node.flight.take() {
                    node.session.answered(top.session_id);
                }
            }
        }
    }

    /// A request failed; says whether it was ours.
    pub fn handle_failure(
        &mut self,
        node: NodeKey,
        id: RequestId,
        error: Option<&Error>,
        cx: &mut Context<'_>,
    ) -> bool {
        let Some(state) = self.nodes.get_mut(&node.id) else { return false };
        if state.flight.as_ref().is_none_or(|f| f.id != id) {
            return false;
        }
        state.flight = None;
        // Naming it once more closes it: the broker's cache holds few.
        state.session.reset(false);
        let too_long = error.filter(|e| is_too_long(e));
        let again = std::mem::replace(&mut state.too_long, too_long.is_some());
        if let Some(error) = too_long.filter(|_| again) {
            // Once may be an accident; a batch beyond receive_message_max_bytes does not pass by itself.
            self.fail_members(node.id, error, cx);
        }
        cx.metadata.request_update();
        self.leave_follower(node.id, cx);
        true
    }

    fn handle_start(&mut self, node: i32, top: &FetchResponse, cx: &mut Context<'_>) {
        let code = ErrorCode(top.error_code);
        let Some(state) = self.nodes.get_mut(&node) else { return };
        if code == ErrorCode::NONE {
            state.retry_at = None;
            return;
        }
        log::debug!(target: "kafka_blocking::fetch", "node {node}: {code}");
        if let Some(flight) = &mut state.flight {
            flight.failed = true;
        }
        state.session.reset(true);
        let session_lost = matches!(
            code,
            ErrorCode::FETCH_SESSION_ID_NOT_FOUND
                | ErrorCode::INVALID_FETCH_SESSION_EPOCH
                | ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR
        );
        // A lost session costs nothing the first time; whatever comes again and again waits.
        let harmless = session_lost && state.retry_at.is_none();
        let delay = if harmless { Duration::ZERO } else { self.retry_backoff };
        state.retry_at = Some(later(cx.now, delay));
        if !harmless {
            cx.metadata.request_update();
            self.leave_follower(node, cx);
        }
    }

    fn handle_partition(&mut self, node: i32, answer: &PartitionData, cx: &mut Context<'_>) {
        let Some(state) = self.nodes.get_mut(&node) else { return };
        let Some(flight) = &mut state.flight else { return };
        flight.reading = None;
        flight.progress = false;
        let Some(topic) = &flight.topic else { return };
        let Ok(id) =
            cx.subscriptions.id(&TopicPartition::new(topic.clone(), answer.partition_index))
        else {
            return;
        };
        if !flight.seen.insert(id) {
            return; // twice in one answer
        }
        // What was asked for is still what is wanted: no seek, no other leader since.
        let told = state.session.told(id);
        let Some(ask) = told.filter(|ask| is_wanted(id, ask.offset, cx)) else { return };
        let (offset, leader_epoch) = (ask.offset, ask.leader_epoch);
        match ErrorCode(answer.error_code) {
            ErrorCode::NONE => {
                let committed = self.options.isolation == IsolationLevel::ReadCommitted;
                let aborted = answer.aborted_transactions.clone().filter(|_| committed);
                let aborted = aborted.and_then(AbortedFilter::new);
                flight.reading = Some(Reading { id, offset, leader_epoch, aborted });
                cx.subscriptions.set_marks(id, marks(answer));
                if answer.preferred_read_replica >= 0 {
                    self.follow_preference(node, id, answer.preferred_read_replica, cx);
                }
            }
            ErrorCode::OFFSET_OUT_OF_RANGE if !is_leader(node, id, cx) => {
                // A follower's log may lag, or begin later: the leader knows.
                self.refuse_follower(id, cx);
            }
            code => self.handle_partition_error(node, id, offset, code, cx),
        }
    }

    fn handle_partition_error(
        &mut self,
        node: i32,
        id: PartitionId,
        offset: i64,
        code: ErrorCode,
        cx: &mut Context<'_>,
    ) {
        let Some(state) = cx.subscriptions.state(id) else { return };
        let partition = state.partition.clone();
        log::debug!(target: "kafka_blocking::fetch", "{partition} at {offset}: {code}");
        match code {
            ErrorCode::OFFSET_OUT_OF_RANGE => self.push(id, Item::OutOfRange(offset), cx),
            ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
                let error =
                    Error::TopicAuthorizationFailed { topics: vec![partition.topic().to_owned()] };
                self.push(id, Item::Failed(error), cx);
            }
            code if code.retriable() || code == ErrorCode::UNKNOWN_SERVER_ERROR => {
                cx.metadata.request_update();
                cx.subscriptions.back_off(id, later(cx.now, self.retry_backoff));
                // A follower that lags will have it soon, and where it is we who lag, metadata help.
                let passes = matches!(
                    code,
                    ErrorCode::OFFSET_NOT_AVAILABLE | ErrorCode::FENCED_LEADER_EPOCH
                );
                if !passes && !is_leader(node, id, cx) {
                    self.leave_follower(node, cx);
                }
            }
            code => {
                let detail = format!("{partition} at offset {offset}");
                self.push(id, Item::Failed(Error::broker("Fetch", code, detail)), cx);
            }
        }
    }

    fn handle_records(&mut self, node: i32, piece: RecordsPiece, cx: &mut Context<'_>) {
        let Some(flight) = self.nodes.get_mut(&node).and_then(|n| n.flight.as_mut()) else {
            return;
        };
        let Some(reading) = &mut flight.reading else { return };
        let (id, offset) = (reading.id, reading.offset);
        let full = cx.subscriptions.is_paused(id) && !self.parked.has_room();
        if full || !is_wanted(id, offset, cx) {
            flight.reading = None; // a seek in mid-response
            return;
        }
        let filter = reading.aborted.as_mut();
        let aborted = filter.map(|f| f.aborted_batches(&piece.chunk.filled()[..piece.len]));
        let aborted = aborted.unwrap_or_default();
        match piece.next_offset {
            Some(next) if next <= offset => {
                // All of it lies before what was asked for: a broker that keeps doing so must not make us spin.
                cx.subscriptions.back_off(id, later(cx.now, self.retry_backoff));
                return;
            }
            Some(next) => {
                reading.offset = next;
                let place = Place { offset: next, epoch: piece.last_epoch };
                cx.subscriptions.advance_fetch(id, place, reading.leader_epoch);
            }
            None => {
                flight.reading = None;
                cx.subscriptions.suspend(id);
            }
        }
        flight.progress = true;
        self.enqueue(id, Item::Records(Fetched { piece, aborted }), cx.subscriptions);
    }

    fn handle_partition_end(
        &mut self,
        node: i32,
        answer: &PartitionData,
        truncated: bool,
        cx: &mut Context<'_>,
    ) {
        let Some(flight) = self.nodes.get_mut(&node).and_then(|n| n.flight.as_mut()) else {
            return;
        };
        let reading = flight.reading.take();
        let topic = flight.topic.clone();
        let progress = flight.progress;
        if let Some(Reading { id, leader_epoch, .. }) = reading
            && answer.diverging_epoch.end_offset >= 0
        {
            let epoch = leader_epoch.unwrap_or(UNKNOWN_EPOCH);
            self.handle_divergence(node, id, epoch, &answer.diverging_epoch, cx);
        }
        if let Some(topic) = topic.filter(|_| answer.current_leader.leader_id >= 0) {
            Self::take_hint(&TopicPartition::new(topic, answer.partition_index), answer, cx);
        }
        if let (Some(Reading { id, offset, .. }), true, false) = (reading, truncated, progress) {
            let Some(state) = cx.subscriptions.state(id) else { return };
            let limit = u64::from(self.options.partition_max_bytes.unsigned_abs());
            let partition = state.partition.clone();
            let error = Error::RecordTooLarge {
                partition,
                offset,
                next_offset: offset.saturating_add(1),
                limit,
                option: "max_partition_fetch_bytes",
            };
            self.push(id, Item::Failed(error), cx);
        }
    }

    /// A broker finds that its log parts from what was read: the leader is asked, and decides.
    fn handle_divergence(
        &mut self,
        node: i32,
        id: PartitionId,
        leader_epoch: i32,
        parts: &EpochEndOffset,
        cx: &mut Context<'_>,
    ) {
        let told = is_leader(node, id, cx).then_some((parts.epoch, parts.end_offset));
        cx.subscriptions.diverged(id, leader_epoch, told);
        // Where the leader finds nothing, the same may come again.
        cx.subscriptions.back_off(id, later(cx.now, self.retry_backoff));
        if !is_leader(node, id, cx) {
            self.leave_follower(node, cx);
        }
    }

    /// The broker names the leader that has taken over (KIP-951): fetches from that one at once.
    fn take_hint(partition: &TopicPartition, answer: &PartitionData, cx: &mut Context<'_>) {
        let hint = &answer.current_leader;
        if !cx.metadata.cluster_mut().update_leader(partition, hint.leader_id, hint.leader_epoch) {
            cx.metadata.request_update();
        } else if let Ok(id) = cx.subscriptions.id(partition) {
            cx.subscriptions.end_backoff(id);
        }
    }

    /// Queues something that has to be dealt with before the partition is fetched again.
    pub(super) fn push(&mut self, id: PartitionId, item: Item, cx: &mut Context<'_>) {
        cx.subscriptions.suspend(id);
        self.enqueue(id, item, cx.subscriptions);
    }
}

/// Whether records from this offset on are what is to come next of a partition.
fn is_wanted(id: PartitionId, offset: i64, cx: &Context<'_>) -> bool {
    let wanted = cx.subscriptions.state(id).and_then(|state| state.wanted());
    wanted.is_some_and(|p| p.offset == offset || plants::is(Plant::StaleFetchAfterSeek))
}

/// Whether a broker leads a partition, as far as is known.
fn is_leader(node: i32, id: PartitionId, cx: &Context<'_>) -> bool {
    let state = cx.subscriptions.state(id);
    state
        .and_then(|s| cx.metadata.cluster().leader(&s.partition))
        .is_none_or(|leader| leader == node)
}

fn marks(answer: &PartitionData) -> Marks {
    let known = |offset: i64| Some(offset).filter(|offset| *offset >= 0);
    Marks {
        high_watermark: known(answer.high_watermark),
        last_stable: known(answer.last_stable_offset),
        log_start: known(answer.log_start_offset),
    }
}

fn topic_name(topic: &FetchableTopicResponse, cx: &Context<'_>) -> Option<Arc<str>> {
    let cluster = cx.metadata.cluster();
    if topic.topic.is_empty() {
        cluster.topic_name(topic.topic_id).cloned()
    } else {
        Some(topic.topic.as_str().into())
    }
}

/// Whether a connection ended because an answer was longer than is allowed.
fn is_too_long(error: &Error) -> bool {
    matches!(error, Error::Connection { source, .. } if source.kind() == io::ErrorKind::FileTooLarge)
}
