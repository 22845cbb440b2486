//! The table of the options that all clients of a cluster share: names, types, defaults and ranges.

/// Makes the setters of a builder that has these options, beside those that it is given.
///
/// The rows stand here only. `ClientOptions` has them for itself; another builder, whose table ends with `..client`, has
/// them in its field `client`.
macro_rules! client_options {
    ($($table:tt)*) => {
        $crate::options::options! {
            $($table)* {
            /// Servers that are asked first for the cluster's metadata: `"host:port"`, several with commas between them, or a list.
            /// One that answers is enough; the other brokers are learnt from it.
            ///
            /// The port is 9092 where none is given. An IPv6 address with a port stands in brackets, `[::1]:9092`. A prefix such as
            /// `PLAINTEXT://` is left out, and so are duplicates.
            ///
            /// ```
            /// use kafka_blocking::ConsumerBuilder;
            ///
            /// let one = ConsumerBuilder::new().bootstrap_servers("localhost");
            /// let two = ConsumerBuilder::new().bootstrap_servers("a.example:9092, [::1]:19092");
            /// let list = ConsumerBuilder::new().bootstrap_servers(["a.example:9092", "b.example:9092"]);
            /// ```
            bootstrap_servers: Servers = "localhost:9092";

            /// The name of this client, sent in the header of every request, by which brokers know it in their logs, metrics and quotas.
            client_id: String = CLIENT_ID, shown "`kafka-blocking-{version}`";

            /// Milliseconds after which an unanswered request has failed. Its connection is closed then, and what else was in flight
            /// on it has failed too; what the call needs is asked for again.
            ///
            /// Must be more than a consumer's [`fetch_max_wait_ms`](crate::ConsumerBuilder::fetch_max_wait_ms), less than
            /// [`connections_max_idle_ms`](Self::connections_max_idle_ms), and no more than
            /// [`default_api_timeout_ms`](Self::default_api_timeout_ms). Release 2.0 of kafka-python had 305000.
            request_timeout_ms: Millis = 30_000;

            /// Milliseconds to wait before a request that failed is sent again. At 0 it is 1, so that failures do not keep the
            /// processor busy.
            retry_backoff_ms: Millis = 100;

            /// Milliseconds to wait before the first new attempt to connect to a broker after a failure. Each further failure in a row
            /// doubles it, up to [`reconnect_backoff_max_ms`](Self::reconnect_backoff_max_ms), varied at random by up to 20 % either way.
            /// At 0 it is 1, so that failures do not keep the processor busy.
            reconnect_backoff_ms: Millis = 50;

            /// Milliseconds to which the wait before an attempt to connect may grow.
            ///
            /// Must be no less than [`reconnect_backoff_ms`](Self::reconnect_backoff_ms). Release 2.0 of kafka-python had 1000.
            reconnect_backoff_max_ms: Millis = 30_000;

            /// Requests that may be unanswered at a time on one connection; further ones wait.
            max_in_flight_requests_per_connection: usize = 5, in 1..=usize::MAX;

            /// Milliseconds after which the cluster's metadata is asked for again, even if nothing seems to have changed.
            metadata_max_age_ms: Millis = 300_000;

            /// Size of the receive buffer of each connection's socket (`SO_RCVBUF`) in bytes; `None` leaves it to the system.
            ///
            /// Ignored by release 3 of kafka-python.
            receive_buffer_bytes: Option<i32> = None, in 1..=i32::MAX;

            /// Size of the send buffer of each connection's socket (`SO_SNDBUF`) in bytes; `None` leaves it to the system.
            ///
            /// Ignored by release 3 of kafka-python.
            send_buffer_bytes: Option<i32> = None, in 1..=i32::MAX;

            /// Options of each connection's socket, as `(level, name, value)` with the constants of the module
            /// [`socket`](crate::socket), or as text, `"TCP_NODELAY=1,SO_KEEPALIVE=1"`. Others than those are refused.
            ///
            /// They replace the default. [`receive_buffer_bytes`](Self::receive_buffer_bytes) and
            /// [`send_buffer_bytes`](Self::send_buffer_bytes) are set after them.
            socket_options: SocketOptions = "TCP_NODELAY=1", shown "`[(IPPROTO_TCP, TCP_NODELAY, 1)]`";

            /// Milliseconds after which a connection without traffic is closed. Brokers close theirs after 10 minutes, by default.
            ///
            /// Must be more than [`request_timeout_ms`](Self::request_timeout_ms).
            connections_max_idle_ms: Millis = 540_000;

            /// Milliseconds that `build()` takes at most to get the cluster's metadata from one of the
            /// [`bootstrap_servers`](Self::bootstrap_servers), before it gives up with an error that names each with its cause.
            ///
            /// The 2.0 name, `api_version_auto_timeout_ms`, had 2000.
            bootstrap_timeout_ms: Millis = 30_000, alias api_version_auto_timeout_ms;

            /// Milliseconds that a call takes at most if it is given no time-out of its own.
            ///
            /// Must be no less than [`request_timeout_ms`](Self::request_timeout_ms).
            default_api_timeout_ms: Millis = 60_000;

            /// Milliseconds in which a connection must be ready for requests, from the first packet on. Each failure in a row doubles
            /// it, up to [`socket_connection_setup_timeout_max_ms`](Self::socket_connection_setup_timeout_max_ms). Must be 1 or more.
            socket_connection_setup_timeout_ms: Millis = 10_000;

            /// Milliseconds to which the time for setting up a connection may grow.
            ///
            /// Must be no less than [`socket_connection_setup_timeout_ms`](Self::socket_connection_setup_timeout_ms).
            socket_connection_setup_timeout_max_ms: Millis = 30_000;

            /// Bytes that a broker's answer may have; the connection of a larger one is closed before it is read.
            ///
            /// A consumer raises it to the sum of [`fetch_max_bytes`](crate::ConsumerBuilder::fetch_max_bytes) and
            /// [`max_partition_fetch_bytes`](crate::ConsumerBuilder::max_partition_fetch_bytes) where that is more.
            receive_message_max_bytes: i32 = 100_000_000, in 1..=i32::MAX;

            /// What to do with a name that has several addresses: `"use_all_dns_ips"` tries one after the other,
            /// `"resolve_canonical_bootstrap_servers_only"` takes each address of a bootstrap server for a server of its own, under
            /// its canonical name, as Kerberos and TLS may need it. Or a [`DnsLookup`].
            client_dns_lookup: DnsLookup = "use_all_dns_ips";

            /// A proxy through which all brokers are reached, as in `socks5://proxy.example:1080`, with a name and a password before
            /// the host where it wants them: `socks5://name:password@…`, percent-encoded.
            ///
            /// With `socks5` the client looks up the brokers' names, with `socks5h` and `http` (CONNECT) the proxy does. TLS, where it is
            /// spoken, is spoken with the broker, through the proxy.
            proxy_url: Option<Proxy> = None, alias socks5_proxy;

            /// How brokers are spoken with: `"PLAINTEXT"`, `"SSL"`, `"SASL_PLAINTEXT"` or `"SASL_SSL"`, or a [`SecurityProtocol`].
            ///
            /// Unlike kafka-python, options of TLS or SASL that have no effect with it are refused.
            ///
            /// ```no_run
            /// // The brokers of this example do not exist.
            /// use kafka_blocking::KafkaConsumer;
            ///
            /// let consumer = KafkaConsumer::builder()
            ///     .bootstrap_servers("kafka.example:9094")
            ///     .security_protocol("SASL_SSL")
            ///     .ssl_cafile("ca.pem")
            ///     .sasl_mechanism("PLAIN")
            ///     .sasl_plain_username("alice")
            ///     .sasl_plain_password(std::env::var("PASSWORD").unwrap())
            ///     .topics("orders")
            ///     .build()?;
            /// # Ok::<(), kafka_blocking::Error>(())
            /// ```
            security_protocol: SecurityProtocol = "PLAINTEXT";

            /// TLS that was set up elsewhere, as a [`native_tls::TlsConnector`]. All other options `ssl_*` are ignored then.
            ssl_context: Option<SslContext> = None;

            /// Whether the broker's certificate must be for the name that the client connects to. Whether it can be trusted, is looked
            /// at in any case.
            ssl_check_hostname: bool = true;

            /// The certificates of whoever may vouch for brokers, in PEM format: the path of a file, or the text itself, which begins
            /// with `-----BEGIN`. `None` takes those that the system has. A broker's own certificate will do if it is signed by itself.
            ///
            /// Read by `build()`, once; so are the other files.
            ssl_cafile: Option<Pem> = None;

            /// The certificate that the client shows to brokers that ask for one, and those between it and one that brokers trust, in
            /// PEM format: a file, or text, which may have the key in it, too.
            ssl_certfile: Option<Pem> = None;

            /// The private key of the certificate, in PEM format: a file, or text; PKCS#8, PKCS#1 or SEC1. `None`: it is in
            /// [`ssl_certfile`](Self::ssl_certfile).
            ssl_keyfile: Option<Pem> = None;

            /// The password of the private key, where it is encrypted.
            ssl_password: Option<Secret> = None;

            /// Certificates that are valid no more, in PEM format: a file, or text. A broker's own certificate is looked for in it, and
            /// no other one: a revoked certificate between it and a trusted one is accepted, as in Python. A list that is out of date,
            /// or is not of who issued the broker's certificate, makes every broker be refused.
            ///
            /// Broken in release 3 of kafka-python.
            ssl_crlfile: Option<Pem> = None;

            /// The ciphers that may be used, in OpenSSL's notation. As in Python that is about TLS 1.2; TLS 1.3 has others, which are
            /// all safe.
            ///
            /// Ignored by release 3 of kafka-python.
            ssl_ciphers: Option<String> = None;

            /// How to log in, where [`security_protocol`](Self::security_protocol) says that one has to: `"PLAIN"`,
            /// `"SCRAM-SHA-256"`, `"SCRAM-SHA-512"`, `"OAUTHBEARER"` or `"GSSAPI"` (Kerberos, with the feature `gssapi`).
            ///
            /// Of another mechanism see [`sasl`](Self::sasl). Options of mechanisms that are not used are refused.
            sasl_mechanism: Option<String> = None;

            /// The name to log in with, for PLAIN and SCRAM.
            ///
            /// It is sent as it is, without SASLprep, as Java's and Python's clients do. Brokers know names of SCRAM in ASCII only.
            sasl_plain_username: Option<String> = None;

            /// The password to log in with, for PLAIN and SCRAM. It is shown nowhere.
            sasl_plain_password: Option<Secret> = None;

            /// Where tokens for OAUTHBEARER come from: a [`TokenProvider`](crate::TokenProvider), or a function that gives one.
            ///
            /// It is asked on a helper thread, for each connection and each time that a session ends.
            ///
            /// ```
            /// use kafka_blocking::KafkaConsumer;
            ///
            /// let builder = KafkaConsumer::builder()
            ///     .security_protocol("SASL_SSL")
            ///     .sasl_mechanism("OAUTHBEARER")
            ///     .sasl_oauth_token_provider(|| std::fs::read_to_string("token"));
            /// ```
            sasl_oauth_token_provider: Option<TokenSource> = None;

            /// The name of the brokers' service in Kerberos: the first part of `kafka/host@REALM`.
            sasl_kerberos_service_name: String = SERVICE_NAME, shown "`kafka`";

            /// The host in the name of the brokers' service in Kerberos; `None` is the one that the client connects to.
            sasl_kerberos_domain_name: Option<String> = None;

            /// The whole name of the brokers' service in Kerberos, in place of the two: a principal, `kafka/host@REALM`, or
            /// `service@host`.
            sasl_kerberos_name: Option<String> = None;
            }
        }
    };
}

pub(crate) use client_options;
