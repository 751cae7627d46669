//! Access rules: who may do what. Where the settings have rules or super users, only what a rule allows is allowed;
//! where they have none, everything is.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use kafka_protocol::error::ResponseError;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use super::{
    Operation, Resource,
    acl::{ANY, Acl, CLUSTER_NAME, EVERYBODY, Pattern, Permission},
};
use crate::{
    error::Failure,
    store::{Kept, Key},
};

/// Most rules that are made over the wire.
pub(crate) const RULES_MAX: usize = 10_000;

/// What kind of thing a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

/// A rule of the settings: these principals may do that.
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

/// Rules by whom they are about.
type ByPrincipal = BTreeMap<String, BTreeSet<Acl>>;

/// All rules.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Whether anything is forbidden at all.
    are_enforced: bool,
    super_users: Vec<String>,
    /// Of the settings.
    fixed: ByPrincipal,
    /// Made over the wire.
    kept: RwLock<ByPrincipal>,
}

impl Rules {
    pub fn new(rules: &[Rule], super_users: &[String], kept: &Kept) -> Rules {
        let mut fixed = ByPrincipal::new();
        for acl in rules.iter().flat_map(Rule::acls) {
            fixed.entry(acl.principal.clone()).or_default().insert(acl);
        }
        let rules = Rules {
            are_enforced: !(rules.is_empty() && super_users.is_empty()),
            super_users: super_users.to_vec(),
            fixed,
            kept: RwLock::default(),
        };
        for key in kept.keys() {
            if let Key::Acl(acl) = key {
                rules.add(acl.clone());
            }
        }
        rules
    }

    /// An error where rules would have no effect.
    pub fn check_enforced(&self) -> Result<(), Failure> {
        let message = "nothing is forbidden here: name a super user or a rule in the server's configuration first";
        if self.are_enforced { Ok(()) } else { Err(Failure::new(ResponseError::SecurityDisabled, message)) }
    }

    /// Whether a principal at that address may do that.
    pub fn allow(&self, principal: &str, host: IpAddr, operation: Operation, resource: Resource<'_>) -> bool {
        if !self.are_enforced || self.super_users.iter().any(|user| user == principal) {
            return true;
        }
        let kept = self.kept.read();
        let mut is_allowed = false;
        for rules in [&self.fixed, &*kept] {
            for who in [principal, EVERYBODY] {
                for acl in rules.get(who).into_iter().flatten().filter(|acl| acl.concerns(resource, host)) {
                    match acl.says(operation) {
                        Some(Permission::Deny) => return false,
                        Some(Permission::Allow) => is_allowed = true,
                        None => {}
                    }
                }
            }
        }
        is_allowed
    }

    /// Whether the settings have that rule.
    pub fn is_fixed(&self, acl: &Acl) -> bool {
        self.fixed.get(&acl.principal).is_some_and(|acls| acls.contains(acl))
    }

    /// Whether that rule was made over the wire.
    pub fn is_kept(&self, acl: &Acl) -> bool {
        self.kept.read().get(&acl.principal).is_some_and(|acls| acls.contains(acl))
    }

    /// The rules that pass.
    pub fn find(&self, passes: impl Fn(&Acl) -> bool) -> BTreeSet<Acl> {
        let kept = self.kept.read();
        let all = self.fixed.values().chain(kept.values()).flatten();
        all.filter(|acl| passes(acl)).cloned().collect()
    }

    /// How many were made over the wire.
    pub fn kept_count(&self) -> usize {
        self.kept.read().values().map(BTreeSet::len).sum()
    }

    /// Add one; that it is durable is the caller's part.
    pub fn add(&self, acl: Acl) {
        self.kept.write().entry(acl.principal.clone()).or_default().insert(acl);
    }

    /// Remove one; that it is durable is the caller's part.
    pub fn remove(&self, acl: &Acl) {
        let mut kept = self.kept.write();
        if let Some(acls) = kept.get_mut(&acl.principal) {
            acls.remove(acl);
            if acls.is_empty() {
                kept.remove(&acl.principal);
            }
        }
    }
}

impl Rule {
    /// The same as Kafka has it.
    fn acls(&self) -> impl Iterator<Item = Acl> {
        let (pattern, name) = match (self.kind, &self.names) {
            (ResourceKind::Cluster, _) => (Pattern::Literal, CLUSTER_NAME),
            (_, Names::All) => (Pattern::Literal, ANY),
            (_, Names::Is(name)) => (Pattern::Literal, name.as_str()),
            (_, Names::BeginWith(prefix)) => (Pattern::Prefixed, prefix.as_str()),
        };
        let operations = match &self.operations {
            None => vec![None],
            Some(operations) => operations.iter().copied().map(Some).collect(),
        };
        operations.into_iter().map(move |operation| Acl {
            principal: self.principal.clone(),
            kind: self.kind,
            pattern,
            name: name.to_owned(),
            operation,
            permission: Permission::Allow,
            host: ANY.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(principal: &str, kind: ResourceKind, names: Names, operations: &[Operation]) -> Rule {
        Rule { principal: principal.to_owned(), kind, names, operations: Some(operations.to_vec()) }
    }

    const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn acl(
        principal: &str,
        pattern: Pattern,
        name: &str,
        operation: Option<Operation>,
        permission: Permission,
        host: &str,
    ) -> Acl {
        let (principal, name, host) = (principal.to_owned(), name.to_owned(), host.to_owned());
        Acl { principal, kind: ResourceKind::Topic, pattern, name, operation, permission, host }
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
        let rules = Rules::new(&rules, &["User:root".to_owned()], &Kept::new());
        rules.add(acl("User:ann", Pattern::Prefixed, "ord", Some(Delete), Permission::Allow, ANY));
        rules.add(acl("User:ann", Pattern::Literal, "orders", Some(DescribeConfigs), Permission::Allow, "10.0.0.1"));
        rules.add(acl("User:bob", Pattern::Literal, "secret", Some(Read), Permission::Deny, ANY));
        rules.add(acl("User:*", Pattern::Literal, "nobodys", None, Permission::Deny, ANY));
        let check = |principal: &str, operation, resource: Resource<'_>, expect: bool| {
            let allowed = rules.allow(principal, HOST, operation, resource);
            assert_eq!(allowed, expect, "{principal} {operation:?} {resource}");
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
        check("User:ann", Delete, Resource::Topic("orders2"), true);
        check("User:ann", Describe, Resource::Topic("orders2"), true);
        check("User:bob", Read, Resource::Topic("secret"), false);
        check("User:bob", Describe, Resource::Topic("secret"), true);
        check("User:bob", Write, Resource::Topic("nobodys"), false);
        check("User:root", Write, Resource::Topic("nobodys"), true);
        let elsewhere = rules.allow("User:ann", [10, 0, 0, 1].into(), DescribeConfigs, Resource::Topic("orders"));
        assert!(elsewhere, "from an address that a rule names");
        rules.remove(&acl("User:ann", Pattern::Prefixed, "ord", Some(Delete), Permission::Allow, ANY));
        check("User:ann", Delete, Resource::Topic("orders2"), false);
    }

    #[test]
    fn without_any_everything_is_allowed() {
        let allows = |super_users: &[String], kept: &Kept| {
            let rules = Rules::new(&[], super_users, kept);
            rules.allow("User:ANONYMOUS", HOST, Operation::Delete, Resource::Topic("t"))
        };
        assert!(allows(&[], &Kept::new()));
        let deny = acl(EVERYBODY, Pattern::Literal, "t", None, Permission::Deny, ANY);
        let kept = Kept::from([(Key::Acl(deny), serde_json::Value::Bool(true))]);
        assert!(allows(&[], &kept), "it is the settings that say whether rules count");
        assert!(!allows(&["User:root".to_owned()], &Kept::new()));
    }
}
