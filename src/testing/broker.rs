//! [`ScriptedBroker`]: a cluster on real loopback sockets, as a guard that tests hold.

use std::{
    net::SocketAddr,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use crate::{net::servers::HostPort, protocol::Request};

use crate::testing::{
    batches::Marker,
    cluster::Cluster,
    event_loop::{Ack, Command, EventLoop, bind, now},
    groups::{GroupHandle, GroupSettings, GroupView},
    records::Record,
    requests::LoggedRequest,
    script::When,
    state::State,
};

/// Brokers on 127.0.0.1, each on a port of its own. They end when this is dropped: no thread and no port is left.
pub struct ScriptedBroker {
    cluster: Arc<Mutex<Cluster>>,
    waker: Arc<mio::Waker>,
    commands: mpsc::Sender<(Command, Ack)>,
    addresses: Vec<SocketAddr>,
    /// Told after each turn of the thread.
    turned: Arc<Condvar>,
    thread: Option<JoinHandle<()>>,
}

/// How long a test waits for something that comes about within milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

impl ScriptedBroker {
    /// One node, with id 1.
    #[must_use]
    pub fn start() -> Self {
        Self::cluster(1)
    }

    /// So many nodes, with ids from 1 on.
    ///
    /// # Panics
    /// Where this machine gives no sockets or threads.
    #[must_use]
    pub fn cluster(nodes: usize) -> Self {
        let sockets: Vec<_> = (0..nodes).map(|_| bind(([127, 0, 0, 1], 0).into())).collect();
        let addresses: Vec<SocketAddr> = sockets
            .iter()
            .map(|s| s.local_addr().expect("it is bound").as_socket().expect("an IP address"))
            .collect();
        let host_ports = addresses.iter().map(|a| HostPort::new(a.ip().to_string(), a.port()));
        let cluster = Arc::new(Mutex::new(Cluster::new(host_ports)));
        let (commands, receiver) = mpsc::channel();
        let turned = Arc::new(Condvar::new());
        let (event_loop, waker) =
            EventLoop::new(cluster.clone(), sockets, receiver, turned.clone());
        let thread = std::thread::Builder::new()
            .name("scripted-broker".to_owned())
            .spawn(move || event_loop.run())
            .expect("a thread for the scripted broker");
        Self { cluster, waker, commands, addresses, turned, thread: Some(thread) }
    }

    // Where it is

    /// The first node, as `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.addresses[0].to_string()
    }

    /// All nodes, with commas between them.
    #[must_use]
    pub fn addresses(&self) -> String {
        let all: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        all.join(",")
    }

    /// One node.
    ///
    /// # Panics
    /// Where there is no such node.
    #[must_use]
    pub fn address_of(&self, node: i32) -> SocketAddr {
        self.addresses[index(node)]
    }

    // What it holds

    /// A new topic; its partitions are led by the nodes in turn.
    pub fn create_topic(&self, name: &str, partitions: usize) {
        self.with_state(|state| state.create_topic(name, partitions));
    }

    /// A topic goes, with all that it held.
    pub fn delete_topic(&self, name: &str) {
        self.with_state(|state| state.delete_topic(name));
    }

    /// Appends one batch; gives the offset of its first record.
    pub fn append<R: Into<Record>>(
        &self,
        topic: &str,
        partition: i32,
        records: impl IntoIterator<Item = R>,
    ) -> i64 {
        self.with_state(|state| state.append(topic, partition, records))
    }

    /// Appends a batch as it is, but for its offset and epoch, whatever it holds; gives the offset of its first record.
    pub fn append_batch(&self, topic: &str, partition: i32, batch: Vec<u8>) -> i64 {
        self.with_state(|state| state.append_batch(topic, partition, batch))
    }

    /// Appends one batch of a producer's transaction; gives the offset of its first record.
    pub fn append_transactional<R: Into<Record>>(
        &self,
        topic: &str,
        partition: i32,
        producer_id: i64,
        records: impl IntoIterator<Item = R>,
    ) -> i64 {
        self.with_state(|s| s.append_transactional(topic, partition, producer_id, records))
    }

    /// Appends the marker that ends a producer's transaction, or something like it; gives its offset.
    pub fn append_marker(
        &self,
        topic: &str,
        partition: i32,
        producer_id: i64,
        marker: Marker,
    ) -> i64 {
        self.with_state(|state| state.append_marker(topic, partition, producer_id, marker))
    }

    /// Deletes what lies before an offset, a batch at a time; the log begins there.
    pub fn delete_records_before(&self, topic: &str, partition: i32, offset: i64) {
        self.with_state(|state| state.delete_records_before(topic, partition, offset));
    }

    /// Lets another node lead a partition, in a new epoch.
    pub fn move_leader(&self, topic: &str, partition: i32, leader: i32) {
        self.with_state(|state| state.move_leader(topic, partition, Some(leader)));
    }

    /// Lets a node lead that has less of the log: what lies at or behind an offset is lost.
    pub fn elect_unclean(&self, topic: &str, partition: i32, leader: i32, truncate_to: i64) {
        self.with_state(|state| state.elect_unclean(topic, partition, leader, truncate_to));
    }

    /// Puts a node into a rack.
    pub fn set_rack(&self, node: i32, rack: &str) {
        self.with_state(|state| state.node_mut(node).rack = Some(rack.to_owned()));
    }

    /// Lets leaders send consumers with a rack to a replica in it, or not.
    pub fn set_rack_aware(&self, rack_aware: bool) {
        self.with_state(|state| state.rack_aware = rack_aware);
    }

    /// Says from now on that a node is at another address.
    pub fn set_advertised(&self, node: i32, host: &str, port: u16) {
        self.with_state(|state| state.node_mut(node).advertised = HostPort::new(host, port));
    }

    /// Says from now on that a node speaks these versions only: rows of API, lowest and highest version.
    pub fn set_versions(&self, node: i32, rows: &[(i16, i16, i16)]) {
        self.with_state(|state| state.node_mut(node).versions = rows.to_vec());
    }

    /// Lets a user log in by a mechanism, and everybody only so: see [`State::add_user`].
    ///
    /// ```
    /// use kafka_blocking::ErrorCode;
    /// use kafka_blocking::testing::{ScriptedBroker, protocol::sasl_authenticate::SaslAuthenticateRequest};
    ///
    /// let broker = ScriptedBroker::start();
    /// broker.add_user("SCRAM-SHA-256", "alice", "secret");
    /// // As if the password were wrong, the first time.
    /// let login = broker.on::<SaslAuthenticateRequest>().once();
    /// login.fail(ErrorCode::SASL_AUTHENTICATION_FAILED);
    /// ```
    ///
    /// # Panics
    /// Where there is no such mechanism.
    pub fn add_user(&self, mechanism: &str, name: &str, password: &str) {
        self.with_state(|state| state.add_user(mechanism, name, password));
    }

    /// Lets a user log in no more: see [`State::remove_user`].
    ///
    /// # Panics
    /// Where there is no such mechanism or user.
    pub fn remove_user(&self, mechanism: &str, name: &str) {
        self.with_state(|state| state.remove_user(mechanism, name));
    }

    /// A group, to look at and to change.
    #[must_use]
    pub fn group(&self, id: &str) -> GroupHandle<'_> {
        GroupHandle::new(id, |f| {
            self.with_cluster(|cluster| {
                let now = now();
                f(cluster, now);
                cluster.handle(now);
            });
        })
    }

    /// Waits until something is so of a group, and gives the group as it is then.
    ///
    /// # Panics
    /// Where it has not become so within ten seconds.
    pub fn wait_for_group(&self, id: &str, condition: impl Fn(&GroupView) -> bool) -> GroupView {
        let deadline = now() + PATIENCE;
        let mut cluster = self.lock();
        loop {
            let view = cluster.state.groups.view(id);
            if condition(&view) {
                return view;
            }
            let left = deadline.saturating_duration_since(now());
            assert!(!left.is_zero(), "it has not come about: {view}");
            let waited = self.turned.wait_timeout(cluster, left);
            cluster = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Changes what coordinators allow, and how long they wait.
    pub fn set_groups(&self, change: impl FnOnce(&mut GroupSettings)) {
        self.with_state(|state| change(&mut state.groups.settings));
    }

    /// Lets another node take over the groups of one that stops, or not.
    pub fn set_coordinator_failover(&self, failover: bool) {
        self.with_state(|state| state.groups.failover = failover);
    }

    /// Changes anything of the cluster; waiting fetches look at it again then.
    pub fn with_state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        self.with_cluster(|cluster| {
            cluster.changed();
            change(&mut cluster.state)
        })
    }

    /// Whatever there is no method for here.
    pub fn with_cluster<T>(&self, change: impl FnOnce(&mut Cluster) -> T) -> T {
        let result = change(&mut self.lock());
        self.waker.wake().expect("the broker's thread is awake");
        result
    }

    // What it does

    /// Makes a rule for requests of this API.
    pub fn on<R: Request>(&self) -> When<'_, R> {
        When::new(Some(R::KEY), |rule| self.lock().script_mut().add(rule))
    }

    /// Makes a rule for all requests.
    pub fn on_any(&self) -> When<'_, ()> {
        When::new(None, |rule| self.lock().script_mut().add(rule))
    }

    /// Forgets all rules.
    pub fn clear_rules(&self) {
        self.with_cluster(Cluster::clear_rules);
    }

    /// A node dies: its connections end, and new ones are refused.
    pub fn stop(&self, node: i32) {
        self.with_cluster(|cluster| cluster.kill(node));
        self.command(Command::Refuse(node));
    }

    /// A node that was stopped comes back, on the same port.
    pub fn restart(&self, node: i32) {
        self.with_cluster(|cluster| cluster.revive(node));
        self.command(Command::Listen(node));
    }

    /// A node stops to read and to answer, as a stopped process does; the kernel still accepts connections.
    pub fn pause(&self, node: i32) {
        self.with_cluster(|cluster| cluster.set_paused(node, true));
    }

    /// A node goes on.
    pub fn resume(&self, node: i32) {
        self.with_cluster(|cluster| cluster.set_paused(node, false));
    }

    /// A node closes all its connections; new ones are accepted.
    pub fn close_connections(&self, node: i32) {
        self.with_cluster(|cluster| cluster.close_connections(node));
        self.command(Command::Nothing);
    }

    // What it saw

    /// The requests that have come, in order: of more than 256 MiB of them, the newest.
    #[must_use]
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.lock().requests().to_vec()
    }

    /// The requests of one API, decoded.
    #[must_use]
    pub fn requests_of<R: Request>(&self) -> Vec<R> {
        self.lock().requests_of::<R>()
    }

    /// The requests of one API, each as it came and decoded.
    #[must_use]
    pub fn log_of<R: Request>(&self) -> Vec<(LoggedRequest, R)> {
        self.lock().log_of::<R>()
    }

    /// How many connections to a node are open.
    #[must_use]
    pub fn connections(&self, node: i32) -> usize {
        self.lock().open_connections(node)
    }

    /// The most requests that were unanswered at a time on one connection.
    #[must_use]
    pub fn most_unanswered(&self) -> usize {
        self.lock().most_unanswered()
    }

    // Helpers

    fn lock(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the thread do something, and waits until it is done.
    fn command(&self, command: Command) {
        let (done, wait) = mpsc::channel();
        self.commands.send((command, done)).expect("the broker's thread runs");
        self.waker.wake().expect("the broker's thread is awake");
        wait.recv().expect("the broker's thread does as it is told");
    }
}

impl Drop for ScriptedBroker {
    fn drop(&mut self) {
        let (done, _) = mpsc::channel();
        // Where the thread has panicked, joining it tells why.
        let _ = self.commands.send((Command::End, done));
        let _ = self.waker.wake();
        let ended = self.thread.take().map(JoinHandle::join);
        if let (Some(Err(_)), false) = (ended, std::thread::panicking()) {
            panic!("the scripted broker has panicked, see above");
        }
    }
}

/// Where a node's address is kept.
pub(crate) fn index(node: i32) -> usize {
    usize::try_from(node - 1).expect("node ids count from 1")
}
