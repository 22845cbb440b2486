//! What stands in for TLS in a build without the feature `tls`: types of which there is no value.

use std::convert::Infallible;

use super::security::TlsFiles;
use crate::{
    error::Result,
    options::{FromText, Refused, Setting, checks::refuse},
};

/// There is none.
#[derive(Clone, Debug)]
pub struct TlsContext(Infallible);

/// There is none.
#[derive(Debug)]
pub struct TlsSession(Infallible);

/// There is none.
#[derive(Debug)]
pub struct Refusal(pub(super) String);

/// What the option `ssl_context` takes in a build with the feature `tls`: here there is none.
#[derive(Clone, Debug)]
pub struct SslContext(Infallible);

impl Setting<Self> for Option<SslContext> {
    fn into_value(self) -> Result<Self, Refused> {
        Ok(self)
    }
}

impl FromText for Option<SslContext> {
    fn from_text(text: &str) -> Result<Self, Refused> {
        Err(Refused::new(text, ABSENT))
    }
}

const ABSENT: &str =
    "needs TLS, which this build of kafka-blocking has not: build it with its feature `tls`";

impl TlsContext {
    pub(crate) fn from_files(_files: &TlsFiles) -> Result<Self> {
        refuse(("security_protocol", "SSL"), ABSENT)
    }

    pub(crate) fn from_context(context: SslContext) -> Self {
        match context.0 {}
    }

    pub(super) fn session(&self, _host: &str, _buffer: usize) -> Result<TlsSession, Refusal> {
        match self.0 {}
    }
}

#[allow(clippy::needless_pass_by_ref_mut, reason = "as where there is one")]
impl TlsSession {
    pub(super) fn space(&mut self) -> &mut [u8] {
        match self.0 {}
    }

    pub(super) fn received(&mut self, _n: usize) {
        match self.0 {}
    }

    pub(super) fn outgoing(&self) -> &[u8] {
        match self.0 {}
    }

    pub(super) fn handle_sent(&mut self, _n: usize) {
        match self.0 {}
    }

    pub(super) fn handshake(&mut self) -> Result<bool, Refusal> {
        match self.0 {}
    }

    pub(super) fn read(&mut self, _space: &mut [u8]) -> Result<Option<usize>, Refusal> {
        match self.0 {}
    }

    pub(super) fn write(&mut self, _bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        match self.0 {}
    }
}
