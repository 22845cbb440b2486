//! PLAIN (RFC 4616): the name and the password, as they are.

use super::{SaslMechanism, SaslSession, SaslStep};
use crate::{BoxError, options::Secret};

/// The mechanism.
pub(crate) struct Plain {
    username: String,
    password: Secret,
}

impl Plain {
    /// Logs in as this user. Neither has a NUL in it.
    pub(crate) fn new(username: String, password: Secret) -> Self {
        Self { username, password }
    }
}

impl SaslMechanism for Plain {
    fn name(&self) -> &str {
        "PLAIN"
    }

    fn begin(&self, _host: &str) -> Result<Box<dyn SaslSession>, BoxError> {
        let message = ["", &self.username, self.password.reveal()].join("\0");
        Ok(Box::new(Session { message: Some(message), password: self.password.clone() }))
    }
}

struct Session {
    message: Option<String>,
    password: Secret,
}

impl SaslSession for Session {
    fn step(&mut self, _challenge: &[u8]) -> Result<SaslStep, BoxError> {
        // Whether the broker is content, it says by itself.
        Ok(self.message.take().map_or(SaslStep::Done, |message| SaslStep::Send(message.into())))
    }

    fn secret(&self) -> Option<Secret> {
        Some(self.password.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_has_no_other_name_to_act_as() {
        let mechanism = Plain::new("tim".to_owned(), Secret::new("tanstaaftanstaaf"));
        let mut session = mechanism.begin("h").unwrap();
        let message = b"\0tim\0tanstaaftanstaaf".to_vec();
        assert_eq!(session.step(b"").unwrap(), SaslStep::Send(message));
        assert_eq!(session.step(b"").unwrap(), SaslStep::Done);
    }
}
