//! The way to the next topic: librdkafka's producer, and whether everything was acknowledged.
use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use kafka_blocking::ConsumerRecord;
use rdkafka::{
    ClientConfig, ClientContext, Message,
    error::{KafkaError, RDKafkaErrorCode},
    message::DeliveryResult,
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
};

/// What is written on: a key, which also says to which partition it goes, and a value.
pub trait Keyed {
    /// The key.
    fn key(&self) -> &[u8];
    /// The value.
    fn value(&self) -> &[u8];
}

impl Keyed for ConsumerRecord {
    fn key(&self) -> &[u8] {
        self.key().expect("all have one")
    }

    fn value(&self) -> &[u8] {
        self.value().expect("all have one")
    }
}

impl Keyed for (String, String) {
    fn key(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn value(&self) -> &[u8] {
        self.1.as_bytes()
    }
}

/// An idempotent producer for one topic, with `acks=all`.
pub struct Outlet {
    producer: ThreadedProducer<Deliveries>,
    topic: String,
}

#[derive(Default)]
struct Deliveries {
    acknowledged: AtomicUsize,
    failure: Mutex<Option<String>>,
}

impl Outlet {
    /// For a topic.
    pub fn new(servers: &str, topic: &str) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers).set("enable.idempotence", "true");
        config.set("acks", "all").set("linger.ms", "5");
        let producer = config.create_with_context(Deliveries::default());
        let producer = producer.expect("librdkafka takes these settings");
        Self { producer, topic: topic.to_owned() }
    }

    /// Writes these, and returns when all of them are acknowledged.
    pub fn write(&self, records: &[impl Keyed]) {
        let before = self.producer.context().acknowledged.load(Ordering::SeqCst);
        for record in records {
            let mut record = BaseRecord::to(&self.topic).key(record.key()).payload(record.value());
            while let Err((error, back)) = self.producer.send(record) {
                let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
                assert_eq!(error, full, "librdkafka takes every record");
                self.producer.flush(Duration::from_millis(10)).ok();
                record = back;
            }
        }
        self.producer.flush(PATIENCE).expect("all is written in time");
        let deliveries = self.producer.context();
        let failure = deliveries.failure.lock().expect("no thread panicked").take();
        assert_eq!(failure, None, "a record was not written to {}", self.topic);
        let acknowledged = deliveries.acknowledged.load(Ordering::SeqCst) - before;
        assert_eq!(acknowledged, records.len(), "not all was acknowledged in {}", self.topic);
    }
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => drop(self.acknowledged.fetch_add(1, Ordering::SeqCst)),
            Err((error, message)) => {
                let text = format!("{error}, key {:?}", message.key());
                *self.failure.lock().expect("no thread panicked") = Some(text);
            }
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
