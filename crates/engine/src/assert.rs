//! ASSERT TOPIC and ASSERT SCHEMA: what a script relies on is there, or comes within a time.

use std::time::Duration;

use runtime::log_error;
use syntax::ast::{Ident, Literal, Properties};
use tokio::time::Instant;
use types::{Error, Result, Span};

use crate::{
    Session,
    api::{Outcome, OutputColumn},
    rows::text_rows,
    session::output_column,
};

/// How long an assertion that names no TIMEOUT waits, unless a property says otherwise.
const WAIT_MS: u64 = 1_000;
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The columns of its result.
pub(crate) fn columns(what: &str) -> Vec<OutputColumn> {
    [what, "exists"].map(|name| output_column(name, &types::SqlType::String, false)).into()
}

/// ASSERT [NOT EXISTS] TOPIC.
pub(crate) async fn topic(
    session: &Session,
    exists: bool,
    topic: &Ident,
    properties: &Properties,
    timeout_ms: Option<u64>,
) -> Result<Outcome> {
    for (name, property) in &properties.entries {
        if !matches!(name.as_str(), "PARTITIONS" | "REPLICAS") {
            let error = Error::invalid(format!("{name} is no property of ASSERT TOPIC")).at(property.name_span);
            return Err(error.with_hint("PARTITIONS and REPLICAS are"));
        }
    }
    let wait = wait(session, timeout_ms, "ksql.assert.topic.default.timeout.ms")?;
    until(wait, || topic_is(session, exists, topic, properties)).await?;
    answer("ASSERT TOPIC", "topic", &topic.value, exists)
}

fn topic_is(session: &Session, exists: bool, topic: &Ident, properties: &Properties) -> Result<()> {
    let name = &topic.value;
    let wrong = |message: String| Err(Error::invalid(message).at(topic.span));
    let found = match (session.engine.log.topic(name).map_err(log_error)?, exists) {
        (None, true) => return wrong(format!("topic {name} does not exist")),
        (Some(_), false) => return wrong(format!("topic {name} exists")),
        (None, false) => return Ok(()),
        (Some(found), true) => found,
    };
    for (property, wanted) in &properties.entries {
        let actual = match property.as_str() {
            "PARTITIONS" => found.config.partitions.to_string(),
            _ => found.config.replicas.to_string(),
        };
        let wanted = match &wanted.value {
            Literal::Integer(n) | Literal::String(n) => n.clone(),
            other => format!("{other:?}"),
        };
        if actual != wanted {
            return wrong(format!("topic {name} has {} {actual}, expected {wanted}", property.to_lowercase()));
        }
    }
    Ok(())
}

/// ASSERT [NOT EXISTS] SCHEMA.
pub(crate) async fn schema(
    session: &Session,
    exists: bool,
    subject: Option<&str>,
    id: Option<u64>,
    timeout_ms: Option<u64>,
    span: Span,
) -> Result<Outcome> {
    let wait = wait(session, timeout_ms, "ksql.assert.schema.default.timeout.ms")?;
    let name = match (subject, id) {
        (Some(subject), Some(id)) => format!("of subject {subject} with id {id}"),
        (Some(subject), None) => format!("of subject {subject}"),
        (None, id) => format!("with id {}", id.unwrap_or_default()),
    };
    until(wait, || match (schema_is_there(session, subject, id)?, exists) {
        (false, true) => Err(Error::invalid(format!("a schema {name} does not exist")).at(span)),
        (true, false) => Err(Error::invalid(format!("a schema {name} exists")).at(span)),
        _ => Ok(()),
    })
    .await?;
    answer("ASSERT SCHEMA", "schema", &name, exists)
}

fn schema_is_there(session: &Session, subject: Option<&str>, id: Option<u64>) -> Result<bool> {
    let registry = session.engine.registry();
    // Ids are 32 bits wide: a larger one is nobody's.
    let id = match id.map(i32::try_from) {
        Some(Err(_)) => return Ok(false),
        Some(Ok(id)) => Some(id),
        None => None,
    };
    match (subject, id) {
        (Some(subject), None) => Ok(registry.latest(subject)?.is_some()),
        (Some(subject), Some(id)) => Ok(registry.subjects_of(id)?.iter().any(|s| s == subject)),
        (None, Some(id)) => Ok(registry.by_id(id)?.is_some()),
        (None, None) => Ok(false),
    }
}

fn wait(session: &Session, timeout_ms: Option<u64>, property: &str) -> Result<Duration> {
    let set = session.properties.get(property).map(|text| {
        let wrong = |_| Error::invalid(format!("property {property}: expected a number of milliseconds, found {text}"));
        text.trim().parse::<u64>().map_err(wrong)
    });
    // On a virtual clock nothing comes by waiting.
    let known = if session.engine.config.manual { Some(0) } else { timeout_ms };
    Ok(Duration::from_millis(known.or(set.transpose()?).unwrap_or(WAIT_MS)))
}

/// Look until it holds; why not, when that takes longer than `wait`.
async fn until(wait: Duration, holds: impl Fn() -> Result<()>) -> Result<()> {
    let begun = Instant::now();
    loop {
        let Err(why) = holds() else { return Ok(()) };
        let left = wait.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(why);
        }
        tokio::time::sleep(left.min(LOOK_EVERY)).await;
    }
}

fn answer(tag: &'static str, what: &str, name: &str, exists: bool) -> Result<Outcome> {
    text_rows(tag, &[what, "exists"], vec![vec![Some(name.to_owned()), Some(exists.to_string())]])
}
