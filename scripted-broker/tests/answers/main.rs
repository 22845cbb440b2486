//! What the scripted broker's default answers say about transactions, offsets, epochs, followers and topics: the same
//! as Kafka's.

#[path = "../support/mod.rs"]
mod support;

mod epochs;
mod logins;
mod offsets;
mod producing;
mod replicas;
mod tools;
mod topics;
mod transactions;

use kafka_blocking::protocol::fetch::{FetchRequest, PartitionData};
use support::Client;

/// What a fetch of one partition gets.
fn ask_one(client: &mut Client, version: i16, request: &FetchRequest) -> PartitionData {
    let mut response = client.ask(version, request);
    response.responses.iter_mut().next().expect("a topic").partitions.iter().next().unwrap().clone()
}

/// The base offsets, epochs and attributes of whole batches.
fn batches(data: &PartitionData) -> Vec<(i64, i32, u8)> {
    let (mut bytes, mut found) = (data.records.as_slice(), vec![]);
    while !bytes.is_empty() {
        let int = |at: usize| i32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let base = i64::from_be_bytes(bytes[..8].try_into().unwrap());
        found.push((base, int(12), bytes[22]));
        bytes = &bytes[12 + usize::try_from(int(8)).unwrap()..];
    }
    found
}

fn offsets(data: &PartitionData) -> Vec<i64> {
    batches(data).iter().map(|batch| batch.0).collect()
}
