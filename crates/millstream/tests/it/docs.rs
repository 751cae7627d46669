//! Runs the SQL of the documentation: every page on a fresh server, its blocks in order, each statement after the
//! queries have read all that those before it wrote.
//!
//! A block `sql` must succeed, unless the block after it is `text`: that is what a terminal shows for it then, rows and
//! errors, and it must be exactly this. A block `csv` after a COPY … FROM STDIN is what the client sends.
//! With MILLSTREAM_UPDATE=1 the `text` blocks are written instead of compared; look at what changed.

#[path = "../../src/table.rs"]
mod table;
#[allow(dead_code, reason = "the tests use a part of it")]
#[path = "../../src/told.rs"]
mod told;

use std::{env, fs, sync::Arc};

use bytes::Bytes;
use engine::{Cut, Engine, EngineConfig};
use futures::SinkExt;
use table::Table;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

use crate::support::workspace;

/// Pages with SQL, of the workspace.
const PAGES: &[&str] = &["README.md", "docs/errors.md", "docs/schema-registry.md", "docs/sql.md", "docs/tutorial.md"];

/// Pages whose SQL is about what other programs do in between.
const WITH_OTHERS: &[&str] = &["docs/kafka.md"];

/// A fenced block of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    language: String,
    /// Its lines, as places in the page.
    from: usize,
    to: usize,
}

/// The fenced blocks of `page`.
fn blocks(page: &str) -> Vec<Block> {
    let (mut found, mut open, mut at) = (vec![], None, 0);
    for line in page.split_inclusive('\n') {
        let end = at + line.len();
        if let Some(info) = line.strip_prefix("```") {
            match open.take() {
                None => open = Some((info.trim().to_string(), end)),
                Some((language, from)) => found.push(Block { language, from, to: at }),
            }
        }
        at = end;
    }
    assert!(open.is_none(), "the last block does not end");
    found
}

/// A server without data, and a client of it.
struct Server {
    engine: Arc<Engine>,
    client: Client,
    stop: CancellationToken,
}

impl Server {
    async fn start() -> Server {
        let config = EngineConfig { threads: 1, manual: true, ..EngineConfig::default() };
        let engine = Engine::open(config).await.expect("opens");
        let settings = pgserver::Settings::default();
        let listener = pgserver::listen(([127, 0, 0, 1], 0).into(), &settings).await.expect("listens");
        let port = listener.local_addr().expect("an address").port();
        let stop = CancellationToken::new();
        tokio::spawn(pgserver::serve(engine.clone(), listener, settings, stop.clone()));
        let url = format!("postgres://reader@127.0.0.1:{port}/millstream");
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("connects");
        tokio::spawn(connection);
        Server { engine, client, stop }
    }

    /// What a terminal shows for the statements of `text`, and whether one of them failed.
    async fn run(&self, text: &str, sent: &str) -> (String, bool) {
        let (mut out, mut failed) = (vec![], false);
        let (mut statements, rest) = syntax::split_statements(text);
        let last = text[rest.clone()].trim();
        statements.extend(Some(rest).filter(|_| !last.is_empty() && !last.starts_with("--")));
        for statement in statements {
            let statement = text[statement].trim();
            let ran = match statement.to_uppercase().contains("FROM STDIN") {
                true => self.copy(statement, sent).await.map(|()| vec![]),
                false => self.client.simple_query(statement).await,
            };
            match ran {
                Ok(messages) => show(messages, &mut out),
                Err(error) => {
                    failed = true;
                    out.extend_from_slice(told::describe_in(&error, statement).as_bytes());
                    out.push(b'\n');
                }
            }
            self.engine.drive(Cut::All).await.unwrap_or_else(|e| panic!("after {statement}: {e}"));
        }
        (String::from_utf8(out).expect("text"), failed)
    }

    async fn copy(&self, statement: &str, sent: &str) -> Result<(), tokio_postgres::Error> {
        let sink = self.client.copy_in(statement).await?;
        let mut sink = Box::pin(sink);
        sink.send(Bytes::from(sent.to_string())).await?;
        sink.as_mut().finish().await.map(|_| ())
    }
}

/// The rows among the messages, as tables.
fn show(messages: Vec<SimpleQueryMessage>, out: &mut Vec<u8>) {
    let mut table: Option<Table> = None;
    let finish = |table: Option<Table>, out: &mut Vec<u8>| {
        if let Some(table) = table {
            table.finish(out).expect("writes");
        }
    };
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                finish(table.take(), out);
                table = Some(Table::new(columns.iter().map(|c| c.name().to_string()).collect()));
            }
            SimpleQueryMessage::Row(row) => {
                let cells = (0..row.len()).map(|at| row.get(at).map(str::to_string)).collect();
                table.as_mut().expect("columns come first").push(cells);
            }
            _ => finish(table.take(), out),
        }
    }
    finish(table, out);
}

/// Runs the blocks of `page`; gives the page with the outputs that there were, and what went wrong.
async fn run(page: &str) -> (String, Vec<String>) {
    let server = Server::start().await;
    let (blocks, mut wrong) = (blocks(page), vec![]);
    let (mut written, mut copied) = (String::new(), 0);
    for (at, block) in blocks.iter().enumerate().filter(|(_, b)| b.language == "sql") {
        let next = blocks.get(at + 1);
        let next_is = |language: &str| next.filter(|b| b.language == language);
        let (expected, sent) = (next_is("text"), next_is("csv").map_or("", |b| &page[b.from..b.to]));
        let text = &page[block.from..block.to];
        let line = page[..block.from].lines().count();
        let (shown, failed) = server.run(text, sent).await;
        // Cells at the end of a line may be empty.
        let shown: String = shown.lines().map(|l| format!("{}\n", l.trim_end())).collect();
        match expected {
            None if failed => wrong.push(format!("line {line}: it failed:\n{text}\n{shown}")),
            None => {}
            Some(expected) => {
                let want = &page[expected.from..expected.to];
                if want != shown {
                    wrong.push(format!("line {line}:\n{text}\nexpected:\n{want}\nshown:\n{shown}"));
                }
                written.push_str(&page[copied..expected.from]);
                written.push_str(&shown);
                copied = expected.to;
            }
        }
    }
    written.push_str(&page[copied..]);
    server.stop.cancel();
    server.engine.shutdown().await;
    (written, wrong)
}

/// Pages of the workspace that have SQL.
fn pages() -> Vec<String> {
    let mut found = vec!["README.md".to_string()];
    for entry in fs::read_dir(workspace().join("docs")).expect("docs") {
        let name = entry.expect("an entry").file_name().into_string().expect("a plain name");
        let path = format!("docs/{name}");
        let text = || fs::read_to_string(workspace().join(&path)).expect("reads");
        if name.ends_with(".md") && blocks(&text()).iter().any(|b| b.language == "sql") {
            found.push(path);
        }
    }
    found.retain(|page| !WITH_OTHERS.contains(&page.as_str()));
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sql_of_the_documentation_runs_and_shows_what_it_says() {
    assert_eq!(pages(), PAGES, "the list of pages with SQL");
    let update = env::var_os("MILLSTREAM_UPDATE").is_some();
    let mut wrong = vec![];
    for name in PAGES {
        let path = workspace().join(name);
        let page = fs::read_to_string(&path).expect("reads");
        let (written, differences) = run(&page).await;
        match update && written != page {
            true => fs::write(&path, written).expect("writes"),
            false => wrong.extend(differences.into_iter().map(|d| format!("{name}, {d}"))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_says_something_else_is_found_out() {
    let page =
        "```sql\nSELECT 1 AS a;\n```\n\n```text\n a\n---\n 2\n(1 row)\n```\n\n```sql\nSELECT * FROM nowhere;\n```\n";
    let (written, wrong) = run(page).await;
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(written.contains(" 1\n(1 row)"), "{written}");
}
