//! Values that nobody may see.

use std::fmt;

use super::{FromText, Refused, Setting};

/// A value that is shown nowhere: not in errors, not in logs, not by `{:?}`.
///
/// ```
/// use kafka_blocking::setting::Secret;
///
/// assert_eq!(format!("{:?}", Secret::new("hunter2")), "…");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps this secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

// Text is always a value: a password may be `none`, or begin with a space.
impl FromText for Option<Secret> {
    const VERBATIM: bool = true;

    fn from_text(text: &str) -> Result<Self, Refused> {
        Ok(Some(Secret::new(text)))
    }
}

impl Setting<Option<Self>> for Secret {
    fn into_value(self) -> Result<Option<Self>, Refused> {
        Ok(Some(self))
    }
}

impl Setting<Self> for Option<Secret> {
    fn into_value(self) -> Result<Self, Refused> {
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_around_a_secret_belongs_to_it() {
        let secret: Option<Secret> = " none ".into_value().unwrap();
        assert_eq!(secret.unwrap().reveal(), " none ");
    }
}
