//! How clients log in: which users there are, and how far the exchange of a connection has come.
//!
//! With the answers, the texts and the ends of connections that Kafka 4.4 has, but for two things: ApiVersions may be asked
//! more than once before the exchange, and a connection may authenticate again (KIP-368).

use std::{collections::BTreeMap, fmt};

use crate::{
    ErrorCode,
    net::sasl::scram::keys::Hash,
    protocol::{
        self, Request, RequestHeader,
        api_versions::ApiVersionsRequest,
        sasl_authenticate::{SaslAuthenticateRequest, SaslAuthenticateResponse},
        sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse},
    },
    wire::DecodeError,
};

use self::scram::{Credential, Server};
use super::answers::{Body, Outcome, Refusals};

mod scram;

/// The longest message of a client that has not authenticated: Kafka's `sasl.server.max.receive.size`, in bytes.
pub(crate) const LONGEST: usize = 512 << 10;

/// A mechanism that users can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mechanism {
    Plain,
    Scram(Hash),
}

impl Mechanism {
    const ALL: [Self; 3] = [Self::Plain, Self::Scram(Hash::Sha256), Self::Scram(Hash::Sha512)];

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Scram(hash) => hash.mechanism(),
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }
}

/// What a user proves to know.
enum Secret {
    Password(String),
    Scram(Credential),
}

/// Who may log in, and by which mechanism.
#[derive(Default)]
pub(crate) struct Users {
    users: BTreeMap<(Mechanism, String), Secret>,
    nonces: u64,
}

impl Users {
    /// A user, or another password for one.
    ///
    /// # Panics
    /// Where there is no such mechanism.
    pub(crate) fn add(&mut self, mechanism: &str, name: &str, password: &str) {
        let mechanism = known(mechanism);
        let secret = match mechanism {
            Mechanism::Plain => Secret::Password(password.to_owned()),
            Mechanism::Scram(hash) => Secret::Scram(Credential::new(hash, name, password)),
        };
        self.users.insert((mechanism, name.to_owned()), secret);
    }

    /// A user goes.
    ///
    /// # Panics
    /// Where there is no such mechanism or user.
    pub(crate) fn remove(&mut self, mechanism: &str, name: &str) {
        let removed = self.users.remove(&(known(mechanism), name.to_owned()));
        assert!(removed.is_some(), "no user {name} of {mechanism}");
    }

    /// Whether nobody needs to log in.
    fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    fn mechanisms(&self) -> Vec<String> {
        let mut names: Vec<_> = self.users.keys().map(|(m, _)| m.name().to_owned()).collect();
        names.dedup();
        names
    }

    fn secret(&self, mechanism: Mechanism, name: &str) -> Option<&Secret> {
        self.users.get(&(mechanism, name.to_owned()))
    }

    /// Another one each time, and the same ones in each run.
    fn nonce(&mut self) -> String {
        self.nonces += 1;
        format!("in-process-{}", self.nonces)
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.users.keys().map(|(m, name)| (m.name(), name))).finish()
    }
}

fn known(mechanism: &str) -> Mechanism {
    Mechanism::named(mechanism).unwrap_or_else(|| {
        let all = Mechanism::ALL.map(Mechanism::name).join(", ");
        panic!("{mechanism} is none of the mechanisms that there are: {all}")
    })
}

/// How far the client of a connection has come with logging in.
#[derive(Default)]
pub(crate) struct Exchange {
    step: Step,
    /// Whether its messages come without headers: what follows a SaslHandshake of version 0.
    bare: bool,
    /// Whether what is answered now came so.
    answers_barely: bool,
}

#[derive(Default)]
enum Step {
    #[default]
    Begin,
    Chosen(Mechanism),
    Scram(Server),
    Authenticated,
}

/// Why a client may not log in: what it is told.
struct Denied(String);

impl Exchange {
    /// Whether what comes next is a SASL message that stands alone.
    pub(crate) fn is_bare(&self) -> bool {
        self.bare && matches!(self.step, Step::Chosen(_) | Step::Scram(_))
    }

    /// Whether the answer to what came last goes out without a header.
    pub(crate) fn answers_barely(&self) -> bool {
        self.answers_barely
    }

    /// Whether a client still has to log in.
    pub(crate) fn is_closed_to(&self, users: &Users) -> bool {
        !users.is_empty() && !matches!(self.step, Step::Authenticated)
    }

    /// Takes what belongs to the exchange, or comes too early; gives nothing for any other request.
    pub(crate) fn take(
        &mut self,
        users: &mut Users,
        header: &RequestHeader,
        body: &[u8],
        refusals: &Refusals,
    ) -> Option<Outcome> {
        let exchanging = matches!(self.step, Step::Chosen(_) | Step::Scram(_));
        self.answers_barely = self.is_bare();
        let version = header.api_version;
        let outcome = match header.api_key {
            SaslHandshakeRequest::KEY => self.take_handshake(users, version, body, refusals),
            SaslAuthenticateRequest::KEY => self.take_message(users, version, body, refusals),
            ApiVersionsRequest::KEY if !exchanging => return None,
            _ if exchanging || self.is_closed_to(users) => Ok(Outcome::Refused),
            _ => return None,
        };
        Some(outcome.unwrap_or(Outcome::Refused))
    }

    fn take_handshake(
        &mut self,
        users: &Users,
        version: i16,
        body: &[u8],
        refusals: &Refusals,
    ) -> Result<Outcome, DecodeError> {
        let request: SaslHandshakeRequest = protocol::decode_request(body, version)?;
        let mechanism = Mechanism::named(&request.mechanism);
        let offered = mechanism.filter(|m| users.users.keys().any(|(mechanism, _)| mechanism == m));
        let wrong_time = users.is_empty() || matches!(self.step, Step::Chosen(_) | Step::Scram(_));
        let outcome = match (refusals.all, offered) {
            (Some(code), _) => Err(code),
            _ if wrong_time => Err(ErrorCode::ILLEGAL_SASL_STATE),
            (_, None) => Err(ErrorCode::UNSUPPORTED_SASL_MECHANISM),
            (_, Some(mechanism)) => Ok(mechanism),
        };
        if let Ok(mechanism) = outcome {
            (self.step, self.bare) = (Step::Chosen(mechanism), version == 0);
        }
        let response = SaslHandshakeResponse {
            error_code: outcome.err().map_or(0, |code| code.0),
            mechanisms: if wrong_time { Vec::new() } else { users.mechanisms() },
        };
        Ok(Outcome::Now(match refusals.all {
            Some(_) => Body::refused::<SaslHandshakeRequest>(response),
            None => Body::new::<SaslHandshakeRequest>(response),
        }))
    }

    fn take_message(
        &mut self,
        users: &mut Users,
        version: i16,
        body: &[u8],
        refusals: &Refusals,
    ) -> Result<Outcome, DecodeError> {
        let request: SaslAuthenticateRequest = protocol::decode_request(body, version)?;
        if let Some(code) = refusals.all {
            self.step = Step::Begin;
            let response = failed(code, code.to_string());
            return Ok(Outcome::Now(Body::refused::<SaslAuthenticateRequest>(response)));
        }
        let message = &request.auth_bytes.0;
        let answer = match std::mem::take(&mut self.step) {
            Step::Begin if !users.is_empty() => return Ok(Outcome::Refused),
            step @ (Step::Begin | Step::Authenticated) => {
                self.step = step;
                let text = "SaslAuthenticate request received after successful authentication";
                let response = failed(ErrorCode::ILLEGAL_SASL_STATE, text.to_owned());
                return Ok(Outcome::Now(Body::new::<SaslAuthenticateRequest>(response)));
            }
            Step::Chosen(Mechanism::Plain) => self.take_plain(users, message),
            Step::Chosen(Mechanism::Scram(hash)) => self.begin_scram(hash, users, message),
            Step::Scram(server) => self.end_scram(server, message),
        };
        let response = match answer {
            Ok(auth_bytes) => SaslAuthenticateResponse {
                error_message: Some(String::new()),
                auth_bytes,
                ..SaslAuthenticateResponse::default()
            },
            Err(Denied(text)) => failed(ErrorCode::SASL_AUTHENTICATION_FAILED, text),
        };
        Ok(Outcome::Now(Body::new::<SaslAuthenticateRequest>(response)))
    }

    fn take_plain(&mut self, users: &Users, message: &[u8]) -> Result<Vec<u8>, Denied> {
        check_plain(users, message)?;
        self.step = Step::Authenticated;
        Ok(Vec::new())
    }

    fn begin_scram(
        &mut self,
        hash: Hash,
        users: &mut Users,
        message: &[u8],
    ) -> Result<Vec<u8>, Denied> {
        let denied = || invalid(Mechanism::Scram(hash));
        let first = scram::First::parse(message).ok_or_else(denied)?;
        let nonce = users.nonce();
        let secret = users.secret(Mechanism::Scram(hash), &first.name);
        let Some(Secret::Scram(credential)) = secret else { return Err(denied()) };
        if first.acts_for_another() {
            return Err(Denied(ANOTHER.to_owned()));
        }
        let (server, answer) = Server::begin(credential, &first, &nonce);
        self.step = Step::Scram(server);
        Ok(answer)
    }

    fn end_scram(&mut self, server: Server, message: &[u8]) -> Result<Vec<u8>, Denied> {
        let mechanism = Mechanism::Scram(server.hash());
        let answer = server.finish(message).ok_or_else(|| invalid(mechanism))?;
        self.step = Step::Authenticated;
        Ok(answer)
    }
}

/// Whether a message of PLAIN, `[authzid] NUL name NUL password`, has the password of a user.
fn check_plain(users: &Users, message: &[u8]) -> Result<(), Denied> {
    let text = String::from_utf8_lossy(message);
    let tokens: Vec<&str> = text.split('\0').collect();
    let [acts_for, name, password] = tokens[..] else {
        let count = tokens.len();
        return Err(Denied(format!("Invalid SASL/PLAIN response: expected 3 tokens, got {count}")));
    };
    let expected = users.secret(Mechanism::Plain, name);
    let denied = |text: &str| Err(Denied(format!("Authentication failed: {text}")));
    match expected {
        _ if name.is_empty() => denied("username not specified"),
        _ if password.is_empty() => denied("password not specified"),
        Some(Secret::Password(expected)) if expected == password => {
            let itself = acts_for.is_empty() || acts_for == name;
            if itself { Ok(()) } else { Err(Denied(ANOTHER.to_owned())) }
        }
        _ => denied("Invalid username or password"),
    }
}

/// What is said of SCRAM whatever is wrong, so that nobody learns which users there are.
fn invalid(mechanism: Mechanism) -> Denied {
    let name = mechanism.name();
    Denied(format!(
        "Authentication failed during authentication due to invalid credentials with SASL mechanism {name}"
    ))
}

const ANOTHER: &str =
    "Authentication failed: Client requested an authorization id that is different from username";

fn failed(code: ErrorCode, text: String) -> SaslAuthenticateResponse {
    SaslAuthenticateResponse {
        error_code: code.0,
        error_message: Some(text),
        ..SaslAuthenticateResponse::default()
    }
}

/// The error of an answer of the exchange, if it is one: Kafka closes the connection behind it.
pub(crate) fn error_in(body: &mut Body) -> Option<ErrorCode> {
    let handshake = body.get_mut::<SaslHandshakeResponse>().map(|r| r.error_code);
    let own = || body.get_mut::<SaslAuthenticateResponse>().map(|r| r.error_code);
    handshake.or_else(own).filter(|code| *code != 0).map(ErrorCode)
}

/// The message of an answer alone, with its length before it.
pub(crate) fn bare_frame(body: &mut Body) -> Vec<u8> {
    let message = body.get_mut::<SaslAuthenticateResponse>().map(|r| &r.auth_bytes[..]);
    let message = message.unwrap_or_default();
    let length = i32::try_from(message.len()).expect("a SASL message is short");
    [&length.to_be_bytes(), message].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_told_without_their_passwords() {
        let mut users = Users::default();
        users.add("PLAIN", "alice", "secret");
        users.add("SCRAM-SHA-256", "bob", "secret");
        assert_eq!(format!("{users:?}"), r#"{("PLAIN", "alice"), ("SCRAM-SHA-256", "bob")}"#);
        users.remove("PLAIN", "alice");
        assert_eq!(users.mechanisms(), ["SCRAM-SHA-256"]);
    }

    #[test]
    #[should_panic(
        expected = "GSSAPI is none of the mechanisms that there are: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"
    )]
    fn a_mechanism_that_is_not_there_is_refused() {
        Users::default().add("GSSAPI", "alice", "secret");
    }
}
