//! What may block, on threads of its own: the loop goes on, and is woken by the answer.

use std::{collections::BTreeMap, fmt, io, sync::Arc, sync::mpsc, thread};

/// Threads that each do one thing and answer with a `T`; `K` says what it is about.
pub(crate) struct Helpers<K, T> {
    name: &'static str,
    most: usize,
    wake: Arc<mio::Waker>,
    sender: mpsc::Sender<(K, T)>,
    receiver: mpsc::Receiver<(K, T)>,
    under_way: BTreeMap<K, usize>,
}

impl<K: Clone + Ord + Send + 'static, T: Send + 'static> Helpers<K, T> {
    /// None yet. Of what is about the same thing, `most` may be under way: what hangs does not keep everything from being
    /// tried again, and does not fill the memory either.
    pub(crate) fn new(name: &'static str, most: usize, wake: Arc<mio::Waker>) -> Self {
        let (sender, receiver) = mpsc::channel();
        Self { name, most, wake, sender, receiver, under_way: BTreeMap::new() }
    }

    /// Whether nothing more is started about this, because of what hangs.
    pub(crate) fn is_full(&self, about: &K) -> bool {
        self.under_way.get(about).is_some_and(|n| *n >= self.most)
    }

    /// Starts something, whose panics are its own to catch.
    pub(crate) fn start(
        &mut self,
        about: K,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<()> {
        let (wake, sender, answered) = (self.wake.clone(), self.sender.clone(), about.clone());
        thread::Builder::new().name(self.name.to_owned()).spawn(move || {
            // Nobody listens any more when the consumer is gone: nothing is lost then.
            if sender.send((answered, job())).is_ok() {
                let _ = wake.wake();
            }
        })?;
        *self.under_way.entry(about).or_default() += 1;
        Ok(())
    }

    /// An answer that has come, if there is one.
    pub(crate) fn poll(&mut self) -> Option<(K, T)> {
        let (about, answer) = self.receiver.try_recv().ok()?;
        if let Some(n) = self.under_way.get_mut(&about) {
            *n = n.saturating_sub(1);
            if *n == 0 {
                self.under_way.remove(&about);
            }
        }
        Some((about, answer))
    }
}

impl<K, T> fmt::Debug for Helpers<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.name).finish_non_exhaustive()
    }
}
