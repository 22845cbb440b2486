//! What the tests of the protocol share: a list of all requests to call a generic function with.

/// Calls `$function::<R>($args)` for every request `R`.
macro_rules! for_every_api {
    ($function:ident($($argument:expr),*)) => {{
        use kafka_blocking::protocol as p;
        let before = [
            $function::<p::add_offsets_to_txn::AddOffsetsToTxnRequest>($($argument),*),
            $function::<p::add_partitions_to_txn::AddPartitionsToTxnRequest>($($argument),*),
            $function::<p::api_versions::ApiVersionsRequest>($($argument),*),
            $function::<p::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest>($($argument),*),
            $function::<p::create_topics::CreateTopicsRequest>($($argument),*),
            $function::<p::delete_groups::DeleteGroupsRequest>($($argument),*),
            $function::<p::delete_records::DeleteRecordsRequest>($($argument),*),
            $function::<p::delete_topics::DeleteTopicsRequest>($($argument),*),
            $function::<p::describe_cluster::DescribeClusterRequest>($($argument),*),
            $function::<p::describe_configs::DescribeConfigsRequest>($($argument),*),
            $function::<p::describe_groups::DescribeGroupsRequest>($($argument),*),
            $function::<p::end_txn::EndTxnRequest>($($argument),*),
            $function::<p::fetch::FetchRequest>($($argument),*),
            $function::<p::find_coordinator::FindCoordinatorRequest>($($argument),*),
            $function::<p::heartbeat::HeartbeatRequest>($($argument),*),
            $function::<p::init_producer_id::InitProducerIdRequest>($($argument),*),
            $function::<p::join_group::JoinGroupRequest>($($argument),*),
            $function::<p::leave_group::LeaveGroupRequest>($($argument),*),
            $function::<p::list_groups::ListGroupsRequest>($($argument),*),
            $function::<p::list_offsets::ListOffsetsRequest>($($argument),*),
            $function::<p::metadata::MetadataRequest>($($argument),*),
            $function::<p::offset_commit::OffsetCommitRequest>($($argument),*),
            $function::<p::offset_fetch::OffsetFetchRequest>($($argument),*),
            $function::<p::offset_for_leader_epoch::OffsetForLeaderEpochRequest>($($argument),*),
            $function::<p::produce::ProduceRequest>($($argument),*),
            $function::<p::sasl_authenticate::SaslAuthenticateRequest>($($argument),*),
            $function::<p::sasl_handshake::SaslHandshakeRequest>($($argument),*),
            $function::<p::sync_group::SyncGroupRequest>($($argument),*),
            $function::<p::txn_offset_commit::TxnOffsetCommitRequest>($($argument),*),
        ];
        // A new API must come into this list, too.
        assert_eq!(before.len(), p::SCHEMAS.iter().filter(|schema| schema.key.is_some()).count());
    }};
}

pub(crate) use for_every_api;
