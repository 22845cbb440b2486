//! Transactions in the log: what is stable, and what was aborted.

use kafka_blocking::{
    protocol::fetch::FetchRequest,
    records::{BatchHeader, Codec},
};
use scripted_broker::{Marker, ScriptedBroker};

use crate::{
    ask_one, batches, offsets,
    support::{Client, fetch},
};

const TRANSACTIONAL: u8 = 16;
const CONTROL: u8 = 32;

fn topic() -> (ScriptedBroker, Client) {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    let client = Client::to(&broker);
    (broker, client)
}

fn committed(version: i16, offset: i64) -> FetchRequest {
    FetchRequest { isolation_level: 1, ..fetch(version, &[(0, offset)]) }
}

#[test]
fn readers_of_what_is_committed_see_nothing_from_the_first_open_transaction_on() {
    let (broker, mut client) = topic();
    broker.append("t", 0, ["plain"]);
    broker.append_transactional("t", 0, 7, ["a", "b"]);
    broker.append("t", 0, ["behind it"]);
    for version in 4..=18 {
        let all = ask_one(&mut client, version, &fetch(version, &[(0, 0)]));
        assert_eq!(offsets(&all), [0, 1, 3]);
        assert_eq!((all.last_stable_offset, all.high_watermark), (1, 4), "v{version}");
        assert_eq!(all.aborted_transactions, None, "v{version}: nobody has asked");
        let stable = ask_one(&mut client, version, &committed(version, 0));
        assert_eq!(offsets(&stable), [0], "v{version}");
        assert_eq!(stable.aborted_transactions, Some(vec![]), "v{version}");
    }
    let waiting = ask_one(&mut client, 12, &committed(12, 2));
    assert_eq!((offsets(&waiting), waiting.error_code), (vec![], 0), "between LSO and the end");
    broker.append_marker("t", 0, 7, Marker::Commit);
    let done = ask_one(&mut client, 12, &committed(12, 0));
    assert_eq!(offsets(&done), [0, 1, 3, 4]);
    assert_eq!((done.last_stable_offset, done.aborted_transactions), (5, Some(vec![])));
}

#[test]
fn a_fetch_waits_until_what_it_asks_for_is_committed() {
    let (broker, mut client) = topic();
    broker.append_transactional("t", 0, 7, ["a"]);
    client.send(12, &FetchRequest { max_wait_ms: 60_000, ..committed(12, 0) });
    broker.append_transactional("t", 0, 7, ["b"]);
    broker.append_marker("t", 0, 7, Marker::Commit);
    let frame = client.frame().unwrap();
    assert!(frame.len() > 3 * 61, "all three batches come at once: {} bytes", frame.len());
}

#[test]
fn the_aborted_transactions_of_a_range_are_told_in_the_order_of_their_markers() {
    let (broker, mut client) = topic();
    broker.append_transactional("t", 0, 1, ["from 0"]);
    broker.append_transactional("t", 0, 2, ["from 1"]);
    broker.append_transactional("t", 0, 3, ["from 2, committed"]);
    broker.append_marker("t", 0, 2, Marker::Abort);
    broker.append_marker("t", 0, 3, Marker::Commit);
    broker.append_marker("t", 0, 1, Marker::Abort);
    let told = |client: &mut Client, offset| -> Vec<(i64, i64)> {
        let data = ask_one(client, 11, &committed(11, offset));
        let aborted = data.aborted_transactions.unwrap();
        aborted.iter().map(|a| (a.producer_id, a.first_offset)).collect()
    };
    assert_eq!(told(&mut client, 0), [(2, 1), (1, 0)]);
    assert_eq!(told(&mut client, 3), [(2, 1), (1, 0)], "the marker is still to come");
    assert_eq!(told(&mut client, 4), [(1, 0)], "this one has ended before");
    assert_eq!(told(&mut client, 6), [], "at the end there is nothing to tell");
    broker.on::<FetchRequest>().once().rewrite(|response| {
        for data in response.responses.iter_mut().flat_map(|t| t.partitions.iter_mut()) {
            data.aborted_transactions = None;
        }
    });
    let without = ask_one(&mut client, 11, &committed(11, 0));
    assert_eq!(
        (without.aborted_transactions, without.records.as_slice().is_empty()),
        (None, false)
    );
}

#[test]
fn markers_are_control_records_and_odd_ones_end_nothing() {
    let (broker, mut client) = topic();
    broker.append_transactional("t", 0, 7, ["a"]);
    for marker in [Marker::Other(5), Marker::Key(vec![0, 0, 1]), Marker::Abort] {
        broker.append_marker("t", 0, 7, marker);
    }
    let data = ask_one(&mut client, 12, &fetch(12, &[(0, 0)]));
    let both = TRANSACTIONAL | CONTROL;
    assert_eq!(batches(&data), [(0, 0, TRANSACTIONAL), (1, 0, both), (2, 0, both), (3, 0, both)]);
    let bytes = data.records.as_slice();
    assert!(bytes.windows(4).any(|key| key == [0, 0, 0, 5]), "version 0, type 5");
    assert_eq!(data.last_stable_offset, 4);
    broker.with_state(|state| state.partition_mut("t", 0).log.set_high_watermark(Some(3)));
    let data = ask_one(&mut client, 12, &fetch(12, &[(0, 0)]));
    assert_eq!(data.last_stable_offset, 0, "only the marker at 3 ends it");
}

#[test]
fn batches_of_transactions_can_be_compressed() {
    let (broker, mut client) = topic();
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        broker.with_state(|state| {
            state.append_transactional_packed("t", 0, 9, codec, ["x".repeat(500)]);
            state.append_marker("t", 0, 9, Marker::Abort);
        });
    }
    let data = ask_one(&mut client, 12, &committed(12, 0));
    let codecs: Vec<u8> = batches(&data).iter().map(|b| b.2).filter(|a| a & CONTROL == 0).collect();
    assert_eq!(codecs, [17, 18, 19, 20]);
    assert_eq!(data.aborted_transactions.unwrap().len(), 4);
    let header = BatchHeader::parse(data.records.as_slice()).unwrap();
    assert_eq!((header.producer_id, header.record_count), (9, 1));
    assert!(header.total_len() < 500);
}

#[test]
fn what_a_follower_does_not_show_yet_is_not_stable_there() {
    let broker = ScriptedBroker::cluster(2);
    broker.create_topic("t", 1);
    broker.append_transactional("t", 0, 7, ["a"]);
    broker.append_marker("t", 0, 7, Marker::Commit);
    broker.with_state(|state| state.follower_mut("t", 0, 2).high_watermark = Some(1));
    let mut follower = Client::connect(broker.address_of(2));
    let data = ask_one(&mut follower, 12, &committed(12, 0));
    assert_eq!((data.high_watermark, data.last_stable_offset, offsets(&data)), (1, 0, vec![]));
}
