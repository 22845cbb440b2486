//! Whether the values of options fit the protocol and each other: the checks that builders share.

use std::fmt;

use super::Millis;
use crate::error::{Error, Result};

/// An option's name and its value.
pub(crate) type Named<T = Millis> = (&'static str, T);

pub(crate) fn less(smaller: Named, larger: Named) -> Result<()> {
    if smaller.1 < larger.1 {
        return Ok(());
    }
    refuse(smaller, format!("must be less than {} = {}", larger.0, larger.1))
}

pub(crate) fn no_more(smaller: Named, larger: Named) -> Result<()> {
    if smaller.1 <= larger.1 {
        return Ok(());
    }
    refuse(smaller, format!("must be no more than {} = {}", larger.0, larger.1))
}

/// The protocol counts milliseconds in an int32.
pub(crate) fn fits_int32(time: Named) -> Result<()> {
    if time.1.get().as_millis() <= i32::MAX.unsigned_abs().into() {
        return Ok(());
    }
    refuse(time, format!("must be no more than {}", i32::MAX))
}

/// The protocol counts the bytes of a text in an int16.
pub(crate) fn fits_string((name, text): Named<&str>) -> Result<()> {
    if text.len() <= 32_767 {
        return Ok(());
    }
    let shown: String = text.chars().take(40).chain(['…']).collect();
    refuse((name, shown), "must have no more than 32767 bytes")
}

pub(crate) fn refuse<T>(
    (name, value): Named<impl fmt::Display>,
    allowed: impl Into<String>,
) -> Result<T> {
    Err(Error::configuration(name, value.to_string(), allowed))
}
