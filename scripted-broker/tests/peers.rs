//! What a peer does wrong harms only itself: versions that there are not, garbage, requests that break off, answers that
//! nobody reads. Meanwhile other clients go on, and memory stays within bounds.

use std::{
    io::{ErrorKind, Write},
    net::Shutdown,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use kafka_blocking::{
    ErrorCode,
    net::servers::HostPort,
    protocol::{
        self, Request,
        api_versions::{ApiVersionsRequest, ApiVersionsResponse},
        fetch::FetchRequest,
        join_group::{JoinGroupRequest, JoinGroupRequestProtocol},
        metadata::MetadataRequest,
        produce::{PartitionProduceData, ProduceRequest, TopicProduceData},
        sasl_authenticate::SaslAuthenticateRequest,
        sasl_handshake::SaslHandshakeRequest,
    },
    wire::Sampler,
};
use peak_alloc::PeakAlloc;
use protocol_support::for_every_api;
use scripted_broker::{Cluster, Output, ScriptedBroker, encode_batch};
use support::{Client, fetch, with_records};

#[path = "../../tests/protocol_support/mod.rs"]
mod protocol_support;
mod support;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What a test that sends a multiple of that, or asks for it, may take; what it sends is a part.
const MOST_MIB: f32 = 640.0;

/// The allocator counts for all: those that send much take turns.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    MEMORY.reset_peak_usage();
    turn
}

#[test]
fn a_version_of_api_versions_that_nobody_knows_gets_the_form_of_version_0_and_the_connection_goes_on()
 {
    let broker = ScriptedBroker::start();
    let mut client = Client::to(&broker);
    for version in [6, 99, i16::MAX, -1, i16::MIN] {
        let mut body = vec![];
        // Tags of the header, then names, as all versions since the third have them.
        body.extend_from_slice(if version > 0 { b"\x00\x02x\x021\x00" } else { b"" });
        client.stream.write_all(&framed(18, version, &body)).unwrap();
        let frame = client.frame().unwrap();
        let answer = protocol::decode_response::<ApiVersionsRequest>(&frame[4..], 0);
        let ApiVersionsResponse { error_code, api_keys, .. } = answer.unwrap();
        assert_eq!(ErrorCode(error_code), ErrorCode::UNSUPPORTED_VERSION, "v{version}");
        let rows: Vec<_> =
            api_keys.iter().map(|r| (r.api_key, r.min_version, r.max_version)).collect();
        assert_eq!(rows, [(18, 0, *ApiVersionsRequest::VERSIONS.end())], "v{version}");
    }
    assert!(client.ask(3, &named()).api_keys.len() > 20);
}

#[test]
fn an_api_or_a_version_that_nobody_knows_ends_its_connection_and_no_other() {
    let broker = with_records(1);
    let mut bystander = Client::to(&broker);
    let unknown = |key| [(key, -1), (key, 99), (key, i16::MAX)];
    let offered = bystander.ask(3, &named()).api_keys;
    let asked = offered.iter().map(|row| row.api_key).filter(|key| *key != 18).flat_map(unknown);
    for (key, version) in asked.chain([(7, 0), (999, 0), (-1, 0), (i16::MAX, 0), (i16::MIN, -1)]) {
        let mut client = Client::to(&broker);
        client.stream.write_all(&framed(key, version, b"\x00")).unwrap();
        assert!(client.is_closed(), "API {key} v{version}");
        assert_reads(&mut bystander);
    }
}

#[test]
fn lengths_that_make_no_sense_end_the_connection() {
    let broker = with_records(1);
    let mut bystander = Client::to(&broker);
    for length in [-1, i32::MIN, i32::MAX, (100 << 20) + 1] {
        let mut client = Client::to(&broker);
        client.stream.write_all(&length.to_be_bytes()).unwrap();
        assert!(client.is_closed(), "{length} bytes");
    }
    // Too short for a header.
    for length in 0..10_u8 {
        let mut client = Client::to(&broker);
        let frame = [vec![0, 0, 0, length], vec![0; length.into()]].concat();
        client.stream.write_all(&frame).unwrap();
        assert!(client.is_closed(), "{length} bytes");
    }
    assert_reads(&mut bystander);
}

#[test]
fn what_is_no_kafka_ends_its_connection() {
    let broker = with_records(1);
    let mut bystander = Client::to(&broker);
    let tls = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03];
    for bytes in [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", &tls[..], b"SSH-2.0-x\r\n", &[0xff; 64]] {
        let mut client = Client::to(&broker);
        client.stream.write_all(bytes).unwrap();
        assert!(client.is_closed(), "{bytes:?}");
    }
    // A body that is not what the header says.
    for (key, version) in [(0, 9), (1, 12), (3, 9), (8, 8), (11, 7), (18, 3), (22, 4)] {
        let mut client = Client::to(&broker);
        client.stream.write_all(&framed(key, version, &[0, 0xff, 0xff, 0xff, 0xff, 0x0f])).unwrap();
        assert!(client.is_closed(), "API {key} v{version}");
    }
    assert_reads(&mut bystander);
}

#[test]
fn a_client_that_goes_in_the_midst_of_a_request_has_asked_for_nothing() {
    let broker = with_records(1);
    let mut bystander = Client::to(&broker);
    let batch = encode_batch(&["never".into()]);
    let partition = PartitionProduceData { index: 0, records: batch.into() };
    let topic = TopicProduceData {
        name: "t".into(),
        partition_data: vec![partition],
        ..Default::default()
    };
    let request = ProduceRequest { acks: -1, topic_data: vec![topic], ..Default::default() };
    let mut whole = vec![];
    protocol::encode_request(&mut whole, 9, 1, Some("x"), &request).unwrap();
    for cut in 0..whole.len() {
        let mut client = Client::to(&broker);
        client.stream.write_all(&whole[..cut]).unwrap();
        client.stream.shutdown(Shutdown::Write).unwrap();
        assert!(client.is_closed(), "after {cut} bytes");
    }
    assert_eq!(broker.requests_of::<ProduceRequest>(), []);
    assert_reads(&mut bystander);
    assert_eq!(broker.connections(1), 1);
}

#[test]
fn a_client_that_goes_while_it_waits_for_an_answer_is_forgotten() {
    let broker = with_records(1);
    let mut bystander = Client::to(&broker);
    let mut waiting = Client::to(&broker);
    waiting.send(12, &FetchRequest { max_wait_ms: 600_000, ..fetch(12, &[(0, 3)]) });
    let mut joining = Client::to(&broker);
    let protocol = JoinGroupRequestProtocol { name: "range".into(), ..Default::default() };
    joining.send(
        3,
        &JoinGroupRequest {
            group_id: "g".into(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 600_000,
            protocol_type: "consumer".into(),
            protocols: vec![protocol],
            ..Default::default()
        },
    );
    until("both wait", || broker.requests().len() == 2);
    drop((waiting, joining));
    until("both are gone", || broker.connections(1) == 1);
    broker.append("t", 0, ["d"]);
    assert_reads(&mut bystander);
}

#[test]
fn a_client_that_reads_no_answers_gets_no_more_than_fits_and_holds_up_nobody() {
    let _turn = alone();
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    let large = vec![b'x'; 1 << 20];
    broker.append("t", 0, [large]);
    let mut bystander = Client::to(&broker);
    let mut client = Client::to(&broker);
    client.stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut asked = vec![];
    let mut request = fetch(12, &[(0, 0)]);
    request.max_bytes = i32::MAX;
    request.topics[0].partitions[0].partition_max_bytes = i32::MAX;
    // 100,000 times a mebibyte.
    for correlation in 0..100_000 {
        protocol::encode_request(&mut asked, 12, correlation, None, &request).unwrap();
    }
    while asked.len() < 128 << 20 {
        asked.extend_from_within(..);
    }
    let sent = client.stream.write_all(&asked);
    let stopped =
        sent.is_err_and(|e| matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    assert!(stopped, "the broker took 128 MiB of requests whose answers nobody reads");
    bystander.ask(9, &MetadataRequest::all_topics());
    // Who reads on gets the answers that it has asked for.
    for correlation in 0..50 {
        let frame = client.frame().unwrap();
        assert_eq!(frame[..4], i32::to_be_bytes(correlation));
        assert!(frame.len() > 1 << 20);
    }
    assert!(MEMORY.peak_usage_as_mb() < MOST_MIB, "{} MiB", MEMORY.peak_usage_as_mb());
}

#[test]
fn a_client_that_asks_without_end_holds_up_nobody() {
    let _turn = alone();
    let broker = with_records(1);
    let ended = AtomicBool::new(false);
    let mut client = Client::to(&broker);
    let mut asked = vec![];
    protocol::encode_request(&mut asked, 0, 1, None, &ApiVersionsRequest::default()).unwrap();
    let asked = asked.repeat(1000);
    let reads_on = thread::scope(|scope| {
        let (mut reading, writing) = (client.stream.try_clone().unwrap(), &mut client.stream);
        let ends = writing.try_clone().unwrap();
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                if writing.write_all(&asked).is_err() {
                    return;
                }
            }
        });
        scope.spawn(move || std::io::copy(&mut reading, &mut std::io::sink()));
        let mut bystander = Client::to(&broker);
        let reads = scope.spawn(move || (0..20).for_each(|_| assert_reads(&mut bystander))).join();
        ended.store(true, Ordering::Relaxed);
        ends.shutdown(Shutdown::Both).unwrap();
        reads.is_ok()
    });
    assert!(reads_on, "the other client got no answer in time");
    assert!(MEMORY.peak_usage_as_mb() < MOST_MIB, "{} MiB", MEMORY.peak_usage_as_mb());
}

#[test]
fn a_client_that_sends_much_that_is_refused_costs_bounded_memory() {
    let _turn = alone();
    let broker = with_records(1);
    let mut bystander = Client::to(&broker);
    let long = framed(999, 0, &vec![0; 32 << 20]);
    for _ in 0..16 {
        let mut client = Client::to(&broker);
        client.stream.write_all(&long).unwrap();
        assert!(client.is_closed());
    }
    assert_reads(&mut bystander);
    let (logged, mib) = (broker.requests().len(), MEMORY.peak_usage_as_mb());
    assert!((4..=8).contains(&logged), "{logged} requests are remembered");
    assert!(mib < MOST_MIB, "{mib} MiB");
}

/// Without sockets, and so in a moment: every API in each version, hundreds of times damaged.
#[test]
fn requests_that_are_damaged_anywhere_are_answered_or_refused() {
    let mut cluster = Cluster::new([HostPort::new("10.0.0.1", 9092)]);
    let mut random = fastrand::Rng::with_seed(1);
    let now = Instant::now();
    cluster.state.create_topic("t", 2);
    for_every_api!(damage(&mut cluster, &mut random, now));
}

#[test]
fn logins_that_are_damaged_anywhere_are_answered_or_refused() {
    let mut cluster = Cluster::new([HostPort::new("10.0.0.1", 9092)]);
    let mut random = fastrand::Rng::with_seed(2);
    let now = Instant::now();
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        cluster.state.add_user(mechanism, "alice", "secret");
    }
    let mut answers = [0; 4];
    for id in 0..20_000 {
        let mechanism = ["PLAIN", "SCRAM-SHA-256"][random.usize(0..2)];
        let version = random.i16(0..2);
        cluster.accept(1, id);
        let mut asked = vec![];
        let handshake = SaslHandshakeRequest { mechanism: mechanism.into() };
        protocol::encode_request(&mut asked, version, 1, None, &handshake).unwrap();
        cluster.receive(id, &asked, now);
        let first = match mechanism {
            "PLAIN" => b"\0alice\0secret".to_vec(),
            _ => b"n,,n=alice,r=abc".to_vec(),
        };
        for mut message in [first, b"c=biws,r=abcin-process-1,p=AAAA".to_vec()] {
            for _ in 0..random.usize(0..3) {
                let at = random.usize(0..message.len());
                message[at] = [random.u8(..), 0, b',', b'='][random.usize(0..4)];
            }
            let mut asked = vec![];
            if version == 0 {
                asked.extend_from_slice(&i32::try_from(message.len()).unwrap().to_be_bytes());
                asked.extend_from_slice(&message);
            } else {
                let request = SaslAuthenticateRequest { auth_bytes: message.into() };
                protocol::encode_request(&mut asked, 2, 2, None, &request).unwrap();
            }
            cluster.receive(id, &asked, now);
        }
        let outputs = std::iter::from_fn(|| cluster.poll_output());
        let sent = outputs.filter(|(_, output)| matches!(output, Output::Send(_))).count();
        answers[sent] += 1;
        cluster.lost(id);
    }
    // The handshake is always answered, and of the rest some.
    assert!(answers[0] == 0 && answers[1..].iter().all(|count| *count > 500), "{answers:?}");
}

fn damage<R: Request>(cluster: &mut Cluster, random: &mut fastrand::Rng, begin: Instant) {
    for version in R::VERSIONS {
        for nulls in [false, true] {
            let sample = R::sample(&mut Sampler::new(version, nulls));
            let mut whole = vec![];
            protocol::encode_request(&mut whole, version, 1, Some("x"), &sample).unwrap();
            for n in 0..200 {
                let mut bytes = whole.clone();
                for _ in 0..random.usize(0..4) {
                    // Behind the length and the API.
                    let at = random.usize(6..bytes.len());
                    bytes[at] = [random.u8(..), 0, 1, 0x7f, 0x80, 0xff][random.usize(0..6)];
                }
                let id = cluster.requests().len() as u64 + 1;
                let now = begin + Duration::from_millis(n);
                cluster.accept(1, id);
                cluster.receive(id, &bytes, now);
                cluster.handle(now);
                while cluster.poll_output().is_some() {}
                cluster.lost(id);
            }
        }
    }
}

fn assert_reads(client: &mut Client) {
    let begin = Instant::now();
    let response = client.ask(12, &fetch(12, &[(0, 0)]));
    assert_eq!(support::outcome(&response)[0].1, 0);
    assert!(begin.elapsed() < Duration::from_secs(4), "it took {:?}", begin.elapsed());
}

fn named() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: "x".into(),
        client_software_version: "1".into(),
        ..Default::default()
    }
}

/// A request as bytes, whatever its API and version.
fn framed(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![];
    frame.extend_from_slice(&i32::try_from(11 + body.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&key.to_be_bytes());
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(&7_i32.to_be_bytes());
    frame.extend_from_slice(b"\x00\x01x");
    frame.extend_from_slice(body);
    frame
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(10), "never: {what}");
        thread::yield_now();
    }
}
