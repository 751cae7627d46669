//! SHOW and LIST.

use catalog::{Source, SourceKind};
use recordlog::TopicPartition;
use runtime::is_internal_topic;
use syntax::ast::{Show, ShowWhat};
use types::Result;

use crate::{Session, api::Outcome, connectors, rows::text_rows};

/// SHOW ….
pub(crate) async fn show(session: &Session, show: &Show) -> Result<Outcome> {
    match show.what {
        ShowWhat::Streams => sources(session, SourceKind::Stream),
        ShowWhat::Tables => sources(session, SourceKind::Table),
        ShowWhat::Views => views(session),
        ShowWhat::Topics { all } => topics(session, all, show.extended),
        ShowWhat::Queries => queries(session).await,
        ShowWhat::Functions => functions(),
        ShowWhat::Types => {
            let catalog = session.engine.catalog();
            let rows = catalog.types.iter().map(|(n, t)| vec![Some(n.clone()), Some(t.to_string())]).collect();
            text_rows("SHOW", &["type", "schema"], rows)
        }
        ShowWhat::Properties => {
            let servers = session.engine.system_properties(&session.engine.catalog());
            let level = |k: &String, v: &String| if servers.get(k) == Some(v) { "SERVER" } else { "SESSION" };
            let row = |(k, v): (&String, &String)| vec![Some(k.clone()), Some(level(k, v).into()), Some(v.clone())];
            text_rows("SHOW", &["property", "level", "value"], session.properties.iter().map(row).collect())
        }
        ShowWhat::Variables => {
            let rows = session.variables().into_iter().map(|(k, v)| vec![Some(k), Some(v)]).collect();
            text_rows("SHOW", &["variable", "value"], rows)
        }
        ShowWhat::Connectors => connectors::show(session),
        ShowWhat::ConnectorPlugins => text_rows("SHOW", &["class", "type", "version"], vec![]),
    }
}

fn window_text(source: &Source) -> String {
    match source.windowed {
        None => "false".into(),
        Some(_) => "true".into(),
    }
}

fn sources(session: &Session, kind: SourceKind) -> Result<Outcome> {
    let catalog = session.engine.catalog();
    let rows = catalog.sources.values().filter(|s| s.kind == kind).map(|s| {
        vec![
            Some(s.name.clone()),
            Some(s.topic.clone()),
            Some(s.key_format.name.clone()),
            Some(s.value_format.name.clone()),
            Some(window_text(s)),
        ]
    });
    let name = if kind == SourceKind::Stream { "stream" } else { "table" };
    text_rows("SHOW", &[name, "topic", "key_format", "value_format", "windowed"], rows.collect())
}

fn views(session: &Session) -> Result<Outcome> {
    let catalog = session.engine.catalog();
    let rows = catalog.views.values().map(|v| vec![Some(v.name.clone()), Some(v.query.clone())]).collect();
    text_rows("SHOW", &["view", "query"], rows)
}

fn topics(session: &Session, all: bool, extended: bool) -> Result<Outcome> {
    let log = &session.engine.log;
    let mut rows = vec![];
    for topic in log.topics().into_iter().filter(|t| all || !is_internal_topic(&t.name)) {
        let partitions = topic.config.partitions;
        let mut row =
            vec![Some(topic.name.to_string()), Some(partitions.to_string()), Some(topic.config.replicas.to_string())];
        if extended {
            let places = (0..partitions).map(|p| TopicPartition::new(topic.name.clone(), p));
            let (mut records, mut bytes) = (0, 0);
            for place in places {
                records += log.offsets(&place).map_or(0, |o| o.end - o.start);
                bytes += log.size_bytes(&place).unwrap_or(0);
            }
            row.extend([Some(records.to_string()), Some(bytes.to_string())]);
        }
        rows.push(row);
    }
    let names: &[&str] = match extended {
        true => &["topic", "partitions", "replicas", "records", "bytes"],
        false => &["topic", "partitions", "replicas"],
    };
    text_rows("SHOW", names, rows)
}

async fn queries(session: &Session) -> Result<Outcome> {
    let (states, catalog) = (session.engine.states().await, session.engine.catalog());
    let rows = catalog.queries.values().map(|q| {
        let state = states.get(&q.id).cloned();
        let error = match &state {
            Some(crate::running::QueryState::Error(e)) => Some(e.clone()),
            _ => None,
        };
        let topic = catalog.source(&q.writes).map(|s| s.topic.clone());
        vec![
            Some(q.id.clone()),
            Some("PERSISTENT".into()),
            Some(state.map_or("STOPPED", |s| s.name()).into()),
            Some(q.writes.clone()),
            topic,
            Some(q.statement.clone()),
            error,
        ]
    });
    text_rows("SHOW", &["id", "type", "state", "sink", "sink_topic", "statement", "error"], rows.collect())
}

fn functions() -> Result<Outcome> {
    let mut all: Vec<_> = functions::all().collect();
    all.sort_by_key(|(doc, _)| doc.name);
    let row = |(doc, kind): (&functions::FunctionDoc, functions::FunctionKind)| {
        vec![Some(doc.name.to_string()), Some(kind.name().to_string()), Some(doc.category.to_string())]
    };
    text_rows("SHOW", &["function", "type", "category"], all.into_iter().map(row).collect())
}
