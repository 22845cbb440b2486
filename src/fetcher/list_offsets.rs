//! How ListOffsets is put to leaders, and what its answers are.

use std::sync::Arc;

use crate::{
    ErrorCode,
    fetcher::leaders::{Item, LeaderApi, Split, by_topic},
    protocol::list_offsets::{
        ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
    },
    types::TopicPartition,
};

/// What ListOffsets understands by the end of a log.
pub const LATEST: i64 = -1;

/// What ListOffsets understands by the beginning of a log.
pub const EARLIEST: i64 = -2;

/// Asks for an offset by time, or for the first or last one.
#[derive(Clone, Copy, Debug)]
pub struct ListOffsets {
    /// Whether the end of a log is before the first open transaction.
    pub read_committed: bool,
}

/// An offset that a leader has named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundOffset {
    /// The offset.
    pub offset: i64,
    /// The time of the record there, in milliseconds since 1970; -1 where none was asked for.
    pub timestamp: i64,
    /// The leader's epoch at the offset, where brokers tell.
    pub leader_epoch: Option<i32>,
}

impl LeaderApi for ListOffsets {
    type Request = ListOffsetsRequest;
    type Question = i64;
    type Answer = FoundOffset;

    const RESPONSE: &'static str = "ListOffsets response";

    // v0 asks for lists of segments, which only brokers before 0.10.1 need.
    const OLDEST: i16 = 1;

    fn request(&self, version: i16, items: &[Item<'_, i64>]) -> ListOffsetsRequest {
        // Brokers that do not know the field have no transactions either: all that they have is committed.
        const ISOLATION: i16 = 2;
        let topics = by_topic(items, |item| ListOffsetsPartition {
            partition_index: item.question.partition.partition(),
            current_leader_epoch: item.leader_epoch,
            timestamp: item.question.what,
            ..ListOffsetsPartition::default()
        });
        let topic =
            |(name, partitions): (&str, _)| ListOffsetsTopic { name: name.into(), partitions };
        ListOffsetsRequest {
            replica_id: -1,
            isolation_level: i8::from(self.read_committed && version >= ISOLATION),
            topics: topics.into_iter().map(topic).collect(),
            ..ListOffsetsRequest::default()
        }
    }

    fn split(&self, response: ListOffsetsResponse) -> Split<FoundOffset> {
        let answers = response.topics.into_iter().flat_map(|topic| {
            let name: Arc<str> = topic.name.into();
            topic.partitions.into_iter().map(move |p| {
                let found = FoundOffset {
                    offset: p.offset,
                    timestamp: p.timestamp,
                    leader_epoch: Some(p.leader_epoch).filter(|epoch| *epoch >= 0),
                };
                let partition = TopicPartition::new(name.clone(), p.partition_index);
                (partition, ErrorCode(p.error_code), found)
            })
        });
        answers.collect()
    }
}
