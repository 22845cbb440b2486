//! Why an option by this name cannot be set: it is not served yet, never will be, or does not exist.

use super::ConsumerBuilder;
use crate::options::Refused;

/// Options of kafka-python that this version does not serve.
pub(super) const NOT_SERVED: &[&str] = &[
    // The group.
    "group_id",
    "group_instance_id",
    "enable_auto_commit",
    "auto_commit_interval_ms",
    "default_offset_commit_callback",
    "partition_assignment_strategy",
    "max_poll_interval_ms",
    "session_timeout_ms",
    "heartbeat_interval_ms",
    "group_protocol",
    "group_remote_assignor",
    // Records.
    "key_deserializer",
    "value_deserializer",
    // Security and the way to the brokers.
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
    "sasl_kerberos_name",
    "sasl_kerberos_service_name",
    "sasl_kerberos_domain_name",
    "sasl_oauth_token_provider",
    "proxy_url",
    "socks5_proxy",
    "api_version",
    // Metrics.
    "metric_reporters",
    "metrics_num_samples",
    "metrics_sample_window_ms",
    "metrics_enabled",
    "metric_group_prefix",
];

/// Options that have no meaning here, with the reason.
pub(super) const NEVER: &[(&str, &str)] = &[
    (
        "selector",
        "leave it out: the consumer waits with the operating system's own selector, and no other one can be given",
    ),
    ("kafka_client", "leave it out: the client inside the consumer cannot be replaced"),
    ("net", "leave it out: there is one kind of event loop"),
    ("sock_chunk_bytes", "leave it out: the consumer sizes its reads itself"),
    ("sock_chunk_buffer_count", "leave it out: the consumer sizes its reads itself"),
    ("legacy_iterator", "leave it out: there is one kind of iteration"),
];

/// Why there is nothing to set under this name; the value is repeated only where it is no secret.
pub(super) fn reason(name: &str, value: &str) -> Refused {
    let shown = if may_be_secret(name) { "…" } else { value.trim() };
    if NOT_SERVED.contains(&name) {
        return Refused::new(shown, "not served by this version of kafka-blocking");
    }
    if let Some((_, reason)) = NEVER.iter().find(|(never, _)| *never == name) {
        return Refused::new(shown, *reason);
    }
    match closest(name) {
        Some(close) => Refused::new(shown, format!("no such option; is it {close}?")),
        None => Refused::new(shown, "no such option"),
    }
}

/// Also for names that are misspelt, and for the address of a proxy, which may have a password in it.
fn may_be_secret(name: &str) -> bool {
    ["pass", "pwd", "secret", "token", "key", "cred", "proxy", "sasl"]
        .iter()
        .any(|sign| name.to_ascii_lowercase().contains(sign))
}

/// The option whose name differs least, if it differs by less than a third.
///
/// Java's names, with dots, and those of command lines, with hyphens, are near by that.
fn closest(name: &str) -> Option<&'static str> {
    // A name much longer than any option's is near to none; this bounds the work as well.
    if name.len() > 100 {
        return None;
    }
    let name = name.trim().to_ascii_lowercase().replace(['.', '-'], "_");
    let names = ConsumerBuilder::NAMES.iter().chain(NOT_SERVED).copied();
    names
        .map(|other| (distance(&name, other), other))
        .min()
        .filter(|(distance, other)| distance * 3 < other.len())
        .map(|(_, other)| other)
}

/// How many bytes have to be changed, put in or taken out to make the one of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_changes() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest_one() {
        for (name, meant) in [
            ("fetch_min_byte", "fetch_min_bytes"),
            ("fetch.min.bytes", "fetch_min_bytes"),
            ("max-poll-records", "max_poll_records"),
            ("bootstrap_server", "bootstrap_servers"),
            ("Group_ID", "group_id"),
        ] {
            assert_eq!(closest(name), Some(meant), "{name}");
        }
        assert_eq!(closest("acks"), None);
        assert_eq!(closest(&"x".repeat(1000)), None);
    }
}
