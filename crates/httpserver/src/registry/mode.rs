//! `/mode`: whether schemas can be registered, of all subjects and of one.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use schemaregistry::{Mode, Registry, RegistryError};
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Options, answer, body};

type Shared = State<Arc<Registry>>;

pub(super) fn routes() -> Router<Arc<Registry>> {
    Router::new()
        .route("/mode", get(of_all).put(set_all))
        .route("/mode/{subject}", get(of_one).put(set_one).delete(unset_one))
}

#[derive(Deserialize)]
struct Wanted {
    mode: String,
}

fn show(mode: Mode) -> Answer {
    Ok(json!({"mode": mode.name()}))
}

fn set(registry: &Registry, subject: Option<&str>, bytes: &Bytes) -> Answer {
    let name = body::<Wanted>(bytes)?.mode;
    let mode = Mode::of_name(&name).ok_or(RegistryError::InvalidMode(name))?;
    registry.set_mode(subject, Some(mode))?;
    show(mode)
}

async fn of_all(State(registry): Shared) -> Response {
    answer(move || show(registry.mode(None, false)?)).await
}

async fn set_all(State(registry): Shared, bytes: Bytes) -> Response {
    answer(move || set(&registry, None, &bytes)).await
}

async fn of_one(State(registry): Shared, Path(subject): Path<String>, options: Options) -> Response {
    answer(move || show(registry.mode(Some(&subject), options.default_to_global)?)).await
}

async fn set_one(State(registry): Shared, Path(subject): Path<String>, bytes: Bytes) -> Response {
    answer(move || set(&registry, Some(&subject), &bytes)).await
}

async fn unset_one(State(registry): Shared, Path(subject): Path<String>) -> Response {
    answer(move || {
        let before = registry.mode(Some(&subject), false)?;
        registry.set_mode(Some(&subject), None)?;
        show(before)
    })
    .await
}
