//! Whether logs with gaps, cut at the front, or with times out of order are read as Java reads them.
use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use kafka_blocking::{ALL_ASSIGNED, Error, KafkaConsumer};
use kafka_blocking_integration::{
    Cluster, JavaRecord, JavaTool, LogsOnFailure, Way, assert_reads_as_java,
    create_compacted_topic, lookups, open,
};
use serde_json::json;

#[test]
fn a_compacted_log_reads_as_java_reads_it_from_every_offset() {
    let (java, _logs) = single_node();
    for codec in ["none", "zstd"] {
        let topic = format!("compacted-{codec}");
        let left = create_compacted_topic(&java, &topic, codec);
        for isolation in ["read_committed", "read_uncommitted"] {
            assert_reads_as_java(&java, &topic, 1, isolation, &[]);
        }
        let consumer = open(java.bootstrap(), &topic, 1, &[]);
        let end = lookups(&consumer, &[]).unwrap()[0].end;
        assert!(end > 15, "the log goes on after the last record");
        for offset in 0..end {
            let wanted: Vec<i64> =
                left.iter().map(|record| record.offset).filter(|found| *found >= offset).collect();
            for way in Way::ALL {
                consumer.seek((topic.as_str(), 0), offset).unwrap();
                assert_eq!(consumer.position((topic.as_str(), 0)).unwrap(), offset);
                let read = way.list(&consumer).unwrap();
                assert_eq!(offsets(&read), wanted, "{topic} from {offset}, {way:?}");
            }
        }
    }
}

#[test]
fn a_log_that_is_cut_at_the_front_begins_at_its_first_record() {
    let (java, _logs) = single_node();
    java.create_topic("cut", 1, 1, &[]);
    for batch in 0..4 {
        let send = |n| json!(["send", "", {"partition": 0, "value": format!("{batch} {n}")}]);
        java.transactions("cut", &(0..5).map(send).collect(), &[]);
    }
    // In the middle of a batch: the broker sends the whole of it.
    java.delete_records("cut", 0, 7);
    assert_reads_as_java(&java, "cut", 1, "read_uncommitted", &[]);
    let at = ("cut", 0);
    let consumer = open(java.bootstrap(), "cut", 1, &[]);
    assert_eq!(consumer.position(at).unwrap(), 7);
    let found = lookups(&consumer, &[]).unwrap().remove(0);
    assert_eq!((found.beginning, found.end), (7, 20));
    for way in Way::ALL {
        consumer.seek(at, 3).unwrap();
        assert_eq!(offsets(&way.list(&consumer).unwrap()), (7..20).collect::<Vec<_>>());
        consumer.seek_to_beginning(ALL_ASSIGNED).unwrap();
        assert_eq!(offsets(&way.list(&consumer).unwrap()), (7..20).collect::<Vec<_>>());
    }

    java.delete_records("cut", 0, 20);
    let empty = open(java.bootstrap(), "cut", 1, &[]);
    assert_eq!(empty.position(at).unwrap(), 20);
    assert_eq!(lookups(&empty, &[0]).unwrap(), java.lookups("cut", &[0], &[]));
    assert_eq!(Way::Poll.list(&empty).unwrap(), []);
}

#[test]
fn a_reader_that_deletion_has_passed_follows_its_policy_without_a_silent_gap() {
    let (java, _logs) = single_node();
    java.create_topic("passed", 1, 1, &[]);
    // Far more than is buffered, each record in a batch of its own.
    java.fill("passed", RECORDS, 900_000, &[("batch.size", "1"), ("buffer.memory", "67108864")]);
    let [earliest, latest, none] = ["earliest", "latest", "none"].map(|policy| {
        let consumer = open(java.bootstrap(), "passed", 1, &[("auto_offset_reset", policy)]);
        consumer.seek(("passed", 0), 0).unwrap();
        assert_eq!(next(&consumer), Ok(0));
        consumer
    });
    let start = i64::try_from(RECORDS).unwrap() - 2;
    java.delete_records("passed", 0, start);

    let (buffered, after) = read_on_to_a_gap(&earliest);
    assert_eq!(after, Ok(start), "after {buffered} that were buffered");
    assert!(buffered + 1 < start, "it has not read all");
    assert_eq!(next(&earliest), Ok(start + 1));

    let at = ("passed", 0);
    let (buffered, refused) = read_on_to_a_gap(&none);
    let position = buffered + 1;
    assert!(position < start, "it has not read all");
    let wanted = format!("offset {position} of passed-0 is out of range");
    let refused = refused.unwrap_err();
    assert!(refused.starts_with(&wanted), "{refused}");
    assert_eq!(next(&none), Err(refused.clone()), "until the caller seeks");
    let error = none.poll(PATIENCE).unwrap_err();
    assert!(matches!(error, Error::OffsetOutOfRange { offset, .. } if offset == position));
    assert_eq!(none.poll_batch(PATIENCE).unwrap_err().to_string(), refused);
    assert_eq!(none.position(at).unwrap(), position);
    none.seek_to_beginning([at]).unwrap();
    assert_eq!((next(&none), next(&none)), (Ok(start), Ok(start + 1)));

    // What is buffered comes still; then nothing but what is new.
    let mut read = Vec::new();
    let patience = Instant::now() + PATIENCE;
    while latest.position(at).unwrap() != start + 2 {
        assert!(Instant::now() < patience, "{read:?}");
        read.extend(Way::Poll.read(&latest, Duration::from_millis(100)).unwrap());
    }
    assert_eq!(offsets(&read), (1..=i64::try_from(read.len()).unwrap()).collect::<Vec<_>>());
    assert!(read.len() < start.unsigned_abs().try_into().unwrap(), "{}", read.len());
    java.produce("passed", &json!([{"value": "new"}]), &[]);
    assert_eq!(next(&latest), Ok(start + 2));
}

#[test]
fn times_that_repeat_go_back_or_are_the_brokers_read_as_java_reads_them() {
    let (java, _logs) = single_node();
    let batches: [&[i64]; 4] = [&[5000, 5000, 4000], &[5000, 5000], &[3000, 7000, 6000], &[7000]];
    let send = |time: &i64| json!(["send", "", {"partition": 0, "timestamp": time, "value": ""}]);
    let times: Vec<i64> = (0..8).flat_map(|n| [n * 1000, n * 1000 + 1]).chain([6500]).collect();
    for codec in ["none", "gzip"] {
        let topic = format!("times-{codec}");
        java.create_topic(&topic, 1, 1, &[("retention.ms", "-1")]);
        for batch in batches {
            let settings = [("compression.type", codec)];
            java.transactions(&topic, &batch.iter().map(send).collect(), &settings);
        }
        for start in [0, 1, 4, 6] {
            java.delete_records(&topic, 0, start);
            assert_reads_as_java(&java, &topic, 1, "read_uncommitted", &[]);
            let consumer = open(java.bootstrap(), &topic, 1, &[]);
            let found = lookups(&consumer, &times).unwrap();
            assert_eq!(found, java.lookups(&topic, &times, &[]), "{topic} from {start}");
        }
        let consumer = open(java.bootstrap(), &topic, 1, &[]);
        let found = consumer.offsets_for_times([((topic.as_str(), 0), 5001)]).unwrap();
        consumer.seek((topic.as_str(), 0), found[&(&*topic, 0).into()].unwrap()).unwrap();
        assert_eq!(offsets(&Way::Next.list(&consumer).unwrap()), [6, 7, 8]);

        let topic = format!("brokers-times-{codec}");
        java.create_topic(&topic, 1, 1, &[("message.timestamp.type", "LogAppendTime")]);
        for batch in batches {
            let settings = [("compression.type", codec)];
            java.transactions(&topic, &batch.iter().map(send).collect(), &settings);
        }
        assert_reads_as_java(&java, &topic, 1, "read_uncommitted", &[]);
        let read = Way::Next.list(&open(java.bootstrap(), &topic, 1, &[])).unwrap();
        assert_eq!(read.len(), 9);
        assert!(read.iter().all(|record| record.appended && record.timestamp > 1_000_000_000_000));
    }
}

/// Reads contiguous offsets; says how many there were, and what came then.
fn read_on_to_a_gap(consumer: &KafkaConsumer) -> (i64, Result<i64, String>) {
    for wanted in 1.. {
        match next(consumer) {
            Ok(offset) if offset == wanted => {}
            other => return (wanted - 1, other),
        }
    }
    unreachable!("the log has an end")
}

/// The offset of the next record, or the error's text.
fn next(consumer: &KafkaConsumer) -> Result<i64, String> {
    let patience = Instant::now() + PATIENCE;
    while Instant::now() < patience {
        if let Some(next) = consumer.next() {
            return next.map(|record| record.offset()).map_err(|error| error.to_string());
        }
    }
    Err(format!("nothing within {PATIENCE:?}"))
}

fn offsets(records: &[JavaRecord]) -> Vec<i64> {
    records.iter().map(|record| record.offset).collect()
}

fn single_node() -> (JavaTool, LogsOnFailure<'static>) {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(|| Cluster::release("4.4.0").start());
    (JavaTool::start(cluster.bootstrap()), cluster.logs_on_failure())
}

const RECORDS: u64 = 40;
const PATIENCE: Duration = Duration::from_secs(20);
