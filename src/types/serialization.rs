//! How the small types are written and read with serde: as maps with kafka-python's names of the fields.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{OffsetAndMetadata, OffsetAndTimestamp, TopicPartition, topic_name};

#[derive(Serialize, Deserialize)]
#[serde(rename = "TopicPartition")]
struct PartitionFields<'a> {
    topic: Cow<'a, str>,
    partition: i32,
}

impl Serialize for TopicPartition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = PartitionFields { topic: self.topic().into(), partition: self.partition() };
        fields.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TopicPartition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let PartitionFields { topic, partition } = PartitionFields::deserialize(deserializer)?;
        topic_name::check(&topic).map_err(|refused| {
            D::Error::custom(format_args!("topic = {:?}: {}", refused.value, refused.allowed))
        })?;
        Ok(Self::new(topic, not_negative("partition", partition)?))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "OffsetAndMetadata")]
struct OffsetFields<'a> {
    offset: i64,
    // Python's `None`, which older releases of kafka-python need in place of an empty note, reads as one.
    #[serde(default)]
    metadata: Option<Cow<'a, str>>,
    #[serde(default)]
    leader_epoch: Option<i32>,
}

impl Serialize for OffsetAndMetadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = OffsetFields {
            offset: self.offset(),
            metadata: Some(self.metadata().into()),
            leader_epoch: self.leader_epoch(),
        };
        fields.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for OffsetAndMetadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = OffsetFields::deserialize(deserializer)?;
        Ok(Self::new(not_negative("offset", fields.offset)?)
            .with_metadata(fields.metadata.unwrap_or_default())
            .with_leader_epoch(fields.leader_epoch))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "OffsetAndTimestamp")]
struct FoundFields {
    offset: i64,
    timestamp: i64,
    #[serde(default)]
    leader_epoch: Option<i32>,
}

impl Serialize for OffsetAndTimestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = FoundFields {
            offset: self.offset(),
            timestamp: self.timestamp(),
            leader_epoch: self.leader_epoch(),
        };
        fields.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for OffsetAndTimestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = FoundFields::deserialize(deserializer)?;
        let offset = not_negative("offset", fields.offset)?;
        Ok(Self::new(offset, fields.timestamp).with_leader_epoch(fields.leader_epoch))
    }
}

/// What was kept elsewhere may be damaged: better found here than when a broker refuses it, or takes -1 for something else.
fn not_negative<T, E>(name: &str, number: T) -> Result<T, E>
where
    T: Copy + Default + PartialOrd + std::fmt::Display,
    E: Error,
{
    if number < T::default() {
        return Err(E::custom(format_args!("{name} = {number}: must be 0 or more")));
    }
    Ok(number)
}
