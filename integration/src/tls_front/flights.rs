//! The bytes of a connection as flights, what one side sends before it hears from the other, and a fault at one of them.
use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
};

/// What happens at the nth flight: 0 is the client's first one, 1 the answer to it.
///
/// A flight of the client's has come then, and gets no answer; of one of our own nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The connection is closed.
    CloseAt(usize),
    /// The same after half of what is sent at once.
    CutIn(usize),
    /// Nothing more is said, or listened to.
    StallAt(usize),
}

/// A socket whose flights are counted.
#[derive(Debug)]
pub(super) struct Flights {
    pub(super) socket: TcpStream,
    fault: Fault,
    /// The flight that is under way, and whether it is ours.
    now: Option<(usize, bool)>,
    /// The fault has happened: no socket is waited for any more.
    pub(super) failed: bool,
}

impl Flights {
    pub(super) fn new(socket: TcpStream, fault: Fault) -> Self {
        Self { socket, fault, now: None, failed: false }
    }

    /// Counts; the number of the flight where it begins.
    fn turn(&mut self, ours: bool) -> Option<usize> {
        let next = match self.now {
            Some((_, side)) if side == ours => return None,
            Some((number, _)) => number + 1,
            None => 0,
        };
        self.now = Some((next, ours));
        Some(next)
    }

    fn close<T>(&mut self) -> io::Result<T> {
        self.failed = true;
        // It may be closed already.
        let _ = self.socket.shutdown(Shutdown::Both);
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

impl Read for Flights {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = self.socket.read(space)?;
        let begun = if n > 0 { self.turn(false) } else { None };
        match (begun, self.fault) {
            (Some(now), Fault::CloseAt(at) | Fault::CutIn(at)) if now == at => self.close(),
            (Some(now), Fault::StallAt(at)) if now == at => {
                self.failed = true;
                Err(io::ErrorKind::WouldBlock.into())
            }
            _ => Ok(n),
        }
    }
}

impl Write for Flights {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failed {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        match (self.turn(true), self.fault) {
            (Some(now), Fault::CloseAt(at)) if now == at => self.close(),
            (Some(now), Fault::CutIn(at)) if now == at => {
                self.socket.write_all(&bytes[..bytes.len() / 2])?;
                self.close()
            }
            (Some(now), Fault::StallAt(at)) if now == at => {
                self.failed = true;
                Err(io::ErrorKind::WouldBlock.into())
            }
            _ => self.socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
