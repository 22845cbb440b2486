//! Which answer the requests of producers and tools get.

use std::time::Instant;

use crate::{
    ErrorCode,
    protocol::{
        Request, RequestHeader, add_offsets_to_txn::AddOffsetsToTxnRequest,
        add_partitions_to_txn::AddPartitionsToTxnRequest, create_topics::CreateTopicsRequest,
        decode_request, delete_groups::DeleteGroupsRequest, delete_records::DeleteRecordsRequest,
        delete_topics::DeleteTopicsRequest, describe_cluster::DescribeClusterRequest,
        describe_configs::DescribeConfigsRequest, describe_groups::DescribeGroupsRequest,
        end_txn::EndTxnRequest, init_producer_id::InitProducerIdRequest,
        list_groups::ListGroupsRequest, produce::ProduceRequest,
        txn_offset_commit::TxnOffsetCommitRequest,
    },
    wire::DecodeError,
};

use super::{Body, Outcome};
use crate::testing::state::State;

/// A request that has come, and the error that a rule wants in place of what was asked for, which is not done then.
struct Asked<'a> {
    version: i16,
    body: &'a [u8],
    refused: Option<ErrorCode>,
}

impl Asked<'_> {
    fn answer<R: Request>(
        &self,
        answer: impl FnOnce(&R, Option<ErrorCode>) -> R::Response,
    ) -> Result<Outcome, DecodeError>
    where
        R::Response: Send + 'static,
    {
        let request = decode_request(self.body, self.version)?;
        let response = answer(&request, self.refused);
        Ok(Outcome::Now(match self.refused {
            Some(_) => Body::refused::<R>(response),
            None => Body::new::<R>(response),
        }))
    }
}

impl State {
    /// `refused`: the error that a rule wants in place of what was asked for, which is not done then.
    pub(super) fn take_other(
        &mut self,
        node: i32,
        header: &RequestHeader,
        body: &[u8],
        refused: Option<ErrorCode>,
        now: Instant,
    ) -> Result<Outcome, DecodeError> {
        let version = header.api_version;
        let asked = Asked { version, body, refused };
        match header.api_key {
            ProduceRequest::KEY => {
                let mut wants_answer = true;
                let outcome = asked.answer::<ProduceRequest>(|r, code| {
                    wants_answer = r.acks != 0;
                    self.produce(node, version, r, code)
                });
                if wants_answer { outcome } else { Ok(Outcome::Unanswered) }
            }
            InitProducerIdRequest::KEY => {
                asked.answer::<InitProducerIdRequest>(|r, code| self.init_producer_id(r, code))
            }
            AddPartitionsToTxnRequest::KEY => asked
                .answer::<AddPartitionsToTxnRequest>(|r, code| self.add_partitions_to_txn(r, code)),
            AddOffsetsToTxnRequest::KEY => {
                asked.answer::<AddOffsetsToTxnRequest>(|r, code| self.add_offsets_to_txn(r, code))
            }
            EndTxnRequest::KEY => asked.answer::<EndTxnRequest>(|r, code| self.end_txn(r, code)),
            TxnOffsetCommitRequest::KEY => asked.answer::<TxnOffsetCommitRequest>(|r, code| {
                self.txn_offset_commit(node, r, code, now)
            }),
            CreateTopicsRequest::KEY => {
                asked.answer::<CreateTopicsRequest>(|r, code| self.create_topics(r, code))
            }
            DeleteTopicsRequest::KEY => {
                asked.answer::<DeleteTopicsRequest>(|r, code| self.delete_topics(version, r, code))
            }
            DeleteRecordsRequest::KEY => {
                asked.answer::<DeleteRecordsRequest>(|r, code| self.delete_records(node, r, code))
            }
            DescribeClusterRequest::KEY => {
                asked.answer::<DescribeClusterRequest>(|_, code| self.describe_cluster(code))
            }
            DescribeConfigsRequest::KEY => {
                asked.answer::<DescribeConfigsRequest>(|r, code| self.describe_configs(r, code))
            }
            ListGroupsRequest::KEY => {
                asked.answer::<ListGroupsRequest>(|r, code| self.list_groups(node, r, code))
            }
            DescribeGroupsRequest::KEY => asked.answer::<DescribeGroupsRequest>(|r, code| {
                self.describe_groups(node, version, r, code)
            }),
            DeleteGroupsRequest::KEY => {
                asked.answer::<DeleteGroupsRequest>(|r, code| self.delete_groups(node, r, code))
            }
            _ => Ok(Outcome::Refused),
        }
    }
}
