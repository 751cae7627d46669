//! Requests: bounded in time and size, repeated where that may help, at the next address where one does not answer.

use std::{fs, sync::Arc, thread, time::Duration};

use tokio::runtime::{Handle, RuntimeFlavor};
use types::{Error, Result};
use ureq::{
    Agent,
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};

use crate::{Settings, SettingsError, bodies::Refusal};

/// A connection is there within this, or is not.
const CONNECT_MS_MAX: u64 = 3_000;
/// A request is answered within this, or is not.
const REQUEST_MS_MAX: u64 = 10_000;
/// Times that a request is sent.
const TRIES_MAX: usize = 3;
/// Between the first two, and twice as long each time after.
const PAUSE_MS: u64 = 100;
/// An answer is at most this long, bytes.
const ANSWER_BYTES_MAX: u64 = 8 << 20;
/// What bodies are labelled with.
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// What is done at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Delete,
}

/// What came back.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The body of a success.
    Ok(String),
    /// A refusal: HTTP's status, the registry's code and words.
    Refused { status: u16, code: u32, message: String },
}

/// The way there.
pub(crate) struct Transport {
    agent: Agent,
    urls: Vec<String>,
    authorization: Option<String>,
}

impl Transport {
    pub fn new(settings: &Settings) -> Result<Transport, SettingsError> {
        let mut config = Agent::config_builder()
            .timeout_connect(Some(Duration::from_millis(CONNECT_MS_MAX)))
            .timeout_global(Some(Duration::from_millis(REQUEST_MS_MAX)))
            .http_status_as_error(false)
            // Credentials go nowhere else.
            .max_redirects(0)
            .user_agent(concat!("millstream/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &settings.ca {
            let fail = |why: String| SettingsError::Certificates { path: path.clone(), why };
            let pem = fs::read(path).map_err(|e| fail(e.to_string()))?;
            let certificates = certificates(&pem).map_err(fail)?;
            let roots = RootCerts::Specific(Arc::new(certificates));
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        let (urls, authorization) = (settings.urls()?, settings.authorization()?);
        Ok(Transport { agent: config.build().into(), urls, authorization })
    }

    /// The first address.
    pub fn url(&self) -> &str {
        self.urls.first().map_or("", String::as_str)
    }

    /// Send a request and wait for its answer.
    ///
    /// # Errors
    /// None came, from any address, after all repetitions; the error names the address that was tried last.
    pub fn ask(&self, method: Method, path: &str, body: Option<&str>) -> Result<Answer> {
        waiting(|| self.ask_again(method, path, body))
    }

    fn ask_again(&self, method: Method, path: &str, body: Option<&str>) -> Result<Answer> {
        let mut last = None;
        for (attempt, url) in self.urls.iter().cycle().take(TRIES_MAX.max(self.urls.len())).enumerate() {
            if attempt > 0 {
                thread::sleep(Duration::from_millis(PAUSE_MS << attempt.min(5).saturating_sub(1)));
            }
            match self.send(method, &format!("{url}{path}"), body) {
                // It may have passed by the next time; a schema that is registered twice has one id.
                Ok(Answer::Refused { status: status @ (429 | 500..), message, .. }) => {
                    last = Some(format!("schema registry {url}: {message} (status {status} of {path})"));
                }
                Ok(answer) => return Ok(answer),
                Err(why) => last = Some(format!("schema registry {url} does not answer: {why}")),
            }
        }
        Err(Error::unavailable(last.unwrap_or_else(|| "a schema registry without an address".to_owned())))
    }

    fn send(&self, method: Method, url: &str, body: Option<&str>) -> Result<Answer, ureq::Error> {
        let authorization = self.authorization.as_deref();
        let mut response = match method {
            Method::Post => {
                let mut request =
                    self.agent.post(url).header("Accept", CONTENT_TYPE).header("Content-Type", CONTENT_TYPE);
                if let Some(value) = authorization {
                    request = request.header("Authorization", value);
                }
                request.send(body.unwrap_or_default())?
            }
            Method::Get | Method::Delete => {
                let request = if method == Method::Get { self.agent.get(url) } else { self.agent.delete(url) };
                let mut request = request.header("Accept", CONTENT_TYPE);
                if let Some(value) = authorization {
                    request = request.header("Authorization", value);
                }
                request.call()?
            }
        };
        let status = response.status().as_u16();
        let text = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string()?;
        Ok(match status {
            200..300 => Answer::Ok(text),
            _ => {
                let refusal = serde_json::from_str(&text);
                let Refusal { error_code, message } = refusal.unwrap_or_else(|_| Refusal {
                    error_code: u32::from(status),
                    message: text.chars().take(200).collect(),
                });
                Answer::Refused { status, code: error_code, message }
            }
        })
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>, String> {
    let mut out = vec![];
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|e| e.to_string())? {
            out.push(certificate);
        }
    }
    if out.is_empty() { Err("there is none".to_owned()) } else { Ok(out) }
}

/// Wait on this thread; where it is one that runs tasks, another one takes them over meanwhile.
fn waiting<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current() {
        Ok(handle) if handle.runtime_flavor() == RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        _ => work(),
    }
}
