//! A client that says what it is told, on one connection, and the requests that several tests make.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses its part")]

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use kafka_blocking::{
    protocol::{
        self, Request,
        fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic},
    },
    wire::{Reader, Uuid},
};
use scripted_broker::ScriptedBroker;

/// A client of one connection that reads and writes what it is told.
pub struct Client {
    pub stream: TcpStream,
    pub correlation: i32,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        Self { stream, correlation: 0 }
    }

    pub fn to(broker: &ScriptedBroker) -> Self {
        Self::connect(broker.address_of(1))
    }

    pub fn send<R: Request>(&mut self, version: i16, request: &R) {
        self.correlation += 1;
        let mut out = vec![];
        protocol::encode_request(&mut out, version, self.correlation, Some("test"), request)
            .unwrap();
        self.stream.write_all(&out).unwrap();
    }

    pub fn frame(&mut self) -> std::io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
        self.stream.read_exact(&mut frame)?;
        Ok(frame)
    }

    pub fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.send(version, request);
        let frame = self.frame().unwrap();
        let mut reader = Reader::new(&frame, version, version >= R::FLEXIBLE);
        let correlation = protocol::decode_response_header(&mut reader, R::KEY, version).unwrap();
        assert_eq!(correlation, self.correlation);
        protocol::decode_response::<R>(&frame[reader.consumed()..], version).unwrap()
    }

    pub fn is_closed(&mut self) -> bool {
        self.frame().is_err_and(|e| e.kind() != ErrorKind::WouldBlock)
    }
}

pub fn fetch(version: i16, asks: &[(i32, i64)]) -> FetchRequest {
    let partitions = asks.iter().map(|(partition, fetch_offset)| FetchPartition {
        partition: *partition,
        fetch_offset: *fetch_offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    });
    let topic = FetchTopic {
        topic: if version < 13 { "t".into() } else { String::new() },
        topic_id: if version < 13 { Uuid::ZERO } else { Uuid([1; 16]) },
        partitions: partitions.collect(),
    };
    FetchRequest {
        max_bytes: 1 << 20,
        min_bytes: 1,
        session_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    }
}

/// What came of each partition: number, error, how many bytes.
pub fn outcome(response: &FetchResponse) -> Vec<(i32, i16, usize)> {
    let partitions = response.responses.iter().flat_map(|t| t.partitions.iter());
    partitions.map(|p| (p.partition_index, p.error_code, p.records.as_slice().len())).collect()
}

pub fn with_records(partitions: usize) -> ScriptedBroker {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", partitions);
    for partition in 0..i32::try_from(partitions).unwrap() {
        broker.append("t", partition, ["a", "b"]);
        broker.append("t", partition, ["c"]);
    }
    broker
}
