//! CPU per record of the consumer, beside that of a loop that only fetches, checks the CRC and discards: the raw limit.
//!
//! ```text
//! cargo bench --bench consume -- localhost:9092 topic 2000000 [rounds]
//! ```
//!
//! The topic must hold that many records. Both sides run in a process of their own, taking turns; what is printed are
//! the medians of CPU nanoseconds per record, their ratio, and the consumer's peak memory.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::{
    collections::BTreeMap,
    env, fs,
    io::{Read, Write},
    net::TcpStream,
    process::Command,
};

use kafka_blocking::{
    KafkaConsumer,
    protocol::{
        self, Request,
        fetch::{
            FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchableTopicResponse,
            PartitionData,
        },
        metadata::MetadataRequest,
    },
    records::{BatchHeader, next_batch_len},
    wire::{Pending, Reader},
};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["raw", server, topic, records] => {
            raw(server, topic, records.parse().expect("a number of records"))
        }
        ["ours", server, topic, records] => {
            ours(server, topic, records.parse().expect("a number of records"))
        }
        [server, topic, records] => compare(server, topic, records, 5),
        [server, topic, records, rounds] => {
            compare(server, topic, records, rounds.parse().expect("a number of rounds"))
        }
        _ => println!(
            "usage: consume SERVER TOPIC RECORDS [ROUNDS]: without a server there is nothing to measure"
        ),
    }
}

/// Runs both sides in turns and prints what they cost.
fn compare(server: &str, topic: &str, records: &str, rounds: usize) {
    let mut costs: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut ratios = Vec::new();
    let mut peak = 0;
    for _ in 0..rounds {
        let mut round = BTreeMap::new();
        for side in ["raw", "ours"] {
            let program = env::current_exe().expect("this program");
            let output = Command::new(program)
                .args([side, server, topic, records])
                .output()
                .expect("a child process");
            assert!(output.status.success(), "{side}: {}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8(output.stdout).expect("text");
            let numbers: Vec<u64> =
                text.split_whitespace().map(|n| n.parse().expect("a number")).collect();
            let [nanoseconds, count, memory] = numbers[..] else { panic!("{side} said {text:?}") };
            round.insert(side, nanoseconds as f64 / count as f64);
            if side == "ours" {
                peak = peak.max(memory);
            }
        }
        ratios.push(round["ours"] / round["raw"]);
        for (side, cost) in round {
            costs.entry(side).or_default().push(cost);
        }
    }
    println!(
        "raw fetch + CRC + discard: {:.1} ns of CPU per record",
        median(&mut costs.get_mut("raw").expect("ran").clone())
    );
    println!(
        "for record in &consumer:   {:.1} ns of CPU per record",
        median(&mut costs.get_mut("ours").expect("ran").clone())
    );
    println!(
        "ratio: {:.2} (median of {rounds} rounds, {:.2} to {:.2})",
        median(&mut ratios.clone()),
        ratios.iter().copied().fold(f64::MAX, f64::min),
        ratios.iter().copied().fold(0.0, f64::max)
    );
    println!("peak memory of the consumer: {:.1} MiB", peak as f64 / 1024.0);
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The consumer as users write it.
fn ours(server: &str, topic: &str, records: u64) {
    let consumer = KafkaConsumer::builder()
        .topics([topic])
        .bootstrap_servers(server)
        .auto_offset_reset("earliest")
        .consumer_timeout_ms(10_000)
        .build()
        .expect("a consumer");
    let (mut count, mut bytes, start) = (0, 0, cpu());
    for record in &consumer {
        let record = record.expect("a record");
        bytes += record.value().map_or(0, <[u8]>::len);
        count += 1;
        if count == records {
            break;
        }
    }
    assert_eq!(count, records, "the topic holds too few records ({bytes} bytes seen)");
    println!("{} {count} {}", cpu() - start, peak_memory());
}

/// Fetches from all partitions through one connection, into memory that is used again; checks and drops every batch.
fn raw(server: &str, topic: &str, records: u64) {
    let mut broker = Raw {
        stream: TcpStream::connect(server).expect("a connection"),
        frame: Vec::new(),
        correlation: 0,
    };
    broker.stream.set_nodelay(true).expect("TCP_NODELAY");
    let body = broker.ask(7, &MetadataRequest::topics([topic]));
    let metadata =
        protocol::decode_response::<MetadataRequest>(&broker.frame[body..], 7).expect("metadata");
    let mut offsets: BTreeMap<i32, i64> =
        metadata.topics[0].partitions.iter().map(|p| (p.partition_index, 0)).collect();
    let (mut count, start) = (0, cpu());
    while count < records {
        let body = broker.ask(11, &request(topic, &offsets));
        count += discard(&broker.frame[body..], &mut offsets);
    }
    println!("{} {count} {}", cpu() - start, peak_memory());
}

fn request(topic: &str, offsets: &BTreeMap<i32, i64>) -> FetchRequest {
    let partitions = offsets.iter().map(|(partition, offset)| FetchPartition {
        partition: *partition,
        fetch_offset: *offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    });
    FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        // Small enough to stay in the cache between the kernel's copy and the checksum.
        max_bytes: 1 << 20,
        topics: vec![FetchTopic {
            topic: topic.to_owned(),
            partitions: partitions.collect(),
            ..FetchTopic::default()
        }],
        ..FetchRequest::default()
    }
}

struct Raw {
    stream: TcpStream,
    frame: Vec<u8>,
    correlation: i32,
}

impl Raw {
    /// Sends a request and reads the answer; gives where its body begins in the frame.
    fn ask<R: Request>(&mut self, version: i16, request: &R) -> usize {
        let mut out = Vec::new();
        self.correlation += 1;
        protocol::encode_request(&mut out, version, self.correlation, Some("raw"), request)
            .expect("a request");
        self.stream.write_all(&out).expect("sent");
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).expect("an answer");
        let length = u32::from_be_bytes(length) as usize;
        if self.frame.len() < length {
            self.frame.resize(length, 0);
        }
        self.stream.read_exact(&mut self.frame[..length]).expect("an answer");
        protocol::response_header_len(R::KEY, version)
    }
}

/// Checks every batch of an answer and forgets it; gives the number of records.
fn discard(body: &[u8], offsets: &mut BTreeMap<i32, i64>) -> u64 {
    let mut r = Reader::streaming(body, 11, false);
    let mut count = 0;
    FetchResponse::decode_fields(&mut r).expect("a fetch response");
    for _ in 0..items(&mut r) {
        FetchableTopicResponse::decode_fields(&mut r).expect("a topic");
        for _ in 0..items(&mut r) {
            let partition = PartitionData::decode_fields(&mut r).expect("a partition");
            let Some(Pending::Bytes(length)) = r.take_pending() else { panic!("records") };
            let mut rest = r.take(length.unwrap_or(0)).expect("records");
            while let Some(len) =
                next_batch_len(rest).expect("a batch").filter(|n| *n <= rest.len())
            {
                let header = BatchHeader::parse(rest).expect("a header");
                header.check_crc(&rest[..len]).expect("the right checksum");
                count += u64::from(header.record_count.unsigned_abs());
                offsets.insert(partition.partition_index, header.next_offset());
                rest = &rest[len..];
            }
        }
    }
    count
}

fn items(r: &mut Reader<'_>) -> usize {
    match r.take_pending() {
        Some(Pending::Items(n)) => n,
        other => panic!("a count, not {other:?}"),
    }
}

/// Nanoseconds that this process has run on a processor, all threads together.
fn cpu() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux's /proc");
    let times = tasks.map(|task| {
        let text = fs::read_to_string(task.expect("a thread").path().join("schedstat"))
            .unwrap_or_default();
        text.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0)
    });
    times.sum()
}

/// The most memory that this process has had, in KiB.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux's /proc");
    let line = status.lines().find(|l| l.starts_with("VmHWM")).expect("VmHWM");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}
