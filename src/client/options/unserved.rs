//! Which names of options that all clients share are known without being served.

use super::ClientOptions;
use crate::options::unknown::{Known, Unserved};

/// The names that a set of shared options knows.
pub(super) const KNOWN: Known = Known {
    place: " of ClientOptions",
    served: ClientOptions::NAMES,
    unserved: &[&UNSERVED_BY_CLIENTS],
};

/// The names that no client serves.
pub(crate) const UNSERVED_BY_CLIENTS: Unserved = Unserved { not_served: NOT_SERVED, never: NEVER };

const NOT_SERVED: &[&str] = &[
    // Brokers that cannot be asked for their versions.
    "api_version",
    // Metrics.
    "metric_reporters",
    "metrics_num_samples",
    "metrics_sample_window_ms",
    "metrics_enabled",
    "metric_group_prefix",
];

const NEVER: &[(&str, &str)] = &[
    (
        "selector",
        "leave it out: the consumer waits with the operating system's own selector, and no other one can be given",
    ),
    ("kafka_client", "leave it out: the client inside the consumer cannot be replaced"),
    ("net", "leave it out: there is one kind of event loop"),
    ("sock_chunk_bytes", "leave it out: the consumer sizes its reads itself"),
    ("sock_chunk_buffer_count", "leave it out: the consumer sizes its reads itself"),
];
