//! A question that is asked once, on behalf of a call; what it tells changes nothing that is known for reading.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use crate::client::inquiry::Inquiry;
use crate::{
    Error, ErrorCode, Result, client::cluster::Cluster, protocol::metadata::MetadataResponse,
};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// Which topics there are.
    AllTopics,
    /// Whether there is a topic, and which partitions it has. It is not created by being asked about.
    Topic(Arc<str>),
}

impl Query {
    /// The topics to name in the request; `None` for all.
    pub(super) fn topics(&self) -> Option<BTreeSet<Arc<str>>> {
        match self {
            Self::AllTopics => None,
            Self::Topic(name) => Some([name.clone()].into()),
        }
    }

    fn wants(&self, name: &str) -> bool {
        match self {
            Self::AllTopics => true,
            Self::Topic(own) => name == &**own,
        }
    }
}

/// A query under way.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) query: Query,
    pub(super) inquiry: Inquiry,
    /// Why there is no answer yet.
    pub(super) error: Option<Error>,
}

/// What an answer is worth.
pub(super) enum Verdict {
    /// It is what the caller is told.
    Final(Result<Cluster>),
    /// A later one may tell more.
    AskAgain(Error),
}

impl Asking {
    pub(super) fn judge(&self, version: i16, response: &MetadataResponse) -> Verdict {
        let mut found = Cluster::default();
        found.update(version, response, |name, _| self.query.wants(name));
        let Query::Topic(name) = &self.query else { return Verdict::Final(Ok(found)) };
        match found.topic(name).and_then(|topic| topic.error) {
            None => Verdict::Final(Ok(found)),
            Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => Verdict::Final(Ok(Cluster::default())),
            Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED) => {
                let topics = vec![name.to_string()];
                Verdict::Final(Err(Error::TopicAuthorizationFailed { topics }))
            }
            Some(code) if code.retriable() => Verdict::AskAgain(broker_error(code, name)),
            Some(code) => Verdict::Final(Err(broker_error(code, name))),
        }
    }

    /// It could not be asked, or was not answered well.
    pub(super) fn failed(&mut self, error: Error, random: &mut fastrand::Rng, now: Instant) {
        self.error = Some(error);
        self.inquiry.back_off(random, now);
    }
}

fn broker_error(code: ErrorCode, topic: &str) -> Error {
    Error::broker("Metadata", code, topic)
}
