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
        macro_rules! answer {
            ($request:ident, |$r:ident| $response:expr) => {{
                let $r: $request = decode_request(body, version)?;
                body_of::<$request>($response, refused)
            }};
        }
        Ok(match header.api_key {
            ProduceRequest::KEY => {
                let request: ProduceRequest = decode_request(body, version)?;
                let response = self.produce(node, version, &request, refused);
                if request.acks == 0 {
                    return Ok(Outcome::Unanswered);
                }
                body_of::<ProduceRequest>(response, refused)
            }
            InitProducerIdRequest::KEY => {
                answer!(InitProducerIdRequest, |r| self.init_producer_id(&r, refused))
            }
            AddPartitionsToTxnRequest::KEY => {
                answer!(AddPartitionsToTxnRequest, |r| self.add_partitions_to_txn(&r, refused))
            }
            AddOffsetsToTxnRequest::KEY => {
                answer!(AddOffsetsToTxnRequest, |r| self.add_offsets_to_txn(&r, refused))
            }
            EndTxnRequest::KEY => answer!(EndTxnRequest, |r| self.end_txn(&r, refused)),
            TxnOffsetCommitRequest::KEY => {
                answer!(TxnOffsetCommitRequest, |r| self.txn_offset_commit(node, &r, refused, now))
            }
            CreateTopicsRequest::KEY => {
                answer!(CreateTopicsRequest, |r| self.create_topics(&r, refused))
            }
            DeleteTopicsRequest::KEY => {
                answer!(DeleteTopicsRequest, |r| self.delete_topics(version, &r, refused))
            }
            DeleteRecordsRequest::KEY => {
                answer!(DeleteRecordsRequest, |r| self.delete_records(node, &r, refused))
            }
            DescribeClusterRequest::KEY => {
                answer!(DescribeClusterRequest, |_r| self.describe_cluster(refused))
            }
            DescribeConfigsRequest::KEY => {
                answer!(DescribeConfigsRequest, |r| self.describe_configs(&r, refused))
            }
            ListGroupsRequest::KEY => {
                answer!(ListGroupsRequest, |r| self.list_groups(node, &r, refused))
            }
            DescribeGroupsRequest::KEY => {
                answer!(DescribeGroupsRequest, |r| self.describe_groups(node, version, &r, refused))
            }
            DeleteGroupsRequest::KEY => {
                answer!(DeleteGroupsRequest, |r| self.delete_groups(node, &r, refused))
            }
            _ => return Ok(Outcome::Refused),
        })
    }
}

fn body_of<R: Request>(response: R::Response, refused: Option<ErrorCode>) -> Outcome
where
    R::Response: Send + 'static,
{
    Outcome::Now(if refused.is_some() {
        Body::refused::<R>(response)
    } else {
        Body::new::<R>(response)
    })
}
