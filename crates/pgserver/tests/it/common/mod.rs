//! A server over a backend that knows a few sources by heart, and clients for it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use ::types::{Column, Error, Result, SqlType, StructField};
use arrow::{
    array::{
        Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array,
        Float64Array, Int32Array, Int32Builder, Int64Array, IntervalMonthDayNanoArray, ListArray, ListBuilder,
        MapBuilder, NullArray, RecordBatch, StringArray, StringBuilder, StringViewArray, StructArray,
        Time32MillisecondArray, TimestampMicrosecondArray, TimestampMillisecondArray, UInt64Array,
    },
    buffer::OffsetBuffer,
    datatypes::{DataType, Field, Fields, Int32Type, IntervalMonthDayNanoType, Schema, SchemaRef, TimeUnit},
};
use catalog::{Catalog, Source, SourceKind};
use engine::{Description, Outcome, OutputColumn, Parameter, Rows};
use formats::FormatSpec;
use futures::{StreamExt, stream};
use pgserver::{Backend, CopyRows, Session, Settings};
use recordlog::RecordLog;
use syntax::ast::{Emit, Ident, QueryBody, Relation, Statement, StatementKind};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The backend.
#[derive(Default)]
pub struct Fake {
    /// Batches for the next query over `live`.
    pub live: Mutex<Option<mpsc::UnboundedReceiver<i64>>>,
    /// Rows that COPY wrote.
    pub copied: Mutex<Vec<Vec<Option<String>>>>,
    /// Batches that `endless` has made.
    pub made: AtomicU64,
    /// A log, for statements about topics.
    pub log: Option<Arc<dyn RecordLog>>,
}

pub struct FakeSession(Arc<Fake>);
pub struct FakeCopy(Arc<Fake>);

impl Backend for Fake {
    type Session = FakeSession;

    fn session(self: &Arc<Self>) -> FakeSession {
        FakeSession(Arc::clone(self))
    }

    fn catalog(&self) -> Arc<Catalog> {
        let mut catalog = Catalog::default();
        let decimal = SqlType::Decimal { precision: 10, scale: 2 };
        let orders = vec![
            Column::key("ID", SqlType::BigInt),
            Column::value("AMOUNT", decimal),
            Column::value("TAGS", SqlType::Array(Box::new(SqlType::String))),
            Column::value("AT", SqlType::Timestamp),
        ];
        let clicks = vec![Column::value("url", SqlType::String)];
        for (name, kind, columns) in [("ORDERS", SourceKind::Table, orders), ("Clicks", SourceKind::Stream, clicks)] {
            let source = Source {
                name: name.into(),
                kind,
                schema: ::types::Schema::new(columns),
                topic: name.to_lowercase(),
                key_format: FormatSpec { name: "KAFKA".into(), ..FormatSpec::default() },
                value_format: FormatSpec { name: "JSON".into(), ..FormatSpec::default() },
                timestamp: None,
                windowed: None,
                read_only: false,
                created_by: None,
                statement: String::new(),
            };
            catalog.sources.insert(name.into(), Arc::new(source));
        }
        Arc::new(catalog)
    }

    fn log(&self) -> Option<Arc<dyn RecordLog>> {
        self.log.clone()
    }

    /// What was asked, back.
    async fn answer(self: &Arc<Self>, request: &str) -> Vec<u8> {
        request.as_bytes().to_vec()
    }
}

fn source(statement: &Statement) -> Option<(&Ident, bool, Option<u64>)> {
    let StatementKind::Query(query) = &statement.kind else { return None };
    let QueryBody::Select(select) = &query.body else { return None };
    match &select.from {
        Some(Relation::Named { name, .. }) => Some((name, query.emit == Some(Emit::Changes), query.limit)),
        _ => None,
    }
}

fn echoed(name: &str) -> Option<SqlType> {
    Some(match name.strip_prefix("ECHO_")? {
        "INT" => SqlType::Int,
        "BIGINT" => SqlType::BigInt,
        "DOUBLE" => SqlType::Double,
        "DECIMAL" => SqlType::Decimal { precision: 20, scale: 4 },
        "STRING" => SqlType::String,
        "BYTES" => SqlType::Bytes,
        "BOOLEAN" => SqlType::Boolean,
        "DATE" => SqlType::Date,
        "TIME" => SqlType::Time,
        "TIMESTAMP" => SqlType::Timestamp,
        "INTS" => SqlType::Array(Box::new(SqlType::Int)),
        "STRUCT" => SqlType::Struct(vec![
            StructField { name: "A".into(), ty: SqlType::Int },
            StructField { name: "B".into(), ty: SqlType::Map(Box::new(SqlType::String), Box::new(SqlType::Double)) },
        ]),
        _ => return None,
    })
}

fn numbers_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("N", DataType::Int64, true)]))
}

fn columns(schema: &Schema) -> Vec<OutputColumn> {
    let column = |f: &Arc<Field>| OutputColumn { name: f.name().clone(), data_type: f.data_type().clone(), key: false };
    schema.fields().iter().map(column).collect()
}

fn schema_of(name: &str) -> SchemaRef {
    match (name, echoed(name)) {
        ("TYPES", _) => types_batch().schema(),
        (_, Some(ty)) => Arc::new(Schema::new(vec![Field::new("X", ty.to_arrow(), true)])),
        _ => numbers_schema(),
    }
}

fn number_batch(from: i64, to: i64) -> RecordBatch {
    RecordBatch::try_new(numbers_schema(), vec![Arc::new(Int64Array::from_iter_values(from..to))]).unwrap()
}

impl Session for FakeSession {
    type Prepared = Statement;
    type CopyInto = FakeCopy;

    fn parse(&self, text: &str) -> Result<Vec<Statement>> {
        syntax::parse(text, None)
    }

    async fn describe(&self, statement: &Statement) -> Result<Description> {
        let Some((name, ..)) = source(statement) else { return Ok(Description { parameters: vec![], columns: None }) };
        if name.value == "NOWHERE" {
            return Err(Error::undefined_source("NOWHERE does not exist").at(name.span).with_hint("SHOW STREAMS"));
        }
        let parameters = echoed(&name.value).into_iter().map(Some).collect();
        Ok(Description { parameters, columns: Some(columns(&schema_of(&name.value))) })
    }

    async fn prepare(&self, statement: &Statement) -> Result<Statement> {
        Ok(statement.clone())
    }

    async fn execute(&mut self, statement: &Statement, parameters: &[Parameter]) -> Result<Outcome> {
        let Some((name, live, limit)) = source(statement) else {
            let tag = match &statement.kind {
                StatementKind::InsertValues { rows, .. } => format!("INSERT 0 {}", rows.len()),
                _ => "CREATE STREAM".to_owned(),
            };
            return Ok(Outcome::Done { tag, notices: vec!["kept in mind".into()] });
        };
        self.describe(statement).await?;
        let schema = schema_of(&name.value);
        let batches = match name.value.as_str() {
            "TYPES" => stream::iter([Ok(types_batch())]).boxed(),
            "NUMBERS" => {
                let limit = i64::try_from(limit.unwrap_or(10)).unwrap();
                stream::iter((0..limit).step_by(1000).map(move |i| Ok(number_batch(i, (i + 1000).min(limit))))).boxed()
            }
            "BREAKS" => stream::iter([
                Ok(number_batch(0, 3)),
                Err(Error::new(::types::ErrorKind::User, "22012", "division by zero")),
            ])
            .boxed(),
            "HANGS" => stream::pending().boxed(),
            "ENDLESS" => {
                let fake = Arc::clone(&self.0);
                stream::repeat_with(move || {
                    fake.made.fetch_add(1, Ordering::SeqCst);
                    Ok(number_batch(0, 1000))
                })
                .boxed()
            }
            "LIVE" => {
                let feed = self.0.live.lock().unwrap().take().unwrap();
                stream::unfold(feed, |mut feed| async move { Some((Ok(number_of(feed.recv().await?)), feed)) }).boxed()
            }
            _ => {
                let column = parameters.first().cloned().unwrap();
                stream::iter([Ok(RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap())]).boxed()
            }
        };
        let (columns, warnings) = (columns(&schema).into(), engine::Warnings::default());
        Ok(Outcome::Rows(Rows { columns, schema, batches, live, tag: "SELECT", warnings }))
    }

    async fn copy_into(&mut self, target: &Ident, _: &[Ident]) -> Result<FakeCopy> {
        match target.value.as_str() {
            "T" => Ok(FakeCopy(Arc::clone(&self.0))),
            name => Err(Error::undefined_source(format!("{name} does not exist")).at(target.span)),
        }
    }
}

fn number_of(n: i64) -> RecordBatch {
    number_batch(n, n + 1)
}

impl CopyRows for FakeCopy {
    fn width(&self) -> usize {
        2
    }

    async fn write(&mut self, rows: Vec<Vec<Option<String>>>) -> Result<u64> {
        if let Some(bad) = rows.iter().position(|row| row.iter().flatten().any(|f| f == "bad")) {
            return Err(Error::bad_value(format!("row {}, column B: bad is bad", bad + 1)));
        }
        let count = rows.len();
        self.0.copied.lock().unwrap().extend(rows);
        Ok(u64::try_from(count).unwrap())
    }
}

/// A row with a value of every type, and one of NULLs.
pub fn types_batch() -> RecordBatch {
    let dictionary: DictionaryArray<Int32Type> = [Some("dict"), None].into_iter().collect();
    let mut list = ListBuilder::new(StringBuilder::new());
    list.append_value([Some("a b"), None, Some("NULL")]);
    list.append_null();
    let nested = {
        let inner = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)]), Some(vec![])]);
        let field = Arc::new(Field::new("item", inner.data_type().clone(), true));
        ListArray::new(field, OffsetBuffer::from_lengths([2, 0]), Arc::new(inner), Some(vec![true, false].into()))
    };
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    map.keys().append_value("k\"");
    map.values().append_value(1);
    map.append(true).unwrap();
    map.append(false).unwrap();
    let fields = Fields::from(vec![
        Field::new("B", DataType::Binary, true),
        Field::new("T", DataType::Timestamp(TimeUnit::Millisecond, None), true),
    ]);
    let structs = StructArray::new(
        fields,
        vec![
            Arc::new(BinaryArray::from_opt_vec(vec![Some(b"hi"), None])),
            Arc::new(TimestampMillisecondArray::from(vec![Some(1500), None])),
        ],
        Some(vec![true, false].into()),
    );
    let interval = IntervalMonthDayNanoType::make_value(14, 3, 4_500_000_000);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("boolean", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("int", Arc::new(Int32Array::from(vec![Some(-7), None]))),
        ("bigint", Arc::new(Int64Array::from(vec![Some(1 << 40), None]))),
        ("double", Arc::new(Float64Array::from(vec![Some(0.1), None]))),
        ("decimal", Arc::new(Decimal128Array::from(vec![Some(-12345), None]).with_precision_and_scale(10, 2).unwrap())),
        ("string", Arc::new(StringArray::from(vec![Some("grüß"), None]))),
        ("bytes", Arc::new(BinaryArray::from_opt_vec(vec![Some(b"\x00\xff"), None]))),
        ("date", Arc::new(Date32Array::from(vec![Some(18_321), None]))),
        ("time", Arc::new(Time32MillisecondArray::from(vec![Some(45_296_789), None]))),
        ("timestamp", Arc::new(TimestampMillisecondArray::from(vec![Some(1_582_934_400_250), None]))),
        ("array", Arc::new(list.finish())),
        ("nested", Arc::new(nested)),
        ("map", Arc::new(map.finish())),
        ("struct", Arc::new(structs)),
        ("uint64", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
        ("float32", Arc::new(Float32Array::from(vec![Some(1.5), None]))),
        ("view", Arc::new(StringViewArray::from(vec![Some("view"), None]))),
        ("dictionary", Arc::new(dictionary)),
        ("interval", Arc::new(IntervalMonthDayNanoArray::from(vec![Some(interval), None]))),
        ("zoned", Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None]).with_timezone("UTC"))),
        ("null", Arc::new(NullArray::new(2))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

/// A running server.
pub struct Server {
    pub fake: Arc<Fake>,
    pub address: SocketAddr,
    shutdown: CancellationToken,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Server {
    pub async fn start() -> Server {
        Server::with(Fake::default(), Settings::default()).await
    }

    pub async fn with(fake: Fake, settings: Settings) -> Server {
        let fake = Arc::new(fake);
        let listener = pgserver::listen(([127, 0, 0, 1], 0).into(), &settings).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        tokio::spawn(pgserver::serve(Arc::clone(&fake), listener, settings, shutdown.clone()));
        Server { fake, address, shutdown }
    }

    pub async fn stop(&self) {
        self.shutdown.cancel();
    }

    pub fn config(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.address.port()).user("tester").dbname("shop");
        config
    }

    pub async fn client(&self) -> tokio_postgres::Client {
        let (client, connection) = self.config().connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Feed for the next query over `live`.
    pub fn feed(&self) -> mpsc::UnboundedSender<i64> {
        let (sender, receiver) = mpsc::unbounded_channel();
        *self.fake.live.lock().unwrap() = Some(receiver);
        sender
    }
}

/// `23505: message (hint) at 7`.
pub fn shown(error: &tokio_postgres::Error) -> String {
    let Some(e) = error.as_db_error() else { return error.to_string() };
    let at = match e.position() {
        Some(tokio_postgres::error::ErrorPosition::Original(at)) => format!(" at {at}"),
        _ => String::new(),
    };
    let hint = e.hint().map(|h| format!(" ({h})")).unwrap_or_default();
    format!("{}: {}{hint}{at}", e.code().code(), e.message())
}

/// The rows of a text of statements, `|` between columns, one a line; tags as `[n]`.
pub async fn simple(client: &tokio_postgres::Client, text: &str) -> String {
    use tokio_postgres::SimpleQueryMessage::{CommandComplete, Row};
    let messages = match client.simple_query(text).await {
        Ok(messages) => messages,
        Err(e) => return shown(&e),
    };
    let mut lines = Vec::new();
    for message in messages {
        match message {
            Row(row) => {
                let cells = (0..row.len()).map(|i| row.get(i).unwrap_or("NULL"));
                lines.push(cells.collect::<Vec<_>>().join("|"));
            }
            CommandComplete(n) => lines.push(format!("[{n}]")),
            _ => {}
        }
    }
    lines.join("\n")
}
