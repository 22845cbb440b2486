//! How a client proves to brokers who it is: the mechanisms, and what one has to be.
//!
//! A mechanism may block, for a token or a ticket, and may be the user's: its steps run on a helper thread, never in the loop.

use std::{
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

use crate::{BoxError, options::Secret};

#[cfg(feature = "gssapi")]
mod gssapi;
mod oauthbearer;
mod plain;
pub(crate) mod scram;
mod token_source;

#[cfg(feature = "gssapi")]
pub(crate) use gssapi::Gssapi;
pub use oauthbearer::TokenProvider;
pub use token_source::TokenSource;
pub(crate) use {oauthbearer::OauthBearer, plain::Plain, scram::Scram};

/// A way to prove to brokers who one is (SASL, RFC 4422), for those that this crate does not bring.
///
/// Brokers must have it, too, under the same name. Its code runs on a helper thread, one exchange at a time for each
/// connection, and may block; an exchange that is not over within the connection's set-up time has failed. A panic in it is an
/// error of the exchange.
///
/// ```
/// use kafka_blocking::{BoxError, KafkaConsumer, SaslMechanism, SaslSession, SaslStep};
///
/// /// Says a ticket, and expects nothing back.
/// struct Ticket(&'static str);
///
/// impl SaslMechanism for Ticket {
///     fn name(&self) -> &str {
///         "X-TICKET"
///     }
///
///     fn begin(&self, _host: &str) -> Result<Box<dyn SaslSession>, BoxError> {
///         Ok(Box::new(Shown(self.0, false)))
///     }
/// }
///
/// struct Shown(&'static str, bool);
///
/// impl SaslSession for Shown {
///     fn step(&mut self, _challenge: &[u8]) -> Result<SaslStep, BoxError> {
///         if std::mem::replace(&mut self.1, true) {
///             return Ok(SaslStep::Done);
///         }
///         Ok(SaslStep::Send(self.0.into()))
///     }
/// }
///
/// let builder = KafkaConsumer::builder().security_protocol("SASL_SSL").sasl(Ticket("let me in"));
/// ```
///
/// kafka-python: `SaslMechanism`, and `register_sasl_mechanism`.
pub trait SaslMechanism: Send + Sync + 'static {
    /// The name by which brokers know it, such as `SCRAM-SHA-256`.
    fn name(&self) -> &str;

    /// Begins an exchange with the broker on `host`, which is the name that the client connects to.
    ///
    /// # Errors
    /// Whatever keeps it from beginning. The attempt to connect has failed then, with
    /// [`Error::AuthenticationFailed`](crate::Error::AuthenticationFailed), which says it.
    fn begin(&self, host: &str) -> Result<Box<dyn SaslSession>, BoxError>;
}

/// One exchange of a [`SaslMechanism`], whose example shows one.
pub trait SaslSession: Send + 'static {
    /// What to do next, after `challenge` came from the broker. The first challenge is empty: the client speaks first.
    ///
    /// # Errors
    /// Whatever is wrong with the challenge, or keeps it from being answered. As for [`SaslMechanism::begin`].
    fn step(&mut self, challenge: &[u8]) -> Result<SaslStep, BoxError>;

    /// What is left out where the broker is quoted, should it repeat that: a password, a token. Asked after each step; by default
    /// there is none.
    fn secret(&self) -> Option<Secret> {
        None
    }
}

/// What a [`SaslSession`] wants. Its text in `{:?}` has no secrets.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SaslStep {
    /// To send this, and to be given the broker's answer.
    Send(Vec<u8>),
    /// Nothing more: the broker has said all that it has to.
    Done,
}

impl fmt::Debug for SaslStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(message) => write!(f, "Send({} bytes)", message.len()),
            Self::Done => f.write_str("Done"),
        }
    }
}

/// The mechanism that connections use.
#[derive(Clone)]
pub struct Sasl {
    /// Asked once: the loop runs no code of the user's.
    name: Arc<str>,
    mechanism: Arc<dyn SaslMechanism>,
}

impl Sasl {
    /// Uses this one.
    pub fn new(mechanism: impl SaslMechanism) -> Self {
        Self { name: mechanism.name().into(), mechanism: Arc::new(mechanism) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A step of an exchange that is to be run where it may block.
pub struct SaslCall {
    mechanism: Sasl,
    host: Arc<str>,
    session: Option<Box<dyn SaslSession>>,
    challenge: Vec<u8>,
}

/// What became of a [`SaslCall`].
pub struct SaslReply {
    /// The exchange, for the next step.
    pub(super) session: Option<Box<dyn SaslSession>>,
    /// What the broker is not quoted with.
    pub(super) secret: Option<Secret>,
    /// What it wants.
    pub result: Result<SaslStep, BoxError>,
}

impl SaslCall {
    pub(super) fn new(
        mechanism: Sasl,
        host: Arc<str>,
        session: Option<Box<dyn SaslSession>>,
        challenge: Vec<u8>,
    ) -> Self {
        Self { mechanism, host, session, challenge }
    }

    /// The broker that is logged in to.
    pub(crate) fn host(&self) -> &Arc<str> {
        &self.host
    }

    /// Runs it, for as long as that lasts.
    #[must_use]
    pub fn run(self) -> SaslReply {
        let Self { mechanism, host, session, challenge } = self;
        // The mechanism may be the user's: one that panics has failed, and no more than that.
        let run = || {
            let mut session = match session {
                Some(session) => session,
                None => mechanism.mechanism.begin(&host)?,
            };
            let step = session.step(&challenge)?;
            let secret = session.secret();
            Ok((session, secret, step))
        };
        match panic::catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok((session, secret, step))) => {
                SaslReply { session: Some(session), secret, result: Ok(step) }
            }
            Ok(Err(error)) => SaslReply::failed(error),
            Err(_) => SaslReply::failed("the mechanism panicked".into()),
        }
    }
}

impl SaslReply {
    fn failed(error: BoxError) -> Self {
        Self { session: None, secret: None, result: Err(error) }
    }
}

impl fmt::Debug for SaslCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SaslCall({} at {})", self.mechanism.name(), self.host)
    }
}

impl fmt::Debug for SaslReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SaslReply({:?})", self.result)
    }
}
