//! A server of TLS on loopback that shows any certificate and fails in any way, in front of a plain-text listener.
use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use openssl::{
    error::ErrorStack,
    ssl::{SslAcceptor, SslMethod, SslVerifyMode, SslVersion},
    x509::store::X509StoreBuilder,
};

use crate::certificates::{Authority, Identity};

mod connection;
mod flights;

use connection::Connection;
pub use flights::Fault;

/// How the front speaks TLS.
#[derive(Clone, Debug)]
pub struct Serving {
    identity: Identity,
    version: Option<SslVersion>,
    ciphers: Option<String>,
    clients: Option<Authority>,
    fault: Fault,
}

impl Serving {
    /// Shows this certificate, speaks TLS 1.2 and 1.3, wants no certificate of clients, and has no faults.
    #[must_use]
    pub fn new(identity: &Identity) -> Self {
        let identity = identity.clone();
        Self { identity, version: None, ciphers: None, clients: None, fault: Fault::None }
    }

    /// Only this version.
    #[must_use]
    pub fn only(mut self, version: SslVersion) -> Self {
        self.version = Some(version);
        self
    }

    /// Only these ciphers of TLS 1.2, and no TLS 1.3.
    #[must_use]
    pub fn ciphers(mut self, list: &str) -> Self {
        self.ciphers = Some(list.to_owned());
        self.only(SslVersion::TLS1_2)
    }

    /// Clients must have a certificate of this authority.
    #[must_use]
    pub fn clients_of(mut self, authority: &Authority) -> Self {
        self.clients = Some(authority.clone());
        self
    }

    /// Fails in this way.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.fault = fault;
        self
    }

    fn acceptor(&self) -> Result<SslAcceptor, ErrorStack> {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        // What a test wants to be weak, or old, is to be so.
        builder.set_security_level(0);
        if self.version.is_some() {
            builder.set_min_proto_version(self.version)?;
            builder.set_max_proto_version(self.version)?;
        }
        if let Some(list) = &self.ciphers {
            builder.set_cipher_list(list)?;
        }
        builder.set_certificate(&self.identity.certificate)?;
        builder.set_private_key(&self.identity.key)?;
        for certificate in &self.identity.chain {
            builder.add_extra_chain_cert(certificate.clone())?;
        }
        if let Some(authority) = &self.clients {
            let mut store = X509StoreBuilder::new()?;
            store.add_cert(authority.certificate().clone())?;
            builder.set_cert_store(store.build());
            builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        }
        Ok(builder.build())
    }
}

/// What stands in front of a listener; gone when it is dropped, with its connections.
#[derive(Debug)]
pub struct TlsFront {
    port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What clients have said through TLS.
#[derive(Debug, Default)]
struct Seen {
    bytes: AtomicU64,
    names: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    serving: Mutex<Serving>,
    open: Mutex<Vec<Connection>>,
    arrived: AtomicU64,
    seen: Arc<Seen>,
    ended: AtomicBool,
}

impl TlsFront {
    /// Listens on a free port, and hands on what comes there, decrypted.
    ///
    /// # Panics
    /// Where this machine gives no sockets.
    #[must_use]
    pub fn start(target: SocketAddr, serving: Serving) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there are free ports");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared {
            target,
            serving: Mutex::new(serving),
            open: Mutex::default(),
            arrived: AtomicU64::new(0),
            seen: Arc::default(),
            ended: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if theirs.ended.load(Ordering::SeqCst) {
                    break;
                }
                theirs.welcome(client);
            }
        });
        Self { port, shared, thread: Some(thread) }
    }

    /// Its port, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `localhost:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// How to speak TLS with those that come from now on.
    pub fn serve(&self, serving: Serving) {
        *lock(&self.shared.serving) = serving;
    }

    /// Ends all connections, with a `close_notify` or without it.
    pub fn end_all(&self, notify: bool) {
        for connection in lock(&self.shared.open).drain(..) {
            connection.end(notify);
        }
    }

    /// How many clients have come.
    #[must_use]
    pub fn arrived(&self) -> u64 {
        self.shared.arrived.load(Ordering::SeqCst)
    }

    /// How many bytes clients have sent through TLS.
    #[must_use]
    pub fn forwarded(&self) -> u64 {
        self.shared.seen.bytes.load(Ordering::SeqCst)
    }

    /// The names by which clients have asked for it (SNI), after each handshake.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        lock(&self.shared.seen.names).clone()
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Whoever listens is woken up by it.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it does not panic");
        }
        self.end_all(false);
    }
}

impl Shared {
    fn welcome(&self, client: TcpStream) {
        self.arrived.fetch_add(1, Ordering::SeqCst);
        let serving = lock(&self.serving).clone();
        let acceptor = serving.acceptor().expect("OpenSSL takes what a test wants");
        let seen = Arc::clone(&self.seen);
        let connection = Connection::start(client, self.target, acceptor, serving.fault, seen);
        let mut open = lock(&self.open);
        open.retain(|connection| !connection.is_over());
        open.push(connection);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
