//! Where TLS reads and writes: memory, so that the connection stays a machine that is given bytes.

use std::io::{self, Read, Write};

use crate::net::staging::Staging;

/// Encrypted bytes, both ways.
#[derive(Debug)]
pub(super) struct Pipe {
    /// From the socket.
    incoming: Staging,
    /// To the socket; what stands before `sent` has gone.
    outgoing: Vec<u8>,
    sent: usize,
}

impl Pipe {
    pub(super) fn new(capacity: usize) -> Self {
        Self { incoming: Staging::new(capacity), outgoing: Vec::new(), sent: 0 }
    }

    /// Where the next bytes from the socket go.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.incoming.space()
    }

    /// `n` bytes were put into [`space`](Self::space).
    pub(super) fn received(&mut self, n: usize) {
        self.incoming.advance(n);
    }

    /// What is to be written to the socket.
    pub(super) fn outgoing(&self) -> &[u8] {
        &self.outgoing[self.sent..]
    }

    /// `n` bytes of [`outgoing`](Self::outgoing) were written.
    pub(super) fn handle_sent(&mut self, n: usize) {
        self.sent += n;
        if self.sent == self.outgoing.len() {
            self.outgoing.clear();
            self.sent = 0;
        }
    }
}

impl Read for Pipe {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        match self.incoming.move_to(target) {
            0 if !target.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
            n => Ok(n),
        }
    }
}

// It takes everything, as a connection's buffer of requests does: TLS never has to offer the same bytes twice.
impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
