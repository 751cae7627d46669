//! `/subjects`: names, versions, registering, looking up, deleting.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    response::Response,
    routing::{get, post},
};
use schemaregistry::{Registry, RegistryError};
use serde_json::{Value, json};

use super::{Options, SchemaBody, answer, body, show_version, version};

type Shared = State<Arc<Registry>>;

pub(super) fn routes() -> Router<Arc<Registry>> {
    Router::new()
        .route("/subjects", get(names))
        .route("/subjects/{subject}", post(lookup).delete(delete_subject))
        .route("/subjects/{subject}/versions", get(versions).post(register))
        .route("/subjects/{subject}/versions/{version}", get(one).delete(delete_version))
        .route("/subjects/{subject}/versions/{version}/schema", get(text))
        .route("/subjects/{subject}/versions/{version}/referencedby", get(referenced_by))
}

async fn names(State(registry): Shared, options: Options) -> Response {
    answer(move || {
        // A context before the name (":.:") stands for the one context that there is.
        let prefix = options.subject_prefix.as_deref().unwrap_or_default();
        let prefix = prefix.strip_prefix(":*:").or(prefix.strip_prefix(":.:")).unwrap_or(prefix);
        let names = registry.subjects(options.deleted()).into_iter().filter(|name| name.starts_with(prefix));
        Ok(options.page(names).into())
    })
    .await
}

async fn versions(State(registry): Shared, Path(subject): Path<String>, options: Options) -> Response {
    answer(move || {
        let numbers = registry.versions(&subject, options.deleted())?.into_iter().map(|v| v.version);
        Ok(options.page(numbers).into())
    })
    .await
}

async fn one(State(registry): Shared, Path((subject, number)): Path<(String, String)>, options: Options) -> Response {
    answer(move || Ok(show_version(&registry.version_of(&subject, version(&number)?, options.deleted())?))).await
}

async fn text(State(registry): Shared, Path((subject, number)): Path<(String, String)>, options: Options) -> Response {
    answer(move || {
        let found = registry.version_of(&subject, version(&number)?, options.deleted())?;
        let text = &found.schema.schema.text;
        // As it is where it is JSON already.
        Ok(serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str())))
    })
    .await
}

async fn referenced_by(State(registry): Shared, Path((subject, number)): Path<(String, String)>) -> Response {
    answer(move || Ok(registry.referenced_by(&subject, version(&number)?)?.into())).await
}

async fn register(State(registry): Shared, Path(subject): Path<String>, options: Options, bytes: Bytes) -> Response {
    answer(move || {
        let wanted: SchemaBody = body(&bytes)?;
        let schema = wanted.text()?;
        let added = match wanted.id.filter(|id| *id >= 0) {
            Some(id) => registry.import(&subject, &schema, id, wanted.version)?,
            None => registry.add(&subject, &schema, options.normalize)?,
        };
        Ok(json!({"id": added.schema.id}))
    })
    .await
}

async fn lookup(State(registry): Shared, Path(subject): Path<String>, options: Options, bytes: Bytes) -> Response {
    answer(move || {
        let schema = body::<SchemaBody>(&bytes)?.text()?;
        Ok(show_version(&registry.lookup(&subject, &schema, options.normalize, options.deleted())?))
    })
    .await
}

async fn delete_subject(State(registry): Shared, Path(subject): Path<String>, options: Options) -> Response {
    answer(move || {
        let gone = registry.delete_subject(&subject, options.permanent)?;
        // A level of its own ends with the subject.
        if options.permanent {
            match registry.level(Some(&subject), false) {
                Ok(_) => registry.set_level(Some(&subject), None)?,
                Err(RegistryError::NoSubjectLevel(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(gone.into())
    })
    .await
}

async fn delete_version(
    State(registry): Shared,
    Path((subject, number)): Path<(String, String)>,
    options: Options,
) -> Response {
    answer(move || Ok(registry.delete_version(&subject, version(&number)?, options.permanent)?.into())).await
}
