//! The sockets, and the one place that waits for them: everything that touches the operating system's network.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, Read, Write},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::{
    client::{Command, ConnectionId, KafkaClient, Role},
    net::{
        helpers::Helpers,
        resolver::{Lookups, Resolver},
        sasl::{SaslCall, SaslReply},
        socket_options::{self, SocketOption},
    },
};

const WAKER: Token = Token(0);

/// How many steps to log in at one host may be under way: for the connections of a few brokers, and some that hang.
const LOGINS_AT_A_TIME: usize = 16;

/// The sockets by the names that the client gave them.
#[derive(Debug)]
pub(crate) struct Selector {
    poll: Poll,
    events: Events,
    sockets: BTreeMap<ConnectionId, Open>,
    lookups: Lookups,
    /// Steps of mechanisms to log in, by the broker's name.
    logins: Helpers<Arc<str>, (ConnectionId, SaslReply)>,
    /// Those that are to be started.
    waiting: VecDeque<(ConnectionId, SaslCall)>,
    /// The socket that reads first in the next round: none waits behind another that always has something.
    first: ConnectionId,
    /// What every socket is set up with.
    options: Vec<SocketOption>,
}

/// The sockets whose bytes are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sockets {
    /// Every one.
    All,
    /// Those that bring no records: there is nobody who would take them.
    NotForRecords,
}

impl Sockets {
    fn include(self, id: ConnectionId, client: &KafkaClient) -> bool {
        self == Self::All || client.role(id) != Some(Role::Fetch)
    }
}

/// Readiness is told once, when it changes: it is remembered here until an operation would block.
#[derive(Debug)]
struct Open {
    stream: TcpStream,
    connected: bool,
    readable: bool,
    writable: bool,
}

impl Selector {
    /// A selector without sockets, and what ends its wait from elsewhere.
    pub(crate) fn new(
        options: Vec<SocketOption>,
        resolver: Arc<dyn Resolver>,
    ) -> io::Result<(Self, Arc<mio::Waker>)> {
        let poll = Poll::new()?;
        let waker = Arc::new(mio::Waker::new(poll.registry(), WAKER)?);
        let lookups = Lookups::new(resolver, waker.clone());
        let logins = Helpers::new("kafka-sasl", LOGINS_AT_A_TIME, waker.clone());
        let selector = Self {
            poll,
            events: Events::with_capacity(256),
            sockets: BTreeMap::new(),
            lookups,
            logins,
            waiting: VecDeque::new(),
            first: 0,
            options,
        };
        Ok((selector, waker))
    }

    /// Waits until something is ready, somebody wakes it, or `timeout` is over.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        for event in &self.events {
            let id = event.token().0 as ConnectionId;
            if let Some(socket) = self.sockets.get_mut(&id) {
                socket.readable |=
                    event.is_readable() || event.is_read_closed() || event.is_error();
                socket.writable |=
                    event.is_writable() || event.is_write_closed() || event.is_error();
            }
        }
        Ok(())
    }

    /// Does what the client asks for, and moves the bytes that can be moved; stops early when that led to an event.
    /// Says whether anything was done.
    pub(crate) fn exchange(
        &mut self,
        client: &mut KafkaClient,
        which: Sockets,
        now: Instant,
    ) -> bool {
        let mut progress = false;
        while let Some((lookup, found)) = self.lookups.poll() {
            client.handle_found(&lookup, found, now);
            progress = true;
        }
        while let Some((_, (connection, reply))) = self.logins.poll() {
            client.handle_authenticated(connection, reply, now);
            progress = true;
        }
        while let Some(command) = client.poll_command() {
            self.execute(command, client, now);
            progress = true;
        }
        self.log_in(client);
        // Sockets read until one has led to an event; in the next round those behind it come first.
        let (begin, mut next) = (self.first, None);
        for range in [begin..ConnectionId::MAX, 0..begin] {
            for (id, socket) in self.sockets.range_mut(range) {
                if !which.include(*id, client) {
                    continue;
                }
                let quiet = !client.has_events();
                progress |= socket.exchange(*id, client, now);
                if quiet && client.has_events() {
                    next = Some(*id + 1);
                }
            }
        }
        self.first = next.unwrap_or(begin);
        progress
    }

    fn execute(&mut self, command: Command, client: &mut KafkaClient, now: Instant) {
        match command {
            Command::Lookup(lookup) => self.lookups.start(lookup),
            Command::Connect { connection, address } => match self.connect(connection, address) {
                Ok(socket) => drop(self.sockets.insert(connection, socket)),
                Err(error) => client.handle_closed(connection, error, now),
            },
            Command::Authenticate(id) => {
                self.waiting.extend(client.take_call(id).map(|call| (id, call)));
            }
            Command::Close(id) => {
                if let Some(mut socket) = self.sockets.remove(&id) {
                    // Closing takes the socket out of the poll in any case.
                    let _ = self.poll.registry().deregister(&mut socket.stream);
                }
            }
        }
    }

    /// Starts the steps that wait, as many at a broker as may be under way at a time. One that comes too late is judged by its
    /// connection's set-up time.
    fn log_in(&mut self, client: &mut KafkaClient) {
        for _ in 0..self.waiting.len() {
            let Some((id, call)) = self.waiting.pop_front() else { break };
            if client.connection(id).is_none() {
                continue;
            }
            let host = call.host().clone();
            if self.logins.is_full(&host) {
                self.waiting.push_back((id, call));
            } else if let Err(error) = self.logins.start(host, move || (id, call.run())) {
                log::error!(target: "kafka_blocking::net", "no thread to log in with: {error}");
            }
        }
    }

    fn connect(&self, id: ConnectionId, address: SocketAddr) -> io::Result<Open> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        // Before connecting: the window's scale is settled by the first packets.
        socket_options::apply(&SockRef::from(&socket), address, &self.options)?;
        match socket.connect(&address.into()) {
            Err(error) if !is_under_way(&error) => return Err(error),
            _ => {}
        }
        let mut stream = TcpStream::from_std(socket.into());
        let token =
            Token(usize::try_from(id).map_err(|_| io::Error::other("too many connections"))?);
        self.poll.registry().register(
            &mut stream,
            token,
            Interest::READABLE | Interest::WRITABLE,
        )?;
        Ok(Open { stream, connected: false, readable: false, writable: false })
    }
}

fn is_under_way(error: &io::Error) -> bool {
    const EINPROGRESS: i32 = 115;
    const EINPROGRESS_BSD: i32 = 36;
    error.kind() == io::ErrorKind::WouldBlock
        || matches!(error.raw_os_error(), Some(EINPROGRESS | EINPROGRESS_BSD))
}

impl Open {
    fn exchange(&mut self, id: ConnectionId, client: &mut KafkaClient, now: Instant) -> bool {
        if !self.connected {
            if !self.writable {
                return false;
            }
            match self.check_connected() {
                Ok(true) => {
                    self.connected = true;
                    client.handle_connected(id, now);
                }
                Ok(false) => {
                    self.writable = false;
                    return false;
                }
                Err(error) => {
                    client.handle_closed(id, error, now);
                    return true;
                }
            }
        }
        let result =
            self.write(id, client, now).and_then(|wrote| Ok(self.read(id, client, now)? || wrote));
        result.unwrap_or_else(|error| {
            client.handle_closed(id, error, now);
            true
        })
    }

    fn check_connected(&self) -> io::Result<bool> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn write(
        &mut self,
        id: ConnectionId,
        client: &mut KafkaClient,
        now: Instant,
    ) -> io::Result<bool> {
        let mut progress = false;
        while self.writable {
            let Some(connection) = client.connection(id) else { return Ok(progress) };
            let out = connection.poll_transmit();
            if out.is_empty() {
                break;
            }
            match self.stream.write(out) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    connection.handle_sent(n, now);
                    progress = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(progress)
    }

    /// Reads until nothing is there, nothing is wanted, or something has come of it.
    fn read(
        &mut self,
        id: ConnectionId,
        client: &mut KafkaClient,
        now: Instant,
    ) -> io::Result<bool> {
        let mut progress = false;
        while !client.has_events() {
            let Some(connection) = client.connection(id) else { break };
            if connection.has_more() {
                client.handle_read(id, 0, now);
                progress = true;
                continue;
            }
            if !self.readable {
                break;
            }
            let Some(space) = connection.read_space() else { break };
            match self.stream.read(space) {
                Ok(0) => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the broker closed the connection",
                    ));
                }
                Ok(n) => {
                    client.handle_read(id, n, now);
                    progress = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(progress)
    }
}
