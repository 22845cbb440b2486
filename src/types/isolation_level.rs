//! Whether records of transactions are read before they are committed.

use crate::options::{FromNumber, Refused, closed_set};

/// Whether records of transactions are read before they are committed, and when they were aborted.
///
/// Reads as kafka-python's texts, in any case and with `-` for `_`, and as the numbers of the protocol.
///
/// ```
/// use kafka_blocking::IsolationLevel;
///
/// assert_eq!("read_committed".parse::<IsolationLevel>()?, IsolationLevel::ReadCommitted);
/// assert_eq!("READ-UNCOMMITTED".parse::<IsolationLevel>()?, IsolationLevel::ReadUncommitted);
/// assert!("committed".parse::<IsolationLevel>().is_err());
/// # Ok::<(), kafka_blocking::Error>(())
/// ```
///
/// kafka-python: `IsolationLevel`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IsolationLevel {
    /// All records, whatever became of their transaction.
    #[default]
    ReadUncommitted,
    /// Records of committed transactions and of none, up to the first that belongs to an open transaction.
    ReadCommitted,
}

impl IsolationLevel {
    /// The number that stands for it in requests.
    #[must_use]
    pub const fn code(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

closed_set! {
    IsolationLevel, "isolation_level" {
        ReadUncommitted: "read_uncommitted" | "0",
        ReadCommitted: "read_committed" | "1"
    },
    "must be read_uncommitted or read_committed"
}

impl FromNumber for IsolationLevel {
    fn from_number(number: i128) -> Result<Self, Refused> {
        match number {
            0 => Ok(Self::ReadUncommitted),
            1 => Ok(Self::ReadCommitted),
            _ => Err(Refused::new(number, "must be 0, read_uncommitted, or 1, read_committed")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Setting;

    fn value(setting: impl Setting<IsolationLevel>) -> Result<IsolationLevel, Refused> {
        setting.into_value()
    }

    #[test]
    fn an_isolation_level_is_taken_as_kafka_python_takes_it() {
        for text in ["read_committed", "READ_COMMITTED", "read-committed", " Read-Committed ", "1"]
        {
            assert_eq!(value(text), Ok(IsolationLevel::ReadCommitted), "{text}");
        }
        for text in ["read_uncommitted", "read-uncommitted", "0"] {
            assert_eq!(value(text), Ok(IsolationLevel::ReadUncommitted), "{text}");
        }
        assert_eq!(value(0), Ok(IsolationLevel::ReadUncommitted));
        assert_eq!(value(1_u8), Ok(IsolationLevel::ReadCommitted));
        assert_eq!(value(IsolationLevel::ReadCommitted), Ok(IsolationLevel::ReadCommitted));
    }

    #[test]
    fn any_other_isolation_level_is_refused_with_those_that_there_are() {
        for text in ["", "committed", "read committed", "2", "none"] {
            let refused = value(text).unwrap_err();
            assert_eq!(refused.value, text);
            assert_eq!(refused.allowed, "must be read_uncommitted or read_committed");
        }
        assert_eq!(value(2).unwrap_err().value, "2");
        assert_eq!(value(-1).unwrap_err().value, "-1");
    }

    #[test]
    fn an_isolation_level_has_its_text_and_the_number_of_the_protocol() {
        assert_eq!(IsolationLevel::ReadCommitted.to_string(), "read_committed");
        assert_eq!(IsolationLevel::default().to_string(), "read_uncommitted");
        assert_eq!(IsolationLevel::ReadUncommitted.code(), 0);
        assert_eq!(IsolationLevel::ReadCommitted.code(), 1);
    }
}
