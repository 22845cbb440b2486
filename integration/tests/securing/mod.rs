//! What the tests of TLS share: a broker in the process behind a server of TLS, and what its clients come to.
use kafka_blocking::{KafkaConsumer, Result, testing::ScriptedBroker};
use kafka_blocking_integration::{
    certificates::{Authority, Identity, Subject},
    refusal,
    tls_front::{Serving, TlsFront},
};

use scripted_broker::watch_logs;

const RECORDS: i64 = 3;

/// A broker with a topic `t` of three records, and what stands in front of it.
pub(crate) struct Bed {
    pub(crate) broker: ScriptedBroker,
    pub(crate) front: TlsFront,
    pub(crate) authority: Authority,
}

impl Bed {
    /// Shows whatever this makes.
    pub(crate) fn with(serving: impl FnOnce(&Authority) -> Serving) -> Self {
        watch_logs();
        let authority = Authority::new("Trusted");
        let broker = ScriptedBroker::start();
        broker.create_topic("t", 1);
        broker.append("t", 0, ["0", "1", "2"]);
        let front = TlsFront::start(broker.address_of(1), serving(&authority));
        broker.set_advertised(1, "localhost", front.port());
        Self { broker, front, authority }
    }

    /// One more certificate of the trusted authority, for `localhost`.
    pub(crate) fn identity(&self) -> Identity {
        self.authority.issue(&Subject::localhost())
    }

    /// Tries to build a consumer that trusts the authority.
    pub(crate) fn build(&self, options: &[(&str, &str)]) -> Result<KafkaConsumer> {
        let ca = self.authority.pem();
        let mut all = vec![("ssl_cafile", ca.as_str())];
        all.extend(options);
        build(&self.front.address(), "SSL", &all)
    }

    /// What is wrong with it: the words of the refusal, which comes soon, and names the node and the step.
    pub(crate) fn refusal(&self, options: &[(&str, &str)]) -> String {
        let reason = refusal(&self.front.address(), "TLS handshake", || self.build(options));
        // Nothing of Kafka's protocol, and no password, went to whoever is there.
        assert_eq!(self.front.forwarded(), 0, "{reason}");
        reason
    }

    /// Reads all there is.
    pub(crate) fn read(&self, options: &[(&str, &str)]) {
        let consumer = self.build(options).expect("the certificate is good");
        read(&consumer);
        assert!(self.front.forwarded() > 0 && self.broker.connections(1) > 0);
    }
}

/// Tries to build a consumer of the topic `t`.
pub(crate) fn build(
    servers: &str,
    protocol: &str,
    options: &[(&str, &str)],
) -> Result<KafkaConsumer> {
    let builder = KafkaConsumer::builder()
        .bootstrap_servers(servers)
        .security_protocol(protocol)
        .bootstrap_timeout_ms(10_000)
        .consumer_timeout_ms(10_000)
        .auto_offset_reset("earliest")
        .topics("t");
    options.iter().fold(builder, |builder, (name, value)| builder.set(name, value)).build()
}

/// Reads the records of the topic `t`.
pub(crate) fn read(consumer: &KafkaConsumer) {
    for offset in 0..RECORDS {
        let record = consumer.next().expect("there is one more").expect("it can be read");
        assert_eq!(record.offset(), offset);
    }
}
