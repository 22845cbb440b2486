//! What a program wants to know of a rebalance: the listener, and the calls of it.

use std::cell::RefCell;

use super::{Content, KafkaConsumer, Raw, finally::Finally};
use crate::{BoxError, Error, Result, TopicPartition};

/// Is told which partitions the group gives to this consumer, and takes from it.
///
/// All methods run on the thread that calls the consumer, inside `poll`, `next`, `close` or `unsubscribe`. They may commit, seek,
/// pause and ask for positions; reading, closing, and unsubscribing from inside them is an error. While one runs, the consumer stays in
/// its group however long it takes, up to the other members' `max_poll_interval_ms`.
///
/// ```
/// # let broker = scripted_broker::ScriptedBroker::start();
/// # broker.create_topic("t", 1);
/// # broker.append("t", 0, ["a"]);
/// # let builder = kafka_blocking::KafkaConsumer::builder().bootstrap_servers(broker.address()).group_id("g");
/// use kafka_blocking::{BoxError, ConsumerRebalanceListener, KafkaConsumer, TopicPartition};
///
/// struct Report;
///
/// impl ConsumerRebalanceListener for Report {
///     fn on_partitions_assigned(&mut self, consumer: &KafkaConsumer, partitions: &[TopicPartition]) -> Result<(), BoxError> {
///         for partition in partitions {
///             println!("{partition} from {}", consumer.position(partition)?);
///         }
///         Ok(())
///     }
///
///     fn on_partitions_revoked(&mut self, consumer: &KafkaConsumer, _: &[TopicPartition]) -> Result<(), BoxError> {
///         Ok(consumer.commit()?)
///     }
/// }
///
/// let consumer = builder.auto_offset_reset("earliest").build()?;
/// consumer.subscribe_with(["t"], Report)?;
/// let record = consumer.next().expect("waits for ever")?;
/// assert_eq!(record.value(), Some(&b"a"[..]));
/// consumer.close()?;
/// # Ok::<(), kafka_blocking::Error>(())
/// ```
///
/// An error that a method returns comes out of the call that ran it, as [`Error::RebalanceListener`]; the rebalance is complete
/// nevertheless.
///
/// kafka-python: `ConsumerRebalanceListener`, whose exceptions it wraps in a `KafkaError`.
pub trait ConsumerRebalanceListener<K: ?Sized + Content = Raw, V: ?Sized + Content = Raw>:
    Send
{
    /// These partitions are this consumer's from now on, beside those that it had. None of their records was handed out
    /// yet, so a `seek` in here comes in time.
    ///
    /// # Errors
    /// Whatever the program makes of it.
    fn on_partitions_assigned(
        &mut self,
        consumer: &KafkaConsumer<K, V>,
        partitions: &[TopicPartition],
    ) -> std::result::Result<(), BoxError> {
        let _ = (consumer, partitions);
        Ok(())
    }

    /// These partitions go back to the group: no record of them is handed out any more, and this is the time to commit
    /// what was done with those that were. With `enable_auto_commit` they are committed already.
    ///
    /// Never called without partitions. Not called where they are gone already: see
    /// [`on_partitions_lost`](Self::on_partitions_lost).
    ///
    /// # Errors
    /// Whatever the program makes of it.
    fn on_partitions_revoked(
        &mut self,
        consumer: &KafkaConsumer<K, V>,
        partitions: &[TopicPartition],
    ) -> std::result::Result<(), BoxError> {
        let _ = (consumer, partitions);
        Ok(())
    }

    /// These partitions are gone: the group has gone on without this consumer, and somebody else may read them already. To
    /// commit them fails. By default it does what [`on_partitions_revoked`](Self::on_partitions_revoked) does.
    ///
    /// # Errors
    /// Whatever the program makes of it.
    fn on_partitions_lost(
        &mut self,
        consumer: &KafkaConsumer<K, V>,
        partitions: &[TopicPartition],
    ) -> std::result::Result<(), BoxError> {
        self.on_partitions_revoked(consumer, partitions)
    }
}

/// What a listener is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Assigned,
    Revoked,
    Lost,
}

type Boxed<K, V> = Box<dyn ConsumerRebalanceListener<K, V>>;

/// The place of the listener: empty while it runs.
pub(super) struct Slot<K: ?Sized + Content, V: ?Sized + Content> {
    /// The listener, and how often it was replaced.
    place: RefCell<(Option<Boxed<K, V>>, u64)>,
}

impl<K: ?Sized + Content, V: ?Sized + Content> Slot<K, V> {
    pub(super) fn new() -> Self {
        Self { place: RefCell::new((None, 0)) }
    }

    /// Puts another listener, or none, in the place of the one before.
    pub(super) fn set(&self, listener: Option<Boxed<K, V>>) {
        let mut place = self.place.borrow_mut();
        let count = place.1 + 1;
        let old = std::mem::replace(&mut *place, (listener, count));
        drop(place);
        // What it drops may be anything.
        drop(old);
    }
}

impl<K: ?Sized + Content, V: ?Sized + Content> KafkaConsumer<K, V> {
    /// Tells the listener, if there is one and there is something to tell.
    pub(super) fn tell(&self, news: News, partitions: &[TopicPartition]) -> Result<()> {
        if partitions.is_empty() {
            return Ok(());
        }
        let (listener, count) = {
            let mut place = self.listener.place.borrow_mut();
            (place.0.take(), place.1)
        };
        let Some(listener) = listener else { return Ok(()) };
        let mut listener = Finally::new(listener, |listener| {
            let mut place = self.listener.place.borrow_mut();
            // It may have put another one in its place.
            if place.1 == count {
                place.0 = Some(listener);
            }
        });
        let _user_code = self.user_code();
        let (callback, told) = match news {
            News::Assigned => {
                ("on_partitions_assigned", listener.get().on_partitions_assigned(self, partitions))
            }
            News::Revoked => {
                ("on_partitions_revoked", listener.get().on_partitions_revoked(self, partitions))
            }
            News::Lost => {
                ("on_partitions_lost", listener.get().on_partitions_lost(self, partitions))
            }
        };
        told.map_err(|source| Error::RebalanceListener { callback, source: source.into() })
    }

    /// Until what this gives is dropped, code of the user runs that may not read.
    pub(super) fn user_code(&self) -> impl Drop + '_ {
        let before = self.shared.signals.in_callback();
        self.shared.signals.set_callback(true);
        Finally::new((), move |()| self.shared.signals.set_callback(before))
    }

    /// Refuses a call from inside a callback.
    pub(super) fn refuse_in_callback(&self, call: &str) -> Result<()> {
        if self.shared.signals.in_callback() {
            let why = format!("{call} cannot be called from inside a callback of this consumer");
            return Err(Error::IllegalState(why.into()));
        }
        Ok(())
    }
}
