//! SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677), the client's half: both sides prove that they know the password, and
//! neither says it.
//!
//! The name of the user and the password are sent and hashed as they are, in UTF-8, as the Java client, the brokers'
//! `kafka-configs` and kafka-python do: no SASLprep. So a password has to be written with the same code points (composed or
//! not) as where it was set. Kafka's own brokers know no users whose names are not ASCII, and answer that the credentials are
//! wrong. A name with an ASCII control character is refused here, as no user can have one.

use std::mem;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use self::keys::{Hash, xor};
use super::{SaslMechanism, SaslSession, SaslStep};
use crate::{BoxError, net::told::told, options::Secret};

pub(crate) mod keys;

/// The longest message of a broker. Theirs have about 150 bytes.
const LONGEST_MESSAGE: usize = 4096;

/// The longest salt. Kafka's have about 20 bytes.
const LONGEST_SALT: usize = 1024;

/// RFC 7677 wants that many, and Kafka sets no fewer.
const FEWEST_ITERATIONS: u32 = 4096;

/// A second or two. What is more than that was not said by a broker that wants to serve.
const MOST_ITERATIONS: u32 = 1_000_000;

/// The mechanism.
pub(crate) struct Scram {
    hash: Hash,
    username: String,
    password: Secret,
}

impl Scram {
    /// Logs in as this user, by SCRAM-SHA-256.
    pub(crate) fn sha256(username: String, password: Secret) -> Self {
        Self { hash: Hash::Sha256, username, password }
    }

    /// Logs in as this user, by SCRAM-SHA-512.
    pub(crate) fn sha512(username: String, password: Secret) -> Self {
        Self { hash: Hash::Sha512, username, password }
    }

    /// An exchange with this nonce, in which no comma is.
    fn session(&self, nonce: &str) -> Result<Session, BoxError> {
        if self.username.contains(|c: char| c.is_ascii_control()) {
            return Err(
                "the name of the user has a control character, which no user of SCRAM can have"
                    .into(),
            );
        }
        let name = self.username.replace('=', "=3D").replace(',', "=2C");
        Ok(Session {
            hash: self.hash,
            password: self.password.clone(),
            nonce: nonce.to_owned(),
            step: Step::Begin,
            bare: format!("n={name},r={nonce}"),
        })
    }
}

impl SaslMechanism for Scram {
    fn name(&self) -> &str {
        self.hash.mechanism()
    }

    fn begin(&self, _host: &str) -> Result<Box<dyn SaslSession>, BoxError> {
        let mut random = [0; 24];
        getrandom::fill(&mut random).map_err(|e| format!("there are no random numbers: {e}"))?;
        Ok(Box::new(self.session(&STANDARD.encode(random))?))
    }
}

struct Session {
    hash: Hash,
    password: Secret,
    nonce: String,
    /// The first message, without the header that says that there is no channel binding.
    bare: String,
    step: Step,
}

enum Step {
    Begin,
    /// The first message has gone.
    Asked,
    Proven(Expected),
    /// Done, or failed for good: nothing more is sent or believed.
    Over,
}

/// What the broker's last message is held against.
struct Expected {
    server_key: Vec<u8>,
    /// What both sides sign.
    signed: String,
    proof: String,
}

impl SaslSession for Session {
    fn step(&mut self, challenge: &[u8]) -> Result<SaslStep, BoxError> {
        match mem::replace(&mut self.step, Step::Over) {
            Step::Begin => {
                self.step = Step::Asked;
                Ok(SaslStep::Send(format!("n,,{}", self.bare).into()))
            }
            Step::Asked => {
                let text = text(challenge).map_err(|wrong| in_first(&wrong))?;
                let first = First::parse(text, &self.nonce).map_err(|wrong| in_first(&wrong))?;
                let (message, expected) = self.prove(text, &first);
                self.step = Step::Proven(expected);
                Ok(SaslStep::Send(message.into()))
            }
            Step::Proven(expected) => {
                expected.check(self.hash, challenge)?;
                Ok(SaslStep::Done)
            }
            Step::Over => Err("this exchange is over".into()),
        }
    }
}

impl Session {
    fn prove(&self, said: &str, first: &First<'_>) -> (String, Expected) {
        let keys = self.hash.keys(self.password.reveal(), &first.salt, first.iterations);
        // The header again, in Base64: `n,,`.
        let without_proof = format!("c=biws,r={}", first.nonce);
        let signed = format!("{},{said},{without_proof}", self.bare);
        let signature = self.hash.mac(&keys.stored, signed.as_bytes());
        let proof = STANDARD.encode(xor(&keys.client, &signature));
        let message = format!("{without_proof},p={proof}");
        (message, Expected { server_key: keys.server, signed, proof })
    }
}

fn in_first(wrong: &str) -> BoxError {
    format!("the broker's first message {wrong}").into()
}

/// A broker's first message: `r=NONCE,s=SALT,i=ITERATIONS[,EXTENSION]…`.
struct First<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: u32,
}

impl<'a> First<'a> {
    /// # Errors
    /// What is wrong with it, to be said behind its name.
    fn parse(text: &'a str, own_nonce: &str) -> Result<Self, String> {
        if let Some(error) = text.strip_prefix("e=") {
            return Err(format!("is an error: {}", told(error.as_bytes(), "")));
        }
        // Whoever does not know what it demands has to give up (RFC 5802, section 5.1).
        if text.split(',').any(|field| field.starts_with("m=")) {
            return Err("demands an extension (m=) that this client does not have".to_owned());
        }
        let mut fields = text.split(',');
        let mut next = |name| {
            let field = fields.next().and_then(|field| field.strip_prefix(name));
            field.ok_or_else(|| format!("has no {name} where it belongs"))
        };
        let (nonce, salt, iterations) = (next("r=")?, next("s=")?, next("i=")?);
        let added = nonce.strip_prefix(own_nonce).filter(|added| !added.is_empty());
        if !added.is_some_and(|added| added.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(
                "has a nonce that does not go on from the client's: it answers another client, \
                        or comes from someone who does not know what was asked"
                    .to_owned(),
            );
        }
        Ok(Self { nonce, salt: parse_salt(salt)?, iterations: parse_iterations(iterations)? })
    }
}

fn parse_salt(text: &str) -> Result<Vec<u8>, String> {
    match STANDARD.decode(text) {
        Ok(salt) if salt.is_empty() => Err("has an empty salt".to_owned()),
        Ok(salt) if salt.len() > LONGEST_SALT => {
            Err(format!("has a salt of more than {LONGEST_SALT} bytes"))
        }
        Ok(salt) => Ok(salt),
        Err(_) => Err("has a salt that is not Base64".to_owned()),
    }
}

fn parse_iterations(text: &str) -> Result<u32, String> {
    // `parse` also takes `+4096`, and RFC 5802 has no leading zero.
    if text.is_empty() || text.starts_with('0') || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("has no number behind i=".to_owned());
    }
    match text.parse() {
        Ok(iterations @ FEWEST_ITERATIONS..=MOST_ITERATIONS) => Ok(iterations),
        _ => Err(format!(
            "wants the password to be hashed {} times: {FEWEST_ITERATIONS} to {MOST_ITERATIONS} are accepted",
            if text.len() > 20 { "too many" } else { text }
        )),
    }
}

impl Expected {
    /// Whether the broker's last message, `v=SIGNATURE[,EXTENSION]…`, shows that it knows the password, too.
    fn check(&self, hash: Hash, message: &[u8]) -> Result<(), BoxError> {
        let text = text(message).map_err(|wrong| format!("the broker's last message {wrong}"))?;
        if let Some(error) = text.strip_prefix("e=") {
            let error = told(error.as_bytes(), &self.proof);
            return Err(format!("the broker does not accept the proof: {error}").into());
        }
        let signature = text.split(',').next().and_then(|field| field.strip_prefix("v="));
        let Some(signature) = signature else {
            return Err("the broker's last message has no v= where it belongs: \
                        it has not shown that it knows the password"
                .into());
        };
        let right = STANDARD.decode(signature).is_ok_and(|signature| {
            hash.verify(&self.server_key, self.signed.as_bytes(), &signature)
        });
        if !right {
            return Err(
                "the broker's signature is wrong: whoever answers does not know the password, \
                        and is not the broker that it was set at"
                    .into(),
            );
        }
        Ok(())
    }
}

/// # Errors
/// What is wrong with it, to be said behind the message's name.
fn text(message: &[u8]) -> Result<&str, String> {
    if message.len() > LONGEST_MESSAGE {
        return Err(format!("has {} bytes: {LONGEST_MESSAGE} are accepted", message.len()));
    }
    str::from_utf8(message).map_err(|_| "is not in UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange that stands in RFC 7677.
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const PROOF: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const LAST: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn begun() -> Session {
        let scram = Scram::sha256("user".to_owned(), Secret::new("pencil"));
        let mut session = scram.session(NONCE).unwrap();
        assert_eq!(session.step(b"").unwrap(), sent("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"));
        session
    }

    fn proven() -> Session {
        let mut session = begun();
        assert_eq!(session.step(FIRST.as_bytes()).unwrap(), sent(PROOF));
        session
    }

    fn sent(text: &str) -> SaslStep {
        SaslStep::Send(text.into())
    }

    /// That a message is refused, for ever, and what is said of it.
    #[track_caller]
    fn refused(mut session: Session, message: &[u8], says: &str, right: &str) {
        let shown = String::from_utf8_lossy(message).into_owned();
        let error = session.step(message).expect_err(&shown).to_string();
        assert!(error.contains(says), "{shown}: {error}");
        for secret in ["pencil", "dHzbZapWIk4jUhN", "6rriTRBi23WpRR"] {
            assert!(!error.contains(secret), "{error}");
        }
        // The right one comes too late.
        let error = session.step(right.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, "this exchange is over");
    }

    #[test]
    fn the_exchange_of_rfc_7677_comes_out_as_it_stands_there() {
        let mut session = proven();
        assert_eq!(session.step(LAST.as_bytes()).unwrap(), SaslStep::Done);
        assert!(session.step(LAST.as_bytes()).is_err());
    }

    /// Not from an RFC, which has none: made by Python's `hashlib` and `hmac`.
    #[test]
    fn an_exchange_with_sha_512_comes_out_as_another_program_says() {
        let scram = Scram::sha512("user".to_owned(), Secret::new("pencil"));
        let mut session = scram.session(NONCE).unwrap();
        session.step(b"").unwrap();
        let proof = "gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==";
        let message =
            format!("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p={proof}");
        assert_eq!(session.step(FIRST.as_bytes()).unwrap(), sent(&message));
        let last = "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==";
        assert_eq!(session.step(last.as_bytes()).unwrap(), SaslStep::Done);
    }

    #[test]
    fn fault_268_no_proof_is_sent_for_a_wrong_first_message() {
        let r = "r=rOprNGfwEbeRWgbNEkqOx";
        let s = "s=W22ZaJ0SNY7soEsUEjb6gQ==";
        let long_salt = STANDARD.encode([7; LONGEST_SALT + 1]);
        let cases = [
            (String::new(), "has no r= where it belongs"),
            (format!("{s},{r},i=4096"), "has no r= where it belongs"),
            (format!("r=another-nonce,{s},i=4096"), "does not go on from the client's"),
            (format!("r={NONCE},{s},i=4096"), "does not go on from the client's"),
            (format!("r=,{s},i=4096"), "does not go on from the client's"),
            (format!("r=x{NONCE},{s},i=4096"), "does not go on from the client's"),
            (format!("{r}\u{7f},{s},i=4096"), "does not go on from the client's"),
            (format!("{r}é,{s},i=4096"), "does not go on from the client's"),
            (format!("{r},i=4096"), "has no s= where it belongs"),
            (format!("{r},s=,i=4096"), "has an empty salt"),
            (format!("{r},s=W22ZaJ0SNY7soEsUEjb6gQ,i=4096"), "has a salt that is not Base64"),
            (format!("{r},s=!,i=4096"), "has a salt that is not Base64"),
            (format!("{r},s={long_salt},i=4096"), "has a salt of more than 1024 bytes"),
            (format!("{r},{s}"), "has no i= where it belongs"),
            (format!("{r},{s},i="), "has no number behind i="),
            (format!("{r},{s},i=+4096"), "has no number behind i="),
            (format!("{r},{s},i=-4096"), "has no number behind i="),
            (format!("{r},{s},i=04096"), "has no number behind i="),
            (format!("{r},{s},i=4096 "), "has no number behind i="),
            (format!("{r},{s},i=1"), "hashed 1 times: 4096 to 1000000 are accepted"),
            (format!("{r},{s},i=4095"), "hashed 4095 times"),
            (format!("{r},{s},i=1000001"), "hashed 1000001 times"),
            (format!("{r},{s},i=4294971392"), "hashed 4294971392 times"),
            (format!("{r},{s},i={}", "9".repeat(99)), "hashed too many times"),
            (format!("m=x,{r},{s},i=4096"), "demands an extension (m=)"),
            (format!("{r},{s},i=4096,m=x"), "demands an extension (m=)"),
            ("e=unknown-user\n".to_owned(), r"is an error: unknown-user\n"),
            (format!("{r},{s},i=4096,{}", "x".repeat(5000)), "bytes: 4096 are accepted"),
        ];
        for (message, says) in cases {
            refused(begun(), message.as_bytes(), says, FIRST);
        }
        refused(begun(), b"r=\xff", "the broker's first message is not in UTF-8", FIRST);
    }

    #[test]
    fn fault_268_a_broker_that_does_not_prove_itself_is_not_believed() {
        let short = STANDARD.encode([0; 16]);
        let (_, proof) = PROOF.split_once(",p=").unwrap();
        let cases = [
            (String::new(), "has no v= where it belongs"),
            ("r=x".to_owned(), "has no v= where it belongs"),
            (format!("x=y,{LAST}"), "has no v= where it belongs"),
            ("v=".to_owned(), "signature is wrong"),
            ("v=!".to_owned(), "signature is wrong"),
            (format!("v={short}"), "signature is wrong"),
            (LAST.replace("6rr", "7rr"), "signature is wrong"),
            (LAST[..45].to_owned(), "signature is wrong"),
            (format!("{LAST}="), "signature is wrong"),
            ("e=invalid-proof".to_owned(), "does not accept the proof: invalid-proof"),
            (format!("e=not {proof}"), "does not accept the proof: not …"),
            (format!("{LAST},{}", "x".repeat(5000)), "last message has 5047 bytes"),
        ];
        for (message, says) in cases {
            refused(proven(), message.as_bytes(), says, LAST);
        }
        refused(proven(), b"v=\xff", "the broker's last message is not in UTF-8", LAST);
    }

    #[test]
    fn fault_268_whatever_a_broker_says_is_refused_or_right() {
        let mut random = fastrand::Rng::with_seed(268);
        for _ in 0..20_000 {
            let mut message = FIRST.as_bytes().to_vec();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..message.len());
                match random.u8(..4) {
                    0 => message[at] = random.u8(..),
                    1 => message.truncate(at.max(1)),
                    2 => message.insert(at, *random.choice(b"=,rsime09+/\0\xff").unwrap()),
                    _ => message = (0..=at).map(|_| random.u8(..)).collect(),
                }
            }
            let parsed = text(&message).and_then(|text| First::parse(text, NONCE));
            if let Ok(first) = parsed {
                assert!(first.nonce.starts_with(NONCE) && first.nonce.len() > NONCE.len());
                assert!((1..=LONGEST_SALT).contains(&first.salt.len()));
                assert!((FEWEST_ITERATIONS..=MOST_ITERATIONS).contains(&first.iterations));
            }
        }
        let expected = Expected { server_key: vec![1], signed: "x".into(), proof: "p".into() };
        for _ in 0..20_000 {
            let mut message = LAST.as_bytes().to_vec();
            let at = random.usize(..message.len());
            message[at] = random.u8(..);
            message.truncate(random.usize(..100));
            assert!(expected.check(Hash::Sha256, &message).is_err());
        }
    }

    #[test]
    fn extensions_that_are_not_demanded_are_signed_and_else_ignored() {
        let mut session = begun();
        let message = format!("{FIRST},x=y");
        let SaslStep::Send(answer) = session.step(message.as_bytes()).unwrap() else { panic!() };
        let answer = String::from_utf8(answer).unwrap();
        assert_ne!(answer, PROOF);
        assert_eq!(answer.split(",p=").next(), PROOF.split(",p=").next());
        assert_eq!(proven().step(format!("{LAST},x=y").as_bytes()).unwrap(), SaslStep::Done);
    }

    #[test]
    fn as_many_iterations_as_are_allowed_are_accepted() {
        assert_eq!(parse_iterations("4096"), Ok(4096));
        assert_eq!(parse_iterations("1000000"), Ok(1_000_000));
    }

    #[test]
    fn fault_269_a_name_is_escaped_or_refused() {
        let begin = |name: &str| {
            let scram = Scram::sha256(name.to_owned(), Secret::new("pencil"));
            scram.session("n").map(|mut session| session.step(b"").unwrap())
        };
        let names = [("a,b=c", "a=2Cb=3Dc"), ("=2C", "=3D2C"), ("Jürgen ☂", "Jürgen ☂"), ("", "")];
        for (name, escaped) in names {
            assert_eq!(begin(name).unwrap(), sent(&format!("n,,n={escaped},r=n")));
        }
        for name in ["a\0b", "a\n", "\u{7f}"] {
            let error = begin(name).unwrap_err().to_string();
            assert!(error.contains("control character"), "{error}");
        }
    }

    #[test]
    fn every_exchange_has_a_nonce_of_its_own_without_commas() {
        let scram = Scram::sha512("u".to_owned(), Secret::new("p"));
        let first = || match scram.begin("h").unwrap().step(b"").unwrap() {
            SaslStep::Send(message) => String::from_utf8(message).unwrap(),
            SaslStep::Done => panic!("nothing was sent"),
        };
        let (one, other) = (first(), first());
        assert_ne!(one, other);
        let nonce = one.strip_prefix("n,,n=u,r=").unwrap();
        assert!(nonce.len() == 32 && !nonce.contains(','), "{nonce}");
    }
}
