//! The one thread of a [`ScriptedBroker`](crate::testing::ScriptedBroker): moves bytes between sockets and the [`Cluster`].

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io::{self, Read, Write},
    net::SocketAddr,
    sync::{Arc, Condvar, Mutex, PoisonError, mpsc},
    time::{Duration, Instant},
};

use mio::{
    Events, Interest, Poll, Token, Waker,
    net::{TcpListener, TcpStream},
};
use socket2::{Domain, Socket, Type};

use crate::testing::cluster::{Cluster, ConnectionId, Output};

/// What the thread is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Command {
    Nothing,
    Listen(i32),
    Refuse(i32),
    End,
}

/// Dropped, or used, when a command was carried out.
pub(crate) type Ack = mpsc::Sender<()>;

pub(crate) struct EventLoop {
    poll: Poll,
    cluster: Arc<Mutex<Cluster>>,
    commands: mpsc::Receiver<(Command, Ack)>,
    nodes: BTreeMap<i32, Port>,
    sockets: BTreeMap<ConnectionId, Open>,
    /// Where there may be more to read.
    unread: BTreeSet<ConnectionId>,
    next: ConnectionId,
    /// Whoever waits for something to come about.
    turned: Arc<Condvar>,
}

/// What keeps a node's port.
enum Port {
    Listening(TcpListener),
    /// Bound and not listening: connections are refused, and nobody else gets the port.
    Refusing(Socket),
}

struct Open {
    stream: TcpStream,
    out: VecDeque<u8>,
    closing: bool,
}

/// With more than that unsent, nothing more of the connection is taken.
const MOST_UNSENT: usize = 1 << 20;

const WAKER: Token = Token(0);

/// Tokens below are listeners, those from here on connections.
const CONNECTIONS: usize = 1000;

/// A socket that has a port and does not listen.
pub(super) fn bind(address: SocketAddr) -> Socket {
    let bound = Socket::new(Domain::for_address(address), Type::STREAM, None).and_then(|socket| {
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(socket)
    });
    bound.unwrap_or_else(|e| panic!("no socket at {address}: {e}"))
}

impl EventLoop {
    pub(crate) fn new(
        cluster: Arc<Mutex<Cluster>>,
        sockets: Vec<Socket>,
        commands: mpsc::Receiver<(Command, Ack)>,
        turned: Arc<Condvar>,
    ) -> (Self, Arc<Waker>) {
        let poll = Poll::new().expect("a selector for the scripted broker");
        let waker = Waker::new(poll.registry(), WAKER).expect("a waker for the scripted broker");
        let nodes = (1..).zip(sockets.into_iter().map(Port::Refusing)).collect();
        let (sockets, unread) = (BTreeMap::new(), BTreeSet::new());
        let mut this = Self { poll, cluster, commands, nodes, sockets, unread, next: 1, turned };
        let ids: Vec<i32> = this.nodes.keys().copied().collect();
        ids.into_iter().for_each(|id| this.listen(id));
        (this, Arc::new(waker))
    }

    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            let timeout = {
                let cluster = self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
                let unread = self.unread.iter().any(|id| cluster.takes_more(*id));
                match unread || cluster.has_changed() {
                    true => Some(Duration::ZERO),
                    false => cluster.poll_timeout().map(|at| at.saturating_duration_since(now())),
                }
            };
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result.expect("the scripted broker waits for its sockets"),
            }
            let cluster = self.cluster.clone();
            let mut cluster = cluster.lock().unwrap_or_else(PoisonError::into_inner);
            self.take_in(&mut cluster, &events);
            cluster.handle(now());
            let mut acks = Vec::new();
            while let Ok((command, ack)) = self.commands.try_recv() {
                match command {
                    Command::Nothing => {}
                    Command::Listen(node) => self.listen(node),
                    Command::Refuse(node) => {
                        self.refuse(node);
                        // Whoever connected at the last moment.
                        cluster.kill(node);
                    }
                    Command::End => return,
                }
                acks.push(ack);
            }
            self.carry_out(&mut cluster);
            drop(cluster);
            self.turned.notify_all();
            for ack in acks {
                // Whoever asked may have gone.
                let _ = ack.send(());
            }
        }
    }

    /// Takes what has come in: connections, and what they have sent.
    fn take_in(&mut self, cluster: &mut Cluster, events: &Events) {
        for Token(token) in events.iter().map(mio::event::Event::token) {
            if token >= CONNECTIONS {
                let id = (token - CONNECTIONS) as ConnectionId;
                self.write(cluster, id);
                self.unread.insert(id);
            } else if token > WAKER.0 {
                self.accept(cluster, i32::try_from(token).expect("a node's id"));
            }
        }
        for id in std::mem::take(&mut self.unread) {
            self.read(cluster, id);
        }
    }

    fn listen(&mut self, node: i32) {
        let Some(Port::Refusing(socket)) = self.nodes.remove(&node) else {
            panic!("node {node} is not stopped");
        };
        socket.listen(128).expect("the port is ours");
        let mut listener = TcpListener::from_std(socket.into());
        let token = Token(usize::try_from(node).expect("node ids count from 1"));
        self.poll
            .registry()
            .register(&mut listener, token, Interest::READABLE)
            .expect("the listener can be polled");
        self.nodes.insert(node, Port::Listening(listener));
    }

    fn refuse(&mut self, node: i32) {
        let Some(Port::Listening(listener)) = self.nodes.remove(&node) else {
            panic!("node {node} is not running");
        };
        let address = listener.local_addr().expect("it is bound");
        drop(listener);
        self.nodes.insert(node, Port::Refusing(bind(address)));
    }

    fn accept(&mut self, cluster: &mut Cluster, node: i32) {
        // Only the end of the queue, or a client that has left it, ends this: there is another event for more.
        while let Some(Port::Listening(listener)) = self.nodes.get(&node) {
            let Ok((mut stream, _)) = listener.accept() else { return };
            // Only a matter of speed.
            let _ = stream.set_nodelay(true);
            let id = self.next;
            self.next += 1;
            let token = Token(CONNECTIONS + usize::try_from(id).expect("few connections"));
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll
                .registry()
                .register(&mut stream, token, interest)
                .expect("the connection can be polled");
            self.sockets.insert(id, Open { stream, out: VecDeque::new(), closing: false });
            cluster.accept(node, id);
        }
    }

    /// Reads some of what a connection has sent, as far as it may be taken. What is left has its turn after the others, so
    /// that a client that sends without end holds up none of them.
    fn read(&mut self, cluster: &mut Cluster, id: ConnectionId) {
        let mut buffer = [0; 64 << 10];
        let Some(open) = self.sockets.get_mut(&id) else { return };
        if cluster.takes_more(id) {
            match open.stream.read(&mut buffer) {
                Ok(n @ 1..) => cluster.receive(id, &buffer[..n], now()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => {
                    self.sockets.remove(&id);
                    return cluster.lost(id);
                }
            }
        }
        self.unread.insert(id);
    }

    fn carry_out(&mut self, cluster: &mut Cluster) {
        let mut touched = BTreeSet::new();
        while let Some((id, output)) = cluster.poll_output() {
            let Some(open) = self.sockets.get_mut(&id) else { continue };
            match output {
                Output::Send(bytes) => open.out.extend(bytes),
                Output::Close => open.closing = true,
            }
            touched.insert(id);
        }
        for id in touched {
            self.write(cluster, id);
        }
    }

    fn write(&mut self, cluster: &mut Cluster, id: ConnectionId) {
        let Some(open) = self.sockets.get_mut(&id) else { return };
        while !open.out.is_empty() {
            match open.stream.write(open.out.as_slices().0) {
                Ok(n) => drop(open.out.drain(..n)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.sockets.remove(&id);
                    return cluster.lost(id);
                }
            }
        }
        cluster.set_blocked(id, open.out.len() > MOST_UNSENT);
        if open.out.is_empty() && open.closing {
            self.sockets.remove(&id);
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "brokers on real sockets live in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
