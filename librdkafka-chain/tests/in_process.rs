//! librdkafka's producers, consumers and group work on the in-process broker as they are: no version is pinned.
use std::{
    collections::BTreeSet,
    sync::Mutex,
    time::{Duration, Instant},
};

use kafka_blocking::{
    protocol::{
        Request, api_versions::ApiVersionsRequest, fetch::FetchRequest,
        init_producer_id::InitProducerIdRequest, produce::ProduceRequest,
    },
    testing::{GroupState, ScriptedBroker},
};
use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, Producer},
};

#[test]
fn members_that_come_and_go_share_a_topic_and_a_new_one_goes_on_where_they_were() {
    let broker = ScriptedBroker::cluster(2);
    broker.create_topic("t", PARTITIONS);
    let servers = broker.addresses();
    write(&servers, 0..100);

    let first = consumer(&servers);
    let mut got = read(&[&first], 100);
    let second = consumer(&servers);
    until("they share", || {
        let nothing = [&first, &second].into_iter().find_map(|c| c.poll(TICK));
        assert!(nothing.is_none(), "what the first has read and committed comes again");
        [&first, &second].iter().all(|c| c.assignment().is_ok_and(|a| a.count() == PARTITIONS / 2))
    });
    write(&servers, 100..200);
    got.extend(read(&[&first, &second], 100));
    assert_eq!(got, numbers(0..200));
    broker.wait_for_group("g", |group| group.is_stable_with(2));

    drop(second);
    until("the first has all", || {
        first.poll(TICK);
        first.assignment().is_ok_and(|a| a.count() == PARTITIONS)
    });
    write(&servers, 200..240);
    assert_eq!(read(&[&first], 40), numbers(200..240));
    first.commit_consumer_state(CommitMode::Sync).unwrap();
    drop(first);
    let group = broker.wait_for_group("g", |group| group.state == GroupState::Empty);
    let partitions = 0..i32::try_from(PARTITIONS).unwrap();
    let committed: i64 = partitions.filter_map(|p| group.committed(("t", p))).sum();
    assert_eq!(committed, 240);

    write(&servers, 240..250);
    let third = consumer(&servers);
    assert_eq!(read(&[&third], 10), numbers(240..250));
}

#[test]
fn it_asks_for_versions_and_uses_the_newest_that_it_has_itself() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", PARTITIONS);
    write(&broker.address(), 0..10);
    read(&[&consumer(&broker.address())], 10);
    let newest = |key| {
        let requests = broker.requests();
        let of_api = requests.iter().filter(|r| r.header.api_key == key);
        of_api.map(|r| r.header.api_version).max()
    };
    assert!(newest(ApiVersionsRequest::KEY) >= Some(3));
    assert!(newest(ProduceRequest::KEY) >= Some(7));
    assert!(newest(FetchRequest::KEY) >= Some(11));
}

#[test]
fn transactions_are_read_when_they_are_committed_and_take_offsets_along() {
    let broker = ScriptedBroker::cluster(2);
    broker.create_topic("in", 1);
    broker.create_topic("t", PARTITIONS);
    broker.append("in", 0, ["1", "2", "3"]);
    let servers = broker.addresses();
    let source = consumer_of(&servers, "source", "in");
    assert_eq!(read(&[&source], 3), numbers(1..4));

    let producer: BaseProducer = config(&servers).set("transactional.id", "x").create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    for (numbers, commits) in [(0..10, true), (10..20, false), (20..30, true)] {
        producer.begin_transaction().unwrap();
        send(&producer, numbers);
        if commits {
            let mut offsets = TopicPartitionList::new();
            offsets.add_partition_offset("in", 0, Offset::Offset(3)).unwrap();
            let group = source.group_metadata().unwrap();
            producer.send_offsets_to_transaction(&offsets, &group, PATIENCE).unwrap();
            producer.commit_transaction(PATIENCE).unwrap();
        } else {
            producer.flush(PATIENCE).unwrap();
            producer.abort_transaction(PATIENCE).unwrap();
        }
    }
    let expected: BTreeSet<u32> = (0..10).chain(20..30).collect();
    assert_eq!(read(&[&consumer(&servers)], 20), expected);
    assert_eq!(broker.group("source").view().committed(("in", 0)), Some(3));
}

#[test]
fn an_idempotent_producer_writes_each_record_once_although_answers_are_lost() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", PARTITIONS);
    broker.on::<ProduceRequest>().after(1).times(2).close();
    let producer: BaseProducer =
        config(&broker.address()).set("enable.idempotence", "true").create().unwrap();
    for begin in [0, 20, 40] {
        send(&producer, begin..begin + 20);
        producer.flush(PATIENCE).unwrap();
    }
    assert_eq!(broker.requests_of::<InitProducerIdRequest>().len(), 1);
    assert!(broker.requests_of::<ProduceRequest>().len() > 3);
    let consumer = consumer(&broker.address());
    assert_eq!(read(&[&consumer], 60), numbers(0..60));
    let ends = (0..i32::try_from(PARTITIONS).unwrap())
        .map(|p| consumer.fetch_watermarks("t", p, PATIENCE).unwrap().1);
    assert_eq!(ends.sum::<i64>(), 60);
}

#[test]
fn groups_metadata_and_offsets_are_told_as_they_are() {
    let broker = ScriptedBroker::cluster(2);
    broker.create_topic("t", PARTITIONS);
    write(&broker.addresses(), 0..8);
    let consumer = consumer(&broker.addresses());
    read(&[&consumer], 8);
    let metadata = consumer.fetch_metadata(None, PATIENCE).unwrap();
    assert_eq!((metadata.brokers().len(), metadata.topics().len()), (2, 1));
    let groups = consumer.fetch_group_list(None, PATIENCE).unwrap();
    let told: Vec<_> =
        groups.groups().iter().map(|g| (g.name(), g.state(), g.members().len())).collect();
    assert_eq!(told, [("g", "Stable", 1)]);
    let by_time = consumer.offsets_for_timestamp(0, PATIENCE).unwrap();
    assert!(by_time.elements().iter().all(|e| e.offset() == Offset::Offset(0)), "{by_time:?}");
}

/// It has SCRAM only where it is built with OpenSSL, and here it is not.
#[test]
fn it_logs_in_with_a_password_and_hears_of_a_wrong_one() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", PARTITIONS);
    broker.add_user("PLAIN", "alice", "alice-secret");
    let client = |password: &str| -> BaseConsumer<Told> {
        let mut config = config(&broker.address());
        config.set("security.protocol", "SASL_PLAINTEXT").set("sasl.mechanism", "PLAIN");
        config.set("sasl.username", "alice").set("sasl.password", password);
        config.create_with_context(Told::default()).unwrap()
    };
    let metadata = client("alice-secret").fetch_metadata(None, PATIENCE).unwrap();
    assert_eq!(metadata.topics().len(), 1);
    let wrong = client("wrong");
    until("it hears why", || {
        wrong.poll(TICK);
        wrong.context().errors.lock().unwrap().iter().any(|(code, text)| {
            *code == Some(RDKafkaErrorCode::Authentication)
                && text.contains("Authentication failed: Invalid username or password")
        })
    });
}

/// What librdkafka says that is no answer to anything.
#[derive(Default)]
struct Told {
    errors: Mutex<Vec<(Option<RDKafkaErrorCode>, String)>>,
}

impl ClientContext for Told {
    fn error(&self, error: KafkaError, reason: &str) {
        self.errors.lock().unwrap().push((error.rdkafka_error_code(), reason.to_owned()));
    }
}

impl ConsumerContext for Told {}

fn config(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers);
    config
}

fn consumer(servers: &str) -> BaseConsumer {
    consumer_of(servers, "g", "t")
}

/// With all defaults, but for the beginning: of a topic that nobody has read, all is read.
fn consumer_of(servers: &str, group: &str, topic: &str) -> BaseConsumer {
    let mut config = config(servers);
    config.set("group.id", group).set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    consumer
}

/// Writes numbers to the partitions in turn, with a producer that has all defaults.
fn write(servers: &str, numbers: std::ops::Range<u32>) {
    let producer: BaseProducer = config(servers).create().unwrap();
    send(&producer, numbers);
    producer.flush(PATIENCE).unwrap();
}

fn send(producer: &BaseProducer, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let value = number.to_string();
        let partition = i32::try_from(number as usize % PARTITIONS).unwrap();
        let record = BaseRecord::<(), _>::to("t").partition(partition).payload(&value);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
}

/// Reads so many records with these consumers, each of them once.
fn read(consumers: &[&BaseConsumer], count: usize) -> BTreeSet<u32> {
    let mut got = BTreeSet::new();
    until("all is read", || {
        for message in consumers.iter().filter_map(|c| c.poll(TICK)) {
            let number = number_in(message.unwrap().payload());
            assert!(got.insert(number), "{number} comes twice");
        }
        got.len() == count
    });
    got
}

fn number_in(payload: Option<&[u8]>) -> u32 {
    let text = payload.map(String::from_utf8_lossy);
    text.and_then(|text| text.parse().ok()).expect("values are numbers")
}

fn numbers(range: std::ops::Range<u32>) -> BTreeSet<u32> {
    range.collect()
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
    }
}

const PARTITIONS: usize = 4;
const TICK: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(30);
