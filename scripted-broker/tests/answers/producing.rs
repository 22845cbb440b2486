//! What producers get: offsets, and errors where Kafka has them; with transactions, what readers then see.

use kafka_blocking::{
    ErrorCode,
    protocol::{
        add_offsets_to_txn::AddOffsetsToTxnRequest,
        add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnTopic},
        api_versions::ApiVersionsRequest,
        end_txn::EndTxnRequest,
        fetch::FetchRequest,
        init_producer_id::InitProducerIdRequest,
        offset_fetch::OffsetFetchRequest,
        produce::{
            PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData,
        },
        txn_offset_commit::{
            TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
        },
    },
    records::BatchWriter,
    wire::Uuid,
};
use scripted_broker::ScriptedBroker;

use crate::support::{Client, fetch};

/// The last version in which topics have names, and a transaction has to be told of its partitions first.
const V: i16 = 11;

fn broker() -> (ScriptedBroker, Client) {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 2);
    let client = Client::to(&broker);
    (broker, client)
}

/// A batch of so many records.
fn batch(records: i64, change: impl FnOnce(&mut BatchWriter)) -> Vec<u8> {
    let mut batch = BatchWriter::new(0);
    change(&mut batch);
    for offset in 0..records {
        batch.append(offset, 1, None, Some(b"value"), &[]);
    }
    batch.finish().unwrap()
}

/// A batch of a producer with this id and epoch.
fn of((id, epoch): (i64, i16), sequence: i32, records: i64) -> Vec<u8> {
    batch(records, |b| {
        (b.producer_id, b.producer_epoch, b.base_sequence) = (id, epoch, sequence);
    })
}

fn request(partition: i32, bytes: Vec<u8>) -> ProduceRequest {
    let data = PartitionProduceData { index: partition, records: bytes.into() };
    let topic = TopicProduceData {
        name: "t".into(),
        partition_data: vec![data],
        ..TopicProduceData::default()
    };
    ProduceRequest { acks: -1, timeout_ms: 1000, topic_data: vec![topic], ..Default::default() }
}

/// The error, and the offset.
fn outcome(response: &PartitionProduceResponse) -> (ErrorCode, i64) {
    (ErrorCode(response.error_code), response.base_offset)
}

fn produce(client: &mut Client, partition: i32, bytes: Vec<u8>) -> (ErrorCode, i64) {
    let response = client.ask(V, &request(partition, bytes));
    outcome(&response.responses[0].partition_responses[0])
}

fn end(broker: &ScriptedBroker, partition: i32) -> i64 {
    broker.with_state(|state| state.partition_mut("t", partition).log.end())
}

#[test]
fn batches_are_appended_one_behind_the_other_in_every_version_that_has_them() {
    let (broker, mut client) = broker();
    let id = broker.with_state(|state| state.topics["t"].id);
    for (count, version) in (0..).zip(3..=13) {
        let mut request = request(0, batch(2, |_| {}));
        request.topic_data[0].topic_id = id;
        let response = client.ask(version, &request);
        let got = &response.responses[0].partition_responses[0];
        assert_eq!(outcome(got), (ErrorCode::NONE, 2 * count), "v{version}");
    }
    assert_eq!((end(&broker, 0), end(&broker, 1)), (22, 0));
}

#[test]
fn nothing_answers_who_wants_no_answer_and_what_comes_next_is_answered() {
    let (broker, mut client) = broker();
    let request = ProduceRequest { acks: 0, ..request(0, batch(3, |_| {})) };
    client.send(V, &request);
    let versions = client.ask(0, &ApiVersionsRequest::default());
    assert_eq!(versions.error_code, 0);
    assert_eq!(end(&broker, 0), 3);
}

#[test]
fn what_cannot_be_appended_is_refused_and_leaves_no_trace() {
    let (broker, mut client) = broker();
    let flipped = {
        let mut bytes = batch(1, |_| {});
        *bytes.last_mut().unwrap() ^= 1;
        bytes
    };
    let twice = [batch(1, |_| {}), batch(1, |_| {})].concat();
    let cases = [
        (ErrorCode::CORRUPT_MESSAGE, flipped),
        (ErrorCode::CORRUPT_MESSAGE, batch(1, |_| {})[..70].to_vec()),
        (ErrorCode::CORRUPT_MESSAGE, twice),
        (ErrorCode::CORRUPT_MESSAGE, vec![]),
        (ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT, batch(1, |b| b.magic = 1)),
        (ErrorCode::INVALID_RECORD, batch(1, |b| b.control = true)),
        (ErrorCode::INVALID_PRODUCER_ID_MAPPING, batch(1, |b| b.transactional = true)),
    ];
    for (code, bytes) in cases {
        assert_eq!(produce(&mut client, 0, bytes), (code, -1));
    }
    let missing = produce(&mut client, 7, batch(1, |_| {}));
    assert_eq!(missing, (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, -1));
    let mut unknown = request(0, batch(1, |_| {}));
    unknown.topic_data[0].topic_id = Uuid([9; 16]);
    let response = client.ask(13, &unknown);
    let got = outcome(&response.responses[0].partition_responses[0]);
    assert_eq!(got, (ErrorCode::UNKNOWN_TOPIC_ID, -1));
    broker.with_state(|state| state.move_leader("t", 0, None));
    let elsewhere = produce(&mut client, 0, batch(1, |_| {}));
    assert_eq!(elsewhere, (ErrorCode::NOT_LEADER_OR_FOLLOWER, -1));
    assert_eq!(end(&broker, 0), 0);
}

#[test]
fn a_rule_refuses_what_it_names_and_nothing_is_appended() {
    let (broker, mut client) = broker();
    broker.on::<ProduceRequest>().once().fail(ErrorCode::NOT_ENOUGH_REPLICAS);
    let refused = produce(&mut client, 0, batch(1, |_| {}));
    assert_eq!(refused, (ErrorCode::NOT_ENOUGH_REPLICAS, -1));
    assert_eq!(produce(&mut client, 0, batch(1, |_| {})), (ErrorCode::NONE, 0));
}

#[test]
fn a_batch_that_is_sent_again_stands_once_and_a_gap_is_refused() {
    let (broker, mut client) = broker();
    let new = client.ask(4, &InitProducerIdRequest::default());
    let me = (new.producer_id, new.producer_epoch);
    assert_eq!(produce(&mut client, 0, of(me, 0, 3)), (ErrorCode::NONE, 0));
    assert_eq!(produce(&mut client, 0, of(me, 3, 2)), (ErrorCode::NONE, 3));
    assert_eq!(produce(&mut client, 0, of(me, 0, 3)), (ErrorCode::NONE, 0), "sent again");
    assert_eq!(produce(&mut client, 0, of(me, 3, 2)), (ErrorCode::NONE, 3), "sent again");
    let gap = produce(&mut client, 0, of(me, 6, 1)).0;
    assert_eq!(gap, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(produce(&mut client, 1, of(me, 0, 1)), (ErrorCode::NONE, 0), "its own sequence");
    let newer = (me.0, me.1 + 1);
    let late = produce(&mut client, 0, of(newer, 5, 1)).0;
    assert_eq!(late, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, "a new epoch begins at 0");
    assert_eq!(produce(&mut client, 0, of(newer, 0, 1)), (ErrorCode::NONE, 5));
    assert_eq!(produce(&mut client, 0, of(me, 5, 1)).0, ErrorCode::INVALID_PRODUCER_EPOCH);
    assert_eq!(end(&broker, 0), 6);
}

#[test]
fn behind_the_largest_sequence_number_comes_0() {
    let (_broker, mut client) = broker();
    let me = (1, 0);
    assert_eq!(produce(&mut client, 0, of(me, i32::MAX - 1, 2)), (ErrorCode::NONE, 0));
    assert_eq!(produce(&mut client, 0, of(me, 0, 1)), (ErrorCode::NONE, 2));
    assert_eq!(produce(&mut client, 0, of(me, i32::MAX - 1, 2)), (ErrorCode::NONE, 0));
    // One batch may go over the end.
    assert_eq!(produce(&mut client, 1, of(me, i32::MAX, 2)), (ErrorCode::NONE, 0));
    assert_eq!(produce(&mut client, 1, of(me, 1, 1)), (ErrorCode::NONE, 2));
}

// Transactions

fn begin(client: &mut Client) -> (i64, i16) {
    let ask = InitProducerIdRequest { transactional_id: Some("x".into()), ..Default::default() };
    let got = client.ask(4, &ask);
    assert_eq!(got.error_code, 0);
    (got.producer_id, got.producer_epoch)
}

fn add(client: &mut Client, (id, epoch): (i64, i16)) -> ErrorCode {
    let request = AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: "x".into(),
        v3_and_below_producer_id: id,
        v3_and_below_producer_epoch: epoch,
        v3_and_below_topics: vec![AddPartitionsToTxnTopic {
            name: "t".into(),
            partitions: vec![0],
        }],
        ..Default::default()
    };
    let response = client.ask(3, &request);
    let result = &response.results_by_topic_v3_and_below[0].results_by_partition[0];
    ErrorCode(result.partition_error_code)
}

fn finish(client: &mut Client, (id, epoch): (i64, i16), committed: bool) -> ErrorCode {
    let request = EndTxnRequest {
        transactional_id: "x".into(),
        producer_id: id,
        producer_epoch: epoch,
        committed,
    };
    ErrorCode(client.ask(3, &request).error_code)
}

fn transactional(me: (i64, i16), sequence: i32) -> Vec<u8> {
    batch(1, |b| {
        b.transactional = true;
        (b.producer_id, b.producer_epoch, b.base_sequence) = (me.0, me.1, sequence);
    })
}

/// The last stable offset, and where what was aborted began.
fn seen(client: &mut Client) -> (i64, Vec<i64>) {
    let request = FetchRequest { isolation_level: 1, ..fetch(11, &[(0, 0)]) };
    let data = crate::ask_one(client, 11, &request);
    let aborted = data.aborted_transactions.unwrap_or_default();
    (data.last_stable_offset, aborted.iter().map(|a| a.first_offset).collect())
}

#[test]
fn readers_see_what_a_transaction_has_committed_and_hear_of_what_it_has_aborted() {
    let (broker, mut client) = broker();
    let me = begin(&mut client);
    let early = produce(&mut client, 0, transactional(me, 0)).0;
    assert_eq!(early, ErrorCode::INVALID_TXN_STATE, "the coordinator is to be told first");
    assert_eq!(add(&mut client, me), ErrorCode::NONE);
    assert_eq!(produce(&mut client, 0, transactional(me, 0)), (ErrorCode::NONE, 0));
    assert_eq!(seen(&mut client), (0, vec![]));
    assert_eq!(finish(&mut client, me, true), ErrorCode::NONE);
    assert_eq!(seen(&mut client), (2, vec![]), "with its marker");
    assert_eq!(add(&mut client, me), ErrorCode::NONE);
    assert_eq!(produce(&mut client, 0, transactional(me, 1)), (ErrorCode::NONE, 2));
    assert_eq!(finish(&mut client, me, false), ErrorCode::NONE);
    assert_eq!(seen(&mut client), (4, vec![2]));
    assert_eq!(end(&broker, 1), 0, "no marker where nothing was written");
}

#[test]
fn a_producer_that_begins_anew_fences_the_one_before_and_aborts_what_it_left_open() {
    let (_broker, mut client) = broker();
    let old = begin(&mut client);
    assert_eq!(add(&mut client, old), ErrorCode::NONE);
    assert_eq!(produce(&mut client, 0, transactional(old, 0)), (ErrorCode::NONE, 0));
    let new = begin(&mut client);
    assert_eq!(new, (old.0, old.1 + 1));
    assert_eq!(seen(&mut client), (2, vec![0]));
    assert_eq!(add(&mut client, old), ErrorCode::PRODUCER_FENCED);
    assert_eq!(finish(&mut client, old, true), ErrorCode::PRODUCER_FENCED);
    let fenced = produce(&mut client, 0, transactional(old, 1)).0;
    assert_eq!(fenced, ErrorCode::INVALID_PRODUCER_EPOCH);
    let stranger = (99, 0);
    assert_eq!(add(&mut client, stranger), ErrorCode::INVALID_PRODUCER_ID_MAPPING);
}

#[test]
fn offsets_of_a_transaction_are_committed_with_it_and_not_stable_before() {
    let (broker, mut client) = broker();
    let me = begin(&mut client);
    for (offset, committed) in [(5, true), (9, false)] {
        let to_add = AddOffsetsToTxnRequest {
            transactional_id: "x".into(),
            producer_id: me.0,
            producer_epoch: me.1,
            group_id: "g".into(),
        };
        assert_eq!(client.ask(3, &to_add).error_code, 0);
        let partition =
            TxnOffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
        let topic = TxnOffsetCommitRequestTopic {
            name: "t".into(),
            partitions: vec![partition],
            ..Default::default()
        };
        let to_commit = TxnOffsetCommitRequest {
            transactional_id: "x".into(),
            group_id: "g".into(),
            producer_id: me.0,
            producer_epoch: me.1,
            topics: vec![topic],
            ..Default::default()
        };
        let response = client.ask(3, &to_commit);
        assert_eq!(response.topics[0].partitions[0].error_code, 0);
        let ask = OffsetFetchRequest {
            group_id: "g".into(),
            topics: None,
            require_stable: true,
            ..Default::default()
        };
        let before = broker.group("g").view().committed(("t", 0));
        assert_eq!(before, if committed { None } else { Some(5) });
        if before.is_some() {
            let found = client.ask(7, &ask);
            let code = ErrorCode(found.topics[0].partitions[0].error_code);
            assert_eq!(code, ErrorCode::UNSTABLE_OFFSET_COMMIT);
        }
        assert_eq!(finish(&mut client, me, committed), ErrorCode::NONE);
        let found = client.ask(7, &ask);
        assert_eq!(found.topics[0].partitions[0].committed_offset, 5, "{offset}");
    }
}
