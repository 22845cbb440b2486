//! The brokers as a machine: bytes of connections go in, bytes and closures come out, each at its time. No socket.
//!
//! As in Kafka, the requests of one connection are answered one after the other.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use crate::{
    ErrorCode,
    net::servers::HostPort,
    protocol::{Request, RequestHeader},
};

use crate::testing::{
    answers::{Body, Outcome},
    connection::{Connection, Waiting},
    groups::GroupHandle,
    requests::{LoggedRequest, RequestLog},
    sasl,
    script::{Act, Script, Shaped, When},
    state::State,
};

/// Names a connection.
pub type ConnectionId = u64;

/// What a connection shall do.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Send bytes to the client.
    Send(Vec<u8>),
    /// Close the connection.
    Close,
}

/// The machine.
pub struct Cluster {
    /// Nodes, topics, logs, groups; after a change of it, [`changed`](Self::changed) lets waiting requests look again.
    pub state: State,
    script: Script,
    connections: BTreeMap<ConnectionId, Connection>,
    paused: BTreeSet<i32>,
    requests: RequestLog,
    most_unanswered: usize,
    outputs: VecDeque<(ConnectionId, Output)>,
    changed: bool,
}

/// With more that goes out and nobody has taken, a connection's next request waits.
const MOST_QUEUED: usize = 16 << 20;

impl Cluster {
    /// Nodes with the ids from 1 on, which say that they are at these addresses.
    pub fn new(addresses: impl IntoIterator<Item = HostPort>) -> Self {
        Self {
            state: State::new(addresses),
            script: Script::default(),
            connections: BTreeMap::new(),
            paused: BTreeSet::new(),
            requests: RequestLog::default(),
            most_unanswered: 0,
            outputs: VecDeque::new(),
            changed: false,
        }
    }

    // What shall happen

    /// Makes a rule for requests of this API.
    pub fn on<R: Request>(&mut self) -> When<'_, R> {
        When::new(Some(R::KEY), |rule| self.script.add(rule))
    }

    /// Makes a rule for all requests.
    pub fn on_any(&mut self) -> When<'_, ()> {
        When::new(None, |rule| self.script.add(rule))
    }

    /// A group, to look at and to change.
    #[must_use]
    pub fn group(&mut self, id: &str, now: Instant) -> GroupHandle<'_> {
        let this = RefCell::new(self);
        GroupHandle::new(id, move |f| {
            let mut this = this.borrow_mut();
            f(&mut this, now);
            this.handle(now);
        })
    }

    pub(crate) fn script_mut(&mut self) -> &mut Script {
        &mut self.script
    }

    /// Forgets all rules.
    pub fn clear_rules(&mut self) {
        self.script.clear();
        // Their numbers are void.
        for connection in self.connections.values_mut() {
            if let Some(waiting) = &mut connection.waiting {
                waiting.rules.clear();
            }
        }
    }

    /// Lets waiting requests look again at what there is.
    pub fn changed(&mut self) {
        self.changed = true;
    }

    /// Whether waiting requests have to look again.
    pub(crate) fn has_changed(&self) -> bool {
        self.changed
    }

    /// A node stops to read and to answer, as a stopped process does, or goes on.
    pub fn set_paused(&mut self, node: i32, paused: bool) {
        if paused {
            self.paused.insert(node)
        } else {
            self.paused.remove(&node)
        };
        self.changed = true;
    }

    /// Whether a node has stopped to read and to answer.
    #[must_use]
    pub fn is_paused(&self, node: i32) -> bool {
        self.paused.contains(&node)
    }

    /// A node dies: its connections end, its fetch sessions are gone, and it coordinates no more.
    pub fn kill(&mut self, node: i32) {
        self.paused.remove(&node);
        self.state.node_mut(node).sessions.clear();
        self.close_connections(node);
        self.state.stop_coordinating(node);
    }

    /// A node that died is back, with what it coordinates.
    pub fn revive(&mut self, node: i32) {
        self.state.node_mut(node).stopped = false;
    }

    /// A node closes all its connections.
    pub fn close_connections(&mut self, node: i32) {
        for id in self.connections_of(node) {
            self.close(id);
        }
    }

    /// A node forgets its fetch sessions.
    pub fn forget_sessions(&mut self, node: i32) {
        self.state.node_mut(node).sessions.clear();
    }

    /// Bytes that nobody asked for go out on all connections of a node.
    pub fn send_unasked(&mut self, node: i32, bytes: &[u8]) {
        for id in self.connections_of(node) {
            self.outputs.push_back((id, Output::Send(bytes.to_vec())));
        }
    }

    // What came in

    /// A client has connected to a node.
    pub fn accept(&mut self, node: i32, id: ConnectionId) {
        self.connections.insert(id, Connection::to(node));
    }

    /// A client has closed its connection.
    pub fn lost(&mut self, id: ConnectionId) {
        self.remove(id);
    }

    /// Bytes have come from a client.
    pub fn receive(&mut self, id: ConnectionId, bytes: &[u8], now: Instant) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.inbox.extend_from_slice(bytes);
            self.run(id, now);
        }
    }

    /// Whether more of a connection may be read. Not from one whose requests pile up, or whose client leaves answers
    /// unread: what it sends stays with the kernel, as with Kafka.
    pub(crate) fn takes_more(&self, id: ConnectionId) -> bool {
        let connection = self.connections.get(&id);
        connection.is_some_and(|c| c.takes_more() && !self.paused.contains(&c.node))
    }

    /// A client leaves its answers unread, or reads on.
    pub(crate) fn set_blocked(&mut self, id: ConnectionId, blocked: bool) {
        if let Some(connection) = self.connections.get_mut(&id) {
            self.changed |= connection.blocked && !blocked;
            connection.blocked = blocked;
        }
    }

    /// The time is `now`.
    pub fn handle(&mut self, now: Instant) {
        let again = std::mem::take(&mut self.changed);
        let due = |c: &Connection| again || c.next_at().is_some_and(|at| at <= now);
        self.run_those(due, now);
        loop {
            self.state.handle_groups(&self.paused, now);
            if !self.state.groups.has_answered() {
                return;
            }
            // What one member has asked may be what others wait for.
            self.run_those(Connection::waits_for_group, now);
        }
    }

    fn run_those(&mut self, which: impl Fn(&Connection) -> bool, now: Instant) {
        let those = self.connections.iter().filter(|(_, c)| which(c)).map(|(id, _)| *id);
        let those: Vec<ConnectionId> = those.collect();
        those.into_iter().for_each(|id| self.run(id, now));
    }

    // What must go out

    /// What a connection shall do next.
    pub fn poll_output(&mut self) -> Option<(ConnectionId, Output)> {
        let (id, output) = self.outputs.pop_front()?;
        if let (Output::Send(bytes), Some(connection)) = (&output, self.connections.get_mut(&id)) {
            connection.queued = connection.queued.saturating_sub(bytes.len());
        }
        Some((id, output))
    }

    /// When to call [`handle`](Self::handle) although nothing came in.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let running = self.connections.values().filter(|c| !self.paused.contains(&c.node));
        let groups = self.state.poll_groups(&self.paused);
        running.filter_map(Connection::next_at).chain(groups).min()
    }

    // What is known

    /// The requests that have come, in order: of more than 256 MiB of them, the newest.
    #[must_use]
    pub fn requests(&self) -> &[LoggedRequest] {
        self.requests.all()
    }

    /// The requests of one API, decoded.
    ///
    /// # Panics
    /// Where one is malformed.
    #[must_use]
    pub fn requests_of<R: Request>(&self) -> Vec<R> {
        let all = self.requests().iter().filter(|r| r.is::<R>());
        all.map(|r| r.decode().expect("a well-formed request")).collect()
    }

    /// The requests of one API, each as it came and decoded.
    ///
    /// # Panics
    /// Where one is malformed.
    #[must_use]
    pub fn log_of<R: Request>(&self) -> Vec<(LoggedRequest, R)> {
        let all = self.requests().iter().filter(|r| r.is::<R>());
        all.map(|r| (r.clone(), r.decode().expect("a well-formed request"))).collect()
    }

    /// How many connections to a node are open.
    #[must_use]
    pub fn open_connections(&self, node: i32) -> usize {
        self.connections.values().filter(|c| c.node == node).count()
    }

    /// Whether a connection is still open.
    #[must_use]
    pub fn is_open(&self, id: ConnectionId) -> bool {
        self.connections.contains_key(&id)
    }

    /// The most requests that were unanswered at a time on one connection.
    #[must_use]
    pub fn most_unanswered(&self) -> usize {
        self.most_unanswered
    }

    // Helpers

    fn connections_of(&self, node: i32) -> Vec<ConnectionId> {
        self.connections.iter().filter(|(_, c)| c.node == node).map(|(id, _)| *id).collect()
    }

    fn close(&mut self, id: ConnectionId) {
        if self.remove(id) {
            self.outputs.push_back((id, Output::Close));
        }
    }

    /// A connection is no more; says whether there was one.
    fn remove(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.remove(&id) else { return false };
        if let Some(waiting) = connection.waiting {
            self.state.forget(&waiting.wait);
        }
        true
    }

    /// Does all that a connection can do now.
    fn run(&mut self, id: ConnectionId, now: Instant) {
        while let Some(connection) = self.connections.get_mut(&id) {
            if self.paused.contains(&connection.node) || connection.blocked {
                return;
            }
            connection.again_at = (connection.queued > MOST_QUEUED).then_some(now);
            if connection.again_at.is_some() {
                return;
            }
            if !self.read_frames(id, now) {
                return self.close(id);
            }
            let Some(connection) = self.connections.get_mut(&id) else { return };
            if let Some((at, _)) = connection.steps.front() {
                if *at > now {
                    return;
                }
                let (_, output) = connection.steps.pop_front().expect("looked at just now");
                if output == Output::Close {
                    return self.close(id);
                }
                if let Output::Send(bytes) = &output {
                    connection.queued += bytes.len();
                }
                self.outputs.push_back((id, output));
            } else if let Some(waiting) = connection.waiting.take() {
                let over = waiting.deadline.is_some_and(|at| now >= at);
                let Some(body) = self.state.try_wait(&waiting.wait, over) else {
                    connection.waiting = Some(waiting);
                    return;
                };
                let Waiting { version, correlation, rules, .. } = waiting;
                self.answer(id, body, version, correlation, &rules, now);
            } else if connection.silent {
                return;
            } else {
                let Some((header, body)) = connection.pop_frame() else { return };
                self.take(id, &header, &body, now);
            }
        }
    }

    /// Takes whole requests out of the bytes that have come; says whether they make sense.
    fn read_frames(&mut self, id: ConnectionId, at: Instant) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else { return true };
        loop {
            let (header, body) = match connection.next_frame(&self.state.users) {
                Ok(Some(frame)) => frame,
                Ok(None) => return true,
                Err(_) => return false,
            };
            self.requests.push(LoggedRequest {
                node: connection.node,
                connection: id,
                header: header.clone(),
                body: body.clone(),
                at,
            });
            connection.push_frame(header, body);
            connection.unanswered += 1;
            self.most_unanswered = self.most_unanswered.max(connection.unanswered);
        }
    }

    fn take(&mut self, id: ConnectionId, header: &RequestHeader, body: &[u8], now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let (version, correlation) = (header.api_version, header.correlation_id);
        let bare = connection.sasl.is_bare();
        let rules = self.script.matching(connection.node, header.api_key);
        // The broker has seen it, whatever becomes of the answer; but a group does not do what is refused.
        let refusals = self.script.refusals(&rules);
        let spoken = bare || self.state.speaks(connection.node, header.api_key, version);
        let logging_in = connection.sasl.take(&mut self.state.users, header, body, &refusals);
        let outcome = match logging_in {
            Some(_) if !spoken => Outcome::Refused,
            Some(outcome) => outcome,
            None => self.state.take(connection.node, header, body, &refusals, now),
        };
        if self.answer_otherwise(id, &rules, header, body, now) {
            if let Outcome::Wait(wait) = outcome {
                self.state.forget(&wait);
            }
            return;
        }
        match outcome {
            Outcome::Now(body) => self.answer(id, body, version, correlation, &rules, now),
            Outcome::Wait(wait) => {
                let limit =
                    if refusals.all.is_some() { Some(Duration::ZERO) } else { wait.limit() };
                let deadline = limit.map(|limit| now + limit);
                let Some(connection) = self.connections.get_mut(&id) else { return };
                connection.waiting = Some(Waiting { wait, deadline, version, correlation, rules });
            }
            Outcome::Unanswered => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.unanswered -= 1;
                }
            }
            Outcome::Refused => self.close(id),
        }
    }

    /// Does what rules want instead of an answer; says whether there was something.
    fn answer_otherwise(
        &mut self,
        id: ConnectionId,
        rules: &[usize],
        header: &RequestHeader,
        body: &[u8],
        now: Instant,
    ) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        for number in rules {
            match self.script.act(*number) {
                Some(Act::Silence) => connection.silent = true,
                Some(Act::Swallow) => {}
                Some(Act::Close) => self.close(id),
                Some(Act::Bytes(bytes)) => {
                    connection.unanswered -= 1;
                    connection.steps.push_back((now, Output::Send(bytes.clone())));
                }
                Some(Act::Respond(answer)) => {
                    let (version, correlation) = (header.api_version, header.correlation_id);
                    match answer(body, version) {
                        Ok(body) => self.answer(id, body, version, correlation, rules, now),
                        Err(_) => self.close(id),
                    }
                }
                _ => continue,
            }
            return true;
        }
        false
    }

    /// Lets the rules change an answer, and puts it on its way.
    fn answer(
        &mut self,
        id: ConnectionId,
        mut body: Body,
        version: i16,
        correlation: i32,
        rules: &[usize],
        now: Instant,
    ) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        for number in rules {
            match self.script.act(*number) {
                Some(Act::Fail(code)) => body.set_error(*code),
                Some(Act::Rewrite(edit)) => edit(&mut body),
                _ => {}
            }
        }
        connection.unanswered -= 1;
        // A client that has logged in, or does not have to, only asks at the wrong time.
        let untimely = !connection.sasl.is_closed_to(&self.state.users);
        let ends = sasl::error_in(&mut body)
            .is_some_and(|code| code != ErrorCode::ILLEGAL_SASL_STATE || !untimely);
        let frame = match connection.sasl.answers_barely() {
            // Without a header there is no place for an error.
            true if ends => return self.close(id),
            true => sasl::bare_frame(&mut body),
            false => body.frame(version, correlation),
        };
        let held = connection.held.take();
        match self.script.shape(rules, frame, held, now) {
            Shaped::Steps(steps) => connection.steps.extend(steps),
            Shaped::Held(frame) => connection.held = Some(frame),
        }
        if ends {
            let at = connection.steps.back().map_or(now, |(at, _)| *at);
            connection.steps.push_back((at, Output::Close));
        }
    }
}
