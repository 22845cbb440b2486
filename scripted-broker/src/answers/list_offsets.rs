//! The answer to ListOffsets: the first or last offset, or the first at or after a time.

use kafka_blocking::{
    ErrorCode,
    protocol::list_offsets::{
        ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest,
        ListOffsetsResponse, ListOffsetsTopicResponse,
    },
};

use crate::{log::Log, state::State};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;

impl State {
    pub(super) fn list_offsets(
        &self,
        node: i32,
        version: i16,
        request: &ListOffsetsRequest,
    ) -> ListOffsetsResponse {
        let topics = request.topics.iter().map(|topic| ListOffsetsTopicResponse {
            name: topic.name.clone(),
            partitions: topic
                .partitions
                .iter()
                .map(|asked| self.list_partition(node, version, &topic.name, asked))
                .collect(),
        });
        ListOffsetsResponse { topics: topics.collect(), ..ListOffsetsResponse::default() }
    }

    fn list_partition(
        &self,
        node: i32,
        version: i16,
        topic: &str,
        asked: &ListOffsetsPartition,
    ) -> ListOffsetsPartitionResponse {
        let mut answer = ListOffsetsPartitionResponse {
            partition_index: asked.partition_index,
            ..ListOffsetsPartitionResponse::default()
        };
        let epoch = if version >= 4 { asked.current_leader_epoch } else { -1 };
        match self.check_leader(node, topic, asked.partition_index, epoch) {
            Err(ErrorCode(code)) => answer.error_code = code,
            Ok(partition) => {
                let found = find(&partition.log, asked.timestamp);
                if version == 0 {
                    answer.old_style_offsets =
                        found.map(|(offset, _)| offset).into_iter().collect();
                } else if let Some((offset, time)) = found {
                    (answer.offset, answer.timestamp) = (offset, time);
                }
                if version >= 4 && found.is_some() {
                    answer.leader_epoch = partition.epoch;
                }
            }
        }
        answer
    }
}

fn find(log: &Log, timestamp: i64) -> Option<(i64, i64)> {
    match timestamp {
        LATEST => Some((log.high_watermark(), -1)),
        EARLIEST | EARLIEST_LOCAL => Some((log.start(), -1)),
        MAX_TIMESTAMP => log.latest_time(),
        time if time < 0 => None,
        time => log.find_time(time),
    }
}
