//! The step in which a proxy connects us with the broker.

use std::{io, time::Instant};

use super::{Connection, Failure, State};
use crate::net::proxy::{Proxy, Said, Target, Tunnel};

/// What a proxy may say before it has connected us, in bytes.
const LONGEST: usize = 64 << 10;

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
        match tunnel.handle(self.staging.data()) {
            Ok(Said::Wait) if self.staging.data().len() < LONGEST => Ok(()),
            Ok(Said::Wait) => Err(self.refused_by_proxy("it does not come to an end".to_owned())),
            Ok(Said::Answer(taken, answer)) => {
                self.staging.consume(taken);
                self.out.extend_from_slice(&answer);
                self.active = now;
                self.handle_proxy(now)
            }
            Ok(Said::Connected(taken)) => {
                self.staging.consume(taken);
                // Brokers, and TLS, let the client speak first.
                if !self.staging.data().is_empty() {
                    let text = "it says more than that the broker is connected".to_owned();
                    return Err(self.refused_by_proxy(text));
                }
                self.tunnel = None;
                self.begin(now)
            }
            Err(text) => Err(self.refused_by_proxy(text)),
        }
    }

    fn refused_by_proxy(&self, text: String) -> Failure {
        self.failure(io::ErrorKind::ConnectionRefused, format!("the proxy: {text}"))
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
