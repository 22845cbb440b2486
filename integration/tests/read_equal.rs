//! Whether a big topic reads back equal, field by field, to what Java and kafka-python read.
use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs::File,
    io::{BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use kafka_blocking::{ConsumerRecord, KafkaConsumer};
use kafka_blocking_integration::{
    Cluster, JavaTool, PartitionDigest, PartitionDigester, dump_with_kafka_python, line,
    read_with_kafka_python,
};

#[test]
fn plain_records_read_as_java_and_kafka_python_read_them() {
    assert_reads_equal("none");
}

#[test]
fn gzip_records_read_as_java_and_kafka_python_read_them() {
    assert_reads_equal("gzip");
}

#[test]
fn snappy_records_read_as_java_and_kafka_python_read_them() {
    assert_reads_equal("snappy");
}

#[test]
fn lz4_records_read_as_java_and_kafka_python_read_them() {
    assert_reads_equal("lz4");
}

#[test]
fn zstd_records_read_as_java_and_kafka_python_read_them() {
    assert_reads_equal("zstd");
}

fn assert_reads_equal(codec: &str) {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(|| Cluster::release("4.4.0").start());
    let _logs = cluster.logs_on_failure();
    // A process of its own, so that tests of several codecs do not wait for each other.
    let java = JavaTool::start(cluster.bootstrap());
    let records = env::var("READ_EQUAL_RECORDS")
        .map_or(50_000, |text| text.parse().expect("READ_EQUAL_RECORDS is a number"));
    // The data is from 2023, and must not be deleted as too old while it is read.
    java.create_topic(codec, PARTITIONS, 1, &[("retention.ms", "-1")]);
    java.produce_dataset(codec, codec, PARTITIONS, records, (records / 5_000).max(20));

    let expected = java.read(codec);
    let count = |field: fn(&PartitionDigest) -> u64| expected.iter().map(field).sum::<u64>();
    assert_eq!(count(|partition| partition.records), records, "{codec}: what Java reads");
    let appended = count(|partition| partition.appended);
    assert!(
        appended > 0 && appended < records,
        "{codec}: {appended} records have the broker's timestamp"
    );
    assert_same(
        "kafka-python",
        cluster,
        codec,
        &expected,
        &read_with_kafka_python(cluster.bootstrap(), codec),
    );
    assert_same("kafka-blocking", cluster, codec, &expected, &read(cluster.bootstrap(), codec));
}

fn read(bootstrap: &str, topic: &str) -> Vec<PartitionDigest> {
    let mut digests: BTreeMap<i32, PartitionDigester> =
        (0..PARTITIONS).map(|partition| (partition, PartitionDigester::new(partition))).collect();
    for_each_record(bootstrap, topic, 0..PARTITIONS, |record| {
        digests.get_mut(&record.partition()).expect("only these are assigned").add(&record.into());
    });
    digests.into_values().map(PartitionDigester::finish).collect()
}

fn for_each_record(
    bootstrap: &str,
    topic: &str,
    partitions: impl Iterator<Item = i32>,
    mut each: impl FnMut(&ConsumerRecord),
) {
    let consumer = KafkaConsumer::builder()
        .bootstrap_servers(bootstrap)
        .auto_offset_reset("earliest")
        .consumer_timeout_ms(5_000)
        .build()
        .expect("the broker is there");
    consumer.assign(partitions.map(|partition| (topic, partition))).expect("the topic is there");
    for record in &consumer {
        each(&record.expect("all records can be read"));
    }
}

/// Compares digests, and if they differ looks for the first record that does.
fn assert_same(
    reader: &str,
    cluster: &Cluster,
    topic: &str,
    expected: &[PartitionDigest],
    found: &[PartitionDigest],
) {
    let Some((wanted, got)) = expected.iter().zip(found).find(|(wanted, got)| wanted != got) else {
        assert_eq!(found.len(), expected.len(), "{topic}: partitions that {reader} read");
        return;
    };
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let file = |name: &str| folder.join(format!("{topic}-{}-{name}.txt", wanted.partition));
    let (java, other) = (file("java"), file(reader));
    cluster.java().dump(topic, wanted.partition, &java);
    if reader == "kafka-python" {
        dump_with_kafka_python(cluster.bootstrap(), topic, wanted.partition, &other);
    } else {
        dump(cluster.bootstrap(), topic, wanted.partition, &other);
    }
    let mut report = format!("{topic}: Java found {wanted:?}\n{reader} found {got:?}\n");
    match first_difference(&java, &other) {
        Some((one, two)) => write!(report, "the first record that differs:\n{one}\n{two}")
            .expect("a String takes all"),
        None => report.push_str("read once more, they are the same"),
    }
    panic!("{report}");
}

fn dump(bootstrap: &str, topic: &str, partition: i32, file: &Path) {
    let mut out = File::create(file).expect("the test's folder can be written");
    for_each_record(bootstrap, topic, partition..partition + 1, |record| {
        writeln!(out, "{}", line(&record.into())).expect("the test's folder can be written");
    });
}

fn first_difference(one: &Path, two: &Path) -> Option<(String, String)> {
    let lines = |file: &Path| {
        BufReader::new(File::open(file).expect("it was just written")).lines().map_while(Result::ok)
    };
    let end = || "(no more records)".to_owned();
    let (mut one, mut two) = (lines(one), lines(two));
    loop {
        match (one.next(), two.next()) {
            (None, None) => return None,
            (a, b) if a == b => {}
            (a, b) => return Some((a.unwrap_or_else(end), b.unwrap_or_else(end))),
        }
    }
}

const PARTITIONS: i32 = 6;
