//! What holds for a connection whatever it is sent: pieces make no difference, time-outs never come early, and no request
//! is forgotten.

#![allow(clippy::disallowed_methods, reason = "tests look at the clock")]

use std::time::{Duration, Instant};

use fastrand::Rng;
use kafka_blocking::{
    net::{
        backoff::Backoff,
        connection::{Connection, ConnectionLimits, Event, Failure},
        fetch_stream::FetchPiece,
    },
    protocol::{
        Request,
        api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse},
        encode_response,
        fetch::{FetchRequest, FetchResponse},
        metadata::{MetadataRequest, MetadataResponse},
    },
    records::{BatchWriter, ChunkPool},
    wire::{RecordBytes, Sampler, Wire},
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_same_bytes_give_the_same_events_in_whatever_pieces_they_come() {
    let mut random = Rng::with_seed(1);
    for version in FetchRequest::VERSIONS {
        for _ in 0..40 {
            let bytes = two_answers(version, &mut random);
            let whole = events(&bytes, version, 1 << 16, |most| most);
            assert_eq!(whole.last().map(String::as_str), Some("answered"), "v{version}");
            let largest = 1 << random.u32(0..10);
            let staging = 1 << random.u32(0..8);
            let pieces =
                events(&bytes, version, staging, |most| random.usize(1..=most.min(largest)));
            assert_eq!(whole, pieces, "v{version}");
        }
    }
}

#[test]
fn damaged_bytes_fail_at_the_same_place_in_whatever_pieces_they_come() {
    let mut random = Rng::with_seed(2);
    let mut failures = 0;
    for version in FetchRequest::VERSIONS {
        for _ in 0..200 {
            let mut bytes = two_answers(version, &mut random);
            let at = random.usize(8..bytes.len());
            bytes[at] = random.u8(..);
            let whole = events(&bytes, version, 1 << 16, |most| most);
            let pieces = events(&bytes, version, 2, |most| random.usize(1..=most.min(9)));
            assert_eq!(whole, pieces, "v{version}, at {at}");
            failures += usize::from(whole.last().is_some_and(|last| last.starts_with("failed")));
        }
    }
    assert!(failures > 100, "{failures}");
}

#[test]
fn no_time_out_comes_before_the_time_that_was_named() {
    for seed in 0..500 {
        let mut random = Rng::with_seed(seed);
        let mut now = Instant::now();
        let mut connection = ready(18, 64, now);
        for _ in 0..random.usize(0..4) {
            let timeout = Duration::from_millis(random.u64(1..5_000));
            let sent = connection.send(1, 12, &MetadataRequest::default(), timeout, now);
            sent.expect("a default fits");
            now += Duration::from_millis(random.u64(..100)).min(connection.poll_timeout() - now);
        }
        let due = connection.poll_timeout();
        while now + Duration::from_millis(1) < due {
            now += (due - now).mul_f64(random.f64()).max(Duration::from_nanos(1));
            if now < due {
                assert!(connection.handle_timeout(now).is_ok(), "{:?} too early", due - now);
                assert_eq!(connection.poll_timeout(), due);
            }
        }
        assert!(connection.handle_timeout(due).is_err(), "seed {seed}");
    }
}

#[test]
fn a_request_whose_answer_has_a_malformed_header_goes_down_with_its_connection() {
    let now = Instant::now();
    let mut connection = ready(18, 64, now);
    for id in [7, 8] {
        let sent = connection.send(id, 12, &MetadataRequest::default(), SECOND, now);
        sent.expect("a default fits");
    }
    // Correlation id 1, and tags that do not end.
    let answer = [0, 0, 0, 5, 0, 0, 0, 1, 0xff];
    feed(&mut connection, &answer, now, |most| most).expect_err("no header ends like this");
    assert_eq!(connection.abandon().collect::<Vec<_>>(), [7, 8]);
}

#[test]
fn every_delay_of_a_backoff_is_within_a_fifth_of_its_step_and_never_above_the_limit() {
    for seed in 0..300 {
        let mut random = Rng::with_seed(seed);
        let first = Duration::from_micros(random.u64(1..10_000_000));
        let max = first.mul_f64(1.0 + 1000.0 * random.f64());
        let mut backoff = Backoff::new(first, max);
        for failures in 0..40 {
            let exact = first.saturating_mul(2_u32.saturating_pow(failures)).min(max);
            let delay = backoff.next_delay(&mut random);
            assert!(delay <= max, "{delay:?} of {max:?}");
            let (low, high) = (exact.mul_f64(0.799), exact.mul_f64(1.201));
            assert!((low..=high).contains(&delay), "{delay:?} for {exact:?}");
        }
    }
}

/// The bytes of an answer to Fetch with some records, and of one to Metadata.
fn two_answers(version: i16, random: &mut Rng) -> Vec<u8> {
    let mut response = FetchResponse::sample(&mut Sampler::new(version, false));
    for partition in response.responses.iter_mut().flat_map(|t| t.partitions.iter_mut()) {
        partition.records = RecordBytes(Some(batches(random)));
    }
    let mut bytes = Vec::new();
    encode_response::<FetchRequest>(&mut bytes, version, 1, &response).expect("it fits");
    let metadata = MetadataResponse::sample(&mut Sampler::new(12, false));
    encode_response::<MetadataRequest>(&mut bytes, 12, 2, &metadata).expect("it fits");
    bytes
}

/// Some batches, the last of which may be cut off.
fn batches(random: &mut Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 0..random.i64(0..4) {
        let mut batch = BatchWriter::new(number);
        batch.append(number, 0, None, Some(&vec![7; random.usize(0..300)]), &[]);
        bytes.extend(batch.finish().expect("nothing is compressed"));
    }
    if random.bool() {
        bytes.truncate(bytes.len() - random.usize(..=bytes.len().min(80)));
    }
    bytes
}

/// What a connection tells of these answers, as text; records as one text however they are cut.
fn events(
    bytes: &[u8],
    version: i16,
    staging: usize,
    piece: impl FnMut(usize) -> usize,
) -> Vec<String> {
    let now = Instant::now();
    let mut connection = ready(version, staging, now);
    connection.send(1, version, &FetchRequest::default(), SECOND, now).expect("a default fits");
    connection.send(2, 12, &MetadataRequest::default(), SECOND, now).expect("a default fits");
    let (mut texts, result) = match feed(&mut connection, bytes, now, piece) {
        Ok(texts) => (texts, None),
        Err((texts, failure)) => (texts, Some(failure)),
    };
    let abandoned = connection.abandon().count();
    texts.push(match result {
        Some(failure) => format!("failed, {abandoned} unanswered: {}", failure.source),
        None if abandoned == 0 => "answered".to_owned(),
        None => format!("{abandoned} unanswered"),
    });
    texts
}

/// Lets a connection read bytes in pieces, each as long as `piece` says of how long it could be.
fn feed(
    connection: &mut Connection,
    mut bytes: &[u8],
    now: Instant,
    mut piece: impl FnMut(usize) -> usize,
) -> Result<Vec<String>, (Vec<String>, Failure)> {
    let mut texts = Vec::new();
    while !bytes.is_empty() {
        let space = connection.read_space().expect("it is not gated");
        let n = piece(space.len().min(bytes.len()));
        space[..n].copy_from_slice(&bytes[..n]);
        bytes = &bytes[n..];
        let read = connection.handle_read(n, now);
        while let Some(event) = connection.poll_event() {
            texts.push(text(event));
        }
        if let Err(failure) = read {
            return Err((texts, failure));
        }
    }
    Ok(texts)
}

fn text(event: Event) -> String {
    match event {
        Event::Fetch { id, piece: FetchPiece::Records(records) } => {
            let bytes = &records.chunk.filled()[..records.len];
            format!("{id}: {:?} {:?} {bytes:?}", records.next_offset, records.last_epoch)
        }
        event => format!("{event:?}"),
    }
}

/// A connection that has learned which versions its broker speaks.
fn ready(fetch: i16, staging: usize, now: Instant) -> Connection {
    let limits = ConnectionLimits {
        setup_timeout: SECOND,
        max_idle: 10 * SECOND,
        receive_max: 1 << 24,
        max_in_flight: 5,
        staging,
        first_versions: 0,
    };
    let mut connection = Connection::new(limits, "me".into(), ChunkPool::new(1 << 20), now);
    connection.handle_connected(now);
    let rows = [(FetchRequest::KEY, fetch), (MetadataRequest::KEY, 12)];
    let keys =
        rows.map(|(api_key, max_version)| ApiVersion { api_key, min_version: 0, max_version });
    let response = ApiVersionsResponse { api_keys: keys.to_vec(), ..Default::default() };
    let mut bytes = Vec::new();
    encode_response::<ApiVersionsRequest>(&mut bytes, 0, 0, &response).expect("it fits");
    feed(&mut connection, &bytes, now, |most| most).expect("a good answer");
    assert!(connection.is_ready());
    connection
}
