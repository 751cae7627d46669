//! `/schemas`: schemas by id, whichever subject they are in.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use schemaregistry::Registry;
use serde_json::{Value, json};

use super::{ApiError, Options, answer, show_schema, show_version};

type Shared = State<Arc<Registry>>;

pub(super) fn routes() -> Router<Arc<Registry>> {
    Router::new()
        .route("/schemas", get(all))
        .route("/schemas/types", get(types))
        .route("/schemas/ids/{id}", get(one))
        .route("/schemas/ids/{id}/schema", get(text))
        .route("/schemas/ids/{id}/subjects", get(subjects))
        .route("/schemas/ids/{id}/versions", get(versions))
        .route("/contexts", get(contexts))
}

async fn types() -> Response {
    answer(|| Ok(json!(["JSON", "PROTOBUF", "AVRO"]))).await
}

async fn contexts() -> Response {
    answer(|| Ok(json!(["."]))).await
}

async fn all(State(registry): Shared, options: Options) -> Response {
    answer(move || {
        let prefix = options.subject_prefix.as_deref().unwrap_or_default();
        let mut shown = Vec::new();
        for subject in registry.subjects(options.deleted()).into_iter().filter(|name| name.starts_with(prefix)) {
            let versions = registry.versions(&subject, options.deleted()).unwrap_or_default();
            let skipped = if options.latest_only { versions.len().saturating_sub(1) } else { 0 };
            shown.extend(versions.iter().skip(skipped).map(show_version));
        }
        Ok(options.page(shown).into())
    })
    .await
}

fn id(text: &str) -> Result<i32, ApiError> {
    text.parse().map_err(|_| ApiError::bad_request(format!("'{text}' is no schema id")))
}

async fn one(State(registry): Shared, Path(wanted): Path<String>) -> Response {
    answer(move || Ok(show_schema(&registry.schema(id(&wanted)?)?.schema))).await
}

async fn text(State(registry): Shared, Path(wanted): Path<String>) -> Response {
    answer(move || {
        let text = &registry.schema(id(&wanted)?)?.schema.text;
        Ok(serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str())))
    })
    .await
}

async fn subjects(State(registry): Shared, Path(wanted): Path<String>, options: Options) -> Response {
    answer(move || {
        let mut names: Vec<_> =
            registry.versions_of_id(id(&wanted)?, options.deleted())?.into_iter().map(|v| v.subject).collect();
        names.dedup();
        Ok(options.page(names).into())
    })
    .await
}

async fn versions(State(registry): Shared, Path(wanted): Path<String>, options: Options) -> Response {
    answer(move || {
        let versions = registry.versions_of_id(id(&wanted)?, options.deleted())?;
        let shown = versions.iter().map(|v| json!({"subject": v.subject, "version": v.version}));
        Ok(options.page(shown).into())
    })
    .await
}
