//! One connection through a proxy: two sockets, and what the pipes between them say.
use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    os::fd::AsFd,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use fastrand::Rng;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::sockopt::set_socket_linger,
};

use super::{
    Report, Shared,
    faults::{End, Faults},
    pipe::{Finish, Pipe},
};

/// A connection, moved on by a thread of its own.
pub(super) struct Connection {
    client: Side,
    broker: Side,
    requests: Pipe,
    answers: Pipe,
    born: Instant,
    /// When it ends and how, until then.
    lifetime: Option<(Instant, End)>,
    /// The broker is not to hear any more of what the client does, or the client of the broker.
    silent: [bool; 2],
    /// Both were told that it is over; they have until then to hang up.
    closing: Option<Instant>,
    report: Arc<Mutex<Report>>,
}

struct Side {
    stream: TcpStream,
    eof: bool,
}

/// Whose bytes go to whom.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Broker,
    Client,
}

impl Connection {
    pub(super) fn new(
        client: TcpStream,
        broker: TcpStream,
        faults: Faults,
        mut rng: Rng,
        report: Arc<Mutex<Report>>,
    ) -> io::Result<Self> {
        let born = Instant::now();
        Ok(Self {
            client: Side::new(client)?,
            broker: Side::new(broker)?,
            requests: Pipe::new(faults.requests, rng.fork()),
            answers: Pipe::new(faults.answers, rng.fork()),
            born,
            lifetime: faults.lifetime.map(|(lifetime, end)| (born + lifetime, end)),
            silent: [false; 2],
            closing: None,
            report,
        })
    }

    /// Passes bytes on until the connection has ended in one way or another, or the proxy is gone.
    pub(super) fn run(mut self, proxy: &Shared) {
        let verdicts = proxy.verdict().0;
        let mut judged = false;
        while !proxy.is_closed() {
            let now = Instant::now();
            if let Some((_, end)) = self.lifetime.take_if(|(at, _)| *at <= now) {
                self.note_end(end);
                self.end(end, now);
            }
            let (count, end) = proxy.verdict();
            if count > verdicts && !judged {
                judged = true;
                self.note_end(end);
                self.end(end, now);
            }
            if self.advance(now).is_none() || self.is_over(now) || self.wait(now).is_err() {
                break;
            }
        }
        self.note();
    }

    /// Takes in and sends out all that can be; nothing is given when the connection is over.
    fn advance(&mut self, now: Instant) -> Option<()> {
        for to in [To::Broker, To::Client] {
            if self.take_in(to, now).is_err() {
                if to == To::Client && self.silent[To::Client as usize] {
                    self.broker.eof = true;
                    continue;
                }
                self.reset();
                return None;
            }
        }
        self.note();
        for to in [To::Broker, To::Client] {
            self.send(to, now);
            let finish = self.between(to).2.poll_finish(now);
            match finish {
                None => {}
                Some(Finish::Eof) => self.between(to).1.hang_up(),
                Some(Finish::Fault(end)) => {
                    self.note_end(end);
                    match end {
                        End::HalfClose => self.between(to).1.hang_up(),
                        End::Silence => self.silent[to as usize] = true,
                        End::Close | End::Reset => self.end(end, now),
                    }
                }
            }
        }
        Some(())
    }

    fn take_in(&mut self, to: To, now: Instant) -> io::Result<()> {
        let (from, _, pipe) = self.between(to);
        let mut buffer = [0; 16_384];
        while !from.eof {
            let room = pipe.room().min(buffer.len());
            if room == 0 {
                break;
            }
            match from.stream.read(&mut buffer[..room]) {
                Ok(0) => {
                    from.eof = true;
                    pipe.handle_eof(now);
                }
                Ok(count) => pipe.handle_bytes(&buffer[..count], now),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn send(&mut self, to: To, now: Instant) {
        let (_, receiver, pipe) = self.between(to);
        while let Some(bytes) = pipe.poll_bytes(now) {
            match receiver.stream.write(bytes) {
                Ok(count) => pipe.handle_passed(count, now),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Its other direction says what has happened.
                Err(_) => pipe.swallow(),
            }
        }
    }

    fn end(&mut self, end: End, now: Instant) {
        match end {
            End::Close => {
                self.swallow();
                self.client.hang_up();
                self.broker.hang_up();
                self.closing = Some(now + PATIENCE);
            }
            End::Reset => {
                self.swallow();
                self.reset();
                self.closing = Some(now);
            }
            End::Silence => {
                self.swallow();
                self.silent = [true; 2];
            }
            End::HalfClose => {
                self.answers.swallow();
                self.client.hang_up();
            }
        }
    }

    fn swallow(&mut self) {
        self.requests.swallow();
        self.answers.swallow();
    }

    /// What is dropped from now on is dropped with RST.
    fn reset(&self) {
        for side in [&self.client, &self.broker] {
            let _ = set_socket_linger(&side.stream, Some(Duration::ZERO));
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        // Nobody can tell any more whether the broker was told.
        let unheard = self.client.eof && self.silent[To::Broker as usize];
        let all_said = self.client.eof && self.broker.eof;
        let passed_on = self.requests.is_closed() && self.answers.is_closed();
        unheard || (all_said && passed_on) || self.closing.is_some_and(|until| until <= now)
    }

    /// Waits until a socket or a pipe has something to do.
    fn wait(&self, now: Instant) -> io::Result<()> {
        let times = [
            self.requests.poll_time(),
            self.answers.poll_time(),
            self.lifetime.map(|(at, _)| at),
            self.closing,
        ];
        let next = times.into_iter().flatten().filter(|at| *at > now).min();
        let left = next.map_or(TICK, |at| at.saturating_duration_since(now).min(TICK));
        let mut sockets = Vec::new();
        for (side, into, out_of) in [
            (&self.client, &self.requests, &self.answers),
            (&self.broker, &self.answers, &self.requests),
        ] {
            let reads = !side.eof && into.room() > 0;
            let writes = out_of.poll_bytes(now).is_some();
            let flags = [(reads, PollFlags::IN), (writes, PollFlags::OUT)];
            let flags: PollFlags =
                flags.into_iter().filter(|(wanted, _)| *wanted).map(|(_, flag)| flag).collect();
            if !flags.is_empty() {
                sockets.push(PollFd::from_borrowed_fd(side.stream.as_fd(), flags));
            }
        }
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut sockets, Some(&left)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sender, receiver, and what is between them.
    fn between(&mut self, to: To) -> (&mut Side, &mut Side, &mut Pipe) {
        match to {
            To::Broker => (&mut self.client, &mut self.broker, &mut self.requests),
            To::Client => (&mut self.broker, &mut self.client, &mut self.answers),
        }
    }

    fn note(&self) {
        let mut report = self.report.lock().unwrap_or_else(|poison| poison.into_inner());
        report.lived = self.born.elapsed();
        report.requests = self.requests.passed();
        report.answers = self.answers.passed();
        report.flips_of_requests = self.requests.flips().to_vec();
        report.flips = self.answers.flips().to_vec();
    }

    fn note_end(&self, end: End) {
        self.note();
        let mut report = self.report.lock().unwrap_or_else(|poison| poison.into_inner());
        report.end.get_or_insert(end);
    }
}

impl Side {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, eof: false })
    }

    /// Tells it that no more comes.
    fn hang_up(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

/// How long those who were told to hang up may take: closing a socket that holds unread bytes would reset it.
const PATIENCE: Duration = Duration::from_secs(1);
/// How soon a connection sees what is decided elsewhere.
const TICK: Duration = Duration::from_millis(20);
