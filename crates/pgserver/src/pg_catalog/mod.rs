//! pg_catalog and information_schema: what psql's `\d` and the drivers ask a PostgreSQL server about itself.
//!
//! Queries over these tables are in PostgreSQL's SQL, not in ours: names fold to lower case, types and operators
//! are written with their schema. So they are recognized by what they read, rewritten (`rewrite`) to what
//! DataFusion understands, and run on tables that are made of the engine's catalog when a query reads them.

mod context;
mod empty;
mod functions;
mod information_schema;
mod recognize;
mod relations;
mod rewrite;
mod server;
mod tables;
mod variables;

pub(crate) use context::SystemCatalog;
pub(crate) use recognize::{SystemQuery, recognize};
pub(crate) use variables::{variable_columns, variable_rows};

/// Schema of everything that users make.
pub(crate) const PUBLIC: &str = "public";

/// Object ids of schemas and of the one user and database, as PostgreSQL numbers its own.
mod oid {
    pub(super) const PG_CATALOG: i64 = 11;
    pub(super) const PUBLIC: i64 = 2200;
    pub(super) const INFORMATION_SCHEMA: i64 = 13_000;
    pub(super) const USER: i64 = 10;
    pub(super) const DATABASE: i64 = 16_383;
    pub(super) const HEAP: i64 = 2;
    pub(super) const HASH: i64 = 405;
    pub(super) const PG_CLASS: i64 = 1259;

    /// First object id of what users make.
    const FIRST_USER: u64 = 16_384;

    /// The object id of a name: the same in every session and after every restart, and not stored anywhere. (FNV-1a;
    /// two names that meet in one id would show each other's columns, at odds of one in two thousand million.)
    pub(super) fn of_name(kind: &str, name: &str) -> i64 {
        let bytes = kind.bytes().chain([0]).chain(name.bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        let folded = (hash ^ (hash >> 32)) % (u64::from(i32::MAX.unsigned_abs()) - FIRST_USER) + FIRST_USER;
        folded.cast_signed()
    }
}
