//! `sql`: a shell over the Postgres wire.

mod complete;

use std::{
    fs::File,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    time::Duration,
};

use futures::StreamExt;
use rustyline::{error::ReadlineError, history::FileHistory};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::{CommandResult, block_on, client::ServerArgs, signals::Interrupts, table::Table, told::describe_in};

use complete::Words;

/// Options of `sql`.
#[derive(clap::Args)]
#[command(after_help = "In the shell: statements end with a semicolon and may span lines; Tab completes keywords and
names; Ctrl-C ends a live query; Ctrl-D or \\q leaves. DEFINE name = 'value'; sets what ${name} stands for; RUN SCRIPT 'file'; runs a file, SPOOL 'file'; copies results to one until SPOOL OFF;
\\d lists streams and tables, \\d NAME shows columns, \\dq lists queries, \\dt topics.")]
pub struct SqlArgs {
    /// Run this and leave.
    #[arg(short = 'c', long = "command", value_name = "SQL")]
    command: Vec<String>,
    /// Run this file and leave.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Vec<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Run the shell.
pub fn run(args: SqlArgs) -> CommandResult {
    block_on(async move {
        let mut shell = Shell { client: args.server.connect().await?, spool: None };
        for path in &args.file {
            shell.script(path).await?;
        }
        for text in &args.command {
            shell.statements(text).await?;
        }
        if !args.command.is_empty() || !args.file.is_empty() {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            let text = io::read_to_string(io::stdin()).map_err(|e| format!("standard input: {e}"))?;
            return shell.statements(&text).await;
        }
        shell.interact(&args.server).await
    })
}

struct Shell {
    client: Client,
    spool: Option<File>,
}

/// How long rows are held back to align them, before a live query shows what it has.
const ALIGN: Duration = Duration::from_millis(200);

impl Shell {
    async fn interact(&mut self, server: &ServerArgs) -> CommandResult {
        println!("millstream {} at {}. \\q leaves, \\? helps.", env!("CARGO_PKG_VERSION"), server.server);
        let mut editor = rustyline::Editor::<Words, FileHistory>::new().map_err(|e| format!("terminal: {e}"))?;
        let words = Words::default();
        self.learn(&words).await;
        editor.set_helper(Some(words.clone()));
        let history = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".millstream_history"));
        if let Some(path) = &history {
            // There is none at first.
            let _ = editor.load_history(path);
        }
        let mut text = String::new();
        loop {
            let prompt = if text.is_empty() { "sql> " } else { "...> " };
            match editor.readline(prompt) {
                Ok(line) => {
                    let trimmed = line.trim();
                    if text.is_empty() && trimmed.starts_with('\\') {
                        if matches!(trimmed, "\\q" | "\\quit") {
                            break;
                        }
                        if let Err(e) = self.backslash(trimmed).await {
                            eprintln!("{e}");
                        }
                        continue;
                    }
                    text.push_str(&line);
                    text.push('\n');
                    let (complete, rest) = syntax::split_statements(&text);
                    if complete.is_empty() || text.get(rest).is_some_and(|r| !r.trim().is_empty()) {
                        continue;
                    }
                    let _ = editor.add_history_entry(text.trim());
                    if let Err(e) = self.statements(&text).await {
                        eprintln!("{e}");
                    }
                    if complete::changes_names(&text) {
                        self.learn(&words).await;
                    }
                    text.clear();
                    if self.client.is_closed() {
                        eprintln!("the connection is lost; connecting again");
                        self.client = server.connect().await?;
                    }
                }
                Err(ReadlineError::Interrupted) => text.clear(),
                Err(ReadlineError::Eof) => break,
                Err(e) => return Err(format!("terminal: {e}")),
            }
        }
        if let Some(path) = &history
            && let Err(e) = editor.save_history(path)
        {
            tracing::debug!(error = %e, "history not saved");
        }
        Ok(())
    }

    /// The names that there are now, for completion.
    async fn learn(&self, words: &Words) {
        let mut names = Vec::new();
        for (statement, column) in complete::NAMES {
            for message in self.client.simple_query(statement).await.unwrap_or_default() {
                if let SimpleQueryMessage::Row(row) = message {
                    names.extend(row.try_get(*column).ok().flatten().map(str::to_string));
                }
            }
        }
        words.learn(names);
    }

    async fn backslash(&mut self, command: &str) -> CommandResult {
        let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let text = match (word, rest.trim()) {
            ("\\d", "") => "SHOW STREAMS; SHOW TABLES;".to_string(),
            ("\\d", name) => format!("DESCRIBE {name};"),
            ("\\dq", _) => "SHOW QUERIES;".to_string(),
            ("\\dt", _) => "SHOW TOPICS EXTENDED;".to_string(),
            ("\\df", _) => "SHOW FUNCTIONS;".to_string(),
            ("\\i", path) => format!("RUN SCRIPT '{path}';"),
            ("\\?", _) => {
                println!("\\d [NAME]  \\dq  \\dt  \\df  \\i FILE  \\q");
                return Ok(());
            }
            _ => return Err(format!("{word} is no command; \\? lists them")),
        };
        self.statements(&text).await
    }

    /// Run a text's statements one by one, until one fails.
    async fn statements(&mut self, text: &str) -> CommandResult {
        let (complete, rest) = syntax::split_statements(text);
        let last = text.get(rest).filter(|r| !r.trim().is_empty());
        for statement in complete.iter().filter_map(|r| text.get(r.clone())).chain(last) {
            let words: Vec<String> =
                statement.split_whitespace().map(|w| w.trim_end_matches(';').to_uppercase()).collect();
            match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                ["RUN", "SCRIPT", ..] => Box::pin(self.script(&PathBuf::from(quoted(statement)?))).await?,
                ["SPOOL", "OFF"] => self.spool = None,
                ["SPOOL", ..] => {
                    let path = quoted(statement)?;
                    self.spool = Some(File::create(&path).map_err(|e| format!("{path}: {e}"))?);
                }
                _ => self.statement(statement).await?,
            }
        }
        Ok(())
    }

    async fn script(&mut self, path: &PathBuf) -> CommandResult {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        self.statements(&text).await
    }

    async fn statement(&mut self, text: &str) -> CommandResult {
        let cancel = self.client.cancel_token();
        let mut interrupts = Interrupts::listen()?;
        let stream = self.client.simple_query_raw(text).await.map_err(|e| describe_in(&e, text))?;
        let mut stream = std::pin::pin!(stream);
        let mut table: Option<Table> = None;
        let mut waiting = true;
        loop {
            let message = tokio::select! {
                message = stream.next() => message,
                () = tokio::time::sleep(ALIGN), if waiting && table.is_some() => {
                    self.show(&mut table)?;
                    waiting = false;
                    continue;
                }
                () = interrupts.next() => {
                    cancel.cancel_query(NoTls).await.map_err(|e| format!("cancel: {e}"))?;
                    continue;
                }
            };
            match message {
                None => break,
                Some(Ok(SimpleQueryMessage::RowDescription(columns))) => {
                    table = Some(Table::new(columns.iter().map(|c| c.name().to_string()).collect()));
                    waiting = true;
                }
                Some(Ok(SimpleQueryMessage::Row(row))) => {
                    if let Some(table) = &mut table {
                        table.push((0..row.len()).map(|i| row.get(i).map(str::to_string)).collect());
                    }
                    if !waiting {
                        self.show(&mut table)?;
                    }
                }
                Some(Ok(SimpleQueryMessage::CommandComplete(_))) => match table.take() {
                    Some(table) => self.print(|out| table.finish(out))?,
                    None => self.print(|out| writeln!(out, "ok"))?,
                },
                Some(Ok(_)) => {}
                Some(Err(e)) => {
                    self.show(&mut table)?;
                    if e.code() == Some(&tokio_postgres::error::SqlState::QUERY_CANCELED) {
                        self.print(|out| writeln!(out, "ended"))?;
                        break;
                    }
                    return Err(describe_in(&e, text));
                }
            }
        }
        Ok(())
    }

    fn show(&mut self, table: &mut Option<Table>) -> CommandResult {
        match table {
            Some(table) => self.print(|out| table.show(out)),
            None => Ok(()),
        }
    }

    /// To the terminal, and to the spool file.
    fn print(&mut self, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> CommandResult {
        let mut bytes = vec![];
        let written =
            write(&mut bytes).and_then(|()| io::stdout().write_all(&bytes)).and_then(|()| io::stdout().flush());
        let spooled = match &mut self.spool {
            Some(file) => file.write_all(&bytes),
            None => Ok(()),
        };
        written.and(spooled).map_err(|e| format!("output: {e}"))
    }
}

/// The text in single quotes of a command of the shell's own.
fn quoted(statement: &str) -> CommandResult<String> {
    let mut parts = statement.splitn(3, '\'');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(path), Some(_)) => Ok(path.to_string()),
        _ => Err(format!("{}: the file's name goes in single quotes", statement.trim())),
    }
}
