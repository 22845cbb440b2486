//! [`KafkaConsumer`] as a member of a group: what it does when the group wants something, and what can be asked of it.

use std::{collections::BTreeMap, fmt};

use super::{Content, KafkaConsumer, finally::Finally, listener::News};
use crate::{
    Error, Result,
    assignors::{Subscription, divide},
    coordinator::{Assigning, Coordinator, GroupState, Joining, Step, Taking},
    subscriptions::Context,
};

/// Where a consumer stands in its group.
///
/// ```
/// # let broker = scripted_broker::ScriptedBroker::start();
/// # broker.create_topic("t", 1);
/// # let builder = kafka_blocking::KafkaConsumer::builder().bootstrap_servers(broker.address());
/// use kafka_blocking::GroupState;
///
/// let consumer = builder.group_id("my-group").topics("t").build()?;
/// let standing = consumer.group_metadata()?;
/// assert_eq!(standing.group_id.as_deref(), Some("my-group"));
/// assert_eq!((standing.generation_id, standing.state), (-1, GroupState::Unjoined)); // before the first poll
/// # Ok::<(), kafka_blocking::Error>(())
/// ```
///
/// kafka-python: `ConsumerGroupMetadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerGroupMetadata {
    /// The option `group_id`.
    pub group_id: Option<String>,
    /// The generation that the consumer is a member of; -1 while it is none.
    pub generation_id: i32,
    /// What the coordinator calls it; empty while it is no member.
    pub member_id: String,
    /// The option `group_instance_id`.
    pub group_instance_id: Option<String>,
    /// How far it has come.
    pub state: GroupState,
}

impl<K: ?Sized + Content, V: ?Sized + Content> KafkaConsumer<K, V> {
    /// Where this consumer stands in its group. Does not block.
    ///
    /// An example is at [`ConsumerGroupMetadata`].
    ///
    /// # Errors
    /// [`Error::Closed`].
    ///
    /// kafka-python: `group_metadata`.
    pub fn group_metadata(&self) -> Result<ConsumerGroupMetadata> {
        self.with_driver(|driver| {
            let none = ConsumerGroupMetadata {
                group_id: None,
                generation_id: -1,
                member_id: String::new(),
                group_instance_id: None,
                state: GroupState::Unjoined,
            };
            let Some(group) = &driver.machines.group else { return Ok(none) };
            let (options, generation_id, member_id, state) = group.standing();
            Ok(ConsumerGroupMetadata {
                group_id: Some(options.group_id.to_string()),
                generation_id,
                member_id: member_id.to_owned(),
                group_instance_id: options.instance_id.as_deref().map(ToOwned::to_owned),
                state,
            })
        })
    }

    /// Has the group divide its partitions anew, as when the program knows better than the assignor when it is time for that.
    /// The next call that reads takes part in it; nothing happens before the consumer is a member. `reason` goes to the
    /// coordinator's log. Does not block.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("t", 1);
    /// # broker.append("t", 0, ["a", "b"]);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder()
    /// #     .bootstrap_servers(broker.address()).auto_offset_reset("earliest").group_id("g").topics("t").build()?;
    /// consumer.next().expect("waits for ever")?;
    /// let before = consumer.group_metadata()?.generation_id;
    /// consumer.enforce_rebalance("the weights have changed")?;
    /// consumer.next().expect("waits for ever")?;
    /// assert!(consumer.group_metadata()?.generation_id > before);
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::IllegalState`] without a group; [`Error::Closed`].
    ///
    /// There is no such method in kafka-python; Java: `enforceRebalance` (KIP-568).
    pub fn enforce_rebalance(&self, reason: &str) -> Result<()> {
        self.with_group("enforce_rebalance", |group, _| {
            group.enforce_rebalance(reason);
            Ok(())
        })
    }

    // Helpers

    /// Does something with the group.
    pub(super) fn with_group<T>(
        &self,
        call: &str,
        f: impl FnOnce(&mut Coordinator, &mut Context<'_>) -> Result<T>,
    ) -> Result<T> {
        self.with_driver(|driver| {
            let now = driver.now();
            let done = driver.machines.with_group(now, f);
            driver.machines.assignment_changed(now);
            done.unwrap_or_else(|| {
                Err(Error::IllegalState(format!("{call} needs a group: set group_id").into()))
            })
        })
    }

    /// What the group wants of the caller, who has nothing in hand. An error is the user's own; the group goes on nevertheless.
    pub(super) fn take_step(&self, step: Step) -> Result<()> {
        match step {
            Step::Committed(finished) => {
                self.tell_of_commits(finished);
                Ok(())
            }
            Step::Lost(partitions) => {
                let _done = Finally::new((), |()| self.done(Coordinator::lost));
                self.tell(News::Lost, &partitions)
            }
            Step::Revoke(partitions) => {
                let gone =
                    |group: &mut Coordinator, cx: &mut Context<'_>| group.revoked(&partitions, cx);
                let _done = Finally::new((), |()| self.done(gone));
                self.tell(News::Revoked, &partitions)
            }
            Step::Join(joining) => {
                let protocols = self.describe(&joining)?;
                self.done(|group, cx| group.join(protocols, cx));
                Ok(())
            }
            Step::Lead(assigning) => {
                let assignments = self.divide(&assigning);
                self.done(|group, cx| group.lead(assignments, cx));
                Ok(())
            }
            Step::Take(taking) => self.take_over(&taking),
        }
    }

    fn take_over(&self, taking: &Taking) -> Result<()> {
        let mut holds = false;
        let given_back = {
            let _done = Finally::new((), |()| {
                self.done(|group, cx| holds = group.hand_over(&taking.revoked, cx));
            });
            self.tell(News::Revoked, &taking.revoked)
        };
        if !holds {
            return given_back;
        }
        {
            // Where it panics, the step comes again, and the listener hears of what is new then.
            let _user_code = self.user_code();
            let mut assignors = self.assignors.borrow_mut();
            let assignor = assignors.iter_mut().find(|a| *a.name() == *taking.name);
            if let Some(assignor) = assignor {
                assignor.on_assignment(&taking.assignment, taking.generation);
            }
        }
        let _done = Finally::new((), |()| self.done(Coordinator::arrived));
        let taken = self.tell(News::Assigned, &taking.added);
        given_back.and(taken)
    }

    /// What each assignor tells the leader.
    fn describe(&self, joining: &Joining) -> Result<Vec<(String, Vec<u8>)>> {
        let _user_code = self.user_code();
        let Joining { topics, owned, generation, rack } = joining;
        let subscription = Subscription { topics, owned, generation: *generation, rack };
        let assignors = self.assignors.borrow();
        let each = assignors.iter().map(|assignor| {
            let told = subscription.encode(assignor.user_data(topics))?;
            Ok((assignor.name().to_owned(), told))
        });
        each.collect()
    }

    /// What the assignor that all members have gives to each, as bytes.
    fn divide(&self, assigning: &Assigning) -> Result<BTreeMap<String, Vec<u8>>> {
        let _user_code = self.user_code();
        let assignors = self.assignors.borrow();
        let Assigning { name, protocol, members, topics } = assigning;
        let assignor = assignors.iter().find(|assignor| *assignor.name() == **name);
        let divided = match assignor {
            Some(assignor) => divide(&**assignor, *protocol, topics, members),
            None => Err(format!(
                "the group chose the assignor {name:?}, which this consumer does not have"
            )
            .into()),
        };
        divided.map_err(|source| Error::Assignor { source: source.into() })
    }

    /// Reports a step as done; a consumer that was closed meanwhile has nothing to report.
    pub(super) fn done(&self, how: impl FnOnce(&mut Coordinator, &mut Context<'_>)) {
        let _ = self.with_group("poll", |group, cx| {
            how(group, cx);
            Ok(())
        });
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unjoined => "unjoined",
            Self::Rebalancing => "rebalancing",
            Self::Stable => "stable",
        })
    }
}
