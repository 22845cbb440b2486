//! The step in which a proxy connects us with the broker.

use std::{io, time::Instant};

use super::{Connection, Failure, Refused, State};
use crate::net::proxy::{Denied, Proxy, Said, Target, Tunnel};

impl Connection {
    /// The same through a proxy, which the socket connects to.
    #[must_use]
    pub fn through(mut self, proxy: &Proxy, target: &Target) -> Self {
        let (tunnel, first) = Tunnel::begin(proxy, target);
        self.tunnel = Some(tunnel);
        self.out = first;
        self
    }

    /// The proxy has said something.
    pub(super) fn handle_proxy(&mut self, now: Instant) -> Result<(), Failure> {
        let Some(tunnel) = &mut self.tunnel else { return Ok(()) };
        let said = tunnel.handle(self.staging.data()).map_err(|denied| self.denied(denied))?;
        if said != Said::Wait && self.sent < self.out.len() {
            return Err(self.denied(Denied::Other("it answers before it was asked".to_owned())));
        }
        match said {
            Said::Wait => Ok(()),
            Said::Answer(taken, answer) => {
                self.staging.consume(taken);
                self.out.extend_from_slice(&answer);
                self.active = now;
                self.handle_proxy(now)
            }
            Said::Connected(taken) => {
                self.staging.consume(taken);
                // Brokers, and TLS, let the client speak first.
                if !self.staging.data().is_empty() {
                    let text = "it says more than that the broker is connected".to_owned();
                    return Err(self.denied(Denied::Other(text)));
                }
                self.tunnel = None;
                self.begin(now)
            }
        }
    }

    fn denied(&self, denied: Denied) -> Failure {
        let (text, refused) = match denied {
            Denied::Login(text) => (text, Some(Refused::Login)),
            Denied::Other(text) => (text, None),
        };
        let failure = self.failure(io::ErrorKind::ConnectionRefused, format!("the proxy: {text}"));
        Failure { refused, ..failure }
    }

    /// There is a way to the broker: the first bytes for it.
    pub(super) fn begin(&mut self, now: Instant) -> Result<(), Failure> {
        if self.encryption.is_some() {
            return self.begin_tls(now);
        }
        self.ask_versions(self.limits.first_versions, now);
        Ok(())
    }

    /// The socket is connected, with the proxy.
    pub(super) fn begin_tunnel(&mut self, now: Instant) {
        self.renew_setup(now);
        self.state = State::Tunnelling;
    }
}
