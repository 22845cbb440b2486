//! One connection of the front: the handshake, then bytes in both directions until either side has ended.
use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use openssl::ssl::{ErrorCode, NameType, Ssl, SslAcceptor, SslStream};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    Seen,
    flights::{Fault, Flights},
    lock,
};

/// A connection that a thread serves.
#[derive(Debug)]
pub(super) struct Connection {
    socket: TcpStream,
    orders: Arc<Orders>,
}

#[derive(Debug, Default)]
struct Orders {
    end: AtomicBool,
    notify: AtomicBool,
    over: AtomicBool,
}

impl Connection {
    pub(super) fn start(
        client: TcpStream,
        target: SocketAddr,
        acceptor: SslAcceptor,
        fault: Fault,
        seen: Arc<Seen>,
    ) -> Self {
        let socket = client.try_clone().expect("there are file descriptors");
        let orders = Arc::new(Orders::default());
        let theirs = Arc::clone(&orders);
        thread::spawn(move || {
            // That a connection ends is the client's to notice.
            let _ = serve(client, target, &acceptor, fault, &seen, &theirs);
            theirs.over.store(true, Ordering::SeqCst);
        });
        Self { socket, orders }
    }

    pub(super) fn is_over(&self) -> bool {
        self.orders.over.load(Ordering::SeqCst)
    }

    /// Ends it, and waits until it has.
    pub(super) fn end(self, notify: bool) {
        self.orders.notify.store(notify, Ordering::SeqCst);
        self.orders.end.store(true, Ordering::SeqCst);
        if !notify {
            // It may be closed already.
            let _ = self.socket.shutdown(Shutdown::Both);
        }
        while !self.is_over() {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn serve(
    client: TcpStream,
    target: SocketAddr,
    acceptor: &SslAcceptor,
    fault: Fault,
    seen: &Seen,
    orders: &Orders,
) -> io::Result<()> {
    client.set_nonblocking(true)?;
    client.set_nodelay(true)?;
    let ssl = Ssl::new(acceptor.context())?;
    let mut tls = SslStream::new(ssl, Flights::new(client, fault))?;
    wait_for(orders, &mut tls, SslStream::accept)?;
    let name = tls.ssl().servername(NameType::HOST_NAME).unwrap_or_default();
    lock(&seen.names).push(name.to_owned());
    let mut broker = TcpStream::connect(target)?;
    broker.set_nodelay(true)?;
    broker.set_nonblocking(true)?;
    let mut space = vec![0; 64 << 10];
    loop {
        let mut is_dry = true;
        match tls.ssl_read(&mut space) {
            Ok(n) => {
                is_dry = false;
                seen.bytes.fetch_add(n as u64, Ordering::SeqCst);
                write_all(&mut broker, &space[..n])?;
            }
            Err(error) if is_waiting(&error) => {}
            Err(_) => return broker.shutdown(Shutdown::Both),
        }
        match broker.read(&mut space) {
            Ok(0) => {
                let _ = tls.shutdown();
                return tls.get_ref().socket.shutdown(Shutdown::Both);
            }
            Ok(n) => {
                is_dry = false;
                let mut left = &space[..n];
                while !left.is_empty() {
                    let taken = wait_for(orders, &mut tls, |tls| tls.ssl_write(left))?;
                    left = &left[taken..];
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if orders.end.load(Ordering::SeqCst) {
            if orders.notify.load(Ordering::SeqCst) {
                let _ = tls.shutdown();
            }
            return tls.get_ref().socket.shutdown(Shutdown::Both);
        }
        if is_dry {
            wait(&[tls.get_ref().socket.as_fd(), broker.as_fd()], PollFlags::IN)?;
        }
    }
}

/// Does something with TLS until it is done.
fn wait_for<T>(
    orders: &Orders,
    tls: &mut SslStream<Flights>,
    mut what: impl FnMut(&mut SslStream<Flights>) -> Result<T, openssl::ssl::Error>,
) -> io::Result<T> {
    loop {
        let error = match what(tls) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if !is_waiting(&error) || orders.end.load(Ordering::SeqCst) {
            return Err(io::Error::other(error));
        }
        if tls.get_ref().failed {
            thread::sleep(Duration::from_millis(20));
            continue;
        }
        let flags =
            if error.code() == ErrorCode::WANT_WRITE { PollFlags::OUT } else { PollFlags::IN };
        wait(&[tls.get_ref().socket.as_fd()], flags)?;
    }
}

fn is_waiting(error: &openssl::ssl::Error) -> bool {
    matches!(error.code(), ErrorCode::WANT_READ | ErrorCode::WANT_WRITE)
}

fn write_all(socket: &mut TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match socket.write(bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait(&[socket.as_fd()], PollFlags::OUT)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits until one of them is ready, and not for long: there may be orders.
fn wait(sockets: &[BorrowedFd<'_>], flags: PollFlags) -> io::Result<()> {
    const SHORT: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    let mut sockets: Vec<PollFd<'_>> =
        sockets.iter().map(|socket| PollFd::from_borrowed_fd(*socket, flags)).collect();
    poll(&mut sockets, Some(&SHORT))?;
    Ok(())
}
