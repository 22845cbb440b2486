//! Why a connection is at its end, in words that say what it was busy with.

use std::io;

use super::{Connection, State};
use crate::protocol::{self, Request};

/// Why a connection is at its end.
#[derive(Debug)]
pub struct Failure {
    /// What the connection was busy with.
    pub step: &'static str,
    /// What went wrong.
    pub source: io::Error,
    /// Who does not accept whom, where that will be so the next time, too.
    pub refused: Option<Refused>,
}

/// What is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Who is there, or how TLS is spoken.
    Peer,
    /// Who the client says it is. Too many attempts may lock its account.
    Login,
}

impl Failure {
    /// Whether the peer sent what makes no sense, or more at once than is allowed.
    #[must_use]
    pub fn is_garbled(&self) -> bool {
        self.refused.is_none()
            && matches!(
                self.source.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::FileTooLarge
            )
    }
}

impl Connection {
    /// What it means that the socket failed, or was closed by the peer, just now.
    #[must_use]
    pub fn hang_up(&self, source: io::Error) -> Failure {
        let closed = matches!(
            source.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe
        );
        let hint = match self.state {
            _ if !closed => "",
            State::Encrypting => "; does its listener speak TLS?",
            State::Token { .. } => "; perhaps it does not accept who the client says it is",
            // What a listener that wants SASL does with whoever does not log in.
            State::Ready if !self.served => "; does its listener want SASL?",
            _ => "",
        };
        match hint {
            "" => Failure { step: self.step(), source, refused: None },
            hint => self.failure(source.kind(), format!("{source}{hint}")),
        }
    }

    /// What the connection is busy with, for error texts.
    #[must_use]
    pub fn step(&self) -> &'static str {
        match self.state {
            State::Connecting => "connecting",
            State::Tunnelling => "connecting through the proxy",
            State::Encrypting => "TLS handshake",
            State::Handshake | State::Mechanism | State::Token { .. } => "authenticating",
            State::Versions { .. } => "waiting for the answer to ApiVersions",
            State::Ready => "connected",
        }
    }

    /// Reads an answer that belongs to a step of the connection itself.
    pub(super) fn decoded<R: Request>(
        &self,
        body: &[u8],
        version: i16,
    ) -> Result<R::Response, Failure> {
        protocol::decode_response::<R>(body, version).map_err(|error| {
            let text = format!("malformed {} response: {error}", R::NAME);
            self.failure(io::ErrorKind::InvalidData, text)
        })
    }

    /// A failure in the present step.
    #[must_use]
    pub fn failure(
        &self,
        kind: io::ErrorKind,
        text: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Failure {
        Failure { step: self.step(), source: io::Error::new(kind, text), refused: None }
    }
}
