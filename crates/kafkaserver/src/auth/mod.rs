//! Who a client is and what it may do.

use std::{fmt, net::SocketAddr};

use crate::store::Kept;

/// What everybody is who did not say.
const ANONYMOUS: &str = "User:ANONYMOUS";

/// What can be done to a resource, in Kafka's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Read,
    Write,
    Create,
    Delete,
    Alter,
    Describe,
    DescribeConfigs,
    AlterConfigs,
}

impl Operation {
    /// For messages.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Read => "read",
            Operation::Write => "write",
            Operation::Create => "create",
            Operation::Delete => "delete",
            Operation::Alter => "alter",
            Operation::Describe => "describe",
            Operation::DescribeConfigs => "describe the settings of",
            Operation::AlterConfigs => "alter the settings of",
        }
    }
}

/// What something is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource<'a> {
    Topic(&'a str),
    Group(&'a str),
    Transaction(&'a str),
    Cluster,
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::Topic(name) => write!(f, "topic {name}"),
            Resource::Group(name) => write!(f, "group {name}"),
            Resource::Transaction(name) => write!(f, "transactional id {name}"),
            Resource::Cluster => write!(f, "the cluster"),
        }
    }
}

/// What is known of a connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub peer: SocketAddr,
    pub local: SocketAddr,
}

impl Connection {
    /// A connection that has said nothing yet.
    pub fn new(peer: SocketAddr, local: SocketAddr, _: &Auth) -> Connection {
        Connection { peer, local }
    }

    /// Who it is, as Kafka writes it.
    pub fn principal(&self) -> &str {
        ANONYMOUS
    }

    /// Whether it has said who it is, if it has to.
    pub fn is_known(&self) -> bool {
        true
    }

    /// Whether it may use an API now.
    pub fn may_call(&self, _: i16) -> bool {
        self.is_known()
    }
}

/// Users and access rules.
#[derive(Debug, Default)]
pub(crate) struct Auth;

impl Auth {
    /// As remembered.
    pub fn from_kept(_: &Kept) -> Auth {
        Auth
    }

    /// Whether a client may do that.
    pub fn allows(&self, _: &Connection, _: Operation, _: Resource<'_>) -> bool {
        true
    }
}
