//! Which answer a node gives to a request, when nobody has scripted another.

use std::{
    any::Any,
    time::{Duration, Instant},
};

use crate::{
    ErrorCode, TopicPartition,
    protocol::{
        self, Request, RequestHeader,
        api_versions::{ApiVersionsRequest, ApiVersionsResponse},
        fetch::{FetchRequest, FetchResponse},
        list_offsets::{ListOffsetsRequest, ListOffsetsResponse},
        metadata::{MetadataRequest, MetadataResponse},
        offset_for_leader_epoch::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse},
    },
};

use self::groups::is_of_group;
use crate::testing::{groups::mail::Ticket, state::State};

mod admin;
mod api_versions;
mod committed;
mod coordinator;
mod describe_groups;
pub(crate) mod fetch;
mod groups;
mod leader_epochs;
mod list_offsets;
mod membership;
mod metadata;
mod others;
mod produce;
mod read;
mod replica;
pub(crate) mod session;
mod transactions;

/// A response whose type only its API knows.
pub(crate) struct Body {
    response: Box<dyn Any + Send>,
    encode: fn(&(dyn Any + Send), i16, i32) -> Vec<u8>,
    /// Whether it has the error already that a rule wants.
    refused: bool,
}

impl Body {
    pub(crate) fn new<R: Request>(response: R::Response) -> Self
    where
        R::Response: Send + 'static,
    {
        fn encode<R: Request>(
            response: &(dyn Any + Send),
            version: i16,
            correlation: i32,
        ) -> Vec<u8>
        where
            R::Response: 'static,
        {
            let response = response.downcast_ref::<R::Response>().expect("made by new::<R>");
            let mut out = Vec::new();
            protocol::encode_response::<R>(&mut out, version, correlation, response)
                .unwrap_or_else(|e| panic!("the scripted {} response v{version}: {e}", R::NAME));
            out
        }
        Self { response: Box::new(response), encode: encode::<R>, refused: false }
    }

    /// An answer that a rule wants to be an error, and is one.
    pub(crate) fn refused<R: Request>(response: R::Response) -> Self
    where
        R::Response: Send + 'static,
    {
        Self { refused: true, ..Self::new::<R>(response) }
    }

    /// The response, for changes.
    pub(crate) fn get_mut<T: 'static>(&mut self) -> Option<&mut T> {
        self.response.downcast_mut()
    }

    /// The frame, with its length and header.
    pub(crate) fn frame(&self, version: i16, correlation: i32) -> Vec<u8> {
        // Whoever asks in a version that the broker lacks gets the form that every client can read.
        let error = self.response.downcast_ref().map(|r: &ApiVersionsResponse| r.error_code);
        let version = if error == Some(ErrorCode::UNSUPPORTED_VERSION.0) { 0 } else { version };
        (self.encode)(&*self.response, version, correlation)
    }

    /// Puts an error in each place of the response that has one.
    pub(crate) fn set_error(&mut self, code: ErrorCode) {
        if self.refused {
            return;
        }
        if let Some(response) = self.get_mut::<ApiVersionsResponse>() {
            response.error_code = code.0;
        } else if let Some(response) = self.get_mut::<MetadataResponse>() {
            for topic in &mut response.topics {
                topic.error_code = code.0;
                topic.partitions.clear();
            }
        } else if let Some(response) = self.get_mut::<ListOffsetsResponse>() {
            for partition in response.topics.iter_mut().flat_map(|t| &mut t.partitions) {
                partition.error_code = code.0;
                (partition.offset, partition.timestamp) = (-1, -1);
            }
        } else if let Some(response) = self.get_mut::<OffsetForLeaderEpochResponse>() {
            for partition in response.topics.iter_mut().flat_map(|t| &mut t.partitions) {
                partition.error_code = code.0;
                (partition.leader_epoch, partition.end_offset) = (-1, -1);
            }
        } else if let Some(response) = self.get_mut::<FetchResponse>() {
            for partition in response.responses.iter_mut().flat_map(|t| t.partitions.iter_mut()) {
                partition.error_code = code.0;
                partition.records = Vec::new().into();
            }
        } else {
            panic!("this response's errors are not known here: use respond() or rewrite()");
        }
    }
}

/// What becomes of a request.
pub(crate) enum Outcome {
    /// It is answered at once.
    Now(Body),
    /// It is answered when what it waits for has come about.
    Wait(Wait),
    /// It is done, and not answered: the client does not want to know.
    Unanswered,
    /// It is not answered, and the connection is closed: what Kafka does with what it does not understand.
    Refused,
}

/// What a request waits for.
#[derive(Debug)]
pub(crate) enum Wait {
    /// Records.
    Fetch(Box<fetch::Plan>),
    /// The other members of a group.
    Group { ticket: Ticket, version: i16 },
}

impl Wait {
    /// How long at most.
    pub(crate) fn limit(&self) -> Option<Duration> {
        match self {
            Self::Fetch(plan) => Some(plan.max_wait),
            Self::Group { .. } => None,
        }
    }
}

/// The errors that rules want in the place of answers that would change a group.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    pub(crate) all: Option<ErrorCode>,
    pub(crate) partitions: Vec<(TopicPartition, ErrorCode)>,
    /// Whether a rule gives the answer.
    pub(crate) answered: bool,
}

impl Refusals {
    fn check(&self, topic: &str, partition: i32) -> Result<(), ErrorCode> {
        let named = |p: &TopicPartition| p.topic() == topic && p.partition() == partition;
        let found = self.partitions.iter().find(|(p, _)| named(p));
        found.map_or(Ok(()), |(_, code)| Err(*code))
    }
}

impl State {
    /// The answer that was waited for, if it has come about, or if the wait is `over`.
    pub(crate) fn try_wait(&mut self, wait: &Wait, over: bool) -> Option<Body> {
        match wait {
            Wait::Fetch(plan) => self.try_fetch(plan, over).map(Body::new::<FetchRequest>),
            Wait::Group { ticket, version } => {
                let answer = self.groups.take_answer(*ticket)?;
                Some(membership::body(answer, *version))
            }
        }
    }

    /// Nobody waits any more.
    pub(crate) fn forget(&mut self, wait: &Wait) {
        if let Wait::Group { ticket, .. } = wait {
            self.groups.forget(*ticket);
        }
    }

    /// Takes a request; `body` is what follows its header.
    pub(crate) fn take(
        &mut self,
        node: i32,
        header: &RequestHeader,
        body: &[u8],
        refusals: &Refusals,
        now: Instant,
    ) -> Outcome {
        let version = header.api_version;
        if header.api_key == ApiVersionsRequest::KEY {
            let asked = protocol::decode_request::<ApiVersionsRequest>(body, version);
            // Whoever asks in a version that nobody knows here gets an answer, and one that sends garbage does not.
            if asked.is_err() && ApiVersionsRequest::VERSIONS.contains(&version) {
                return Outcome::Refused;
            }
            return Outcome::Now(Body::new::<ApiVersionsRequest>(self.api_versions(node, version)));
        }
        if !self.speaks(node, header.api_key, version) {
            return Outcome::Refused;
        }
        let answer = match header.api_key {
            MetadataRequest::KEY => protocol::decode_request(body, version)
                .map(|r| Outcome::Now(Body::new::<MetadataRequest>(self.metadata(version, &r)))),
            ListOffsetsRequest::KEY => protocol::decode_request(body, version).map(|r| {
                Outcome::Now(Body::new::<ListOffsetsRequest>(self.list_offsets(node, version, &r)))
            }),
            OffsetForLeaderEpochRequest::KEY => protocol::decode_request(body, version).map(|r| {
                let response = self.ends_of_epochs(node, &r);
                Outcome::Now(Body::new::<OffsetForLeaderEpochRequest>(response))
            }),
            FetchRequest::KEY => protocol::decode_request(body, version)
                .map(|r| Outcome::Wait(Wait::Fetch(Box::new(self.plan_fetch(node, version, &r))))),
            key if is_of_group(key) => self.take_of_group(node, header, body, refusals, now),
            _ => self.take_other(node, header, body, refusals.all, now),
        };
        answer.unwrap_or(Outcome::Refused)
    }
}
