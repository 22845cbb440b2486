//! A resolver that blocks, panics, or calls back.

use std::{
    io,
    net::IpAddr,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use kafka_blocking::{ConsumerHandle, Error, KafkaConsumer, Resolver};
use scripted_broker::ScriptedBroker;

use crate::support::{self, broker_with, builder, ends_within, offsets, take};

const POLL: Duration = Duration::from_millis(200);

/// A resolver that does as it is told, and counts its calls.
struct Does<F>(F, Arc<AtomicUsize>);

impl<F: Fn(usize) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static> Resolver for Does<F> {
    fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        (self.0)(self.1.fetch_add(1, Ordering::SeqCst))
    }
}

fn localhost() -> io::Result<Vec<IpAddr>> {
    Ok(vec![[127, 0, 0, 1].into()])
}

/// A broker that is found by its address, and says that it has a name.
fn named_broker() -> ScriptedBroker {
    let broker = broker_with(1, 3);
    broker.set_advertised(1, "broker.example", broker.address_of(1).port());
    broker
}

fn consumer_with(
    broker: &ScriptedBroker,
    resolve: impl Fn(usize) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
) -> KafkaConsumer {
    builder(broker.address())
        .topics("t")
        .socket_connection_setup_timeout_ms(100)
        .resolver(Does(resolve, Arc::default()))
        .build()
        .unwrap()
}

#[test]
fn fault_247_a_resolver_that_panics_once_costs_an_attempt_and_no_more() {
    let broker = named_broker();
    let consumer = consumer_with(&broker, |call| {
        assert!(call > 0, "the resolver of the test panics, as it shall");
        localhost()
    });
    assert_eq!(offsets(&take(&consumer, 3)), [0, 1, 2]);
    assert_eq!(consumer.position(("t", 0)).unwrap(), 3);
}

#[test]
fn fault_247_a_resolver_that_always_panics_leaves_every_call_on_time() {
    let resolver =
        || Does(|_| panic!("the resolver of the test panics, as it shall"), Arc::default());
    let build =
        || builder("broker.example:9092").resolver(resolver()).bootstrap_timeout_ms(POLL).build();
    let error = ends_within(POLL, "build()", build).unwrap_err();
    assert!(matches!(error, Error::NoBrokersAvailable(_)), "{error:?}");
    assert!(error.to_string().contains("broker.example:9092"), "{error}");

    let broker = named_broker();
    let consumer =
        consumer_with(&broker, |_| panic!("the resolver of the test panics, as it shall"));
    for _ in 0..3 {
        assert!(ends_within(POLL, "poll()", || consumer.poll(POLL)).unwrap().is_empty());
    }
    assert!(consumer.seek(("t", 0), 1).is_ok());
    assert_eq!(consumer.position(("t", 0)).unwrap(), 1);
    ends_within(Duration::ZERO, "close()", || consumer.close()).unwrap();
}

#[test]
fn fault_246_a_resolver_that_blocks_holds_up_no_call_and_its_answer_is_used_when_it_comes() {
    let broker = named_broker();
    let (release, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let consumer = consumer_with(&broker, move |_| {
        // Until the test drops the other end.
        let _ = wait.lock().unwrap().recv();
        localhost()
    });
    for _ in 0..3 {
        assert!(ends_within(POLL, "poll()", || consumer.poll(POLL)).unwrap().is_empty());
    }
    drop(release);
    assert_eq!(offsets(&take(&consumer, 3)), [0, 1, 2]);
}

#[test]
fn fault_246_closing_does_not_wait_for_a_resolver_that_blocks() {
    let broker = named_broker();
    let consumer = consumer_with(&broker, |_| {
        loop {
            std::thread::park();
        }
    });
    assert!(consumer.poll(POLL).unwrap().is_empty());
    ends_within(Duration::ZERO, "close()", || consumer.close()).unwrap();
}

#[test]
fn fault_246_a_resolver_may_call_the_consumers_handle() {
    let broker = named_broker();
    let handle: Arc<OnceLock<ConsumerHandle>> = Arc::default();
    let shared = handle.clone();
    let consumer = consumer_with(&broker, move |_| match shared.get() {
        Some(handle) => {
            handle.wakeup();
            localhost()
        }
        None => Err(io::Error::other("not yet")),
    });
    handle.set(consumer.handle()).unwrap();
    assert!(matches!(consumer.poll(support::LONG), Err(Error::Wakeup)));
    let mut seen = Vec::new();
    while seen.len() < 3 {
        match consumer.next() {
            Some(Ok(record)) => seen.push(record.offset()),
            Some(Err(Error::Wakeup)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, [0, 1, 2]);
}

#[test]
fn fault_247_a_resolver_that_finds_nothing_or_wrong_addresses_leaves_the_consumer_usable() {
    let broker = named_broker();
    let consumer = consumer_with(&broker, |call| match call {
        0 => Ok(Vec::new()),
        // Nobody listens there.
        1 => Ok(vec![[127, 0, 0, 77].into()]),
        _ => Ok(vec![[127, 0, 0, 77].into(), [127, 0, 0, 1].into()]),
    });
    assert_eq!(offsets(&take(&consumer, 3)), [0, 1, 2]);
}

#[test]
fn fault_247_a_panic_in_the_callers_loop_leaves_the_position_behind_the_last_record() {
    let broker = broker_with(1, 3);
    let consumer = builder(broker.address()).topics("t").build().unwrap();
    let loop_that_panics = std::panic::AssertUnwindSafe(|| {
        for record in &consumer {
            assert_eq!(record.unwrap().offset(), 0, "the caller of the test panics, as it shall");
        }
    });
    assert!(std::panic::catch_unwind(loop_that_panics).is_err());
    assert_eq!(consumer.position(("t", 0)).unwrap(), 2);
    assert_eq!(take(&consumer, 1)[0].offset(), 2);
}
