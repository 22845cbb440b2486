//! Servers that are no brokers: what a client may find behind a wrong address.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use socket2::{Domain, Socket, Type};

/// A server that is no broker, until it is dropped.
pub struct BadServer {
    address: SocketAddr,
    /// Keep the port, and connections, as they are.
    _sockets: Vec<Socket>,
    thread: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl BadServer {
    /// Accepts connections and says nothing.
    #[must_use]
    pub fn silent() -> Self {
        let socket = bound();
        socket.listen(128).expect("the port is ours");
        Self::holding(vec![socket])
    }

    /// Refuses connections.
    #[must_use]
    pub fn refusing() -> Self {
        Self::holding(vec![bound()])
    }

    /// Has a full queue of connections, so that the packets of further ones are dropped: connecting hangs.
    ///
    /// # Panics
    /// Where the queue cannot be filled.
    #[must_use]
    pub fn with_full_backlog() -> Self {
        let listener = bound();
        listener.listen(0).expect("the port is ours");
        let address = listener.local_addr().expect("it is bound");
        let mut sockets = vec![listener];
        // What is connected fills the queue, what is not waits in it: a few more than it has room for.
        for _ in 0..8 {
            let filler = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            let connected = filler.connect_timeout(&address, Duration::from_millis(100)).is_ok();
            sockets.push(filler);
            if !connected {
                return Self::holding(sockets);
            }
        }
        panic!("a backlog of 0 has taken 8 connections");
    }

    /// Answers whatever comes as a web server does that does not understand it.
    #[must_use]
    pub fn http() -> Self {
        Self::saying(
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 11\r\nConnection: close\r\n\r\nBad Request",
        )
    }

    /// Answers whatever comes with bytes that `seed` makes up.
    #[must_use]
    pub fn garbage(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        Self::saying(std::iter::repeat_with(|| random.u8(..)).take(256).collect::<Vec<u8>>())
    }

    /// Answers the first bytes of each connection with these, and closes it.
    ///
    /// # Panics
    /// Where this machine gives no sockets or threads.
    #[must_use]
    pub fn saying(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on 127.0.0.1");
        let address = listener.local_addr().expect("it is bound");
        let ended = Arc::new(AtomicBool::new(false));
        let flag = ended.clone();
        let serve = move || {
            for stream in listener.incoming().flatten() {
                if flag.load(Ordering::Acquire) {
                    return;
                }
                answer(stream, &bytes);
            }
        };
        let thread = std::thread::Builder::new()
            .name("bad-server".to_owned())
            .spawn(serve)
            .expect("a thread for the server");
        Self { address, _sockets: Vec::new(), thread: Some((ended, thread)) }
    }

    /// Where it is, as `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    fn holding(sockets: Vec<Socket>) -> Self {
        let address = sockets[0].local_addr().expect("it is bound");
        let address = address.as_socket().expect("an IP address");
        Self { address, _sockets: sockets, thread: None }
    }
}

/// Waits a moment for a request. A client may well leave in the midst of it, which is no concern of the server's.
fn answer(mut stream: TcpStream, bytes: &[u8]) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    if matches!(stream.read(&mut [0; 4096]), Ok(1..)) {
        let _ = stream.write_all(bytes);
    }
}

impl Drop for BadServer {
    fn drop(&mut self) {
        if let Some((ended, thread)) = self.thread.take() {
            ended.store(true, Ordering::Release);
            // Wakes the thread, which waits for a connection.
            let _ = TcpStream::connect(self.address);
            let _ = thread.join();
        }
    }
}

/// A socket that has a port and does not listen.
fn bound() -> Socket {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    Socket::new(Domain::IPV4, Type::STREAM, None)
        .and_then(|socket| socket.bind(&address.into()).map(|()| socket))
        .expect("a port on 127.0.0.1")
}
