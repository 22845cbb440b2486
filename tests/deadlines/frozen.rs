//! A broker whose process stands still: its connections are open, and its kernel accepts more, but nobody answers.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use rustix::process::{
    Pid, Signal, WaitOptions, kill_process, set_parent_process_death_signal, waitpid,
};

use crate::{
    dead::{Causes, Check, calls_end_in_time},
    members::members_end_in_time,
    support::{append, broker_with},
};

/// Set in the process that is the broker.
const IS_THE_BROKER: &str = "KAFKA_BLOCKING_TEST_BROKER";

/// What stands before its address in the line that it prints.
const LISTENING: &str = "the broker listens at ";

/// The test that is the broker, in the other process.
const TEST: &str = "frozen::fault_241_calls_end_in_time_when_the_brokers_process_stands_still";

#[test]
fn fault_241_calls_end_in_time_when_the_brokers_process_stands_still() {
    if std::env::var_os(IS_THE_BROKER).is_some() {
        return serve();
    }
    stands_still(calls_end_in_time);
}

#[test]
fn fault_241_members_end_in_time_when_the_brokers_process_stands_still() {
    stands_still(members_end_in_time);
}

fn stands_still(check: Check) {
    let broker = BrokerProcess::start(TEST);
    let causes = Causes(&["was not answered within", "ApiVersions"]);
    check(&broker.address, &mut || broker.freeze(), causes);
}

/// The first test once more, in a process of its own that is a broker as long as its input is open.
struct BrokerProcess {
    child: Child,
    address: String,
}

impl BrokerProcess {
    fn start(test: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(IS_THE_BROKER, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let address = lines
            .filter_map(|line| line.split_once(LISTENING).map(|(_, address)| address.to_owned()))
            .next()
            .expect("the broker says where it is");
        Self { child, address }
    }

    fn freeze(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::STOP).unwrap();
        // It answers until all its threads stand still.
        waitpid(Some(pid), WaitOptions::UNTRACED).unwrap();
    }
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        // Ends a process that stands still, too.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn serve() {
    // While it stands still it would not notice that its input ends.
    set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    let broker = broker_with(2, 0);
    append(&broker, 0, 1);
    println!("{LISTENING}{}", broker.address());
    std::io::stdin().read_line(&mut String::new()).unwrap();
}
