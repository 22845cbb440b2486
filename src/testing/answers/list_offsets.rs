//! The answer to ListOffsets: the first or last offset, or the first at or after a time.

use crate::{
    ErrorCode,
    protocol::list_offsets::{
        ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest,
        ListOffsetsResponse, ListOffsetsTopicResponse,
    },
};

use super::replica::Replica;
use crate::testing::{log::Found, state::State};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;
const READ_COMMITTED: i8 = 1;

impl State {
    pub(super) fn list_offsets(
        &self,
        node: i32,
        version: i16,
        request: &ListOffsetsRequest,
    ) -> ListOffsetsResponse {
        let committed = request.isolation_level == READ_COMMITTED;
        let topics = request.topics.iter().map(|topic| ListOffsetsTopicResponse {
            name: topic.name.clone(),
            partitions: topic
                .partitions
                .iter()
                .map(|asked| self.list_partition(node, version, committed, &topic.name, asked))
                .collect(),
        });
        ListOffsetsResponse { topics: topics.collect(), ..ListOffsetsResponse::default() }
    }

    fn list_partition(
        &self,
        node: i32,
        version: i16,
        committed: bool,
        topic: &str,
        asked: &ListOffsetsPartition,
    ) -> ListOffsetsPartitionResponse {
        let mut answer = ListOffsetsPartitionResponse {
            partition_index: asked.partition_index,
            ..ListOffsetsPartitionResponse::default()
        };
        let replica = self.leading(node, topic, asked.partition_index, asked.current_leader_epoch);
        match replica.and_then(|replica| find(&replica, version, committed, asked.timestamp)) {
            Err(ErrorCode::OFFSET_NOT_AVAILABLE) if version < 5 => {
                answer.error_code = ErrorCode::LEADER_NOT_AVAILABLE.0;
            }
            Err(ErrorCode(code)) => answer.error_code = code,
            Ok(found) if version == 0 => {
                answer.old_style_offsets = found.map(|found| found.offset).into_iter().collect();
            }
            Ok(None) => {}
            Ok(Some(found)) => {
                (answer.offset, answer.timestamp) = (found.offset, found.timestamp);
                answer.leader_epoch = if version >= 4 { found.leader_epoch } else { -1 };
            }
        }
        answer
    }
}

/// What is at a time, or at one of the times that stand for something else.
fn find(
    replica: &Replica<'_>,
    version: i16,
    committed: bool,
    timestamp: i64,
) -> Result<Option<Found>, ErrorCode> {
    let log = &replica.partition.log;
    let epoch = replica.partition.epoch;
    let bound = if committed { replica.last_stable_offset() } else { replica.high_watermark };
    // A leader that is new does not know yet how far its log is committed.
    let knows = log.start_of_epoch(epoch).is_none_or(|start| start <= replica.high_watermark);
    let found = match timestamp {
        LATEST if knows => return Ok(Some(mark(bound, epoch))),
        LATEST => return Err(ErrorCode::OFFSET_NOT_AVAILABLE),
        EARLIEST => return Ok(Some(mark(log.start(), log.epoch_of(log.start()).unwrap_or(-1)))),
        EARLIEST_LOCAL if version >= 8 => {
            return Ok(Some(mark(log.start(), log.epoch_of(log.start()).unwrap_or(-1))));
        }
        LATEST_TIERED if version >= 9 => return Ok(None),
        EARLIEST_PENDING_UPLOAD if version >= 11 => return Ok(None),
        MAX_TIMESTAMP if version >= 7 => log.latest_time(),
        0.. => log.find_time(timestamp),
        _ => return Err(ErrorCode::UNSUPPORTED_VERSION),
    };
    match found.filter(|found| found.offset < bound) {
        None if !knows => Err(ErrorCode::OFFSET_NOT_AVAILABLE),
        found => Ok(found),
    }
}

fn mark(offset: i64, leader_epoch: i32) -> Found {
    Found { offset, timestamp: -1, leader_epoch }
}
