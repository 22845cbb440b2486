//! TLS between the socket and the protocol, as a machine: it is given encrypted bytes, and says which to send.

use std::{fmt, io, sync::Arc};

use crate::{error::Result, net::security::TlsFiles};

#[cfg(not(any(windows, target_vendor = "apple")))]
mod certificate;
mod files;
mod native;
#[cfg(not(any(windows, target_vendor = "apple")))]
mod openssl;
mod pipe;
#[cfg(any(windows, target_vendor = "apple", test))]
mod system;

pub use native::SslContext;
#[cfg(not(any(windows, target_vendor = "apple")))]
use openssl as backend;
use pipe::Pipe;
#[cfg(any(windows, target_vendor = "apple"))]
use system as backend;

/// How TLS is spoken with every broker; shared by its clones.
#[derive(Clone)]
pub struct TlsContext(Arc<dyn Backend>);

impl TlsContext {
    /// What the options say. Reads the files that they name.
    pub(crate) fn from_files(files: &TlsFiles) -> Result<Self> {
        Ok(Self(Arc::new(backend::Connector::new(files)?)))
    }

    /// What a user has made, for everything.
    pub(crate) fn from_context(context: SslContext) -> Self {
        Self(Arc::new(context))
    }

    /// Begins to speak it with the broker on `host`, in a buffer of this size.
    pub(super) fn session(&self, host: &str, buffer: usize) -> Result<TlsSession, Refusal> {
        // A name's last dot means that it is complete; no certificate has it.
        let host = host.strip_suffix('.').unwrap_or(host);
        // Without a name none would be checked, and before a dot any would do.
        if host.is_empty() || host.starts_with('.') || host.contains('\0') {
            return Err(Refusal(format!("{host:?} is no name that a certificate can be for")));
        }
        Ok(TlsSession(self.0.session(host, Pipe::new(buffer))?))
    }
}

impl fmt::Debug for TlsContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsContext")
    }
}

/// TLS on one connection.
pub struct TlsSession(Box<dyn Session>);

impl TlsSession {
    /// Where the next bytes from the socket go.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.0.pipe_mut().space()
    }

    /// `n` bytes were read into [`space`](Self::space).
    pub(super) fn received(&mut self, n: usize) {
        self.0.pipe_mut().received(n);
    }

    /// What is to be written to the socket.
    pub(super) fn outgoing(&self) -> &[u8] {
        self.0.pipe().outgoing()
    }

    /// `n` bytes of [`outgoing`](Self::outgoing) were written.
    pub(super) fn handle_sent(&mut self, n: usize) {
        self.0.pipe_mut().handle_sent(n);
    }

    /// Goes on with the handshake; whether it is done.
    pub(super) fn handshake(&mut self) -> Result<bool, Refusal> {
        self.0.handshake()
    }

    /// Decrypts, until the pipe runs dry; 0 where the peer has said that nothing more will come.
    pub(super) fn read(&mut self, space: &mut [u8]) -> Result<Option<usize>, Refusal> {
        self.0.read(space)
    }

    /// Encrypts; says how much it took, `None` when it first has to hear from the peer.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        self.0.write(bytes)
    }
}

impl fmt::Debug for TlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsSession")
    }
}

/// What TLS, or a certificate, does not allow, in words.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal(pub(super) String);

/// An implementation of TLS.
trait Backend: Send + Sync {
    fn session(&self, host: &str, pipe: Pipe) -> Result<Box<dyn Session>, Refusal>;
}

/// A connection of an implementation.
trait Session: Send {
    fn pipe(&self) -> &Pipe;
    fn pipe_mut(&mut self) -> &mut Pipe;
    fn handshake(&mut self) -> Result<bool, Refusal>;
    fn read(&mut self, space: &mut [u8]) -> Result<Option<usize>, Refusal>;
    fn write(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal>;
}

/// What an operation on a stream in memory gave: it blocks where the pipe is empty.
fn moved(result: io::Result<usize>) -> Result<Option<usize>, Refusal> {
    match result {
        Ok(n) => Ok(Some(n)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(Refusal(error.to_string())),
    }
}
