//! CREATE, DROP and ALTER of streams, tables and types over topics.

mod alter;
mod create;
mod drop;
mod replace;
mod type_names;

pub use alter::plan_alter;
pub use create::{is_none, plan_create_source, timestamp};
pub use drop::{Drop, plan_drop, unknown};
pub use replace::{check_free, check_upgrade, kind_name};
pub use type_names::{plan_create_type, plan_drop_type, resolve_type};

#[cfg(test)]
mod tests;
