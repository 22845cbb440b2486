//! One connection to one broker, as a machine: it is given bytes and the time, and says what to send and when to call again.
//!
//! ```text
//!  Connecting ──▶ Tunnelling ───▶ Encrypting ──▶ Versions ──▶ Handshake ──▶ Mechanism ⇄ Token ──▶ Ready
//!      │       (through a proxy)  (with TLS)                  └──── (with SASL, and again in time) ──┘│
//!      └───────────────────────────── one set-up deadline over all of it ─────────────────────────────┘
//! ```
//!
//! Any failure is final: the owner drops the machine and asks [`Connection::abandon`] which requests went down with it.

use std::{
    collections::VecDeque,
    fmt, io,
    sync::Arc,
    time::{Duration, Instant},
};

mod authentication;
mod encryption;
mod failure;
mod frames;
mod setup;
mod tunnelling;

use crate::{
    net::{
        fetch_stream::{FetchPiece, FetchStream},
        proxy::Tunnel,
        security::Security,
        staging::Staging,
    },
    protocol::{
        self, Request, api_versions::ApiVersionsRequest,
        sasl_authenticate::SaslAuthenticateRequest, sasl_handshake::SaslHandshakeRequest,
        versions::ApiRanges,
    },
    records::ChunkPool,
};

use authentication::Authentication;
use encryption::Encryption;
pub use failure::{Failure, Refused};

/// Names a request for as long as it is under way.
pub type RequestId = u64;

/// What a connection is told when it is made.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// For the whole way from the first packet to [`Event::Ready`].
    pub setup_timeout: Duration,
    /// Close after this long without traffic.
    pub max_idle: Duration,
    /// The largest answer, in bytes.
    pub receive_max: usize,
    /// How many requests may be unanswered at a time.
    pub max_in_flight: usize,
    /// The size of the read buffer.
    pub staging: usize,
    /// The version in which ApiVersions is asked first.
    pub first_versions: i16,
}

/// What a connection has to tell.
#[derive(Debug)]
pub enum Event {
    /// Requests can be sent now.
    Ready,
    /// A request was answered; the header has been taken off.
    Response {
        /// The request.
        id: RequestId,
        /// The version in which it was asked, and is answered.
        version: i16,
        /// The answer.
        body: Vec<u8>,
        /// For how long the broker wants to be left alone.
        throttle_time_ms: i32,
    },
    /// A part of the answer to a Fetch request.
    Fetch {
        /// The request.
        id: RequestId,
        /// The part.
        piece: FetchPiece,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    Tunnelling,
    Encrypting,
    Versions {
        asked: i16,
    },
    /// The mechanism is agreed on.
    Handshake,
    /// The mechanism is asked for its next message.
    Mechanism,
    /// The broker is asked what it says to a message.
    Token {
        bare: bool,
    },
    Ready,
}

#[derive(Debug)]
struct InFlight {
    id: RequestId,
    key: i16,
    version: i16,
    correlation: i32,
    deadline: Instant,
    timeout: Duration,
}

/// What is being read.
#[derive(Debug)]
enum Incoming {
    /// The length of the next frame and its correlation id.
    Head,
    /// A frame that is read whole; `length` is the body's.
    Whole {
        body: Vec<u8>,
        filled: usize,
        length: usize,
    },
    Fetch(Box<FetchStream>),
}

/// The machine.
pub struct Connection {
    limits: ConnectionLimits,
    client_id: String,
    state: State,
    /// It has been ready: it is not set up any more, whatever it is busy with.
    ready: bool,
    tunnel: Option<Tunnel>,
    encryption: Option<Encryption>,
    authentication: Option<Authentication>,
    /// The broker has answered a request.
    served: bool,
    /// What failed in a command, to be told by the next call that can.
    broken: Option<Failure>,
    ranges: ApiRanges,
    out: Vec<u8>,
    sent: usize,
    in_flight: VecDeque<InFlight>,
    correlation: i32,
    staging: Staging,
    incoming: Incoming,
    events: VecDeque<Event>,
    setup_deadline: Instant,
    /// When bytes last went either way.
    active: Instant,
    /// Whether we do not want to read just now; time that passes then is not the peer's.
    gated: bool,
    pool: ChunkPool,
}

impl Connection {
    /// A connection whose socket has just begun to connect.
    #[must_use]
    pub fn new(limits: ConnectionLimits, client_id: String, pool: ChunkPool, now: Instant) -> Self {
        Self {
            setup_deadline: later(now, limits.setup_timeout),
            staging: Staging::new(limits.staging),
            limits,
            client_id,
            state: State::Connecting,
            ready: false,
            tunnel: None,
            encryption: None,
            authentication: None,
            served: false,
            broken: None,
            ranges: ApiRanges::default(),
            out: Vec::new(),
            sent: 0,
            in_flight: VecDeque::new(),
            correlation: 0,
            incoming: Incoming::Head,
            events: VecDeque::new(),
            active: now,
            gated: false,
            pool,
        }
    }

    /// The same to a broker that wants TLS or SASL. `host` is its name; `share`, from 0.85 to 0.95, says after which part of
    /// the time that the broker gives to log in again.
    #[must_use]
    pub fn secured(mut self, security: &Security, host: &str, share: f64) -> Self {
        let host: Arc<str> = host.into();
        self.encryption = security.tls.clone().map(|tls| Encryption::new(tls, host.clone()));
        self.authentication =
            security.sasl.clone().map(|sasl| Authentication::new(sasl, host, share));
        self
    }

    // Commands

    /// Sends a request in a version that [`version`](Self::version) gave. Its deadline begins now.
    ///
    /// # Errors
    /// Where the request cannot be expressed in that version.
    pub fn send<R: Request>(
        &mut self,
        id: RequestId,
        version: i16,
        request: &R,
        timeout: Duration,
        now: Instant,
    ) -> Result<(), crate::wire::EncodeError> {
        let correlation = self.correlation;
        protocol::encode_request(
            &mut self.out,
            version,
            correlation,
            Some(&self.client_id),
            request,
        )?;
        self.correlation = self.correlation.wrapping_add(1);
        let deadline = later(now, timeout);
        self.in_flight.push_back(InFlight {
            id,
            key: R::KEY,
            version,
            correlation,
            deadline,
            timeout,
        });
        self.active = now;
        self.encrypt();
        Ok(())
    }

    /// Whether to go on reading records: with `true` the bytes wait in the kernel.
    pub fn set_gated(&mut self, gated: bool, now: Instant) {
        if self.gated && !gated {
            self.active = now;
            self.extend_stall(now);
        }
        self.gated = gated;
    }

    // What came in

    /// The socket is connected.
    pub fn handle_connected(&mut self, now: Instant) {
        if self.tunnel.is_some() {
            self.begin_tunnel(now);
        } else {
            self.broken = self.begin(now).err();
        }
    }

    /// Where the next bytes from the socket go, or `None` when none are wanted.
    pub fn read_space(&mut self) -> Option<&mut [u8]> {
        if self.is_gated() {
            return None;
        }
        if self.encryption.is_some() && self.tunnel.is_none() {
            return self.encryption.as_mut().and_then(Encryption::space);
        }
        self.plain_space()
    }

    /// Where bytes of the protocol go next.
    fn plain_space(&mut self) -> Option<&mut [u8]> {
        if self.is_gated() {
            return None;
        }
        let direct = self.reads_directly();
        match &mut self.incoming {
            Incoming::Fetch(stream) if direct => stream.space(),
            Incoming::Whole { body, filled, length } if direct => {
                if body.len() == *filled {
                    // Grows with what arrives, not with what is claimed.
                    body.resize((*length).min((*filled * 2).max(4096)), 0);
                }
                Some(&mut body[*filled..])
            }
            _ => Some(self.staging.space()),
        }
    }

    /// `n` bytes were read into [`read_space`](Self::read_space). With `n = 0`, when it [`has_more`](Self::has_more).
    ///
    /// # Errors
    /// Where they are no answer to what was asked; the connection is then at its end.
    pub fn handle_read(&mut self, n: usize, now: Instant) -> Result<(), Failure> {
        self.active = now;
        if self.tunnel.is_some() {
            self.staging.advance(n);
            return self.handle_proxy(now);
        }
        if let Some(encryption) = &mut self.encryption {
            encryption.received(n);
            return self.decrypt(now);
        }
        self.handle_plain(n, now)
    }

    /// Whether bytes that were read already may give more, without any from the socket.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.encryption.as_ref().is_some_and(Encryption::has_more) && !self.is_gated()
    }

    /// `n` bytes of the protocol were put into [`plain_space`](Self::plain_space).
    fn handle_plain(&mut self, n: usize, now: Instant) -> Result<(), Failure> {
        let direct = self.reads_directly();
        match &mut self.incoming {
            Incoming::Fetch(stream) if direct => stream.advance(n),
            Incoming::Whole { filled, .. } if direct => *filled += n,
            _ => self.staging.advance(n),
        }
        self.extend_stall(now);
        self.decode(now)
    }

    /// The time is `now`.
    ///
    /// # Errors
    /// Where a deadline has passed; the connection is then at its end.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Failure> {
        if let Some(failure) = self.broken.take() {
            return Err(failure);
        }
        self.renew_authentication(now)?;
        if self.state != State::Ready && now >= self.setup_deadline {
            let waited = self.limits.setup_timeout;
            return Err(
                self.failure(io::ErrorKind::TimedOut, format!("nothing came within {waited:?}"))
            );
        }
        if let Some(first) = self.expired(now) {
            let text = format!(
                "{} was not answered within {:?}",
                protocol::api_name(first.key),
                first.timeout
            );
            return Err(self.failure(io::ErrorKind::TimedOut, text));
        }
        if self.is_idle(now) {
            return Err(
                self.failure(io::ErrorKind::Other, "idle for connections_max_idle_ms".to_owned())
            );
        }
        Ok(())
    }

    // What must go out

    /// The bytes that are to be written.
    #[must_use]
    pub fn poll_transmit(&self) -> &[u8] {
        match &self.encryption {
            Some(encryption) if self.tunnel.is_none() => encryption.outgoing(),
            _ => &self.out[self.sent..],
        }
    }

    /// `n` bytes of [`poll_transmit`](Self::poll_transmit) were written.
    pub fn handle_sent(&mut self, n: usize, now: Instant) {
        self.active = now;
        // Nobody may have looked for long: the peer cannot have answered before.
        if self.state != State::Ready {
            self.renew_setup(now);
        }
        match &mut self.encryption {
            Some(encryption) if self.tunnel.is_none() => return encryption.handle_sent(n),
            _ => {}
        }
        self.sent += n;
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
    }

    /// What has happened, in order.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        if self.broken.is_some() {
            return self.active;
        }
        if self.state != State::Ready {
            return self.setup_deadline;
        }
        if self.is_gated() {
            return later(self.active, Duration::MAX);
        }
        let idle = later(self.active, self.limits.max_idle);
        let renewal = self.authentication.as_ref().and_then(Authentication::renew_at);
        let idle = renewal.map_or(idle, |at| at.min(idle));
        self.in_flight.iter().map(|f| f.deadline).min().unwrap_or(idle)
    }

    /// The requests that went down with the connection.
    pub fn abandon(self) -> impl Iterator<Item = RequestId> {
        const OWN: [i16; 3] =
            [ApiVersionsRequest::KEY, SaslHandshakeRequest::KEY, SaslAuthenticateRequest::KEY];
        self.in_flight.into_iter().filter(|f| !OWN.contains(&f.key)).map(|f| f.id)
    }

    // What is known

    /// Whether it is set up.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Whether one more request may be sent now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.state == State::Ready
            && self.in_flight.len() < self.limits.max_in_flight
            && !self.authentication.as_ref().is_some_and(|a| a.is_due)
    }

    /// Whether nothing is under way: neither a request, nor a step of its own.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.state == State::Ready && self.in_flight.is_empty()
    }

    /// How many requests are unanswered.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether the socket has bytes for us that we do not want yet.
    #[must_use]
    pub fn is_gated(&self) -> bool {
        self.gated && matches!(&self.incoming, Incoming::Fetch(stream) if stream.is_in_records())
    }

    /// What the broker speaks.
    #[must_use]
    pub fn ranges(&self) -> &ApiRanges {
        &self.ranges
    }

    /// Whether the broker's versions are asked for.
    #[must_use]
    pub fn is_asking_versions(&self) -> bool {
        matches!(self.state, State::Versions { .. })
    }

    /// When bytes last went either way.
    #[must_use]
    pub fn active(&self) -> Instant {
        self.active
    }

    /// The request whose answer is due next, for error texts.
    #[must_use]
    pub fn unanswered(&self) -> Option<&'static str> {
        self.in_flight.front().map(|first| protocol::api_name(first.key))
    }

    // Helpers

    /// Whether the next bytes belong to something large, which they are read into without a copy.
    fn reads_directly(&self) -> bool {
        self.staging.data().is_empty()
            && match &self.incoming {
                Incoming::Head => false,
                Incoming::Whole { .. } => true,
                Incoming::Fetch(stream) => stream.has_space(),
            }
    }

    /// The timer of a streamed answer is moved on by every byte: the request's own ended at the first of them.
    fn extend_stall(&mut self, now: Instant) {
        if let (Incoming::Fetch(_), Some(first)) = (&self.incoming, self.in_flight.front_mut()) {
            first.deadline = later(now, first.timeout);
        }
    }

    /// The step before was done in time, and not seen before: nobody looked. The next ones get the time once more.
    fn renew_setup(&mut self, now: Instant) {
        if now >= self.setup_deadline {
            self.setup_deadline = later(now, self.limits.setup_timeout);
        }
    }

    fn expired(&self, now: Instant) -> Option<&InFlight> {
        self.in_flight.iter().find(|f| now >= f.deadline).filter(|_| !self.is_gated())
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.state == State::Ready
            && self.in_flight.is_empty()
            && now >= later(self.active, self.limits.max_idle)
    }
}

// Its buffers may have passwords in them.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("state", &self.state)
            .field("in_flight", &self.in_flight)
            .field("to_send", &(self.out.len() - self.sent))
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}

/// `now + delay`, or the far future where that cannot be told.
pub fn later(now: Instant, delay: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    now.checked_add(delay.min(CENTURY)).unwrap_or(now)
}
