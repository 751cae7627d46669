//! SCRAM (RFC 5802, RFC 7677): the password never goes over the wire, and both sides prove that they know it.

use std::{fmt, num::NonZeroU32};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use ring::{digest, hmac, pbkdf2};
use serde::{Deserialize, Serialize};

use super::{sasl::Progress, users::Users};

/// How often a password of the settings is hashed: Kafka's own number, and the least that it takes over the wire.
const ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(4095);
/// Most times; more would make each attempt to get in too dear for the server.
const ITERATIONS_MAX: u32 = 16_384;
/// Longest salt, bytes.
const SALT_BYTES_MAX: usize = 1_024;

/// Which hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Hash {
    Sha256,
    Sha512,
}

impl Hash {
    /// All of them.
    pub const ALL: &[Hash] = &[Hash::Sha256, Hash::Sha512];

    /// Kafka's number of the mechanism.
    pub fn code(self) -> i8 {
        match self {
            Hash::Sha256 => 1,
            Hash::Sha512 => 2,
        }
    }

    /// The mechanism of that number.
    pub fn of_code(code: i8) -> Option<Hash> {
        Hash::ALL.iter().copied().find(|hash| hash.code() == code)
    }

    fn output_bytes(self) -> usize {
        match self {
            Hash::Sha256 => digest::SHA256_OUTPUT_LEN,
            Hash::Sha512 => digest::SHA512_OUTPUT_LEN,
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Hash::Sha256 => &digest::SHA256,
            Hash::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, bytes).as_ref().to_vec()
    }

    fn sign(self, key: &[u8], bytes: &[u8]) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(self.hmac(), key), bytes).as_ref().to_vec()
    }

    /// Whether two secrets are the same, in a time that does not tell how much of them is: what is compared are
    /// signatures, whose check takes care of that.
    fn are_equal(self, one: &[u8], other: &[u8]) -> bool {
        let key = hmac::Key::new(self.hmac(), one);
        hmac::verify(&key, one, hmac::sign(&hmac::Key::new(self.hmac(), other), one).as_ref()).is_ok()
    }

    fn salted(self, password: &str, salt: &[u8], iterations: NonZeroU32) -> Vec<u8> {
        let algorithm = match self {
            Hash::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Hash::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        };
        let mut salted = vec![0; self.output_bytes()];
        pbkdf2::derive(algorithm, iterations, salt, password.as_bytes(), &mut salted);
        salted
    }
}

/// What is kept of a password.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Keys {
    hash: Hash,
    iterations: NonZeroU32,
    #[serde(with = "base64_text")]
    salt: Vec<u8>,
    /// The hash of what the client has to know.
    #[serde(with = "base64_text")]
    stored: Vec<u8>,
    /// What the server proves itself with.
    #[serde(with = "base64_text")]
    server: Vec<u8>,
}

/// Bytes as text.
mod base64_text {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("hash", &self.hash).finish_non_exhaustive()
    }
}

impl Keys {
    /// Of a password of the settings.
    pub(super) fn of(hash: Hash, password: &str, salt: &[u8]) -> Keys {
        Keys::of_salted(hash, &hash.salted(password, salt, ITERATIONS), salt, ITERATIONS)
    }

    /// Of a password that a client has salted; the error says what is wrong with it.
    pub fn from_client(hash: Hash, salted: &[u8], salt: &[u8], iterations: i32) -> Result<Keys, String> {
        let range = ITERATIONS.get()..=ITERATIONS_MAX;
        let fitting = u32::try_from(iterations).ok().filter(|iterations| range.contains(iterations));
        let Some(iterations) = fitting.and_then(NonZeroU32::new) else {
            return Err(format!(
                "{iterations} iterations: there are at least {ITERATIONS} and at most {ITERATIONS_MAX}"
            ));
        };
        if salt.is_empty() || salt.len() > SALT_BYTES_MAX {
            return Err(format!("a salt of {} bytes: there is at least one and at most {SALT_BYTES_MAX}", salt.len()));
        }
        if salted.len() != hash.output_bytes() {
            let (is, expected) = (salted.len(), hash.output_bytes());
            return Err(format!("a salted password of {is} bytes: it has {expected} of this mechanism"));
        }
        Ok(Keys::of_salted(hash, salted, salt, iterations))
    }

    /// Keys that no password fits. They are the same each time that somebody asks for that name.
    pub(super) fn of_nobody(hash: Hash, name: &str, secret: &[u8]) -> Keys {
        let salt = hash.sign(secret, name.as_bytes()).get(..16).unwrap_or_default().to_vec();
        let stored = hash.sign(secret, &salt);
        Keys { hash, iterations: ITERATIONS, salt, server: stored.clone(), stored }
    }

    fn of_salted(hash: Hash, salted: &[u8], salt: &[u8], iterations: NonZeroU32) -> Keys {
        Keys {
            hash,
            iterations,
            salt: salt.to_vec(),
            stored: hash.digest(&hash.sign(salted, b"Client Key")),
            server: hash.sign(salted, b"Server Key"),
        }
    }

    /// How often the password was hashed.
    pub fn iterations(&self) -> u32 {
        self.iterations.get()
    }

    /// Whether they are of that password.
    pub(super) fn fit(&self, password: &str) -> bool {
        let salted = self.hash.salted(password, &self.salt, self.iterations);
        let other = Keys::of_salted(self.hash, &salted, &self.salt, self.iterations);
        self.hash.are_equal(&other.stored, &self.stored)
    }
}

/// An exchange.
#[derive(Debug)]
pub(crate) struct Exchange {
    hash: Hash,
    /// The server's half of the nonce.
    nonce: String,
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    user: String,
    keys: Keys,
    /// What both sides sign, as far as it was said.
    said: String,
    /// The client's channel binding, as the last message has to repeat it.
    binding: String,
}

impl Exchange {
    pub(super) fn new(hash: Hash, nonce: String) -> Exchange {
        Exchange { hash, nonce, begun: None }
    }

    /// Take the client's first or last message.
    pub(super) fn step(&mut self, users: &Users, token: &[u8]) -> Progress {
        let Ok(token) = std::str::from_utf8(token) else { return Progress::Failed };
        let progress = match self.begun.take() {
            None => self.first(users, token),
            Some(begun) => self.last(begun, token),
        };
        progress.unwrap_or(Progress::Failed)
    }

    /// `n,[a=NAME],n=NAME,r=NONCE[,extensions]`
    fn first(&mut self, users: &Users, token: &str) -> Option<Progress> {
        let mut parts = token.splitn(3, ',');
        let (binding, acts_as, bare) = (parts.next()?, parts.next()?, parts.next()?);
        // Channels are not bound: the client does not want it, or thinks that the server cannot.
        if !matches!(binding, "n" | "y") {
            return None;
        }
        let mut fields = bare.split(',');
        let user = unescaped(fields.next()?.strip_prefix("n=")?)?;
        let theirs = fields.next()?.strip_prefix("r=").filter(|nonce| !nonce.is_empty())?;
        let same = acts_as.is_empty() || unescaped(acts_as.strip_prefix("a=")?)? == user;
        if !same {
            return None;
        }
        let nonce = format!("{theirs}{}", self.nonce);
        let keys = users.keys(&user, self.hash);
        let reply = format!("r={nonce},s={},i={}", STANDARD.encode(&keys.salt), keys.iterations);
        let binding = format!("c={}", STANDARD.encode(format!("{binding},{acts_as},")));
        self.begun = Some(Begun { user, keys, said: format!("{bare},{reply}"), binding });
        Some(Progress::Continues(Bytes::from(reply)))
    }

    /// `c=BINDING,r=NONCE[,extensions],p=PROOF`
    fn last(&self, begun: Begun, token: &str) -> Option<Progress> {
        let (without_proof, proof) = token.rsplit_once(",p=")?;
        let mut fields = without_proof.split(',');
        let is_bound = fields.next()? == begun.binding;
        // As Kafka: librdkafka before 2.6 sends its own half of the nonce twice. What matters is the server's half, which
        // nobody could foresee; the proof covers all of it.
        let is_fresh = fields.next()?.strip_prefix("r=")?.ends_with(&self.nonce);
        if !(is_bound && is_fresh) {
            return None;
        }
        let Begun { user, keys, said, .. } = begun;
        let said = format!("{said},{without_proof}");
        let signature = self.hash.sign(&keys.stored, said.as_bytes());
        let proof = STANDARD.decode(proof).ok().filter(|proof| proof.len() == signature.len())?;
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        if !self.hash.are_equal(&self.hash.digest(&client_key), &keys.stored) {
            return None;
        }
        let reply = format!("v={}", STANDARD.encode(self.hash.sign(&keys.server, said.as_bytes())));
        Some(Progress::Done { user, reply: Bytes::from(reply) })
    }
}

/// A name in which `,` and `=` stand as `=2C` and `=3D`.
fn unescaped(name: &str) -> Option<String> {
    let mut parts = name.split('=');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        text.push(match code {
            "2C" => ',',
            "3D" => '=',
            _ => return None,
        });
        text.push_str(rest);
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{auth::User, store::Kept};

    /// What a client says last, after the server's first message.
    fn last_message(hash: Hash, password: &str, first_bare: &str, server_first: &str) -> (String, String) {
        let field = |name: &str| server_first.split(',').find_map(|f| f.strip_prefix(name)).unwrap_or_default();
        let salt = STANDARD.decode(field("s=")).unwrap_or_default();
        let salted = hash.salted(password, &salt, ITERATIONS);
        let key = hash.sign(&salted, b"Client Key");
        let without_proof = format!("c=biws,r={}", field("r="));
        let said = format!("{first_bare},{server_first},{without_proof}");
        let signature = hash.sign(&hash.digest(&key), said.as_bytes());
        let proof: Vec<u8> = key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let server = hash.sign(&hash.sign(&salted, b"Server Key"), said.as_bytes());
        (format!("{without_proof},p={}", STANDARD.encode(proof)), format!("v={}", STANDARD.encode(server)))
    }

    /// Old clients of librdkafka repeat their half of the nonce.
    #[test]
    fn a_nonce_that_is_longer_than_it_has_to_be() {
        let user = User { name: "ann".into(), password: "secret".into() };
        let users = Users::new(&[user], &Kept::new(), &host::SeededRandom::new(1));
        let mut exchange = Exchange::new(Hash::Sha512, "server".into());
        let Progress::Continues(reply) = exchange.step(&users, b"n,,n=ann,r=client") else { panic!("it goes on") };
        let reply = String::from_utf8(reply.to_vec()).expect("text");
        let keys = users.keys("ann", Hash::Sha512);
        let key = Hash::Sha512.sign(&Hash::Sha512.salted("secret", &keys.salt, ITERATIONS), b"Client Key");
        let without_proof = "c=biws,r=clientclientserver";
        let said = format!("n=ann,r=client,{reply},{without_proof}");
        let signature = Hash::Sha512.sign(&keys.stored, said.as_bytes());
        let proof: Vec<u8> = key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let last = format!("{without_proof},p={}", STANDARD.encode(proof));
        assert!(matches!(exchange.step(&users, last.as_bytes()), Progress::Done { .. }));
    }

    fn check(hash: Hash, name: &str, password: &str, spoil: fn(String) -> String, expect: Option<&str>) {
        let user = User { name: "a=n,n".into(), password: "secret".into() };
        let users = Users::new(&[user], &Kept::new(), &host::SeededRandom::new(1));
        let mut exchange = Exchange::new(hash, "server".into());
        let bare = format!("n={name},r=client");
        let Progress::Continues(reply) = exchange.step(&users, format!("n,,{bare}").as_bytes()) else {
            assert_eq!(expect, None);
            return;
        };
        let reply = String::from_utf8(reply.to_vec()).expect("text");
        let (last, proof) = last_message(hash, password, &bare, &reply);
        let expect = match expect {
            Some(user) => Progress::Done { user: user.to_owned(), reply: Bytes::from(proof) },
            None => Progress::Failed,
        };
        assert_eq!(exchange.step(&users, spoil(last).as_bytes()), expect, "{name} {password}");
        assert_eq!(exchange.step(&users, &[0xff]), Progress::Failed);
    }

    #[test]
    fn users_and_strangers() {
        for hash in [Hash::Sha256, Hash::Sha512] {
            check(hash, "a=3Dn=2Cn", "secret", |last| last, Some("a=n,n"));
            check(hash, "a=3Dn=2Cn", "wrong", |last| last, None);
            check(hash, "bob", "secret", |last| last, None);
            check(hash, "", "secret", |last| last, None);
            check(hash, "a=3D", "secret", |last| last, None);
            check(hash, "a=4D", "secret", |last| last, None);
            check(hash, "a=3Dn=2Cn", "secret", |last| last.replace("r=client", "r=other"), None);
            check(hash, "a=3Dn=2Cn", "secret", |last| last.replace("server,", "srever,"), None);
            check(hash, "a=3Dn=2Cn", "secret", |last| last.replace("biws", "eSws"), None);
            check(hash, "a=3Dn=2Cn", "secret", |last| last[..last.len() - 8].to_owned(), None);
            check(hash, "a=3Dn=2Cn", "secret", |_| String::new(), None);
        }
    }

    /// The example of RFC 7677.
    #[test]
    fn the_standards_example() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let keys = Keys::of(Hash::Sha256, "pencil", &salt);
        let said = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
                    c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let signature = Hash::Sha256.sign(&keys.server, said.as_bytes());
        assert_eq!(STANDARD.encode(signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }
}
