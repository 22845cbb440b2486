//! What to do with a name that has several addresses.

use crate::options::closed_set;

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
    DnsLookup, "client_dns_lookup" {
        UseAllDnsIps: "use_all_dns_ips",
        ResolveCanonicalBootstrapServersOnly: "resolve_canonical_bootstrap_servers_only"
    },
    "must be use_all_dns_ips or resolve_canonical_bootstrap_servers_only"
}
