//! Which assignors a consumer has: the value of `partition_assignment_strategy`.

use std::{collections::BTreeSet, fmt, sync::Arc};

use super::{
    PartitionAssignor, RebalanceProtocol, cooperative_sticky::CooperativeStickyAssignor,
    range::RangeAssignor, roundrobin::RoundRobinAssignor, sticky::StickyAssignor,
};
use crate::options::{FromList, FromText, Refused, Setting};

/// The value of `partition_assignment_strategy`: a list of assignors, the most wanted first.
///
/// Names are enough for those that come with the crate. This type is for lists that have one of your own in them:
///
/// ```
/// # use std::{collections::BTreeMap, sync::Arc};
/// # use kafka_blocking::{BoxError, GroupMember, PartitionAssignor, TopicPartition};
/// # #[derive(Default)]
/// # struct MyAssignor;
/// # impl PartitionAssignor for MyAssignor {
/// #     fn name(&self) -> &str { "mine" }
/// #     fn assign(
/// #         &self,
/// #         _: &BTreeMap<Arc<str>, i32>,
/// #         _: &[GroupMember],
/// #     ) -> Result<BTreeMap<String, Vec<TopicPartition>>, BoxError> { Ok(BTreeMap::new()) }
/// # }
/// use kafka_blocking::{AssignmentStrategy, ConsumerBuilder};
///
/// let named = ConsumerBuilder::new().partition_assignment_strategy("range,roundrobin");
/// let own = AssignmentStrategy::new().with_assignor(MyAssignor::default).with("range");
/// let builder = ConsumerBuilder::new().partition_assignment_strategy(own);
/// ```
///
/// kafka-python: the list of classes or instances that is given as `partition_assignment_strategy`.
#[derive(Clone, Default)]
pub struct AssignmentStrategy {
    entries: Vec<Entry>,
    refused: Option<Refused>,
}

#[derive(Clone)]
enum Entry {
    BuiltIn(BuiltIn),
    Own(Arc<dyn Fn() -> Box<dyn PartitionAssignor> + Send + Sync>),
}

impl AssignmentStrategy {
    /// A list without assignors.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The list with one of the crate's assignors at its end, by a name that `partition_assignment_strategy` takes. Another
    /// name is remembered, and is an error of `build()`.
    #[must_use]
    pub fn with(mut self, name: &str) -> Self {
        match BuiltIn::of_name(name.trim()) {
            Ok(assignor) => self.entries.push(Entry::BuiltIn(assignor)),
            Err(refused) => {
                self.refused.get_or_insert(refused);
            }
        }
        self
    }

    /// The list with an assignor of your own at its end. `factory` is called when a consumer is built, once to look at the
    /// assignor and once to use it, and again for each further consumer that is built with the list.
    #[must_use]
    pub fn with_assignor<A: PartitionAssignor + 'static>(
        mut self,
        factory: impl Fn() -> A + Send + Sync + 'static,
    ) -> Self {
        self.entries.push(Entry::Own(Arc::new(move || Box::new(factory()))));
        self
    }

    /// The assignors, made anew.
    #[doc(hidden)]
    #[must_use]
    pub fn assignors(&self) -> Vec<Box<dyn PartitionAssignor>> {
        self.entries
            .iter()
            .map(|entry| match entry {
                Entry::BuiltIn(assignor) => assignor.make(),
                Entry::Own(factory) => factory(),
            })
            .collect()
    }

    /// The highest protocol that all the assignors have, or why a group cannot be joined with them.
    pub(crate) fn protocol(&self) -> Result<RebalanceProtocol, Refused> {
        let assignors = self.assignors();
        let names: Vec<&str> = assignors.iter().map(|assignor| assignor.name()).collect();
        let refused = |why: String| Err(Refused::new(names.join(","), why));
        let mut seen = BTreeSet::new();
        for name in &names {
            if name.is_empty() || name.len() > 32_767 {
                return refused("an assignor's name must have 1 to 32767 bytes".to_owned());
            }
            if !seen.insert(*name) {
                return refused(format!("names {name} twice"));
            }
        }
        let mut protocols = assignors.iter().map(|assignor| assignor.protocols());
        let Some(first) = protocols.next() else {
            return refused("must name an assignor, since there is a group_id".to_owned());
        };
        let mut common: BTreeSet<_> = first.iter().copied().collect();
        protocols.for_each(|other| common.retain(|protocol| other.contains(protocol)));
        match common.last() {
            Some(highest) => Ok(*highest),
            None => refused("these have no rebalance protocol in common".to_owned()),
        }
    }
}

impl fmt::Debug for AssignmentStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The name of an own one would cost a call of the user's code.
        let names = self.entries.iter().map(|entry| match entry {
            Entry::BuiltIn(assignor) => assignor.names()[0],
            Entry::Own(_) => "(own)",
        });
        f.debug_list().entries(names).finish()
    }
}

impl FromText for AssignmentStrategy {
    fn from_text(text: &str) -> Result<Self, Refused> {
        if text.is_empty() {
            return Ok(Self::new());
        }
        Self::from_list(text.split(','))
    }
}

impl FromList for AssignmentStrategy {
    fn from_list<'a>(entries: impl Iterator<Item = &'a str>) -> Result<Self, Refused> {
        entries.fold(Self::new(), Self::with).into_value()
    }
}

impl Setting<Self> for AssignmentStrategy {
    fn into_value(mut self) -> Result<Self, Refused> {
        match self.refused.take() {
            None => Ok(self),
            Some(refused) => Err(refused),
        }
    }
}

/// The assignors that come with the crate.
#[derive(Clone, Copy)]
enum BuiltIn {
    Range,
    RoundRobin,
    Sticky,
    CooperativeSticky,
}

impl BuiltIn {
    const ALL: [Self; 4] = [Self::Range, Self::RoundRobin, Self::Sticky, Self::CooperativeSticky];

    /// The name in the protocol, then kafka-python's classes and Java's.
    const fn names(self) -> [&'static str; 4] {
        match self {
            Self::Range => [
                "range",
                "RangePartitionAssignor",
                "RangeAssignor",
                "org.apache.kafka.clients.consumer.RangeAssignor",
            ],
            Self::RoundRobin => [
                "roundrobin",
                "RoundRobinPartitionAssignor",
                "RoundRobinAssignor",
                "org.apache.kafka.clients.consumer.RoundRobinAssignor",
            ],
            Self::Sticky => [
                "sticky",
                "StickyPartitionAssignor",
                "StickyAssignor",
                "org.apache.kafka.clients.consumer.StickyAssignor",
            ],
            Self::CooperativeSticky => [
                "cooperative-sticky",
                "cooperative_sticky",
                "CooperativeStickyAssignor",
                "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
            ],
        }
    }

    fn of_name(name: &str) -> Result<Self, Refused> {
        let known =
            |assignor: &Self| assignor.names().iter().any(|known| known.eq_ignore_ascii_case(name));
        Self::ALL.into_iter().find(known).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|assignor| assignor.names()[0]).collect();
            Refused::new(
                name,
                format!(
                    "must be a list of {}; one of your own goes into an AssignmentStrategy",
                    names.join(", ")
                ),
            )
        })
    }

    fn make(self) -> Box<dyn PartitionAssignor> {
        match self {
            Self::Range => Box::new(RangeAssignor),
            Self::RoundRobin => Box::new(RoundRobinAssignor),
            Self::Sticky => Box::new(StickyAssignor::default()),
            Self::CooperativeSticky => Box::new(CooperativeStickyAssignor::default()),
        }
    }
}
