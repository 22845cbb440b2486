//! What a group knows of one member.

use std::time::{Duration, Instant};

use crate::protocol::join_group::JoinGroupRequest;

use super::{mail::Ticket, script::Role};

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(super) id: String,
    pub(super) instance_id: Option<String>,
    pub(super) client_id: String,
    pub(super) session: Duration,
    /// How long a rebalance waits for it.
    pub(super) patience: Duration,
    /// The names of its protocols, the ones it likes best first, and its subscription for each.
    pub(super) protocols: Vec<(String, Vec<u8>)>,
    pub(super) assignment: Vec<u8>,
    /// Its JoinGroup request that waits.
    pub(super) join: Option<Ticket>,
    /// Its SyncGroup request that waits.
    pub(super) sync: Option<Ticket>,
    /// Whether it has not been in a generation yet.
    pub(super) is_new: bool,
    /// Whether it has not asked for its assignment in this generation.
    pub(super) owes_sync: bool,
    /// When its session ends, unless it gives a sign of life.
    pub(super) expires: Instant,
    pub(super) role: Role,
}

impl Member {
    pub(super) fn new(
        id: String,
        client_id: &str,
        request: &JoinGroupRequest,
        now: Instant,
    ) -> Self {
        let mut member = Self {
            id,
            instance_id: request.group_instance_id.clone(),
            client_id: client_id.to_owned(),
            session: Duration::ZERO,
            patience: Duration::ZERO,
            protocols: Vec::new(),
            assignment: Vec::new(),
            join: None,
            sync: None,
            is_new: true,
            owes_sync: false,
            expires: now,
            role: Role::AsItComes,
        };
        member.update(request);
        member
    }

    /// Takes over what a request says about it.
    pub(super) fn update(&mut self, request: &JoinGroupRequest) {
        self.session = millis(request.session_timeout_ms);
        // Version 0 had no time-out of its own.
        let own = request.rebalance_timeout_ms >= 0;
        self.patience = if own { millis(request.rebalance_timeout_ms) } else { self.session };
        self.protocols = protocols(request);
    }

    /// Whether a request says nothing new.
    pub(super) fn matches(&self, request: &JoinGroupRequest) -> bool {
        self.protocols == protocols(request)
    }

    /// Its subscription for a protocol.
    pub(super) fn subscription(&self, protocol: &str) -> &[u8] {
        let own = self.protocols.iter().find(|(name, _)| name == protocol);
        own.map_or(&[], |(_, bytes)| bytes)
    }

    /// Begins its session anew.
    pub(super) fn renew(&mut self, now: Instant) {
        self.expires = now + self.session;
    }

    /// When its session ends; never while it waits for an answer, once it has been in a generation.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waits = self.join.is_some() || self.sync.is_some();
        (self.is_new || !waits).then_some(self.expires)
    }
}

pub(super) fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

fn protocols(request: &JoinGroupRequest) -> Vec<(String, Vec<u8>)> {
    request.protocols.iter().map(|p| (p.name.clone(), p.metadata.clone())).collect()
}
