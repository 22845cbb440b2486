//! SCRAM (RFC 5802, RFC 7677), the broker's half: what a user's password becomes, and the messages both ways.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::net::sasl::scram::keys::{Hash, Keys, xor};

/// How often a password is hashed: as few times as RFC 7677 allows, and as often as Kafka does by default.
const ITERATIONS: u32 = 4096;

/// What a broker keeps of a user's password.
#[derive(Clone)]
pub(super) struct Credential {
    hash: Hash,
    salt: Vec<u8>,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl Credential {
    /// The salt is made of the name, so that each run is like the other.
    pub(super) fn new(hash: Hash, name: &str, password: &str) -> Self {
        let mut salt = hash.of(name.as_bytes());
        salt.truncate(16);
        Self::with_salt(hash, password, salt)
    }

    fn with_salt(hash: Hash, password: &str, salt: Vec<u8>) -> Self {
        let Keys { stored, server, .. } = hash.keys(password, &salt, ITERATIONS);
        Self { hash, salt, stored_key: stored, server_key: server }
    }
}

/// A client's first message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct First {
    /// What says that there is no channel binding, and for whom the client acts, as it came.
    header: String,
    acts_for: Option<String>,
    /// The user.
    pub(super) name: String,
    nonce: String,
    /// What follows the header, as it came.
    bare: String,
}

impl First {
    /// `n,[a=AUTHZID],n=NAME,r=NONCE[,EXTENSION]…`; nothing where it is not that. Kafka has no channel bindings, and takes a
    /// client for one that wants some where it says that it could (`y`).
    pub(super) fn parse(message: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(message).ok()?;
        let (acts_for, bare) = text.strip_prefix("n,")?.split_once(',')?;
        let header = &text[..text.len() - bare.len()];
        let acts_for = match acts_for {
            "" => None,
            some => Some(unescaped(some.strip_prefix("a=")?)?),
        };
        let mut fields = bare.split(',');
        let name = unescaped(fields.next()?.strip_prefix("n=")?)?;
        let nonce = fields.next()?.strip_prefix("r=").filter(|nonce| !nonce.is_empty())?;
        // A delegation token, which nobody has here.
        if fields.any(|extension| extension == "tokenauth=true") {
            return None;
        }
        Some(Self {
            header: header.to_owned(),
            acts_for,
            name,
            nonce: nonce.to_owned(),
            bare: bare.to_owned(),
        })
    }

    /// Whether it wants the rights of another user.
    pub(super) fn acts_for_another(&self) -> bool {
        self.acts_for.as_ref().is_some_and(|name| *name != self.name)
    }
}

/// A name without what stands for `,` and `=` in it.
fn unescaped(text: &str) -> Option<String> {
    let plain = text.replace("=2C", "").replace("=3D", "");
    (!plain.contains('=')).then(|| text.replace("=2C", ",").replace("=3D", "="))
}

/// An exchange whose first messages have gone both ways.
pub(super) struct Server {
    credential: Credential,
    header: String,
    nonce: String,
    /// Both first messages, which both sides sign.
    signed: String,
}

impl Server {
    /// Also gives the broker's first message.
    pub(super) fn begin(credential: &Credential, first: &First, nonce: &str) -> (Self, Vec<u8>) {
        let nonce = format!("{}{nonce}", first.nonce);
        let salt = STANDARD.encode(&credential.salt);
        let answer = format!("r={nonce},s={salt},i={ITERATIONS}");
        let signed = format!("{},{answer}", first.bare);
        let credential = credential.clone();
        (Self { credential, header: first.header.clone(), nonce, signed }, answer.into_bytes())
    }

    pub(super) fn hash(&self) -> Hash {
        self.credential.hash
    }

    /// The broker's last message, where the client's last one, `c=HEADER,r=NONCE[,EXTENSION]…,p=PROOF`, proves that it knows
    /// the password.
    pub(super) fn finish(self, message: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(message).ok()?;
        let (without_proof, proof) = text.rsplit_once(",p=")?;
        let mut fields = without_proof.split(',');
        let header = STANDARD.decode(fields.next()?.strip_prefix("c=")?).ok()?;
        let nonce = fields.next()?.strip_prefix("r=")?;
        if header != self.header.as_bytes() || nonce != self.nonce {
            return None;
        }
        let Credential { hash, stored_key, server_key, .. } = self.credential;
        let signed = format!("{},{without_proof}", self.signed);
        let signature = hash.mac(&stored_key, signed.as_bytes());
        let proof = STANDARD.decode(proof).ok()?;
        if proof.len() != signature.len() {
            return None;
        }
        let proven = hash.of(&xor(&proof, &signature)) == stored_key;
        let signature = STANDARD.encode(hash.mac(&server_key, signed.as_bytes()));
        proven.then(|| format!("v={signature}").into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(password: &str) -> Credential {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        Credential::with_salt(Hash::Sha256, password, salt)
    }

    /// The exchange that stands in RFC 7677.
    fn exchange(credential: &Credential, last: &str) -> Option<String> {
        let first = First::parse(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
        let nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let (server, answer) = Server::begin(credential, &first, nonce);
        let expected = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert_eq!(answer, expected.as_bytes());
        server.finish(last.as_bytes()).map(|answer| String::from_utf8(answer).unwrap())
    }

    const LAST: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    #[test]
    fn the_exchange_of_the_rfc_comes_out_as_it_stands_there() {
        let signature = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(exchange(&credential("pencil"), LAST).as_deref(), Some(signature));
    }

    #[test]
    fn a_wrong_password_and_a_message_that_was_changed_prove_nothing() {
        assert_eq!(exchange(&credential("pencils"), LAST), None);
        let credential = credential("pencil");
        for (at, _) in LAST.char_indices() {
            let changed = format!("{}{}{}", &LAST[..at], '!', &LAST[at + 1..]);
            assert_eq!(exchange(&credential, &changed), None, "{changed}");
            assert_eq!(exchange(&credential, &LAST[..at]), None);
        }
    }

    #[test]
    fn first_messages_are_taken_apart_or_refused() {
        let name = |text: &str| First::parse(text.as_bytes()).map(|first| first.name);
        assert_eq!(name("n,,n=a=2Cb=3Dc,r=x,z=1").as_deref(), Some("a,b=c"));
        let wrong = [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=a",
            "n,,n=a,r=",
            "y,,n=a,r=x",
            "p=tls-unique,,n=a,r=x",
            "n,,n=a=b,r=x",
            "n,b,n=a,r=x",
            "n,,r=x,n=a",
            "n,,n=a,r=x,tokenauth=true",
        ];
        for text in wrong {
            assert_eq!(name(text), None, "{text}");
        }
        let acts = |text: &str| First::parse(text.as_bytes()).map(|first| first.acts_for_another());
        assert_eq!((acts("n,a=a,n=a,r=x"), acts("n,a=b,n=a,r=x")), (Some(false), Some(true)));
    }
}
