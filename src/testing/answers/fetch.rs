//! The answer to Fetch: records up to the limits, or a wait until there are enough.

use std::time::Duration;

use crate::{
    ErrorCode,
    protocol::fetch::{
        FetchRequest, FetchResponse, FetchableTopicResponse, NodeEndpoint, PartitionData,
    },
};

use super::session::{Ask, Key, Opened};
use crate::testing::state::State;

/// A fetch that was taken, and may be answered later.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(super) node: i32,
    pub(super) version: i16,
    /// Whether only what is committed is asked for.
    pub(super) committed: bool,
    pub(super) rack: String,
    opened: Result<Opened, ErrorCode>,
    pub(super) max_bytes: usize,
    min_bytes: usize,
    pub(crate) max_wait: Duration,
}

/// The answer as it would be now.
struct Draft {
    partitions: Vec<(Key, PartitionData)>,
    bytes: usize,
    /// Whether something is to be said that cannot wait.
    urgent: bool,
}

const READ_COMMITTED: i8 = 1;

impl State {
    pub(super) fn plan_fetch(&mut self, node: i32, version: i16, request: &FetchRequest) -> Plan {
        let opened = match self.nodes.get_mut(&node) {
            Some(n) => n.sessions.open(version, request, n.sessions_allowed),
            None => Err(ErrorCode::BROKER_NOT_AVAILABLE),
        };
        Plan {
            node,
            version,
            committed: request.isolation_level == READ_COMMITTED,
            rack: request.rack_id.clone(),
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
        let wait = draft.bytes < plan.min_bytes && !draft.urgent && !opened.asks.is_empty();
        if wait && !over {
            return None;
        }
        Some(self.finish(plan, opened, draft))
    }

    fn draft(&self, plan: &Plan, asks: &[Ask]) -> Draft {
        let mut draft = Draft { partitions: Vec::new(), bytes: 0, urgent: false };
        for ask in asks {
            let data = self.read(plan, ask, draft.bytes);
            draft.bytes += data.records.as_slice().len();
            draft.urgent |= is_urgent(&data);
            draft.partitions.push((ask.key.clone(), data));
        }
        draft
    }

    fn finish(&mut self, plan: &Plan, opened: &Opened, draft: Draft) -> FetchResponse {
        let mut response =
            FetchResponse { session_id: opened.session_id, ..FetchResponse::default() };
        let mut told = Vec::new();
        for ((key, data), ask) in draft.partitions.into_iter().zip(&opened.asks) {
            let marks = (data.high_watermark, data.log_start_offset);
            let records = !data.records.as_slice().is_empty();
            let news = records || is_urgent(&data) || ask.told != Some(marks);
            if opened.incremental && !news {
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

fn is_urgent(data: &PartitionData) -> bool {
    data.error_code != 0 || data.preferred_read_replica >= 0 || data.diverging_epoch.epoch >= 0
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
