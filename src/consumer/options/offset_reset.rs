//! Where reading begins.

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

closed_set! {
    OffsetReset, "auto_offset_reset" {
        Earliest: "earliest" | "smallest",
        Latest: "latest" | "largest",
        None: "none"
    },
    "must be earliest, latest or none"
}
