//! Where partitions without a position begin: asks their leaders for the first or the last offset.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use crate::{
    Error, ErrorCode, Result,
    client::{NodeKey, Role},
    consumer::options::OffsetReset,
    fetcher::{Context, SILENCE},
    net::connection::{RequestId, later},
    protocol::{
        self,
        list_offsets::{
            ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest,
            ListOffsetsTopic,
        },
    },
    subscriptions::{PartitionId, Place},
    types::TopicPartition,
};

/// What ListOffsets understands by the end and the beginning of a log.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// The machine.
#[derive(Debug)]
pub struct OffsetResets {
    retry_backoff: Duration,
    in_flight: BTreeMap<RequestId, Asked>,
    asked: BTreeSet<PartitionId>,
    retry_at: BTreeMap<PartitionId, Instant>,
    errors: VecDeque<Error>,
    /// Why there is no position yet, for error texts.
    obstacle: Option<String>,
}

/// A request that is under way.
#[derive(Debug)]
struct Asked {
    leader: i32,
    suspect_at: Instant,
    partitions: Vec<(PartitionId, TopicPartition, OffsetReset)>,
}

impl OffsetResets {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(retry_backoff: Duration) -> Self {
        Self {
            retry_backoff,
            in_flight: BTreeMap::new(),
            asked: BTreeSet::new(),
            retry_at: BTreeMap::new(),
            errors: VecDeque::new(),
            obstacle: None,
        }
    }

    /// A request was answered, or failed; says whether it was ours.
    pub fn handle_response(
        &mut self,
        node: NodeKey,
        id: RequestId,
        result: &Result<(i16, Vec<u8>)>,
        cx: &mut Context<'_>,
    ) -> bool {
        let Some(Asked { partitions: asked, .. }) = self.in_flight.remove(&id) else {
            return false;
        };
        for (id, ..) in &asked {
            self.asked.remove(id);
        }
        let response = result.as_ref().map_err(Clone::clone).and_then(|(version, body)| {
            let response =
                protocol::decode_response::<ListOffsetsRequest>(body, *version).map_err(|e| {
                    Error::Protocol { what: "ListOffsets response", reason: e.to_string().into() }
                })?;
            if *version >= 3 {
                cx.client.throttle(node, response.throttle_time_ms, cx.now);
            }
            Ok(response)
        });
        let answers: BTreeMap<(&str, i32), &ListOffsetsPartitionResponse> = match &response {
            Ok(r) => r
                .topics
                .iter()
                .flat_map(|t| {
                    t.partitions.iter().map(|p| ((t.name.as_str(), p.partition_index), p))
                })
                .collect(),
            Err(error) => {
                log::debug!(target: "kafka_blocking::fetch", "{node}: {error}");
                cx.metadata.request_update();
                BTreeMap::new()
            }
        };
        for (id, partition, policy) in asked {
            let answer = answers.get(&(partition.topic(), partition.partition()));
            self.take_over(id, &partition, policy, answer.copied(), cx);
        }
        true
    }

    /// Sends what is to be asked.
    pub fn poll(&mut self, cx: &mut Context<'_>) {
        self.watch_silence(cx);
        let mut by_leader: BTreeMap<i32, Vec<(PartitionId, TopicPartition, OffsetReset)>> =
            BTreeMap::new();
        for (id, state) in cx.subscriptions.unresolved() {
            let Some(policy) = state.reset.filter(|p| *p != OffsetReset::None) else { continue };
            if self.asked.contains(&id) || self.retry_at.get(&id).is_some_and(|at| cx.now < *at) {
                continue;
            }
            match cx.metadata.cluster().leader(&state.partition) {
                Some(leader) => {
                    by_leader.entry(leader).or_default().push((id, state.partition.clone(), policy))
                }
                None => {
                    let topic = cx.metadata.cluster().topic(state.partition.topic());
                    self.obstacle = Some(match topic.and_then(|t| t.error) {
                        Some(code) => format!("metadata of {}: {code}", state.partition.topic()),
                        None => format!("metadata names no leader of {}", state.partition),
                    });
                    cx.metadata.request_update();
                }
            }
        }
        for (leader, partitions) in by_leader {
            self.ask(leader, partitions, cx);
        }
        self.retry_at.retain(|_, at| cx.now < *at);
    }

    /// When to call [`poll`](Self::poll) although nothing came in.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let suspects =
            self.in_flight.values().filter(|a| !a.partitions.is_empty()).map(|a| a.suspect_at);
        self.retry_at.values().copied().chain(suspects).min()
    }

    /// An error that the caller has to know.
    pub fn poll_error(&mut self) -> Option<Error> {
        self.errors.pop_front()
    }

    /// Why there is no position yet, as far as it is known.
    #[must_use]
    pub fn obstacle(&self) -> Option<&str> {
        self.obstacle.as_deref()
    }

    /// Whoever leads no longer is not waited for; about whoever is silent, others are asked.
    fn watch_silence(&mut self, cx: &mut Context<'_>) {
        for request in self.in_flight.values_mut() {
            let cluster = cx.metadata.cluster();
            let asked = &mut self.asked;
            request.partitions.retain(|(id, partition, _)| {
                let stays = cluster.leader(partition).is_none_or(|leader| leader == request.leader);
                stays || !asked.remove(id)
            });
            if cx.now >= request.suspect_at && !request.partitions.is_empty() {
                request.suspect_at = later(cx.now, SILENCE);
                cx.metadata.avoid(request.leader, cx.now);
            }
        }
    }

    fn ask(
        &mut self,
        leader: i32,
        partitions: Vec<(PartitionId, TopicPartition, OffsetReset)>,
        cx: &mut Context<'_>,
    ) {
        let key = NodeKey { id: leader, role: Role::Control };
        if !cx.client.can_send(key, cx.now) {
            cx.client.ensure(key, cx.now);
            if cx.client.is_failing(key) {
                cx.metadata.request_update();
            }
            return;
        }
        // v0 asks for lists of segments, which only brokers before 0.10.1 need.
        let version = cx.client.version::<ListOffsetsRequest>(key, None).filter(|v| *v >= 1);
        let sent = match version {
            Some(version) => cx.client.send(key, version, &request(&partitions, cx), cx.now),
            None => Err(cx.client.unsupported::<ListOffsetsRequest>(key)),
        };
        match sent {
            Ok(id) => {
                self.asked.extend(partitions.iter().map(|(id, ..)| *id));
                let suspect_at = later(cx.now, SILENCE);
                self.in_flight.insert(id, Asked { leader, suspect_at, partitions });
            }
            Err(error) => {
                self.errors.push_back(error);
                self.retry_later(partitions.iter().map(|(id, ..)| *id), cx.now);
            }
        }
    }

    fn take_over(
        &mut self,
        id: PartitionId,
        partition: &TopicPartition,
        policy: OffsetReset,
        answer: Option<&ListOffsetsPartitionResponse>,
        cx: &mut Context<'_>,
    ) {
        // A seek, or another reset, has overtaken the question.
        if cx.subscriptions.state(id).is_none_or(|s| s.reset != Some(policy)) {
            return;
        }
        let code = answer.map(|a| ErrorCode(a.error_code));
        match (code, answer) {
            (Some(ErrorCode::NONE), Some(answer)) if answer.offset >= 0 => {
                log::debug!(target: "kafka_blocking::fetch", "{partition}: {policy} is {}", answer.offset);
                self.obstacle = None;
                let epoch = Some(answer.leader_epoch).filter(|epoch| *epoch >= 0);
                cx.subscriptions.set_position(id, Place { offset: answer.offset, epoch });
            }
            (Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED), _) => {
                self.errors.push_back(Error::TopicAuthorizationFailed {
                    topics: vec![partition.topic().to_owned()],
                });
                self.retry_later([id], cx.now);
            }
            (Some(code), _) if code != ErrorCode::NONE && !code.retriable() => {
                self.errors.push_back(Error::broker("ListOffsets", code, partition.to_string()));
                self.retry_later([id], cx.now);
            }
            _ => {
                log::debug!(target: "kafka_blocking::fetch", "{partition}: no offset ({code:?})");
                if let Some(code) = code {
                    self.obstacle = Some(format!("ListOffsets of {partition}: {code}"));
                }
                cx.metadata.request_update();
                self.retry_later([id], cx.now);
            }
        }
        while self.errors.len() > 4 {
            self.errors.pop_front();
        }
    }

    fn retry_later(&mut self, ids: impl IntoIterator<Item = PartitionId>, now: Instant) {
        let at = later(now, self.retry_backoff);
        self.retry_at.extend(ids.into_iter().map(|id| (id, at)));
    }
}

fn request(
    partitions: &[(PartitionId, TopicPartition, OffsetReset)],
    cx: &Context<'_>,
) -> ListOffsetsRequest {
    let mut request = ListOffsetsRequest { replica_id: -1, ..ListOffsetsRequest::default() };
    for (_, partition, policy) in partitions {
        let known = cx.metadata.cluster().partition(partition);
        let ask = ListOffsetsPartition {
            partition_index: partition.partition(),
            current_leader_epoch: known.and_then(|p| p.epoch).unwrap_or(-1),
            timestamp: if *policy == OffsetReset::Earliest { EARLIEST } else { LATEST },
            ..ListOffsetsPartition::default()
        };
        match request.topics.last_mut().filter(|t| t.name == partition.topic()) {
            Some(topic) => topic.partitions.push(ask),
            None => request.topics.push(ListOffsetsTopic {
                name: partition.topic().to_owned(),
                partitions: vec![ask],
            }),
        }
    }
    request
}
