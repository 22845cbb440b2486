//! How what is to be fetched is put into a request.

use super::session::NextRequest;
use crate::{
    consumer::options::FetchOptions,
    protocol::fetch::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic},
    types::TopicPartition,
    wire::Uuid,
};

/// Fetch versions from here on name topics by id only.
pub(super) const NAMES_BY_ID: i16 = 13;

/// Fetch versions from here on say which epoch was fetched last, and tell where the logs part.
const TELLS_EPOCH: i16 = 12;

/// A request of a version; `next` says what the session wants told.
pub(super) fn fetch_request(
    options: &FetchOptions,
    version: i16,
    rack: String,
    next: NextRequest,
) -> FetchRequest {
    let mut request = FetchRequest {
        max_wait_ms: i32::try_from(options.max_wait.as_millis()).unwrap_or(i32::MAX),
        min_bytes: options.min_bytes,
        max_bytes: options.max_bytes,
        isolation_level: options.isolation.code(),
        rack_id: rack,
        session_id: next.session_id,
        session_epoch: next.session_epoch,
        ..FetchRequest::default()
    };
    let by_id = version >= NAMES_BY_ID;
    for ask in next.asks {
        let partition = FetchPartition {
            partition: ask.partition.partition(),
            current_leader_epoch: ask.leader_epoch.unwrap_or(-1),
            fetch_offset: ask.offset,
            // Not ignorable: an older broker finds no divergence.
            last_fetched_epoch: ask
                .last_fetched_epoch
                .filter(|_| version >= TELLS_EPOCH)
                .unwrap_or(-1),
            partition_max_bytes: options.partition_max_bytes,
            ..FetchPartition::default()
        };
        let (topic, topic_id) = name_or_id(&ask.partition, ask.topic_id, by_id);
        match request.topics.last_mut().filter(|t| t.topic == topic && t.topic_id == topic_id) {
            Some(last) => last.partitions.push(partition),
            None => {
                request.topics.push(FetchTopic { topic, topic_id, partitions: vec![partition] })
            }
        }
    }
    for (partition, id) in next.forgotten {
        let (topic, topic_id) = name_or_id(&partition, id, by_id);
        let partitions = vec![partition.partition()];
        request.forgotten_topics_data.push(ForgottenTopic { topic, topic_id, partitions });
    }
    request
}

/// A topic as a version of Fetch names it.
fn name_or_id(partition: &TopicPartition, id: Option<Uuid>, by_id: bool) -> (String, Uuid) {
    match id {
        Some(id) if by_id => (String::new(), id),
        _ => (partition.topic().to_owned(), Uuid::default()),
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
