//! What the options `ssl_*` name: certificates, keys and lists, as files or as text.

use std::{fs::File, io::Read};

use crate::{
    error::Result,
    options::{Pem, checks::refuse},
};

/// What an option names, read.
pub(super) struct Loaded<'a> {
    option: &'static str,
    pem: &'a Pem,
    pub(super) bytes: Vec<u8>,
}

impl<'a> Loaded<'a> {
    /// Reads it.
    pub(super) fn new(option: &'static str, pem: &'a Pem) -> Result<Self> {
        /// No list of revoked certificates is longer.
        const LONGEST: u64 = 256 << 20;
        let bytes = match pem {
            Pem::Text(text) => text.reveal().as_bytes().to_vec(),
            Pem::Path(path) => {
                let mut bytes = Vec::new();
                let read = File::open(path)
                    .and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes));
                match read {
                    Ok(n) if n as u64 > LONGEST => {
                        return refuse((option, pem), "is larger than 256 MiB");
                    }
                    Ok(_) => bytes,
                    Err(error) => return refuse((option, pem), format!("cannot be read: {error}")),
                }
            }
        };
        Ok(Self { option, pem, bytes })
    }

    /// An option that may be left out.
    pub(super) fn optional(option: &'static str, pem: Option<&'a Pem>) -> Result<Option<Self>> {
        pem.map(|pem| Self::new(option, pem)).transpose()
    }

    /// Refuses what it is.
    pub(super) fn refuse<T>(&self, why: impl Into<String>) -> Result<T> {
        refuse((self.option, self.pem), why)
    }

    /// Whether it is a key that needs a password.
    pub(super) fn is_encrypted(&self) -> bool {
        contains(&self.bytes, b"ENCRYPTED")
    }

    /// Whether there is a key in it.
    pub(super) fn has_key(&self) -> bool {
        contains(&self.bytes, b"PRIVATE KEY-----")
    }
}

fn contains(bytes: &[u8], sign: &[u8]) -> bool {
    bytes.windows(sign.len()).any(|window| window == sign)
}
