//! What becomes of a password in SCRAM (RFC 5802, RFC 7677): the hash functions, and the keys that both sides derive.

use hmac::{Hmac, Mac, digest::KeyInit};
use sha2::{Digest as _, Sha256, Sha512};

/// The hash function of a mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hash {
    Sha256,
    Sha512,
}

/// What is derived of a password.
pub(crate) struct Keys {
    /// What a client proves to have.
    pub(crate) client: Vec<u8>,
    /// Its hash, which brokers keep.
    pub(crate) stored: Vec<u8>,
    /// What a broker signs with.
    pub(crate) server: Vec<u8>,
}

impl Hash {
    /// The name of the mechanism with it.
    pub(crate) fn mechanism(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// Takes as long as `iterations` says.
    pub(crate) fn keys(self, password: &str, salt: &[u8], iterations: u32) -> Keys {
        let salted = self.salted(password.as_bytes(), salt, iterations);
        let client = self.mac(&salted, b"Client Key");
        let stored = self.of(&client);
        Keys { client, stored, server: self.mac(&salted, b"Server Key") }
    }

    fn salted(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        match self {
            Self::Sha256 => {
                pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, iterations).to_vec()
            }
            Self::Sha512 => {
                pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password, salt, iterations).to_vec()
            }
        }
    }

    pub(crate) fn of(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(data).to_vec(),
            Self::Sha512 => Sha512::digest(data).to_vec(),
        }
    }

    pub(crate) fn mac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => mac::<Hmac<Sha256>>(key, data).finalize().into_bytes().to_vec(),
            Self::Sha512 => mac::<Hmac<Sha512>>(key, data).finalize().into_bytes().to_vec(),
        }
    }

    /// Whether `signature` is the one of `data`, found out in a time that does not tell how much of it is right.
    pub(crate) fn verify(self, key: &[u8], data: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Sha256 => mac::<Hmac<Sha256>>(key, data).verify_slice(signature).is_ok(),
            Self::Sha512 => mac::<Hmac<Sha512>>(key, data).verify_slice(signature).is_ok(),
        }
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> M {
    let mac = <M as Mac>::new_from_slice(key).expect("a key of any length will do");
    mac.chain_update(data)
}

/// A key under the signature of an exchange, which makes a proof of the one and gives it back of the other.
pub(crate) fn xor(key: &[u8], signature: &[u8]) -> Vec<u8> {
    key.iter().zip(signature).map(|(a, b)| a ^ b).collect()
}
