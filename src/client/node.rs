//! One broker as the client sees it: how to reach it, and what became of the attempts.

use std::{
    collections::VecDeque,
    fmt,
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use crate::net::{
    backoff::Backoff,
    connection::{Failure, RequestId},
    servers::HostPort,
};

/// What a connection is for. Fetches are answered late and read slowly, so nothing else may wait behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Everything that is answered at once.
    Control,
    /// Fetch requests only.
    Fetch,
    /// What a group's coordinator holds back until all members have come: to join, and to synchronize. Beside it only
    /// heartbeats, which mean nothing meanwhile.
    Coordinator,
}

/// A broker's id and what the connection to it is for. Bootstrap servers, whose ids are not known yet, count from -1 down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey {
    /// The broker's id.
    pub id: i32,
    /// What the connection is for.
    pub role: Role,
}

/// Names a socket.
pub type ConnectionId = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Idle,
    Resolving { since: Instant },
    Open(ConnectionId),
}

/// A way to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// Where the socket connects to: the broker, or a proxy.
    pub(super) socket: SocketAddr,
    /// The broker's address, where a proxy wants to know it.
    pub(super) behind: Option<IpAddr>,
}

/// What a connection was doing when it was lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    pub(super) was_ready: bool,
    pub(super) asked_versions: bool,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) host: HostPort,
    pub(super) link: Link,
    /// Ways to the host that were not tried since it was resolved.
    pub(super) routes: VecDeque<Route>,
    /// The address of the connection, and since when it has been tried.
    pub(super) trying: Option<(SocketAddr, Instant)>,
    pub(super) backoff: Backoff,
    setup: Duration,
    setup_limits: (Duration, Duration),
    /// The last connection ended in bytes that are not Kafka's, or instead of an answer: the next has to show that it is
    /// better.
    distrusted: bool,
    /// Ask ApiVersions in version 0: the broker closed the connection on a newer one.
    pub(super) plain_versions: bool,
    /// No attempt before this.
    pub(super) retry_at: Instant,
    /// Somebody waits for this connection.
    pub(super) wanted: bool,
    /// The last request that was sent: who was asked longest ago is asked next.
    pub(super) last_request: RequestId,
    /// No request before this: the broker asked for it.
    pub(super) muted_until: Option<Instant>,
    /// Why the attempts since the last success failed, by address.
    causes: Vec<(String, String)>,
}

impl Node {
    pub(super) fn new(
        host: HostPort,
        backoff: Backoff,
        setup: (Duration, Duration),
        now: Instant,
    ) -> Self {
        Self {
            host,
            link: Link::Idle,
            routes: VecDeque::new(),
            trying: None,
            backoff,
            setup: setup.0,
            setup_limits: setup,
            distrusted: false,
            plain_versions: false,
            retry_at: now,
            wanted: false,
            last_request: 0,
            muted_until: None,
            causes: Vec::new(),
        }
    }

    /// How long the next attempt may take: more after each that was too slow (KIP-601).
    pub(super) fn setup_timeout(&self) -> Duration {
        self.setup
    }

    /// The connection is ready.
    pub(super) fn succeeded(&mut self) {
        if !self.distrusted {
            self.backoff.reset();
        }
        self.setup = self.setup_limits.0;
        self.causes.clear();
        self.wanted = false;
    }

    /// A request was answered well.
    pub(super) fn answered(&mut self) {
        if std::mem::take(&mut self.distrusted) {
            self.backoff.reset();
        }
    }

    /// The connection was closed, and there is nothing wrong with that.
    pub(super) fn rest(&mut self, retry_at: Instant) {
        self.link = Link::Idle;
        self.trying = None;
        self.retry_at = retry_at;
    }

    /// A connection failed.
    pub(super) fn lost(&mut self, failure: &Failure, connection: Lost) {
        let kind = failure.source.kind();
        let hung_up = matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset);
        self.distrusted |= failure.is_garbled() || (hung_up && connection.was_ready);
        // Every other time, so that a broker which has just restarted is not taken for an old one for good (KIP-511).
        self.plain_versions = connection.asked_versions && hung_up && !self.plain_versions;
        let timed_out = kind == ErrorKind::TimedOut && !connection.was_ready;
        self.failed(format!("{}: {}", failure.step, failure.source), timed_out);
        self.link = Link::Idle;
    }

    /// The attempt with the present address, or with the name, failed.
    pub(super) fn failed(&mut self, cause: String, timed_out: bool) {
        if timed_out {
            self.setup = (self.setup * 2).min(self.setup_limits.1.max(self.setup_limits.0));
        }
        let place = match self.trying.take() {
            Some((address, _)) if address.ip().to_string() != self.host.host => {
                format!("{} ({address})", self.host)
            }
            _ => self.host.to_string(),
        };
        match self.causes.iter_mut().find(|(at, _)| *at == place) {
            Some((_, old)) => *old = cause,
            None => self.causes.push((place, cause)),
        }
        // One cause an address is enough, and a name has few: the bound is for resolvers that say something else each time.
        if self.causes.len() > 32 {
            self.causes.remove(0);
        }
    }

    /// What stands in the way of this node, as `address: cause; …`.
    pub(super) fn describe(&self, step: &str, now: Instant) -> String {
        let mut parts: Vec<String> =
            self.causes.iter().map(|(place, cause)| format!("{place}: {cause}")).collect();
        match (self.link, self.trying) {
            (Link::Resolving { since }, _) => {
                parts.push(format!(
                    "{}: looking up the name, for {:.1?}",
                    self.host,
                    now.saturating_duration_since(since)
                ));
            }
            (Link::Open(_), Some((address, since))) => {
                let waited = now.saturating_duration_since(since);
                parts.push(format!("{} ({address}): {step}, for {waited:.1?}", self.host));
            }
            _ if parts.is_empty() => parts.push(format!("{}: not connected", self.host)),
            _ => {}
        }
        parts.join("; ")
    }

    pub(super) fn is_resolving(&self) -> bool {
        matches!(self.link, Link::Resolving { .. })
    }

    /// Whether an attempt failed, or is under way.
    pub(super) fn is_troubled(&self) -> bool {
        self.link != Link::Idle || !self.causes.is_empty()
    }

    pub(super) fn is_muted(&self, now: Instant) -> bool {
        self.muted_until.is_some_and(|until| now < until)
    }
}

impl fmt::Display for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.id < 0 {
            write!(f, "bootstrap server {}", -self.id)
        } else {
            write!(f, "node {}", self.id)
        }
    }
}
