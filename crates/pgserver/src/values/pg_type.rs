//! PostgreSQL's types and which of them an Arrow type is sent as.

use arrow::datatypes::{DataType, Field, TimeUnit};
use engine::OutputColumn;
use types::SqlType;

/// A field's metadata under this key names the PostgreSQL type (`oid`, `name`, `char`, …) that its column is sent
/// as when that is not the one its Arrow type stands for: the columns of pg_catalog.
pub(crate) const PG_TYPE_KEY: &str = "pg_type";

/// A type of PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PgType {
    /// Its object id, as every client knows it.
    pub(crate) oid: u32,
    /// Its name in pg_type.
    pub(crate) name: &'static str,
    /// Its name as `format_type` gives it.
    pub(crate) sql_name: &'static str,
    /// Bytes of a value, -1 where values differ.
    pub(crate) length: i16,
    /// Category in pg_type.
    pub(crate) category: char,
    /// Object id of the array of it, 0 for none.
    pub(crate) array: u32,
    /// Object id of the element type when it is an array, else 0.
    pub(crate) element: u32,
}

const fn scalar(
    oid: u32,
    name: &'static str,
    sql_name: &'static str,
    length: i16,
    category: char,
    array: u32,
) -> PgType {
    PgType { oid, name, sql_name, length, category, array, element: 0 }
}

const fn array(oid: u32, name: &'static str, sql_name: &'static str, element: u32) -> PgType {
    PgType { oid, name, sql_name, length: -1, category: 'A', array: 0, element }
}

/// The types that are sent or accepted, by name.
pub(crate) const TYPES: &[PgType] = &[
    array(1000, "_bool", "boolean[]", 16),
    array(1014, "_bpchar", "character[]", 1042),
    array(1001, "_bytea", "bytea[]", 17),
    array(1002, "_char", "\"char\"[]", 18),
    array(1182, "_date", "date[]", 1082),
    array(1021, "_float4", "real[]", 700),
    array(1022, "_float8", "double precision[]", 701),
    array(1005, "_int2", "smallint[]", 21),
    array(1007, "_int4", "integer[]", 23),
    array(1016, "_int8", "bigint[]", 20),
    array(1187, "_interval", "interval[]", 1186),
    array(199, "_json", "json[]", 114),
    array(3807, "_jsonb", "jsonb[]", 3802),
    array(1003, "_name", "name[]", 19),
    array(1231, "_numeric", "numeric[]", 1700),
    array(1028, "_oid", "oid[]", 26),
    array(2210, "_regclass", "regclass[]", 2205),
    array(1008, "_regproc", "regproc[]", 24),
    array(2211, "_regtype", "regtype[]", 2206),
    array(1009, "_text", "text[]", 25),
    array(1183, "_time", "time without time zone[]", 1083),
    array(1115, "_timestamp", "timestamp without time zone[]", 1114),
    array(1185, "_timestamptz", "timestamp with time zone[]", 1184),
    array(2951, "_uuid", "uuid[]", 2950),
    array(1015, "_varchar", "character varying[]", 1043),
    scalar(16, "bool", "boolean", 1, 'B', 1000),
    scalar(1042, "bpchar", "character", -1, 'S', 1014),
    scalar(17, "bytea", "bytea", -1, 'U', 1001),
    scalar(18, "char", "\"char\"", 1, 'Z', 1002),
    scalar(1082, "date", "date", 4, 'D', 1182),
    scalar(700, "float4", "real", 4, 'N', 1021),
    scalar(701, "float8", "double precision", 8, 'N', 1022),
    scalar(21, "int2", "smallint", 2, 'N', 1005),
    scalar(23, "int4", "integer", 4, 'N', 1007),
    scalar(20, "int8", "bigint", 8, 'N', 1016),
    scalar(1186, "interval", "interval", 16, 'T', 1187),
    scalar(114, "json", "json", -1, 'U', 199),
    scalar(3802, "jsonb", "jsonb", -1, 'U', 3807),
    scalar(19, "name", "name", 64, 'S', 1003),
    scalar(1700, "numeric", "numeric", -1, 'N', 1231),
    scalar(26, "oid", "oid", 4, 'N', 1028),
    scalar(2205, "regclass", "regclass", 4, 'N', 2210),
    scalar(24, "regproc", "regproc", 4, 'N', 1008),
    scalar(2206, "regtype", "regtype", 4, 'N', 2211),
    scalar(25, "text", "text", -1, 'S', 1009),
    scalar(1083, "time", "time without time zone", 8, 'D', 1183),
    scalar(1114, "timestamp", "timestamp without time zone", 8, 'D', 1115),
    scalar(1184, "timestamptz", "timestamp with time zone", 8, 'D', 1185),
    scalar(705, "unknown", "unknown", -2, 'X', 0),
    scalar(2950, "uuid", "uuid", 16, 'U', 2951),
    scalar(1043, "varchar", "character varying", -1, 'S', 1015),
    scalar(2278, "void", "void", 4, 'P', 0),
];

impl PgType {
    /// boolean.
    pub(crate) const BOOL: PgType = scalar(16, "bool", "boolean", 1, 'B', 1000);
    /// json.
    pub(crate) const JSON: PgType = scalar(114, "json", "json", -1, 'U', 199);
    /// text.
    pub(crate) const TEXT: PgType = scalar(25, "text", "text", -1, 'S', 1009);

    /// The type of that object id.
    pub(crate) fn by_oid(oid: u32) -> Option<PgType> {
        TYPES.iter().find(|t| t.oid == oid).copied()
    }

    /// The type of that name in pg_type.
    pub(crate) fn by_name(name: &str) -> Option<PgType> {
        TYPES.binary_search_by(|t| t.name.cmp(name)).ok().and_then(|i| TYPES.get(i)).copied()
    }

    fn named(name: &str) -> PgType {
        PgType::by_name(name).unwrap_or(PgType::TEXT)
    }

    /// The type that values of an Arrow type are sent as. Text where nothing fits: every value has a text form.
    pub(crate) fn of_arrow(ty: &DataType) -> PgType {
        match ty {
            DataType::Boolean => PgType::BOOL,
            DataType::Int8 | DataType::UInt8 | DataType::Int16 => PgType::named("int2"),
            DataType::UInt16 | DataType::Int32 => PgType::named("int4"),
            DataType::UInt32 | DataType::Int64 => PgType::named("int8"),
            DataType::Float16 | DataType::Float32 => PgType::named("float4"),
            DataType::Float64 => PgType::named("float8"),
            DataType::UInt64
            | DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..) => PgType::named("numeric"),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                PgType::named("bytea")
            }
            DataType::Date32 | DataType::Date64 => PgType::named("date"),
            DataType::Time32(_) | DataType::Time64(_) => PgType::named("time"),
            DataType::Timestamp(_, None) => PgType::named("timestamp"),
            DataType::Timestamp(_, Some(_)) => PgType::named("timestamptz"),
            DataType::Interval(_) | DataType::Duration(_) => PgType::named("interval"),
            DataType::Struct(_) | DataType::Map(..) => PgType::JSON,
            DataType::List(f) | DataType::LargeList(f) | DataType::FixedSizeList(f, _) => match f.data_type() {
                // Arrays of arrays need not be rectangular, as PostgreSQL's must.
                DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => PgType::JSON,
                element => PgType::by_oid(PgType::of_arrow(element).array).unwrap_or(PgType::JSON),
            },
            DataType::Dictionary(_, value) => PgType::of_arrow(value),
            DataType::RunEndEncoded(_, value) => PgType::of_arrow(value.data_type()),
            _ => PgType::TEXT,
        }
    }

    /// The type that a field is sent as: its metadata's word counts before its Arrow type.
    pub(crate) fn of_field(field: &Field) -> PgType {
        let named = field.metadata().get(PG_TYPE_KEY).and_then(|name| PgType::by_name(name));
        named.unwrap_or_else(|| PgType::of_arrow(field.data_type()))
    }

    /// The type that values of a SQL type are sent as.
    pub(crate) fn of_sql(ty: &SqlType) -> PgType {
        PgType::of_arrow(&ty.to_arrow())
    }
}

/// A column of a result, as the client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResultColumn {
    /// Its name.
    pub(crate) name: String,
    /// The type it is sent as.
    pub(crate) pg_type: PgType,
    /// The type it has.
    pub(crate) data_type: DataType,
}

impl ResultColumn {
    /// A column of text.
    pub(crate) fn text(name: &str) -> ResultColumn {
        ResultColumn { name: name.to_owned(), pg_type: PgType::TEXT, data_type: DataType::Utf8 }
    }

    /// The modifier in a RowDescription: precision and scale of a numeric, digits of a time, -1 for none.
    pub(crate) fn type_modifier(&self) -> i32 {
        match &self.data_type {
            DataType::Decimal32(p, s)
            | DataType::Decimal64(p, s)
            | DataType::Decimal128(p, s)
            | DataType::Decimal256(p, s)
                if *s >= 0 =>
            {
                (i32::from(*p) << 16 | i32::from(*s)) + 4
            }
            DataType::Time32(TimeUnit::Millisecond) | DataType::Timestamp(TimeUnit::Millisecond, _) => 3,
            _ => -1,
        }
    }
}

impl From<&OutputColumn> for ResultColumn {
    fn from(column: &OutputColumn) -> ResultColumn {
        ResultColumn {
            name: column.name.clone(),
            pg_type: PgType::of_arrow(&column.data_type),
            data_type: column.data_type.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_arrays_and_elements_agree() {
        assert!(TYPES.windows(2).all(|w| matches!(w, [a, b] if a.name < b.name)));
        for ty in TYPES.iter().filter(|t| t.array != 0) {
            assert_eq!(PgType::by_oid(ty.array).map(|t| t.element), Some(ty.oid), "{}", ty.name);
        }
        assert_eq!(PgType::by_name("text"), Some(PgType::TEXT));
        assert_eq!(PgType::by_name("json"), Some(PgType::JSON));
        assert_eq!(PgType::by_name("bool"), Some(PgType::BOOL));
    }

    #[test]
    fn arrays_of_what_has_no_array_are_json() {
        let of = |ty: SqlType| PgType::of_sql(&ty).name;
        let list = |ty| SqlType::Array(Box::new(ty));
        assert_eq!(of(list(SqlType::Int)), "_int4");
        assert_eq!(of(list(list(SqlType::Int))), "json");
        assert_eq!(of(list(SqlType::Struct(vec![]))), "_json");
        assert_eq!(of(SqlType::Decimal { precision: 4, scale: 2 }), "numeric");
    }
}
