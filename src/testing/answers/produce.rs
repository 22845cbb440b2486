//! The answer to Produce: batches are appended as they are, after what Kafka checks of them.

use crate::{
    ErrorCode,
    protocol::produce::{
        PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
        TopicProduceResponse,
    },
    records::{BatchHeader, RecordsError, next_batch_len},
};

use crate::testing::{producers::Place, state::State};

/// From which version on topics are named by their ids.
const BY_ID: i16 = 13;

/// From which version on a transaction takes in partitions by itself (KIP-890).
const JOINS: i16 = 12;

/// The bits of a batch's attributes.
const TRANSACTIONAL: i16 = 16;
const CONTROL: i16 = 32;

impl State {
    /// What became of a request whose `acks` is 0 is known all the same, and told to nobody.
    pub(super) fn produce(
        &mut self,
        node: i32,
        version: i16,
        request: &ProduceRequest,
        refused: Option<ErrorCode>,
    ) -> ProduceResponse {
        let topics = request.topic_data.iter().map(|topic| {
            let name = match version {
                BY_ID.. => self.topic_name(topic.topic_id).map(ToOwned::to_owned),
                _ => Some(topic.name.clone()),
            };
            let partitions = topic.partition_data.iter().map(|data| {
                let name = name.as_deref().ok_or(ErrorCode::UNKNOWN_TOPIC_ID);
                let outcome = match refused {
                    Some(code) => Err(code),
                    None => name.and_then(|name| {
                        self.append_data(node, version, (name.to_owned(), data.index), data)
                    }),
                };
                let start = name.ok().and_then(|name| self.partition(name, data.index));
                partition_response(data.index, outcome, start.map_or(-1, |p| p.log.start()))
            });
            TopicProduceResponse {
                partition_responses: partitions.collect(),
                name: topic.name.clone(),
                topic_id: topic.topic_id,
            }
        });
        ProduceResponse { responses: topics.collect(), ..ProduceResponse::default() }
    }

    /// Appends the one batch that a request may have for a partition; gives its offset, and the time that the broker set.
    fn append_data(
        &mut self,
        node: i32,
        version: i16,
        place: Place,
        data: &PartitionProduceData,
    ) -> Result<(i64, i64), ErrorCode> {
        if let Some(code) = self.topic_errors.get(&place.0) {
            return Err(*code);
        }
        let partition = self.partition(&place.0, place.1);
        let partition = partition.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        if partition.leader != Some(node) {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        let batch = data.records.as_slice();
        let header = check_batch(batch)?;
        if let Some(offset) = self.producers.check(&header, &place)? {
            return Ok((offset, -1));
        }
        if header.attributes & TRANSACTIONAL != 0 {
            self.producers.join(&header, &place, version >= JOINS)?;
        }
        let partition = self.partition_mut(&place.0, place.1);
        let batch = partition.log.stamp(batch.to_vec());
        let offset = partition.log.append_batch(batch, partition.epoch);
        let time = partition.log.append_time().unwrap_or(-1);
        self.producers.appended(&header, place, offset);
        Ok((offset, time))
    }
}

/// What Kafka looks at before it appends something: one whole batch of the present format, whose checksum is right.
fn check_batch(bytes: &[u8]) -> Result<BatchHeader, ErrorCode> {
    let header = BatchHeader::parse(bytes).map_err(|error| match error {
        RecordsError::UnsupportedMagic(_) => ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT,
        _ => ErrorCode::CORRUPT_MESSAGE,
    })?;
    let whole = next_batch_len(bytes).is_ok_and(|length| length == Some(bytes.len()));
    if !whole || crc32c::crc32c(&bytes[21..]) != header.crc {
        return Err(ErrorCode::CORRUPT_MESSAGE);
    }
    let dense = i64::from(header.record_count) == i64::from(header.last_offset_delta) + 1;
    if !dense || header.attributes & CONTROL != 0 {
        return Err(ErrorCode::INVALID_RECORD);
    }
    Ok(header)
}

fn partition_response(
    index: i32,
    outcome: Result<(i64, i64), ErrorCode>,
    log_start_offset: i64,
) -> PartitionProduceResponse {
    let (code, (base_offset, log_append_time_ms)) =
        outcome.map_or_else(|code| (code, (-1, -1)), |appended| (ErrorCode::NONE, appended));
    PartitionProduceResponse {
        index,
        error_code: code.0,
        base_offset,
        log_append_time_ms,
        log_start_offset: if code == ErrorCode::NONE { log_start_offset } else { -1 },
        ..PartitionProduceResponse::default()
    }
}
