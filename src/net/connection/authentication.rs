//! The step in which the client says who it is (SASL), and its repetition before the broker's patience ends (KIP-368).

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Connection, Event, Failure, Refused, State, later};
use crate::{
    ErrorCode,
    net::{
        sasl::{Sasl, SaslCall, SaslReply, SaslSession, SaslStep},
        told::told,
    },
    options::Secret,
    protocol::{
        self, sasl_authenticate::SaslAuthenticateRequest, sasl_handshake::SaslHandshakeRequest,
    },
    wire::SecretBytes,
};

/// The longest message of a broker before it knows who we are, in bytes.
pub(super) const LONGEST: usize = 512 << 10;

/// The most messages of one exchange: none that is in use needs more than a handful.
const MOST_STEPS: usize = 100;

/// How the client logs in on a connection, and how far it is.
#[derive(Debug)]
pub(super) struct Authentication {
    mechanism: Sasl,
    host: Arc<str>,
    /// When, of the time that the broker gives, to log in again: a share of it, other than that of other connections.
    share: f64,
    exchange: Exchange,
    /// When to log in again.
    renew_at: Option<Instant>,
    /// That time has come: nothing new is asked before it is done.
    pub(super) is_due: bool,
    /// When bytes went for others than ourselves.
    active: Option<Instant>,
}

/// One exchange of messages.
#[derive(Default)]
struct Exchange {
    session: Option<Box<dyn SaslSession>>,
    /// What the broker is not quoted with.
    secret: Option<Secret>,
    /// When the last message went out: the session that the broker gives begins later.
    sent_at: Option<Instant>,
    call: Option<SaslCall>,
    steps: usize,
    /// The version in which messages are wrapped; `None` where they go bare.
    version: Option<i16>,
    lifetime_ms: i64,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Exchange(step {})", self.steps)
    }
}

impl Authentication {
    pub(super) fn new(mechanism: Sasl, host: Arc<str>, share: f64) -> Self {
        Self {
            mechanism,
            host,
            share,
            exchange: Exchange::default(),
            renew_at: None,
            is_due: false,
            active: None,
        }
    }

    /// When to look whether it is time to log in again.
    pub(super) fn renew_at(&self) -> Option<Instant> {
        self.renew_at
    }

    pub(super) fn name(&self) -> &str {
        self.mechanism.name()
    }

    fn call(&mut self, challenge: Vec<u8>) {
        let session = self.exchange.session.take();
        self.exchange.steps += 1;
        self.exchange.call =
            Some(SaslCall::new(self.mechanism.clone(), self.host.clone(), session, challenge));
    }
}

/// When a session that began then ends, a part of it before.
fn renewal(lifetime_ms: i64, share: f64, begin: Instant, now: Instant) -> Option<Instant> {
    /// Brokers refuse it sooner.
    const SOONEST: Duration = Duration::from_secs(1);
    /// For what is asked just before: the broker closes the connection where it comes to it only after the session's end.
    const MARGIN: Duration = Duration::from_secs(1);
    let lifetime = u64::try_from(lifetime_ms).ok().filter(|ms| *ms > 0)?;
    // Far more than any session lasts, and little enough to be multiplied.
    let lifetime = Duration::from_millis(lifetime.min(1 << 40));
    let patience = lifetime.mul_f64(share).min(lifetime.saturating_sub(MARGIN));
    Some(later(begin, patience).max(later(now, SOONEST)))
}

impl Connection {
    // The loop

    /// A step that is to be run where it may block, and reported with [`handle_authenticated`](Self::handle_authenticated).
    pub fn take_call(&mut self) -> Option<SaslCall> {
        self.authentication.as_mut()?.exchange.call.take()
    }

    /// Whether [`take_call`](Self::take_call) has something.
    #[must_use]
    pub fn has_call(&self) -> bool {
        self.authentication.as_ref().is_some_and(|a| a.exchange.call.is_some())
    }

    /// A step was run.
    ///
    /// # Errors
    /// Where the mechanism gave up; the connection is then at its end.
    pub fn handle_authenticated(&mut self, reply: SaslReply, now: Instant) -> Result<(), Failure> {
        let Some(authentication) = &mut self.authentication else { return Ok(()) };
        if self.state != State::Mechanism {
            return Ok(());
        }
        authentication.exchange.session = reply.session;
        authentication.exchange.secret = reply.secret;
        self.renew_setup(now);
        match reply.result {
            Ok(SaslStep::Send(message)) => self.send_message(message, now),
            Ok(SaslStep::Done) => {
                self.authenticated(now);
                Ok(())
            }
            Err(error) => Err(self.refusal(error.to_string())),
        }
    }

    // The exchange

    /// The broker's versions are known: logs in, or is ready where nobody has to.
    pub(super) fn begin_authentication(&mut self, now: Instant) -> Result<(), Failure> {
        let Some(authentication) = &mut self.authentication else {
            self.become_ready();
            return Ok(());
        };
        authentication.exchange = Exchange::default();
        let mechanism = authentication.name().to_owned();
        let Some(version) = self.ranges.pick::<SaslHandshakeRequest>(None) else {
            return Err(
                self.refusal("the broker has no SaslHandshake that this client speaks".to_owned())
            );
        };
        self.state = State::Handshake;
        let request = SaslHandshakeRequest { mechanism };
        self.send_step(version, &request, now)
    }

    /// It is time to log in again, and nothing else is under way.
    pub(super) fn renew_authentication(&mut self, now: Instant) -> Result<(), Failure> {
        let due = |a: &Authentication| a.renew_at.is_some_and(|at| now >= at);
        let Some(authentication) = self.authentication.as_mut().filter(|a| due(a)) else {
            return Ok(());
        };
        authentication.is_due = true;
        if self.state != State::Ready || !self.in_flight.is_empty() {
            return Ok(());
        }
        authentication.renew_at = None;
        authentication.active = Some(self.active);
        self.setup_deadline = later(now, self.limits.setup_timeout);
        self.begin_authentication(now)
    }

    /// The broker has said which mechanisms it has.
    pub(super) fn handle_mechanisms(
        &mut self,
        body: &[u8],
        version: i16,
        now: Instant,
    ) -> Result<(), Failure> {
        let response = self.decoded::<SaslHandshakeRequest>(body, version)?;
        let code = ErrorCode(response.error_code);
        if code == ErrorCode::UNSUPPORTED_SASL_MECHANISM {
            let theirs: Vec<String> =
                response.mechanisms.iter().take(20).map(|m| told(m.as_bytes(), "")).collect();
            let theirs = if theirs.is_empty() { "none".to_owned() } else { theirs.join(", ") };
            return Err(
                self.refusal(format!("the broker does not have this mechanism; it has {theirs}"))
            );
        }
        if code == ErrorCode::ILLEGAL_SASL_STATE {
            let text = format!("{code}: does the broker's listener want SASL at all?");
            return Err(self.refusal(text));
        }
        if code != ErrorCode::NONE {
            return Err(self.refusal(format!("SaslHandshake was answered with {code}")));
        }
        let authenticate = self.ranges.pick::<SaslAuthenticateRequest>(None);
        if let Some(authentication) = &mut self.authentication {
            // Version 0 is followed by bare messages.
            authentication.exchange.version = authenticate.filter(|_| version > 0);
        }
        self.next_step(Vec::new(), now)
    }

    /// The broker has answered a message.
    pub(super) fn handle_authenticate(
        &mut self,
        body: &[u8],
        version: i16,
        now: Instant,
    ) -> Result<(), Failure> {
        let response = self.decoded::<SaslAuthenticateRequest>(body, version)?;
        if response.error_code != 0 {
            let secret = self.authentication.as_ref().and_then(|a| a.exchange.secret.as_ref());
            let secret = secret.map_or("", Secret::reveal);
            let said = response.error_message.map(|text| told(text.as_bytes(), secret));
            let said = said.filter(|text| !text.is_empty());
            let said = said.unwrap_or_else(|| ErrorCode(response.error_code).to_string());
            return Err(self.refusal(said));
        }
        if let Some(authentication) = &mut self.authentication {
            authentication.exchange.lifetime_ms = response.session_lifetime_ms;
        }
        self.next_step(response.auth_bytes, now)
    }

    /// What the broker said goes to the mechanism.
    pub(super) fn next_step(&mut self, challenge: Vec<u8>, now: Instant) -> Result<(), Failure> {
        self.renew_setup(now);
        self.state = State::Mechanism;
        let Some(authentication) = &mut self.authentication else { return Ok(()) };
        if authentication.exchange.steps >= MOST_STEPS {
            return Err(self.refusal(format!("no end after {MOST_STEPS} messages")));
        }
        authentication.call(challenge);
        Ok(())
    }

    fn send_message(&mut self, message: Vec<u8>, now: Instant) -> Result<(), Failure> {
        let version = self.authentication.as_ref().and_then(|a| a.exchange.version);
        self.state = State::Token { bare: version.is_none() };
        if let Some(authentication) = &mut self.authentication {
            authentication.exchange.sent_at = Some(now);
        }
        if message.len() > LONGEST {
            return Err(self.refusal(format!("a message of {} bytes", message.len())));
        }
        if let Some(version) = version {
            let auth_bytes = SecretBytes::from(message);
            return self.send_step(version, &SaslAuthenticateRequest { auth_bytes }, now);
        }
        let length = i32::try_from(message.len()).expect("checked above");
        self.out.extend_from_slice(&length.to_be_bytes());
        self.out.extend_from_slice(&message);
        self.active = now;
        self.encrypt();
        Ok(())
    }

    /// The set-up deadline covers it; a deadline of its own would only be later.
    fn send_step<R: protocol::Request>(
        &mut self,
        version: i16,
        request: &R,
        now: Instant,
    ) -> Result<(), Failure> {
        self.send(0, version, request, self.limits.setup_timeout, now)
            .map_err(|error| self.refusal(error.to_string()))
    }

    fn authenticated(&mut self, now: Instant) {
        if let Some(authentication) = &mut self.authentication {
            let Exchange { lifetime_ms, sent_at, .. } = authentication.exchange;
            let begin = sent_at.unwrap_or(now);
            authentication.renew_at = renewal(lifetime_ms, authentication.share, begin, now);
            authentication.is_due = false;
            authentication.exchange = Exchange::default();
            // To log in again is no use of the connection: it may be idle all the same.
            self.active = authentication.active.take().unwrap_or(self.active);
        }
        self.become_ready();
    }

    pub(super) fn become_ready(&mut self) {
        self.state = State::Ready;
        if !std::mem::replace(&mut self.ready, true) {
            self.events.push_back(Event::Ready);
        }
    }

    /// The broker, or the mechanism, has said no.
    fn refusal(&self, text: String) -> Failure {
        let name = self.authentication.as_ref().map_or("SASL", Authentication::name);
        let source = io::Error::new(io::ErrorKind::PermissionDenied, format!("{name}: {text}"));
        Failure { step: "authenticating", source, refused: Some(Refused::Login) }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any moment will do")]
mod tests {
    use super::*;

    /// After how many milliseconds of a session, of which 100 have passed, it is renewed.
    fn renewed_after(lifetime_ms: i64, share: f64) -> Option<u128> {
        let begin = Instant::now();
        let at = renewal(lifetime_ms, share, begin, begin + Duration::from_millis(100));
        at.map(|at| (at - begin).as_millis())
    }

    #[test]
    fn a_session_is_renewed_after_its_share_and_a_second_before_its_end_but_not_within_a_second() {
        assert_eq!(renewed_after(3_600_000, 0.85), Some(3_060_000));
        assert_eq!(renewed_after(20_000, 0.95), Some(19_000));
        assert_eq!(renewed_after(5_000, 0.85), Some(4_000));
        for short in [1, 1_000, 2_000] {
            assert_eq!(renewed_after(short, 0.95), Some(1_100), "{short} ms");
        }
        assert_eq!(renewed_after(0, 0.9), None);
        assert_eq!(renewed_after(i64::MIN, 0.9), None);
        assert!(renewed_after(i64::MAX, 0.9).is_some());
    }
}
