//! The way to a broker through a proxy, as a step of its connection: what to say to the proxy, and whether it lets us through.

use std::net::IpAddr;

use super::servers::HostPort;

mod http;
mod socks5;
mod url;

pub use url::{Proxy, Scheme};

/// Where the proxy is to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The broker, by the name that it is known by.
    pub broker: HostPort,
    /// Its address, where the client and not the proxy has looked it up.
    pub address: Option<IpAddr>,
}

/// What a proxy is told, and has told, so far.
#[derive(Debug)]
pub(super) enum Tunnel {
    Socks5(socks5::Socks5),
    Http(http::Connect),
}

/// What comes of what a proxy said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It has not said enough.
    Wait,
    /// It took so many bytes to say that it wants to hear this.
    Answer(usize, Vec<u8>),
    /// It took so many bytes to say that the broker is connected.
    Connected(usize),
}

/// Why a proxy does not let us through.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// It does not accept the name and the password, or their absence.
    Login(String),
    /// Anything else.
    Other(String),
}

impl From<&str> for Denied {
    fn from(text: &str) -> Self {
        Self::Other(text.to_owned())
    }
}

impl Tunnel {
    /// Begins, with what is to be said first.
    pub(super) fn begin(proxy: &Proxy, target: &Target) -> (Self, Vec<u8>) {
        match proxy.scheme {
            Scheme::Http => {
                let (connect, first) = http::Connect::begin(proxy, target);
                (Self::Http(connect), first)
            }
            Scheme::Socks5 | Scheme::Socks5h => {
                let (socks5, first) = socks5::Socks5::begin(proxy, target);
                (Self::Socks5(socks5), first)
            }
        }
    }

    /// The proxy has said this, and perhaps not all of it yet.
    ///
    /// # Errors
    /// Why it does not let us through, or that it is no proxy of this kind.
    pub(super) fn handle(&mut self, said: &[u8]) -> Result<Said, Denied> {
        match self {
            Self::Socks5(socks5) => socks5.handle(said),
            Self::Http(connect) => connect.handle(said),
        }
    }
}
