//! Streams, tables and views as pg_class, pg_attribute, pg_index, pg_constraint, pg_description, … have them.

use std::sync::Arc;

use catalog::{Source, SourceKind};
use types::SqlType;

use super::{
    PUBLIC, oid,
    tables::{Row, Table, V, View},
};
use crate::values::{PgType, ResultColumn};

/// pg_class and what hangs on it.
pub(super) const TABLES: &[Table] = &[
    Table {
        schema: "pg_catalog",
        name: "pg_attribute",
        columns: "attrelid:oid attname:name atttypid:oid attstattarget:int4=-1 attlen:int2 attnum:int2 attndims:int4=0 \
                  attcacheoff:int4=-1 atttypmod:int4=-1 attbyval:bool=f attstorage:char=p attalign:char=i \
                  attnotnull:bool=f atthasdef:bool=f atthasmissing:bool=f attidentity:char='' attgenerated:char='' \
                  attisdropped:bool=f attislocal:bool=t attinhcount:int4=0 attcollation:oid=0 attcompression:char='' \
                  attacl:_text attoptions:_text attfdwoptions:_text attmissingval:text",
        rows: Some(attributes),
    },
    Table {
        schema: "pg_catalog",
        name: "pg_class",
        columns: "oid:oid relname:name relnamespace:oid reltype:oid=0 reloftype:oid=0 relowner:oid=10 relam:oid=0 \
                  relfilenode:oid=0 reltablespace:oid=0 relpages:int4=0 reltuples:float4=-1 relallvisible:int4=0 \
                  reltoastrelid:oid=0 relhasindex:bool=f relisshared:bool=f relpersistence:char=p relkind:char \
                  relnatts:int2=0 relchecks:int2=0 relhasrules:bool=f relhastriggers:bool=f relhassubclass:bool=f \
                  relrowsecurity:bool=f relforcerowsecurity:bool=f relispopulated:bool=t relreplident:char=d \
                  relispartition:bool=f relrewrite:oid=0 relfrozenxid:oid=0 relminmxid:oid=0 relacl:_text \
                  reloptions:_text relpartbound:text",
        rows: Some(classes),
    },
    Table {
        schema: "pg_catalog",
        name: "pg_constraint",
        columns: "oid:oid conname:name connamespace:oid contype:char condeferrable:bool=f condeferred:bool=f \
                  convalidated:bool=t conrelid:oid contypid:oid=0 conindid:oid conparentid:oid=0 confrelid:oid=0 \
                  confupdtype:char confdeltype:char confmatchtype:char conislocal:bool=t coninhcount:int4=0 \
                  connoinherit:bool=t conkey:_int2 confkey:_int2 conpfeqop:_oid conppeqop:_oid conffeqop:_oid \
                  conexclop:_oid conbin:text",
        rows: Some(constraints),
    },
    Table {
        schema: "pg_catalog",
        name: "pg_description",
        columns: "objoid:oid classoid:oid objsubid:int4=0 description:text",
        rows: Some(descriptions),
    },
    Table {
        schema: "pg_catalog",
        name: "pg_index",
        columns: "indexrelid:oid indrelid:oid indnatts:int2 indnkeyatts:int2 indisunique:bool=t \
                  indnullsnotdistinct:bool=f indisprimary:bool=t indisexclusion:bool=f indimmediate:bool=t \
                  indisclustered:bool=f indisvalid:bool=t indcheckxmin:bool=f indisready:bool=t indislive:bool=t \
                  indisreplident:bool=f indkey:_int2 indcollation:_oid indclass:_oid indoption:_int2 indexprs:text \
                  indpred:text",
        rows: Some(indexes),
    },
    Table {
        schema: "pg_catalog",
        name: "pg_tables",
        columns: "schemaname:name tablename:name tableowner:name tablespace:name hasindexes:bool=f hasrules:bool=f \
                  hastriggers:bool=f rowsecurity:bool=f",
        rows: Some(|view| {
            let row = |r: Relation| {
                (r.kind == 'r').then(|| -> Row {
                    vec![
                        ("schemaname", PUBLIC.into()),
                        ("tablename", r.name.into()),
                        ("tableowner", view.user().into()),
                        ("hasindexes", (!r.key.is_empty()).into()),
                    ]
                })
            };
            relations(view).into_iter().filter_map(row).collect()
        }),
    },
    Table {
        schema: "pg_catalog",
        name: "pg_views",
        columns: "schemaname:name viewname:name viewowner:name definition:text",
        rows: Some(|view| {
            let views = view.catalog.views.values();
            views
                .map(|v| -> Row {
                    vec![
                        ("schemaname", PUBLIC.into()),
                        ("viewname", v.name.as_str().into()),
                        ("viewowner", view.user().into()),
                        ("definition", v.query.as_str().into()),
                    ]
                })
                .collect()
        }),
    },
];

/// A stream, table or view.
pub(super) struct Relation {
    /// Its object id.
    pub(super) oid: i64,
    /// Its name.
    pub(super) name: String,
    /// pg_class's letter: `r`, `v`.
    pub(super) kind: char,
    /// Its columns.
    pub(super) columns: Vec<(String, SqlType)>,
    /// Places (from 1) of a table's primary key.
    pub(super) key: Vec<usize>,
    /// One line about it.
    pub(super) description: String,
}

impl Relation {
    /// The primary key's name and object id.
    pub(super) fn key_index(&self) -> (String, i64) {
        let name = format!("{}_pkey", self.name);
        let oid = oid::of_name("index", &name);
        (name, oid)
    }

    /// `"A", "B"`: the key's columns.
    pub(super) fn key_columns(&self) -> String {
        let names = self.key.iter().filter_map(|at| self.columns.get(at - 1)).map(|c| format!("\"{}\"", c.0));
        names.collect::<Vec<_>>().join(", ")
    }
}

/// All streams, tables and views.
pub(super) fn relations(view: &View) -> Vec<Relation> {
    let sources = view.catalog.sources.values().map(source);
    let views = view.catalog.views.values().map(|v| Relation {
        oid: oid::of_name("relation", &v.name),
        name: v.name.clone(),
        kind: 'v',
        columns: Vec::new(),
        key: Vec::new(),
        description: "view".to_owned(),
    });
    sources.chain(views).collect()
}

/// The relation of that name, as typed: exactly, or folded as our statements fold it.
pub(super) fn by_name(view: &View, name: &str) -> Option<Relation> {
    let plain = name.rsplit_once('.').filter(|(schema, _)| schema.trim_matches('"') == PUBLIC).map_or(name, |p| p.1);
    let quoted = plain.strip_prefix('"').and_then(|n| n.strip_suffix('"'));
    let exact = |name: &str| relations(view).into_iter().find(|r| r.name == name);
    match quoted {
        Some(name) => exact(name),
        None => exact(plain).or_else(|| exact(&plain.to_uppercase())),
    }
}

fn source(source: &Arc<Source>) -> Relation {
    let columns = source.schema.columns.iter().map(|c| (c.name.clone(), c.ty.clone())).collect();
    let key = match source.kind {
        SourceKind::Stream => Vec::new(),
        SourceKind::Table => {
            source.schema.key().filter_map(|c| source.schema.find(&c.name)).map(|(at, _)| at + 1).collect()
        }
    };
    let kind = match source.kind {
        SourceKind::Stream => "stream",
        SourceKind::Table => "table",
    };
    let written = source.created_by.as_ref().map(|id| format!(", written by {id}")).unwrap_or_default();
    Relation {
        oid: oid::of_name("relation", &source.name),
        name: source.name.clone(),
        kind: 'r',
        columns,
        key,
        description: format!("{kind} over topic {}{written}", source.topic),
    }
}

fn int(n: usize) -> V {
    i64::try_from(n).map_or(V::Null, V::Int)
}

fn classes(view: &View) -> Vec<Row> {
    let mut rows = Vec::new();
    for r in relations(view) {
        let mut row: Row = vec![
            ("oid", r.oid.into()),
            ("relname", r.name.as_str().into()),
            ("relnamespace", oid::PUBLIC.into()),
            ("relam", if r.kind == 'r' { oid::HEAP } else { 0 }.into()),
            ("relkind", r.kind.to_string().into()),
            ("relnatts", int(r.columns.len())),
            ("relhasindex", (!r.key.is_empty()).into()),
            ("relhasrules", (r.kind == 'v').into()),
        ];
        rows.push(std::mem::take(&mut row));
        if !r.key.is_empty() {
            let (name, index) = r.key_index();
            rows.push(vec![
                ("oid", index.into()),
                ("relname", name.into()),
                ("relnamespace", oid::PUBLIC.into()),
                ("relam", oid::HASH.into()),
                ("relkind", "i".into()),
                ("relnatts", int(r.key.len())),
            ]);
        }
    }
    for table in super::tables::all() {
        let system = table.schema == "pg_catalog";
        rows.push(vec![
            ("oid", system_oid(table).into()),
            ("relname", table.name.into()),
            ("relnamespace", if system { oid::PG_CATALOG } else { oid::INFORMATION_SCHEMA }.into()),
            ("relam", if system { oid::HEAP } else { 0 }.into()),
            ("relkind", if system { "r" } else { "v" }.into()),
            ("relnatts", int(table.column_types().count())),
        ]);
    }
    rows
}

fn system_oid(table: &Table) -> i64 {
    if table.name == "pg_class" { oid::PG_CLASS } else { oid::of_name(table.schema, table.name) }
}

fn attributes(view: &View) -> Vec<Row> {
    let mut rows = Vec::new();
    for r in relations(view) {
        for (at, (name, ty)) in r.columns.iter().enumerate() {
            let pg = PgType::of_sql(ty);
            let column = ResultColumn { name: name.clone(), pg_type: pg, data_type: ty.to_arrow() };
            rows.push(vec![
                ("attrelid", r.oid.into()),
                ("attname", name.as_str().into()),
                ("atttypid", i64::from(pg.oid).into()),
                ("attlen", i64::from(pg.length).into()),
                ("attnum", int(at + 1)),
                ("attndims", i64::from(pg.element != 0).into()),
                ("atttypmod", i64::from(column.type_modifier()).into()),
                ("attnotnull", r.key.contains(&(at + 1)).into()),
            ]);
        }
        if !r.key.is_empty() {
            let (_, index) = r.key_index();
            let keys = r.key.iter().filter_map(|at| r.columns.get(at - 1)).enumerate();
            rows.extend(keys.map(|(at, (name, ty))| -> Row {
                let pg = PgType::of_sql(ty);
                vec![
                    ("attrelid", index.into()),
                    ("attname", name.as_str().into()),
                    ("atttypid", i64::from(pg.oid).into()),
                    ("attlen", i64::from(pg.length).into()),
                    ("attnum", int(at + 1)),
                ]
            }));
        }
    }
    for table in super::tables::all() {
        for (at, (name, ty)) in table.column_types().enumerate() {
            let pg = PgType::by_name(ty).unwrap_or(PgType::TEXT);
            rows.push(vec![
                ("attrelid", system_oid(table).into()),
                ("attname", name.into()),
                ("atttypid", i64::from(pg.oid).into()),
                ("attlen", i64::from(pg.length).into()),
                ("attnum", int(at + 1)),
            ]);
        }
    }
    rows
}

fn keyed(view: &View) -> impl Iterator<Item = Relation> {
    relations(view).into_iter().filter(|r| !r.key.is_empty())
}

fn places(relation: &Relation) -> V {
    V::List(relation.key.iter().map(usize::to_string).collect())
}

fn constraints(view: &View) -> Vec<Row> {
    let row = |r: Relation| -> Row {
        let (name, index) = r.key_index();
        vec![
            ("oid", oid::of_name("constraint", &name).into()),
            ("conname", name.into()),
            ("connamespace", oid::PUBLIC.into()),
            ("contype", "p".into()),
            ("conrelid", r.oid.into()),
            ("conindid", index.into()),
            ("conkey", places(&r)),
        ]
    };
    keyed(view).map(row).collect()
}

fn indexes(view: &View) -> Vec<Row> {
    let row = |r: Relation| -> Row {
        let (_, index) = r.key_index();
        vec![
            ("indexrelid", index.into()),
            ("indrelid", r.oid.into()),
            ("indnatts", int(r.key.len())),
            ("indnkeyatts", int(r.key.len())),
            ("indkey", places(&r)),
        ]
    };
    keyed(view).map(row).collect()
}

fn descriptions(view: &View) -> Vec<Row> {
    let row = |r: Relation| -> Row {
        vec![("objoid", r.oid.into()), ("classoid", oid::PG_CLASS.into()), ("description", r.description.into())]
    };
    relations(view).into_iter().map(row).collect()
}
