//! The schema registry's REST API: the paths, bodies and error codes that Confluent's serializers and tools use.
//!
//! Each family of paths has a file with its routes; this one has what they share. The registry waits for the log when it
//! changes something, so every request is answered on a thread that may wait.

mod compatibility;
mod config;
mod mode;
mod schemas;
mod subjects;

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{FromRequestParts, Query},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use formats::{SchemaReference, SchemaText, SchemaType};
use schemaregistry::{Deleted, Registry, RegistryError, SubjectVersion, Version};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What answers are labelled with.
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// The bodies of requests are at most this long.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 20;

/// Every family of paths.
pub(crate) fn router(registry: Arc<Registry>) -> Router {
    Router::new()
        .merge(compatibility::routes())
        .merge(config::routes())
        .merge(mode::routes())
        .merge(schemas::routes())
        .merge(subjects::routes())
        .with_state(registry)
}

/// An error as the API shows it.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: u16,
    code: u32,
    message: String,
}

impl ApiError {
    fn bad_request(message: impl std::fmt::Display) -> ApiError {
        ApiError { status: 400, code: 400, message: message.to_string() }
    }
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> ApiError {
        ApiError { status: error.status(), code: error.code(), message: error.to_string() }
    }
}

/// What a handler ends with.
pub(crate) type Answer = Result<Value, ApiError>;

/// Answer on a thread that may wait.
pub(crate) async fn answer(work: impl FnOnce() -> Answer + Send + 'static) -> Response {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done
        .unwrap_or_else(|_| Err(ApiError { status: 500, code: 50001, message: "the request was given up".to_owned() }));
    done.map_or_else(ApiError::into_response, |body| shown(StatusCode::OK, &body))
}

fn shown(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body.to_string()).into_response()
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        shown(status, &json!({"error_code": self.code, "message": self.message}))
    }
}

/// A body, whatever its content type says.
pub(crate) fn body<T: for<'de> Deserialize<'de>>(bytes: &Bytes) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|e| ApiError::bad_request(format!("the body is not what is expected: {e}")))
}

/// A schema in a body.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SchemaBody {
    schema: String,
    schema_type: Option<String>,
    #[serde(default)]
    references: Vec<Reference>,
    id: Option<i32>,
    version: Option<i32>,
}

/// A reference in a body.
#[derive(Debug, Serialize, Deserialize)]
struct Reference {
    name: String,
    subject: String,
    version: i32,
}

impl SchemaBody {
    fn text(&self) -> Result<SchemaText, ApiError> {
        let language = self.schema_type.as_deref().unwrap_or("AVRO");
        let unknown = || RegistryError::InvalidSchema {
            language: "unknown",
            why: format!("'{language}' is none of AVRO, JSON, PROTOBUF"),
        };
        let reference =
            |r: &Reference| SchemaReference { name: r.name.clone(), subject: r.subject.clone(), version: r.version };
        Ok(SchemaText {
            ty: SchemaType::of_name(language).ok_or_else(unknown)?,
            text: self.schema.clone(),
            references: self.references.iter().map(reference).collect(),
        })
    }
}

/// A schema as answers have it: its language only where it is not Avro.
fn show_schema(schema: &SchemaText) -> Value {
    let mut shown = json!({"schema": schema.text});
    if schema.ty != SchemaType::Avro {
        shown["schemaType"] = schema.ty.name().into();
    }
    if !schema.references.is_empty() {
        let reference = |r: &SchemaReference| json!({"name": r.name, "subject": r.subject, "version": r.version});
        shown["references"] = schema.references.iter().map(reference).collect();
    }
    shown
}

fn show_version(version: &SubjectVersion) -> Value {
    let mut shown = show_schema(&version.schema.schema);
    shown["subject"] = version.subject.as_str().into();
    shown["version"] = version.version.into();
    shown["id"] = version.schema.id.into();
    if version.deleted {
        shown["deleted"] = true.into();
    }
    shown
}

/// `latest`, `-1`, or a number from 1.
fn version(text: &str) -> Result<Version, ApiError> {
    match text.parse() {
        _ if text == "latest" => Ok(Version::Latest),
        Ok(-1) => Ok(Version::Latest),
        Ok(number) if number >= 1 => Ok(Version::Number(number)),
        _ => Err(RegistryError::InvalidVersion(text.to_owned()).into()),
    }
}

/// What can be asked for behind `?`.
#[derive(Debug, Default)]
pub(crate) struct Options {
    deleted: bool,
    permanent: bool,
    normalize: bool,
    verbose: bool,
    default_to_global: bool,
    subject_prefix: Option<String>,
    latest_only: bool,
    offset: usize,
    limit: Option<isize>,
}

impl<S: Sync> FromRequestParts<S> for Options {
    type Rejection = ApiError;

    /// Clients write `true`, `True` and `TRUE`; what is not true is false, and what nobody knows is left alone.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Options, ApiError> {
        let mut options = Options::default();
        let given = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map_err(ApiError::bad_request)?;
        for (name, value) in given.0 {
            let yes = value.eq_ignore_ascii_case("true");
            let wrong = |_| ApiError::bad_request(format!("{name}={value}: a number is expected"));
            match name.as_str() {
                "deleted" => options.deleted = yes,
                "permanent" => options.permanent = yes,
                "normalize" => options.normalize = yes,
                "verbose" => options.verbose = yes,
                "defaultToGlobal" => options.default_to_global = yes,
                "subjectPrefix" => options.subject_prefix = Some(value),
                "latestOnly" => options.latest_only = yes,
                "offset" => options.offset = value.parse().map_err(wrong)?,
                "limit" => options.limit = Some(value.parse().map_err(wrong)?),
                _ => {}
            }
        }
        Ok(options)
    }
}

impl Options {
    fn deleted(&self) -> Deleted {
        if self.deleted { Deleted::With } else { Deleted::Without }
    }

    /// The part of a list that was asked for.
    fn page<T>(&self, items: impl IntoIterator<Item = T>) -> Vec<T> {
        let limit = self.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        items.into_iter().skip(self.offset).take(limit).collect()
    }
}
