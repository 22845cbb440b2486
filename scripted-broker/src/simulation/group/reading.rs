//! How a simulated consumer waits for records and hands them out: `poll_max` and `next`, as in the crate.

use std::time::{Duration, Instant};

use kafka_blocking::{
    Error, Result,
    coordinator::{Attendance, Step},
    fetcher::Item,
};

use super::{
    consumer::{SimulatedConsumer, Taken},
    world::Happened,
};

/// How long to wait for records.
#[derive(Clone, Copy, Debug)]
enum Patience {
    /// Not at all: there are records in hand.
    None,
    Until(Instant),
}

/// What came of looking for more.
enum Refilled {
    More,
    Nothing,
    /// The group wants something first.
    Step(Step),
}

impl SimulatedConsumer {
    /// Records that are there, up to `max_records` of them; waits up to `timeout` for the first.
    ///
    /// # Errors
    /// As `KafkaConsumer::poll_max`.
    pub async fn poll_max(&mut self, timeout: Duration, max_records: usize) -> Result<Taken> {
        let call = self.begin("poll_max", timeout);
        let polled = self.poll_quietly(timeout, max_records).await;
        self.end(call);
        for (partition, offset) in polled.iter().flatten() {
            self.note(Happened::HandedOut(partition.clone(), *offset));
        }
        polled
    }

    async fn poll_quietly(&mut self, timeout: Duration, max_records: usize) -> Result<Taken> {
        let until = self.now() + timeout;
        let mut taken = Taken::new();
        self.progressed = true;
        self.note(Happened::CameBack);
        self.attend_group().await?;
        loop {
            while taken.len() < max_records
                && let Some(record) = self.cursor.next_in_batch()
            {
                taken.push((record.topic_partition(), record.offset()));
            }
            if taken.len() == max_records {
                return Ok(taken);
            }
            let empty = taken.is_empty();
            match self.advance(if empty { Patience::Until(until) } else { Patience::None }).await {
                Ok(true) => {}
                Ok(false) => return Ok(taken),
                Err(_) if !empty => return Ok(taken),
                Err(error) => return Err(error),
            }
        }
    }

    /// The next record; waits for it up to `timeout`.
    ///
    /// # Errors
    /// As `KafkaConsumer::next`.
    pub async fn next(&mut self, timeout: Duration) -> Result<Taken> {
        let call = self.begin("next", timeout);
        let taken = self.next_quietly(timeout).await;
        self.end(call);
        for (partition, offset) in taken.iter().flatten() {
            self.note(Happened::HandedOut(partition.clone(), *offset));
        }
        taken
    }

    async fn next_quietly(&mut self, timeout: Duration) -> Result<Taken> {
        self.progressed = true;
        self.note(Happened::CameBack);
        let mut looked = !self.group_signal;
        loop {
            if looked && let Some(record) = self.cursor.next_in_batch() {
                return Ok(vec![(record.topic_partition(), record.offset())]);
            }
            self.attend_group().await?;
            let until = self.now() + timeout;
            if !self.advance(Patience::Until(until)).await? {
                return Ok(Taken::new());
            }
            looked = true;
        }
    }

    /// Does what the group wants of a caller who has come back from all that was handed out, without waiting for anything.
    async fn attend_group(&mut self) -> Result<()> {
        while self.group_signal {
            self.publish();
            self.machines.attendance = Attendance::Reading;
            self.pump();
            self.machines.attendance = Attendance::Present;
            let step = self.machines.step();
            self.follow();
            match step {
                Some(step) => self.take_step(step).await?,
                None => break,
            }
        }
        Ok(())
    }

    /// Goes on to the next record, through the machines if need be; says whether there is one.
    async fn advance(&mut self, patience: Patience) -> Result<bool> {
        loop {
            match self.cursor.advance() {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(_) if matches!(patience, Patience::None) => return Ok(false),
                Err(damage) => {
                    self.with_driver(|machines, now| {
                        let subscriptions = &mut machines.subscriptions;
                        machines.fetcher.handle_damage(damage.id, subscriptions, now);
                    });
                    return Err(damage.error);
                }
            }
            match self.refill(patience).await? {
                Refilled::Step(step) => self.take_step(step).await?,
                Refilled::Nothing => return Ok(false),
                Refilled::More if self.cursor.advance().is_ok_and(|has| !has) => {
                    let over = match patience {
                        Patience::None => true,
                        Patience::Until(until) => self.now() >= until,
                    };
                    if over {
                        return Ok(false);
                    }
                }
                Refilled::More => {}
            }
        }
    }

    /// Gives the cursor, which has run dry, something to hand out.
    async fn refill(&mut self, patience: Patience) -> Result<Refilled> {
        self.publish();
        // With records in hand nothing is committed that the caller has not come back from.
        let in_hand = matches!(patience, Patience::None);
        self.machines.attendance = if in_hand { Attendance::Present } else { Attendance::Reading };
        let refilled = self.refill_inside(patience).await;
        self.machines.attendance = Attendance::Present;
        self.follow();
        refilled
    }

    async fn refill_inside(&mut self, patience: Patience) -> Result<Refilled> {
        self.cursor.clear();
        if self.cursor.open_resumed() {
            return Ok(Refilled::More);
        }
        let until = match patience {
            Patience::None => {
                if !self.machines.fetcher.has_ready_records() {
                    self.pump();
                    return Ok(Refilled::Nothing);
                }
                self.now()
            }
            Patience::Until(until) => until,
        };
        let group = !matches!(patience, Patience::None);
        if group || !self.machines.fetcher.has_ready() {
            let ended = self
                .run_until(until, |m| {
                    if let Some(step) = group.then(|| m.step()).flatten() {
                        return Some(Ok(Some(step)));
                    }
                    if m.fetcher.has_ready() {
                        return Some(Ok(None));
                    }
                    m.poll_error().or_else(|| m.subscriptions.stuck()).map(Err)
                })
                .await;
            match ended {
                Some(Ok(Some(step))) => return Ok(Refilled::Step(step)),
                Some(Ok(None)) => {}
                Some(Err(error)) => {
                    self.pump();
                    return Err(error);
                }
                None => return Ok(Refilled::Nothing),
            }
        }
        self.take_ready()?;
        if self.machines.fetcher.wants_more() {
            self.pump();
        }
        Ok(Refilled::More)
    }

    fn take_ready(&mut self) -> Result<(), Error> {
        let now = self.now();
        let machines = &mut self.machines;
        let Some(ready) = machines.fetcher.take_ready() else { return Ok(()) };
        match ready.item {
            Item::Records(fetched) => {
                if let Some(state) = machines.subscriptions.state(ready.id) {
                    self.cursor.open(ready.id, state, fetched);
                }
                Ok(())
            }
            item => machines.fetcher.settle(ready.id, item, &mut machines.subscriptions, now),
        }
    }
}
