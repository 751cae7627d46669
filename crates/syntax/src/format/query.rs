//! Queries as text.

use std::fmt::{self, Display, Formatter};

use super::{Commas, OptionalProperties, expr::AtLeast, when};
use crate::{
    ast::{
        Emit, Expr, Ident, Join, JoinKind, Query, QueryBody, Relation, Select, SelectItem, Window, WindowKind, Within,
    },
    expr::Power,
    units::written,
};

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, (name, query)) in self.ctes.iter().enumerate() {
            write!(f, "{} {name} AS ({query})", if i == 0 { "WITH" } else { "," })?;
        }
        f.write_str(when(!self.ctes.is_empty(), " "))?;
        self.body.fmt(f)?;
        if let Some(emit) = self.emit {
            write!(f, " {emit}")?;
        }
        match self.limit {
            Some(limit) => write!(f, " LIMIT {limit}"),
            None => Ok(()),
        }
    }
}

impl Display for QueryBody {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            QueryBody::Select(select) => select.fmt(f),
            QueryBody::UnionAll(selects) => {
                for (i, select) in selects.iter().enumerate() {
                    write!(f, "{}{select}", if i == 0 { "" } else { " UNION ALL " })?;
                }
                Ok(())
            }
            QueryBody::General(query) => query.fmt(f),
        }
    }
}

impl Display for Emit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Emit::Changes => f.write_str("EMIT CHANGES"),
            Emit::Final { idle_ms: None } => f.write_str("EMIT FINAL"),
            Emit::Final { idle_ms: Some(ms) } => write!(f, "EMIT FINAL IDLE TIMEOUT {}", written(*ms)),
        }
    }
}

impl Display for Select {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "SELECT {}{}", when(self.distinct, "DISTINCT "), Commas(&self.projection))?;
        if let Some(from) = &self.from {
            write!(f, " FROM {from}")?;
        }
        if let Some(window) = &self.window {
            write!(f, " {window}")?;
        }
        if let Some(filter) = &self.filter {
            write!(f, " WHERE {filter}")?;
        }
        keys(f, " GROUP BY ", &self.group_by)?;
        f.write_str(when(self.null_groups && !self.group_by.is_empty(), " INCLUDE NULLS"))?;
        keys(f, " PARTITION BY ", &self.partition_by)?;
        match &self.having {
            Some(having) => write!(f, " HAVING {having}"),
            None => Ok(()),
        }
    }
}

fn keys(f: &mut Formatter<'_>, clause: &str, keys: &[Expr]) -> fmt::Result {
    for (i, key) in keys.iter().enumerate() {
        write!(f, "{}{}", if i == 0 { clause } else { ", " }, AtLeast(Power::Concat, key))?;
    }
    Ok(())
}

impl Display for SelectItem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            SelectItem::All { qualifier: None, .. } => f.write_str("*"),
            SelectItem::All { qualifier: Some(qualifier), .. } => write!(f, "{qualifier}.*"),
            SelectItem::StructAll { base, .. } => write!(f, "{}->*", AtLeast(Power::Operand, base)),
            SelectItem::Expr { expr, alias } => write!(f, "{expr}{}", As(alias)),
        }
    }
}

/// ` AS alias`, or nothing.
struct As<'a>(&'a Option<Ident>);

impl Display for As<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(alias) => write!(f, " AS {alias}"),
            None => Ok(()),
        }
    }
}

impl Display for Relation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Relation::Named { name, alias, options } => write!(f, "{name}{}{}", As(alias), OptionalProperties(options)),
            Relation::Subquery { query, alias, .. } => write!(f, "({query}){}", As(alias)),
            Relation::Join(join) => join.fmt(f),
        }
    }
}

impl Display for Join {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} JOIN {}", self.left, self.kind, self.right)?;
        if let Some(within) = &self.within {
            write!(f, " {within}")?;
        }
        write!(f, " ON {}", self.on)
    }
}

impl Display for JoinKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JoinKind::Inner => "INNER",
            JoinKind::Left => "LEFT",
            JoinKind::Right => "RIGHT",
            JoinKind::Full => "FULL",
        })
    }
}

impl Display for Within {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.before_ms == self.after_ms {
            true => write!(f, "WITHIN {}", written(self.before_ms))?,
            false => write!(f, "WITHIN ({}, {})", written(self.before_ms), written(self.after_ms))?,
        }
        match self.grace_ms {
            Some(grace_ms) => write!(f, " GRACE PERIOD {}", written(grace_ms)),
            None => Ok(()),
        }
    }
}

impl Display for Window {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.kind {
            WindowKind::Tumbling { size_ms } => write!(f, "WINDOW TUMBLING (SIZE {}", written(size_ms))?,
            WindowKind::Hopping { size_ms, advance_ms } => {
                write!(f, "WINDOW HOPPING (SIZE {}, ADVANCE BY {}", written(size_ms), written(advance_ms))?;
            }
            WindowKind::Session { gap_ms } => write!(f, "WINDOW SESSION ({}", written(gap_ms))?,
        }
        if let Some(retention_ms) = self.retention_ms {
            write!(f, ", RETENTION {}", written(retention_ms))?;
        }
        if let Some(grace_ms) = self.grace_ms {
            write!(f, ", GRACE PERIOD {}", written(grace_ms))?;
        }
        f.write_str(")")
    }
}
