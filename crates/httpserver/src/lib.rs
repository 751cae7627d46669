//! HTTP in front of the engine: health for supervisors, metrics for Prometheus, the schema registry for serializers.
//!
//! Invariant: knows the engine by what it shows, and changes nothing but the registry.

mod registry;

use std::{fmt::Write, future::Future, io, sync::Arc};

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::header,
    response::IntoResponse,
    routing::get,
};
use engine::{Engine, QueryReport};
use tokio::net::TcpListener;

/// Serve until `stop` resolves.
///
/// # Errors
/// The listener's.
pub async fn serve(
    engine: Arc<Engine>,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    // Where another registry is used, nobody shall take this one for it.
    let registry = if engine.has_other_registry() { Router::new() } else { registry::router(engine.subjects()) };
    let router = Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .with_state(engine)
        .merge(registry)
        .layer(DefaultBodyLimit::max(registry::BODY_BYTES_MAX));
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

/// 200 when every query runs (or is paused), 503 with the names of those that do not.
async fn health(State(engine): State<Arc<Engine>>) -> impl IntoResponse {
    let failed: Vec<String> =
        engine.reports().into_iter().filter_map(|q| q.error.map(|e| format!("{}: {e}\n", q.id))).collect();
    match failed.is_empty() {
        true => (axum::http::StatusCode::OK, "ok\n".to_string()),
        false => (axum::http::StatusCode::SERVICE_UNAVAILABLE, failed.concat()),
    }
}

async fn metrics(State(engine): State<Arc<Engine>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text(&engine.reports(), engine.shared_bytes()))
}

type Reading = fn(&QueryReport) -> u64;

/// (name, kind, help, reading), in the order in which they are shown.
const METRICS: &[(&str, &str, &str, Reading)] = &[
    ("records_in_total", "counter", "Records read.", |q| q.records_in),
    ("records_out_total", "counter", "Records written.", |q| q.records_out),
    ("epochs_total", "counter", "Epochs committed.", |q| q.epochs),
    ("undecodable_total", "counter", "Records that could not be decoded.", |q| q.undecodable),
    ("null_keys_total", "counter", "Rows dropped for a NULL key.", |q| q.null_keys),
    ("failed_expressions_total", "counter", "Expressions that failed in a row.", |q| q.failed_expressions),
    ("late_total", "counter", "Rows that came after their window was closed.", |q| q.late),
    ("unwritable_total", "counter", "Rows that the sink's format cannot write.", |q| q.unwritable),
    ("state_rows", "gauge", "Entries of state in memory.", |q| q.state_rows),
    ("state_bytes", "gauge", "Memory of state, about.", |q| q.state_bytes),
    ("state_disk_bytes", "gauge", "State on disk, about.", |q| q.disk_bytes),
    ("state_hits_total", "counter", "State looked for and in memory, since some is on disk.", |q| q.state_lookups.0),
    ("state_misses_total", "counter", "State looked for and not in memory.", |q| q.state_lookups.1),
    ("running", "gauge", "1 while the query runs.", |q| u64::from(q.error.is_none())),
];

fn text(reports: &[QueryReport], shared_bytes: u64) -> String {
    let mut out = String::new();
    for (name, kind, help, reading) in METRICS {
        let _ = writeln!(out, "# HELP millstream_query_{name} {help}\n# TYPE millstream_query_{name} {kind}");
        for query in reports {
            let id = query.id.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = writeln!(out, "millstream_query_{name}{{query=\"{id}\"}} {}", reading(query));
        }
    }
    let (name, help) =
        ("millstream_shared_source_bytes", "Decoded rows kept for several queries that read one source.");
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {shared_bytes}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_in_prometheus_text() {
        let report = QueryReport { id: "CTAS_\"A\"_1".into(), late: 3, ..QueryReport::default() };
        let text = text(&[report], 0);
        assert!(text.contains("# TYPE millstream_query_late_total counter\nmillstream_query_late_total{query=\"CTAS_\\\"A\\\"_1\"} 3\n"), "{text}");
    }
}
