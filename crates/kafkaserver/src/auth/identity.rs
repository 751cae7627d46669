//! What is known of a connection.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{
    ANONYMOUS, Auth,
    sasl::{Exchange, Progress},
};

/// The APIs of clients that have not said who they are: SaslHandshake, ApiVersions, SaslAuthenticate.
const APIS_OF_STRANGERS: &[i16] = &[17, 18, 36];

/// A connection's two ends, and who is at the other.
#[derive(Debug)]
pub(crate) struct Connection {
    pub peer: SocketAddr,
    pub local: SocketAddr,
    identity: Mutex<Identity>,
}

#[derive(Debug)]
enum Identity {
    /// It has to go through a SASL exchange and has not begun.
    Stranger,
    /// It is on its way through one; `raw`: its tokens come without Kafka's header.
    Exchanging { exchange: Exchange, raw: bool },
    /// It is this principal, as Kafka writes it.
    Known(Arc<str>),
    /// It failed to say who it is.
    Refused,
}

impl Connection {
    /// A connection that has said nothing yet but what its certificate says.
    pub fn new(peer: SocketAddr, local: SocketAddr, auth: &Auth, subject: Option<String>) -> Connection {
        let identity = match (auth.wants_sasl(), subject) {
            (true, _) => Identity::Stranger,
            (false, Some(subject)) => Identity::Known(format!("User:{subject}").into()),
            (false, None) => Identity::Known(ANONYMOUS.into()),
        };
        Connection { peer, local, identity: Mutex::new(identity) }
    }

    /// Who it is, as Kafka writes it.
    pub fn principal(&self) -> Arc<str> {
        match &*self.identity.lock() {
            Identity::Known(principal) => Arc::clone(principal),
            _ => ANONYMOUS.into(),
        }
    }

    /// Whether it has said who it is, if it has to.
    pub fn is_known(&self) -> bool {
        matches!(*self.identity.lock(), Identity::Known(_))
    }

    /// Whether it may use an API now.
    pub fn may_call(&self, key: i16) -> bool {
        match &*self.identity.lock() {
            Identity::Known(_) => true,
            Identity::Stranger | Identity::Exchanging { .. } => APIS_OF_STRANGERS.contains(&key),
            Identity::Refused => false,
        }
    }

    /// Begin an exchange; `false` when this is not the time for one.
    pub fn begin(&self, exchange: Exchange, raw: bool) -> bool {
        let mut identity = self.identity.lock();
        let may = matches!(*identity, Identity::Stranger | Identity::Exchanging { .. });
        if may {
            *identity = Identity::Exchanging { exchange, raw };
        }
        may
    }

    /// Whether the next frame is a token and nothing else.
    pub fn sends_raw_token(&self) -> bool {
        matches!(*self.identity.lock(), Identity::Exchanging { raw: true, .. })
    }

    /// The next step of the exchange; `None` when there is none.
    pub fn step(&self, auth: &Auth, token: &[u8]) -> Option<Progress> {
        let mut identity = self.identity.lock();
        let Identity::Exchanging { exchange, .. } = &mut *identity else { return None };
        let progress = exchange.step(&auth.users, token);
        match &progress {
            Progress::Continues(_) => {}
            Progress::Done { user, .. } => *identity = Identity::Known(format!("User:{user}").into()),
            Progress::Failed => *identity = Identity::Refused,
        }
        Some(progress)
    }
}

impl Progress {
    /// What the client is sent.
    pub fn reply(&self) -> Bytes {
        match self {
            Progress::Continues(reply) | Progress::Done { reply, .. } => reply.clone(),
            Progress::Failed => Bytes::new(),
        }
    }
}
