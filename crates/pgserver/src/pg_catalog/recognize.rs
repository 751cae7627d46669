//! Which queries are for pg_catalog: those that read its tables, or read nothing and call its functions.

use std::{collections::HashSet, ops::ControlFlow, sync::Arc};

use sqlparser::{
    ast::{DataType, Expr, ObjectName, Query, Statement, TableFactor, Visit, Visitor},
    dialect::PostgreSqlDialect,
    parser::Parser,
};

use super::{functions::is_function, rewrite::rewrite, tables::find};

/// What a query over pg_catalog has somewhere in its text. Others need not be read twice.
const MARKS: [&str; 14] = [
    "pg_",
    "information_schema",
    "version",
    "current_",
    "session_user",
    "set_config",
    "has_",
    "obj_description",
    "format_type",
    "regclass",
    "regtype",
    "inet_",
    "quote_",
    "txid_current",
];

/// Levels of brackets and subqueries that are read.
const NESTING_MAX: usize = 64;

/// A query over pg_catalog, rewritten.
#[derive(Debug, Clone)]
pub(crate) struct SystemQuery {
    /// What DataFusion is to plan.
    pub(super) statement: Arc<Statement>,
}

/// The query, if it is one over pg_catalog. Text that PostgreSQL's grammar does not take is not.
pub(crate) fn recognize(text: &str) -> Option<SystemQuery> {
    let lower = text.to_ascii_lowercase();
    if !MARKS.iter().any(|mark| lower.contains(mark)) {
        return None;
    }
    let dialect = PostgreSqlDialect {};
    let parser = Parser::new(&dialect).with_recursion_limit(NESTING_MAX).try_with_sql(text);
    let statements = parser.and_then(|mut parser| parser.parse_statements()).ok()?;
    let [Statement::Query(query)] = statements.as_slice() else { return None };
    let mut reads = Reads::default();
    _ = query.visit(&mut reads);
    let own = |name: &ObjectName| is_system(name) || reads.local.contains(&last(name));
    let all_own = reads.relations.iter().all(own);
    let any = reads.relations.iter().any(is_system) || (reads.relations.is_empty() && reads.calls);
    if !all_own || !any {
        return None;
    }
    let mut statement = Statement::Query(query.clone());
    rewrite(&mut statement);
    Some(SystemQuery { statement: Arc::new(statement) })
}

/// What a query reads and calls.
#[derive(Default)]
struct Reads {
    relations: Vec<ObjectName>,
    /// Names of common table expressions, lower case.
    local: HashSet<String>,
    /// A function of pg_catalog is called.
    calls: bool,
}

impl Visitor for Reads {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        self.local.extend(tables.map(|cte| cte.alias.name.value.to_ascii_lowercase()));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        // Functions that give rows are no relations.
        if let TableFactor::Table { name, args: None, .. } = factor {
            self.relations.push(name.clone());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.calls |= match expr {
            Expr::Function(function) => is_function(&last(&function.name)),
            Expr::Cast { data_type: DataType::Regclass, .. } => true,
            Expr::Cast { data_type: DataType::Custom(name, _), .. } => {
                matches!(last(name).as_str(), "regclass" | "regtype" | "regnamespace")
            }
            _ => false,
        };
        ControlFlow::Continue(())
    }
}

/// The parts of a name as meant: lower case unless quoted.
pub(super) fn parts(name: &ObjectName) -> Vec<String> {
    let ident = |part: &sqlparser::ast::ObjectNamePart| {
        part.as_ident().map(|i| if i.quote_style.is_some() { i.value.clone() } else { i.value.to_ascii_lowercase() })
    };
    name.0.iter().filter_map(ident).collect()
}

fn last(name: &ObjectName) -> String {
    parts(name).pop().unwrap_or_default()
}

/// Schema and name of a table of pg_catalog or information_schema; the database before it is left out.
pub(super) fn system_table(name: &ObjectName) -> Option<(&'static str, &'static str)> {
    let parts = parts(name);
    let table = match parts.as_slice() {
        [table] if table.starts_with("pg_") => find(None, table),
        [schema, table] | [_, schema, table] => find(Some(schema), table),
        _ => None,
    }?;
    Some((table.schema, table.name))
}

fn is_system(name: &ObjectName) -> bool {
    system_table(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::recognize;

    fn check(text: &str, want: bool) {
        assert_eq!(recognize(text).is_some(), want, "{text}");
    }

    #[test]
    fn knows_whose_query_it_is() {
        check("SELECT version()", true);
        check("select pg_catalog.version() as v", true);
        check("SELECT current_schema(), current_database()", true);
        check("SELECT relname FROM pg_class", true);
        check("WITH x AS (SELECT 1) SELECT * FROM x, pg_catalog.pg_type", true);
        check("SELECT * FROM INFORMATION_SCHEMA.TABLES", true);
        check("SELECT * FROM orders JOIN pg_class ON true", false);
        check("SELECT * FROM pg_mine", false);
        check("SELECT version FROM releases", false);
        check("SELECT * FROM s EMIT CHANGES -- pg_class", false);
        check("SELECT current_date", false);
        check("SELECT 'orders'::regclass", true);
    }
}
