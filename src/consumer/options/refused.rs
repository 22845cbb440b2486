//! Which names of options a consumer knows without serving them.

use super::ConsumerBuilder;
use crate::{
    client::options::UNSERVED_BY_CLIENTS,
    options::unknown::{Known, Unserved},
};

/// The names that a consumer knows.
pub(super) const KNOWN: Known = Known {
    place: "",
    served: ConsumerBuilder::NAMES,
    unserved: &[&UNSERVED, &UNSERVED_BY_CLIENTS],
};

pub(super) const UNSERVED: Unserved = Unserved { not_served: NOT_SERVED, never: NEVER };

const NOT_SERVED: &[&str] = &[
    // The group protocol of Kafka 4.
    "group_protocol",
    "group_remote_assignor",
];

const NEVER: &[(&str, &str)] = &[
    ("legacy_iterator", "leave it out: there is one kind of iteration"),
    ("key_deserializer", "it is code and no text: call key_deserializer() of the builder"),
    ("value_deserializer", "it is code and no text: call value_deserializer() of the builder"),
    (
        "default_offset_commit_callback",
        "it is code and no text: call default_offset_commit_callback() of the builder",
    ),
];
