//! That no secret gets into a log: a logger that listens at the most talkative level, and ends the process where one is told.

use std::process;

/// What the tests' passwords, tokens and keys have in them, plain or as they are sent.
const SIGNS: &[&str] = &[
    "alice-secret",
    "bob-secret",
    "secret-",
    "secret of",
    "hunter2",
    "p@ss",
    // `{"alg":"none"}`, with which tokens begin that nobody has signed.
    "eyJhbGciOi",
    "PRIVATE KEY",
    // A proof of SCRAM, and a login at a proxy.
    ",p=",
    "Basic ",
];

/// Listens to everything that is logged in this process from now on, unless there is another logger.
pub fn watch_logs() {
    struct Watch;

    impl log::Log for Watch {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &log::Record<'_>) {
            assert_tells_no_secret(record);
        }

        fn flush(&self) {}
    }

    if log::set_logger(&Watch).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
}

/// Ends the process where a secret is told: a panic could be caught by what is tested.
pub fn assert_tells_no_secret(record: &log::Record<'_>) {
    let text = record.args().to_string();
    if let Some(sign) = SIGNS.iter().find(|sign| text.contains(**sign)) {
        eprintln!("a secret ({sign:?}) is logged by {}: {text}", record.target());
        process::abort();
    }
}
