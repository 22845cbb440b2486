//! OAUTHBEARER (RFC 7628): a token that someone else has signed.

use std::{collections::BTreeMap, mem, sync::Arc};

use super::{SaslMechanism, SaslSession, SaslStep};
use crate::{BoxError, net::told::told, options::Secret};

/// The longest answer of a broker. Kafka's say what is wrong in about 100 bytes.
const LONGEST_ANSWER: usize = 64 << 10;

/// Where the tokens for OAUTHBEARER come from.
///
/// It is asked for each connection that is made, and again when the broker wants to be shown another token. So keep one for as
/// long as it is valid, and give one that is valid for a while longer. It is asked on a helper thread, maybe on several at a
/// time, and may block; a connection is given up when its set-up takes too long. Do not tell a token in errors.
///
/// ```
/// use std::{fs, path::PathBuf};
///
/// use kafka_blocking::{BoxError, TokenProvider};
///
/// /// A file in which something else (Kubernetes, an agent) always keeps a token that is valid.
/// struct FromFile(PathBuf);
///
/// impl TokenProvider for FromFile {
///     fn token(&self) -> Result<String, BoxError> {
///         Ok(fs::read_to_string(&self.0)?.trim_end().to_owned())
///     }
/// }
///
/// # let path = std::env::temp_dir().join(format!("kafka-blocking-token-{}", std::process::id()));
/// # fs::write(&path, "eyJhbGciOiJub25lIn0.e30.\n")?;
/// let provider = FromFile(path.clone());
/// assert_eq!(provider.token()?, "eyJhbGciOiJub25lIn0.e30.");
/// assert!(provider.extensions()?.is_empty());
///
/// // A closure is one, too.
/// let closure = move || fs::read_to_string(&path).map(|token| token.trim_end().to_owned());
/// assert_eq!(TokenProvider::token(&closure)?, provider.token()?);
/// # fs::remove_file(&provider.0)?;
/// # Ok::<(), BoxError>(())
/// ```
///
/// kafka-python: `AbstractTokenProvider`.
pub trait TokenProvider: Send + Sync + 'static {
    /// A token that is valid now: printable characters of ASCII, without `Bearer` before it.
    ///
    /// # Errors
    /// Why there is none. The attempt to connect has failed then.
    fn token(&self) -> Result<String, BoxError>;

    /// What else to tell the broker with the token, by name (KIP-342).
    ///
    /// Names are letters, and not `auth`. Values are not empty, and have printable characters of ASCII, spaces, tabs and ends
    /// of lines.
    ///
    /// # Errors
    /// As for [`token`](Self::token).
    fn extensions(&self) -> Result<BTreeMap<String, String>, BoxError> {
        Ok(BTreeMap::new())
    }
}

impl<F, E> TokenProvider for F
where
    F: Fn() -> Result<String, E> + Send + Sync + 'static,
    E: Into<BoxError>,
{
    fn token(&self) -> Result<String, BoxError> {
        self().map_err(Into::into)
    }
}

/// The mechanism.
pub(crate) struct OauthBearer(Arc<dyn TokenProvider>);

impl OauthBearer {
    /// Shows the tokens of this one.
    pub(crate) fn new(provider: Arc<dyn TokenProvider>) -> Self {
        Self(provider)
    }
}

impl SaslMechanism for OauthBearer {
    fn name(&self) -> &str {
        "OAUTHBEARER"
    }

    fn begin(&self, _host: &str) -> Result<Box<dyn SaslSession>, BoxError> {
        let token = self.0.token().map_err(|e| format!("the token provider has no token: {e}"))?;
        check_token(&token)?;
        let extensions = self.0.extensions().map_err(|error| {
            let error = told(error.to_string().as_bytes(), &token);
            format!("the token provider has no extensions: {error}")
        })?;
        let mut message = format!("n,,\x01auth=Bearer {token}");
        for (name, value) in &extensions {
            check_extension(name, value)?;
            message.extend(["\x01", name, "=", value]);
        }
        message.push_str("\x01\x01");
        Ok(Box::new(Session { token, step: Step::Begin(message) }))
    }
}

fn check_token(token: &str) -> Result<(), BoxError> {
    if token.is_empty() {
        return Err("the token provider gives an empty token".into());
    }
    let wrong = token.char_indices().find(|(_, c)| !c.is_ascii_graphic());
    wrong.map_or(Ok(()), |(at, character)| {
        let which = match character {
            '\r' | '\n' => "an end of line",
            ' ' => "a space",
            c if c.is_control() => "a control character",
            _ => "a character that is not ASCII",
        };
        let length = token.len();
        Err(format!("the token provider gives a token with {which} (byte {at} of {length})").into())
    })
}

fn check_extension(name: &str, value: &str) -> Result<(), BoxError> {
    let wrong = if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        "its name may have letters of ASCII only"
    } else if name == "auth" {
        "this name is the token's"
    } else if value.is_empty() {
        "it has no value, and brokers refuse that"
    } else if !value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n')) {
        "its value has a control character, or one that is not ASCII"
    } else {
        return Ok(());
    };
    Err(format!("the token provider gives an extension {name:?} that cannot be sent: {wrong}")
        .into())
}

struct Session {
    token: String,
    step: Step,
}

enum Step {
    Begin(String),
    /// The token has gone.
    Shown,
    /// The broker has said why it refuses the token, and was told to end the exchange.
    Refused(String),
    Over,
}

impl SaslSession for Session {
    fn step(&mut self, challenge: &[u8]) -> Result<SaslStep, BoxError> {
        match mem::replace(&mut self.step, Step::Over) {
            Step::Begin(message) => {
                self.step = Step::Shown;
                Ok(SaslStep::Send(message.into()))
            }
            Step::Shown if challenge.is_empty() => Ok(SaslStep::Done),
            Step::Shown if challenge.len() > LONGEST_ANSWER => {
                let length = challenge.len();
                Err(format!(
                    "the broker's answer has {length} bytes: {LONGEST_ANSWER} are accepted"
                )
                .into())
            }
            Step::Shown => {
                self.step = Step::Refused(told(challenge, &self.token));
                // A broker says why, has that confirmed, and only then ends the exchange (RFC 7628, section 3.2.3).
                Ok(SaslStep::Send(vec![0x01]))
            }
            // Normally a broker ends it with an error of its own, and does not come here.
            Step::Refused(why) => Err(format!("the broker refuses the token: {why}").into()),
            Step::Over => Err("this exchange is over".into()),
        }
    }

    fn secret(&self) -> Option<Secret> {
        Some(Secret::new(self.token.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Provider(&'static str, Vec<(&'static str, &'static str)>);

    impl TokenProvider for Provider {
        fn token(&self) -> Result<String, BoxError> {
            Ok(self.0.to_owned())
        }

        fn extensions(&self) -> Result<BTreeMap<String, String>, BoxError> {
            Ok(self
                .1
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect())
        }
    }

    fn begun(provider: impl TokenProvider) -> Result<Box<dyn SaslSession>, BoxError> {
        OauthBearer::new(Arc::new(provider)).begin("h")
    }

    /// An exchange in which this token has gone.
    fn shown(token: &'static str) -> Box<dyn SaslSession> {
        let mut session = begun(Provider(token, Vec::new())).unwrap();
        session.step(b"").unwrap();
        session
    }

    fn sent(text: &str) -> SaslStep {
        SaslStep::Send(text.into())
    }

    #[test]
    fn a_token_is_shown_and_an_empty_answer_is_the_end() {
        let mut session = begun(|| Ok::<_, BoxError>("a.b-c_d~e+f/g==".to_owned())).unwrap();
        let message = "n,,\x01auth=Bearer a.b-c_d~e+f/g==\x01\x01";
        assert_eq!(session.step(b"").unwrap(), sent(message));
        assert_eq!(session.step(b"").unwrap(), SaslStep::Done);
        assert!(session.step(b"").is_err());
    }

    #[test]
    fn extensions_stand_behind_the_token() {
        let extensions = vec![("traceId", "1 2\t3\r\n"), ("logicalCluster", "lkc=1")];
        let mut session = begun(Provider("t", extensions)).unwrap();
        let message = "n,,\x01auth=Bearer t\x01logicalCluster=lkc=1\x01traceId=1 2\t3\r\n\x01\x01";
        assert_eq!(session.step(b"").unwrap(), sent(message));
    }

    #[test]
    fn fault_275_a_broker_that_says_what_is_wrong_is_answered_once_and_quoted() {
        let mut session = shown("t0ken");
        let json = br#"{"status":"invalid_token","of":"t0ken"}"#;
        assert_eq!(session.step(json).unwrap(), sent("\x01"));
        // Also where the broker then says that all is well: the token was refused.
        let error = session.step(b"").unwrap_err().to_string();
        assert_eq!(error, r#"the broker refuses the token: {"status":"invalid_token","of":"…"}"#);
        assert_eq!(session.step(b"").unwrap_err().to_string(), "this exchange is over");
    }

    #[test]
    fn fault_275_a_long_answer_ends_the_exchange() {
        let error = shown("t").step(&[b'x'; LONGEST_ANSWER + 1]).unwrap_err().to_string();
        assert_eq!(error, "the broker's answer has 65537 bytes: 65536 are accepted");
        let mut session = shown("t");
        session.step(&[b'x'; LONGEST_ANSWER]).unwrap();
        assert!(session.step(b"").unwrap_err().to_string().len() < 500);
    }

    #[test]
    fn fault_275_whatever_a_broker_answers_is_no_success_but_for_nothing() {
        let mut random = fastrand::Rng::with_seed(275);
        for _ in 0..2_000 {
            let mut session = shown("t");
            let answer: Vec<u8> = (0..random.usize(1..300)).map(|_| random.u8(..)).collect();
            assert_eq!(session.step(&answer).unwrap(), sent("\x01"));
            let error = session.step(&answer).unwrap_err().to_string();
            assert!(!error.contains(char::is_control), "{error:?}");
        }
    }

    #[test]
    fn fault_275_a_provider_that_fails_is_quoted() {
        let error = |provider: fn() -> Result<String, BoxError>| begun(provider).err().unwrap();
        let error = error(|| Err("no route to the identity provider".into()));
        let text = "the token provider has no token: no route to the identity provider";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn fault_276_a_token_is_in_no_error() {
        struct Telling;
        impl TokenProvider for Telling {
            fn token(&self) -> Result<String, BoxError> {
                Ok("t0ken".to_owned())
            }
            fn extensions(&self) -> Result<BTreeMap<String, String>, BoxError> {
                Err("nothing for t0ken".into())
            }
        }
        let error = begun(Telling).err().unwrap().to_string();
        assert_eq!(error, "the token provider has no extensions: nothing for …");
    }

    #[test]
    fn fault_275_a_token_that_cannot_be_one_is_refused_without_being_told() {
        let cases = [
            ("", "an empty token"),
            ("t0ken\n", "a token with an end of line (byte 5 of 6)"),
            ("t0\x01ken", "a token with a control character (byte 2 of 6)"),
            ("t0ken\0", "a control character"),
            ("t0 ken", "a token with a space (byte 2 of 6)"),
            ("t0kén", "a token with a character that is not ASCII (byte 3 of 6)"),
        ];
        for (token, says) in cases {
            let error = begun(Provider(token, Vec::new())).err().expect(token).to_string();
            assert!(error.contains(says) && !error.contains("t0"), "{error}");
        }
    }

    #[test]
    fn extensions_that_would_change_the_message_are_refused() {
        let cases = [
            ("", "x", "letters of ASCII only"),
            ("a1", "x", "letters of ASCII only"),
            ("a=b", "x", "letters of ASCII only"),
            ("ä", "x", "letters of ASCII only"),
            ("a\x01", "x", r#"extension "a\u{1}" that cannot be sent"#),
            ("auth", "Bearer x", "this name is the token's"),
            ("a", "", "it has no value"),
            ("a", "x\x01auth=Bearer y", "has a control character"),
            ("a", "\x7f", "has a control character"),
            ("a", "é", "not ASCII"),
        ];
        for (name, value, says) in cases {
            let error = begun(Provider("t", vec![(name, value)])).err().expect(name).to_string();
            assert!(error.contains(says) && !error.contains("Bearer"), "{error}");
        }
    }
}
