//! Who a client is and what it may do.
//!
//! A client is known by its certificate, by a SASL exchange, or not at all. Without users nobody has to say who he is;
//! without rules everybody who got in may do everything.

mod identity;
mod plain;
mod rules;
mod sasl;
mod scram;
mod subject;
pub(crate) mod tls;
mod users;

use std::fmt;

pub(crate) use self::{
    identity::Connection,
    sasl::{Exchange, MECHANISMS, Progress},
};
use self::{rules::Rules, users::Users};
pub use self::{
    rules::{Names, ResourceKind, Rule},
    tls::{TlsError, TlsFiles},
    users::User,
};

/// What everybody is who did not say.
pub(crate) const ANONYMOUS: &str = "User:ANONYMOUS";

/// What can be done to a resource, in Kafka's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Take records from a topic, be a member of a group.
    Read,
    /// Give records to a topic, use a transactional id.
    Write,
    /// Make a topic.
    Create,
    /// Delete a topic, its records, a group.
    Delete,
    /// Add partitions.
    Alter,
    /// See that it is there, and what it is like.
    Describe,
    /// See its settings.
    DescribeConfigs,
    /// Change its settings.
    AlterConfigs,
}

/// All operations.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::Read,
    Operation::Write,
    Operation::Create,
    Operation::Delete,
    Operation::Alter,
    Operation::Describe,
    Operation::DescribeConfigs,
    Operation::AlterConfigs,
];

impl Operation {
    /// For messages.
    pub(crate) fn name(self) -> &'static str {
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

    /// As rules write it.
    pub fn word(self) -> &'static str {
        match self {
            Operation::DescribeConfigs => "describe_configs",
            Operation::AlterConfigs => "alter_configs",
            other => other.name(),
        }
    }

    /// The operation of that word.
    pub fn of_word(word: &str) -> Option<Operation> {
        OPERATIONS.iter().copied().find(|operation| operation.word() == word)
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

/// Users and access rules of a broker.
#[derive(Debug)]
pub(crate) struct Auth {
    users: Users,
    rules: Rules,
}

impl Auth {
    /// As the settings have them. `random` gives salts.
    pub fn new(settings: &crate::Settings, random: &dyn host::Random) -> Auth {
        Auth { users: Users::new(&settings.users, random), rules: Rules::new(&settings.rules, &settings.super_users) }
    }

    /// Whether clients have to go through a SASL exchange.
    pub fn wants_sasl(&self) -> bool {
        !self.users.is_empty()
    }

    /// Whether a client may do that.
    pub fn allows(&self, connection: &Connection, operation: Operation, resource: Resource<'_>) -> bool {
        self.rules.allow(&connection.principal(), operation, resource)
    }
}
