//! Offsets on their way to the coordinator, in the order in which they were committed.
//!
//! One request is under way at a time, and takes with it all that has queued up meanwhile: so the number of commits is not
//! bound by the coordinator's latency, and an older one that has to be sent again never overwrites a newer one.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use super::{
    leaving::reachable,
    lookup::{Lookup, group_error},
    membership::{Generation, Membership, Phase},
};
use crate::{
    Error, ErrorCode, OffsetAndMetadata, Result,
    net::connection::{RequestId, later},
    plants::{self, Plant},
    protocol::{
        self, Request,
        offset_commit::{
            OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
        },
    },
    subscriptions::{Context, PartitionId},
    types::TopicPartition,
};

/// Names a commit.
pub type CommitId = u64;

/// Offsets by partition.
pub type Offsets = BTreeMap<TopicPartition, OffsetAndMetadata>;

/// The newest version that names topics and not their ids.
const BY_NAME: i16 = 9;

/// What became of a commit.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Which one it is.
    pub id: CommitId,
    /// What was to be committed.
    pub offsets: Offsets,
    /// Whether it was.
    pub result: Result<()>,
}

/// The machine.
#[derive(Debug)]
pub(super) struct Commits {
    queue: VecDeque<Commit>,
    flight: Option<Flight>,
    finished: VecDeque<Finished>,
    retry_at: Option<Instant>,
    /// No commit is late before this: there may be thousands, and they are not looked at each time.
    late_at: Option<Instant>,
    retry_backoff: Duration,
    next_id: CommitId,
}

#[derive(Debug)]
struct Commit {
    id: CommitId,
    offsets: Offsets,
    /// What of it is stored already: not sent again, as there may be something newer by now.
    stored: BTreeSet<TopicPartition>,
    /// The tenures of the partitions, if a group assigned them: in another tenure the offsets mean nothing.
    tenures: Option<BTreeMap<TopicPartition, PartitionId>>,
    since: Instant,
    timeout: Duration,
    obstacle: Option<Error>,
    outcome: Option<Result<()>>,
}

#[derive(Debug)]
struct Flight {
    request: RequestId,
    /// To which node.
    node: i32,
    sent: Instant,
    commits: BTreeSet<CommitId>,
    generation: Option<Generation>,
}

impl Commits {
    pub(super) fn new(retry_backoff: Duration) -> Self {
        Self {
            queue: VecDeque::new(),
            flight: None,
            finished: VecDeque::new(),
            retry_at: None,
            late_at: None,
            retry_backoff,
            next_id: 1,
        }
    }

    // Commands

    /// Commits offsets, after those that were committed before; gives up after `timeout`.
    pub(super) fn start(
        &mut self,
        offsets: Offsets,
        tenures: Option<BTreeMap<TopicPartition, PartitionId>>,
        timeout: Duration,
        now: Instant,
    ) -> CommitId {
        let id = self.next_id;
        self.next_id += 1;
        let late = later(now, timeout);
        self.late_at = Some(self.late_at.map_or(late, |at| at.min(late)));
        let outcome = offsets.is_empty().then_some(Ok(()));
        let (stored, obstacle) = (BTreeSet::new(), None);
        let since = now;
        let commit = Commit { id, offsets, stored, tenures, since, timeout, obstacle, outcome };
        self.queue.push_back(commit);
        self.settle();
        id
    }

    /// Nobody waits for commits any more. What may have reached the coordinator is not taken back.
    pub(super) fn give_up(&mut self) {
        for Commit { outcome, timeout, obstacle, .. } in &mut self.queue {
            outcome.get_or_insert_with(|| Err(timed_out(*timeout, obstacle.as_ref(), [])));
        }
        self.settle();
    }

    // What came in

    /// The answer to a commit, if it is one.
    pub(super) fn handle_response(
        &mut self,
        id: RequestId,
        result: &Result<(i16, Vec<u8>)>,
        membership: &mut Membership,
        lookup: &mut Lookup,
        cx: &mut Context<'_>,
    ) -> bool {
        let Some(flight) = self.flight.take_if(|flight| flight.request == id) else { return false };
        match result
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|(version, body)| codes(*version, body))
        {
            Ok(codes) => self.judge(&flight, &codes, membership, lookup, cx),
            Err(error) => {
                log::debug!(target: "kafka_blocking::group", "committing: {error}");
                self.retry(&flight, &error, cx.now);
                // A coordinator that is gone may have a successor.
                lookup.suspect();
            }
        }
        self.settle();
        true
    }

    // What must go out

    /// Sends what is queued.
    pub(super) fn poll(
        &mut self,
        membership: &Membership,
        lookup: &mut Lookup,
        cx: &mut Context<'_>,
    ) {
        self.drop_late(lookup, cx);
        self.follow(lookup);
        if self.flight.is_some() || self.retry_at.is_some_and(|at| cx.now < at) {
            return self.settle();
        }
        self.retry_at = None;
        self.drop_disowned(membership, cx);
        self.settle();
        if self.queue.is_empty() {
            return;
        }
        let Some(node) = reachable(lookup, cx.client, cx.now) else { return };
        let Some(version) = cx.client.version::<OffsetCommitRequest>(node, Some(BY_NAME)) else {
            return self.fail_all(&cx.client.unsupported::<OffsetCommitRequest>(node));
        };
        let shared = cx.subscriptions.is_shared();
        let generation = membership.generation.clone().filter(|_| shared);
        let request = self.request(version, generation.as_ref(), membership);
        match cx.client.send(node, version, &request, cx.now) {
            Ok(request) => {
                let commits =
                    self.queue.iter().filter(|c| c.outcome.is_none()).map(|c| c.id).collect();
                let (node, sent) = (node.id, cx.now);
                self.flight = Some(Flight { request, node, sent, commits, generation });
            }
            Err(error) => self.fail_all(&error),
        }
    }

    /// What has become of commits, in the order in which they were made.
    pub(super) fn take_finished(&mut self) -> VecDeque<Finished> {
        std::mem::take(&mut self.finished)
    }

    /// These were taken, and are to be told of still.
    pub(super) fn put_back_finished(&mut self, mut finished: VecDeque<Finished>) {
        finished.append(&mut self.finished);
        self.finished = finished;
    }

    // What is known

    pub(super) fn has_finished(&self) -> bool {
        !self.finished.is_empty()
    }

    pub(super) fn is_pending(&self, id: CommitId) -> bool {
        // They stand in the order of their names.
        self.queue.binary_search_by_key(&id, |c| c.id).is_ok()
    }

    pub(super) fn has_work(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(super) fn obstacle(&self) -> Option<&Error> {
        self.queue.iter().find_map(|c| c.obstacle.as_ref())
    }

    pub(super) fn unanswered(&self) -> Option<Instant> {
        self.flight.as_ref().map(|flight| flight.sent)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let retry_at = self.retry_at.filter(|_| !plants::is(Plant::LostWakeUp));
        [retry_at, self.late_at].into_iter().flatten().min()
    }

    // Helpers

    /// What is to be stored: of each partition what was committed last, and was not refused. That a newer commit was given up
    /// does not mean that it is not stored: an older one must not take its place.
    fn newest(&self) -> Offsets {
        let open = self.queue.iter().filter(|c| c.outcome.is_none()).flat_map(Commit::open);
        let open: BTreeSet<&TopicPartition> = open.collect();
        let heeded = self.queue.iter().filter(|c| match c.outcome {
            None | Some(Ok(())) => true,
            Some(Err(Error::Timeout { .. })) => !plants::is(Plant::CommitGoingBack),
            Some(Err(_)) => false,
        });
        let all = heeded.flat_map(|c| &c.offsets).filter(|(p, _)| open.contains(p));
        all.map(|(p, o)| (p.clone(), o.clone())).collect()
    }

    fn request(
        &self,
        version: i16,
        generation: Option<&Generation>,
        membership: &Membership,
    ) -> OffsetCommitRequest {
        const EPOCHS: i16 = 6;
        let newest = self.newest();
        let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
        for (partition, offset) in &newest {
            if topics.last().is_none_or(|topic| topic.name != partition.topic()) {
                let name = partition.topic().to_owned();
                topics.push(OffsetCommitRequestTopic { name, ..Default::default() });
            }
            let committed = OffsetCommitRequestPartition {
                partition_index: partition.partition(),
                committed_offset: offset.offset(),
                committed_leader_epoch: offset
                    .leader_epoch()
                    .filter(|_| version >= EPOCHS)
                    .unwrap_or(-1),
                committed_metadata: Some(offset.metadata().to_owned()),
                ..Default::default()
            };
            if let Some(topic) = topics.last_mut() {
                topic.partitions.push(committed);
            }
        }
        OffsetCommitRequest {
            group_id: membership.options.group_id.to_string(),
            generation_id_or_member_epoch: generation.map_or(-1, |generation| generation.id),
            member_id: generation.map_or_else(String::new, |_| membership.member_id.clone()),
            group_instance_id: generation.and_then(|_| membership.instance_id()),
            retention_time_ms: -1,
            topics,
        }
    }

    fn judge(
        &mut self,
        flight: &Flight,
        codes: &BTreeMap<TopicPartition, ErrorCode>,
        membership: &mut Membership,
        lookup: &mut Lookup,
        cx: &mut Context<'_>,
    ) {
        let worst = codes
            .values()
            .copied()
            .find(|code| *code != ErrorCode::NONE && !is_about_partition(*code));
        match worst {
            None => lookup.confirm(),
            Some(ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE) => {
                lookup.lose("it says that it is none", cx.client, cx.now);
            }
            // It cannot reach the replicas of the group's offsets: they may have another leader.
            Some(ErrorCode::REQUEST_TIMED_OUT) => lookup.suspect(),
            _ => {}
        }
        let moved_on = flight.generation.is_some() && has_moved_on(flight, membership);
        for commit in self.queue.iter_mut().filter(|c| flight.commits.contains(&c.id)) {
            commit.judge(
                codes,
                moved_on,
                membership,
                cx.now,
                &mut self.retry_at,
                self.retry_backoff,
            );
        }
        if let Some(code) = worst.filter(|_| flight.generation.is_some() && !moved_on) {
            match code {
                ErrorCode::REBALANCE_IN_PROGRESS => {
                    membership.request_rejoin("a commit came in the middle of a rebalance")
                }
                ErrorCode::ILLEGAL_GENERATION
                | ErrorCode::UNKNOWN_MEMBER_ID
                | ErrorCode::FENCED_INSTANCE_ID => {
                    membership.expel(code);
                }
                _ => {}
            }
        }
    }

    fn retry(&mut self, flight: &Flight, error: &Error, now: Instant) {
        for commit in self.queue.iter_mut().filter(|c| flight.commits.contains(&c.id)) {
            commit.obstacle = Some(error.clone());
        }
        self.retry_at = Some(later(now, self.retry_backoff));
    }

    /// What is committed of partitions that are no longer this member's is the business of their new owners.
    fn drop_disowned(&mut self, membership: &Membership, cx: &Context<'_>) {
        for commit in self.queue.iter_mut().filter(|c| c.outcome.is_none()) {
            let Some(tenures) = &commit.tenures else { continue };
            let lost = tenures.iter().find(|(p, id)| cx.subscriptions.id(p).ok() != Some(**id));
            if let Some((partition, _)) = lost {
                let reason = format!("{partition} is no longer assigned to this member").into();
                commit.outcome = Some(Err(Error::CommitFailed { reason }));
            } else if membership.generation.is_none() {
                let reason = "this member is out of the group; poll to join it again".into();
                commit.outcome = Some(Err(Error::CommitFailed { reason }));
            }
        }
    }

    fn drop_late(&mut self, lookup: &Lookup, cx: &Context<'_>) {
        if self.late_at.is_none_or(|at| cx.now < at) {
            return;
        }
        for commit in self.queue.iter_mut().filter(|c| c.outcome.is_none()) {
            if cx.now >= later(commit.since, commit.timeout) {
                let around = [
                    lookup.obstacle().unwrap_or_default().to_owned(),
                    cx.client.describe_failures(cx.now),
                ];
                commit.outcome =
                    Some(Err(timed_out(commit.timeout, commit.obstacle.as_ref(), around)));
            }
        }
        let open = self.queue.iter().filter(|c| c.outcome.is_none());
        self.late_at = open.map(|c| later(c.since, c.timeout)).min();
    }

    /// Another node coordinates by now: what the old one was sent goes there, and is not waited for.
    fn follow(&mut self, lookup: &Lookup) {
        let elsewhere = |flight: &mut Flight| {
            lookup.coordinator().is_some_and(|coordinator| coordinator.id != flight.node)
        };
        if let Some(flight) = self.flight.take_if(elsewhere) {
            log::debug!(target: "kafka_blocking::group", "node {} left a commit unanswered, and coordinates no more", flight.node);
        }
    }

    /// Nothing is to be committed: why, all of them are told.
    pub(super) fn fail_all(&mut self, error: &Error) {
        for commit in self.queue.iter_mut() {
            commit.outcome.get_or_insert_with(|| Err(error.clone()));
        }
        self.settle();
    }

    /// Those that are decided are told of in the order in which they were made.
    fn settle(&mut self) {
        while self.queue.front().is_some_and(|c| c.outcome.is_some()) {
            let Some(Commit { id, offsets, outcome, .. }) = self.queue.pop_front() else { return };
            self.finished.push_back(Finished { id, offsets, result: outcome.unwrap_or(Ok(())) });
        }
    }
}

impl Commit {
    /// The partitions of which it is not known that their offsets are stored.
    fn open(&self) -> impl Iterator<Item = &TopicPartition> {
        self.offsets.keys().filter(|p| !self.stored.contains(*p))
    }

    /// Takes over what the coordinator said of its partitions.
    fn judge(
        &mut self,
        codes: &BTreeMap<TopicPartition, ErrorCode>,
        moved_on: bool,
        membership: &Membership,
        now: Instant,
        retry_at: &mut Option<Instant>,
        backoff: Duration,
    ) {
        let of =
            |p: &TopicPartition| codes.get(p).copied().unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR);
        let stored = self.open().filter(|p| of(p) == ErrorCode::NONE).cloned();
        self.stored.extend(stored.collect::<Vec<_>>());
        let failed: Vec<_> = self.open().map(|p| (p, of(p))).collect();
        let lasting = failed.iter().find(|(_, code)| !code.retriable());
        let Some((partition, code)) = lasting.or_else(|| failed.first()).copied() else {
            self.outcome.get_or_insert(Ok(()));
            return;
        };
        let group = &membership.options.group_id;
        if code.retriable() {
            self.obstacle = Some(group_error(
                OffsetCommitRequest::NAME,
                code,
                group,
                &format!(": {partition}"),
            ));
            *retry_at = Some(later(now, backoff));
            return;
        }
        let all =
            failed.iter().map(|(p, c)| format!("{p}: {}", c.name())).collect::<Vec<_>>().join(", ");
        let error = match code {
            ErrorCode::REBALANCE_IN_PROGRESS => Error::RebalanceInProgress,
            ErrorCode::ILLEGAL_GENERATION if moved_on => Error::RebalanceInProgress,
            ErrorCode::ILLEGAL_GENERATION | ErrorCode::UNKNOWN_MEMBER_ID
                if self.tenures.is_none() =>
            {
                let reason = format!(
                    "group {group} has members, to which its partitions are assigned ({all})"
                );
                Error::CommitFailed { reason: reason.into() }
            }
            ErrorCode::ILLEGAL_GENERATION | ErrorCode::UNKNOWN_MEMBER_ID => {
                let reason = format!("group {group} has gone on without this member ({all})");
                Error::CommitFailed { reason: reason.into() }
            }
            ErrorCode::FENCED_INSTANCE_ID => {
                let id = membership.options.instance_id.as_deref().unwrap_or_default();
                Error::FencedInstanceId { group_instance_id: id.into() }
            }
            ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
                let refused =
                    failed.iter().filter(|(_, c)| *c == code).map(|(p, _)| p.topic().to_owned());
                Error::TopicAuthorizationFailed {
                    topics: refused.collect::<BTreeSet<_>>().into_iter().collect(),
                }
            }
            code => group_error(OffsetCommitRequest::NAME, code, group, &format!(": {all}")),
        };
        self.outcome.get_or_insert(Err(error));
    }
}

/// Whether a code says something of the partition alone, and nothing of the group or its coordinator.
fn is_about_partition(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode::TOPIC_AUTHORIZATION_FAILED
            | ErrorCode::OFFSET_METADATA_TOO_LARGE
            | ErrorCode::INVALID_COMMIT_OFFSET_SIZE
    )
}

/// Whether the group was on its way to another generation when the coordinator answered: what it says of the one that the
/// commit was made under is no news.
fn has_moved_on(flight: &Flight, membership: &Membership) -> bool {
    let on_its_way = matches!(
        membership.phase,
        Phase::Joining { .. } | Phase::Leading { .. } | Phase::Syncable(_) | Phase::Syncing { .. }
    );
    on_its_way || membership.generation != flight.generation
}

fn codes(version: i16, body: &[u8]) -> Result<BTreeMap<TopicPartition, ErrorCode>> {
    let response =
        protocol::decode_response::<OffsetCommitRequest>(body, version).map_err(|e| {
            Error::Protocol { what: "OffsetCommit response", reason: e.to_string().into() }
        })?;
    let mut codes = BTreeMap::new();
    for topic in &response.topics {
        for p in &topic.partitions {
            codes.insert(
                TopicPartition::new(topic.name.as_str(), p.partition_index),
                ErrorCode(p.error_code),
            );
        }
    }
    Ok(codes)
}

fn timed_out(
    after: Duration,
    obstacle: Option<&Error>,
    around: impl IntoIterator<Item = String>,
) -> Error {
    let obstacle = obstacle.map(ToString::to_string);
    let mut parts: Vec<String> = obstacle.into_iter().chain(around).collect();
    parts.retain(|part| !part.is_empty());
    if parts.is_empty() {
        parts.push("no answer".to_owned());
    }
    Error::Timeout { operation: "commit", after, cause: parts.join("; ").into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods, reason = "any time will do: nothing waits for it")]
    fn any_time() -> Instant {
        Instant::now()
    }

    fn offsets(offset: i64) -> Offsets {
        [(TopicPartition::new("t", 0), OffsetAndMetadata::new(offset))].into()
    }

    #[test]
    fn fault_142_what_is_newer_counts_also_where_it_was_given_up_and_not_where_it_was_refused() {
        let (now, second) = (any_time(), Duration::from_secs(1));
        let mut commits = Commits::new(second / 10);
        commits.start(offsets(5), None, second * 60, now);
        commits.start(offsets(9), None, second, now);
        commits.queue[1].outcome = Some(Err(timed_out(second, None, [])));
        assert_eq!(commits.newest(), offsets(9));
        commits.queue[1].outcome = Some(Err(Error::RebalanceInProgress));
        assert_eq!(commits.newest(), offsets(5));
        commits.queue[0].stored = [TopicPartition::new("t", 0)].into();
        assert!(commits.newest().is_empty());
    }
}
