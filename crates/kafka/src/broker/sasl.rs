//! Proving who one is by name and password: PLAIN and SCRAM.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use recordlog::{LogError, Result};
use rsasl::{
    callback::{Context, Request, SessionCallback, SessionData},
    config::SASLConfig,
    prelude::{Mechname, SASLClient, Session, SessionError},
    property::{AuthId, Password},
};

/// What brokers offer and is understood here.
const MECHANISMS: &[&str] = &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// A name, its password, and how to prove that one knows it.
pub(crate) struct Credentials {
    mechanism: &'static str,
    config: Arc<SASLConfig>,
}

/// What the exchange asks for.
struct Known {
    username: String,
    password: String,
}

impl SessionCallback for Known {
    fn callback(&self, _: &SessionData, _: &Context<'_>, request: &mut Request<'_>) -> Result<(), SessionError> {
        request.satisfy::<AuthId>(&self.username)?.satisfy::<Password>(self.password.as_bytes())?;
        Ok(())
    }
}

impl Credentials {
    /// By `sasl.mechanism`, `sasl.username` and `sasl.password`.
    pub fn new(properties: &BTreeMap<String, String>) -> Result<Credentials> {
        let invalid = |text: String| LogError::Invalid(text);
        let of = |name: &str| properties.get(name).cloned();
        let wanted = of("sasl.mechanism").or_else(|| of("sasl.mechanisms"));
        let wanted = wanted.ok_or_else(|| invalid("sasl.mechanism is not set".to_owned()))?;
        let mechanism = MECHANISMS.iter().find(|name| **name == wanted);
        let mechanism = mechanism
            .ok_or_else(|| invalid(format!("sasl.mechanism: {wanted} is none of {}", MECHANISMS.join(", "))))?;
        let need = |name: &str| of(name).ok_or_else(|| invalid(format!("{name} is not set")));
        let known = Known { username: need("sasl.username")?, password: need("sasl.password")? };
        let config = SASLConfig::builder().with_default_mechanisms().with_callback(known);
        let config = config.map_err(|e| invalid(format!("sasl.mechanism {mechanism}: {e}")))?;
        Ok(Credentials { mechanism, config })
    }

    /// By its name among brokers.
    pub fn mechanism(&self) -> &'static str {
        self.mechanism
    }
}

/// Words that go to and fro.
pub(crate) struct Exchange {
    mechanism: &'static str,
    session: Session,
}

impl Exchange {
    /// Nothing said yet.
    pub fn begin(credentials: &Credentials) -> Result<Exchange> {
        let mechanism = credentials.mechanism;
        let failed = |words: String| LogError::Invalid(format!("sasl.mechanism {mechanism}: {words}"));
        let name = Mechname::parse(mechanism.as_bytes()).map_err(|e| failed(e.to_string()))?;
        let client = SASLClient::new(Arc::clone(&credentials.config));
        let session = client.start_suggested(&[name]).map_err(|e| failed(e.to_string()))?;
        Ok(Exchange { mechanism, session })
    }

    /// What to say next, and whether an answer to it needs no step. `None`: all is said.
    pub fn step(&mut self, said: Option<&[u8]>) -> Result<(Option<Bytes>, bool)> {
        let mut words = Vec::new();
        let state = self.session.step(said, &mut words);
        let state = state.map_err(|e| LogError::Invalid(format!("sasl.mechanism {}: {e}", self.mechanism)))?;
        let is_said = state.has_sent_message();
        Ok((is_said.then(|| words.into()), state.is_finished()))
    }
}
