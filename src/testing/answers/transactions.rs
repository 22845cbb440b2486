//! The answers that a producer gets for its id and its transactions.

use std::time::Instant;

use crate::{
    ErrorCode,
    protocol::{
        add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse},
        add_partitions_to_txn::{
            AddPartitionsToTxnPartitionResult, AddPartitionsToTxnRequest,
            AddPartitionsToTxnResponse, AddPartitionsToTxnTopic, AddPartitionsToTxnTopicResult,
        },
        end_txn::{EndTxnRequest, EndTxnResponse},
        init_producer_id::{InitProducerIdRequest, InitProducerIdResponse},
        offset_commit::OffsetCommitRequest,
        txn_offset_commit::{
            TxnOffsetCommitRequest, TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition,
            TxnOffsetCommitResponseTopic,
        },
    },
};

use crate::testing::{batches::Marker, groups::CommittedOffset, producers::Ended, state::State};

/// The version of OffsetCommit whose errors TxnOffsetCommit has: later ones know that a group is gone.
const OLD_ERRORS: i16 = 8;

impl State {
    pub(super) fn init_producer_id(
        &mut self,
        request: &InitProducerIdRequest,
        refused: Option<ErrorCode>,
    ) -> InitProducerIdResponse {
        if let Some(code) = refused {
            return InitProducerIdResponse { error_code: code.0, ..Default::default() };
        }
        let (producer_id, producer_epoch) = match request.transactional_id.as_deref() {
            None => self.producers.new_id(),
            Some(name) => {
                let (identity, left_open) = self.producers.begin(name);
                self.end_transaction(left_open, false);
                identity
            }
        };
        InitProducerIdResponse { producer_id, producer_epoch, ..Default::default() }
    }

    pub(super) fn add_partitions_to_txn(
        &mut self,
        request: &AddPartitionsToTxnRequest,
        refused: Option<ErrorCode>,
    ) -> AddPartitionsToTxnResponse {
        let topics = &request.v3_and_below_topics;
        let places = |topic: &AddPartitionsToTxnTopic| {
            let name = topic.name.clone();
            topic.partitions.clone().into_iter().map(move |p| (name.clone(), p))
        };
        let unknown =
            |(topic, partition): &(String, i32)| self.partition(topic, *partition).is_none();
        let outcome = match refused {
            Some(code) => Err(code),
            None if topics.iter().flat_map(places).any(|place| unknown(&place)) => {
                Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
            }
            None => {
                let identity =
                    (request.v3_and_below_producer_id, request.v3_and_below_producer_epoch);
                let name = &request.v3_and_below_transactional_id;
                self.producers.add_partitions(name, identity, topics.iter().flat_map(places))
            }
        };
        let code = code(outcome);
        let results = topics.iter().map(|topic| AddPartitionsToTxnTopicResult {
            name: topic.name.clone(),
            results_by_partition: topic
                .partitions
                .iter()
                .map(|p| AddPartitionsToTxnPartitionResult {
                    partition_index: *p,
                    partition_error_code: code,
                })
                .collect(),
        });
        AddPartitionsToTxnResponse {
            results_by_topic_v3_and_below: results.collect(),
            ..Default::default()
        }
    }

    pub(super) fn add_offsets_to_txn(
        &mut self,
        request: &AddOffsetsToTxnRequest,
        refused: Option<ErrorCode>,
    ) -> AddOffsetsToTxnResponse {
        let identity = (request.producer_id, request.producer_epoch);
        let outcome =
            refused.map_or_else(|| self.producers.admit(&request.transactional_id, identity), Err);
        AddOffsetsToTxnResponse { error_code: code(outcome), ..Default::default() }
    }

    pub(super) fn end_txn(
        &mut self,
        request: &EndTxnRequest,
        refused: Option<ErrorCode>,
    ) -> EndTxnResponse {
        let identity = (request.producer_id, request.producer_epoch);
        let ended =
            refused.map_or_else(|| self.producers.end(&request.transactional_id, identity), Err);
        let outcome = ended.map(|ended| self.end_transaction(ended, request.committed));
        EndTxnResponse { error_code: code(outcome), ..Default::default() }
    }

    /// The offsets wait for the end of the transaction; until then they are not stable (KIP-447).
    pub(super) fn txn_offset_commit(
        &mut self,
        node: i32,
        request: &TxnOffsetCommitRequest,
        refused: Option<ErrorCode>,
        now: Instant,
    ) -> TxnOffsetCommitResponse {
        let admitted = match refused {
            Some(code) => Err(code),
            None => self.admit_offsets(node, request, now),
        };
        let identity = (request.producer_id, request.producer_epoch);
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|p| {
                let place = (topic.name.clone(), p.partition_index);
                let epoch = p.committed_leader_epoch;
                let committed = CommittedOffset {
                    offset: p.committed_offset,
                    leader_epoch: (epoch >= 0).then_some(epoch),
                    metadata: p.committed_metadata.clone().unwrap_or_default(),
                };
                let (name, group) = (&request.transactional_id, &request.group_id);
                let outcome = admitted.and_then(|()| {
                    self.producers.add_offset(name, identity, group, place, committed)
                });
                if outcome.is_ok() {
                    self.groups.set_unstable(group, &topic.name, p.partition_index, true);
                }
                TxnOffsetCommitResponsePartition {
                    partition_index: p.partition_index,
                    error_code: code(outcome),
                }
            });
            TxnOffsetCommitResponseTopic {
                partitions: partitions.collect(),
                name: topic.name.clone(),
                topic_id: topic.topic_id,
            }
        });
        TxnOffsetCommitResponse { topics: topics.collect(), ..Default::default() }
    }

    /// Whether the group takes offsets from this member, or from one that is none.
    fn admit_offsets(
        &mut self,
        node: i32,
        request: &TxnOffsetCommitRequest,
        now: Instant,
    ) -> Result<(), ErrorCode> {
        self.coordinates(node, &request.group_id)?;
        if request.generation_id_or_member_epoch < 0 && request.member_id.is_empty() {
            return Ok(());
        }
        let as_commit = OffsetCommitRequest {
            group_id: request.group_id.clone(),
            generation_id_or_member_epoch: request.generation_id_or_member_epoch,
            member_id: request.member_id.clone(),
            group_instance_id: request.group_instance_id.clone(),
            ..Default::default()
        };
        self.groups.admit_commit(&as_commit, OLD_ERRORS, now)
    }

    /// Writes the markers, and the offsets if it is committed.
    fn end_transaction(&mut self, ended: Ended, committed: bool) {
        let marker = if committed { Marker::Commit } else { Marker::Abort };
        for (topic, partition) in ended.partitions {
            if self.partition(&topic, partition).is_some() {
                self.append_marker(&topic, partition, ended.producer_id, marker.clone());
            }
        }
        for ((group, (topic, partition)), offset) in ended.offsets {
            self.groups.set_unstable(&group, &topic, partition, false);
            if committed {
                self.groups.set_committed(&group, &topic, partition, offset);
            }
        }
    }
}

fn code(outcome: Result<(), ErrorCode>) -> i16 {
    outcome.map_or_else(|code| code.0, |()| 0)
}
