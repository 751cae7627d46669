//! Bytes that are no requests: the connection ends or an error comes back, nothing panics, memory stays bounded, and
//! the others do not notice.
//!
//! `MILLSTREAM_FUZZ_SECONDS` makes the random part run that long.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiVersionsRequest, CreateTopicsRequest, DescribeConfigsRequest, FetchRequest, InitProducerIdRequest,
    JoinGroupRequest, ListGroupsRequest, MetadataRequest, OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
    create_topics_request::CreatableTopic, join_group_request::JoinGroupRequestProtocol,
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

/// Random cases unless told otherwise.
const CASES: u32 = 1_500;
/// What the process may grow by while it is attacked, bytes: far below what the attacks ask for.
const GROWTH_BYTES_MAX: u64 = 600 << 20;

static PANICKED: AtomicBool = AtomicBool::new(false);

/// Note panics wherever they happen: a task that panics would only end its connection.
fn watch_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICKED.store(true, Ordering::SeqCst);
        before(info);
    }));
}

/// Most memory that the process had, bytes.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Requests to begin with.
fn samples() -> Vec<Bytes> {
    let topics = vec![CreatableTopic::default().with_name(name("t")).with_num_partitions(2)];
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(Bytes::from("meta"));
    let join = JoinGroupRequest::default()
        .with_group_id(text("g").into())
        .with_session_timeout_ms(10_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    vec![
        frame(9, 1, &produce_request("t", 0, batch(&["a", "b"]))),
        frame(3, 1, &produce_request("t", 0, batch(&["a", "b"]))),
        frame(12, 1, &fetch_request("t", 0, 0)),
        frame(4, 1, &fetch_request("t", 0, 0)),
        frame(17, 1, &FetchRequest::default().with_session_epoch(0)),
        frame(12, 1, &MetadataRequest::default()),
        frame(1, 1, &MetadataRequest::default()),
        frame(4, 1, &ApiVersionsRequest::default().with_client_software_name(text("name"))),
        frame(7, 1, &CreateTopicsRequest::default().with_topics(topics)),
        frame(5, 1, &join),
        frame(5, 1, &SyncGroupRequest::default().with_group_id(text("g").into())),
        frame(8, 1, &OffsetCommitRequest::default().with_group_id(text("g").into())),
        frame(7, 1, &OffsetFetchRequest::default().with_group_id(text("g").into()).with_topics(None)),
        frame(4, 1, &ListGroupsRequest::default()),
        frame(4, 1, &DescribeConfigsRequest::default()),
        frame(4, 1, &InitProducerIdRequest::default().with_transactional_id(None)),
    ]
    .into_iter()
    .map(BytesMut::freeze)
    .collect()
}

/// What is done to a request.
#[derive(Debug, Clone)]
enum Damage {
    Cut(prop::sample::Index),
    Byte(prop::sample::Index, u8),
    /// A length or count of 32 bits.
    Word(prop::sample::Index, u32),
    Insert(prop::sample::Index, Vec<u8>),
    Api(i16, i16),
}

fn damage() -> impl Strategy<Value = Damage> {
    let words = prop_oneof![Just(u32::MAX), Just(0x7fff_ffff), Just(0x7fff_ff00), Just(1 << 20), any::<u32>()];
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Damage::Cut),
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        (any::<prop::sample::Index>(), words).prop_map(|(at, word)| Damage::Word(at, word)),
        (any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (0_i16..80, 0_i16..18).prop_map(|(key, version)| Damage::Api(key, version)),
    ]
}

/// The request after the damage; `keeps_length` makes its length fit again.
fn damaged(request: &[u8], damages: &[Damage], keeps_length: bool) -> Vec<u8> {
    let mut bytes = request.to_vec();
    for damage in damages {
        let length = bytes.len().max(1);
        match damage {
            Damage::Cut(at) => bytes.truncate(at.index(length)),
            Damage::Byte(at, byte) => {
                let at = at.index(length);
                bytes.get_mut(at).into_iter().for_each(|place| *place = *byte);
            }
            Damage::Word(at, word) => {
                let at = at.index(length);
                bytes.get_mut(at..at + 4).into_iter().for_each(|place| place.copy_from_slice(&word.to_be_bytes()));
            }
            Damage::Insert(at, more) => {
                let at = at.index(length).min(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
            Damage::Api(key, version) => {
                let head = [key.to_be_bytes(), version.to_be_bytes()].concat();
                bytes.get_mut(4..8).into_iter().for_each(|place| place.copy_from_slice(&head));
            }
        }
    }
    if keeps_length && bytes.len() >= 4 {
        let length = u32::try_from(bytes.len() - 4).unwrap();
        bytes[..4].copy_from_slice(&length.to_be_bytes());
    }
    bytes
}

/// How long an answer is waited for; a request that waits for records, or for other members of a group, may well get
/// none as long as another one stands behind it.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(3);

/// Send bytes, say that there are no more, and take what comes until the server closes.
async fn attack(server: &Server, bytes: &[u8]) {
    let mut client = server.client().await;
    // The server may have closed already.
    let _ = client.stream.write_all(bytes).await;
    let _ = client.stream.shutdown().await;
    let mut answer = Vec::new();
    let read = client.stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(ANSWER_TIME_MAX, read).await;
}

#[test]
fn damaged_requests_harm_nobody() {
    watch_panics();
    let before = peak_bytes();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::start().await;
        server.client().await.create("t", 2, &[]).await;
        let samples = samples();
        let strategy = (
            any::<prop::sample::Index>(),
            prop::collection::vec(damage(), 1..4),
            any::<bool>(),
            prop::collection::vec(any::<u8>(), 0..300),
        );
        let seconds = std::env::var("MILLSTREAM_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
        let mut runner = match seconds {
            Some(_) => TestRunner::new(Config::default()),
            None => TestRunner::deterministic(),
        };
        let begun = Instant::now();
        let mut cases = 0;
        loop {
            let (sample, damages, keeps_length, noise) = strategy.new_tree(&mut runner).unwrap().current();
            let bytes = match cases % 8 {
                0 => noise,
                _ => damaged(&samples[sample.index(samples.len())], &damages, keeps_length),
            };
            attack(&server, &bytes).await;
            assert!(!PANICKED.load(Ordering::SeqCst), "case {cases}: {bytes:02x?}");
            cases += 1;
            let done = match seconds {
                Some(seconds) => begun.elapsed() > Duration::from_secs(seconds),
                None => cases >= CASES,
            };
            if done {
                break;
            }
        }
        let served = server.client().await.ask(4, &ApiVersionsRequest::default()).await;
        assert_eq!(served.error_code, 0, "others are still served");
        let grown = peak_bytes().saturating_sub(before);
        assert!(grown < GROWTH_BYTES_MAX, "{grown} bytes more");
        eprintln!("{cases} cases, {} MB more at most", grown >> 20);
        server.stop().await;
    });
    assert!(!PANICKED.load(Ordering::SeqCst));
}

/// Every request cut at every byte.
#[tokio::test]
async fn cut_requests_end_the_connection() {
    let server = Server::start().await;
    for sample in samples() {
        for end in 0..sample.len() {
            let mut client = server.client().await;
            client.stream.write_all(&sample[..end]).await.unwrap();
            client.stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            client.stream.read_to_end(&mut answer).await.unwrap();
            assert!(answer.is_empty(), "half a request has no answer");
        }
    }
}

/// Counts of two billion where a few bytes follow, and the longest requests that there can be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_words_take_no_memory() {
    let server = Server::start().await;
    let before = peak_bytes();
    let head = |key: i16, version: i16| {
        let mut body = BytesMut::new();
        body.put_i16(key);
        body.put_i16(version);
        body.put_i32(1);
        body.put_i16(-1);
        body
    };
    let framed = |body: &[u8], length: usize| {
        let mut bytes = BytesMut::new();
        bytes.put_u32(u32::try_from(length).unwrap());
        bytes.put_slice(body);
        bytes
    };
    for (key, version) in [(3_i16, 1_i16), (2, 1), (8, 2), (11, 0), (19, 2), (0, 3), (1, 4)] {
        let mut body = head(key, version);
        for _ in 0..20 {
            body.put_u32(0x7fff_fff0);
        }
        let length = body.len();
        attack(&server, &framed(&body, length)).await;
    }
    // Lengths of frames that cannot be, and one that is never sent.
    for length in [usize::try_from(u32::MAX).unwrap(), 0x7fff_ffff, (100 << 20) + 1, 100 << 20] {
        attack(&server, &framed(&head(3, 1), length)).await;
    }
    // As many topics as a request can name, from several at once.
    let mut body = head(3, 1);
    let count = 400_000_u32;
    body.put_u32(count);
    for topic in 0..count {
        let topic = format!("{topic:06}");
        body.put_i16(6);
        body.put_slice(topic.as_bytes());
    }
    let request = framed(&body, body.len());
    let attacks = (0..8).map(|_| attack(&server, &request));
    futures::future::join_all(attacks).await;
    // A million elements are too many.
    let mut body = head(3, 1);
    body.put_u32(1_000_000);
    body.put_bytes(0, 2_000_000);
    let request = framed(&body, body.len());
    attack(&server, &request).await;
    let grown = peak_bytes().saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "{grown} bytes more");
    assert_eq!(server.client().await.ask(4, &ApiVersionsRequest::default()).await.error_code, 0);
    server.stop().await;
}
