//! A member that says what it is told, and tells what it hears.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use kafka_blocking::{
    ErrorCode,
    protocol::{
        self, Request,
        heartbeat::HeartbeatRequest,
        join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse},
        leave_group::{LeaveGroupRequest, MemberIdentity},
        offset_commit::{
            OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
        },
        offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic},
        sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse},
    },
    wire::Reader,
};
use scripted_broker::subscription_bytes;

pub(crate) struct Place {
    pub(crate) address: String,
    pub(crate) group: String,
}

pub(crate) struct Member {
    pub(crate) stream: TcpStream,
    pub(crate) group: String,
    pub(crate) id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) generation: i32,
    pub(crate) protocols: Vec<&'static str>,
    pub(crate) topics: &'static str,
    pub(crate) session_ms: i32,
    pub(crate) rebalance_ms: i32,
}

pub(crate) fn say(step: &str, what: impl std::fmt::Display) {
    println!("  {step}: {what}");
}

impl Place {
    pub(crate) fn member(&self) -> Member {
        let stream = TcpStream::connect(&self.address).expect("a broker");
        stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a socket");
        Member {
            stream,
            group: self.group.clone(),
            id: String::new(),
            instance_id: None,
            generation: -1,
            protocols: vec!["range"],
            topics: "t",
            session_ms: 6_000,
            rebalance_ms: 10_000,
        }
    }

    pub(crate) fn named(&self, instance_id: &str) -> Member {
        Member { instance_id: Some(instance_id.to_owned()), ..self.member() }
    }

    pub(crate) fn pair(&self) -> [Member; 2] {
        self.pair_of(self.member(), self.member())
    }

    pub(crate) fn pair_of(&self, mut first: Member, mut second: Member) -> [Member; 2] {
        first.enter();
        first.has_joined();
        first.sync(&[]);
        second.enter();
        // The coordinator has the one before the other comes.
        while first.beat() != ErrorCode::REBALANCE_IN_PROGRESS.name() {}
        first.enter();
        first.has_joined();
        second.has_joined();
        second.send(5, &second.sync_request(&[]));
        let (a, b) = (first.id.clone(), second.id.clone());
        first.sync(&[(&a, "a"), (&b, "b")]);
        second.must_receive::<SyncGroupRequest>(5);
        [first, second]
    }
}

impl Member {
    pub(crate) fn send<R: Request>(&self, version: i16, request: &R) {
        let mut out = vec![];
        protocol::encode_request(&mut out, version, 1, Some("c"), request).expect("a request");
        (&self.stream).write_all(&out).expect("the broker reads");
    }

    pub(crate) fn receive<R: Request>(&self, version: i16) -> Option<R::Response> {
        let mut length = [0; 4];
        match (&self.stream).read_exact(&mut length) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            result => result.expect("the broker answers"),
        }
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).expect("a length")];
        (&self.stream).read_exact(&mut frame).expect("the broker answers");
        let mut reader = Reader::new(&frame, version, version >= R::FLEXIBLE);
        protocol::decode_response_header(&mut reader, R::KEY, version).expect("a header");
        Some(protocol::decode_response::<R>(&frame[reader.consumed()..], version).expect("it"))
    }

    pub(crate) fn ask<R: Request>(&self, version: i16, request: &R) -> R::Response {
        self.send(version, request);
        self.must_receive::<R>(version)
    }

    /// An answer that does not have to wait for others, however busy the machine is.
    pub(crate) fn must_receive<R: Request>(&self, version: i16) -> R::Response {
        let mut tries = (0..30).filter_map(|_| self.receive::<R>(version));
        tries.next().unwrap_or_else(|| panic!("{} waits", R::NAME))
    }

    pub(crate) fn has_joined(&mut self) {
        let answer = (0..30).find_map(|_| self.joined(9));
        assert_eq!(answer.map(|a| a.error_code), Some(0), "it joins");
    }

    pub(crate) fn join_request(&self) -> JoinGroupRequest {
        let protocols = self.protocols.iter().map(|name| JoinGroupRequestProtocol {
            name: (*name).to_owned(),
            metadata: subscription_bytes([self.topics]),
        });
        JoinGroupRequest {
            group_id: self.group.clone(),
            session_timeout_ms: self.session_ms,
            rebalance_timeout_ms: self.rebalance_ms,
            member_id: self.id.clone(),
            group_instance_id: self.instance_id.clone(),
            protocol_type: "consumer".to_owned(),
            protocols: protocols.collect(),
            ..JoinGroupRequest::default()
        }
    }

    pub(crate) fn joined(&mut self, version: i16) -> Option<JoinGroupResponse> {
        let response = self.receive::<JoinGroupRequest>(version)?;
        if [0, ErrorCode::MEMBER_ID_REQUIRED.0].contains(&response.error_code) {
            self.id.clone_from(&response.member_id);
            self.generation = response.generation_id;
        }
        Some(response)
    }

    pub(crate) fn join(&mut self, version: i16) -> Option<JoinGroupResponse> {
        self.send(version, &self.join_request());
        self.joined(version)
    }

    pub(crate) fn enter(&mut self) {
        if self.id.is_empty() && self.instance_id.is_none() {
            self.send(9, &self.join_request());
            self.id = self.must_receive::<JoinGroupRequest>(9).member_id;
        }
        self.send(9, &self.join_request());
    }

    pub(crate) fn sync_request(&self, assignments: &[(&str, &str)]) -> SyncGroupRequest {
        let assignments = assignments.iter().map(|(id, text)| SyncGroupRequestAssignment {
            member_id: (*id).to_owned(),
            assignment: text.as_bytes().to_vec(),
        });
        SyncGroupRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance_id.clone(),
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some(self.protocols[0].to_owned()),
            assignments: assignments.collect(),
        }
    }

    pub(crate) fn sync(&self, assignments: &[(&str, &str)]) -> Option<SyncGroupResponse> {
        self.send(5, &self.sync_request(assignments));
        self.receive::<SyncGroupRequest>(5)
    }

    pub(crate) fn beat(&self) -> String {
        let request = HeartbeatRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance_id.clone(),
        };
        ErrorCode(self.ask(4, &request).error_code).name().to_owned()
    }

    pub(crate) fn commit_as(
        &self,
        version: i16,
        change: impl FnOnce(&mut OffsetCommitRequest),
    ) -> String {
        let partition = OffsetCommitRequestPartition {
            committed_offset: 5,
            ..OffsetCommitRequestPartition::default()
        };
        let topic = OffsetCommitRequestTopic {
            name: "t".to_owned(),
            partitions: vec![partition],
            ..OffsetCommitRequestTopic::default()
        };
        let mut request = OffsetCommitRequest {
            group_id: self.group.clone(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance_id.clone(),
            topics: vec![topic],
            ..OffsetCommitRequest::default()
        };
        change(&mut request);
        let response = self.ask(version, &request);
        ErrorCode(response.topics[0].partitions[0].error_code).name().to_owned()
    }

    pub(crate) fn commit(&self) -> String {
        self.commit_as(9, |_| {})
    }

    pub(crate) fn fetch(&self, version: i16, partition: i32) -> String {
        let topic =
            OffsetFetchRequestTopic { name: "t".to_owned(), partition_indexes: vec![partition] };
        let request = OffsetFetchRequest {
            group_id: self.group.clone(),
            topics: Some(vec![topic]),
            ..OffsetFetchRequest::default()
        };
        let response = self.ask(version, &request);
        let p = &response.topics[0].partitions[0];
        format!(
            "{} {} {} {:?}",
            response.error_code, p.committed_offset, p.committed_leader_epoch, p.metadata
        )
    }

    pub(crate) fn leave_as(&self, version: i16, members: &[(&str, Option<&str>)]) -> String {
        let identities = members.iter().map(|(id, instance_id)| MemberIdentity {
            member_id: (*id).to_owned(),
            group_instance_id: instance_id.map(str::to_owned),
            reason: None,
        });
        let mut request =
            LeaveGroupRequest { group_id: self.group.clone(), ..LeaveGroupRequest::default() };
        match version {
            3.. => request.members = identities.collect(),
            _ => members[0].0.clone_into(&mut request.member_id),
        }
        let response = self.ask(version, &request);
        let beside: Vec<&str> =
            response.members.iter().map(|m| ErrorCode(m.error_code).name()).collect();
        format!("{} {beside:?}", ErrorCode(response.error_code).name())
    }

    pub(crate) fn leave(&self) -> String {
        self.leave_as(5, &[(&self.id, None)])
    }

    /// What an answer to a join says, without the ids.
    pub(crate) fn told(&self, response: Option<JoinGroupResponse>) -> String {
        let Some(r) = response else { return "waits".to_owned() };
        let leader = match &r.leader {
            leader if leader.is_empty() => "nobody",
            leader if *leader == r.member_id => "itself",
            _ => "another",
        };
        format!(
            "{} generation {} protocol {:?}/{:?} leader {leader} skip {} members {} id {}",
            ErrorCode(r.error_code).name(),
            r.generation_id,
            r.protocol_type,
            r.protocol_name,
            r.skip_assignment,
            r.members.len(),
            if r.member_id.is_empty() { "none" } else { "some" },
        )
    }

    pub(crate) fn say_join(&mut self, step: &str, version: i16) {
        let answer = self.join(version);
        say(step, self.told(answer));
    }

    pub(crate) fn say_joined(&mut self, step: &str) {
        let answer = self.joined(9);
        say(step, self.told(answer));
    }

    pub(crate) fn say_sync(&self, step: &str, assignments: &[(&str, &str)]) {
        self.send(5, &self.sync_request(assignments));
        self.say_synced(step);
    }

    pub(crate) fn say_synced(&self, step: &str) {
        let Some(r) = self.receive::<SyncGroupRequest>(5) else { return say(step, "waits") };
        let assignment = String::from_utf8_lossy(&r.assignment).into_owned();
        let (kind, name) = (r.protocol_type, r.protocol_name);
        let code = ErrorCode(r.error_code).name();
        say(step, format!("{code} {assignment:?} {kind:?}/{name:?}"));
    }
}

/// Waits for so many milliseconds, and lets a member beat meanwhile.
pub(crate) fn pass(ms: u64, members: &[&Member]) {
    for _ in 0..ms / 200 {
        std::thread::sleep(Duration::from_millis(200));
        members.iter().for_each(|m| drop(m.beat()));
    }
}
