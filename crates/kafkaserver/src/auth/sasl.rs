//! SASL exchanges: tokens from the client, tokens to it, and in the end a user or none.

use bytes::Bytes;

use super::{
    plain,
    scram::{self, Hash},
    users::Users,
};

/// The mechanisms, by the names that clients use.
pub(crate) const MECHANISMS: &[&str] = &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// An exchange.
#[derive(Debug)]
pub(crate) enum Exchange {
    Plain,
    Scram(scram::Exchange),
}

/// Where an exchange stands after a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The client has to answer this.
    Continues(Bytes),
    /// It is that user.
    Done { user: String, reply: Bytes },
    /// It is not who it says, or says nothing that makes sense; it is not told which.
    Failed,
}

impl Exchange {
    /// An exchange of that mechanism; `nonce` is a random text that nobody can foresee.
    pub fn begin(mechanism: &str, nonce: String) -> Option<Exchange> {
        match mechanism {
            "PLAIN" => Some(Exchange::Plain),
            "SCRAM-SHA-256" => Some(Exchange::Scram(scram::Exchange::new(Hash::Sha256, nonce))),
            "SCRAM-SHA-512" => Some(Exchange::Scram(scram::Exchange::new(Hash::Sha512, nonce))),
            _ => None,
        }
    }

    /// Take a token.
    pub(super) fn step(&mut self, users: &Users, token: &[u8]) -> Progress {
        match self {
            Exchange::Plain => plain::check(users, token),
            Exchange::Scram(exchange) => exchange.step(users, token),
        }
    }
}
