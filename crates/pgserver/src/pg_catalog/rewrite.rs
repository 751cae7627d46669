//! From PostgreSQL's SQL to what DataFusion plans: operators and functions without their schema, no collations,
//! object identifier types as functions, subqueries that give one value as such.
//!
//! Each rule is about one construct, wherever it stands; none knows the query of a tool.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, GroupByExpr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr, Statement,
    TableFactor, Value, VisitMut, VisitorMut,
};

use super::{
    empty,
    recognize::{parts, system_table},
};

/// What stands between a column's name and its number where the name was given by PostgreSQL's rules, which allow
/// two columns of one name.
pub(super) const NUMBER_MARK: char = '\u{1}';

/// Rewrites a query.
pub(super) fn rewrite(statement: &mut Statement) {
    if let Statement::Query(query) = statement {
        name_columns(&mut query.body);
    }
    _ = statement.visit(&mut Rewriter);
    if let Statement::Query(query) = statement {
        empty::simplify(query);
    }
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias, args, .. } = factor {
            match (system_table(name), args) {
                (Some((schema, table)), None) => {
                    *name = object_name(&[schema, table]);
                    // `FROM pg_class` is also known as `pg_class`.
                    if alias.is_none() {
                        *alias = Some(sqlparser::ast::TableAlias {
                            explicit: true,
                            name: quoted(table),
                            columns: Vec::new(),
                            at: None,
                        });
                    }
                }
                (None, Some(_)) => *name = without_schema(name),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        rewrite_expr(expr);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        query.locks.clear();
        ControlFlow::Continue(())
    }
}

fn rewrite_expr(expr: &mut Expr) {
    match expr {
        Expr::Collate { expr: inner, .. } => *expr = std::mem::replace(inner, null()),
        Expr::BinaryOp { op, .. } => {
            if let BinaryOperator::PGCustomBinaryOperator(name) = op
                && let Some(plain) = name.last().and_then(|symbol| operator(symbol))
            {
                *op = plain;
            }
            // Our names are upper case where they were not quoted, what people type is not.
            match op {
                BinaryOperator::PGRegexMatch => *op = BinaryOperator::PGRegexIMatch,
                BinaryOperator::PGRegexNotMatch => *op = BinaryOperator::PGRegexNotIMatch,
                _ => {}
            }
        }
        Expr::Function(function) => rewrite_function(function),
        Expr::Cast { expr: inner, data_type, kind, .. } => {
            *kind = CastKind::Cast;
            let inner = std::mem::replace(inner.as_mut(), null());
            *expr = cast(inner, data_type);
        }
        // `pg_catalog.pg_class.relname`: tables are known by their last name.
        Expr::CompoundIdentifier(idents) if idents.len() > 2 => {
            idents.drain(..idents.len() - 2);
        }
        Expr::Subquery(query) => one_value(query),
        _ => {}
    }
}

fn rewrite_function(function: &mut Function) {
    function.name = without_schema(&function.name);
    if function.args == FunctionArguments::None {
        function.args = FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: Vec::new(),
            clauses: Vec::new(),
        });
    }
}

fn operator(symbol: &str) -> Option<BinaryOperator> {
    Some(match symbol {
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "~~*" => BinaryOperator::PGILikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "!~~*" => BinaryOperator::PGNotILikeMatch,
        "=" => BinaryOperator::Eq,
        "<>" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "*" => BinaryOperator::Multiply,
        "/" => BinaryOperator::Divide,
        "%" => BinaryOperator::Modulo,
        "||" => BinaryOperator::StringConcat,
        _ => return None,
    })
}

/// `inner::data_type`. The object identifier types have a number inside and a name outside: a constant becomes the
/// number, a column its name.
fn cast(inner: Expr, data_type: &DataType) -> Expr {
    let name = match data_type {
        DataType::Custom(name, _) => parts(name).pop().unwrap_or_default(),
        DataType::Regclass => "regclass".to_owned(),
        other => {
            return Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(inner),
                data_type: element_type(other),
                array: false,
                format: None,
            };
        }
    };
    let constant = is_constant(&inner);
    match name.as_str() {
        "regclass" if constant => call("regclass_oid", inner),
        "regclass" => call("regclass_name", inner),
        "regtype" if constant => call("regtype_oid", inner),
        "regtype" => call("regtype_name", inner),
        "regnamespace" if constant => call("regnamespace_oid", inner),
        "regproc" | "regprocedure" | "regoper" | "regrole" | "regnamespace" => to_type(inner, DataType::Text),
        name => to_type(inner, plain_type(name)),
    }
}

fn to_type(inner: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(inner), data_type, array: false, format: None }
}

/// An array type with its element's schema left out.
fn element_type(ty: &DataType) -> DataType {
    use sqlparser::ast::ArrayElemTypeDef;
    match ty {
        DataType::Array(ArrayElemTypeDef::SquareBracket(element, size)) => {
            DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(element_type(element)), *size))
        }
        DataType::Custom(name, _) => plain_type(&parts(name).pop().unwrap_or_default()),
        other => other.clone(),
    }
}

/// The type that DataFusion knows for a name of PostgreSQL's; text for what is no more than text here.
fn plain_type(name: &str) -> DataType {
    match name {
        "bool" => DataType::Boolean,
        "int2" => DataType::SmallInt(None),
        "int4" | "cardinal_number" => DataType::Int(None),
        "int8" | "oid" | "xid" => DataType::BigInt(None),
        "float4" => DataType::Real,
        "float8" => DataType::DoublePrecision,
        "date" => DataType::Date,
        _ => DataType::Text,
    }
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) => true,
        Expr::Nested(inner) => is_constant(inner),
        Expr::Cast { expr, .. } => is_constant(expr),
        _ => false,
    }
}

/// A subquery in place of a value gives one row. DataFusion wants that said when the subquery looks outside of
/// itself: the first value of its rows.
fn one_value(query: &mut Query) {
    if query.limit_clause.is_some() || query.fetch.is_some() || query.order_by.is_some() {
        return;
    }
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(exprs, _) if exprs.is_empty());
    if grouped || select.from.is_empty() || select.distinct.is_some() || empty::aggregates(select) {
        return;
    }
    if let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] = select.projection.as_mut_slice() {
        let inner = std::mem::replace(expr, null());
        *expr = call("first_value", inner);
    }
}

/// Gives every column of the result the name that PostgreSQL gives it.
fn name_columns(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => name_selected(select),
        SetExpr::Query(query) => name_columns(&mut query.body),
        SetExpr::SetOperation { left, right, .. } => {
            name_columns(left);
            name_columns(right);
        }
        _ => {}
    }
}

fn name_selected(select: &mut Select) {
    for (at, item) in select.projection.iter_mut().enumerate() {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            continue;
        }
        let alias = quoted(&format!("{}{NUMBER_MARK}{at}", column_name(expr)));
        let expr = std::mem::replace(expr, null());
        *item = SelectItem::ExprWithAlias { expr, alias };
    }
}

fn column_name(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(ident) => ident.value.to_ascii_lowercase(),
        Expr::CompoundIdentifier(idents) => {
            idents.last().map_or("?column?".to_owned(), |i| i.value.to_ascii_lowercase())
        }
        Expr::Function(function) => parts(&function.name).pop().unwrap_or_default(),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => column_name(inner),
        Expr::Cast { expr: inner, data_type, .. } => match column_name(inner).as_str() {
            "?column?" => match data_type {
                DataType::Custom(name, _) => parts(name).pop().unwrap_or_default(),
                other => other.to_string().to_ascii_lowercase(),
            },
            name => name.to_owned(),
        },
        Expr::Case { .. } => "case".to_owned(),
        Expr::Exists { .. } => "exists".to_owned(),
        Expr::Array(_) => "array".to_owned(),
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.first() {
                Some(SelectItem::UnnamedExpr(expr)) => column_name(expr),
                Some(SelectItem::ExprWithAlias { alias, .. }) => alias.value.clone(),
                _ => "?column?".to_owned(),
            },
            _ => "?column?".to_owned(),
        },
        _ => "?column?".to_owned(),
    }
}

/// A call of a function.
pub(super) fn call(name: &str, argument: Expr) -> Expr {
    Expr::Function(Function {
        name: object_name(&[name]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))],
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

fn object_name(parts: &[&str]) -> ObjectName {
    ObjectName(parts.iter().map(|part| ObjectNamePart::Identifier(quoted(part))).collect())
}

/// The last part of a name, lower case.
fn without_schema(name: &ObjectName) -> ObjectName {
    match parts(name).pop() {
        Some(last) => ObjectName(vec![ObjectNamePart::Identifier(Ident::new(last))]),
        None => name.clone(),
    }
}

/// NULL.
pub(super) fn null() -> Expr {
    Expr::Value(Value::Null.into())
}

/// NULL as text.
pub(super) fn null_text() -> Expr {
    to_type(null(), DataType::Text)
}

/// NULL as an array of texts.
pub(super) fn no_texts() -> Expr {
    use sqlparser::ast::ArrayElemTypeDef::SquareBracket;
    to_type(null(), DataType::Array(SquareBracket(Box::new(DataType::Text), None)))
}

/// A constant.
pub(super) fn boolean(value: bool) -> Expr {
    Expr::Value(Value::Boolean(value).into())
}

/// The query of a text, for tests.
#[cfg(test)]
pub(super) fn parse(text: &str) -> Statement {
    use sqlparser::{dialect::PostgreSqlDialect, parser::Parser};
    Parser::parse_sql(&PostgreSqlDialect {}, text).map(|mut s| s.remove(0)).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: &str) {
        let mut statement = parse(text);
        rewrite(&mut statement);
        assert_eq!(statement.to_string().replace(NUMBER_MARK, "#"), want);
    }

    #[test]
    fn operators_types_and_collations() {
        check(
            "SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relname OPERATOR(pg_catalog.~) '^(x)$' COLLATE pg_catalog.default",
            r#"SELECT c.oid FROM "pg_catalog"."pg_class" c WHERE c.relname ~* '^(x)$'"#,
        );
        check("SELECT '5'::pg_catalog.regclass", r##"SELECT "regclass_oid"('5') AS "regclass#0""##);
        check(
            "SELECT c.oid::regclass::text FROM pg_class c",
            r##"SELECT CAST("regclass_name"(c.oid) AS TEXT) AS "oid#0" FROM "pg_catalog"."pg_class" c"##,
        );
        check("SELECT NULL, pg_catalog.version()", r##"SELECT NULL AS "?column?#0", version() AS "version#1""##);
    }

    #[test]
    fn subqueries_that_can_give_nothing() {
        check(
            "SELECT a.attname, (SELECT d.adbin FROM pg_attrdef d WHERE d.adnum = a.attnum) FROM pg_attribute a",
            r##"SELECT a.attname, CAST(NULL AS TEXT) AS "adbin#1" FROM "pg_catalog"."pg_attribute" a"##,
        );
        check(
            "SELECT p.polname FROM pg_policy p ORDER BY p.polname",
            "SELECT CAST(NULL AS TEXT) AS \"polname\" WHERE false",
        );
        check(
            "SELECT n FROM pg_class c LEFT JOIN pg_policy p ON true",
            r#"SELECT n FROM "pg_catalog"."pg_class" c LEFT JOIN "pg_catalog"."pg_policy" p ON true"#,
        );
        check(
            "SELECT array(SELECT x FROM unnest(c.reloptions) x), array(SELECT rolname FROM pg_roles ORDER BY 1) FROM pg_class c",
            "SELECT CAST(NULL AS TEXT[]) AS \"array#0\", (SELECT \"array_agg\"(rolname) FROM \"pg_catalog\".\"pg_roles\" AS \"pg_roles\") AS \"array#1\" FROM \"pg_catalog\".\"pg_class\" c",
        );
        check(
            "SELECT count(*) FROM pg_policy",
            r##"SELECT count(*) AS "count#0" FROM "pg_catalog"."pg_policy" AS "pg_policy""##,
        );
    }
}
