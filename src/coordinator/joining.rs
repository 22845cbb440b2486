//! The way into the next generation of a group: JoinGroup and SyncGroup, and what their answers mean.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    lookup::{Lookup, group_error},
    membership::{Generation, Handover, Membership, Phase},
};
use crate::{
    Error, ErrorCode, Result,
    assignors::{self, GroupMember},
    client::NodeKey,
    net::connection::RequestId,
    protocol::{
        self, Request,
        join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse},
        sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse},
    },
    subscriptions::Context,
};

/// What groups of consumers call their kind of group.
const PROTOCOL_TYPE: &str = "consumer";

/// How much later than the rebalance time-out the answer to a JoinGroup may come.
const JOIN_SLACK: Duration = Duration::from_secs(5);

impl Membership {
    // Join

    /// Asks to be a member of the next generation, with the names of the assignors and what each tells the leader.
    pub(super) fn join(
        &mut self,
        protocols: Vec<(String, Vec<u8>)>,
        node: NodeKey,
        cx: &mut Context<'_>,
    ) {
        let Some(version) = cx.client.version::<JoinGroupRequest>(node, None) else {
            return self.fail(cx.client.unsupported::<JoinGroupRequest>(node), cx.now);
        };
        let reason = self.rejoin.take().unwrap_or_else(|| "to join".into());
        self.joined = cx.subscriptions.subscription().cloned().unwrap_or_default();
        // What has changed since it was made is the next leader's business.
        self.leading = None;
        let protocols = protocols.into_iter();
        let request = JoinGroupRequest {
            group_id: self.options.group_id.to_string(),
            session_timeout_ms: milliseconds(self.options.session_timeout),
            rebalance_timeout_ms: milliseconds(self.options.max_poll_interval),
            member_id: self.member_id.clone(),
            group_instance_id: self.instance_id(),
            protocol_type: PROTOCOL_TYPE.to_owned(),
            protocols: protocols
                .map(|(name, metadata)| JoinGroupRequestProtocol { name, metadata })
                .collect(),
            reason: Some(reason.into()),
        };
        // The answer comes when all members have joined, or their time to do so is over.
        let timeout = self.options.max_poll_interval.saturating_add(JOIN_SLACK);
        let timeout = timeout.max(cx.client.request_timeout());
        match cx.client.send_for(node, version, &request, timeout, cx.now) {
            Ok(request) => {
                log::debug!(target: "kafka_blocking::group", "group {}: joining as {:?}", self.options.group_id, self.member_id);
                self.phase = Phase::Joining { request, sent: cx.now };
            }
            Err(error) => self.fail(error, cx.now),
        }
    }

    /// The answer to JoinGroup, or to SyncGroup, if it is one.
    pub(super) fn handle_joining(
        &mut self,
        id: RequestId,
        result: &Result<(i16, Vec<u8>)>,
        lookup: &mut Lookup,
        cx: &mut Context<'_>,
    ) -> bool {
        let joining = match self.phase {
            Phase::Joining { request, .. } if request == id => true,
            Phase::Syncing { request, .. } if request == id => false,
            _ => return false,
        };
        match result {
            // It may have arrived: the coordinator knows this member by its name still.
            Err(error) => {
                log::debug!(target: "kafka_blocking::group", "group {}: {error}", self.options.group_id);
                self.retry(cx.now);
            }
            Ok((version, body)) if joining => match decode::<JoinGroupRequest>(*version, body) {
                Ok(response) => self.joined(*version, response, lookup, cx),
                Err(error) => self.fail(error, cx.now),
            },
            Ok((version, body)) => match decode::<SyncGroupRequest>(*version, body) {
                Ok(response) => self.synced(response, lookup, cx),
                Err(error) => self.fail(error, cx.now),
            },
        }
        true
    }

    fn joined(
        &mut self,
        version: i16,
        response: JoinGroupResponse,
        lookup: &mut Lookup,
        cx: &mut Context<'_>,
    ) {
        let code = ErrorCode(response.error_code);
        if code == ErrorCode::MEMBER_ID_REQUIRED && !response.member_id.is_empty() {
            let had_one = !std::mem::replace(&mut self.member_id, response.member_id).is_empty();
            self.phase = Phase::Joinable;
            if had_one {
                self.retry(cx.now);
            }
            return;
        }
        if code != ErrorCode::NONE {
            return self.join_refused(JoinGroupRequest::NAME, code, lookup, cx);
        }
        if let Err(error) =
            self.check_kind(JoinGroupRequest::NAME, response.protocol_type.as_deref())
        {
            return self.fail(error, cx.now);
        }
        lookup.confirm();
        self.heartbeat.restart(self.looked);
        self.member_id = response.member_id;
        let protocol: Arc<str> = response.protocol_name.unwrap_or_default().into();
        let (id, leads) = (response.generation_id, response.leader == self.member_id);
        log::info!(target: "kafka_blocking::group", "group {}: {:?} joined generation {id}{}", self.options.group_id, self.member_id, if leads { " as its leader" } else { "" });
        self.generation = Some(Generation { id, protocol });
        self.leading = None;
        cx.metadata.set_group_topics(BTreeSet::new(), cx.now);
        self.phase = if leads {
            let members = response.members.into_iter().map(|m| {
                let instance = m.group_instance_id.filter(|_| version >= 5);
                assignors::decode_subscription(&m.member_id, instance.as_deref(), &m.metadata)
            });
            let members = members.filter_map(|member| self.readable(member)).collect();
            // A static leader that has come back finds the assignment made, and watches its topics from now on (KIP-814).
            Phase::Leading { members, settled: response.skip_assignment }
        } else {
            Phase::Syncable(BTreeMap::new())
        };
    }

    /// A member whose subscription cannot be read gets nothing, and does not keep the others from what they want.
    fn readable(&self, member: Result<GroupMember>) -> Option<GroupMember> {
        member
            .inspect_err(|error| {
                log::warn!(target: "kafka_blocking::group", "group {}: {error}", self.options.group_id);
            })
            .ok()
    }

    fn join_refused(
        &mut self,
        api: &'static str,
        code: ErrorCode,
        lookup: &mut Lookup,
        cx: &mut Context<'_>,
    ) {
        log::debug!(target: "kafka_blocking::group", "group {}: {api}: {code}", self.options.group_id);
        match code {
            ErrorCode::REBALANCE_IN_PROGRESS => {
                // Said to a member, whom the coordinator has waited for until now.
                self.heartbeat.restart(self.looked);
                self.retry(cx.now);
            }
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => self.retry(cx.now),
            ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE => {
                lookup.lose(code.name(), cx.client, cx.now);
                self.retry(cx.now);
            }
            ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::ILLEGAL_GENERATION => {
                self.expel(code);
                self.retry(cx.now);
            }
            ErrorCode::FENCED_INSTANCE_ID => self.fence(),
            code if code.retriable() => self.retry(cx.now),
            code => self.fail(group_error(api, code, &self.options.group_id, ""), cx.now),
        }
    }

    // Sync

    /// Asks for the assignment, with those of all members if this one leads.
    pub(super) fn sync(&mut self, lookup: &Lookup, cx: &mut Context<'_>) {
        let Phase::Syncable(assignments) = &mut self.phase else { return };
        let Some(generation) = self.generation.clone() else { return self.retry(cx.now) };
        let ready = lookup.coordinator().filter(|key| cx.client.can_send(*key, cx.now));
        let Some(node) = ready else { return };
        let Some(version) = cx.client.version::<SyncGroupRequest>(node, None) else {
            return self.fail(cx.client.unsupported::<SyncGroupRequest>(node), cx.now);
        };
        let assignments = std::mem::take(assignments).into_iter();
        let request = SyncGroupRequest {
            group_id: self.options.group_id.to_string(),
            generation_id: generation.id,
            member_id: self.member_id.clone(),
            group_instance_id: self.instance_id(),
            protocol_type: Some(PROTOCOL_TYPE.to_owned()),
            protocol_name: Some(generation.protocol.to_string()),
            assignments: assignments
                .map(|(member_id, assignment)| SyncGroupRequestAssignment { member_id, assignment })
                .collect(),
        };
        // It is held back until the leader has said who gets what.
        let timeout = self.options.max_poll_interval.saturating_add(JOIN_SLACK);
        let timeout = timeout.max(cx.client.request_timeout());
        match cx.client.send_for(node, version, &request, timeout, cx.now) {
            Ok(request) => self.phase = Phase::Syncing { request, sent: cx.now },
            Err(error) => self.fail(error, cx.now),
        }
    }

    fn synced(&mut self, response: SyncGroupResponse, lookup: &mut Lookup, cx: &mut Context<'_>) {
        let code = ErrorCode(response.error_code);
        if code != ErrorCode::NONE {
            return self.join_refused(SyncGroupRequest::NAME, code, lookup, cx);
        }
        let name = response.protocol_name.as_deref();
        let checked = self
            .check_kind(SyncGroupRequest::NAME, response.protocol_type.as_deref())
            .and_then(|()| self.check_protocol(name));
        lookup.confirm();
        self.heartbeat.restart(self.looked);
        let assignment = checked.and_then(|()| assignors::decode_assignment(&response.assignment));
        match assignment {
            Err(error) => self.fail(error, cx.now),
            Ok(assignment) => {
                let handover =
                    Handover { partitions: Default::default(), commit: None, until: cx.now };
                let assignment = assignment.into_iter().collect();
                self.phase = Phase::Arrived { assignment, handover, added: None };
            }
        }
    }

    // What a coordinator may answer (KIP-559)

    fn check_kind(&self, api: &'static str, kind: Option<&str>) -> Result<()> {
        match kind {
            Some(kind) if kind != PROTOCOL_TYPE => {
                Err(self.inconsistent(api, &format!("a group of type {kind:?}")))
            }
            _ => Ok(()),
        }
    }

    fn check_protocol(&self, name: Option<&str>) -> Result<()> {
        let ours = self.generation.as_ref().map_or("", |generation| &generation.protocol);
        match name {
            Some(name) if name != ours => Err(self.inconsistent(
                SyncGroupRequest::NAME,
                &format!("the assignor {name:?}, and {ours:?} before"),
            )),
            _ => Ok(()),
        }
    }

    fn inconsistent(&self, api: &'static str, what: &str) -> Error {
        let detail = format!("group {}: the coordinator named {what}", self.options.group_id);
        Error::broker(api, ErrorCode::INCONSISTENT_GROUP_PROTOCOL, detail)
    }
}

fn decode<R: Request>(version: i16, body: &[u8]) -> Result<R::Response> {
    protocol::decode_response::<R>(body, version)
        .map_err(|e| Error::Protocol { what: R::NAME, reason: e.to_string().into() })
}

fn milliseconds(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}
