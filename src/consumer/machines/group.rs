//! The group among the machines: what goes on while the caller is away, and what only the caller can do.

use std::time::Instant;

use super::Machines;
use crate::{
    client::{ClientEvent, Role},
    coordinator::{Attendance, Coordinator, Step},
    subscriptions::Context,
};

impl Machines {
    /// The time is `now`, and the caller is away: does what keeps the membership alive, and nothing else.
    pub fn handle_away(&mut self, now: Instant) {
        self.now = now;
        self.client.handle_timeout_of(not_for_records, now);
        self.take_in_away(now);
        self.with_group(now, |group, cx| group.poll(Attendance::Away, cx));
    }

    /// Tells the group what has come in, and judges nobody who is late: more may be there.
    pub fn take_in_away(&mut self, now: Instant) {
        while let Some(event) = self.client.poll_event() {
            self.route_away(event, now);
        }
    }

    /// When to call [`handle_away`](Self::handle_away) although nothing came in.
    #[must_use]
    pub fn away_timeout(&mut self, now: Instant) -> Option<Instant> {
        let group = self.group_timeout(Attendance::Away, now);
        [group, self.client.poll_timeout_of(not_for_records, now)].into_iter().flatten().min()
    }

    /// What the caller is to do for its group, which has nothing in hand; to be reported with
    /// [`with_group`](Self::with_group).
    pub fn step(&mut self) -> Option<Step> {
        let step = self.with_group(self.now, Coordinator::step).flatten();
        // What is ready of partitions that are to be revoked is void from now on.
        self.follow();
        // A leader may want to know topics that others read: that is due now, and nothing else would send it.
        self.metadata.poll(&mut self.client, self.now);
        step
    }

    /// Whether the caller should look in soon, whatever it is doing.
    #[must_use]
    pub fn wants_caller(&self, now: Instant) -> bool {
        self.group.as_ref().is_some_and(|group| group.wants_caller(now))
    }

    /// Does something with the group, if there is one.
    pub fn with_group<T>(
        &mut self,
        now: Instant,
        f: impl FnOnce(&mut Coordinator, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let group = self.group.as_mut()?;
        let mut cx = Context {
            subscriptions: &mut self.subscriptions,
            metadata: &mut self.metadata,
            client: &mut self.client,
            now,
        };
        Some(f(group, &mut cx))
    }

    /// Takes over a new assignment: of which topics something has to be known.
    pub fn assignment_changed(&mut self, now: Instant) {
        self.metadata.set_interest(self.subscriptions.topics(), now);
    }

    pub(super) fn group_timeout(
        &mut self,
        attendance: Attendance,
        now: Instant,
    ) -> Option<Instant> {
        self.with_group(now, |group, cx| group.poll_timeout(attendance, cx)).flatten()
    }

    fn route_away(&mut self, event: ClientEvent, now: Instant) {
        let ours = self.with_group(now, |group, cx| match &event {
            ClientEvent::Response { id, result, .. } => group.handle_response(*id, result, cx),
            ClientEvent::Failed(node) if node.role == Role::Coordinator => {
                group.handle_node_failed(*node, cx);
                true
            }
            _ => false,
        });
        // Connections that are ready or failed are no news to anybody else.
        let is_news = !matches!(event, ClientEvent::Ready(_) | ClientEvent::Failed(_));
        if ours != Some(true) && is_news {
            self.deferred.push_back(event);
        }
    }
}

fn not_for_records(role: Role) -> bool {
    role != Role::Fetch
}
