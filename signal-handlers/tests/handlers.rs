//! Whether a signal handler ends what blocks, at once: with a process of its own, which gets true signals.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use kafka_blocking::protocol::{Request, fetch::FetchRequest, list_offsets::ListOffsetsRequest};
use rustix::process::{Pid, Signal, kill_process};
use scripted_broker::{Record, ScriptedBroker};

/// How long a call may go on after the handler was entered.
const PROMPT: Duration = Duration::from_millis(50);

const LONG: Duration = Duration::from_secs(20);

/// The process, which is killed where a test fails.
struct Program {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Program {
    /// Starts it, and waits until its handlers are registered.
    fn start(broker: &ScriptedBroker, call: &str, thread: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kafka-blocking-signal-handlers"))
            .args([&broker.address(), call, thread])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut this = Self { child, output };
        assert_eq!(this.line(), "ready");
        this
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the program runs");
    }

    /// What it says next.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the program writes text");
        line.trim_end().to_owned()
    }

    /// How long after the signal the call ended, and with what.
    fn result(&mut self) -> (Duration, String) {
        let line = self.line();
        let (micros, outcome) = line.split_once(' ').unwrap_or_else(|| panic!("{line:?}"));
        (Duration::from_micros(micros.parse().expect("a number")), outcome.to_owned())
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has mostly ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A call that blocks in another process ends promptly on a signal: in one of five attempts, as the machine may be busy.
fn ends_promptly<R: Request>(call: &str, thread: &str, signal: Signal, outcome: &str) {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let broker = ScriptedBroker::start();
        broker.create_topic("t", 1);
        if R::KEY == ListOffsetsRequest::KEY {
            broker.on::<ListOffsetsRequest>().silence();
        }
        let mut program = Program::start(&broker, call, thread);
        wait_until("the call blocks", || broker.requests().iter().any(|r| r.is::<R>()));
        std::thread::sleep(Duration::from_millis(20));
        program.signal(signal);
        let (took, ended) = program.result();
        assert_eq!(ended, outcome);
        best = best.min(took);
        if best <= PROMPT {
            return;
        }
    }
    panic!("{call} ended {best:?} after the handler was entered, at best");
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LONG, "{what}: not within {LONG:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_handler_wakes_up_a_blocked_poll_at_once() {
    ends_promptly::<FetchRequest>("poll", "main", Signal::USR1, "woken");
    ends_promptly::<FetchRequest>("poll", "other", Signal::USR1, "woken");
}

#[test]
fn a_handler_wakes_up_a_blocked_next_at_once() {
    ends_promptly::<FetchRequest>("next", "main", Signal::USR1, "woken");
    ends_promptly::<FetchRequest>("next", "other", Signal::USR1, "woken");
}

#[test]
fn a_handler_wakes_up_a_blocked_position_at_once() {
    ends_promptly::<ListOffsetsRequest>("position", "main", Signal::USR1, "woken");
    ends_promptly::<ListOffsetsRequest>("position", "other", Signal::USR1, "woken");
}

#[test]
fn a_handler_stops_blocked_calls_at_once() {
    ends_promptly::<FetchRequest>("poll", "main", Signal::INT, "woken");
    ends_promptly::<FetchRequest>("next", "main", Signal::INT, "end");
    ends_promptly::<FetchRequest>("next", "other", Signal::INT, "end");
    ends_promptly::<ListOffsetsRequest>("position", "main", Signal::INT, "woken");
}

#[test]
fn signals_while_records_are_read_lose_and_repeat_none() {
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    for _ in 0..200 {
        broker.append("t", 0, ["x"; 10].map(Record::value));
    }
    let mut program = Program::start(&broker, "read", "main");
    while program.is_running() {
        // It may end between the question and the signal, and is ours to wait for until then.
        program.signal(Signal::USR1);
        std::thread::sleep(Duration::from_micros(200));
    }
    assert_eq!(program.result().1, "all");
}
