//! Logging in: what users are told when it fails, and that it is repeated in time.

#![allow(clippy::disallowed_methods, reason = "tests look at how long calls take")]

use std::{
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use kafka_blocking::{
    BoxError, ConsumerBuilder, ConsumerRecords, Error, KafkaConsumer, SaslMechanism, SaslSession,
    SaslStep,
    protocol::{
        api_versions::ApiVersionsRequest, fetch::FetchRequest,
        sasl_authenticate::SaslAuthenticateRequest, sasl_handshake::SaslHandshakeRequest,
    },
};
use scripted_broker::{ScriptedBroker, watch_logs};

/// What a broker is told to do.
type Script = fn(&ScriptedBroker);

/// Long enough for any attempt of a busy machine, and far less than the time-outs of a test that hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whatever is done with it, nobody logs a secret.
fn broker() -> ScriptedBroker {
    watch_logs();
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    broker.append("t", 0, ["a", "b", "c"]);
    broker.add_user("PLAIN", "alice", "secret-of-alice");
    broker
}

fn builder(broker: &ScriptedBroker) -> ConsumerBuilder {
    KafkaConsumer::builder()
        .bootstrap_servers(broker.address())
        .topics("t")
        .auto_offset_reset("earliest")
        .security_protocol("SASL_PLAINTEXT")
}

fn alice(broker: &ScriptedBroker) -> ConsumerBuilder {
    builder(broker)
        .sasl_mechanism("PLAIN")
        .sasl_plain_username("alice")
        .sasl_plain_password("secret-of-alice")
}

/// The error of an attempt to connect, which does not wait for its time to be over.
fn refused(builder: ConsumerBuilder) -> Error {
    let begin = Instant::now();
    let error = builder.bootstrap_timeout_ms(PATIENCE).build().expect_err("it is refused");
    assert!(begin.elapsed() < PATIENCE / 2, "{error}");
    error
}

/// The node, the step and the reason of a refusal.
#[track_caller]
fn refusal(error: &Error) -> (String, &'static str, String) {
    let Error::AuthenticationFailed { node, step, reason } = error else {
        panic!("{error:?}");
    };
    assert!(!error.retriable());
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    ((**node).to_owned(), step, (**reason).to_owned())
}

/// Polls until that fails.
fn poll_error(consumer: &KafkaConsumer) -> Error {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if let Err(error) = consumer.poll(Duration::from_millis(100)) {
            return error;
        }
    }
    panic!("no error within {PATIENCE:?}");
}

fn values(consumer: &KafkaConsumer, n: usize) -> Vec<String> {
    consumer
        .into_iter()
        .take(n)
        .map(|record| String::from_utf8(record.unwrap().value().unwrap().to_vec()).unwrap())
        .collect()
}

#[test]
fn whoever_logs_in_reads() {
    let broker = broker();
    let consumer = alice(&broker).build().unwrap();
    assert_eq!(values(&consumer, 3), ["a", "b", "c"]);
}

#[test]
fn fault_262_a_wrong_password_fails_the_call_at_once_and_names_the_node_the_step_and_the_cause() {
    let broker = broker();
    let error = refused(alice(&broker).sasl_plain_password("secret, wrong"));
    let (node, step, reason) = refusal(&error);
    assert_eq!((node, step), (broker.address_of(1).to_string(), "authenticating"));
    assert!(reason.starts_with("PLAIN: ") && reason.contains("Authentication failed"), "{reason}");
}

#[test]
fn fault_262_a_wrong_password_is_tried_again_with_growing_waits_only() {
    let broker = broker();
    let consumer = alice(&broker).reconnect_backoff_ms(100).build().unwrap();
    broker.add_user("PLAIN", "alice", "secret-that-is-new");
    broker.close_connections(1);
    let before = broker.requests_of::<SaslAuthenticateRequest>().len();
    let begin = Instant::now();
    let mut errors = 0;
    while begin.elapsed() < Duration::from_secs(2) {
        errors += usize::from(consumer.poll(Duration::from_millis(20)).is_err());
    }
    let tries = broker.requests_of::<SaslAuthenticateRequest>().len() - before;
    // 100, 200, 400, 800 ms, for two or three connections.
    assert!((1..=15).contains(&tries), "{tries}");
    assert!((1..=tries).contains(&errors), "{errors} of {tries}");
}

#[test]
fn fault_263_a_password_that_is_put_right_at_the_broker_is_right_without_a_restart() {
    let broker = broker();
    let consumer = alice(&broker).build().unwrap();
    assert_eq!(values(&consumer, 3), ["a", "b", "c"]);
    broker.add_user("PLAIN", "alice", "secret-that-is-new");
    broker.close_connections(1);
    refusal(&poll_error(&consumer));
    let error = consumer.end_offsets([("t", 0)]).expect_err("every call says it");
    refusal(&error);
    broker.add_user("PLAIN", "alice", "secret-of-alice");
    broker.append("t", 0, ["d"]);
    let begin = Instant::now();
    let mut got = Vec::new();
    while got.is_empty() && begin.elapsed() < PATIENCE {
        got.extend(
            consumer
                .poll(Duration::from_millis(100))
                .into_iter()
                .flat_map(ConsumerRecords::into_records),
        );
    }
    assert_eq!(got[0].value(), Some(&b"d"[..]));
}

#[test]
fn fault_264_a_mechanism_that_the_broker_has_not_is_answered_with_those_that_it_has() {
    let broker = broker();
    let (_, _, reason) =
        refusal(&refused(builder(&broker).sasl(Scripted::saying("X-OTHER", b"x"))));
    assert!(reason.starts_with("X-OTHER: ") && reason.ends_with("it has PLAIN"), "{reason}");
}

#[test]
fn a_listener_without_sasl_is_told_from_one_with_a_wrong_password() {
    let broker = ScriptedBroker::start();
    let (_, _, reason) = refusal(&refused(alice(&broker)));
    assert!(reason.contains("listener"), "{reason}");
}

#[test]
fn who_does_not_log_in_where_everybody_has_to_is_asked_whether_that_is_so() {
    let broker = broker();
    let plain = builder(&broker).security_protocol("PLAINTEXT").bootstrap_timeout_ms(400);
    let error = plain.build().unwrap_err();
    assert!(error.to_string().contains("does its listener want SASL?"), "{error}");
}

#[test]
fn fault_266_a_broker_that_closes_in_a_step_is_named_with_the_step() {
    let steps: [(&str, Script); 3] = [
        ("ApiVersions", |b| b.on::<ApiVersionsRequest>().close()),
        ("authenticating", |b| b.on::<SaslHandshakeRequest>().close()),
        ("authenticating", |b| b.on::<SaslAuthenticateRequest>().close()),
    ];
    for (step, script) in steps {
        let broker = broker();
        script(&broker);
        let error = alice(&broker).bootstrap_timeout_ms(400).build().unwrap_err();
        let Error::NoBrokersAvailable(text) = &error else { panic!("{error:?}") };
        assert!(text.contains(&broker.address_of(1).to_string()), "{text}");
        assert!(text.contains(step), "{step}: {text}");
        assert!(text.contains("closed the connection"), "{text}");
        let tries = broker.requests_of::<SaslAuthenticateRequest>().len();
        assert!(tries <= 5, "{tries} times within 400 ms");
    }
}

#[test]
fn a_broker_that_stalls_in_a_step_is_named_with_the_step() {
    let steps: [(&str, Script); 3] = [
        ("ApiVersions", |b| b.on::<ApiVersionsRequest>().silence()),
        ("authenticating", |b| b.on::<SaslHandshakeRequest>().silence()),
        ("authenticating", |b| b.on::<SaslAuthenticateRequest>().silence()),
    ];
    for (step, script) in steps {
        let broker = broker();
        script(&broker);
        let error = alice(&broker).bootstrap_timeout_ms(300).build().unwrap_err();
        let Error::NoBrokersAvailable(text) = &error else { panic!("{error:?}") };
        assert!(text.contains(step), "{step}: {text}");
    }
}

#[test]
fn fault_270_a_frame_of_100_mib_is_refused_before_the_broker_has_said_who_it_is() {
    let broker = broker();
    broker.on::<SaslAuthenticateRequest>().bytes([0x06, 0x40, 0, 0, 0, 0, 0, 2]);
    let error = alice(&broker).bootstrap_timeout_ms(300).build().unwrap_err();
    assert!(
        error.to_string().contains("104857600 bytes, where up to 524288 are allowed"),
        "{error}"
    );
}

#[test]
fn fault_267_a_broker_that_knows_only_bare_messages_is_logged_in_to() {
    let broker = broker();
    broker.on::<ApiVersionsRequest>().rewrite(|versions| {
        versions.api_keys.retain(|api| api.api_key != 36);
        for api in versions.api_keys.iter_mut().filter(|api| api.api_key == 17) {
            api.max_version = 0;
        }
    });
    let consumer = alice(&broker).build().unwrap();
    assert_eq!(values(&consumer, 3), ["a", "b", "c"]);
    let handshakes = broker.log_of::<SaslHandshakeRequest>();
    assert!(
        !handshakes.is_empty()
            && handshakes.iter().all(|(request, _)| request.header.api_version == 0)
    );
}

#[test]
fn fault_284_what_a_broker_says_of_a_failure_is_escaped() {
    let broker = broker();
    broker.on::<SaslAuthenticateRequest>().rewrite(|response| {
        response.error_code = 58;
        response.error_message = Some("\x1b[31mred\nand a second line".to_owned());
    });
    let (_, _, reason) = refusal(&refused(alice(&broker)));
    assert_eq!(reason, "PLAIN: \\u{1b}[31mred\\nand a second line");
}

#[test]
fn fault_276_a_password_that_a_broker_repeats_is_told_nobody() {
    let broker = broker();
    broker.on::<SaslAuthenticateRequest>().rewrite(|response| {
        response.error_code = 58;
        response.error_message = Some("secret-of-alice is wrong".to_owned());
    });
    let (_, _, reason) = refusal(&refused(alice(&broker)));
    assert_eq!(reason, "PLAIN: … is wrong");
}

#[test]
fn a_bootstrap_server_that_refuses_does_not_matter_where_another_one_does_not() {
    let (wrong, right) = (broker(), broker());
    wrong.add_user("PLAIN", "alice", "secret-of-others");
    // Which one is asked first is left to chance.
    for _ in 0..8 {
        let servers = [wrong.address(), right.address()];
        let consumer = alice(&right).bootstrap_servers(servers).build().unwrap();
        assert_eq!(values(&consumer, 3), ["a", "b", "c"]);
        assert!(consumer.poll(Duration::from_millis(50)).unwrap().is_empty());
    }
    assert!(!wrong.requests_of::<SaslAuthenticateRequest>().is_empty());
}

// Other mechanisms

/// Says one thing.
#[derive(Clone)]
struct Scripted {
    name: &'static str,
    step: Arc<dyn Fn() -> Result<SaslStep, BoxError> + Send + Sync>,
}

impl Scripted {
    fn new(step: impl Fn() -> Result<SaslStep, BoxError> + Send + Sync + 'static) -> Self {
        Self { name: "PLAIN", step: Arc::new(step) }
    }

    fn saying(name: &'static str, message: &'static [u8]) -> Self {
        Self { name, ..Self::new(|| Ok(SaslStep::Send(message.into()))) }
    }
}

impl SaslMechanism for Scripted {
    fn name(&self) -> &str {
        self.name
    }

    fn begin(&self, _host: &str) -> Result<Box<dyn SaslSession>, BoxError> {
        Ok(Box::new(self.clone()))
    }
}

impl SaslSession for Scripted {
    fn step(&mut self, _challenge: &[u8]) -> Result<SaslStep, BoxError> {
        (self.step)()
    }
}

#[test]
fn a_mechanism_that_fails_is_an_error_in_its_own_words() {
    let broker = broker();
    let error = refused(builder(&broker).sasl(Scripted::new(|| Err("no ticket".into()))));
    assert_eq!(refusal(&error).2, "PLAIN: no ticket");
}

#[test]
fn a_mechanism_that_panics_has_failed_and_no_more_than_that() {
    let broker = broker();
    let error = refused(builder(&broker).sasl(Scripted::new(|| panic!("a bug of the user's"))));
    assert_eq!(refusal(&error).2, "PLAIN: the mechanism panicked");
}

#[test]
fn a_slow_mechanism_logs_in_to_any_number_of_brokers_behind_one_name() {
    const NODES: usize = 12;
    watch_logs();
    let broker = ScriptedBroker::cluster(NODES);
    broker.create_topic("t", NODES);
    for partition in 0..12 {
        broker.append("t", partition, ["a"]);
    }
    broker.add_user("PLAIN", "alice", "secret-of-alice");
    let consumer = builder(&broker).sasl(Slow(None)).build().unwrap();
    assert_eq!(values(&consumer, NODES), ["a"; NODES]);
}

/// What PLAIN does, slowly.
struct Slow(Option<&'static str>);

impl SaslMechanism for Slow {
    fn name(&self) -> &str {
        "PLAIN"
    }

    fn begin(&self, _host: &str) -> Result<Box<dyn SaslSession>, BoxError> {
        Ok(Box::new(Self(Some("\0alice\0secret-of-alice"))))
    }
}

impl SaslSession for Slow {
    fn step(&mut self, _challenge: &[u8]) -> Result<SaslStep, BoxError> {
        std::thread::sleep(Duration::from_millis(100));
        Ok(self.0.take().map_or(SaslStep::Done, |message| SaslStep::Send(message.into())))
    }
}

#[test]
fn a_mechanism_that_blocks_holds_up_nothing_but_its_connection() {
    let broker = broker();
    let (stuck, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let blocks = Scripted::new(move || {
        let _ = wait.lock().map(|wait| wait.recv());
        Ok(SaslStep::Done)
    });
    let begin = Instant::now();
    let error = builder(&broker).sasl(blocks).bootstrap_timeout_ms(300).build().unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(2));
    assert!(error.to_string().contains("authenticating"), "{error}");
    drop(stuck);
}

#[test]
fn a_mechanism_without_an_end_is_ended() {
    let broker = broker();
    broker.on::<SaslAuthenticateRequest>().respond(|_| Default::default());
    let error = refused(builder(&broker).sasl(Scripted::saying("PLAIN", b"once more")));
    assert_eq!(refusal(&error).2, "PLAIN: no end after 100 messages");
}

// Again, in time

/// Lets sessions last so long.
fn limit_sessions(broker: &ScriptedBroker, lifetime_ms: i64) {
    broker
        .on::<SaslAuthenticateRequest>()
        .rewrite(move |response| response.session_lifetime_ms = lifetime_ms);
}

fn logins(broker: &ScriptedBroker) -> usize {
    broker.requests_of::<SaslAuthenticateRequest>().len()
}

#[test]
fn fault_273_only_a_lifetime_that_is_one_has_a_timer_and_none_makes_a_hot_loop() {
    let again = |lifetime| {
        let broker = broker();
        limit_sessions(&broker, lifetime);
        let consumer = alice(&broker).build().unwrap();
        assert_eq!(values(&consumer, 3), ["a", "b", "c"]);
        let before = logins(&broker);
        let _ = consumer.poll(Duration::from_millis(2500)).unwrap();
        logins(&broker) - before
    };
    std::thread::scope(|scope| {
        for lifetime in [0, -1, i64::MIN, i64::MAX] {
            scope.spawn(move || assert_eq!(again(lifetime), 0, "lifetime {lifetime}"));
        }
        // Each of two or three connections once a second.
        scope.spawn(move || {
            let again = again(1);
            assert!((1..=9).contains(&again), "{again}");
        });
    });
}

#[test]
fn fault_271_logging_in_again_under_load_loses_and_doubles_nothing() {
    let broker = broker();
    limit_sessions(&broker, 1200);
    let consumer = alice(&broker).build().unwrap();
    let (begin, mut sent, mut got) = (Instant::now(), 0, Vec::new());
    while begin.elapsed() < Duration::from_secs(4) {
        broker.append("t", 0, [sent.to_string()]);
        sent += 1;
        got.extend(consumer.poll(Duration::from_millis(5)).unwrap().into_records());
    }
    while got.len() < 3 + sent && begin.elapsed() < PATIENCE {
        got.extend(consumer.poll(Duration::from_millis(50)).unwrap().into_records());
    }
    let offsets: Vec<i64> = got.iter().map(|record| record.offset()).collect();
    assert_eq!(offsets, (0..(3 + sent) as i64).collect::<Vec<_>>());
    assert!(logins(&broker) > 4, "{}", logins(&broker));
    // Nobody had to connect for it: to the bootstrap server, for metadata, for records.
    assert!(broker.requests_of::<ApiVersionsRequest>().len() <= 3);
}

#[test]
fn fault_272_a_password_that_was_changed_ends_the_connection_when_it_is_asked_for_again() {
    let broker = broker();
    limit_sessions(&broker, 1200);
    let consumer = alice(&broker).build().unwrap();
    assert_eq!(values(&consumer, 3), ["a", "b", "c"]);
    broker.add_user("PLAIN", "alice", "secret-that-is-new");
    let (_, step, reason) = refusal(&poll_error(&consumer));
    assert_eq!(step, "authenticating");
    assert!(reason.contains("Authentication failed"), "{reason}");
}

#[test]
fn fault_274_a_caller_that_comes_back_after_the_session_has_ended_reads_on() {
    let broker = broker();
    limit_sessions(&broker, 1000);
    let consumer = alice(&broker).build().unwrap();
    assert_eq!(values(&consumer, 3), ["a", "b", "c"]);
    std::thread::sleep(Duration::from_millis(1500));
    broker.append("t", 0, ["d"]);
    let before = broker.requests_of::<FetchRequest>().len();
    let again = logins(&broker);
    assert_eq!(values(&consumer, 1), ["d"]);
    assert!(broker.requests_of::<FetchRequest>().len() > before);
    assert!(logins(&broker) > again, "before anything else is asked");
}

#[test]
fn the_session_is_asked_for_again_while_the_caller_is_away() {
    let broker = broker();
    limit_sessions(&broker, 1200);
    let consumer = alice(&broker).group_id("g").heartbeat_interval_ms(200).build().unwrap();
    assert_eq!(values(&consumer, 3), ["a", "b", "c"]);
    let before = logins(&broker);
    std::thread::sleep(Duration::from_secs(3));
    assert!(logins(&broker) > before);
    consumer.commit().unwrap();
}
