//! A Fetch response in any pieces: what comes of it is the same, and the same as of the whole.

use std::time::{Duration, Instant};

use kafka_blocking::{
    net::{
        connection::{Connection, ConnectionLimits, Event},
        fetch_stream::FetchPiece,
    },
    protocol::{
        self as p, Request,
        api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse},
        decode_response,
        fetch::{FetchRequest, FetchResponse, PartitionData},
    },
    records::ChunkPool,
    wire::Reader,
};

use crate::input::Input;

/// The first bytes are the version and how the others, a response behind its correlation id, are split.
pub(crate) fn fetch_stream(bytes: &[u8]) {
    let mut input = Input(bytes);
    let versions = *FetchRequest::VERSIONS.end() + 1;
    let version = i16::from(input.byte()) % versions;
    let (pieces, staging) = (input.byte(), 1 << input.pick(&[0, 4, 7]));
    let whole = stream(input.0, version, 1 << 16, None);
    let split = stream(input.0, version, staging, Some(pieces));
    assert_eq!(whole, split, "v{version}");
    compare(input.0, version, &whole);
}

/// A piece, in a form that can be compared.
#[derive(Debug, PartialEq)]
enum Seen {
    Start(Box<FetchResponse>),
    Topic(String),
    Partition(Box<PartitionData>),
    Records { bytes: Vec<u8>, next_offset: Option<i64>, last_epoch: Option<i32> },
    PartitionEnd { partition: Box<PartitionData>, truncated: bool },
    End(Box<FetchResponse>),
    Failed(String),
}

/// What a connection makes of a response that comes in pieces.
fn stream(body: &[u8], version: i16, staging: usize, pieces: Option<u8>) -> Vec<Seen> {
    let now = Instant::now();
    let mut connection = ready(version, staging, now);
    let second = Duration::from_secs(1);
    connection.send(1, version, &FetchRequest::default(), second, now).expect("a default fits");
    let length = u32::try_from(body.len() + 4).expect("a short body");
    let frame = [&length.to_be_bytes()[..], &1_i32.to_be_bytes(), body].concat();
    let mut random = pieces.map(|seed| fastrand::Rng::with_seed(seed.into()));
    let largest = random.as_mut().map(|random| random.pick_size());
    let (mut left, mut seen) = (&frame[..], Vec::new());
    while !left.is_empty() {
        let space = connection.read_space().expect("it is not gated");
        assert!(!space.is_empty(), "it wants bytes, and has no room for any");
        let most = space.len().min(left.len());
        let n = match (&mut random, largest) {
            (Some(random), Some(largest)) => random.usize(1..=most.min(largest)),
            _ => most,
        };
        space[..n].copy_from_slice(&left[..n]);
        left = &left[n..];
        let read = connection.handle_read(n, now);
        while let Some(event) = connection.poll_event() {
            let Event::Fetch { id: 1, piece } = event else { panic!("{event:?}") };
            seen.push(piece.into());
        }
        if let Err(failure) = read {
            seen.push(Seen::Failed(failure.source.to_string()));
            break;
        }
    }
    seen
}

/// A connection to a broker that speaks this version.
fn ready(version: i16, staging: usize, now: Instant) -> Connection {
    let limits = ConnectionLimits {
        setup_timeout: Duration::from_secs(1),
        max_idle: Duration::from_secs(1),
        receive_max: 1 << 24,
        max_in_flight: 1,
        staging,
        first_versions: 0,
    };
    let mut connection = Connection::new(limits, "me".into(), ChunkPool::new(1 << 21), now);
    connection.handle_connected(now);
    let fetch = ApiVersion { api_key: 1, min_version: 0, max_version: version };
    let response = ApiVersionsResponse { api_keys: vec![fetch], ..Default::default() };
    let mut frame = Vec::new();
    p::encode_response::<ApiVersionsRequest>(&mut frame, 0, 0, &response).expect("it fits");
    for byte in frame {
        connection.read_space().expect("it is not gated")[0] = byte;
        connection.handle_read(1, now).expect("a good answer");
    }
    assert!(matches!(connection.poll_event(), Some(Event::Ready)));
    connection
}

impl From<FetchPiece> for Seen {
    fn from(piece: FetchPiece) -> Self {
        match piece {
            FetchPiece::Start(top) => Self::Start(top),
            FetchPiece::Topic(topic) => Self::Topic(format!("{topic:?}")),
            FetchPiece::Partition(partition) => Self::Partition(partition),
            FetchPiece::Records(records) => Self::Records {
                bytes: records.chunk.filled()[..records.len].to_vec(),
                next_offset: records.next_offset,
                last_epoch: records.last_epoch,
            },
            FetchPiece::PartitionEnd { partition, truncated } => {
                Self::PartitionEnd { partition, truncated }
            }
            FetchPiece::End(top) => Self::End(top),
        }
    }
}

/// What streams in is what stands in the response when it is read as a whole.
fn compare(body: &[u8], version: i16, seen: &[Seen]) {
    let flexible = version >= FetchRequest::FLEXIBLE;
    let mut reader = Reader::new(body, version, flexible);
    if flexible && reader.tags(|_, _| Ok(())).is_err() {
        assert!(matches!(seen.last(), Some(Seen::Failed(_)) | None), "{seen:?}");
        return;
    }
    let whole = decode_response::<FetchRequest>(&body[reader.consumed()..], version);
    let ended = matches!(seen.last(), Some(Seen::End(_)));
    let Ok(whole) = whole else {
        // Counts and memory are bounded for the whole, and streaming takes no such memory.
        let too_large = matches!(whole, Err(kafka_blocking::wire::DecodeError::TooLarge));
        assert!(!ended || too_large, "{whole:?}, {seen:?}");
        return;
    };
    assert!(ended, "{whole:?}, {seen:?}");
    let partitions = whole.responses.iter().flat_map(|topic| topic.partitions.iter());
    let mut streamed: Vec<(Vec<u8>, &PartitionData)> = Vec::new();
    let mut records = Vec::new();
    for piece in seen {
        match piece {
            Seen::Records { bytes, .. } => records.extend_from_slice(bytes),
            Seen::PartitionEnd { partition, .. } => {
                streamed.push((std::mem::take(&mut records), partition));
            }
            _ => {}
        }
    }
    assert_eq!(streamed.len(), partitions.clone().count());
    for (partition, (records, same)) in partitions.zip(streamed) {
        assert!(partition.records.as_slice().starts_with(&records), "{partition:?}, {records:?}");
        let mut without = partition.clone();
        without.records = Default::default();
        let mut same = same.clone();
        same.records = Default::default();
        assert_eq!(without, same);
    }
}

/// How large pieces are, at most: from single bytes to all at once.
trait PickSize {
    fn pick_size(&mut self) -> usize;
}

impl PickSize for fastrand::Rng {
    fn pick_size(&mut self) -> usize {
        1 << self.u32(0..12)
    }
}
