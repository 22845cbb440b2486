//! What becomes of compressed batches, with the codecs that this build has and with those that it is without.

use kafka_blocking::{
    Error, TopicPartition,
    records::{BatchWriter, Codec},
};
use scripted_broker::ScriptedBroker;
use support::{LONG, builder};

mod support;

/// Every codec that Kafka has: its number, its name, and whether this build has it.
const CODECS: [(u8, &str, bool); 4] = [
    (1, "gzip", cfg!(feature = "gzip")),
    (2, "snappy", cfg!(feature = "snappy")),
    (3, "lz4", cfg!(feature = "lz4")),
    (4, "zstd", cfg!(feature = "zstd")),
];

#[test]
fn a_batch_of_each_codec_of_this_build_is_read() {
    for (number, name, _) in CODECS.iter().filter(|(_, _, has)| *has) {
        let mut writer = BatchWriter::new(0);
        writer.codec = Codec::from_id(*number).expect("a codec of Kafka");
        writer.append(0, 0, None, Some(name.repeat(100).as_bytes()), &[]);
        let broker = broker_with_batch(writer.finish().unwrap());
        let consumer = builder(broker.address()).topics("t").build().unwrap();
        let values: Vec<_> =
            support::take(&consumer, 3).iter().map(|r| r.value().unwrap().to_vec()).collect();
        assert_eq!(values[1], name.repeat(100).as_bytes(), "{name}");
        assert_eq!((values[0].as_slice(), values[2].as_slice()), (&b"before"[..], &b"after"[..]));
    }
}

#[test]
fn behaviour_26_a_batch_of_a_codec_that_this_build_is_without_is_an_error_of_poll() {
    // The numbers that mean nothing, so that this is tested in a build with all codecs as well.
    let unknown = [(5, "5", false), (6, "6", false), (7, "7", false)];
    for (number, name, _) in CODECS.iter().chain(&unknown).filter(|(_, _, has)| !*has) {
        let mut batch = scripted_broker::encode_batch(&["cannot be read".into()]);
        batch[22] = *number;
        let crc = crc32c::crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        let broker = broker_with_batch(batch);
        let consumer = builder(broker.address()).topics("t").build().unwrap();

        let before: Vec<_> =
            consumer.poll(LONG).unwrap().into_iter().flat_map(|(_, records)| records).collect();
        assert_eq!(before[0].value(), Some(&b"before"[..]));
        assert_eq!(before.len(), 1, "what stands before it comes first");
        for _ in 0..2 {
            let error = consumer.poll(LONG).unwrap_err();
            let Error::UnsupportedCodec { partition, offset, codec, .. } = &error else {
                panic!("{name}: {error}")
            };
            assert_eq!((partition, *offset), (&TopicPartition::new("t", 0), 1));
            assert_eq!(&**codec, *name);
            assert!(error.to_string().contains("t-0 at offset 1"), "{error}");
            assert_eq!(consumer.position(("t", 0)).unwrap(), 1, "the position stays");
            assert_eq!(error.next_position(), Some((TopicPartition::new("t", 0), 2)));
        }
        consumer.seek(("t", 0), 2).unwrap();
        assert_eq!(support::take(&consumer, 1)[0].value(), Some(&b"after"[..]));
    }
}

/// A broker whose topic `t` has a record, this batch of one record, and a record.
fn broker_with_batch(batch: Vec<u8>) -> ScriptedBroker {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    broker.append("t", 0, ["before"]);
    broker.append_batch("t", 0, batch);
    broker.append("t", 0, ["after"]);
    broker
}
