//! A request on its way through a handler: who asks, from where, and what of.

use std::{net::SocketAddr, sync::Arc};

use kafka_protocol::{error::ResponseError, protocol::StrBytes};

use crate::{
    auth::{Connection, Operation, Resource},
    broker::{Broker, is_internal_topic},
    error::Failure,
    store,
    wire::header::RequestHead,
};

/// Longest text that goes into an answer, bytes: strings have 16 bits of length.
const TEXT_BYTES_MAX: usize = 32_000;

/// A request's surroundings.
#[derive(Debug)]
pub(crate) struct Call {
    pub broker: Arc<Broker>,
    pub head: RequestHead,
    /// What is known of the connection.
    pub connection: Arc<Connection>,
}

impl Call {
    /// The version that the client speaks.
    pub fn version(&self) -> i16 {
        self.head.version
    }

    /// Host and port that clients are told to connect to.
    pub fn advertised(&self) -> (StrBytes, i32) {
        match &self.broker.settings.advertised {
            Some((host, port)) => (text(host), i32::from(*port)),
            None => (text(&self.connection.local.ip().to_string()), i32::from(self.connection.local.port())),
        }
    }

    /// Where the client is, as Kafka writes it.
    pub fn client_host(&self) -> String {
        format!("/{}", self.peer().ip())
    }

    /// The other end.
    pub fn peer(&self) -> SocketAddr {
        self.connection.peer
    }

    /// Whether the client may do that.
    pub fn may(&self, operation: Operation, resource: Resource<'_>) -> bool {
        self.broker.auth.allows(&self.connection, operation, resource)
    }

    /// An error unless the client may do that.
    pub fn authorize(&self, operation: Operation, resource: Resource<'_>) -> Result<(), Failure> {
        if self.may(operation, resource) {
            return Ok(());
        }
        let error = match resource {
            Resource::Topic(_) => ResponseError::TopicAuthorizationFailed,
            Resource::Group(_) => ResponseError::GroupAuthorizationFailed,
            Resource::Transaction(_) => ResponseError::TransactionalIdAuthorizationFailed,
            Resource::Cluster => ResponseError::ClusterAuthorizationFailed,
        };
        let who = self.connection.principal();
        Err(Failure::new(error, format!("{who} may not {} {resource}", operation.name())))
    }

    /// An error unless the client may change that topic; nobody may change the engine's own.
    pub fn authorize_change(&self, operation: Operation, topic: &str) -> Result<(), Failure> {
        if is_internal_topic(topic) {
            let message = format!("topic {topic} is the engine's own; clients can read it but not change it");
            return Err(Failure::new(ResponseError::TopicAuthorizationFailed, message));
        }
        // As on Kafka: who may make topics in the cluster may make any.
        if operation == Operation::Create && self.may(operation, Resource::Cluster) {
            return Ok(());
        }
        self.authorize(operation, Resource::Topic(topic))
    }

    /// An error unless the client may read that topic; nobody may read what the listener remembers, users' keys among
    /// it.
    pub fn authorize_read(&self, topic: &str) -> Result<(), Failure> {
        if topic == store::TOPIC {
            let message = format!("topic {topic} is the engine's own; users' keys are in it");
            return Err(Failure::new(ResponseError::TopicAuthorizationFailed, message));
        }
        self.authorize(Operation::Read, Resource::Topic(topic))
    }
}

/// Text for an answer, cut where an answer's strings end.
pub(crate) fn text(text: &str) -> StrBytes {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    StrBytes::from_string(text.get(..end).unwrap_or_default().to_owned())
}
