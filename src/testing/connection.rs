//! One connection, as the brokers see it: what has come, what waits, and what is to go out.

use std::{collections::VecDeque, time::Instant};

use crate::{
    protocol::{self, Request, RequestHeader, sasl_authenticate::SaslAuthenticateRequest},
    wire::DecodeError,
};

use crate::testing::{
    answers::Wait,
    cluster::Output,
    sasl::{self, Exchange, Users},
};

#[derive(Default)]
pub(crate) struct Connection {
    pub(crate) node: i32,
    pub(crate) inbox: Vec<u8>,
    pub(crate) sasl: Exchange,
    frames: VecDeque<(RequestHeader, Vec<u8>)>,
    pub(crate) waiting: Option<Waiting>,
    pub(crate) steps: VecDeque<(Instant, Output)>,
    /// An answer that changes places with the next one.
    pub(crate) held: Option<Vec<u8>>,
    pub(crate) silent: bool,
    pub(crate) unanswered: usize,
    /// How many bytes of requests have come whose turn has not.
    backlog: usize,
    /// How many bytes go out that nobody has taken yet.
    pub(crate) queued: usize,
    /// When to go on, where so much goes out already that the next request has to wait.
    pub(crate) again_at: Option<Instant>,
    /// Whether its client leaves answers unread.
    pub(crate) blocked: bool,
}

/// A request that cannot be answered yet.
pub(crate) struct Waiting {
    pub(crate) wait: Wait,
    pub(crate) deadline: Option<Instant>,
    pub(crate) version: i16,
    pub(crate) correlation: i32,
    pub(crate) rules: Vec<usize>,
}

/// No client sends more at once: Kafka's `socket.request.max.bytes`.
const LARGEST_REQUEST: usize = 100 << 20;

/// So many bytes of requests may wait for their turn.
const MOST_BACKLOG: usize = 1 << 20;

/// What a request costs beside its body.
const HEADER: usize = 64;

impl Connection {
    /// A new connection to a node.
    pub(crate) fn to(node: i32) -> Self {
        Self { node, ..Self::default() }
    }

    /// Takes a whole request out of the bytes that have come, if one has. A SASL message that stands alone is one of
    /// SaslAuthenticate, of version 0, whose body is the same.
    pub(crate) fn next_frame(
        &mut self,
        users: &Users,
    ) -> Result<Option<(RequestHeader, Vec<u8>)>, DecodeError> {
        let Some(length) = self.inbox.first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let closed = self.sasl.is_closed_to(users);
        if length > if closed { sasl::LONGEST } else { LARGEST_REQUEST } {
            return Err(DecodeError::TooLarge);
        }
        if self.inbox.len() < 4 + length {
            return Ok(None);
        }
        let rest = self.inbox.split_off(4 + length);
        let frame = std::mem::replace(&mut self.inbox, rest);
        if self.sasl.is_bare() {
            let (api_key, api_version) = (SaslAuthenticateRequest::KEY, 0);
            let header = RequestHeader { api_key, api_version, correlation_id: 0, client_id: None };
            return Ok(Some((header, frame)));
        }
        let frame = &frame[4..];
        let (header, start) = protocol::decode_request_header(frame)?;
        Ok(Some((header, frame[start..].to_vec())))
    }

    /// Puts a request behind those that have come.
    pub(crate) fn push_frame(&mut self, header: RequestHeader, body: Vec<u8>) {
        self.backlog += HEADER + body.len();
        self.frames.push_back((header, body));
    }

    /// The request whose turn it is.
    pub(crate) fn pop_frame(&mut self) -> Option<(RequestHeader, Vec<u8>)> {
        let (header, body) = self.frames.pop_front()?;
        self.backlog -= HEADER + body.len();
        Some((header, body))
    }

    /// Whether more may come: Kafka reads nothing from a connection that has a request unanswered.
    pub(crate) fn takes_more(&self) -> bool {
        !self.blocked && self.backlog < MOST_BACKLOG
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        if self.blocked {
            return None;
        }
        if self.again_at.is_some() {
            return self.again_at;
        }
        let step = self.steps.front().map(|(at, _)| *at);
        step.or_else(|| self.waiting.as_ref().and_then(|w| w.deadline))
    }

    pub(crate) fn waits_for_group(&self) -> bool {
        self.waiting.as_ref().is_some_and(|w| matches!(w.wait, Wait::Group { .. }))
    }
}
