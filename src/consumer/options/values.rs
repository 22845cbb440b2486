//! The options whose values are a closed set.

use crate::options::closed_set;

/// Where reading begins without a position, and goes on when the position is out of the log.
///
/// ```
/// use kafka_blocking::OffsetReset;
///
/// assert_eq!("earliest".parse::<OffsetReset>()?, OffsetReset::Earliest);
/// assert_eq!("largest".parse::<OffsetReset>()?, OffsetReset::Latest);
/// assert!("bogus".parse::<OffsetReset>().is_err());
/// # Ok::<(), kafka_blocking::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OffsetReset {
    /// At the oldest record that there is.
    Earliest,
    /// After the newest record, so with those that come from now on.
    Latest,
    /// Nowhere: it is an error, and the caller says where to go.
    None,
}

/// What to do with a name that has several addresses.
///
/// ```
/// use kafka_blocking::DnsLookup;
///
/// assert_eq!("use_all_dns_ips".parse::<DnsLookup>()?, DnsLookup::UseAllDnsIps);
/// # Ok::<(), kafka_blocking::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DnsLookup {
    /// They belong to one server: try one after the other until one connects.
    UseAllDnsIps,
    /// For bootstrap servers, each is a server of its own, called by its canonical name.
    ResolveCanonicalBootstrapServersOnly,
}

closed_set! {
    OffsetReset, "auto_offset_reset" {
        Earliest: "earliest" | "smallest",
        Latest: "latest" | "largest",
        None: "none"
    },
    "must be earliest, latest or none"
}

closed_set! {
    DnsLookup, "client_dns_lookup" {
        UseAllDnsIps: "use_all_dns_ips",
        ResolveCanonicalBootstrapServersOnly: "resolve_canonical_bootstrap_servers_only"
    },
    "must be use_all_dns_ips or resolve_canonical_bootstrap_servers_only"
}
