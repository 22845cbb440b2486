//! A proxy between clients and brokers that does to connections what networks do, as a script and a seed say.
mod connection;
mod faults;
mod flips;
mod pipe;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use connection::Connection;
use fastrand::Rng;

pub use self::{
    faults::{End, Faults, Link, Way},
    flips::Flip,
};

/// A proxy with a port for each node of a cluster; gone, with all its connections, when it is dropped.
///
/// ```no_run
/// use kafka_blocking_integration::{Cluster, proxy::{End, Faults, Proxy}};
/// use std::time::Duration;
///
/// let proxy = Proxy::start("DYING", 3, 42, |_, rng| {
///     Faults::short(Duration::from_millis(rng.u64(500..1_500)), End::Reset)
/// });
/// let cluster = Cluster::release("4.4.0").nodes(3).behind(&proxy).start();
/// // Clients that are given these addresses are told of no others; those of `cluster.bootstrap()` see no proxy.
/// let servers = proxy.bootstrap();
/// ```
#[derive(Debug)]
pub struct Proxy {
    name: String,
    shared: Arc<Shared>,
}

/// A connection that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The node whose port it is, as the cluster counts them: from 1 on.
    pub node: i32,
    /// How many there were before it at this port.
    pub number: u64,
}

/// What became of a connection, or has so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The node.
    pub node: i32,
    /// Which of the node's connections, from 0 on.
    pub number: u64,
    /// What the proxy did first to end it.
    pub end: Option<End>,
    /// How long it was there.
    pub lived: Duration,
    /// How many bytes reached the broker.
    pub requests: u64,
    /// How many bytes reached the client.
    pub answers: u64,
    /// The bits that were flipped on the way to the broker.
    pub flips_of_requests: Vec<Flip>,
    /// The bits that were flipped on the way to the client.
    pub flips: Vec<Flip>,
}

/// What is done to which connection; the random numbers come from the proxy's seed, node and number.
type Script = dyn Fn(Arrival, &mut Rng) -> Faults + Send + Sync;

/// What the threads of a proxy share.
pub(crate) struct Shared {
    ports: Vec<u16>,
    targets: Mutex<Vec<Option<SocketAddr>>>,
    seed: u64,
    script: Box<Script>,
    /// How many times all that was open was ended, and how the last time.
    verdict: Mutex<(u64, End)>,
    reports: Mutex<Vec<Arc<Mutex<Report>>>>,
    closed: AtomicBool,
}

impl Proxy {
    /// Listens on a port of its own for each of so many nodes. The name is that of the brokers' listener behind it.
    pub fn start(
        name: &str,
        nodes: usize,
        seed: u64,
        script: impl Fn(Arrival, &mut Rng) -> Faults + Send + Sync + 'static,
    ) -> Self {
        let bind =
            |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        let listeners: Vec<TcpListener> = (0..nodes).map(bind).collect();
        let port = |listener: &TcpListener| listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared {
            ports: listeners.iter().map(port).collect(),
            targets: Mutex::new(vec![None; nodes]),
            seed,
            script: Box::new(script),
            verdict: Mutex::new((0, End::Close)),
            reports: Mutex::default(),
            closed: AtomicBool::new(false),
        });
        for (listener, node) in listeners.into_iter().zip(1..) {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.accept(&listener, node));
        }
        Self { name: name.to_owned(), shared }
    }

    /// The name of the brokers' listener behind it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The addresses of all its ports, as `bootstrap_servers` wants them.
    pub fn bootstrap(&self) -> String {
        let address = |port: &u16| format!("localhost:{port}");
        self.shared.ports.iter().map(address).collect::<Vec<_>>().join(",")
    }

    /// The port of a node, from 1 on.
    pub fn port(&self, node: i32) -> u16 {
        self.shared.ports[index(node)]
    }

    /// Says where a node is. Until then, whoever comes is sent away.
    pub fn forward(&self, node: i32, to: SocketAddr) {
        lock(&self.shared.targets)[index(node)] = Some(to);
    }

    /// Ends all connections that there are.
    pub fn end_all(&self, end: End) {
        let mut verdict = lock(&self.shared.verdict);
        *verdict = (verdict.0 + 1, end);
    }

    /// What became of all connections so far, in the order in which they came.
    pub fn reports(&self) -> Vec<Report> {
        lock(&self.shared.reports).iter().map(|report| lock(report).clone()).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        for port in &self.shared.ports {
            // Who waits for connections is woken by one.
            let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, *port));
        }
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener, node: i32) {
        for (client, number) in listener.incoming().flatten().zip(0..) {
            if self.is_closed() {
                return;
            }
            let Some(target) = lock(&self.targets)[index(node)] else { continue };
            let report = Arc::new(Mutex::new(Report { node, number, ..Report::default() }));
            lock(&self.reports).push(Arc::clone(&report));
            let shared = Arc::clone(&self);
            thread::spawn(move || {
                let Ok(broker) = TcpStream::connect(target) else { return };
                let arrival = Arrival { node, number };
                let mut rng = shared.rng(arrival);
                let faults = (shared.script)(arrival, &mut rng);
                if let Ok(connection) = Connection::new(client, broker, faults, rng, report) {
                    connection.run(&shared);
                }
            });
        }
    }

    /// The same for a connection, whatever happens to others.
    fn rng(&self, arrival: Arrival) -> Rng {
        let mut of_node = Rng::with_seed(self.seed ^ u64::from(arrival.node.unsigned_abs()) << 56);
        Rng::with_seed(of_node.u64(..) ^ arrival.number)
    }

    fn verdict(&self) -> (u64, End) {
        *lock(&self.verdict)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("ports", &self.ports).field("seed", &self.seed).finish()
    }
}

fn index(node: i32) -> usize {
    usize::try_from(node - 1).expect("nodes count from 1 on")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}
