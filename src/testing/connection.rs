//! One connection, as the brokers see it: what has come, what waits, and what is to go out.

use std::{collections::VecDeque, time::Instant};

use crate::{
    protocol::{self, RequestHeader},
    wire::DecodeError,
};

use crate::testing::{answers::Wait, cluster::Output};

#[derive(Default)]
pub(crate) struct Connection {
    pub(crate) node: i32,
    pub(crate) inbox: Vec<u8>,
    pub(crate) frames: VecDeque<(RequestHeader, Vec<u8>)>,
    pub(crate) waiting: Option<Waiting>,
    pub(crate) steps: VecDeque<(Instant, Output)>,
    /// An answer that changes places with the next one.
    pub(crate) held: Option<Vec<u8>>,
    pub(crate) silent: bool,
    pub(crate) unanswered: usize,
}

/// A request that cannot be answered yet.
pub(crate) struct Waiting {
    pub(crate) wait: Wait,
    pub(crate) deadline: Option<Instant>,
    pub(crate) version: i16,
    pub(crate) correlation: i32,
    pub(crate) rules: Vec<usize>,
}

/// No client sends more at once.
const LARGEST_REQUEST: usize = 100 << 20;

impl Connection {
    /// Takes a whole request out of the bytes that have come, if one has.
    pub(crate) fn next_frame(&mut self) -> Result<Option<(RequestHeader, Vec<u8>)>, DecodeError> {
        let Some(length) = self.inbox.first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > LARGEST_REQUEST {
            return Err(DecodeError::TooLarge);
        }
        if self.inbox.len() < 4 + length {
            return Ok(None);
        }
        let frame: Vec<u8> = self.inbox.drain(..4 + length).skip(4).collect();
        let (header, start) = protocol::decode_request_header(&frame)?;
        Ok(Some((header, frame[start..].to_vec())))
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        let step = self.steps.front().map(|(at, _)| *at);
        step.or_else(|| self.waiting.as_ref().and_then(|w| w.deadline))
    }

    pub(crate) fn waits_for_group(&self) -> bool {
        self.waiting.as_ref().is_some_and(|w| matches!(w.wait, Wait::Group { .. }))
    }
}
