//! What a member says and does that lives inside the broker.

use std::{fmt, time::Duration};

use crate::protocol::join_group::JoinGroupResponseMember;

use super::ranges;

/// Whether a scripted member wants to lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// As Kafka has it: the first one leads, for as long as it is there.
    #[default]
    AsItComes,
    /// It leads from the next generation on.
    Leader,
    /// It leads only where there is nobody else.
    Follower,
}

/// How a scripted member assigns, when it leads.
#[derive(Default)]
pub enum Assigns {
    /// Each topic in ranges to those that subscribe to it.
    #[default]
    Ranges,
    /// These bytes to each member.
    Bytes(Vec<u8>),
    /// Nothing, for ever: the others wait.
    Never,
    /// What this says of the members: their ids, each with its bytes. Whoever is not named gets no bytes.
    With(Box<AssignWith>),
}

/// Makes the bytes of members.
pub type AssignWith = dyn FnMut(&[JoinGroupResponseMember]) -> Vec<(String, Vec<u8>)> + Send;

impl fmt::Debug for Assigns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ranges => f.write_str("Ranges"),
            Self::Bytes(bytes) => f.debug_tuple("Bytes").field(bytes).finish(),
            Self::Never => f.write_str("Never"),
            Self::With(_) => f.write_str("With(..)"),
        }
    }
}

/// What a scripted member says and does. It joins at once, keeps its session, and joins again when the group does.
#[derive(Debug)]
pub struct MemberScript {
    /// What its client calls itself; its member id begins with it.
    pub client_id: String,
    /// The id of a static member.
    pub instance_id: Option<String>,
    /// Its protocols, the ones it likes best first, and its subscription for each.
    pub protocols: Vec<(String, Vec<u8>)>,
    /// How long its session lasts while it is [`frozen`](Self::frozen).
    pub session_timeout: Duration,
    /// How long rebalances wait for it.
    pub rebalance_timeout: Duration,
    /// Whether it wants to lead.
    pub role: Role,
    /// How it assigns when it leads.
    pub assigns: Assigns,
    /// How long it takes to join again in a rebalance; `Duration::MAX` is for ever.
    pub joins_after: Duration,
    /// How long it takes to ask for its assignment, or as the leader to assign.
    pub syncs_after: Duration,
    /// Whether it does nothing at all, as a process that hangs: it neither joins again nor keeps its session.
    pub frozen: bool,
}

impl MemberScript {
    /// A member that subscribes to topics, with the protocol `range`.
    pub fn new<T: Into<String>>(topics: impl IntoIterator<Item = T>) -> Self {
        Self::raw([("range", ranges::subscription_bytes(topics))])
    }

    /// A member with these protocols, and bytes that need be no subscription.
    pub fn raw<N: Into<String>>(protocols: impl IntoIterator<Item = (N, Vec<u8>)>) -> Self {
        Self {
            client_id: "scripted".to_owned(),
            instance_id: None,
            protocols: protocols.into_iter().map(|(name, bytes)| (name.into(), bytes)).collect(),
            session_timeout: Duration::from_secs(10),
            rebalance_timeout: Duration::from_secs(60),
            role: Role::default(),
            assigns: Assigns::default(),
            joins_after: Duration::ZERO,
            syncs_after: Duration::ZERO,
            frozen: false,
        }
    }

    /// With other protocols for the same topics.
    #[must_use]
    pub fn protocols<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        let bytes = self.protocols.first().map(|(_, bytes)| bytes.clone()).unwrap_or_default();
        self.protocols = names.into_iter().map(|name| (name.into(), bytes.clone())).collect();
        self
    }

    /// As the static member with this id.
    #[must_use]
    pub fn instance_id(mut self, instance_id: &str) -> Self {
        self.instance_id = Some(instance_id.to_owned());
        self
    }

    /// With another name of its client.
    #[must_use]
    pub fn client_id(mut self, client_id: &str) -> Self {
        client_id.clone_into(&mut self.client_id);
        self
    }

    /// Wants to lead, or not.
    #[must_use]
    pub fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// Assigns so, when it leads.
    #[must_use]
    pub fn assigns(mut self, assigns: Assigns) -> Self {
        self.assigns = assigns;
        self
    }

    /// Assigns what this says of the members, when it leads. It is called while nobody else can call the broker, and
    /// must not call it itself.
    #[must_use]
    pub fn assigns_with(
        self,
        assign: impl FnMut(&[JoinGroupResponseMember]) -> Vec<(String, Vec<u8>)> + Send + 'static,
    ) -> Self {
        self.assigns(Assigns::With(Box::new(assign)))
    }

    /// Takes so long to join again in a rebalance.
    #[must_use]
    pub fn joins_after(mut self, delay: Duration) -> Self {
        self.joins_after = delay;
        self
    }

    /// Takes so long to ask for its assignment, or as the leader to assign.
    #[must_use]
    pub fn syncs_after(mut self, delay: Duration) -> Self {
        self.syncs_after = delay;
        self
    }

    /// Is waited for so long in rebalances.
    #[must_use]
    pub fn rebalance_timeout(mut self, timeout: Duration) -> Self {
        self.rebalance_timeout = timeout;
        self
    }

    /// Has a session of this length, should it freeze.
    #[must_use]
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.session_timeout = timeout;
        self
    }
}
