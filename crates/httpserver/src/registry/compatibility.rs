//! `/compatibility`: whether a schema could be registered, and why not.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    response::Response,
    routing::post,
};
use schemaregistry::{Registry, RegistryError};
use serde_json::json;

use super::{Answer, Options, SchemaBody, answer, body, version};

type Shared = State<Arc<Registry>>;

pub(super) fn routes() -> Router<Arc<Registry>> {
    Router::new()
        .route("/compatibility/subjects/{subject}/versions", post(with_all))
        .route("/compatibility/subjects/{subject}/versions/{version}", post(with_one))
}

fn show(reasons: Vec<String>, options: &Options) -> Answer {
    let mut shown = json!({"is_compatible": reasons.is_empty()});
    if options.verbose {
        shown["messages"] = reasons.into();
    }
    Ok(shown)
}

async fn with_all(State(registry): Shared, Path(subject): Path<String>, options: Options, bytes: Bytes) -> Response {
    answer(move || {
        let schema = body::<SchemaBody>(&bytes)?.text()?;
        show(registry.test(&subject, &schema, None)?, &options)
    })
    .await
}

async fn with_one(
    State(registry): Shared,
    Path((subject, number)): Path<(String, String)>,
    options: Options,
    bytes: Bytes,
) -> Response {
    answer(move || {
        let schema = body::<SchemaBody>(&bytes)?.text()?;
        let number = version(&number)?;
        match registry.test(&subject, &schema, Some(number)) {
            // Whatever follows nothing fits.
            Err(RegistryError::SubjectNotFound(_)) if number == schemaregistry::Version::Latest => {
                show(Vec::new(), &options)
            }
            tested => show(tested?, &options),
        }
    })
    .await
}
