//! What a test says shall happen to requests: rules, each with what it matches and what it does.

use std::{
    marker::PhantomData,
    time::{Duration, Instant},
};

use crate::{
    ErrorCode, TopicPartition,
    protocol::{
        self, Request, offset_commit::OffsetCommitRequest, offset_fetch::OffsetFetchRequest,
    },
    wire::DecodeError,
};

use crate::testing::{
    answers::{Body, Refusals},
    cluster::Output,
};

/// What a rule does with the answer to a request.
pub(crate) enum Act {
    Fail(ErrorCode),
    FailPartition(TopicPartition, ErrorCode),
    Delay(Duration),
    Silence,
    Swallow,
    Close,
    CloseAfter,
    CutAt(usize),
    StallAt(usize, Duration),
    Corrupt { offset: usize, xor: u8 },
    Bytes(Vec<u8>),
    SwapWithNext,
    Twice,
    Rewrite(Box<dyn FnMut(&mut Body) + Send>),
    Respond(Box<Respond>),
}

/// Makes an answer of a request's body and version, where that makes sense.
type Respond = dyn FnMut(&[u8], i16) -> Result<Body, DecodeError> + Send;

pub(crate) struct Rule {
    api: Option<i16>,
    node: Option<i32>,
    skip: usize,
    times: Option<usize>,
    act: Act,
}

/// The rules, in the order in which they were made; all that match a request apply.
#[derive(Default)]
pub(crate) struct Script {
    rules: Vec<Rule>,
}

impl Script {
    pub(crate) fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// The numbers of the rules for a request, which counts as one of those that they are for.
    pub(crate) fn matching(&mut self, node: i32, api: i16) -> Vec<usize> {
        let mut found = Vec::new();
        for (number, rule) in self.rules.iter_mut().enumerate() {
            let fits = rule.api.is_none_or(|a| a == api) && rule.node.is_none_or(|n| n == node);
            if !fits || rule.times == Some(0) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            if let Some(times) = &mut rule.times {
                *times -= 1;
            }
            found.push(number);
        }
        found
    }

    /// What these rules want a group not to do.
    pub(crate) fn refusals(&self, rules: &[usize]) -> Refusals {
        let mut refusals = Refusals::default();
        for act in rules.iter().filter_map(|number| self.rules.get(*number)).map(|rule| &rule.act) {
            match act {
                Act::Fail(code) => refusals.all = Some(*code),
                Act::FailPartition(partition, code) => {
                    refusals.partitions.push((partition.clone(), *code));
                }
                Act::Respond(_) => refusals.answered = true,
                _ => {}
            }
        }
        refusals
    }

    /// What a rule does; none where the rules were cleared since.
    pub(crate) fn act(&mut self, number: usize) -> Option<&mut Act> {
        self.rules.get_mut(number).map(|rule| &mut rule.act)
    }

    /// What a frame becomes on its way out; `held` is one that goes after it.
    pub(crate) fn shape(
        &mut self,
        rules: &[usize],
        mut frame: Vec<u8>,
        held: Option<Vec<u8>>,
        now: Instant,
    ) -> Shaped {
        let (mut at, mut close, mut stalls) = (now, false, Vec::new());
        for number in rules {
            match self.act(*number) {
                Some(Act::Corrupt { offset, xor }) => frame[*offset] ^= *xor,
                Some(Act::Delay(by)) => at += *by,
                Some(Act::CloseAfter) => close = true,
                Some(Act::CutAt(n)) => {
                    frame.truncate(*n);
                    close = true;
                }
                Some(Act::StallAt(n, after)) => stalls.push((*n, *after)),
                Some(Act::Twice) => frame.extend_from_within(..),
                Some(Act::SwapWithNext) => return Shaped::Held(frame),
                _ => {}
            }
        }
        stalls.sort_unstable();
        let (mut steps, mut sent) = (Vec::new(), 0);
        for (n, after) in stalls {
            let rest = frame.split_off((n - sent).min(frame.len()));
            sent = n;
            steps.push((at, Output::Send(std::mem::replace(&mut frame, rest))));
            at += after;
        }
        steps.push((at, Output::Send(frame)));
        steps.extend(held.map(|held| (at, Output::Send(held))));
        if close {
            steps.push((at, Output::Close));
        }
        Shaped::Steps(steps)
    }
}

/// What the rules make of a frame.
pub(crate) enum Shaped {
    /// It goes out in these steps.
    Steps(Vec<(Instant, Output)>),
    /// It waits for the next one.
    Held(Vec<u8>),
}

/// A rule in the making: says for which requests it is, and ends with what shall happen to their answers.
///
/// Without [`once`](Self::once), [`times`](Self::times) or [`node`](Self::node) it is for every request of the API, on
/// every node. Rules add up: all that match a request apply to it, in the order in which they were made.
#[must_use = "ends with what shall happen, such as close()"]
pub struct When<'a, R> {
    rule: Filter,
    add: Box<dyn FnOnce(Rule) + 'a>,
    api: PhantomData<R>,
}

#[derive(Clone, Copy, Default)]
struct Filter {
    api: Option<i16>,
    node: Option<i32>,
    skip: usize,
    times: Option<usize>,
}

impl<'a, R> When<'a, R> {
    pub(crate) fn new(api: Option<i16>, add: impl FnOnce(Rule) + 'a) -> Self {
        let rule = Filter { api, ..Filter::default() };
        Self { rule, add: Box::new(add), api: PhantomData }
    }

    /// Only what goes to this node.
    pub fn node(mut self, node: i32) -> Self {
        self.rule.node = Some(node);
        self
    }

    /// Not the first `n`.
    pub fn after(mut self, n: usize) -> Self {
        self.rule.skip = n;
        self
    }

    /// Only `n` of them.
    pub fn times(mut self, n: usize) -> Self {
        self.rule.times = Some(n);
        self
    }

    /// Only one of them.
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Has an error in each place that can have one, and for a request of a group where Kafka has that one: beside the
    /// group, the member or the partition. A fetch does not wait, and a group does not do what is asked.
    pub fn fail(self, code: ErrorCode) {
        self.act(Act::Fail(code));
    }

    /// Comes later than it would.
    pub fn delay(self, by: Duration) {
        self.act(Act::Delay(by));
    }

    /// Does not come, and nothing more does on that connection.
    pub fn silence(self) {
        self.act(Act::Silence);
    }

    /// Does not come; requests after it are answered.
    pub fn swallow(self) {
        self.act(Act::Swallow);
    }

    /// Does not come: the connection is closed.
    pub fn close(self) {
        self.act(Act::Close);
    }

    /// Comes, and then the connection is closed.
    pub fn close_after(self) {
        self.act(Act::CloseAfter);
    }

    /// Comes up to its `n`th byte (its length counts), and then the connection is closed.
    pub fn cut_at(self, n: usize) {
        self.act(Act::CutAt(n));
    }

    /// Comes up to its `n`th byte; the rest comes later.
    pub fn stall_at(self, n: usize, rest_after: Duration) {
        self.act(Act::StallAt(n, rest_after));
    }

    /// Comes with one byte changed; its length is at 0 to 3, its correlation id at 4 to 7.
    pub fn corrupt(self, offset: usize, xor: u8) {
        self.act(Act::Corrupt { offset, xor });
    }

    /// Is these bytes; not even a length is added. A fetch does not wait.
    pub fn bytes(self, bytes: impl Into<Vec<u8>>) {
        self.act(Act::Bytes(bytes.into()));
    }

    /// Comes twice.
    pub fn twice(self) {
        self.act(Act::Twice);
    }

    /// Comes after the answer to the next request on the connection.
    pub fn swap_with_next(self) {
        self.act(Act::SwapWithNext);
    }

    fn act(self, act: Act) {
        let Filter { api, node, skip, times } = self.rule;
        (self.add)(Rule { api, node, skip, times, act });
    }
}

impl<R: Request> When<'_, R>
where
    R::Response: Send + 'static,
{
    /// Comes as `edit` leaves it.
    pub fn rewrite(self, mut edit: impl FnMut(&mut R::Response) + Send + 'static) {
        self.act(Act::Rewrite(Box::new(move |body| {
            if let Some(response) = body.get_mut::<R::Response>() {
                edit(response);
            }
        })));
    }

    /// Is what `answer` says. A fetch does not wait, and a group does not do what is asked.
    pub fn respond(self, mut answer: impl FnMut(&R) -> R::Response + Send + 'static) {
        self.act(Act::Respond(Box::new(move |body, version| {
            protocol::decode_request::<R>(body, version)
                .map(|request| Body::new::<R>(answer(&request)))
        })));
    }
}

impl When<'_, OffsetCommitRequest> {
    /// Has an error beside this partition, whose offset is not stored.
    pub fn fail_partition(self, topic: &str, partition: i32, code: ErrorCode) {
        self.act(Act::FailPartition((topic, partition).into(), code));
    }
}

impl When<'_, OffsetFetchRequest> {
    /// Has an error beside this partition.
    pub fn fail_partition(self, topic: &str, partition: i32, code: ErrorCode) {
        self.act(Act::FailPartition((topic, partition).into(), code));
    }
}
