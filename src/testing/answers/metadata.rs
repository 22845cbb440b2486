//! The answer to Metadata: the nodes that live, and the topics asked about.

use crate::{
    ErrorCode,
    protocol::metadata::{
        MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
        MetadataResponseTopic,
    },
    wire::Uuid,
};

use crate::testing::state::{State, Topic};

/// What the cluster calls itself.
pub(super) const CLUSTER_ID: &str = "in-process";

/// The error of topics that are not among all topics.
const HIDDEN: ErrorCode = ErrorCode::TOPIC_AUTHORIZATION_FAILED;

/// The topics that Kafka keeps for itself.
const INTERNAL: [&str; 2] = ["__consumer_offsets", "__transaction_state"];

impl State {
    pub(super) fn metadata(&self, version: i16, request: &MetadataRequest) -> MetadataResponse {
        let brokers =
            self.nodes.iter().filter(|(_, n)| n.alive).map(|(id, n)| MetadataResponseBroker {
                node_id: *id,
                host: n.advertised.host.clone(),
                port: n.advertised.port.into(),
                rack: n.rack.clone(),
            });
        // Before version 1 there was no null, and no topics meant all.
        let asked = request.topics.as_ref().filter(|t| version > 0 || !t.is_empty());
        let topics = match asked {
            None => self
                .topics
                .iter()
                .filter(|(name, _)| self.topic_errors.get(*name) != Some(&HIDDEN))
                .map(|(name, topic)| self.describe(name, topic))
                .collect(),
            Some(asked) => asked
                .iter()
                .map(|t| self.answer_topic(t.name.as_deref().unwrap_or_default(), t.topic_id))
                .collect(),
        };
        MetadataResponse {
            brokers: brokers.collect(),
            cluster_id: Some(CLUSTER_ID.to_owned()),
            controller_id: self.controller(),
            topics,
            ..MetadataResponse::default()
        }
    }

    /// The node that tools go to.
    pub(super) fn controller(&self) -> i32 {
        let mut alive = self.nodes.iter().filter(|(_, node)| node.alive);
        alive.next().map_or(-1, |(id, _)| *id)
    }

    fn answer_topic(&self, name: &str, id: Uuid) -> MetadataResponseTopic {
        let by_id = name.is_empty() && !id.is_zero();
        let name = if by_id { self.topic_name(id).unwrap_or_default() } else { name };
        if let Some(topic) = self.topics.get(name) {
            return self.describe(name, topic);
        }
        let code = match self.topic_errors.get(name) {
            Some(code) => *code,
            None if by_id => ErrorCode::UNKNOWN_TOPIC_ID,
            None if !is_name(name) => ErrorCode::INVALID_TOPIC_EXCEPTION,
            None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        };
        failed(name, if by_id { id } else { Uuid::ZERO }, code)
    }

    fn describe(&self, name: &str, topic: &Topic) -> MetadataResponseTopic {
        if let Some(code) = self.topic_errors.get(name) {
            return failed(name, Uuid::ZERO, *code);
        }
        let alive = |id: &i32| self.nodes.get(id).is_some_and(|n| n.alive);
        let partitions = (0..).zip(&topic.partitions).map(|(index, p)| {
            let led = p.leader.filter(alive);
            MetadataResponsePartition {
                error_code: led.map_or(ErrorCode::LEADER_NOT_AVAILABLE.0, |_| 0),
                partition_index: index,
                leader_id: led.unwrap_or(-1),
                leader_epoch: p.epoch,
                replica_nodes: p.replicas.clone(),
                isr_nodes: pick(&p.replicas, |id| alive(id) && p.in_sync(*id)),
                offline_replicas: pick(&p.replicas, |id| !alive(id)),
            }
        });
        MetadataResponseTopic {
            name: Some(name.to_owned()),
            topic_id: topic.id,
            is_internal: INTERNAL.contains(&name),
            partitions: partitions.collect(),
            ..MetadataResponseTopic::default()
        }
    }
}

fn failed(name: &str, topic_id: Uuid, code: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code: code.0,
        name: Some(name.to_owned()),
        topic_id,
        is_internal: INTERNAL.contains(&name),
        ..MetadataResponseTopic::default()
    }
}

/// Whether a topic can have this name.
pub(super) fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !matches!(name, "" | "." | "..") && name.len() <= 249 && name.chars().all(fits)
}

fn pick(replicas: &[i32], wanted: impl Fn(&i32) -> bool) -> Vec<i32> {
    replicas.iter().copied().filter(wanted).collect()
}
