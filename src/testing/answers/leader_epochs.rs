//! The answer to OffsetForLeaderEpoch: where epochs ended.

use crate::{
    ErrorCode,
    protocol::offset_for_leader_epoch::{
        EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
        OffsetForLeaderPartition, OffsetForLeaderTopicResult,
    },
};

use crate::testing::state::State;

impl State {
    pub(super) fn ends_of_epochs(
        &self,
        node: i32,
        request: &OffsetForLeaderEpochRequest,
    ) -> OffsetForLeaderEpochResponse {
        let topics = request.topics.iter().map(|topic| OffsetForLeaderTopicResult {
            topic: topic.topic.clone(),
            partitions: topic
                .partitions
                .iter()
                .map(|asked| self.end_of_epoch(node, &topic.topic, asked))
                .collect(),
        });
        OffsetForLeaderEpochResponse {
            topics: topics.collect(),
            ..OffsetForLeaderEpochResponse::default()
        }
    }

    fn end_of_epoch(
        &self,
        node: i32,
        topic: &str,
        asked: &OffsetForLeaderPartition,
    ) -> EpochEndOffset {
        let mut answer = EpochEndOffset { partition: asked.partition, ..EpochEndOffset::default() };
        match self.leading(node, topic, asked.partition, asked.current_leader_epoch) {
            Err(ErrorCode(code)) => answer.error_code = code,
            Ok(replica) => {
                let partition = replica.partition;
                let end = partition.log.end_of_epoch(asked.leader_epoch, partition.epoch);
                (answer.leader_epoch, answer.end_offset) = end.unwrap_or((-1, -1));
            }
        }
        answer
    }
}
