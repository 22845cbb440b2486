//! Brokers on a clock that tests move, members that say what they are told, and the requests that all tests make.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use kafka_blocking::{
    ErrorCode,
    net::servers::HostPort,
    protocol::{
        self, Request,
        find_coordinator::FindCoordinatorRequest,
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
    wire::Reader,
};
use scripted_broker::{Cluster, ConnectionId, GroupHandle, GroupSettings, GroupView, Output};

pub(crate) const GROUP: &str = "g";

/// Brokers without sockets, on a clock that a test moves, with a topic `t` of two partitions.
pub(crate) struct Bed {
    pub(crate) cluster: Cluster,
    pub(crate) now: Instant,
    came: BTreeMap<ConnectionId, Vec<u8>>,
    closed: Vec<ConnectionId>,
    connections: ConnectionId,
}

impl Bed {
    pub(crate) fn new() -> Self {
        Self::of(1)
    }

    pub(crate) fn of(nodes: u16) -> Self {
        let addresses = (1..=nodes).map(|n| HostPort::new("10.0.0.1", 9000 + n));
        let mut cluster = Cluster::new(addresses);
        cluster.state.create_topic("t", 2);
        Self {
            cluster,
            now: Instant::now(),
            came: BTreeMap::new(),
            closed: Vec::new(),
            connections: 0,
        }
    }

    pub(crate) fn connect(&mut self, node: i32) -> ConnectionId {
        self.connections += 1;
        self.cluster.accept(node, self.connections);
        self.connections
    }

    pub(crate) fn send<R: Request>(&mut self, to: ConnectionId, version: i16, request: &R) {
        let mut out = vec![];
        protocol::encode_request(&mut out, version, CORRELATION, Some("test"), request).unwrap();
        self.cluster.receive(to, &out, self.now);
        self.settle();
    }

    /// The next answer on a connection, if it has come.
    pub(crate) fn answer<R: Request>(
        &mut self,
        from: ConnectionId,
        version: i16,
    ) -> Option<R::Response> {
        self.settle();
        let came = self.came.get_mut(&from)?;
        let length = usize::try_from(i32::from_be_bytes(*came.first_chunk()?)).unwrap();
        let frame: Vec<u8> = came.drain(..4 + length).skip(4).collect();
        let mut reader = Reader::new(&frame, version, version >= R::FLEXIBLE);
        let correlation = protocol::decode_response_header(&mut reader, R::KEY, version).unwrap();
        assert_eq!(correlation, CORRELATION);
        Some(protocol::decode_response::<R>(&frame[reader.consumed()..], version).unwrap())
    }

    pub(crate) fn ask<R: Request>(
        &mut self,
        to: ConnectionId,
        version: i16,
        request: &R,
    ) -> R::Response {
        self.send(to, version, request);
        self.answer::<R>(to, version).unwrap_or_else(|| panic!("no answer to {} yet", R::NAME))
    }

    pub(crate) fn is_closed(&mut self, connection: ConnectionId) -> bool {
        self.settle();
        self.closed.contains(&connection)
    }

    /// Lets time pass, so that all happens when it is due.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle();
        while let Some(at) = self.cluster.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    pub(crate) fn group(&mut self) -> GroupHandle<'_> {
        self.cluster.group(GROUP, self.now)
    }

    pub(crate) fn view(&mut self) -> GroupView {
        self.group().view()
    }

    pub(crate) fn settings(&mut self) -> &mut GroupSettings {
        &mut self.cluster.state.groups.settings
    }

    fn settle(&mut self) {
        self.cluster.handle(self.now);
        while let Some((id, output)) = self.cluster.poll_output() {
            match output {
                Output::Send(bytes) => self.came.entry(id).or_default().extend(bytes),
                Output::Close => self.closed.push(id),
            }
        }
    }
}

const CORRELATION: i32 = 77;

/// A member of [`GROUP`], on a connection of its own.
pub(crate) struct Member {
    pub(crate) at: ConnectionId,
    pub(crate) id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) generation: i32,
    pub(crate) protocols: Vec<(&'static str, Vec<u8>)>,
    pub(crate) session_ms: i32,
    pub(crate) rebalance_ms: i32,
}

impl Member {
    pub(crate) fn of(bed: &mut Bed) -> Self {
        Self {
            at: bed.connect(1),
            id: String::new(),
            instance_id: None,
            generation: -1,
            protocols: vec![("range", b"subscription".to_vec())],
            session_ms: 10_000,
            rebalance_ms: 60_000,
        }
    }

    pub(crate) fn named(bed: &mut Bed, instance_id: &str) -> Self {
        Self { instance_id: Some(instance_id.to_owned()), ..Self::of(bed) }
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

    pub(crate) fn send_join(&self, bed: &mut Bed, version: i16) {
        bed.send(self.at, version, &self.join_request());
    }

    /// What came of the join that was sent, if something has.
    pub(crate) fn joined(&mut self, bed: &mut Bed, version: i16) -> Option<JoinGroupResponse> {
        let response = bed.answer::<JoinGroupRequest>(self.at, version)?;
        if response.error_code == 0 || response.error_code == ErrorCode::MEMBER_ID_REQUIRED.0 {
            self.id.clone_from(&response.member_id);
            self.generation = response.generation_id;
        }
        Some(response)
    }

    pub(crate) fn join(&mut self, bed: &mut Bed, version: i16) -> JoinGroupResponse {
        self.send_join(bed, version);
        self.joined(bed, version).expect("an answer at once")
    }

    /// Joins with version 9, where a dynamic member is told its id first.
    pub(crate) fn begin(&mut self, bed: &mut Bed) {
        if self.id.is_empty() && self.instance_id.is_none() {
            assert_eq!(self.join(bed, 9).error_code, ErrorCode::MEMBER_ID_REQUIRED.0);
        }
        self.send_join(bed, 9);
    }

    /// Whether it has joined a generation with what it [began](Self::begin).
    pub(crate) fn finish(&mut self, bed: &mut Bed) -> JoinGroupResponse {
        let response = self.joined(bed, 9).expect("the generation begins");
        assert_eq!(ErrorCode(response.error_code), ErrorCode::NONE);
        response
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

    pub(crate) fn send_sync(&self, bed: &mut Bed, assignments: &[(&str, &[u8])]) {
        bed.send(self.at, 5, &self.sync_request(assignments));
    }

    pub(crate) fn synced(&self, bed: &mut Bed) -> Option<SyncGroupResponse> {
        bed.answer::<SyncGroupRequest>(self.at, 5)
    }

    pub(crate) fn sync(&self, bed: &mut Bed, assignments: &[(&str, &[u8])]) -> SyncGroupResponse {
        self.send_sync(bed, assignments);
        self.synced(bed).expect("an answer at once")
    }

    /// Joins and syncs as the only member.
    pub(crate) fn settle(&mut self, bed: &mut Bed) {
        self.begin(bed);
        assert_eq!(self.finish(bed).leader, self.id);
        assert_eq!(self.sync(bed, &[(&self.id, b"all")]).assignment, b"all");
    }

    pub(crate) fn heartbeat_request(&self) -> HeartbeatRequest {
        HeartbeatRequest {
            group_id: GROUP.to_owned(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance_id.clone(),
        }
    }

    pub(crate) fn heartbeat(&self, bed: &mut Bed) -> ErrorCode {
        ErrorCode(bed.ask(self.at, 4, &self.heartbeat_request()).error_code)
    }

    pub(crate) fn commit_request(&self, offset: i64) -> OffsetCommitRequest {
        OffsetCommitRequest {
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance_id.clone(),
            ..commit(offset)
        }
    }

    pub(crate) fn commit(&self, bed: &mut Bed, offset: i64) -> ErrorCode {
        let response = bed.ask(self.at, 8, &self.commit_request(offset));
        ErrorCode(response.topics[0].partitions[0].error_code)
    }

    pub(crate) fn leave(&self, bed: &mut Bed, version: i16) -> LeaveGroupResponse {
        bed.ask(self.at, version, &leave(version, &self.id, None))
    }
}

/// Two members of one generation, with assignments `a` and `b`; the first one leads.
pub(crate) fn pair(bed: &mut Bed) -> [Member; 2] {
    let (mut first, mut second) = (Member::of(bed), Member::of(bed));
    first.settle(bed);
    second.begin(bed);
    first.begin(bed);
    assert_eq!(first.finish(bed).members.len(), 2);
    assert!(second.finish(bed).members.is_empty());
    assign(bed, &first, &second);
    [first, second]
}

/// Lets the first member give `a` to itself and `b` to the second.
pub(crate) fn assign(bed: &mut Bed, leader: &Member, follower: &Member) {
    follower.send_sync(bed, &[]);
    let assignments: [(&str, &[u8]); 2] = [(&leader.id, b"a"), (&follower.id, b"b")];
    assert_eq!(leader.sync(bed, &assignments).assignment, b"a");
    assert_eq!(follower.synced(bed).expect("the leader has assigned").assignment, b"b");
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
pub(crate) fn committed(bed: &mut Bed, at: ConnectionId, version: i16) -> i64 {
    let response = bed.ask(at, version, &fetch_request(version, Some(&[0])));
    found(&response).expect("no error of the group")[0].committed_offset
}

/// Asks who coordinates: the node, or the error.
pub(crate) fn find(bed: &mut Bed, at: ConnectionId, version: i16) -> Result<i32, ErrorCode> {
    let mut request = FindCoordinatorRequest::default();
    match version {
        4.. => request.coordinator_keys = vec![GROUP.to_owned()],
        _ => request.key = GROUP.to_owned(),
    }
    let response = bed.ask(at, version, &request);
    let (node, port, code) = match response.coordinators.first() {
        Some(one) => (one.node_id, one.port, one.error_code),
        None => (response.node_id, response.port, response.error_code),
    };
    if code != 0 {
        return Err(ErrorCode(code));
    }
    assert_eq!(port, 9000 + node);
    Ok(node)
}

pub(crate) const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Asks with version 8 for what is committed for `t-0`.
pub(crate) fn committed_request() -> OffsetFetchRequest {
    fetch_request(8, Some(&[0]))
}
