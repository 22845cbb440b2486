//! The answers that tools get which make topics, delete them, or look at the cluster.

use crate::{
    ErrorCode,
    protocol::{
        create_topics::{
            CreatableTopic, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
        },
        delete_records::{
            DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
            DeleteRecordsTopicResult,
        },
        delete_topics::{
            DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
        },
        describe_cluster::{DescribeClusterBroker, DescribeClusterResponse},
        describe_configs::{
            DescribeConfigsRequest, DescribeConfigsResponse, DescribeConfigsResult,
        },
    },
    wire::Uuid,
};

use super::metadata::{CLUSTER_ID, is_name};
use crate::testing::state::State;

/// How many partitions a topic gets for which nobody says how many.
const PARTITIONS: i32 = 1;

/// The most that one topic can have.
const MOST_PARTITIONS: i32 = 10_000;

/// The most that all topics that clients make can have, so that a client cannot take memory without measure.
const MOST_PARTITIONS_IN_ALL: usize = 100_000;

impl State {
    pub(super) fn create_topics(
        &mut self,
        request: &CreateTopicsRequest,
        refused: Option<ErrorCode>,
    ) -> CreateTopicsResponse {
        let topics = request.topics.iter().map(|topic| {
            let outcome = match refused {
                Some(code) => Err(code),
                None => self.partitions_of_new(topic),
            };
            if let (Ok(partitions), false) = (&outcome, request.validate_only) {
                self.create_topic(&topic.name, usize::try_from(*partitions).unwrap_or(0));
            }
            let made = self.topics.get(&topic.name).filter(|_| outcome.is_ok());
            CreatableTopicResult {
                name: topic.name.clone(),
                topic_id: made.map_or(Uuid::ZERO, |topic| topic.id),
                error_code: outcome.err().map_or(0, |code| code.0),
                error_message: outcome.err().map(|code| code.to_string()),
                num_partitions: outcome.unwrap_or(-1),
                replication_factor: i16::try_from(self.nodes.len()).unwrap_or(i16::MAX),
                configs: Some(Vec::new()),
                ..CreatableTopicResult::default()
            }
        });
        CreateTopicsResponse { topics: topics.collect(), ..CreateTopicsResponse::default() }
    }

    fn partitions_of_new(&self, topic: &CreatableTopic) -> Result<i32, ErrorCode> {
        if !is_name(&topic.name) {
            return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
        }
        if self.topics.contains_key(&topic.name) {
            return Err(ErrorCode::TOPIC_ALREADY_EXISTS);
        }
        if !self.has_topic_ids() {
            return Err(ErrorCode::POLICY_VIOLATION);
        }
        let assigned = i32::try_from(topic.assignments.len()).unwrap_or(i32::MAX);
        match if assigned > 0 { assigned } else { topic.num_partitions } {
            -1 => Ok(PARTITIONS),
            count @ 1..=MOST_PARTITIONS => {
                let there: usize = self.topics.values().map(|t| t.partitions.len()).sum();
                let fits = there + usize::try_from(count).unwrap_or(0) <= MOST_PARTITIONS_IN_ALL;
                if fits { Ok(count) } else { Err(ErrorCode::POLICY_VIOLATION) }
            }
            _ => Err(ErrorCode::INVALID_PARTITIONS),
        }
    }

    pub(super) fn delete_topics(
        &mut self,
        version: i16,
        request: &DeleteTopicsRequest,
        refused: Option<ErrorCode>,
    ) -> DeleteTopicsResponse {
        let by_name = request.topic_names.iter().map(|name| DeleteTopicState {
            name: Some(name.clone()),
            ..DeleteTopicState::default()
        });
        let asked: Vec<DeleteTopicState> =
            if version >= 6 { request.topics.clone() } else { by_name.collect() };
        let responses = asked.into_iter().map(|asked| {
            let by_id = asked.name.is_none();
            let name = asked.name.or_else(|| self.topic_name(asked.topic_id).map(str::to_owned));
            let id = name.as_ref().and_then(|name| self.topics.get(name)).map(|topic| topic.id);
            let code = match refused {
                Some(code) => code,
                None if id.is_some() => ErrorCode::NONE,
                None if by_id => ErrorCode::UNKNOWN_TOPIC_ID,
                None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            };
            if let (ErrorCode::NONE, Some(name)) = (code, &name) {
                self.delete_topic(name);
            }
            DeletableTopicResult {
                name: name.or_else(|| (version < 6).then(String::new)),
                topic_id: id.unwrap_or(asked.topic_id),
                error_code: code.0,
                ..DeletableTopicResult::default()
            }
        });
        DeleteTopicsResponse { responses: responses.collect(), ..Default::default() }
    }

    pub(super) fn delete_records(
        &mut self,
        node: i32,
        request: &DeleteRecordsRequest,
        refused: Option<ErrorCode>,
    ) -> DeleteRecordsResponse {
        let topics = request.topics.iter().map(|topic| DeleteRecordsTopicResult {
            name: topic.name.clone(),
            partitions: topic
                .partitions
                .iter()
                .map(|p| {
                    let start = match refused {
                        Some(code) => Err(code),
                        None => self.delete_before(node, &topic.name, p.partition_index, p.offset),
                    };
                    DeleteRecordsPartitionResult {
                        partition_index: p.partition_index,
                        low_watermark: start.unwrap_or(-1),
                        error_code: start.err().map_or(0, |code| code.0),
                    }
                })
                .collect(),
        });
        DeleteRecordsResponse { topics: topics.collect(), ..Default::default() }
    }

    /// -1 is the high watermark.
    fn delete_before(
        &mut self,
        node: i32,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<i64, ErrorCode> {
        let found = self.partition(topic, partition);
        let found = found.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        if found.leader != Some(node) {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        let end = found.log.high_watermark();
        let offset = if offset == -1 { end } else { offset };
        if !(0..=end).contains(&offset) {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        self.delete_records_before(topic, partition, offset);
        Ok(self.partition_mut(topic, partition).log.start())
    }

    pub(super) fn describe_cluster(&self, refused: Option<ErrorCode>) -> DescribeClusterResponse {
        let alive = self.nodes.iter().filter(|(_, node)| node.alive);
        let brokers = alive.map(|(id, node)| DescribeClusterBroker {
            broker_id: *id,
            host: node.advertised.host.clone(),
            port: node.advertised.port.into(),
            rack: node.rack.clone(),
            is_fenced: false,
        });
        DescribeClusterResponse {
            error_code: refused.map_or(0, |code| code.0),
            cluster_id: CLUSTER_ID.to_owned(),
            controller_id: self.controller(),
            brokers: brokers.collect(),
            ..Default::default()
        }
    }

    /// Nothing is configured here.
    pub(super) fn describe_configs(
        &self,
        request: &DescribeConfigsRequest,
        refused: Option<ErrorCode>,
    ) -> DescribeConfigsResponse {
        let results = request.resources.iter().map(|resource| DescribeConfigsResult {
            error_code: refused.map_or(0, |code| code.0),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            ..DescribeConfigsResult::default()
        });
        DescribeConfigsResponse { results: results.collect(), ..Default::default() }
    }
}
