//! What each option of a consumer becomes, and what is refused.

use super::{refused::KNOWN, *};
use crate::{
    error::{ConfigError, Error},
    net::socket_options::socket::*,
};
use std::time::Duration;

/// The keyword arguments of the document of release 2.0, in its order.
const OF_2_0: &str = "bootstrap_servers client_id group_id key_deserializer value_deserializer \
    fetch_min_bytes fetch_max_wait_ms fetch_max_bytes max_partition_fetch_bytes request_timeout_ms \
    retry_backoff_ms reconnect_backoff_ms reconnect_backoff_max_ms \
    max_in_flight_requests_per_connection auto_offset_reset enable_auto_commit \
    auto_commit_interval_ms default_offset_commit_callback check_crcs metadata_max_age_ms \
    partition_assignment_strategy max_poll_records max_poll_interval_ms session_timeout_ms \
    heartbeat_interval_ms receive_buffer_bytes send_buffer_bytes socket_options \
    consumer_timeout_ms security_protocol ssl_context ssl_check_hostname ssl_cafile ssl_certfile \
    ssl_keyfile ssl_password ssl_crlfile ssl_ciphers api_version api_version_auto_timeout_ms \
    connections_max_idle_ms metric_reporters metrics_num_samples metrics_sample_window_ms selector \
    exclude_internal_topics sasl_mechanism sasl_plain_username sasl_plain_password \
    sasl_kerberos_service_name sasl_kerberos_domain_name sasl_oauth_token_provider";

/// What kafka-python took beside them in 2.0, and what came until 3.1.
const SINCE_2_0: &str = "metric_group_prefix sock_chunk_bytes sock_chunk_buffer_count \
    legacy_iterator kafka_client enable_incremental_fetch_sessions allow_auto_create_topics \
    sasl_kerberos_name socks5_proxy metrics_enabled isolation_level group_instance_id \
    receive_message_max_bytes bootstrap_timeout_ms client_dns_lookup client_rack proxy_url \
    default_api_timeout_ms socket_connection_setup_timeout_ms \
    socket_connection_setup_timeout_max_ms net";

/// Names that this client has beside kafka-python's.
const OWN: &str = "topics max_decompressed_batch_bytes group_protocol group_remote_assignor";

fn builder() -> ConsumerBuilder {
    ConsumerBuilder::new()
}

fn resolved(builder: ConsumerBuilder) -> Resolved {
    builder.resolve().unwrap()
}

fn refused(builder: ConsumerBuilder) -> ConfigError {
    match builder.resolve() {
        Err(Error::Configuration(error)) => *error,
        other => panic!("expected a configuration error: {other:?}"),
    }
}

fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn not_served() -> impl Iterator<Item = &'static str> {
    KNOWN.unserved.iter().flat_map(|unserved| unserved.not_served).copied()
}

fn never() -> impl Iterator<Item = (&'static str, &'static str)> {
    KNOWN.unserved.iter().flat_map(|unserved| unserved.never).copied()
}

#[test]
fn every_option_of_kafka_python_is_served_or_refused_by_name() {
    let mut known: Vec<&str> = ConsumerBuilder::NAMES.to_vec();
    known.extend(not_served());
    known.extend(never().map(|(name, _)| name));
    known.sort_unstable();

    let mut expected: Vec<&str> =
        [OF_2_0, SINCE_2_0, OWN].iter().flat_map(|names| names.split_whitespace()).collect();
    expected.sort_unstable();
    assert_eq!(known, expected);
}

#[test]
fn the_defaults_are_those_of_kafka_python_3() {
    let options = resolved(builder());
    assert_eq!(options.servers, [crate::net::servers::HostPort::new("localhost", 9092)]);
    assert_eq!(options.client_id, format!("kafka-blocking-{}", env!("CARGO_PKG_VERSION")));
    assert!(options.topics.is_empty());
    assert_eq!(options.reset, OffsetReset::Latest);
    assert!(options.exclude_internal_topics);
    assert_eq!(options.max_poll_records, 500);
    assert_eq!(options.consumer_timeout, None);
    assert_eq!(options.api_timeout, millis(60_000));
    assert_eq!(options.bootstrap_timeout, millis(30_000));
    assert_eq!(options.retry_backoff, millis(100));
    assert_eq!(options.metadata.max_age, millis(300_000));
    assert!(options.metadata.allow_auto_create);
}

#[test]
fn the_defaults_of_connections_and_fetches_are_those_of_kafka_python_3() {
    let ConnectionOptions { socket_options, dns_lookup, .. } = resolved(builder()).connection;
    assert_eq!(
        socket_options.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["TCP_NODELAY=1"]
    );
    assert_eq!(dns_lookup, DnsLookup::UseAllDnsIps);

    let connection = resolved(builder()).connection;
    assert_eq!(connection.request_timeout, millis(30_000));
    assert_eq!(connection.backoff, millis(50));
    assert_eq!(connection.backoff_max, millis(30_000));
    assert_eq!(connection.setup_timeout, millis(10_000));
    assert_eq!(connection.setup_timeout_max, millis(30_000));
    assert_eq!(connection.max_in_flight, 5);
    assert_eq!(connection.max_idle, millis(540_000));
    assert_eq!(connection.receive_message_max, 100_000_000);

    let fetch = resolved(builder()).fetch;
    assert_eq!((fetch.min_bytes, fetch.max_wait), (1, millis(500)));
    assert_eq!((fetch.max_bytes, fetch.partition_max_bytes), (52_428_800, 1_048_576));
    assert!(fetch.check_crcs && fetch.sessions);
    assert_eq!(fetch.max_decompressed, 256 << 20);
    assert_eq!((fetch.isolation, &*fetch.rack), (IsolationLevel::ReadUncommitted, ""));
}

/// A value of each option that differs from its default, as text: the consumer's own, then those that clients share.
const OTHER_VALUES: &[&[(&str, &str)]] = &[OWN_VALUES, SHARED_VALUES];

const OWN_VALUES: &[(&str, &str)] = &[
    ("topics", "a,b"),
    ("group_id", "g"),
    ("group_instance_id", "i"),
    ("auto_commit_interval_ms", "30"),
    ("enable_auto_commit", "no"),
    ("partition_assignment_strategy", "roundrobin"),
    ("max_poll_interval_ms", "31"),
    ("session_timeout_ms", "3200"),
    ("heartbeat_interval_ms", "33"),
    ("fetch_min_bytes", "2"),
    ("fetch_max_wait_ms", "3"),
    ("fetch_max_bytes", "4"),
    ("max_partition_fetch_bytes", "5"),
    ("auto_offset_reset", "Earliest"),
    ("isolation_level", "Read-Committed"),
    ("client_rack", "zone b"),
    ("exclude_internal_topics", "off"),
    ("check_crcs", "False"),
    ("max_poll_records", "12"),
    ("consumer_timeout_ms", "13"),
    ("max_decompressed_batch_bytes", "20"),
    ("allow_auto_create_topics", "no"),
    ("enable_incremental_fetch_sessions", "0"),
];

const SHARED_VALUES: &[(&str, &str)] = &[
    ("bootstrap_servers", "a:1,b:2"),
    ("client_id", "me"),
    ("request_timeout_ms", "20006"),
    ("retry_backoff_ms", "7"),
    ("reconnect_backoff_ms", "8"),
    ("reconnect_backoff_max_ms", "9"),
    ("max_in_flight_requests_per_connection", "10"),
    ("metadata_max_age_ms", "11"),
    ("receive_buffer_bytes", "65536"),
    ("send_buffer_bytes", "65537"),
    ("socket_options", "SO_KEEPALIVE=1"),
    ("connections_max_idle_ms", "30014"),
    ("bootstrap_timeout_ms", "15"),
    ("api_version_auto_timeout_ms", "16"),
    ("default_api_timeout_ms", "40017"),
    ("socket_connection_setup_timeout_ms", "18"),
    ("socket_connection_setup_timeout_max_ms", "19"),
    ("receive_message_max_bytes", "200000000"),
    ("client_dns_lookup", "resolve_canonical_bootstrap_servers_only"),
    ("proxy_url", "socks5://a:1"),
    ("socks5_proxy", "socks5h://a:1"),
];

/// Those that must fit together, and some that need files: `tests/options/security.rs` and `integration/tests` set each.
const SECURITY: &[&str] = &[
    "security_protocol",
    "ssl_context",
    "ssl_check_hostname",
    "ssl_cafile",
    "ssl_certfile",
    "ssl_keyfile",
    "ssl_password",
    "ssl_crlfile",
    "ssl_ciphers",
    "sasl_mechanism",
    "sasl_plain_username",
    "sasl_plain_password",
    "sasl_oauth_token_provider",
    "sasl_kerberos_service_name",
    "sasl_kerberos_domain_name",
    "sasl_kerberos_name",
];

fn other_values() -> impl Iterator<Item = (&'static str, &'static str)> {
    OTHER_VALUES.iter().copied().flatten().copied()
}

#[test]
fn every_option_set_by_name_changes_what_is_resolved() {
    let names: Vec<&str> =
        other_values().map(|(name, _)| name).chain(SECURITY.iter().copied()).collect();
    assert_eq!(names, ConsumerBuilder::NAMES);

    let mut last = format!("{:?}", resolved(builder()));
    let mut builder = builder();
    for (name, value) in other_values() {
        builder = builder.set(name, value);
        // The two ends of the reconnect backoff and of the setup time-out come in the order in which they fit.
        let now = format!("{:?}", resolved(builder.clone()));
        assert_ne!(now, last, "{name}");
        last = now;
    }
}

#[test]
fn what_is_set_for_all_clients_is_set_for_the_consumer() {
    let names = SHARED_VALUES.iter().map(|(name, _)| name).chain(SECURITY);
    let names: Vec<&str> = names.copied().collect();
    assert_eq!(names, ClientOptions::NAMES);
    for (name, value) in SHARED_VALUES {
        let shared = ClientOptions::new().set(name, value);
        let shared = builder().client_options(&shared);
        assert_eq!(format!("{shared:?}"), format!("{:?}", builder().set(name, value)), "{name}");
    }
}

#[test]
fn only_what_is_set_for_all_clients_replaces_what_the_consumer_has() {
    let shared = ClientOptions::new().client_id("shared").send_buffer_bytes(None);
    let options = resolved(
        builder()
            .client_id("mine")
            .retry_backoff_ms(7)
            .send_buffer_bytes(1)
            .client_options(&shared),
    );
    assert_eq!(options.client_id, "shared");
    assert_eq!(options.retry_backoff, millis(7));
    assert_eq!(options.connection.socket_options.len(), 1, "None is a value like others");

    // A value is set even if it is that of the default.
    let shared = ClientOptions::new().retry_backoff_ms(100);
    let options = resolved(builder().retry_backoff_ms(7).client_options(&shared));
    assert_eq!(options.retry_backoff, millis(100));
}

#[test]
fn what_is_set_last_counts_whether_here_or_for_all_clients() {
    let (a, b) = (ClientOptions::new().client_id("a"), ClientOptions::new().client_id("b"));
    let id = |builder| resolved(builder).client_id;
    assert_eq!(id(builder().client_options(&a).client_options(&b)), "b");
    assert_eq!(id(builder().client_options(&a).client_id("mine")), "mine");
    assert_eq!(id(builder().client_id("mine").client_options(&a)), "a");
}

#[test]
fn an_error_of_what_is_set_for_all_clients_is_that_of_each_consumer() {
    let shared = ClientOptions::new().client_id("a").request_timeout_ms(-1);
    for _ in 0..2 {
        let error = refused(builder().client_options(&shared));
        assert_eq!((error.option.as_str(), error.value.as_str()), ("request_timeout_ms", "-1"));
    }
    let error = refused(builder().fetch_min_bytes(-2).client_options(&shared));
    assert_eq!(error.option, "fetch_min_bytes", "the first counts");
    let error = refused(builder().client_options(&shared).fetch_min_bytes(-2));
    assert_eq!(error.option, "request_timeout_ms", "the first counts");
}

#[test]
fn set_and_the_setter_of_the_name_do_the_same() {
    let by_name = builder()
        .set("bootstrap_servers", "a:1,b:2")
        .set("auto_offset_reset", "smallest")
        .set("consumer_timeout_ms", "1000")
        .set("receive_buffer_bytes", "None")
        .set("api_version_auto_timeout_ms", "2000");
    let by_method = builder()
        .bootstrap_servers(["a:1", "b:2"])
        .auto_offset_reset(OffsetReset::Earliest)
        .consumer_timeout_ms(Duration::from_secs(1))
        .receive_buffer_bytes(None)
        .bootstrap_timeout_ms(2000);
    assert_eq!(format!("{by_name:?}"), format!("{by_method:?}"));
}

#[test]
fn an_unknown_name_is_an_error_that_names_it_and_the_nearest_one() {
    let error = refused(builder().set("fetch_min_byte", "1"));
    assert_eq!(error.to_string(), "fetch_min_byte = \"1\": no such option; is it fetch_min_bytes?");
    let error = refused(builder().set("acks", "all"));
    assert_eq!(error.to_string(), "acks = \"all\": no such option");
    assert_eq!(refused(builder().set("", "1")).to_string(), " = \"1\": an option without a name");
}

#[test]
fn an_option_that_is_not_served_is_refused_whatever_its_value() {
    for name in not_served() {
        let error = refused(builder().set(name, "x"));
        assert_eq!(error.option, name);
        assert_eq!(error.allowed, "not served by this version of kafka-blocking");
    }
}

#[test]
fn a_selector_is_refused_with_the_reason() {
    let error = refused(builder().selector("selectors.PollSelector"));
    assert_eq!(
        (error.option.as_str(), error.value.as_str()),
        ("selector", "selectors.PollSelector")
    );
    assert!(error.allowed.contains("the operating system's own selector"), "{error}");
    for (name, reason) in never() {
        assert_eq!(refused(builder().set(name, "x")).allowed, reason);
    }
}

#[test]
fn a_secret_given_to_an_option_that_is_refused_is_not_repeated() {
    for (name, value) in [
        ("sasl_plain_password", "hunter2"),
        ("ssl_password", "hunter2"),
        ("ssl_keyfile", "-----BEGIN PRIVATE KEY-----hunter2"),
        ("proxy_url", "socks4://me:hunter2@proxy:1"),
        ("sasl_oauth_token_provider", "hunter2"),
        ("sasl_plain_pasword", "hunter2"),
        ("passwd", "hunter2"),
    ] {
        let error = refused(builder().set(name, value));
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{name}");
    }
}

#[test]
fn of_several_errors_the_first_is_reported() {
    let builder = builder().auto_offset_reset("bogus").fetch_min_bytes(-1).set("nothing", "x");
    let error = refused(builder.auto_offset_reset("latest"));
    assert_eq!((error.option.as_str(), error.value.as_str()), ("auto_offset_reset", "bogus"));
    assert_eq!(error.allowed, "must be earliest, latest or none");
}

#[test]
fn auto_offset_reset_takes_the_names_of_kafka_python_and_nothing_else() {
    for (text, reset) in [
        ("earliest", OffsetReset::Earliest),
        ("SMALLEST", OffsetReset::Earliest),
        ("Latest", OffsetReset::Latest),
        ("largest", OffsetReset::Latest),
        ("none", OffsetReset::None),
    ] {
        assert_eq!(resolved(builder().auto_offset_reset(text)).reset, reset);
        assert_eq!(text.parse::<OffsetReset>().unwrap(), reset);
    }
    assert_eq!(OffsetReset::Earliest.to_string(), "earliest");
    let error = "newest".parse::<OffsetReset>().unwrap_err().to_string();
    assert!(error.contains("auto_offset_reset = \"newest\""), "{error}");
    assert_eq!(refused(builder().client_dns_lookup("default")).option, "client_dns_lookup");
}

#[test]
fn fault_234_a_fetch_waits_less_than_its_request_and_a_request_less_than_an_idle_connection() {
    let error = refused(builder().fetch_max_wait_ms(30_000));
    assert_eq!(
        error.to_string(),
        "fetch_max_wait_ms = \"30000\": must be less than request_timeout_ms = 30000"
    );
    let error = refused(builder().connections_max_idle_ms(30_000));
    assert_eq!(
        error.to_string(),
        "request_timeout_ms = \"30000\": must be less than connections_max_idle_ms = 30000"
    );
}

#[test]
fn fault_234_a_call_lasts_for_one_request_at_least() {
    let error = refused(builder().default_api_timeout_ms(29_999));
    assert_eq!(
        error.to_string(),
        "request_timeout_ms = \"30000\": must be no more than default_api_timeout_ms = 29999"
    );
    assert_eq!(resolved(builder().default_api_timeout_ms(30_000)).api_timeout, millis(30_000));
}

#[test]
fn fault_234_a_time_begins_no_higher_than_it_may_grow() {
    let error = refused(builder().reconnect_backoff_ms(30_001));
    assert_eq!((error.option.as_str(), error.value.as_str()), ("reconnect_backoff_ms", "30001"));
    let error = refused(builder().socket_connection_setup_timeout_max_ms(9_999));
    assert_eq!(
        error.to_string(),
        "socket_connection_setup_timeout_ms = \"10000\": must be no more than \
         socket_connection_setup_timeout_max_ms = 9999"
    );
    let error = refused(builder().socket_connection_setup_timeout_ms(0));
    assert_eq!(error.allowed, "must be 1 or more");
}

#[test]
fn fault_234_what_the_protocol_counts_in_an_int32_fits_it() {
    let long = builder()
        .connections_max_idle_ms(u64::MAX)
        .default_api_timeout_ms(u64::MAX)
        .request_timeout_ms(u64::MAX - 1);
    let error = refused(long.clone().fetch_max_wait_ms(1_u64 << 31));
    assert_eq!(
        error.to_string(),
        "fetch_max_wait_ms = \"2147483648\": must be no more than 2147483647"
    );
    let fits = resolved(long.fetch_max_wait_ms(i32::MAX));
    assert_eq!(fits.fetch.max_wait, millis(2_147_483_647));

    for name in ["fetch_min_bytes", "fetch_max_bytes", "max_partition_fetch_bytes"] {
        let error = refused(builder().set(name, "2147483648"));
        assert_eq!((error.option.as_str(), error.value.as_str()), (name, "2147483648"));
        assert!(error.allowed.contains("2147483647"), "{error}");
    }
}

#[test]
fn fault_234_negative_and_empty_values_are_refused() {
    for name in ConsumerBuilder::NAMES {
        let negative = builder().set(name, "-5").resolve();
        let may = [
            "bootstrap_servers",
            "client_id",
            "client_rack",
            "consumer_timeout_ms",
            "group_id",
            "topics",
        ];
        if SECURITY.contains(name) {
            continue;
        }
        assert_eq!(negative.is_ok(), may.contains(name), "{name}: {negative:?}");
        let empty = builder().set(name, "").resolve();
        // These can be without a value, and others without an entry.
        let may = [
            "client_rack",
            "consumer_timeout_ms",
            "partition_assignment_strategy",
            "proxy_url",
            "socks5_proxy",
            "receive_buffer_bytes",
            "send_buffer_bytes",
            "socket_options",
            "topics",
        ];
        assert_eq!(empty.is_ok(), may.contains(name), "{name}: {empty:?}");
    }
}

#[test]
fn fault_234_zero_is_refused_where_nothing_could_happen() {
    for name in [
        "fetch_max_bytes",
        "max_partition_fetch_bytes",
        "max_in_flight_requests_per_connection",
        "max_poll_records",
        "receive_buffer_bytes",
        "send_buffer_bytes",
        "receive_message_max_bytes",
        "max_decompressed_batch_bytes",
    ] {
        let error = refused(builder().set(name, "0"));
        assert_eq!((error.option.as_str(), error.value.as_str()), (name, "0"));
        assert!(error.allowed.starts_with("must be from 1 to "), "{error}");
    }
    assert_eq!(resolved(builder().fetch_min_bytes(0)).fetch.min_bytes, 0);
}

#[test]
fn fault_242_times_of_0_and_of_u64_max_milliseconds_are_taken() {
    let longest = resolved(
        builder()
            .consumer_timeout_ms(u64::MAX)
            .default_api_timeout_ms(Duration::MAX)
            .bootstrap_timeout_ms(u64::MAX)
            .metadata_max_age_ms(u64::MAX)
            .retry_backoff_ms(u64::MAX)
            .reconnect_backoff_max_ms(u64::MAX),
    );
    assert_eq!(longest.consumer_timeout, Some(millis(u64::MAX)));
    assert_eq!(longest.api_timeout, Duration::MAX);
    let shortest = resolved(builder().consumer_timeout_ms(0).bootstrap_timeout_ms(0));
    assert_eq!(shortest.consumer_timeout, Some(Duration::ZERO));
    assert_eq!(shortest.bootstrap_timeout, Duration::ZERO);
}

#[test]
fn a_backoff_of_0_is_1_ms_so_that_failures_do_not_spin() {
    let options =
        resolved(builder().retry_backoff_ms(0).reconnect_backoff_ms(0).reconnect_backoff_max_ms(0));
    assert_eq!(options.retry_backoff, millis(1));
    assert_eq!(
        (options.connection.backoff, options.connection.backoff_max),
        (millis(1), millis(1))
    );
}

#[test]
fn the_largest_fetch_always_fits_into_an_answer() {
    let sizes = |fetch: i32, partition: i32, message: i32| {
        let builder = builder()
            .fetch_max_bytes(fetch)
            .max_partition_fetch_bytes(partition)
            .receive_message_max_bytes(message);
        resolved(builder).connection.receive_message_max
    };
    assert_eq!(sizes(10, 20, 25), 30);
    assert_eq!(sizes(10, 20, 35), 35);
    assert_eq!(sizes(i32::MAX, 1, 1), 2_147_483_647);
}

#[test]
fn the_buffer_sizes_become_the_last_of_the_socket_options() {
    let builder = builder()
        .socket_options([(SOL_SOCKET, SO_KEEPALIVE, 1)])
        .receive_buffer_bytes(65_536)
        .send_buffer_bytes(32_768);
    let shown: Vec<String> =
        resolved(builder).connection.socket_options.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["SO_KEEPALIVE=1", "SO_RCVBUF=65536", "SO_SNDBUF=32768"]);
}

#[test]
fn a_socket_option_that_is_not_known_is_refused() {
    let error = refused(builder().socket_options([(SOL_SOCKET, 4711, 1)]));
    assert_eq!((error.option.as_str(), error.value.as_str()), ("socket_options", "(1, 4711, 1)"));
}

#[test]
fn fault_235_a_wrong_server_is_refused_under_its_option() {
    let error = refused(builder().bootstrap_servers("a:1,b:65536"));
    assert_eq!(
        error.to_string(),
        "bootstrap_servers = \"b:65536\": must have a port from 1 to 65535"
    );
}

#[test]
fn fault_239_a_wrong_topic_is_refused_under_its_option() {
    let error = refused(builder().topics(["a", "b c"]));
    assert_eq!((error.option.as_str(), error.value.as_str()), ("topics", "b c"));
}

#[test]
fn fault_234_a_text_must_fit_the_protocol_and_a_client_has_a_name() {
    assert_eq!(refused(builder().client_id("")).allowed, "must not be empty");
    for name in ["client_id", "client_rack"] {
        let error = refused(builder().set(name, &"x".repeat(32_768)));
        assert_eq!(error.option, name);
        assert_eq!(error.allowed, "must have no more than 32767 bytes");
        assert!(error.value.len() < 50, "it is shown shortened: {error}");
        assert!(builder().set(name, &"x".repeat(32_767)).resolve().is_ok());
    }
    assert_eq!(resolved(builder().client_id("me")).client_id, "me");
    assert_eq!(&*resolved(builder().client_rack("zone b")).fetch.rack, "zone b");
}

#[test]
fn isolation_level_takes_the_texts_and_the_numbers_of_kafka_python() {
    let level = |builder| resolved(builder).fetch.isolation;
    assert_eq!(level(builder().isolation_level("READ-COMMITTED")), IsolationLevel::ReadCommitted);
    assert_eq!(level(builder().isolation_level(1)), IsolationLevel::ReadCommitted);
    let error = refused(builder().isolation_level("committed"));
    assert_eq!(
        error.to_string(),
        "isolation_level = \"committed\": must be read_uncommitted or read_committed"
    );
}
