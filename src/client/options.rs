//! Which options every client of a cluster has, and how a set of them is used again.

use std::{fmt, sync::Arc};

use crate::{
    error::{Error, Result},
    net::{
        proxy::Proxy,
        resolver::{Resolver, SystemResolver},
        sasl::{Sasl, SaslMechanism, TokenSource},
        servers::Servers,
        socket_options::SocketOptions,
        tls::SslContext,
    },
    options::{Given, Millis, Pem, Refused, Secret, unknown},
};

mod dns_lookup;
mod protocol;
mod resolve;
mod security;
mod table;
mod unserved;

pub use dns_lookup::DnsLookup;
pub use protocol::SecurityProtocol;
pub use resolve::ConnectionOptions;
pub(crate) use resolve::ResolvedClient;
pub(crate) use table::client_options;
pub(crate) use unserved::UNSERVED_BY_CLIENTS;

/// How a cluster is reached: the options that all its clients share, to be said once and used for several of them.
///
/// ```
/// # let broker = scripted_broker::ScriptedBroker::start();
/// # broker.create_topic("orders", 1);
/// # broker.create_topic("invoices", 1);
/// # let servers = broker.address();
/// use kafka_blocking::{ClientOptions, ConsumerBuilder};
///
/// let cluster = ClientOptions::new()
///     .bootstrap_servers(servers)
///     .client_id("my-program")
///     .request_timeout_ms(10_000);
///
/// let orders = ConsumerBuilder::new().client_options(&cluster).topics("orders").build()?;
/// let invoices = ConsumerBuilder::new()
///     .client_options(&cluster)
///     .topics("invoices")
///     .request_timeout_ms(20_000)     // for this one only
///     .build()?;
/// # Ok::<(), kafka_blocking::Error>(())
/// ```
///
/// An option that is not set here is left as it is by
/// [`ConsumerBuilder::client_options`](crate::ConsumerBuilder::client_options). A value that is not allowed is remembered,
/// and is the error of each `build()` that uses the set.
///
/// kafka-python: the keyword arguments that `KafkaConsumer`, `KafkaProducer` and `KafkaAdminClient` have in common, often
/// kept in a `dict` and given as `**config`.
#[derive(Clone, Debug, Default)]
pub struct ClientOptions {
    given: ClientGiven,
    error: Option<Error>,
    resolver: UserResolver,
    sasl: Option<Sasl>,
}

/// The resolver that was given, if one was.
#[derive(Clone, Default)]
struct UserResolver(Option<Arc<dyn Resolver>>);

impl fmt::Debug for UserResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "given" } else { "the system's" })
    }
}

impl ClientOptions {
    /// A set in which nothing is set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the option of this name to the value that the text says: for configuration files and `-X name=value` flags.
    ///
    /// A name that is none of [`NAMES`](Self::NAMES) is remembered as an error, as a value that is not allowed is. Where
    /// a file has options of a consumer as well, [`ConsumerBuilder::set`](crate::ConsumerBuilder::set) takes them all.
    ///
    /// ```
    /// use kafka_blocking::ClientOptions;
    ///
    /// let cluster = ClientOptions::new().set("bootstrap_servers", "a:9092, b:9092").set("client_id", "my-program");
    /// ```
    ///
    /// Space around the value is left out, also of a password; its own setter takes that as it is.
    #[must_use]
    pub fn set(self, name: &str, value: &str) -> Self {
        self.set_by_name(name, value.trim())
    }

    /// Finds the addresses of brokers with `resolver` instead of the operating system.
    ///
    /// It is called on helper threads; see [`Resolver`]. There is no such option in kafka-python.
    #[must_use]
    pub fn resolver(mut self, resolver: impl Resolver) -> Self {
        self.resolver = UserResolver(Some(Arc::new(resolver)));
        self
    }

    /// Logs in with a mechanism of one's own, in place of [`sasl_mechanism`](Self::sasl_mechanism).
    ///
    /// An example is at [`SaslMechanism`]. kafka-python: `register_sasl_mechanism`.
    #[must_use]
    pub fn sasl(mut self, mechanism: impl SaslMechanism) -> Self {
        self.sasl = Some(Sasl::new(mechanism));
        self
    }

    /// Takes over what is set there, and keeps the rest.
    pub(crate) fn override_with(&mut self, later: &Self) {
        self.given.override_with(&later.given);
        if let Some(error) = &later.error {
            self.error.get_or_insert_with(|| error.clone());
        }
        if later.resolver.0.is_some() {
            self.resolver = later.resolver.clone();
        }
        if later.sasl.is_some() {
            self.sasl.clone_from(&later.sasl);
        }
    }

    /// The resolver to use.
    pub(crate) fn resolver_or_system(&self) -> Arc<dyn Resolver> {
        self.resolver.0.clone().unwrap_or_else(|| Arc::new(SystemResolver))
    }

    /// Checks the options as a whole and parses them for the machines. The first error of a setter comes first.
    pub(crate) fn resolve(self) -> Result<ResolvedClient> {
        match self.error {
            Some(error) => Err(error),
            None => resolve::resolve(self.given.complete(), self.sasl),
        }
    }

    /// Remembers why an option is refused; of several the first. Also for the options of a builder that has these.
    pub(crate) fn refuse(&mut self, name: &str, refused: Refused) {
        self.error
            .get_or_insert_with(|| Error::configuration(name, refused.value, refused.allowed));
    }

    /// Remembers why there is nothing to set under this name.
    fn set_unknown(mut self, name: &str, value: &str) -> Self {
        self.refuse(name, unknown::reason(name, value, &unserved::KNOWN));
        self
    }
}

const SERVICE_NAME: &str = "kafka";
const CLIENT_ID: &str = concat!("kafka-blocking-", env!("CARGO_PKG_VERSION"));

client_options! {
    impl ClientOptions { given: ClientGiven, values: ClientValues }
}

#[cfg(test)]
mod tests;
