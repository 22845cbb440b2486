//! Certificates of every kind that a broker or a client may show, with their keys, made when a test wants them.
use openssl::{
    asn1::{Asn1Integer, Asn1Object, Asn1OctetString, Asn1Time},
    bn::BigNum,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, PKeyRef, Private},
    rsa::Rsa,
    symm::Cipher,
    x509::{
        X509, X509Builder, X509CrlBuilder, X509Extension, X509Name, X509NameRef,
        X509RevokedBuilder,
        extension::{
            AuthorityKeyIdentifier, BasicConstraints, KeyUsage, SubjectAlternativeName,
            SubjectKeyIdentifier,
        },
    },
};

/// Who vouches for certificates.
#[derive(Clone, Debug)]
pub struct Authority {
    certificate: X509,
    key: PKey<Private>,
    /// Those that vouch for it, but for the last one.
    above: Vec<X509>,
}

/// For whom a certificate is, from when, and until when.
#[derive(Clone, Debug)]
pub struct Subject {
    common_name: String,
    alternatives: Vec<Alternative>,
    from_days: i64,
    until_days: i64,
    key: PKey<Private>,
}

#[derive(Clone, Debug)]
enum Alternative {
    Dns(String),
    Ip(String),
}

/// A certificate with its key, and those that stand between it and the authority that others trust.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(crate) certificate: X509,
    pub(crate) key: PKey<Private>,
    pub(crate) chain: Vec<X509>,
}

/// How a private key is written down in PEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm<'a> {
    /// `BEGIN PRIVATE KEY`.
    Pkcs8,
    /// `BEGIN ENCRYPTED PRIVATE KEY`, with this password.
    EncryptedPkcs8(&'a str),
    /// The form of just its kind of key: `BEGIN RSA PRIVATE KEY` (PKCS#1), `BEGIN EC PRIVATE KEY` (SEC1).
    Traditional,
    /// The same, encrypted with this password, as a line `DEK-Info` says.
    EncryptedTraditional(&'a str),
}

impl Authority {
    /// One that vouches for itself.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let subject = Subject::new(name);
        let certificate = sign(&subject, None, true);
        Self { certificate, key: subject.key, above: Vec::new() }
    }

    /// One that this one vouches for.
    #[must_use]
    pub fn intermediate(&self, name: &str) -> Self {
        self.intermediate_until(name, 10)
    }

    /// The same until so many days from now.
    #[must_use]
    pub fn intermediate_until(&self, name: &str, days: i64) -> Self {
        let subject = Subject::new(name).valid(days.min(0) - 10, days);
        let certificate = sign(&subject, Some(self), true);
        let above = self.chain();
        Self { certificate, key: subject.key, above }
    }

    /// Vouches for somebody.
    #[must_use]
    pub fn issue(&self, subject: &Subject) -> Identity {
        let certificate = sign(subject, Some(self), false);
        Identity { certificate, key: subject.key.clone(), chain: self.chain() }
    }

    /// Its own certificate, as one that can be revoked.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let (certificate, key) = (self.certificate.clone(), self.key.clone());
        Identity { certificate, key, chain: self.above.clone() }
    }

    /// Its certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        text(self.certificate.to_pem())
    }

    /// The list of those that it vouches for no more, in PEM, valid for so many days from now; a list of none is possible,
    /// and so is one that was valid until some days ago.
    #[must_use]
    pub fn revocations(&self, revoked: &[&Identity], days: i64) -> String {
        let mut builder = done(X509CrlBuilder::new());
        done(builder.set_issuer_name(self.certificate.subject_name()));
        done(builder.set_last_update(&days_from_now(days.min(0) - 10)));
        done(builder.set_next_update(&days_from_now(days)));
        for identity in revoked {
            let mut one = done(X509RevokedBuilder::new());
            done(one.set_serial_number(identity.certificate.serial_number()));
            done(one.set_revocation_date(&days_from_now(-1)));
            done(builder.add_revoked(one.build()));
        }
        let certificate = done(X509Builder::new());
        let context = certificate.x509v3_context(Some(&self.certificate), None);
        let mut key = AuthorityKeyIdentifier::new();
        done(builder.append_extension(done(key.keyid(true).build(&context))));
        let number = done(Asn1OctetString::new_from_bytes(&[2, 1, 1]));
        let name = done(Asn1Object::from_str("2.5.29.20"));
        done(builder.append_extension(done(X509Extension::new_from_der(&name, false, &number))));
        done(builder.sign(&self.key, MessageDigest::sha256()));
        text(done(builder.build()).to_pem())
    }

    pub(crate) fn certificate(&self) -> &X509 {
        &self.certificate
    }

    /// What whoever is issued a certificate shows with it.
    fn chain(&self) -> Vec<X509> {
        // Whoever trusts the first one has it.
        let is_first = self.above.is_empty()
            && name_of(self.certificate.subject_name()) == name_of(self.certificate.issuer_name());
        if is_first {
            return Vec::new();
        }
        let mut chain = vec![self.certificate.clone()];
        chain.extend(self.above.iter().cloned());
        chain
    }
}

impl Subject {
    /// Whom the common name alone says, with a key on the curve P-256, from yesterday on, for ten days.
    #[must_use]
    pub fn new(common_name: &str) -> Self {
        let group = done(EcGroup::from_curve_name(Nid::X9_62_PRIME256V1));
        let key = done(PKey::from_ec_key(done(EcKey::generate(&group))));
        Self {
            common_name: common_name.to_owned(),
            alternatives: Vec::new(),
            from_days: -1,
            until_days: 10,
            key,
        }
    }

    /// `localhost`, as the brokers here are called.
    #[must_use]
    pub fn localhost() -> Self {
        Self::new("localhost").dns("localhost")
    }

    /// One more name.
    #[must_use]
    pub fn dns(mut self, name: &str) -> Self {
        self.alternatives.push(Alternative::Dns(name.to_owned()));
        self
    }

    /// One more address.
    #[must_use]
    pub fn ip(mut self, address: &str) -> Self {
        self.alternatives.push(Alternative::Ip(address.to_owned()));
        self
    }

    /// Valid from so many days from now on, until so many days from now.
    #[must_use]
    pub fn valid(mut self, from_days: i64, until_days: i64) -> Self {
        (self.from_days, self.until_days) = (from_days, until_days);
        self
    }

    /// With a key of RSA.
    #[must_use]
    pub fn rsa(mut self) -> Self {
        self.key = done(PKey::from_rsa(done(Rsa::generate(2048))));
        self
    }

    /// Vouches for itself.
    #[must_use]
    pub fn self_signed(&self) -> Identity {
        let certificate = sign(self, None, false);
        Identity { certificate, key: self.key.clone(), chain: Vec::new() }
    }
}

impl Identity {
    /// Without those that stand between.
    #[must_use]
    pub fn alone(mut self) -> Self {
        self.chain.clear();
        self
    }

    /// The certificate, and those between it and the authority, in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        let all = [&self.certificate].into_iter().chain(&self.chain);
        all.map(|certificate| text(certificate.to_pem())).collect()
    }

    /// The private key, in PEM.
    #[must_use]
    pub fn key(&self, form: KeyForm<'_>) -> String {
        let key: &PKeyRef<Private> = &self.key;
        let cipher = Cipher::aes_256_cbc();
        text(match form {
            KeyForm::Pkcs8 => key.private_key_to_pem_pkcs8(),
            KeyForm::EncryptedPkcs8(password) => {
                key.private_key_to_pem_pkcs8_passphrase(cipher, password.as_bytes())
            }
            KeyForm::Traditional => match key.rsa() {
                Ok(key) => key.private_key_to_pem(),
                Err(_) => done(key.ec_key()).private_key_to_pem(),
            },
            KeyForm::EncryptedTraditional(password) => match key.rsa() {
                Ok(key) => key.private_key_to_pem_passphrase(cipher, password.as_bytes()),
                Err(_) => {
                    let key = done(key.ec_key());
                    key.private_key_to_pem_passphrase(cipher, password.as_bytes())
                }
            },
        })
    }
}

fn sign(subject: &Subject, issuer: Option<&Authority>, is_authority: bool) -> X509 {
    let mut name = done(X509Name::builder());
    done(name.append_entry_by_nid(Nid::COMMONNAME, &subject.common_name));
    let name = name.build();
    let mut builder = done(X509Builder::new());
    done(builder.set_version(2));
    done(builder.set_serial_number(&serial_number()));
    done(builder.set_subject_name(&name));
    done(builder.set_issuer_name(issuer.map_or(&name, |i| i.certificate.subject_name())));
    done(builder.set_pubkey(&subject.key));
    done(builder.set_not_before(&days_from_now(subject.from_days)));
    done(builder.set_not_after(&days_from_now(subject.until_days)));
    let mut constraints = BasicConstraints::new();
    constraints.critical();
    if is_authority {
        constraints.ca();
        let mut usage = KeyUsage::new();
        done(builder.append_extension(done(usage.key_cert_sign().crl_sign().build())));
    }
    done(builder.append_extension(done(constraints.build())));
    let context = builder.x509v3_context(issuer.map(|i| &*i.certificate), None);
    let mut extensions = vec![done(SubjectKeyIdentifier::new().build(&context))];
    if issuer.is_some() {
        extensions.push(done(AuthorityKeyIdentifier::new().keyid(true).build(&context)));
    }
    if !subject.alternatives.is_empty() {
        let mut names = SubjectAlternativeName::new();
        for alternative in &subject.alternatives {
            match alternative {
                Alternative::Dns(name) => names.dns(name),
                Alternative::Ip(address) => names.ip(address),
            };
        }
        extensions.push(done(names.build(&context)));
    }
    for extension in extensions {
        done(builder.append_extension(extension));
    }
    let key = issuer.map_or(&subject.key, |issuer| &issuer.key);
    done(builder.sign(key, MessageDigest::sha256()));
    builder.build()
}

fn serial_number() -> Asn1Integer {
    let mut bytes = [0; 12];
    done(openssl::rand::rand_bytes(&mut bytes));
    bytes[0] = 1;
    done(done(BigNum::from_slice(&bytes)).to_asn1_integer())
}

fn days_from_now(days: i64) -> Asn1Time {
    let now = std::time::UNIX_EPOCH.elapsed().expect("it is later than 1970").as_secs();
    done(Asn1Time::from_unix(now.cast_signed() + days * 86_400))
}

fn name_of(name: &X509NameRef) -> Vec<u8> {
    done(name.to_der())
}

fn text(pem: Result<Vec<u8>, openssl::error::ErrorStack>) -> String {
    String::from_utf8(done(pem)).expect("PEM is text")
}

fn done<T>(result: Result<T, openssl::error::ErrorStack>) -> T {
    result.expect("OpenSSL makes certificates")
}
