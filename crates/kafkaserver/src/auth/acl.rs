//! An access rule as Kafka has it, its numbers in messages, and filters that find some of many.

use std::net::IpAddr;

use kafka_protocol::error::ResponseError;
use serde::{Deserialize, Serialize};

use super::{OPERATIONS, Operation, Resource, rules::ResourceKind};
use crate::error::Failure;

/// The one resource of kind cluster.
pub(crate) const CLUSTER_NAME: &str = "kafka-cluster";
/// Everybody.
pub(super) const EVERYBODY: &str = "User:*";
/// Any name, or any host.
pub(super) const ANY: &str = "*";
/// Longest name and principal, bytes.
const TEXT_BYTES_MAX: usize = 1_024;
/// Kafka's number for "any of them" in filters.
const CODE_ANY: i8 = 1;
/// Kafka's number for all operations.
const CODE_ALL: i8 = 2;
/// Kafka's number for names that would apply to the one that a filter gives.
const CODE_MATCH: i8 = 2;

/// A rule: a principal may do something, or may not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Acl {
    /// `User:NAME`, or [`EVERYBODY`].
    pub principal: String,
    pub kind: ResourceKind,
    pub pattern: Pattern,
    /// A name, the beginning of names, or [`ANY`].
    pub name: String,
    /// `None`: all.
    pub operation: Option<Operation>,
    pub permission: Permission,
    /// An address, or [`ANY`].
    pub host: String,
}

/// How a rule's name is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pattern {
    /// As the whole name.
    Literal,
    /// As its beginning.
    Prefixed,
}

/// Whether a rule gives or takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Permission {
    Deny,
    Allow,
}

/// A rule in Kafka's numbers and words, as messages carry it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written<'a> {
    pub kind: i8,
    pub name: &'a str,
    pub pattern: i8,
    pub principal: &'a str,
    pub host: &'a str,
    pub operation: i8,
    pub permission: i8,
}

/// What kinds of rules a client asks for; `None` of a text: any.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filter<'a> {
    pub kind: i8,
    pub name: Option<&'a str>,
    pub pattern: i8,
    pub principal: Option<&'a str>,
    pub host: Option<&'a str>,
    pub operation: i8,
    pub permission: i8,
}

impl ResourceKind {
    const ALL: &[ResourceKind] =
        &[ResourceKind::Topic, ResourceKind::Group, ResourceKind::Cluster, ResourceKind::TransactionalId];

    /// Kafka's number.
    pub(crate) fn code(self) -> i8 {
        match self {
            ResourceKind::Topic => 2,
            ResourceKind::Group => 3,
            ResourceKind::Cluster => 4,
            ResourceKind::TransactionalId => 5,
        }
    }
}

impl Pattern {
    /// Kafka's number.
    pub fn code(self) -> i8 {
        match self {
            Pattern::Literal => 3,
            Pattern::Prefixed => 4,
        }
    }
}

impl Permission {
    /// Kafka's number.
    pub fn code(self) -> i8 {
        match self {
            Permission::Deny => 2,
            Permission::Allow => 3,
        }
    }
}

impl Operation {
    /// Kafka's number.
    fn code(self) -> i8 {
        match self {
            Operation::Read => 3,
            Operation::Write => 4,
            Operation::Create => 5,
            Operation::Delete => 6,
            Operation::Alter => 7,
            Operation::Describe => 8,
            Operation::ClusterAction => 9,
            Operation::DescribeConfigs => 10,
            Operation::AlterConfigs => 11,
            Operation::IdempotentWrite => 12,
        }
    }

    /// The operations that whoever may do them may do this one, too; as Kafka has it.
    fn implied_by(self) -> &'static [Operation] {
        match self {
            Operation::Describe => &[Operation::Read, Operation::Write, Operation::Delete, Operation::Alter],
            Operation::DescribeConfigs => &[Operation::AlterConfigs],
            _ => &[],
        }
    }
}

impl Acl {
    /// A rule that a client wants; the error says what is wrong with it.
    pub fn from_client(written: Written<'_>) -> Result<Acl, Failure> {
        let invalid = |message: String| Failure::new(ResponseError::InvalidRequest, message);
        let Written { principal, name, host, .. } = written;
        let kinds = ResourceKind::ALL.iter().copied().find(|kind| kind.code() == written.kind);
        let kind = kinds.ok_or_else(|| {
            invalid(format!(
                "resource type {}: rules are about topics, groups, transactional ids or the cluster",
                written.kind
            ))
        })?;
        let pattern = match written.pattern {
            3 => Pattern::Literal,
            4 => Pattern::Prefixed,
            other => return Err(invalid(format!("pattern type {other}: a rule's is literal or prefixed"))),
        };
        let permission = match written.permission {
            2 => Permission::Deny,
            3 => Permission::Allow,
            other => return Err(invalid(format!("permission {other}: a rule allows or denies"))),
        };
        let operation = match written.operation {
            CODE_ALL => None,
            code => Some(
                OPERATIONS
                    .iter()
                    .copied()
                    .find(|operation| operation.code() == code)
                    .ok_or_else(|| invalid(format!("operation {code} is none that this server knows")))?,
            ),
        };
        if principal.strip_prefix("User:").is_none_or(str::is_empty) || principal.len() > TEXT_BYTES_MAX {
            let message = format!("principal {principal:?}: expected User:NAME or User:*");
            return Err(Failure::new(ResponseError::InvalidPrincipalType, message));
        }
        if name.is_empty() || name.len() > TEXT_BYTES_MAX {
            return Err(invalid(format!("a resource's name has 1 to {TEXT_BYTES_MAX} bytes")));
        }
        if kind == ResourceKind::Cluster && name != CLUSTER_NAME {
            return Err(invalid(format!("cluster {name:?}: the only one is called {CLUSTER_NAME}")));
        }
        let host = match (host, host.parse::<IpAddr>()) {
            (ANY, _) => ANY.to_owned(),
            (_, Ok(address)) => address.to_canonical().to_string(),
            _ => return Err(invalid(format!("host {host:?}: expected an address or *"))),
        };
        let (principal, name) = (principal.to_owned(), name.to_owned());
        Ok(Acl { principal, kind, pattern, name, operation, permission, host })
    }

    /// As messages carry it.
    pub fn written(&self) -> Written<'_> {
        Written {
            kind: self.kind.code(),
            name: &self.name,
            pattern: self.pattern.code(),
            principal: &self.principal,
            host: &self.host,
            operation: self.operation.map_or(CODE_ALL, Operation::code),
            permission: self.permission.code(),
        }
    }

    /// Whether it is about that resource, and clients at that address.
    pub(super) fn concerns(&self, resource: Resource<'_>, host: IpAddr) -> bool {
        let (kind, name) = match resource {
            Resource::Topic(name) => (ResourceKind::Topic, name),
            Resource::Group(name) => (ResourceKind::Group, name),
            Resource::Transaction(name) => (ResourceKind::TransactionalId, name),
            Resource::Cluster => (ResourceKind::Cluster, CLUSTER_NAME),
        };
        self.kind == kind && self.names(name) && (self.host == ANY || self.host == host.to_canonical().to_string())
    }

    /// What it says of an operation on what it [`concerns`](Acl::concerns); `None`: nothing.
    pub(super) fn says(&self, operation: Operation) -> Option<Permission> {
        let is_meant = match (self.operation, self.permission) {
            (None, _) => true,
            (Some(own), Permission::Deny) => own == operation,
            (Some(own), Permission::Allow) => own == operation || operation.implied_by().contains(&own),
        };
        is_meant.then_some(self.permission)
    }

    fn names(&self, name: &str) -> bool {
        match self.pattern {
            Pattern::Literal => self.name == ANY || self.name == name,
            Pattern::Prefixed => name.starts_with(&self.name),
        }
    }
}

impl Filter<'_> {
    /// Whether a rule is asked for.
    pub fn finds(&self, acl: &Acl) -> bool {
        let code = |wanted: i8, own: i8| wanted == CODE_ANY || wanted == own;
        let text = |wanted: Option<&str>, own: &str| wanted.is_none_or(|wanted| wanted == own);
        let own = acl.written();
        let is_named = match self.pattern {
            CODE_MATCH => self.name.is_none_or(|name| acl.names(name)),
            pattern => code(pattern, own.pattern) && text(self.name, own.name),
        };
        is_named
            && code(self.kind, own.kind)
            && text(self.principal, own.principal)
            && text(self.host, own.host)
            && code(self.operation, own.operation)
            && code(self.permission, own.permission)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Written<'static> {
        Written { kind: 2, name: "t", pattern: 3, principal: "User:ann", host: "*", operation: 3, permission: 3 }
    }

    #[test]
    fn rules_that_clients_want() {
        let check = |change: fn(&mut Written<'static>), expect: Result<(), &str>| {
            let mut wanted = written();
            change(&mut wanted);
            match (Acl::from_client(wanted), expect) {
                (Ok(acl), Ok(())) => {
                    let json = serde_json::to_string(&acl).expect("it is written");
                    assert_eq!(serde_json::from_str::<Acl>(&json).expect("it is read"), acl);
                    assert_eq!(acl.written().operation, wanted.operation);
                }
                (Err(failure), Err(part)) => assert!(failure.message.contains(part), "{}", failure.message),
                (got, _) => panic!("{got:?}, not {expect:?}"),
            }
        };
        check(|_| {}, Ok(()));
        check(|acl| acl.operation = 2, Ok(()));
        check(|acl| acl.host = "::ffff:10.0.0.1", Ok(()));
        check(|acl| (acl.kind, acl.name) = (4, CLUSTER_NAME), Ok(()));
        check(|acl| acl.kind = 1, Err("resource type 1"));
        check(|acl| acl.kind = 7, Err("resource type 7"));
        check(|acl| acl.kind = 4, Err("kafka-cluster"));
        check(|acl| acl.pattern = 2, Err("pattern type 2"));
        check(|acl| acl.permission = 1, Err("permission 1"));
        check(|acl| acl.operation = 1, Err("operation 1"));
        check(|acl| acl.operation = 13, Err("operation 13"));
        check(|acl| acl.principal = "Group:x", Err("User:NAME"));
        check(|acl| acl.principal = "User:", Err("User:NAME"));
        check(|acl| acl.name = "", Err("1 to 1024"));
        check(|acl| acl.host = "example.org", Err("an address or *"));
    }

    #[test]
    fn filters_find_rules() {
        let any = Filter { kind: 1, name: None, pattern: 1, principal: None, host: None, operation: 1, permission: 1 };
        let check = |filter: Filter<'_>, pattern: i8, name: &'static str, expect: bool| {
            let acl = Acl::from_client(Written { pattern, name, ..written() }).expect("a rule");
            assert_eq!(filter.finds(&acl), expect, "{filter:?} {acl:?}");
        };
        check(any, 3, "t", true);
        check(Filter { kind: 2, operation: 3, permission: 3, host: Some("*"), ..any }, 3, "t", true);
        check(Filter { kind: 3, ..any }, 3, "t", false);
        check(Filter { operation: 4, ..any }, 3, "t", false);
        check(Filter { permission: 2, ..any }, 3, "t", false);
        check(Filter { principal: Some("User:bob"), ..any }, 3, "t", false);
        check(Filter { host: Some("10.0.0.1"), ..any }, 3, "t", false);
        check(Filter { name: Some("topic"), pattern: CODE_MATCH, ..any }, 4, "t", true);
        check(Filter { name: Some("topic"), pattern: CODE_MATCH, ..any }, 3, "*", true);
        check(Filter { name: Some("topic"), pattern: CODE_MATCH, ..any }, 3, "t", false);
        check(Filter { name: Some("topic"), ..any }, 4, "t", false);
        check(Filter { name: Some("t"), ..any }, 4, "t", true);
        check(Filter { name: Some("t"), pattern: 3, ..any }, 4, "t", false);
    }
}
