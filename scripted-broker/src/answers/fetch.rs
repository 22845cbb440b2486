//! The answer to Fetch: records up to the limits, or a wait until there are enough.

use std::time::Duration;

use kafka_blocking::{
    ErrorCode,
    protocol::fetch::{
        FetchRequest, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint,
        PartitionData,
    },
};

use super::session::{Ask, Key, Opened};
use crate::state::State;

/// A fetch that was taken, and may be answered later.
#[derive(Debug)]
pub(crate) struct Plan {
    node: i32,
    version: i16,
    opened: Result<Opened, ErrorCode>,
    max_bytes: usize,
    min_bytes: usize,
    pub(crate) max_wait: Duration,
}

/// The answer as it would be now.
struct Draft {
    partitions: Vec<(Key, PartitionData)>,
    bytes: usize,
    failed: bool,
}

/// Versions from here on name the leader to who asks the wrong node (KIP-951).
const NAMES_LEADERS: i16 = 16;

impl State {
    pub(super) fn plan_fetch(&mut self, node: i32, version: i16, request: &FetchRequest) -> Plan {
        let opened = match self.nodes.get_mut(&node) {
            Some(n) => n.sessions.open(version, request, n.sessions_allowed),
            None => Err(ErrorCode::BROKER_NOT_AVAILABLE),
        };
        Plan {
            node,
            version,
            opened,
            max_bytes: usize::try_from(request.max_bytes).unwrap_or(0),
            min_bytes: usize::try_from(request.min_bytes).unwrap_or(0),
            max_wait: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)),
        }
    }

    /// The answer, if there is enough for one, or if the wait is `over`.
    pub(crate) fn try_fetch(&mut self, plan: &Plan, over: bool) -> Option<FetchResponse> {
        let opened = match &plan.opened {
            Ok(opened) => opened,
            Err(ErrorCode(error_code)) => {
                return Some(FetchResponse { error_code: *error_code, ..FetchResponse::default() });
            }
        };
        let draft = self.draft(plan, &opened.asks);
        let wait = draft.bytes < plan.min_bytes && !draft.failed && !opened.asks.is_empty();
        if wait && !over {
            return None;
        }
        Some(self.finish(plan, opened, draft))
    }

    fn draft(&self, plan: &Plan, asks: &[Ask]) -> Draft {
        let mut draft = Draft { partitions: Vec::new(), bytes: 0, failed: false };
        for ask in asks {
            let data = self.read(plan, ask, draft.bytes);
            draft.bytes += data.records.as_slice().len();
            draft.failed |= data.error_code != 0;
            draft.partitions.push((ask.key.clone(), data));
        }
        draft
    }

    fn read(&self, plan: &Plan, ask: &Ask, before: usize) -> PartitionData {
        let mut data = PartitionData {
            partition_index: ask.key.partition,
            high_watermark: -1,
            records: Vec::new().into(),
            ..PartitionData::default()
        };
        let name = if plan.version >= 13 {
            self.topic_name(ask.key.topic_id)
        } else {
            Some(ask.key.topic.as_str())
        };
        let Some(name) = name else {
            data.error_code = ErrorCode::UNKNOWN_TOPIC_ID.0;
            return data;
        };
        let partition =
            match self.check_leader(plan.node, name, ask.key.partition, ask.leader_epoch) {
                Ok(partition) => partition,
                Err(code) => {
                    data.error_code = code.0;
                    self.name_leader(plan.version, name, code, &mut data);
                    return data;
                }
            };
        let log = &partition.log;
        data.high_watermark = log.high_watermark();
        data.last_stable_offset = log.high_watermark();
        data.log_start_offset = log.start();
        if !log.contains(ask.offset) {
            data.error_code = ErrorCode::OFFSET_OUT_OF_RANGE.0;
            (data.high_watermark, data.last_stable_offset, data.log_start_offset) = (-1, -1, -1);
            return data;
        }
        // From version 3 on the first batch of an answer comes whole, and none that is cut at its head comes at all.
        let bounded = plan.version >= 3;
        let room = if bounded { plan.max_bytes.saturating_sub(before) } else { usize::MAX };
        let slice = log.read(ask.offset, ask.max_bytes.min(room), bounded && before == 0);
        if !(bounded && slice.incomplete) {
            data.records = slice.bytes.into();
        }
        data
    }

    fn name_leader(&self, version: i16, name: &str, code: ErrorCode, data: &mut PartitionData) {
        let moved =
            matches!(code, ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::FENCED_LEADER_EPOCH);
        let Some(partition) = self.partition(name, data.partition_index) else { return };
        if let (Some(leader_id), true, NAMES_LEADERS..) = (partition.leader, moved, version) {
            data.current_leader = LeaderIdAndEpoch { leader_id, leader_epoch: partition.epoch };
        }
    }

    fn finish(&mut self, plan: &Plan, opened: &Opened, draft: Draft) -> FetchResponse {
        let mut response =
            FetchResponse { session_id: opened.session_id, ..FetchResponse::default() };
        let mut told = Vec::new();
        for ((key, data), ask) in draft.partitions.into_iter().zip(&opened.asks) {
            let marks = (data.high_watermark, data.log_start_offset);
            let records = !data.records.as_slice().is_empty();
            if opened.incremental && !records && data.error_code == 0 && ask.told == Some(marks) {
                continue;
            }
            if let Some(node) = self.nodes.get(&data.current_leader.leader_id) {
                response.node_endpoints.push(NodeEndpoint {
                    node_id: data.current_leader.leader_id,
                    host: node.advertised.host.clone(),
                    port: node.advertised.port.into(),
                    rack: node.rack.clone(),
                });
            }
            told.push((key.clone(), marks, records));
            push(&mut response, key, data);
        }
        if let Some(node) = self.nodes.get_mut(&plan.node) {
            node.sessions.answered(opened.session_id, &told);
        }
        response
    }
}

fn push(response: &mut FetchResponse, key: Key, data: PartitionData) {
    let same = |t: &&mut FetchableTopicResponse| t.topic == key.topic && t.topic_id == key.topic_id;
    match response.responses.last_mut().filter(same) {
        Some(topic) => topic.partitions.push(data),
        None => response.responses.push(FetchableTopicResponse {
            topic: key.topic,
            topic_id: key.topic_id,
            partitions: vec![data].into(),
        }),
    }
}
