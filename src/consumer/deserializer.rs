//! How the bytes of keys and values become what the user wants to see.

use std::sync::Arc;

use crate::{Headers, consumer::record::Content, error::BoxError};

/// Makes a `T` of the bytes of a key or value.
///
/// Any function or closure from `&[u8]` to a [`Result`](std::result::Result) is one; implement the trait where topic or
/// headers matter. It is not called for null, which stays `None`. One that fails is an
/// [`Error::Deserialization`](crate::Error::Deserialization), and the position stays at the record.
///
/// It runs on the thread that calls the consumer, with nothing locked.
///
/// ```
/// use kafka_blocking::{ConsumerBuilder, Deserializer, Headers, Utf8};
///
/// struct ByTopic;
///
/// impl Deserializer<u64> for ByTopic {
///     fn deserialize(
///         &self,
///         topic: &str,
///         _headers: Headers<'_>,
///         data: &[u8],
///     ) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
///         let bytes = data.try_into()?;
///         Ok(if topic.ends_with("-le") { u64::from_le_bytes(bytes) } else { u64::from_be_bytes(bytes) })
///     }
/// }
///
/// let builder = ConsumerBuilder::new().key_deserializer(Utf8).value_deserializer(ByTopic);
/// ```
///
/// kafka-python: `kafka.serializer.Deserializer`.
pub trait Deserializer<T>: Send + Sync + 'static {
    /// Makes a value of `data`, which may be empty.
    ///
    /// # Errors
    /// Whatever is wrong with the data.
    fn deserialize(&self, topic: &str, headers: Headers<'_>, data: &[u8]) -> Result<T, BoxError>;
}

impl<T, E, F> Deserializer<T> for F
where
    F: Fn(&[u8]) -> Result<T, E> + Send + Sync + 'static,
    E: Into<BoxError>,
{
    fn deserialize(&self, _topic: &str, _headers: Headers<'_>, data: &[u8]) -> Result<T, BoxError> {
        self(data).map_err(Into::into)
    }
}

/// Deserializes text in UTF-8: `bytes.decode('utf-8')` of Python.
///
/// ```
/// # let broker = scripted_broker::ScriptedBroker::start();
/// # broker.create_topic("my-topic", 1);
/// # broker.append("my-topic", 0, ["hello"]);
/// # let servers = broker.address();
/// use kafka_blocking::{KafkaConsumer, Utf8};
///
/// let consumer = KafkaConsumer::builder()
///     .topics("my-topic")
///     .bootstrap_servers(servers)
///     .auto_offset_reset("earliest")
///     .value_deserializer(Utf8)
///     .build()?;
/// let record = consumer.next().expect("waits for ever")?;
/// assert_eq!(record.value().map(String::as_str), Some("hello"));
/// # Ok::<(), kafka_blocking::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8;

impl Deserializer<String> for Utf8 {
    fn deserialize(&self, _: &str, _: Headers<'_>, data: &[u8]) -> Result<String, BoxError> {
        Ok(std::str::from_utf8(data)?.to_owned())
    }
}

/// The deserializers of a consumer.
pub(crate) struct Deserializers<K: ?Sized + Content, V: ?Sized + Content> {
    pub(super) key: K::Deserializer,
    pub(super) value: V::Deserializer,
}

impl<K: ?Sized + Content, V: ?Sized + Content> Clone for Deserializers<K, V> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), value: self.value.clone() }
    }
}

/// One that is shared by the builders and consumers that were made with it.
pub(crate) type Shared<T> = Arc<dyn Deserializer<T>>;
