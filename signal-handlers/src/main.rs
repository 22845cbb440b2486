//! A program with true signal handlers that call a consumer's handle: what `tests/handlers.rs` runs and signals.
//!
//! `signal-handlers SERVERS CALL THREAD`: makes the call (`poll`, `next`, `position` or `read`), on the `main` thread, which is
//! the one that gets signals, or on an `other` one. SIGUSR1 wakes the consumer up, SIGINT stops it. Prints how many
//! microseconds after the handler began the call ended, and with what; for `read`, the offsets that it got.

use std::{
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use kafka_blocking::{ConsumerHandle, Error, KafkaConsumer};

/// When the handler ran last, in microseconds after the start.
static HANDLED: AtomicU64 = AtomicU64::new(0);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [servers, call, thread] = arguments.as_slice() else {
        eprintln!("usage: signal-handlers SERVERS poll|next|position|read main|other");
        return ExitCode::FAILURE;
    };
    let consumer = KafkaConsumer::builder()
        .bootstrap_servers(servers.as_str())
        .auto_offset_reset("earliest")
        .fetch_max_wait_ms(50)
        .build()
        .expect("the broker of the test answers");
    consumer.assign([("t", 0)]).expect("a partition");
    let start = Instant::now();
    register(signal_hook::consts::SIGUSR1, consumer.handle(), ConsumerHandle::wakeup, start);
    register(signal_hook::consts::SIGINT, consumer.handle(), ConsumerHandle::stop, start);
    println!("ready");
    let call = call.clone();
    let run = move || {
        let outcome = make(&call, &consumer);
        let after = since(start).saturating_sub(HANDLED.load(Ordering::SeqCst));
        println!("{after} {outcome}");
    };
    match thread.as_str() {
        "main" => run(),
        _ => std::thread::spawn(run).join().expect("the call ends"),
    }
    ExitCode::SUCCESS
}

fn register(signal: i32, handle: ConsumerHandle, act: fn(&ConsumerHandle), start: Instant) {
    let handler = move || {
        HANDLED.store(since(start), Ordering::SeqCst);
        act(&handle);
    };
    // SAFETY: reading the monotonic clock, an atomic store and what the handle promises: no lock, no memory.
    unsafe { signal_hook::low_level::register(signal, handler) }
        .expect("a handler can be registered");
}

fn make(call: &str, consumer: &KafkaConsumer) -> String {
    match call {
        "poll" => name(consumer.poll(Duration::MAX).err()),
        "next" => match consumer.next() {
            None => "end".to_owned(),
            Some(result) => name(result.err()),
        },
        "position" => name(consumer.position(("t", 0)).err()),
        _ => read(consumer),
    }
}

/// Reads until the consumer is stopped, whatever wakes it up meanwhile.
fn read(consumer: &KafkaConsumer) -> String {
    let (mut expected, mut woken) = (0, 0);
    for record in consumer {
        match record {
            Ok(record) if record.offset() == expected => expected += 1,
            Ok(record) => return format!("{} instead of {expected}", record.offset()),
            Err(Error::Wakeup) => woken += 1,
            Err(other) => return other.to_string(),
        }
        if expected == RECORDS && woken > 0 {
            return "all".to_owned();
        }
    }
    format!("stopped at {expected}")
}

/// How many records `read` is for.
const RECORDS: i64 = 2000;

fn name(error: Option<Error>) -> String {
    match error {
        None => "no error".to_owned(),
        Some(Error::Wakeup) => "woken".to_owned(),
        Some(other) => other.to_string(),
    }
}

fn since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
}
