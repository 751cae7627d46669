//! `/config`: compatibility levels, of all subjects and of one.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use schemaregistry::{Level, Registry, RegistryError};
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Options, answer, body};

type Shared = State<Arc<Registry>>;

pub(super) fn routes() -> Router<Arc<Registry>> {
    Router::new()
        .route("/config", get(of_all).put(set_all).delete(unset_all))
        .route("/config/{subject}", get(of_one).put(set_one).delete(unset_one))
}

#[derive(Deserialize)]
struct Wanted {
    compatibility: String,
}

fn read(registry: &Registry, subject: Option<&str>, fallback: bool) -> Answer {
    Ok(json!({"compatibilityLevel": registry.level(subject, fallback)?.name()}))
}

fn set(registry: &Registry, subject: Option<&str>, bytes: &Bytes) -> Answer {
    let name = body::<Wanted>(bytes)?.compatibility;
    let level = Level::of_name(&name).ok_or(RegistryError::InvalidLevel(name))?;
    registry.set_level(subject, Some(level))?;
    Ok(json!({"compatibility": level.name()}))
}

/// The level that ends; of all, the one that holds then.
fn unset(registry: &Registry, subject: Option<&str>) -> Answer {
    let before = registry.level(subject, false)?;
    registry.set_level(subject, None)?;
    let shown = if subject.is_some() { before } else { registry.level(None, false)? };
    Ok(json!({"compatibilityLevel": shown.name()}))
}

async fn of_all(State(registry): Shared) -> Response {
    answer(move || read(&registry, None, false)).await
}

async fn set_all(State(registry): Shared, bytes: Bytes) -> Response {
    answer(move || set(&registry, None, &bytes)).await
}

async fn unset_all(State(registry): Shared) -> Response {
    answer(move || unset(&registry, None)).await
}

async fn of_one(State(registry): Shared, Path(subject): Path<String>, options: Options) -> Response {
    answer(move || read(&registry, Some(&subject), options.default_to_global)).await
}

async fn set_one(State(registry): Shared, Path(subject): Path<String>, bytes: Bytes) -> Response {
    answer(move || set(&registry, Some(&subject), &bytes)).await
}

async fn unset_one(State(registry): Shared, Path(subject): Path<String>) -> Response {
    answer(move || unset(&registry, Some(&subject))).await
}
