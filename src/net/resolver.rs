//! From names to addresses, on a thread of its own: the operating system's look-up blocks, and may never answer.

use std::{
    collections::VecDeque,
    fmt, io,
    net::{IpAddr, ToSocketAddrs},
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

use super::helpers::Helpers;

/// Finds the addresses of a broker's name.
///
/// Called on a helper thread, one call a thread, so it may block; a look-up that does not answer within the
/// connection's set-up time counts as failed, and its answer is dropped when it comes.
///
/// The default is the operating system's resolver. Give another to
/// [`ConsumerBuilder::resolver`](crate::ConsumerBuilder::resolver):
///
/// ```
/// use std::{io, net::IpAddr};
/// use kafka_blocking::{KafkaConsumer, Resolver};
///
/// struct Everything(IpAddr);
///
/// impl Resolver for Everything {
///     fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
///         Ok(vec![self.0])
///     }
/// }
///
/// let builder = KafkaConsumer::builder().resolver(Everything([127, 0, 0, 1].into()));
/// ```
pub trait Resolver: Send + Sync + 'static {
    /// The addresses of `host`, in the order in which to try them.
    ///
    /// # Errors
    /// Whatever kept the name from being resolved; it is reported with the broker's name and tried again with backoff.
    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;

    /// The canonical names behind `host`, one for each of its addresses: what
    /// `client_dns_lookup = resolve_canonical_bootstrap_servers_only` expands a bootstrap server to.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve). The default gives `host` itself.
    fn canonical_names(&self, host: &str) -> io::Result<Vec<String>> {
        Ok(vec![host.to_owned()])
    }
}

/// The operating system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
    }

    fn canonical_names(&self, host: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for address in self.resolve(host)? {
            // An address without a name stands for itself, as in kafka-python.
            let name = dns_lookup::lookup_addr(&address).unwrap_or_else(|_| address.to_string());
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// What is asked of the helper threads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lookup {
    /// The addresses of a name.
    Addresses(String),
    /// The canonical names behind a name.
    CanonicalNames(String),
    /// The addresses of a proxy, and of a broker behind it.
    Route(String, String),
}

impl Lookup {
    fn failed(&self, error: io::Error) -> Found {
        match self {
            Self::Addresses(_) => Found::Addresses(Err(error)),
            Self::CanonicalNames(_) => Found::CanonicalNames(Err(error)),
            Self::Route(..) => Found::Route(Err(error)),
        }
    }
}

/// The answer to a [`Lookup`].
#[derive(Debug)]
pub enum Found {
    /// The addresses of a name.
    Addresses(io::Result<Vec<IpAddr>>),
    /// The canonical names behind a name.
    CanonicalNames(io::Result<Vec<String>>),
    /// The addresses of a proxy, and of a broker behind it.
    Route(io::Result<(Vec<IpAddr>, Vec<IpAddr>)>),
}

/// The look-ups that are under way.
pub(crate) struct Lookups {
    resolver: Arc<dyn Resolver>,
    helpers: Helpers<Lookup, Found>,
    /// Those that could not be started.
    failed: VecDeque<(Lookup, Found)>,
}

impl Lookups {
    pub(crate) fn new(resolver: Arc<dyn Resolver>, wake: Arc<mio::Waker>) -> Self {
        /// One that hangs does not keep a second of the same name from trying.
        const MOST_AT_A_TIME: usize = 2;
        let helpers = Helpers::new("kafka-resolver", MOST_AT_A_TIME, wake);
        Self { resolver, helpers, failed: VecDeque::new() }
    }

    /// Starts a look-up on a thread of its own: one that hangs must not hold up the others.
    ///
    /// When several of the same name hang already, no other is started: whoever waits for it runs into its time-out.
    pub(crate) fn start(&mut self, lookup: Lookup) {
        if self.helpers.is_full(&lookup) {
            return;
        }
        let (resolver, asked) = (self.resolver.clone(), lookup.clone());
        let started = self.helpers.start(lookup.clone(), move || {
            // A resolver is the user's: one that panics has failed, and no more than that.
            let resolve = || match &asked {
                Lookup::Addresses(host) => Found::Addresses(resolver.resolve(host)),
                Lookup::CanonicalNames(host) => {
                    Found::CanonicalNames(resolver.canonical_names(host))
                }
                Lookup::Route(proxy, host) => {
                    let both =
                        resolver.resolve(proxy).and_then(|p| Ok((p, resolver.resolve(host)?)));
                    Found::Route(both)
                }
            };
            panic::catch_unwind(AssertUnwindSafe(resolve))
                .unwrap_or_else(|_| asked.failed(io::Error::other("the resolver panicked")))
        });
        if let Err(error) = started {
            let found = lookup.failed(error);
            self.failed.push_back((lookup, found));
        }
    }

    /// An answer that has come, if there is one.
    pub(crate) fn poll(&mut self) -> Option<(Lookup, Found)> {
        self.failed.pop_front().or_else(|| self.helpers.poll())
    }
}

impl fmt::Debug for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookups").finish_non_exhaustive()
    }
}
