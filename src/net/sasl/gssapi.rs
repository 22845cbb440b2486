//! GSSAPI (RFC 4752): a ticket of Kerberos, by the system's library.
//!
//! Which realm, cache of tickets or keytab is used, the library finds out as in any other program: by `/etc/krb5.conf`, and by
//! `KRB5_CONFIG`, `KRB5CCNAME` and `KRB5_CLIENT_KTNAME`.

use std::mem;

use libgssapi::{
    context::{ClientCtx, CtxFlags, SecurityContext as _},
    error::{Error, MajorFlags},
    name::Name,
    oid::{GSS_MECH_KRB5, GSS_NT_HOSTBASED_SERVICE, GSS_NT_KRB5_PRINCIPAL},
};

use super::{SaslMechanism, SaslSession, SaslStep};
use crate::BoxError;

/// The longest message of a broker: more than the longest ticket (48 KiB, of users in very many groups of Active Directory).
const LONGEST_MESSAGE: usize = 64 << 10;

/// The bit that says that what follows is not protected by this mechanism. Kafka has no other way: there is TLS for that.
const NO_LAYER: u8 = 1;

/// The mechanism.
pub(crate) struct Gssapi {
    service_name: String,
    domain_name: Option<String>,
    name: Option<String>,
}

impl Gssapi {
    /// Asks for tickets for `SERVICE@DOMAIN`, where the domain is the broker's host if there is none. A `name` replaces both: a
    /// principal of Kerberos if a `/` is in it, such as `kafka/host@REALM`, or a service and its host, such as `kafka@host`.
    pub(crate) fn new(
        service_name: String,
        domain_name: Option<String>,
        name: Option<String>,
    ) -> Self {
        Self { service_name, domain_name, name }
    }

    /// Who is talked to, when the broker is on this host.
    fn target(&self, host: &str) -> String {
        // A dot at the end of a name is for DNS alone: no principal has one.
        let host = host.strip_suffix('.').unwrap_or(host);
        let domain = self.domain_name.as_deref().unwrap_or(host);
        self.name.clone().unwrap_or_else(|| format!("{}@{domain}", self.service_name))
    }
}

impl SaslMechanism for Gssapi {
    fn name(&self) -> &str {
        "GSSAPI"
    }

    fn begin(&self, host: &str) -> Result<Box<dyn SaslSession>, BoxError> {
        let target = self.target(host);
        // The library would end it at a NUL.
        if target.contains(char::is_control) {
            return Err(
                format!("the service {target:?} has a control character in its name").into()
            );
        }
        let kind =
            if target.contains('/') { GSS_NT_KRB5_PRINCIPAL } else { GSS_NT_HOSTBASED_SERVICE };
        let name = Name::new(target.as_bytes(), Some(kind))
            .map_err(|error| failed("the name of the service is not one", &target, error))?;
        // What RFC 4752 wants, and kafka-python asks for.
        let flags = CtxFlags::GSS_C_MUTUAL_FLAG | CtxFlags::GSS_C_SEQUENCE_FLAG;
        let context = ClientCtx::new(None, name, flags, Some(GSS_MECH_KRB5));
        Ok(Box::new(Session { context, target, step: Step::Begin }))
    }
}

struct Session {
    context: ClientCtx,
    target: String,
    step: Step,
}

enum Step {
    Begin,
    /// Tokens go both ways.
    Tokens,
    /// Both sides know each other, and the broker says which layers it has.
    Layers,
    /// It was told which one is used.
    Chosen,
    Over,
}

impl SaslSession for Session {
    fn step(&mut self, challenge: &[u8]) -> Result<SaslStep, BoxError> {
        if challenge.len() > LONGEST_MESSAGE {
            self.step = Step::Over;
            let length = challenge.len();
            return Err(format!(
                "the broker's message has {length} bytes: {LONGEST_MESSAGE} are accepted"
            )
            .into());
        }
        match mem::replace(&mut self.step, Step::Over) {
            Step::Begin => self.take_token(None),
            Step::Tokens => self.take_token(Some(challenge)),
            Step::Layers => self.take_layers(challenge),
            Step::Chosen if challenge.is_empty() => Ok(SaslStep::Done),
            Step::Chosen => {
                let length = challenge.len();
                Err(format!("the broker goes on with {length} bytes when all is said").into())
            }
            Step::Over => Err("this exchange is over".into()),
        }
    }
}

impl Session {
    fn take_token(&mut self, token: Option<&[u8]>) -> Result<SaslStep, BoxError> {
        let what = match token {
            None => "there is no ticket",
            Some(_) => "the broker's answer is not accepted",
        };
        let answer = self.context.step(token, None);
        let answer = answer.map_err(|error| failed(what, &self.target, error))?;
        self.step = if self.context.is_complete() { Step::Layers } else { Step::Tokens };
        // Nothing to send is sent, too, when it was the broker that had the last word: it waits for that.
        Ok(SaslStep::Send(answer.map_or_else(Vec::new, |token| token.to_vec())))
    }

    fn take_layers(&mut self, wrapped: &[u8]) -> Result<SaslStep, BoxError> {
        let failed = |what, error| failed(what, &self.target, error);
        let layers = self.context.unwrap(wrapped);
        let layers =
            layers.map_err(|error| failed("the broker's last message is not its", error))?;
        let choice = choose(&layers, &self.target)?;
        let message = self.context.wrap(false, &choice);
        let message =
            message.map_err(|error| failed("the last message cannot be signed", error))?;
        self.step = Step::Chosen;
        Ok(SaslStep::Send(message.to_vec()))
    }
}

/// The answer to a broker that says which layers it has, in a byte, and how long messages may be, in three. Like kafka-python, it
/// repeats that length, and has the name of the service as whom to act, which brokers do not look at.
fn choose(said: &[u8], target: &str) -> Result<Vec<u8>, BoxError> {
    let [layers, a, b, c] = said else {
        let length = said.len();
        return Err(
            format!("the broker says in {length} bytes which layers it has: these are 4").into()
        );
    };
    if layers & NO_LAYER == 0 {
        return Err("the broker wants all messages to be wrapped (sasl.qop is not auth), which Kafka cannot do: \
                    use SASL_SSL"
            .into());
    }
    Ok([&[NO_LAYER, *a, *b, *c], target.as_bytes()].concat())
}

/// To be called on the thread where it happened, as the library keeps its words for each thread.
fn failed(what: &str, target: &str, error: Error) -> BoxError {
    let said = words(error);
    let hint = hint(error, &said);
    format!("{what} (service {target}): {said}{hint}").into()
}

/// The words for the minor code, which say what is wrong. Those for the major code are a family's name.
fn words(error: Error) -> String {
    let both = error.to_string();
    match both.split_once(" (").and_then(|(_, minor)| minor.strip_suffix(')')) {
        Some(minor) if error.minor != 0 => minor.to_owned(),
        _ => both,
    }
}

/// What to do about it, where that is known. The library's words are English, or what the locale makes of them; then only the
/// codes help.
fn hint(error: Error, said: &str) -> &'static str {
    if said.contains("Cannot contact any KDC") {
        return ". Is the realm right in krb5.conf (or in KRB5_CONFIG's file), and is its KDC up?";
    }
    // Major codes are numbers, not bits.
    let is = |flag: MajorFlags| error.major.bits() == flag.bits();
    if is(MajorFlags::GSS_S_NO_CRED)
        || is(MajorFlags::GSS_S_CREDENTIALS_EXPIRED)
        || said.contains("expired")
    {
        return ". Get a ticket with kinit, or name a keytab in KRB5_CLIENT_KTNAME";
    }
    if said.contains("not found in Kerberos database") {
        return ". Is it what the brokers are called there? sasl_kerberos_service_name and sasl_kerberos_domain_name say it";
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gssapi(domain: Option<&str>, name: Option<&str>) -> Gssapi {
        Gssapi::new("kafka".to_owned(), domain.map(Into::into), name.map(Into::into))
    }

    #[test]
    fn the_service_is_on_the_host_unless_something_else_is_said() {
        assert_eq!(gssapi(None, None).target("h.example"), "kafka@h.example");
        assert_eq!(gssapi(None, None).target("h.example."), "kafka@h.example");
        assert_eq!(gssapi(Some("d"), None).target("h.example"), "kafka@d");
        assert_eq!(gssapi(Some("d"), Some("k/h@R")).target("h.example"), "k/h@R");
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        for (name, says) in [
            ("a\0b", r#"the service "a\0b" has a control character in its name"#),
            ("a/b@c@d", "(service a/b@c@d): "),
        ] {
            let session = gssapi(None, Some(name)).begin("h");
            let error = session.and_then(|mut session| session.step(b"")).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn the_broker_has_to_do_without_layers() {
        assert_eq!(choose(b"\x07\x01\x02\x03", "kafka@h").unwrap(), b"\x01\x01\x02\x03kafka@h");
        assert_eq!(choose(b"\x01\0\0\0", "kafka@h").unwrap(), b"\x01\0\0\0kafka@h");
        let cases: [(&[u8], &str); 4] = [
            (b"\x06\x01\x02\x03", "use SASL_SSL"),
            (b"\0\0\0\0", "use SASL_SSL"),
            (b"", "in 0 bytes"),
            (b"\x01\0\0\0\0", "in 5 bytes"),
        ];
        for (said, says) in cases {
            let error = choose(said, "kafka@h").unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_long_message_ends_the_exchange() {
        let mut session = gssapi(None, None).begin("h").unwrap();
        let error = session.step(&[0; LONGEST_MESSAGE + 1]).unwrap_err().to_string();
        assert_eq!(error, "the broker's message has 65537 bytes: 65536 are accepted");
        assert_eq!(session.step(b"").unwrap_err().to_string(), "this exchange is over");
    }

    #[test]
    fn errors_are_told_by_the_words_of_the_minor_code_and_what_to_do_about_it() {
        let error = |major: MajorFlags, minor| Error { major, minor };
        let no_cred = error(MajorFlags::GSS_S_NO_CRED, 0);
        let said = words(no_cred);
        assert!(said.contains("credentials") && !said.contains("Unspecified"), "{said}");
        assert!(hint(no_cred, "").contains("kinit"));
        let failure = error(MajorFlags::GSS_S_FAILURE, 0);
        assert!(hint(failure, "Ticket expired").contains("kinit"));
        let text = "Server x/h@R not found in Kerberos database";
        assert!(hint(failure, text).contains("sasl_kerberos_service_name"));
        assert!(hint(no_cred, "Cannot contact any KDC for realm 'R'").contains("krb5.conf"));
        assert_eq!(hint(failure, "Clock skew too great"), "");
    }

    #[test]
    fn an_exchange_may_go_on_on_another_thread() {
        fn sent<T: Send + 'static>(_: &T) {}
        sent(&gssapi(None, None).begin("h").unwrap());
        sent(&gssapi(None, None));
    }
}
