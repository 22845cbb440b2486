//! That no option was left out: each that is served has its test, each that is not says so.

use kafka_blocking::{ConsumerBuilder, Error};

use crate::support::refused;

/// The files of these tests.
const SOURCES: &[&str] = &[
    include_str!("bounds.rs"),
    include_str!("connecting.rs"),
    include_str!("fetching.rs"),
    include_str!("group.rs"),
    include_str!("members.rs"),
    include_str!("names.rs"),
    include_str!("reading.rs"),
    include_str!("security.rs"),
    include_str!("sharing.rs"),
    include_str!("sockets.rs"),
    include_str!("times.rs"),
    include_str!("../proxies.rs"),
    include_str!("../../integration/tests/logins/options.rs"),
    include_str!("../../integration/tests/tls_options.rs"),
];

/// The builder's methods that are no row of its table, but have a test here.
const BESIDE_THE_TABLE: &[&str] = &[
    "client_options",
    "default_offset_commit_callback",
    "key_deserializer",
    "resolver",
    "sasl",
    "selector",
    "value_deserializer",
];

/// The keyword arguments of `KafkaConsumer` in the documentation of kafka-python 2.0, in its order.
const DOCUMENTED: &str = "bootstrap_servers client_id group_id key_deserializer value_deserializer
    fetch_min_bytes fetch_max_wait_ms fetch_max_bytes max_partition_fetch_bytes request_timeout_ms
    retry_backoff_ms reconnect_backoff_ms reconnect_backoff_max_ms
    max_in_flight_requests_per_connection auto_offset_reset enable_auto_commit
    auto_commit_interval_ms default_offset_commit_callback check_crcs metadata_max_age_ms
    partition_assignment_strategy max_poll_records max_poll_interval_ms session_timeout_ms
    heartbeat_interval_ms receive_buffer_bytes send_buffer_bytes socket_options consumer_timeout_ms
    security_protocol ssl_context ssl_check_hostname ssl_cafile ssl_certfile ssl_keyfile ssl_password
    ssl_crlfile ssl_ciphers api_version api_version_auto_timeout_ms connections_max_idle_ms
    metric_reporters metrics_num_samples metrics_sample_window_ms selector exclude_internal_topics
    sasl_mechanism sasl_plain_username sasl_plain_password sasl_kerberos_service_name
    sasl_kerberos_domain_name sasl_oauth_token_provider";

/// Those that its documentation left out, or that came later, up to release 3.1.
const LATER: &str = "metric_group_prefix sock_chunk_bytes sock_chunk_buffer_count legacy_iterator
    kafka_client enable_incremental_fetch_sessions allow_auto_create_topics sasl_kerberos_name
    socks5_proxy metrics_enabled isolation_level group_instance_id receive_message_max_bytes
    bootstrap_timeout_ms client_dns_lookup client_rack proxy_url default_api_timeout_ms
    socket_connection_setup_timeout_ms socket_connection_setup_timeout_max_ms net";

#[test]
fn option_selector() {
    let error = refused(ConsumerBuilder::new().selector("selectors.PollSelector"));
    let Error::Configuration(error) = error else { panic!("{error}") };
    assert_eq!(error.option, "selector");
    assert!(error.allowed.contains("the operating system's own selector"), "{error}");
}

#[test]
fn every_option_that_is_served_has_a_test() {
    let served = ConsumerBuilder::NAMES.iter().chain(BESIDE_THE_TABLE);
    let without: Vec<_> = served.filter(|name| !tested(name)).collect();
    assert!(without.is_empty(), "no test of {without:?}");
}

#[test]
fn every_option_of_kafka_python_is_served_or_refused_with_the_reason() {
    let documented: Vec<&str> = DOCUMENTED.split_whitespace().collect();
    assert_eq!(documented.len(), 52);
    let names = documented.into_iter().chain(LATER.split_whitespace());
    for name in names.filter(|name| !ConsumerBuilder::NAMES.contains(name)) {
        let error = refused(ConsumerBuilder::new().set(name, "1"));
        let Error::Configuration(error) = error else { panic!("{name}: {error}") };
        assert_eq!(error.option, name);
        let reasons = ["leave it out: ", "it is code and no text: ", "not served by this version"];
        assert!(reasons.iter().any(|reason| error.allowed.starts_with(reason)), "{error}");
        assert!(error.to_string().starts_with(name), "{error}");
    }
}

fn tested(name: &str) -> bool {
    // The attribute stands on the line before.
    let test = format!("#[test]\nfn option_{name}() {{");
    SOURCES.iter().any(|source| source.replace("\r\n", "\n").contains(&test))
}
