//! The answer to Metadata: the nodes that live, and the topics asked about.

use kafka_blocking::{
    ErrorCode,
    protocol::metadata::{
        MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
        MetadataResponseTopic,
    },
    wire::Uuid,
};

use crate::state::{State, Topic};

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
            None => self.topics.iter().map(|(name, t)| self.describe(name, t)).collect(),
            Some(asked) => asked
                .iter()
                .map(|t| self.answer_topic(t.name.as_deref().unwrap_or_default(), t.topic_id))
                .collect(),
        };
        MetadataResponse {
            brokers: brokers.collect(),
            cluster_id: Some("scripted".to_owned()),
            controller_id: self.nodes.keys().next().copied().unwrap_or(-1),
            topics,
            ..MetadataResponse::default()
        }
    }

    fn answer_topic(&self, name: &str, id: Uuid) -> MetadataResponseTopic {
        let by_id = name.is_empty() && !id.is_zero();
        let name = if by_id { self.topic_name(id).unwrap_or_default() } else { name };
        if let Some(topic) = self.topics.get(name) {
            return self.describe(name, topic);
        }
        let code =
            if by_id { ErrorCode::UNKNOWN_TOPIC_ID } else { ErrorCode::UNKNOWN_TOPIC_OR_PARTITION };
        MetadataResponseTopic {
            error_code: code.0,
            name: Some(name.to_owned()),
            topic_id: id,
            ..MetadataResponseTopic::default()
        }
    }

    fn describe(&self, name: &str, topic: &Topic) -> MetadataResponseTopic {
        let partitions = (0..).zip(&topic.partitions).map(|(index, p)| {
            let led = p.leader.filter(|id| self.nodes.get(id).is_some_and(|n| n.alive));
            MetadataResponsePartition {
                error_code: led.map_or(ErrorCode::LEADER_NOT_AVAILABLE.0, |_| 0),
                partition_index: index,
                leader_id: led.unwrap_or(-1),
                leader_epoch: p.epoch,
                replica_nodes: p.replicas.clone(),
                isr_nodes: p.replicas.clone(),
                ..MetadataResponsePartition::default()
            }
        });
        MetadataResponseTopic {
            name: Some(name.to_owned()),
            topic_id: topic.id,
            is_internal: name == "__consumer_offsets" || name == "__transaction_state",
            partitions: partitions.collect(),
            ..MetadataResponseTopic::default()
        }
    }
}
