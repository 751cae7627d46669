//! `topics`, `produce`, `consume`: topics as such, over statements that the server has for them.

use std::{
    fmt::Write as _,
    io::{BufRead, Write as _},
};

use bytes::{BufMut, Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use tokio_postgres::SimpleQueryMessage;

use crate::{CommandResult, block_on, client::ServerArgs, table::Table, told::describe};

/// Options of `topics`.
#[derive(clap::Args)]
pub struct TopicsArgs {
    /// Create a topic.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["delete", "describe"])]
    create: Option<String>,
    /// Partitions of the topic to create.
    #[arg(long, default_value_t = 1, requires = "create")]
    partitions: u32,
    /// A setting of the topic to create, as in retention.ms=3600000.
    #[arg(long = "setting", value_name = "NAME=VALUE", requires = "create")]
    settings: Vec<String>,
    /// Delete a topic and its records.
    #[arg(long, value_name = "NAME", conflicts_with = "describe")]
    delete: Option<String>,
    /// Show a topic's partitions and settings.
    #[arg(long, value_name = "NAME")]
    describe: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Options of `produce`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  printf 'ann:{\"page\":\"/a\"}\\n' | millstream produce clicks --key-separator :
  millstream produce lines < /var/log/syslog")]
pub struct ProduceArgs {
    /// The topic.
    topic: String,
    /// What stands between key and value in a line; without it lines are values without keys.
    #[arg(long, value_name = "TEXT")]
    key_separator: Option<String>,
    /// A value that means null (a tombstone).
    #[arg(long, value_name = "TEXT")]
    null_value: Option<String>,
    /// The partition; else by key, or in turn.
    #[arg(long)]
    partition: Option<u32>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Options of `consume`.
#[derive(clap::Args)]
pub struct ConsumeArgs {
    /// The topic.
    topic: String,
    /// Begin with the first record instead of those to come.
    #[arg(long)]
    from_beginning: bool,
    /// End after so many records.
    #[arg(long, value_name = "N")]
    max_messages: Option<u64>,
    /// Only this partition.
    #[arg(long)]
    partition: Option<u32>,
    /// Begin at this offset (of --partition).
    #[arg(long, requires = "partition")]
    offset: Option<i64>,
    /// Show keys, with this between key and value.
    #[arg(long, value_name = "TEXT")]
    key_separator: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// List, create, describe, delete.
pub fn topics(args: TopicsArgs) -> CommandResult {
    let statement = match (&args.create, &args.delete, &args.describe) {
        (Some(name), _, _) => {
            let mut text = format!("CREATE TOPIC {} PARTITIONS {}", quote(name), args.partitions);
            let mut settings = vec![];
            for setting in &args.settings {
                let (name, value) =
                    setting.split_once('=').ok_or_else(|| format!("--setting {setting}: expected NAME=VALUE"))?;
                settings.push(format!("'{}' = '{}'", name.replace('\'', "''"), value.replace('\'', "''")));
            }
            if !settings.is_empty() {
                let _ = write!(text, " WITH ({})", settings.join(", "));
            }
            text
        }
        (_, Some(name), _) => format!("DROP TOPIC {}", quote(name)),
        (_, _, Some(name)) => format!("DESCRIBE TOPIC {}", quote(name)),
        _ => "SHOW TOPICS EXTENDED".to_string(),
    };
    block_on(async move {
        let client = args.server.connect().await?;
        let mut table: Option<Table> = None;
        for message in client.simple_query(&statement).await.map_err(|e| describe(&e))? {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    table = Some(Table::new(columns.iter().map(|c| c.name().to_string()).collect()));
                }
                SimpleQueryMessage::Row(row) => {
                    if let Some(table) = &mut table {
                        table.push((0..row.len()).map(|i| row.get(i).map(str::to_string)).collect());
                    }
                }
                _ => {}
            }
        }
        match table {
            Some(table) => table.finish(&mut std::io::stdout()).map_err(|e| format!("output: {e}")),
            None => {
                println!("ok");
                Ok(())
            }
        }
    })
}

/// Bytes of lines that go to the server at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Lines from standard input to a topic.
pub fn produce(args: ProduceArgs) -> CommandResult {
    block_on(async move {
        let client = args.server.connect().await?;
        let columns = match (&args.key_separator, args.partition) {
            (Some(_), Some(_)) => "(KEY, VALUE, PARTITION)",
            (Some(_), None) => "(KEY, VALUE)",
            (None, Some(_)) => "(VALUE, PARTITION)",
            (None, None) => "(VALUE)",
        };
        let copy = format!("COPY TOPIC {} {columns} FROM STDIN", quote(&args.topic));
        let sink = client.copy_in::<_, Bytes>(&copy).await.map_err(|e| describe(&e))?;
        let mut sink = std::pin::pin!(sink);
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES + 4096);
        let (mut input, mut line, mut number) = (std::io::stdin().lock(), Vec::new(), 0u64);
        loop {
            line.clear();
            let n = input.read_until(b'\n', &mut line).map_err(|e| format!("standard input: {e}"))?;
            if n == 0 {
                break;
            }
            number += 1;
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            args.encode(text, &mut chunk).map_err(|e| format!("line {number}: {e}"))?;
            if chunk.len() >= CHUNK_BYTES {
                sink.send(chunk.split().freeze()).await.map_err(|e| describe(&e))?;
            }
        }
        if !chunk.is_empty() {
            sink.send(chunk.freeze()).await.map_err(|e| describe(&e))?;
        }
        let written = sink.finish().await.map_err(|e| describe(&e))?;
        eprintln!("{written} records written to {}", args.topic);
        Ok(())
    })
}

impl ProduceArgs {
    /// A line as a row of COPY's text format.
    fn encode(&self, line: &[u8], out: &mut BytesMut) -> CommandResult {
        let value = match &self.key_separator {
            Some(separator) => {
                let separator = separator.as_bytes();
                let at = line.windows(separator.len().max(1)).position(|w| w == separator);
                let at =
                    at.ok_or_else(|| format!("no {:?} between key and value", String::from_utf8_lossy(separator)))?;
                escape(line.get(..at).unwrap_or_default(), out);
                out.put_u8(b'\t');
                line.get(at + separator.len()..).unwrap_or_default()
            }
            None => line,
        };
        match &self.null_value {
            Some(null) if null.as_bytes() == value => out.put_slice(b"\\N"),
            _ => escape(value, out),
        }
        if let Some(partition) = self.partition {
            out.put_slice(format!("\t{partition}").as_bytes());
        }
        out.put_u8(b'\n');
        Ok(())
    }
}

/// Escape what COPY's text format reserves.
fn escape(bytes: &[u8], out: &mut BytesMut) {
    for b in bytes {
        match b {
            b'\\' => out.put_slice(b"\\\\"),
            b'\t' => out.put_slice(b"\\t"),
            b'\n' => out.put_slice(b"\\n"),
            b'\r' => out.put_slice(b"\\r"),
            other => out.put_u8(*other),
        }
    }
}

/// The bytes that the server writes in hexadecimal: keys and values are whatever somebody produced.
fn bytes_of(shown: &str) -> Vec<u8> {
    let Some(digits) = shown.strip_prefix("\\x") else { return shown.as_bytes().to_vec() };
    let digit = |c: &u8| char::from(*c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    let decoded: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(pair).collect();
    decoded.unwrap_or_else(|| shown.as_bytes().to_vec())
}

/// A topic's records to standard output.
pub fn consume(args: ConsumeArgs) -> CommandResult {
    let mut text = format!("READ TOPIC {}", quote(&args.topic));
    if let Some(partition) = args.partition {
        let _ = write!(text, " PARTITION {partition}");
    }
    match args.offset {
        Some(offset) => {
            let _ = write!(text, " FROM OFFSET {offset}");
        }
        None if args.from_beginning => text.push_str(" FROM BEGINNING"),
        None => {}
    }
    if let Some(limit) = args.max_messages {
        let _ = write!(text, " LIMIT {limit}");
    }
    text.push_str(" EMIT CHANGES");
    block_on(async move {
        let client = args.server.connect().await?;
        let stream = client.simple_query_raw(&text).await.map_err(|e| describe(&e))?;
        let mut stream = std::pin::pin!(stream);
        let mut out = std::io::BufWriter::new(std::io::stdout());
        loop {
            let next = match futures::FutureExt::now_or_never(stream.next()) {
                Some(next) => next,
                None => {
                    // Nothing is waiting: let the reader see what there is.
                    out.flush().map_err(|e| format!("output: {e}"))?;
                    stream.next().await
                }
            };
            match next {
                None => break,
                Some(Ok(SimpleQueryMessage::Row(row))) => {
                    let field = |name: &str| bytes_of(row.try_get(name).ok().flatten().unwrap_or(""));
                    let mut line = vec![];
                    if let Some(separator) = &args.key_separator {
                        line = field("key");
                        line.extend_from_slice(separator.as_bytes());
                    }
                    line.extend_from_slice(&field("value"));
                    line.push(b'\n');
                    match out.write_all(&line) {
                        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
                        other => other.map_err(|e| format!("output: {e}"))?,
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(e)) => return Err(describe(&e)),
            }
        }
        out.flush().map_err(|e| format!("output: {e}"))
    })
}

#[cfg(test)]
mod tests {
    use super::bytes_of;

    #[test]
    fn bytes_come_out_as_they_went_in() {
        let check = |shown: &str, want: &[u8]| assert_eq!(bytes_of(shown), want, "{shown}");
        check("\\x6162", b"ab");
        check("\\x00ff", &[0, 255]);
        check("\\x", b"");
        check("plain", b"plain");
        check("\\x6", b"\\x6");
    }
}
