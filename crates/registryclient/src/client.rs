//! The registry, as the engine sees it.

use std::{sync::Arc, time::Duration};

use formats::{RegisteredSchema, SchemaRegistry, SchemaText};
use host::Clock;
use serde::de::DeserializeOwned;
use types::{Error, ErrorKind, Result};

use crate::{
    Settings, SettingsError,
    bodies::{KnownSchema, NewSchema, Registered},
    cache::{Cache, Missing},
    transport::{Answer, Method, Transport},
};

/// An id that was not there is asked for again after this.
const MISSING_MS: u64 = 5_000;

/// The client.
pub struct Client {
    transport: Transport,
    clock: Arc<dyn Clock>,
    by_id: Cache<i32, Arc<RegisteredSchema>>,
    missing: Missing,
    /// Versions of subjects.
    versions: Cache<(String, i32), Arc<RegisteredSchema>>,
    /// Ids of what this process has registered, by subject.
    registered: Cache<(String, SchemaText), i32>,
}

impl Client {
    /// A client; nothing is asked yet.
    ///
    /// # Errors
    /// The settings cannot work.
    pub fn new(settings: &Settings, clock: Arc<dyn Clock>) -> std::result::Result<Client, SettingsError> {
        Ok(Client {
            transport: Transport::new(settings)?,
            clock,
            by_id: Cache::default(),
            missing: Cache::default(),
            versions: Cache::default(),
            registered: Cache::default(),
        })
    }

    /// Where the registry is.
    pub fn url(&self) -> &str {
        self.transport.url()
    }

    /// Ask for something that may not be there.
    fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        match self.transport.ask(Method::Get, path, None)? {
            Answer::Ok(body) => self.read(path, &body).map(Some),
            Answer::Refused { status: 404, .. } => Ok(None),
            refused => Err(self.refusal(path, &refused)),
        }
    }

    fn read<T: DeserializeOwned>(&self, path: &str, body: &str) -> Result<T> {
        let strange =
            |e| Error::unavailable(format!("schema registry {}: the answer to {path} is strange: {e}", self.url()));
        serde_json::from_str(body).map_err(strange)
    }

    fn refusal(&self, path: &str, answer: &Answer) -> Error {
        let Answer::Refused { status, code, message } = answer else {
            return Error::internal("an answer that refuses nothing");
        };
        let url = self.url();
        match status {
            401 | 403 => Error::invalid(format!("schema registry {url} refuses us ({status}): {message}"))
                .with_hint("User and password are settings of the server: schema_registry.user and .password."),
            409 => Error::new(ErrorKind::Conflict, "42000", format!("schema registry {url}: {message}")),
            400..500 => Error::invalid(format!("schema registry {url}: {message} (error {code} of {path})")),
            _ => Error::unavailable(format!("schema registry {url}: {message} (status {status} of {path})")),
        }
    }

    fn known(&self, path: &str, schema: KnownSchema, id: Option<i32>) -> Result<Arc<RegisteredSchema>> {
        let strange = |why| Error::unsupported(format!("schema registry {}, {path}: {why}", self.url()));
        let schema = Arc::new(schema.registered(id).map_err(strange)?);
        self.by_id.put(schema.id, schema.clone());
        Ok(schema)
    }
}

impl SchemaRegistry for Client {
    fn register(&self, subject: &str, schema: &SchemaText) -> Result<i32> {
        let key = (subject.to_owned(), schema.clone());
        if let Some(id) = self.registered.get(&key) {
            return Ok(id);
        }
        let path = format!("/subjects/{}/versions", escaped(subject));
        let body = serde_json::to_string(&NewSchema::new(schema)).map_err(|e| Error::internal(e.to_string()))?;
        match self.transport.ask(Method::Post, &path, Some(&body))? {
            Answer::Ok(answer) => {
                let Registered { id } = self.read(&path, &answer)?;
                self.registered.put(key, id);
                Ok(id)
            }
            refused => Err(self.refusal(&path, &refused)),
        }
    }

    fn by_id(&self, id: i32) -> Result<Option<Arc<RegisteredSchema>>> {
        if let Some(found) = self.by_id.get(&id) {
            return Ok(Some(found));
        }
        let now = self.clock.monotonic();
        if self.missing.get(&id).is_some_and(|since| now.saturating_sub(since) < Duration::from_millis(MISSING_MS)) {
            return Ok(None);
        }
        let path = format!("/schemas/ids/{id}");
        match self.find::<KnownSchema>(&path)? {
            Some(schema) => self.known(&path, schema, Some(id)).map(Some),
            None => {
                self.missing.put(id, now);
                Ok(None)
            }
        }
    }

    fn latest(&self, subject: &str) -> Result<Option<Arc<RegisteredSchema>>> {
        let path = format!("/subjects/{}/versions/latest", escaped(subject));
        self.find::<KnownSchema>(&path)?.map(|schema| self.known(&path, schema, None)).transpose()
    }

    fn version(&self, subject: &str, version: i32) -> Result<Option<Arc<RegisteredSchema>>> {
        let key = (subject.to_owned(), version);
        if let Some(found) = self.versions.get(&key) {
            return Ok(Some(found));
        }
        // Deleted softly, it can still be referred to.
        let path = format!("/subjects/{}/versions/{version}?deleted=true", escaped(subject));
        let Some(schema) = self.find::<KnownSchema>(&path)? else { return Ok(None) };
        let schema = self.known(&path, schema, None)?;
        self.versions.put(key, schema.clone());
        Ok(Some(schema))
    }

    fn subjects_of(&self, id: i32) -> Result<Vec<String>> {
        Ok(self.find(&format!("/schemas/ids/{id}/subjects"))?.unwrap_or_default())
    }

    fn delete_subject(&self, subject: &str) -> Result<()> {
        // What is registered again is a new version.
        self.registered.retain(|(of, _)| of != subject);
        self.versions.retain(|(of, _)| of != subject);
        let path = format!("/subjects/{}", escaped(subject));
        match self.transport.ask(Method::Delete, &path, None)? {
            Answer::Ok(_) | Answer::Refused { status: 404, .. } => Ok(()),
            refused => Err(self.refusal(&path, &refused)),
        }
    }
}

/// A name as one step of a path.
fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_one_step() {
        assert_eq!(super::escaped("orders-value_1.x"), "orders-value_1.x");
        assert_eq!(super::escaped(":.ctx:a/b é"), "%3A.ctx%3Aa%2Fb%20%C3%A9");
    }
}
