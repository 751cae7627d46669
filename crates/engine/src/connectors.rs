//! Connectors: they are stored with what they were defined by, and shown. They do not run.

use syntax::ast::{Ident, Literal, StatementKind};
use types::{Error, Result};

use crate::{Session, api::Outcome, rows::text_rows};

/// The property that names what would run.
const CLASS: &str = "connector.class";
/// How a connector stands.
const STATE: &str = "NOT RUNNING";

/// A connector as it was defined.
struct Connector {
    kind: &'static str,
    properties: Vec<(String, String)>,
}

impl Connector {
    fn of(statement: &str) -> Result<Connector> {
        let parsed = syntax::parse(statement, None)?;
        let Some(StatementKind::CreateConnector { source, properties, .. }) = parsed.into_iter().next().map(|s| s.kind)
        else {
            return Err(Error::internal("a connector was made by another statement"));
        };
        let text = |value: Literal| match value {
            Literal::String(text) | Literal::Integer(text) | Literal::Decimal(text) => text,
            Literal::Boolean(value) => value.to_string(),
            other => format!("{other:?}"),
        };
        let properties = properties.entries.into_iter().map(|(name, p)| (name, text(p.value))).collect();
        Ok(Connector { kind: if source { "SOURCE" } else { "SINK" }, properties })
    }

    fn class(&self) -> Option<String> {
        self.properties.iter().find(|(name, _)| name.eq_ignore_ascii_case(CLASS)).map(|(_, class)| class.clone())
    }
}

/// SHOW CONNECTORS.
pub(crate) fn show(session: &Session) -> Result<Outcome> {
    let catalog = session.engine.catalog();
    let mut rows = vec![];
    for (name, statement) in &catalog.connectors {
        let connector = Connector::of(statement)?;
        rows.push(vec![Some(name.clone()), Some(connector.kind.into()), connector.class(), Some(STATE.into())]);
    }
    text_rows("SHOW", &["connector", "type", "class", "state"], rows)
}

/// DESCRIBE CONNECTOR.
pub(crate) fn describe(session: &Session, name: &Ident) -> Result<Outcome> {
    let catalog = session.engine.catalog();
    let Some(statement) = catalog.connectors.get(&name.value) else {
        let error = Error::undefined_source(format!("connector {} does not exist", name.value)).at(name.span);
        return Err(error.with_hint("SHOW CONNECTORS lists them"));
    };
    let connector = Connector::of(statement)?;
    let row = |property: &str, value: Option<String>| vec![Some(property.to_owned()), value];
    let mut rows = vec![
        row("name", Some(name.value.clone())),
        row("type", Some(connector.kind.to_owned())),
        row("class", connector.class()),
        row("state", Some(STATE.to_owned())),
    ];
    rows.extend(connector.properties.iter().map(|(name, value)| row(name, Some(value.clone()))));
    text_rows("DESCRIBE", &["property", "value"], rows)
}
