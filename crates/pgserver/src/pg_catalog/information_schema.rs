//! information_schema: the SQL standard's names for the same things.

use super::{
    PUBLIC,
    relations::relations,
    server::SCHEMAS,
    tables::{Row, Table, V, View},
};
use crate::values::PgType;
use types::SqlType;

const fn table(name: &'static str, columns: &'static str, rows: Option<fn(&View) -> Vec<Row>>) -> Table {
    Table { schema: "information_schema", name, columns, rows }
}

/// The views that tools read.
pub(super) const TABLES: &[Table] = &[
    table(
        "columns",
        "table_catalog:name table_schema:name table_name:name column_name:name ordinal_position:int4 \
         column_default:text is_nullable:text data_type:text character_maximum_length:int4 character_octet_length:int4 \
         numeric_precision:int4 numeric_precision_radix:int4 numeric_scale:int4 datetime_precision:int4 \
         interval_type:text interval_precision:int4 character_set_name:name collation_name:name domain_name:name \
         udt_catalog:name udt_schema:name=pg_catalog udt_name:name dtd_identifier:name is_self_referencing:text=NO \
         is_identity:text=NO identity_generation:text is_generated:text=NEVER generation_expression:text \
         is_updatable:text=YES",
        Some(columns),
    ),
    table(
        "key_column_usage",
        "constraint_catalog:name constraint_schema:name constraint_name:name table_catalog:name table_schema:name \
         table_name:name column_name:name ordinal_position:int4 position_in_unique_constraint:int4",
        Some(key_columns),
    ),
    table(
        "referential_constraints",
        "constraint_catalog:name constraint_schema:name constraint_name:name unique_constraint_catalog:name \
         unique_constraint_schema:name unique_constraint_name:name match_option:text update_rule:text delete_rule:text",
        None,
    ),
    table(
        "routines",
        "specific_catalog:name specific_schema:name specific_name:name routine_catalog:name routine_schema:name \
         routine_name:name routine_type:text data_type:text routine_definition:text",
        None,
    ),
    table(
        "schemata",
        "catalog_name:name schema_name:name schema_owner:name default_character_set_catalog:name \
         default_character_set_schema:name default_character_set_name:name sql_path:text",
        Some(|view| {
            let schema = |(_, name): (i64, &str)| -> Row {
                vec![
                    ("catalog_name", view.database().into()),
                    ("schema_name", name.into()),
                    ("schema_owner", view.user().into()),
                ]
            };
            SCHEMAS.into_iter().map(schema).collect()
        }),
    ),
    table(
        "table_constraints",
        "constraint_catalog:name constraint_schema:name constraint_name:name table_catalog:name table_schema:name \
         table_name:name constraint_type:text is_deferrable:text=NO initially_deferred:text=NO \
         enforced:text=YES",
        Some(|view| {
            let keyed = relations(view).into_iter().filter(|r| !r.key.is_empty());
            keyed
                .map(|r| -> Row {
                    let mut row = constraint(view, &r.key_index().0, &r.name);
                    row.push(("constraint_type", "PRIMARY KEY".into()));
                    row
                })
                .collect()
        }),
    ),
    table(
        "tables",
        "table_catalog:name table_schema:name table_name:name table_type:text self_referencing_column_name:name \
         reference_generation:text user_defined_type_catalog:name user_defined_type_schema:name \
         user_defined_type_name:name is_insertable_into:text=YES is_typed:text=NO commit_action:text",
        Some(tables),
    ),
    table(
        "views",
        "table_catalog:name table_schema:name table_name:name view_definition:text check_option:text=NONE \
         is_updatable:text=NO is_insertable_into:text=NO",
        Some(|view| {
            let row = |v: &std::sync::Arc<catalog::View>| -> Row {
                let mut row = named(view, &v.name);
                row.push(("view_definition", v.query.as_str().into()));
                row
            };
            view.catalog.views.values().map(row).collect()
        }),
    ),
];

fn named(view: &View, name: &str) -> Row {
    vec![("table_catalog", view.database().into()), ("table_schema", PUBLIC.into()), ("table_name", name.into())]
}

fn constraint(view: &View, name: &str, table: &str) -> Row {
    let mut row = named(view, table);
    row.extend([
        ("constraint_catalog", view.database().into()),
        ("constraint_schema", PUBLIC.into()),
        ("constraint_name", name.into()),
    ]);
    row
}

fn tables(view: &View) -> Vec<Row> {
    let mut rows: Vec<Row> = relations(view)
        .into_iter()
        .map(|r| {
            let mut row = named(view, &r.name);
            row.push(("table_type", if r.kind == 'v' { "VIEW" } else { "BASE TABLE" }.into()));
            row
        })
        .collect();
    rows.extend(super::tables::all().map(|t| -> Row {
        vec![
            ("table_catalog", view.database().into()),
            ("table_schema", t.schema.into()),
            ("table_name", t.name.into()),
            ("table_type", if t.schema == "pg_catalog" { "BASE TABLE" } else { "VIEW" }.into()),
            ("is_insertable_into", "NO".into()),
        ]
    }));
    rows
}

fn int(n: usize) -> V {
    i64::try_from(n).map_or(V::Null, V::Int)
}

fn columns(view: &View) -> Vec<Row> {
    let mut rows = Vec::new();
    for r in relations(view) {
        for (at, (name, ty)) in r.columns.iter().enumerate() {
            let pg = PgType::of_sql(ty);
            let mut row = named(view, &r.name);
            let (precision, radix, scale) = match ty {
                SqlType::Int => (V::Int(32), V::Int(2), V::Int(0)),
                SqlType::BigInt => (V::Int(64), V::Int(2), V::Int(0)),
                SqlType::Double => (V::Int(53), V::Int(2), V::Null),
                SqlType::Decimal { precision, scale } => {
                    (V::Int(i64::from(*precision)), V::Int(10), V::Int(i64::from(*scale)))
                }
                _ => (V::Null, V::Null, V::Null),
            };
            row.extend([
                ("column_name", name.as_str().into()),
                ("ordinal_position", int(at + 1)),
                ("is_nullable", if r.key.contains(&(at + 1)) { "NO" } else { "YES" }.into()),
                ("data_type", if pg.element == 0 { pg.sql_name } else { "ARRAY" }.into()),
                ("numeric_precision", precision),
                ("numeric_precision_radix", radix),
                ("numeric_scale", scale),
                ("udt_catalog", view.database().into()),
                ("udt_name", pg.name.into()),
                ("dtd_identifier", (at + 1).to_string().into()),
            ]);
            rows.push(row);
        }
    }
    rows
}

fn key_columns(view: &View) -> Vec<Row> {
    let mut rows = Vec::new();
    for r in relations(view).into_iter().filter(|r| !r.key.is_empty()) {
        let columns = r.key.iter().filter_map(|at| r.columns.get(at - 1)).enumerate();
        rows.extend(columns.map(|(at, (name, _))| {
            let mut row = constraint(view, &r.key_index().0, &r.name);
            row.extend([("column_name", name.as_str().into()), ("ordinal_position", int(at + 1))]);
            row
        }));
    }
    rows
}
