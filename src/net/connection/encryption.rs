//! The step that makes a connection private, and what it does to all bytes after it.

use std::{io, sync::Arc, time::Instant};

use super::{Connection, Failure, Refused, State};
use crate::net::tls::{Refusal, TlsContext, TlsSession};

/// TLS on a connection.
#[derive(Debug)]
pub(super) struct Encryption {
    context: TlsContext,
    host: Arc<str>,
    session: Option<TlsSession>,
    /// Bytes that have come may give more than was taken of them.
    more: bool,
}

impl Encryption {
    pub(super) fn new(context: TlsContext, host: Arc<str>) -> Self {
        Self { context, host, session: None, more: false }
    }

    fn session(&mut self) -> Option<&mut TlsSession> {
        self.session.as_mut()
    }

    /// Where encrypted bytes go; none before the handshake.
    pub(super) fn space(&mut self) -> Option<&mut [u8]> {
        self.session().map(TlsSession::space)
    }

    pub(super) fn received(&mut self, n: usize) {
        if let Some(session) = self.session() {
            session.received(n);
        }
    }

    pub(super) fn outgoing(&self) -> &[u8] {
        self.session.as_ref().map_or(&[], TlsSession::outgoing)
    }

    pub(super) fn handle_sent(&mut self, n: usize) {
        if let Some(session) = self.session() {
            session.handle_sent(n);
        }
    }

    pub(super) fn has_more(&self) -> bool {
        self.more
    }
}

impl Connection {
    /// The socket is connected, and the broker expects TLS.
    pub(super) fn begin_tls(&mut self, now: Instant) -> Result<(), Failure> {
        self.renew_setup(now);
        self.state = State::Encrypting;
        let staging = self.limits.staging;
        if let Some(encryption) = &mut self.encryption {
            let session = encryption.context.session(&encryption.host, staging);
            match session {
                Ok(session) => encryption.session = Some(session),
                Err(refusal) => return Err(self.tls_failure(refusal)),
            }
        }
        self.decrypt(now)
    }

    /// Takes what TLS makes of the bytes that have come, until something has come of it.
    pub(super) fn decrypt(&mut self, now: Instant) -> Result<(), Failure> {
        let Some(mut session) = self.encryption.as_mut().and_then(|e| e.session.take()) else {
            return Ok(());
        };
        let result = self.decrypt_with(&mut session, now);
        if let Some(encryption) = &mut self.encryption {
            encryption.session = Some(session);
            encryption.more = *result.as_ref().unwrap_or(&false);
        }
        result?;
        self.encrypt();
        Ok(())
    }

    /// Says whether there may be more.
    fn decrypt_with(&mut self, session: &mut TlsSession, now: Instant) -> Result<bool, Failure> {
        if self.state == State::Encrypting {
            if !session.handshake().map_err(|refusal| self.tls_failure(refusal))? {
                return Ok(false);
            }
            self.ask_versions(self.limits.first_versions, now);
        }
        while self.events.is_empty() {
            let Some(space) = self.plain_space() else { return Ok(true) };
            match session.read(space) {
                Ok(Some(0)) => {
                    let text = "the broker closed the connection";
                    return Err(self.hang_up(io::Error::new(io::ErrorKind::UnexpectedEof, text)));
                }
                Ok(Some(n)) => self.handle_plain(n, now)?,
                Ok(None) => return Ok(false),
                Err(refusal) => return Err(self.tls_failure(refusal)),
            }
        }
        Ok(true)
    }

    /// Encrypts what is to be sent; what TLS refuses is told with the next call.
    pub(super) fn encrypt(&mut self) {
        if matches!(self.state, State::Connecting | State::Tunnelling | State::Encrypting) {
            return;
        }
        let Some(session) = self.encryption.as_mut().and_then(Encryption::session) else { return };
        while self.sent < self.out.len() {
            match session.write(&self.out[self.sent..]) {
                Ok(Some(n)) => self.sent += n,
                Ok(None) => return,
                Err(refusal) => {
                    self.broken = Some(self.tls_failure(refusal));
                    return;
                }
            }
        }
        self.out.clear();
        self.sent = 0;
    }

    /// Before the connection is ready, what TLS refuses has to do with who is there: a broker that does not like our
    /// certificate says so only after the handshake, in TLS 1.3. Later it is damage.
    fn tls_failure(&self, Refusal(text): Refusal) -> Failure {
        let step = if self.ready { self.step() } else { "TLS handshake" };
        let source = io::Error::new(io::ErrorKind::InvalidData, text);
        Failure { step, source, refused: (!self.ready).then_some(Refused::Peer) }
    }
}
