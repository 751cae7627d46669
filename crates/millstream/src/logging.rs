//! Log lines on standard error.

use tracing_subscriber::EnvFilter;

use crate::{cli::LogFormat, failure::Failure};

/// Logs what `filter` lets through (`info`, `pgserver=debug,info`).
pub(crate) fn start(filter: &str, format: LogFormat) -> Result<(), Failure> {
    let filter = EnvFilter::builder().parse(filter).map_err(|e| Failure::new(format!("--log {filter}: {e}")))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let result = match format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    result.map_err(|e| Failure::new(format!("logging: {e}")))
}
