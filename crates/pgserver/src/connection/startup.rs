//! From an accepted socket to a session, or to the cancelling of another one.

use std::{io, sync::Arc};

use parking_lot::Mutex;
use types::{Error, ErrorKind};

use super::{Connection, Identity, Wire};
use crate::{
    backend::Backend,
    listener::Server,
    protocol::{Greeting, Input, Output, TransactionStatus, read_greeting},
    variables::Variables,
};

/// How long a client may take to say what it wants.
const GREETING_WAIT: std::time::Duration = std::time::Duration::from_secs(60);

/// Startup parameters that are no variables.
const NOT_VARIABLES: [&str; 4] = ["user", "database", "options", "replication"];

/// Reads the greeting; a session, or `None` when there is nothing more to do.
pub(super) async fn begin<B: Backend>(
    server: Arc<Server<B>>,
    mut input: Input,
    mut output: Output,
    admitted: bool,
) -> io::Result<Option<Connection<B>>> {
    let greeting = tokio::time::timeout(GREETING_WAIT, read_greeting(&mut input, output.half()));
    let greeting = tokio::select! {
        greeting = greeting => greeting.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??,
        () = server.shutdown.cancelled() => return Ok(None),
    };
    let refused = match greeting {
        Ok(Greeting::Gone) => return Ok(None),
        Ok(Greeting::Cancel { process, secret }) => {
            server.sessions.cancel(process, &secret);
            return Ok(None);
        }
        Ok(Greeting::Startup { minor, parameters, unknown_options }) if admitted => {
            if minor > 0 || !unknown_options.is_empty() {
                output.negotiate_protocol_version(&unknown_options);
            }
            let get = |name: &str| parameters.get(name).filter(|v| !v.is_empty()).cloned();
            if get("replication").is_some_and(|v| !matches!(v.as_str(), "false" | "off" | "no" | "0")) {
                Error::unsupported("replication connections are not supported")
            } else {
                let user = get("user").unwrap_or_else(|| "millstream".to_owned());
                let database = get("database").unwrap_or_else(|| user.clone());
                let mut variables = Variables::new(&user);
                let plain = parameters.iter().filter(|(name, _)| !NOT_VARIABLES.contains(&name.as_str()));
                plain.for_each(|(name, value)| variables.start_with(name, value));
                for (name, value) in get("options").iter().flat_map(|options| command_line(options)) {
                    variables.start_with(&name, &value);
                }
                return Ok(Some(welcome(server, input, output, user, database, variables)));
            }
        }
        Ok(Greeting::Startup { .. }) => Error::new(ErrorKind::Unavailable, "53300", "sorry, too many clients already"),
        Err(e) => Error::new(ErrorKind::User, e.sqlstate(), e.to_string()),
    };
    output.error("FATAL", &refused, None);
    output.flush().await?;
    Ok(None)
}

fn welcome<B: Backend>(
    server: Arc<Server<B>>,
    input: Input,
    mut output: Output,
    user: String,
    database: String,
    variables: Variables,
) -> Connection<B> {
    let registration = server.sessions.register();
    output.authentication_ok();
    variables.reported().for_each(|(name, value)| output.parameter_status(name, value));
    output.backend_key_data(registration.process, registration.secret);
    output.ready_for_query(TransactionStatus::Idle);
    let wire = Wire {
        input,
        output,
        cancel: Arc::clone(&registration.cancel),
        shutdown: server.shutdown.clone(),
        deadline: None,
    };
    let variables = Arc::new(Mutex::new(variables));
    Connection {
        session: server.backend.session(),
        wire,
        identity: Identity { user, database, process: registration.process, variables },
        _registration: registration,
        server,
        transaction: TransactionStatus::Idle,
        told_of_autocommit: false,
        statements: Default::default(),
        portals: Default::default(),
        cursors: Default::default(),
        skipping: false,
    }
}

/// The settings of `-c name=value --name=value`.
fn command_line(options: &str) -> Vec<(String, String)> {
    let mut words = options.split_ascii_whitespace();
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let setting = match word {
            "-c" => words.next(),
            word => word.strip_prefix("-c").or_else(|| word.strip_prefix("--")),
        };
        if let Some((name, value)) = setting.and_then(|s| s.split_once('=')) {
            settings.push((name.replace('-', "_"), value.to_owned()));
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    #[test]
    fn options() {
        let got = super::command_line("-c a=1 -cb=2 --statement-timeout=3 junk -c");
        let want = [("a", "1"), ("b", "2"), ("statement_timeout", "3")];
        assert_eq!(got, want.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }
}
