//! What callers see of transactions with `isolation_level` `read_committed`: records, deadlines, ends and lags.

mod support;

use std::time::Duration;

use kafka_blocking::{KafkaConsumer, records::Codec};
use scripted_broker::{Marker, ScriptedBroker};
use support::{LONG, builder, ends_within, offsets, take, wait_until};

/// A consumer of `t` that reads what is committed.
fn committed(broker: &ScriptedBroker) -> KafkaConsumer {
    builder(broker.address()).topics("t").isolation_level("read_committed").build().unwrap()
}

fn empty_broker() -> ScriptedBroker {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    broker
}

/// Appends batches of an aborted transaction, of 100 000 bytes each.
fn append_aborted(broker: &ScriptedBroker, batches: usize) {
    for _ in 0..batches {
        broker.append_transactional("t", 0, 1, [vec![b'x'; 100_000]]);
    }
    broker.append_marker("t", 0, 1, Marker::Abort);
}

#[test]
fn fault_225_aborted_records_are_left_out_whatever_they_are_compressed_with() {
    let codecs = [
        Some(Codec::None),
        cfg!(feature = "gzip").then_some(Codec::Gzip),
        cfg!(feature = "snappy").then_some(Codec::Snappy),
        cfg!(feature = "lz4").then_some(Codec::Lz4),
        cfg!(feature = "zstd").then_some(Codec::Zstd),
    ];
    for codec in codecs.into_iter().flatten() {
        let broker = empty_broker();
        broker.with_state(|state| {
            for (producer, end) in
                [(1, Marker::Commit), (2, Marker::Abort), (1, Marker::Abort), (2, Marker::Commit)]
            {
                let value = format!("{end:?} ").repeat(200);
                for _ in 0..2 {
                    let values = [value.as_str(), value.as_str()];
                    state.append_transactional_packed("t", 0, producer, codec, values);
                }
                state.append_marker("t", 0, producer, end);
            }
        });
        broker.append("t", 0, ["last"]);
        let records = take(&committed(&broker), 9);
        assert_eq!(offsets(&records), [0, 1, 2, 3, 15, 16, 17, 18, 20], "{codec}");
        let of_commits = |value: Option<&[u8]>| value.unwrap().starts_with(b"Commit");
        assert!(records[..8].iter().all(|r| of_commits(r.value())), "{codec}");
    }
}

#[test]
fn fault_225_aborted_records_that_this_build_cannot_unpack_are_no_error() {
    let broker = empty_broker();
    let mut batch = scripted_broker::encode_transactional(1, Codec::None, &["a".into()]);
    batch[22] |= 7;
    scripted_broker::seal(&mut batch);
    broker.append_batch("t", 0, batch);
    broker.append_marker("t", 0, 1, Marker::Abort);
    broker.append("t", 0, ["last"]);
    assert_eq!(offsets(&take(&committed(&broker), 1)), [2]);
}

#[test]
fn fault_227_a_poll_ends_in_time_while_aborted_records_come_and_come() {
    for timeout in [0, 20, 100].map(Duration::from_millis) {
        let broker = empty_broker();
        append_aborted(&broker, 400);
        let consumer = committed(&broker);
        ends_within(timeout, "poll", || {
            assert!(consumer.poll(timeout).unwrap().is_empty());
        });
        broker.append("t", 0, ["last"]);
        assert_eq!(offsets(&take(&consumer, 1)), [401]);
    }
}

#[test]
fn fault_227_records_in_hand_do_not_wait_until_all_that_was_aborted_is_read() {
    let broker = empty_broker();
    broker.append("t", 0, ["first"]);
    append_aborted(&broker, 400);
    // All of it is one answer, so that there is no pause in it.
    let consumer = builder(broker.address())
        .topics("t")
        .isolation_level("read_committed")
        .fetch_max_bytes(64 << 20)
        .max_partition_fetch_bytes(64 << 20)
        .build()
        .unwrap();
    assert_eq!(consumer.poll(LONG).unwrap().count(), 1);
    let position = consumer.position(("t", 0)).unwrap();
    assert!(position < 25, "40 MB of aborted records were read on to {position}");
    wait_until("the rest is read", || {
        assert!(consumer.poll(Duration::from_millis(10)).unwrap().is_empty());
        consumer.position(("t", 0)).unwrap() == 402
    });
}

#[test]
fn fault_228_the_end_that_is_told_is_the_last_stable_offset() {
    let broker = empty_broker();
    broker.append("t", 0, ["a", "b"]);
    broker.append_transactional("t", 0, 1, ["open"]);
    broker.append("t", 0, ["behind"]);
    let consumer = committed(&broker);
    let partition = ("t", 0).into();
    assert_eq!(consumer.end_offsets([&partition]).unwrap()[&partition], 2);
    let all = builder(broker.address()).build().unwrap();
    assert_eq!(all.end_offsets([&partition]).unwrap()[&partition], 4);
    assert_eq!(offsets(&take(&consumer, 2)), [0, 1]);
    consumer.seek_to_end([&partition]).unwrap();
    assert_eq!(consumer.position(&partition).unwrap(), 2);
    broker.append_marker("t", 0, 1, Marker::Commit);
    assert_eq!(offsets(&take(&consumer, 2)), [2, 3]);
    assert_eq!(consumer.end_offsets([&partition]).unwrap()[&partition], 5);
}

#[test]
fn fault_231_the_lag_counts_to_the_last_stable_offset() {
    let broker = empty_broker();
    broker.append("t", 0, ["a", "b"]);
    broker.append_transactional("t", 0, 1, ["aborted", "too"]);
    broker.append_marker("t", 0, 1, Marker::Abort);
    let consumer = committed(&broker);
    let partition = ("t", 0);
    take(&consumer, 1);
    assert_eq!(consumer.lag(partition).unwrap(), Some(4));
    take(&consumer, 1);
    let none_comes = || assert!(consumer.poll(Duration::from_millis(10)).unwrap().is_empty());
    wait_until("the position is behind the marker", || {
        none_comes();
        consumer.position(partition).unwrap() == 5
    });
    assert_eq!(consumer.lag(partition).unwrap(), Some(0));
    broker.append_transactional("t", 0, 1, ["open"]);
    broker.append("t", 0, ["behind"]);
    wait_until("the high watermark is told", || {
        none_comes();
        consumer.highwater(partition).unwrap() == Some(7)
    });
    assert_eq!(consumer.lag(partition).unwrap(), Some(0), "nothing more is to be had yet");
    broker.append_marker("t", 0, 1, Marker::Commit);
    assert_eq!(offsets(&take(&consumer, 2)), [5, 6]);
}
