//! Access rules: who may do what. Without any, everybody may do everything; with some, only what one of them allows.

use super::{Operation, Resource};

/// What kind of thing a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceKind {
    /// Topics.
    Topic,
    /// Consumer groups.
    Group,
    /// Transactional ids.
    TransactionalId,
    /// The broker itself.
    Cluster,
}

/// Which of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// All.
    All,
    /// The one of that name.
    Is(String),
    /// Those whose names begin so.
    BeginWith(String),
}

/// A rule: these principals may do that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// `User:NAME`, or `User:*` for everybody.
    pub principal: String,
    /// What kind of thing.
    pub kind: ResourceKind,
    /// Which of them.
    pub names: Names,
    /// What may be done; `None`: everything.
    pub operations: Option<Vec<Operation>>,
}

/// All rules.
#[derive(Debug)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    super_users: Vec<String>,
}

impl Rules {
    pub fn new(rules: &[Rule], super_users: &[String]) -> Rules {
        Rules { rules: rules.to_vec(), super_users: super_users.to_vec() }
    }

    /// Whether a principal may do that.
    pub fn allow(&self, principal: &str, operation: Operation, resource: Resource<'_>) -> bool {
        self.rules.is_empty()
            || self.super_users.iter().any(|user| user == principal)
            || self.rules.iter().any(|rule| rule.allows(principal, operation, resource))
    }
}

impl Rule {
    fn allows(&self, principal: &str, operation: Operation, resource: Resource<'_>) -> bool {
        let (kind, name) = match resource {
            Resource::Topic(name) => (ResourceKind::Topic, name),
            Resource::Group(name) => (ResourceKind::Group, name),
            Resource::Transaction(name) => (ResourceKind::TransactionalId, name),
            Resource::Cluster => (ResourceKind::Cluster, ""),
        };
        let is_named = match &self.names {
            Names::All => true,
            Names::Is(own) => kind == ResourceKind::Cluster || own == name,
            Names::BeginWith(prefix) => name.starts_with(prefix),
        };
        let is_allowed = |allowed: &Operation| *allowed == operation || implied_by(operation).contains(allowed);
        (self.principal == "User:*" || self.principal == principal)
            && kind == self.kind
            && is_named
            && self.operations.as_ref().is_none_or(|operations| operations.iter().any(is_allowed))
    }
}

/// The operations that whoever may do them may do this one, too; as Kafka has it.
fn implied_by(operation: Operation) -> &'static [Operation] {
    match operation {
        Operation::Describe => &[Operation::Read, Operation::Write, Operation::Delete, Operation::Alter],
        Operation::DescribeConfigs => &[Operation::AlterConfigs],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(principal: &str, kind: ResourceKind, names: Names, operations: &[Operation]) -> Rule {
        Rule { principal: principal.to_owned(), kind, names, operations: Some(operations.to_vec()) }
    }

    #[test]
    fn what_is_allowed() {
        use Operation::*;
        let rules = [
            rule("User:ann", ResourceKind::Topic, Names::Is("orders".into()), &[Read]),
            rule("User:ann", ResourceKind::Group, Names::BeginWith("ann-".into()), &[Read]),
            rule("User:*", ResourceKind::Topic, Names::Is("public".into()), &[Write]),
            Rule { operations: None, ..rule("User:bob", ResourceKind::Topic, Names::All, &[]) },
            rule("User:bob", ResourceKind::Cluster, Names::All, &[AlterConfigs]),
        ];
        let rules = Rules::new(&rules, &["User:root".to_owned()]);
        let check = |principal: &str, operation, resource: Resource<'_>, expect: bool| {
            assert_eq!(rules.allow(principal, operation, resource), expect, "{principal} {operation:?} {resource}");
        };
        check("User:ann", Read, Resource::Topic("orders"), true);
        check("User:ann", Describe, Resource::Topic("orders"), true);
        check("User:ann", DescribeConfigs, Resource::Topic("orders"), false);
        check("User:ann", Write, Resource::Topic("orders"), false);
        check("User:ann", Read, Resource::Topic("orders2"), false);
        check("User:ann", Read, Resource::Group("ann-1"), true);
        check("User:ann", Read, Resource::Group("an"), false);
        check("User:ann", Read, Resource::Transaction("ann-1"), false);
        check("User:carl", Write, Resource::Topic("public"), true);
        check("User:carl", Read, Resource::Topic("public"), false);
        check("User:bob", AlterConfigs, Resource::Topic("orders"), true);
        check("User:bob", DescribeConfigs, Resource::Cluster, true);
        check("User:bob", Describe, Resource::Cluster, false);
        check("User:root", Alter, Resource::Cluster, true);
        assert!(Rules::new(&[], &[]).allow("User:ANONYMOUS", Delete, Resource::Topic("t")));
    }
}
