//! The last words of the consumers in this process, for a test that fails.
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, Once},
    time::Instant,
};

/// What was logged last.
struct LastWords {
    lines: Mutex<VecDeque<String>>,
    begun: Mutex<Option<Instant>>,
}

/// Listens from now on.
pub(crate) fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        *lock(&LAST_WORDS.begun) = Some(Instant::now());
        log::set_logger(&LAST_WORDS).expect("it is the first");
        log::set_max_level(log::LevelFilter::Trace);
    });
}

/// What was heard last.
pub(crate) fn last_words() -> String {
    lock(&LAST_WORDS.lines).iter().map(|line| format!("\n  {line}")).collect()
}

impl log::Log for LastWords {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("kafka_blocking")
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let at = lock(&self.begun).map(|begun| begun.elapsed()).unwrap_or_default();
        let mut lines = lock(&self.lines);
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(format!("{at:?} {} {}", record.target(), record.args()));
    }

    fn flush(&self) {}
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}

static LAST_WORDS: LastWords =
    LastWords { lines: Mutex::new(VecDeque::new()), begun: Mutex::new(None) };
const KEPT: usize = 100;
