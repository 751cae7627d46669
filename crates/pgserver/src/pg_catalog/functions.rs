//! The functions of pg_catalog, as DataFusion functions that see the session.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{array::Array, datatypes::DataType};
use datafusion::{
    common::{Result as DfResult, exec_datafusion_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility},
};

use super::{
    oid, relations,
    server::SCHEMAS,
    tables::{V, View, array, arrow_type, find},
};
use crate::{
    values::{CellText, Cells, PgType, cell_text},
    variables::SERVER_VERSION,
};

/// A function: its name, the PostgreSQL type it gives, and what it does with a row of arguments.
struct Def {
    name: &'static str,
    returns: &'static str,
    eval: fn(&View, &[V]) -> Result<V, String>,
}

const fn def(name: &'static str, returns: &'static str, eval: fn(&View, &[V]) -> Result<V, String>) -> Def {
    Def { name, returns, eval }
}

fn yes(_: &View, _: &[V]) -> Result<V, String> {
    Ok(V::Bool(true))
}

fn no(_: &View, _: &[V]) -> Result<V, String> {
    Ok(V::Bool(false))
}

fn null(_: &View, _: &[V]) -> Result<V, String> {
    Ok(V::Null)
}

fn zero(_: &View, _: &[V]) -> Result<V, String> {
    Ok(V::Int(0))
}

fn user(view: &View, _: &[V]) -> Result<V, String> {
    Ok(view.user().into())
}

fn database(view: &View, _: &[V]) -> Result<V, String> {
    Ok(view.database().into())
}

/// All of them, by name.
const FUNCTIONS: &[Def] = &[
    def("array_upper", "int4", |_, args| {
        Ok(match args.first() {
            Some(V::List(items)) if !items.is_empty() => i64::try_from(items.len()).map_or(V::Null, V::Int),
            _ => V::Null,
        })
    }),
    def("col_description", "text", null),
    def("current_catalog", "name", database),
    def("current_database", "name", database),
    def("current_role", "name", user),
    def("current_schema", "name", |_, _| Ok(super::PUBLIC.into())),
    def("current_schemas", "_name", |_, args| {
        let implicit = args.first() == Some(&V::Bool(true));
        let system = implicit.then(|| "pg_catalog".to_owned());
        Ok(V::List(system.into_iter().chain([super::PUBLIC.to_owned()]).collect()))
    }),
    def("current_setting", "text", |view, args| {
        let name = text(args, 0).unwrap_or_default();
        let value = view.identity.as_ref().and_then(|i| i.variables.lock().get(&name).map(str::to_owned));
        match (value, args.get(1)) {
            (Some(value), _) => Ok(value.into()),
            (None, Some(V::Bool(true))) => Ok(V::Null),
            (None, _) => Err(format!("unrecognized configuration parameter \"{name}\"")),
        }
    }),
    def("current_user", "name", user),
    def("format_type", "text", |_, args| {
        let Some(oid) = int(args, 0) else { return Ok(V::Null) };
        let modifier = int(args, 1).filter(|m| *m >= 0);
        let ty = u32::try_from(oid).ok().and_then(PgType::by_oid);
        Ok(match (ty, modifier) {
            (Some(ty), Some(modifier)) => with_modifier(ty, modifier).into(),
            (Some(ty), None) => ty.sql_name.into(),
            (None, _) if oid == 0 => "-".into(),
            (None, _) => "???".into(),
        })
    }),
    def("getdatabaseencoding", "name", |_, _| Ok("UTF8".into())),
    def("has_any_column_privilege", "bool", yes),
    def("has_column_privilege", "bool", yes),
    def("has_database_privilege", "bool", yes),
    def("has_foreign_data_wrapper_privilege", "bool", yes),
    def("has_function_privilege", "bool", yes),
    def("has_language_privilege", "bool", yes),
    def("has_schema_privilege", "bool", yes),
    def("has_sequence_privilege", "bool", yes),
    def("has_server_privilege", "bool", yes),
    def("has_table_privilege", "bool", yes),
    def("has_tablespace_privilege", "bool", yes),
    def("has_type_privilege", "bool", yes),
    def("inet_client_addr", "text", null),
    def("inet_client_port", "int4", null),
    def("inet_server_addr", "text", null),
    def("inet_server_port", "int4", null),
    def("obj_description", "text", |view, args| {
        let oid = int(args, 0);
        Ok(relations::relations(view).into_iter().find(|r| Some(r.oid) == oid).map(|r| r.description).into())
    }),
    def("pg_backend_pid", "int4", |view, _| Ok(view.identity.as_ref().map(|i| i64::from(i.process)).into())),
    def("pg_char_to_encoding", "int4", |_, _| Ok(V::Int(6))),
    def("pg_client_encoding", "name", |_, _| Ok("UTF8".into())),
    def("pg_collation_is_visible", "bool", yes),
    def("pg_conversion_is_visible", "bool", yes),
    def("pg_encoding_to_char", "name", |_, args| Ok(int(args, 0).map(|_| "UTF8").into())),
    def("pg_function_is_visible", "bool", yes),
    def("pg_get_constraintdef", "text", |view, args| {
        let wanted = int(args, 0);
        let keyed = relations::relations(view).into_iter().filter(|r| !r.key.is_empty());
        let found = keyed.into_iter().find(|r| Some(oid::of_name("constraint", &r.key_index().0)) == wanted);
        Ok(found.map(|r| format!("PRIMARY KEY ({})", r.key_columns())).into())
    }),
    def("pg_get_expr", "text", null),
    def("pg_get_function_arguments", "text", |_, _| Ok("".into())),
    def("pg_get_function_identity_arguments", "text", |_, _| Ok("".into())),
    def("pg_get_function_result", "text", |_, args| {
        let found = FUNCTIONS.iter().find(|f| Some(oid::of_name("function", f.name)) == int(args, 0));
        Ok(found.map(|f| PgType::by_name(f.returns).unwrap_or(PgType::TEXT).sql_name).into())
    }),
    def("pg_get_function_sqlbody", "text", null),
    def("pg_get_functiondef", "text", null),
    def("pg_get_indexdef", "text", |view, args| {
        let wanted = int(args, 0);
        let keyed = relations::relations(view).into_iter().filter(|r| !r.key.is_empty());
        let found = keyed.into_iter().find(|r| Some(r.key_index().1) == wanted);
        let column = int(args, 1).and_then(|c| usize::try_from(c).ok()).filter(|c| *c > 0);
        Ok(match (found, column) {
            (None, _) => V::Null,
            (Some(r), Some(column)) => {
                let at = column.checked_sub(1).and_then(|c| r.key.get(c)).and_then(|at| at.checked_sub(1));
                at.and_then(|at| r.columns.get(at)).map(|c| c.0.clone()).into()
            }
            (Some(r), None) => {
                let (name, columns) = (r.key_index().0, r.key_columns());
                format!("CREATE UNIQUE INDEX \"{name}\" ON public.\"{}\" USING hash ({columns})", r.name).into()
            }
        })
    }),
    def("pg_get_partkeydef", "text", null),
    def("pg_get_ruledef", "text", null),
    def("pg_get_serial_sequence", "text", null),
    def("pg_get_statisticsobjdef_columns", "text", null),
    def("pg_get_triggerdef", "text", null),
    def("pg_get_userbyid", "name", |view, args| {
        let known = int(args, 0) == Some(oid::USER);
        Ok(if known { view.user().into() } else { format!("unknown (OID={})", int(args, 0).unwrap_or(0)).into() })
    }),
    def("pg_get_viewdef", "text", |view, args| {
        let named = text(args, 0).and_then(|name| relations::by_name(view, &name)).map(|r| r.oid);
        let wanted = int(args, 0).or(named);
        let found = view.catalog.views.values().find(|v| Some(oid::of_name("relation", &v.name)) == wanted);
        Ok(found.map(|v| format!(" {};", v.query)).into())
    }),
    def("pg_has_role", "bool", yes),
    def("pg_indexes_size", "int8", zero),
    def("pg_is_in_recovery", "bool", no),
    def("pg_is_other_temp_schema", "bool", no),
    def("pg_my_temp_schema", "oid", zero),
    def("pg_opclass_is_visible", "bool", yes),
    def("pg_operator_is_visible", "bool", yes),
    def("pg_opfamily_is_visible", "bool", yes),
    def("pg_postmaster_start_time", "timestamptz", null),
    def("pg_relation_is_publishable", "bool", no),
    def("pg_relation_size", "int8", zero),
    def("pg_size_pretty", "text", |_, args| Ok(int(args, 0).map(|n| format!("{n} bytes")).into())),
    def("pg_stat_get_numscans", "int8", zero),
    def("pg_statistics_obj_is_visible", "bool", yes),
    def("pg_table_is_visible", "bool", |view, args| {
        let wanted = int(args, 0);
        let of_key = |r: &relations::Relation| !r.key.is_empty() && Some(r.key_index().1) == wanted;
        let user = relations::relations(view).iter().any(|r| Some(r.oid) == wanted || of_key(r));
        Ok(V::Bool(user || is_system(wanted)))
    }),
    def("pg_table_size", "int8", zero),
    def("pg_tablespace_location", "text", |_, _| Ok("".into())),
    def("pg_total_relation_size", "int8", zero),
    def("pg_ts_config_is_visible", "bool", yes),
    def("pg_ts_dict_is_visible", "bool", yes),
    def("pg_ts_parser_is_visible", "bool", yes),
    def("pg_ts_template_is_visible", "bool", yes),
    def("pg_type_is_visible", "bool", yes),
    def("quote_ident", "text", |_, args| {
        Ok(text(args, 0).map(|name| format!("\"{}\"", name.replace('"', "\"\""))).into())
    }),
    def("quote_literal", "text", |_, args| {
        Ok(text(args, 0).map(|value| format!("'{}'", value.replace('\'', "''"))).into())
    }),
    def("regclass_name", "text", |view, args| {
        let Some(wanted) = int(args, 0) else { return Ok(V::Null) };
        let user = relations::relations(view).into_iter().find(|r| r.oid == wanted).map(|r| r.name);
        Ok(user.or_else(|| system_name(wanted).map(str::to_owned)).unwrap_or_else(|| wanted.to_string()).into())
    }),
    def("regclass_oid", "oid", |view, args| match regclass(view, args)? {
        V::Null => Err(format!("relation \"{}\" does not exist", text(args, 0).unwrap_or_default())),
        found => Ok(found),
    }),
    def("regnamespace_oid", "oid", |_, args| {
        let name = text(args, 0).unwrap_or_default();
        let found = SCHEMAS.iter().find(|s| s.1 == name.trim_matches('"')).map(|s| s.0);
        found.or_else(|| name.parse().ok()).map(V::Int).ok_or_else(|| format!("schema \"{name}\" does not exist"))
    }),
    def("regtype_name", "text", |_, args| {
        let ty = int(args, 0).and_then(|oid| u32::try_from(oid).ok()).and_then(PgType::by_oid);
        Ok(ty.map_or_else(|| text(args, 0).into(), |ty| ty.sql_name.into()))
    }),
    def("regtype_oid", "oid", |_, args| {
        let name = text(args, 0).unwrap_or_default();
        let plain = name.trim().trim_start_matches("pg_catalog.").to_ascii_lowercase();
        let found = crate::values::TYPES.iter().find(|t| t.name == plain || t.sql_name == plain);
        let oid = found.map(|t| i64::from(t.oid)).or_else(|| name.parse().ok());
        oid.map(V::Int).ok_or_else(|| format!("type \"{name}\" does not exist"))
    }),
    def("session_user", "name", user),
    def("set_config", "text", |view, args| {
        let (name, value) = (text(args, 0).unwrap_or_default(), text(args, 1).unwrap_or_default());
        if let Some(identity) = &view.identity {
            identity.variables.lock().set(&name, &value).map_err(|e| e.to_string())?;
        }
        Ok(value.into())
    }),
    def("shobj_description", "text", null),
    def("to_regclass", "oid", regclass),
    def("txid_current", "int8", |_, _| Ok(V::Int(1))),
    def("user", "name", user),
    def("version", "text", |_, _| Ok(format!("PostgreSQL {SERVER_VERSION}").into())),
];

/// Names of the functions and object ids of the types that they give.
pub(super) fn names_and_types() -> impl Iterator<Item = (&'static str, i64)> {
    FUNCTIONS.iter().map(|f| (f.name, i64::from(PgType::by_name(f.returns).unwrap_or(PgType::TEXT).oid)))
}

/// Whether there is a function of that name here.
pub(super) fn is_function(name: &str) -> bool {
    FUNCTIONS.iter().any(|f| f.name == name)
}

/// The functions as DataFusion takes them.
pub(super) fn functions(view: &Arc<View>) -> impl Iterator<Item = ScalarUDF> {
    FUNCTIONS.iter().map(move |def| {
        let types = vec![TypeSignature::Nullary, TypeSignature::VariadicAny];
        let signature = Signature::one_of(types, Volatility::Volatile);
        ScalarUDF::from(Function { def, view: Arc::clone(view), signature })
    })
}

fn text(args: &[V], at: usize) -> Option<String> {
    match args.get(at)? {
        V::Text(text) => Some(text.clone()),
        V::Int(value) => Some(value.to_string()),
        _ => None,
    }
}

fn int(args: &[V], at: usize) -> Option<i64> {
    match args.get(at)? {
        V::Int(value) => Some(*value),
        V::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The relation that a name or number means: its object id, or NULL.
fn regclass(view: &View, args: &[V]) -> Result<V, String> {
    if let Some(oid) = int(args, 0) {
        return Ok(V::Int(oid));
    }
    let Some(name) = text(args, 0) else { return Ok(V::Null) };
    if let Some(relation) = relations::by_name(view, &name) {
        return Ok(V::Int(relation.oid));
    }
    let (schema, plain) = match name.split_once('.') {
        Some((schema, plain)) => (Some(schema), plain),
        None => (None, name.as_str()),
    };
    let system =
        find(schema, plain).map(|t| if t.name == "pg_class" { oid::PG_CLASS } else { oid::of_name(t.schema, t.name) });
    Ok(system.into())
}

fn is_system(oid: Option<i64>) -> bool {
    oid.is_some_and(|oid| system_name(oid).is_some())
}

fn system_name(wanted: i64) -> Option<&'static str> {
    if wanted == oid::PG_CLASS {
        return Some("pg_class");
    }
    super::tables::all().find(|t| oid::of_name(t.schema, t.name) == wanted).map(|t| t.name)
}

fn with_modifier(ty: PgType, modifier: i64) -> String {
    match ty.name {
        "numeric" => format!("numeric({},{})", (modifier - 4) >> 16, (modifier - 4) & 0xffff),
        "varchar" | "bpchar" => format!("{}({})", ty.sql_name, modifier - 4),
        "time" | "timestamp" | "timestamptz" => match ty.sql_name.split_once(' ') {
            Some((head, tail)) => format!("{head}({modifier}) {tail}"),
            None => ty.sql_name.to_owned(),
        },
        _ => ty.sql_name.to_owned(),
    }
}

/// A function bound to who asks.
struct Function {
    def: &'static Def,
    view: Arc<View>,
    signature: Signature,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.def.name)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.def.name == other.def.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.def.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.def.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(arrow_type(self.def.returns))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let cells = arrays.iter().map(|a| Cells::new(a.as_ref() as &dyn Array)).collect::<types::Result<Vec<_>>>();
        let cells = cells.map_err(|e| exec_datafusion_err!("{e}"))?;
        let rows = if args.args.is_empty() { args.number_rows } else { arrays.first().map_or(0, |a| a.len()) };
        let results = (0..rows).map(|row| {
            let values: Vec<V> = cells.iter().map(|cells| value(cells, row)).collect();
            (self.def.eval)(&self.view, &values).map_err(|e| exec_datafusion_err!("{e}"))
        });
        let results = results.collect::<DfResult<Vec<V>>>()?;
        let array = array(&arrow_type(self.def.returns), &results.iter().collect::<Vec<_>>());
        let array = array.map_err(|e| exec_datafusion_err!("{e}"))?;
        Ok(ColumnarValue::Array(array))
    }
}

fn value(cells: &Cells<'_>, row: usize) -> V {
    match cell_text(cells, row) {
        CellText::Null => V::Null,
        CellText::Bool(value) => V::Bool(value),
        CellText::Int(value) => V::Int(value),
        CellText::Text(text) => V::Text(text),
        CellText::List(items) => V::List(items),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_its_types_exist() {
        assert!(FUNCTIONS.windows(2).all(|w| matches!(w, [a, b] if a.name < b.name)));
        assert!(FUNCTIONS.iter().all(|f| PgType::by_name(f.returns).is_some()));
    }
}
