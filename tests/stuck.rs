//! Whether a partition that cannot go on without the caller keeps others from being read.

mod support;

use std::time::Duration;

use kafka_blocking::{Error, KafkaConsumer};
use support::{append, broker_with, builder, wait_until};

#[test]
fn a_partition_without_a_position_does_not_keep_another_from_being_read() {
    let broker = broker_with(2, 3);
    let consumer = builder(broker.address()).auto_offset_reset("none").build().unwrap();
    consumer.assign([("t", 0), ("t", 1)]).unwrap();
    consumer.seek(("t", 1), 0).unwrap();
    assert_comes(&consumer, [0, 1, 2]);
    append(&broker, 1, 1);
    assert_comes(&consumer, [3]);
}

/// Polls until these records of partition 1 came, between errors about partition 0.
fn assert_comes<const N: usize>(consumer: &KafkaConsumer, wanted: [i64; N]) {
    let mut read = Vec::new();
    let mut errors = 0;
    wait_until("records between errors", || {
        match consumer.poll(Duration::ZERO) {
            Ok(polled) => {
                read.extend(
                    polled.into_records().map(|record| (record.partition(), record.offset())),
                );
            }
            Err(Error::NoOffsetForPartition { partition }) => {
                assert_eq!(partition, ("t", 0).into());
                errors += 1;
            }
            Err(other) => panic!("{other}"),
        }
        read.len() >= N && errors > 0
    });
    assert_eq!(read, wanted.map(|offset| (1, offset)));
}
