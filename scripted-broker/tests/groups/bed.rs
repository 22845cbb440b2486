//! A member that says what it is told, and the requests that all tests make.

use kafka_blocking::{
    ErrorCode,
    protocol::{
        Request,
        find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse},
        heartbeat::HeartbeatRequest,
        join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse},
        leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity},
        offset_commit::{
            OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
        },
        offset_fetch::{
            OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic,
            OffsetFetchRequestTopics, OffsetFetchResponse, OffsetFetchResponsePartitions,
        },
        sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse},
    },
};
use scripted_broker::ScriptedBroker;

use crate::support::Client;

pub(crate) const GROUP: &str = "g";

/// A member of [`GROUP`], on a connection of its own.
pub(crate) struct Member {
    pub(crate) client: Client,
    pub(crate) id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) generation: i32,
    pub(crate) protocols: Vec<(&'static str, Vec<u8>)>,
    pub(crate) session_ms: i32,
    pub(crate) rebalance_ms: i32,
}

impl Member {
    pub(crate) fn of(broker: &ScriptedBroker) -> Self {
        Self::at(broker, 1)
    }

    pub(crate) fn at(broker: &ScriptedBroker, node: i32) -> Self {
        Self {
            client: Client::connect(broker.address_of(node)),
            id: String::new(),
            instance_id: None,
            generation: -1,
            protocols: vec![("range", b"subscription".to_vec())],
            session_ms: 10_000,
            rebalance_ms: 60_000,
        }
    }

    pub(crate) fn named(broker: &ScriptedBroker, instance_id: &str) -> Self {
        Self { instance_id: Some(instance_id.to_owned()), ..Self::of(broker) }
    }

    pub(crate) fn join_request(&self) -> JoinGroupRequest {
        let protocols = self.protocols.iter().map(|(name, metadata)| JoinGroupRequestProtocol {
            name: (*name).to_owned(),
            metadata: metadata.clone(),
        });
        JoinGroupRequest {
            group_id: GROUP.to_owned(),
            session_timeout_ms: self.session_ms,
            rebalance_timeout_ms: self.rebalance_ms,
            member_id: self.id.clone(),
            group_instance_id: self.instance_id.clone(),
            protocol_type: "consumer".to_owned(),
            protocols: protocols.collect(),
            ..JoinGroupRequest::default()
        }
    }

    pub(crate) fn send_join(&mut self, version: i16) {
        let request = self.join_request();
        self.client.send(version, &request);
    }

    /// What came of the join that was sent.
    pub(crate) fn joined(&mut self, version: i16) -> JoinGroupResponse {
        let response = self.client.receive::<JoinGroupRequest>(version);
        if response.error_code == 0 || response.error_code == ErrorCode::MEMBER_ID_REQUIRED.0 {
            self.id.clone_from(&response.member_id);
            self.generation = response.generation_id;
        }
        response
    }

    pub(crate) fn join(&mut self, version: i16) -> JoinGroupResponse {
        self.send_join(version);
        self.joined(version)
    }

    /// Joins as a member that asks for its id first, if the version wants that; gives the last answer.
    pub(crate) fn enter(&mut self, version: i16) -> JoinGroupResponse {
        let response = self.join(version);
        if response.error_code != ErrorCode::MEMBER_ID_REQUIRED.0 {
            return response;
        }
        self.join(version)
    }

    pub(crate) fn sync_request(&self, assignments: &[(&str, &[u8])]) -> SyncGroupRequest {
        let assignments = assignments.iter().map(|(id, bytes)| SyncGroupRequestAssignment {
            member_id: (*id).to_owned(),
            assignment: bytes.to_vec(),
        });
        SyncGroupRequest {
            group_id: GROUP.to_owned(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance_id.clone(),
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some(self.protocols[0].0.to_owned()),
            assignments: assignments.collect(),
        }
    }

    pub(crate) fn send_sync(&mut self, version: i16, assignments: &[(&str, &[u8])]) {
        let request = self.sync_request(assignments);
        self.client.send(version, &request);
    }

    pub(crate) fn synced(&mut self, version: i16) -> SyncGroupResponse {
        self.client.receive::<SyncGroupRequest>(version)
    }

    pub(crate) fn sync(
        &mut self,
        version: i16,
        assignments: &[(&str, &[u8])],
    ) -> SyncGroupResponse {
        self.send_sync(version, assignments);
        self.synced(version)
    }

    /// Joins and syncs as the only member, with an assignment for itself.
    pub(crate) fn settle(&mut self) {
        let response = self.enter(9);
        assert_eq!(ErrorCode(response.error_code), ErrorCode::NONE);
        assert_eq!(response.leader, self.id);
        let id = self.id.clone();
        assert_eq!(self.sync(5, &[(&id, b"all")]).assignment, b"all");
    }

    pub(crate) fn heartbeat_request(&self) -> HeartbeatRequest {
        HeartbeatRequest {
            group_id: GROUP.to_owned(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance_id.clone(),
        }
    }

    pub(crate) fn heartbeat(&mut self) -> ErrorCode {
        let request = self.heartbeat_request();
        ErrorCode(self.client.ask(4, &request).error_code)
    }

    pub(crate) fn commit_request(&self, offset: i64) -> OffsetCommitRequest {
        OffsetCommitRequest {
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance_id.clone(),
            ..commit(offset)
        }
    }

    pub(crate) fn commit(&mut self, offset: i64) -> ErrorCode {
        let request = self.commit_request(offset);
        ErrorCode(self.client.ask(8, &request).topics[0].partitions[0].error_code)
    }

    pub(crate) fn leave(&mut self, version: i16) -> LeaveGroupResponse {
        let request = leave(version, &self.id, None);
        self.client.ask(version, &request)
    }
}

/// A commit of nobody for `t-0`.
pub(crate) fn commit(offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition {
        committed_offset: offset,
        ..OffsetCommitRequestPartition::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: "t".to_owned(),
        partitions: vec![partition],
        ..OffsetCommitRequestTopic::default()
    };
    OffsetCommitRequest {
        group_id: GROUP.to_owned(),
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    }
}

pub(crate) fn leave(version: i16, id: &str, instance_id: Option<&str>) -> LeaveGroupRequest {
    let member = MemberIdentity {
        member_id: id.to_owned(),
        group_instance_id: instance_id.map(str::to_owned),
        reason: None,
    };
    LeaveGroupRequest {
        group_id: GROUP.to_owned(),
        member_id: if version < 3 { id.to_owned() } else { String::new() },
        members: if version < 3 { Vec::new() } else { vec![member] },
    }
}

/// Asks for the offsets of partitions of `t`, or of all.
pub(crate) fn fetch_request(version: i16, partitions: Option<&[i32]>) -> OffsetFetchRequest {
    let mut request = OffsetFetchRequest::default();
    if version >= 8 {
        let topics = partitions.map(|p| {
            let partition_indexes = p.to_vec();
            vec![OffsetFetchRequestTopics {
                name: "t".to_owned(),
                partition_indexes,
                ..OffsetFetchRequestTopics::default()
            }]
        });
        let group_id = GROUP.to_owned();
        request.groups = vec![OffsetFetchRequestGroup {
            group_id,
            topics,
            ..OffsetFetchRequestGroup::default()
        }];
    } else {
        request.group_id = GROUP.to_owned();
        request.topics = partitions.map(|p| {
            vec![OffsetFetchRequestTopic { name: "t".to_owned(), partition_indexes: p.to_vec() }]
        });
    }
    request
}

/// What was found, partition by partition, in whatever form it came; an error of the group stands for all.
pub(crate) fn found(
    response: &OffsetFetchResponse,
) -> Result<Vec<OffsetFetchResponsePartitions>, ErrorCode> {
    let code = response.groups.first().map_or(response.error_code, |g| g.error_code);
    if code != 0 {
        return Err(ErrorCode(code));
    }
    let old =
        response.topics.iter().flat_map(|t| &t.partitions).map(|p| OffsetFetchResponsePartitions {
            partition_index: p.partition_index,
            committed_offset: p.committed_offset,
            committed_leader_epoch: p.committed_leader_epoch,
            metadata: p.metadata.clone(),
            error_code: p.error_code,
        });
    let new = response.groups.iter().flat_map(|g| &g.topics).flat_map(|t| &t.partitions).cloned();
    Ok(old.chain(new).collect())
}

/// Fetches what is committed for `t-0`.
pub(crate) fn committed(client: &mut Client, version: i16) -> i64 {
    let response = client.ask(version, &fetch_request(version, Some(&[0])));
    found(&response).expect("no error of the group")[0].committed_offset
}

pub(crate) fn find(client: &mut Client, version: i16) -> FindCoordinatorResponse {
    let mut request = FindCoordinatorRequest::default();
    match version {
        4.. => request.coordinator_keys = vec![GROUP.to_owned()],
        _ => request.key = GROUP.to_owned(),
    }
    client.ask(version, &request)
}

/// A broker with a topic `t` of two partitions.
pub(crate) fn broker() -> ScriptedBroker {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 2);
    broker
}

impl Client {
    /// The answer to the last request.
    pub(crate) fn receive<R: Request>(&mut self, version: i16) -> R::Response {
        use kafka_blocking::{protocol, wire::Reader};
        let frame = self.frame().expect("an answer");
        let mut reader = Reader::new(&frame, version, version >= R::FLEXIBLE);
        let correlation = protocol::decode_response_header(&mut reader, R::KEY, version).unwrap();
        assert_eq!(correlation, self.correlation);
        protocol::decode_response::<R>(&frame[reader.consumed()..], version).unwrap()
    }
}
