//! The options whose values are a closed set.

use std::{fmt, str::FromStr};

use crate::{
    error::Error,
    options::{FromText, Refused, Setting},
};

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

/// Gives an enum its texts: reading them in any case, displaying the first of each, and the error that lists them.
macro_rules! closed_set {
    ($type:ident, $option:literal { $($variant:ident: $text:literal $(| $other:literal)*),* }, $allowed:literal) => {
        impl FromText for $type {
            fn from_text(text: &str) -> Result<Self, Refused> {
                match text.to_ascii_lowercase().as_str() {
                    $($text $(| $other)* => Ok(Self::$variant),)*
                    _ => Err(Refused::new(text, $allowed)),
                }
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                Self::from_text(text).map_err(|refused| {
                    Error::configuration($option, refused.value, refused.allowed)
                })
            }
        }

        impl Setting<Self> for $type {
            fn into_value(self) -> Result<Self, Refused> {
                Ok(self)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $text,)*
                })
            }
        }
    };
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
