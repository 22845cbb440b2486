//! What [`KafkaConsumer`] reads by topic, and what it can say of topics.

use std::{cell::Cell, collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    ConsumerRebalanceListener, Content, KafkaConsumer, check_topic, deadline, driver::Ended,
    finally::Finally,
};
use crate::{
    Error, Result,
    client::{
        cluster::Cluster,
        metadata::Query,
        pattern::{TopicPattern, is_internal},
    },
};

impl<K: ?Sized + Content, V: ?Sized + Content> KafkaConsumer<K, V> {
    // What to read

    /// Reads all partitions of these topics from now on, in place of what was subscribed before.
    ///
    /// With a `group_id` the group divides the partitions among its members; the calls that read take part in that, and
    /// what was assigned before stays until then. Without one, every consumer that subscribes reads everything. Partitions
    /// that are added to a topic later, and topics that come to exist later, are read as soon as metadata shows them. Does
    /// not block.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("orders", 1);
    /// # broker.create_topic("returns", 1);
    /// # broker.append("returns", 0, ["a"]);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder()
    /// #     .bootstrap_servers(broker.address()).auto_offset_reset("earliest").build()?;
    /// consumer.subscribe(["orders"])?;
    /// consumer.subscribe(["orders", "returns"])?; // replaces, so `orders` is named again
    /// let record = consumer.next().expect("there is a record")?;
    /// assert_eq!(record.topic(), "returns");
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// One name alone is not taken for a list of its letters, nor for a list of one:
    ///
    /// ```compile_fail,E0277
    /// # let consumer = kafka_blocking::KafkaConsumer::builder().build()?;
    /// consumer.subscribe("orders")?;
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::IllegalState`] after [`assign`](Self::assign) or [`subscribe_pattern`](Self::subscribe_pattern), unless
    /// [`unsubscribe`](Self::unsubscribe) came between; [`Error::IllegalArgument`] for no topics at all, or a name that
    /// cannot be a topic's; [`Error::Closed`].
    ///
    /// kafka-python: `subscribe(topics)`.
    pub fn subscribe<I>(&self, topics: I) -> Result<()>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let topics: BTreeSet<Arc<str>> = topics.into_iter().map(|t| t.as_ref().into()).collect();
        if topics.is_empty() {
            return Err(Error::IllegalArgument("subscribe() needs at least one topic".into()));
        }
        topics.iter().try_for_each(|topic| check_topic(topic))?;
        self.change_subscription(|driver| {
            driver.machines.subscriptions.subscribe(topics, driver.machines.metadata.cluster())
        })?;
        self.listener.set(None);
        self.start_keeper()
    }

    /// As [`subscribe`](Self::subscribe), with a listener that is told which partitions come and go, in place of the one
    /// before. Only a group ever calls it.
    ///
    /// An example is at [`ConsumerRebalanceListener`].
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    ///
    /// kafka-python: `subscribe(topics, listener=…)`.
    pub fn subscribe_with<I>(
        &self,
        topics: I,
        listener: impl ConsumerRebalanceListener<K, V> + 'static,
    ) -> Result<()>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.subscribe(topics)?;
        self.listener.set(Some(Box::new(listener)));
        Ok(())
    }

    /// Reads all partitions of all topics whose names match a pattern from now on, in place of the pattern before.
    ///
    /// The pattern is a regular expression of the crate [`regex`](https://docs.rs/regex), which has neither look-around
    /// nor back-references. As with Python's `re.match`, a name has to match from its first character on but not to its
    /// last: `foo` matches `foobar`; `foo$` does not. Which topics there are is looked at every `metadata_max_age_ms`:
    /// topics that have come are read, topics that were deleted are left. Internal topics, such as
    /// `__consumer_offsets`, are left out unless `exclude_internal_topics` is off. No topic is ever created by a pattern.
    /// Does not block.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("metrics-eu", 1);
    /// # broker.create_topic("metrics-us", 1);
    /// # broker.create_topic("orders", 1);
    /// # broker.append("metrics-eu", 0, ["a"]);
    /// # broker.append("metrics-us", 0, ["b"]);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder()
    /// #     .bootstrap_servers(broker.address()).auto_offset_reset("earliest").build()?;
    /// consumer.subscribe_pattern("metrics-")?;
    /// for _ in 0..2 {
    ///     let record = consumer.next().expect("there are two records")?;
    ///     assert!(record.topic().starts_with("metrics-"));
    /// }
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::IllegalArgument`] with what is wrong with the pattern; [`Error::IllegalState`] after
    /// [`assign`](Self::assign) or [`subscribe`](Self::subscribe), unless [`unsubscribe`](Self::unsubscribe) came
    /// between; [`Error::Closed`].
    ///
    /// kafka-python: `subscribe(pattern=…)`.
    pub fn subscribe_pattern(&self, pattern: &str) -> Result<()> {
        let pattern = TopicPattern::new(pattern, self.limits.exclude_internal_topics)?;
        self.change_subscription(|driver| {
            let cluster = driver.machines.metadata.cluster();
            driver.machines.subscriptions.subscribe_pattern(pattern, cluster)
        })?;
        self.listener.set(None);
        self.start_keeper()
    }

    /// As [`subscribe_pattern`](Self::subscribe_pattern), with a listener as [`subscribe_with`](Self::subscribe_with) takes.
    ///
    /// # Errors
    /// As [`subscribe_pattern`](Self::subscribe_pattern).
    ///
    /// kafka-python: `subscribe(pattern=…, listener=…)`.
    pub fn subscribe_pattern_with(
        &self,
        pattern: &str,
        listener: impl ConsumerRebalanceListener<K, V> + 'static,
    ) -> Result<()> {
        self.subscribe_pattern(pattern)?;
        self.listener.set(Some(Box::new(listener)));
        Ok(())
    }

    /// Reads nothing from now on; what was buffered is dropped. [`assign`](Self::assign),
    /// [`subscribe`](Self::subscribe) and [`subscribe_pattern`](Self::subscribe_pattern) are all possible afterwards.
    ///
    /// A member gives its partitions back to the group as [`close`](Self::close) does, and waits for that up to
    /// `default_api_timeout_ms`: positions are committed if `enable_auto_commit` is on, the listener is told, and the member
    /// leaves. Without a group this does not block.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("orders", 1);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder().bootstrap_servers(broker.address()).build()?;
    /// consumer.subscribe(["orders"])?;
    /// consumer.unsubscribe()?;
    /// assert_eq!(consumer.subscription()?, None);
    /// consumer.assign([("orders", 0)])?;
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::RebalanceListener`] where the listener failed, which changes nothing else; [`Error::IllegalState`] inside a
    /// callback; [`Error::Closed`].
    ///
    /// kafka-python: `unsubscribe`, which does not tell the listener.
    pub fn unsubscribe(&self) -> Result<()> {
        self.refuse_in_callback("unsubscribe()")?;
        let until = deadline(self.limits.api_timeout);
        let reads_nothing = || {
            let changed = self.change_subscription(|driver| {
                driver.machines.subscriptions.unsubscribe();
                Ok(())
            });
            self.listener.set(None);
            changed
        };
        let unsubscribed = Cell::new(Ok(()));
        let given_back = {
            // Also where code of the user panics.
            let _unsubscribes = Finally::new((), |()| unsubscribed.set(reads_nothing()));
            self.give_back(self.limits.auto_commit, "it has unsubscribed", until)
        };
        let unsubscribed = unsubscribed.into_inner();
        unsubscribed.and(given_back)
    }

    /// The topics that are subscribed to; `None` while none are, also when partitions were assigned. After
    /// [`subscribe_pattern`](Self::subscribe_pattern) those that matched when metadata last came: none at first.
    /// The set is the caller's own. Does not block.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("orders", 1);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder().bootstrap_servers(broker.address()).build()?;
    /// assert_eq!(consumer.subscription()?, None);
    /// consumer.subscribe(["orders"])?;
    /// assert!(consumer.subscription()?.is_some_and(|topics| topics.contains("orders")));
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`].
    ///
    /// kafka-python: `subscription`.
    pub fn subscription(&self) -> Result<Option<BTreeSet<String>>> {
        self.with_driver(|driver| {
            let topics = driver.machines.subscriptions.subscription();
            Ok(topics.map(|topics| topics.iter().map(ToString::to_string).collect()))
        })
    }

    // What there is

    /// All topics that the user may see, without internal ones such as `__consumer_offsets`.
    ///
    /// Always asks the cluster, and waits up to `default_api_timeout_ms`. What is read does not change by it.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("orders", 1);
    /// # broker.create_topic("returns", 1);
    /// # broker.create_topic("__consumer_offsets", 1);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder().bootstrap_servers(broker.address()).build()?;
    /// let topics = consumer.topics()?;
    /// assert_eq!(topics.into_iter().collect::<Vec<_>>(), ["orders", "returns"]);
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Timeout`] with what stood in the way; [`Error::Wakeup`]; [`Error::Closed`].
    ///
    /// kafka-python: `topics`.
    pub fn topics(&self) -> Result<BTreeSet<String>> {
        self.topics_timeout(self.limits.api_timeout)
    }

    /// As [`topics`](Self::topics), and waits up to `timeout`.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("orders", 1);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder().bootstrap_servers(broker.address()).build()?;
    /// use std::time::Duration;
    ///
    /// assert!(consumer.topics_timeout(Duration::from_secs(5))?.contains("orders"));
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`topics`](Self::topics).
    ///
    /// kafka-python: `topics(timeout_ms)`.
    pub fn topics_timeout(&self, timeout: Duration) -> Result<BTreeSet<String>> {
        let found = self.ask_cluster("topics", Query::AllTopics, timeout, "")?;
        let visible = found.topics().filter(|(name, topic)| !is_internal(name, topic.internal));
        Ok(visible.map(|(name, _)| name.to_string()).collect())
    }

    /// The partitions of a topic; `None` where there is no such topic.
    ///
    /// Does not block where the consumer knows them, because it reads the topic. Otherwise asks the cluster, and waits up
    /// to `default_api_timeout_ms`; the topic is not created by that. What is read does not change by it.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("orders", 3);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder().bootstrap_servers(broker.address()).build()?;
    /// let partitions = consumer.partitions_for_topic("orders")?.expect("the topic exists");
    /// consumer.assign(partitions.into_iter().map(|partition| ("orders", partition)))?;
    /// assert_eq!(consumer.assignment()?.len(), 3);
    /// assert_eq!(consumer.partitions_for_topic("odrers")?, None);
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::TopicAuthorizationFailed`]; [`Error::IllegalArgument`] for a name that cannot be a topic's;
    /// [`Error::Timeout`] with what stood in the way; [`Error::Wakeup`]; [`Error::Closed`].
    ///
    /// kafka-python: `partitions_for_topic`.
    pub fn partitions_for_topic(&self, topic: &str) -> Result<Option<BTreeSet<i32>>> {
        self.partitions_for_topic_timeout(topic, self.limits.api_timeout)
    }

    /// As [`partitions_for_topic`](Self::partitions_for_topic), and waits up to `timeout`.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # broker.create_topic("orders", 3);
    /// # let consumer = kafka_blocking::KafkaConsumer::builder().bootstrap_servers(broker.address()).build()?;
    /// use std::time::Duration;
    ///
    /// let partitions = consumer.partitions_for_topic_timeout("orders", Duration::from_secs(5))?;
    /// assert_eq!(partitions, Some([0, 1, 2].into()));
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`partitions_for_topic`](Self::partitions_for_topic).
    ///
    /// kafka-python: `partitions_for_topic(topic, timeout_ms)`.
    pub fn partitions_for_topic_timeout(
        &self,
        topic: &str,
        timeout: Duration,
    ) -> Result<Option<BTreeSet<i32>>> {
        check_topic(topic)?;
        let known = self.with_driver(|d| Ok(partitions(d.machines.metadata.cluster(), topic)))?;
        if known.as_ref().is_some_and(|partitions| !partitions.is_empty()) {
            return Ok(known);
        }
        let query = Query::Topic(topic.into());
        let subject = format!("nothing is known of {topic}");
        let found = self.ask_cluster("partitions_for_topic", query, timeout, &subject)?;
        Ok(partitions(&found, topic))
    }

    /// Whether a broker has ever told this consumer what its cluster looks like.
    ///
    /// Stays true, also when the cluster is gone or the consumer is closed: it tells a cluster that was never reached from
    /// one that was. As [`build`](crate::ConsumerBuilder::build) waits for that, it is true of every consumer there is.
    /// Does not block.
    ///
    /// ```
    /// # let broker = scripted_broker::ScriptedBroker::start();
    /// # let consumer = kafka_blocking::KafkaConsumer::builder().bootstrap_servers(broker.address()).build()?;
    /// assert!(consumer.bootstrap_connected());
    /// # Ok::<(), kafka_blocking::Error>(())
    /// ```
    ///
    /// kafka-python: `bootstrap_connected`, which turns false again in some of its versions.
    #[must_use]
    pub fn bootstrap_connected(&self) -> bool {
        // Without machines it is closed, and was connected before.
        self.shared
            .enter()
            .guard
            .as_ref()
            .is_none_or(|driver| driver.machines.metadata.answers() > 0)
    }

    // Helpers

    /// Asks once, as far as the time allows.
    fn ask_cluster(
        &self,
        operation: &'static str,
        query: Query,
        timeout: Duration,
        subject: &str,
    ) -> Result<Cluster> {
        let until = deadline(timeout);
        self.with_driver(|driver| {
            let now = driver.now();
            driver.machines.metadata.start_query(query, now);
            let ended = driver.run_until(until, &self.shared.signals, |m| m.metadata.take_answer());
            let answer = ended.and_then(|ended| match ended {
                Ended::Done(answer) => answer,
                Ended::Signalled => Err(Error::Wakeup),
                Ended::TimedOut => {
                    Err(driver.machines.timeout(operation, timeout, subject, driver.now()))
                }
            });
            driver.machines.metadata.cancel_query();
            answer
        })
    }
}

/// The partitions of a topic that is there.
fn partitions(cluster: &Cluster, topic: &str) -> Option<BTreeSet<i32>> {
    let topic = cluster.topic(topic).filter(|topic| topic.error.is_none())?;
    Some(topic.partitions.keys().copied().collect())
}
