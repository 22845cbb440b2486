//! Kafka's own console tools, as a user starts them: each a process of its own.
use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::child::{kafka_py, output_of};

/// What a console tool printed, and whether it ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printed {
    /// What it printed on its standard output.
    pub output: String,
    /// What it printed on its standard error.
    pub errors: String,
    /// Whether it ended without an error.
    pub success: bool,
}

/// Runs a console tool to its end: a class of Kafka's jars below `org.apache.kafka.tools`, its arguments, and what it reads on
/// its standard input.
///
/// # Panics
/// Where it cannot be started, or has not ended within five minutes.
pub fn run_console_tool(class: &str, arguments: &[&str], input: &str) -> Printed {
    let mut child = command(class, arguments).stderr(Stdio::piped()).spawn().expect(SETUP);
    // So little that it fits into the pipe, and dropped, which ends it.
    let mut pipe = child.stdin.take().expect("it is piped");
    pipe.write_all(input.as_bytes()).expect("it reads its standard input");
    drop(pipe);
    let done = output_of(class, child);
    Printed {
        output: String::from_utf8_lossy(&done.stdout).into_owned(),
        errors: String::from_utf8_lossy(&done.stderr).into_owned(),
        success: done.status.success(),
    }
}

/// `kafka-console-consumer`, until it is told to end or dropped.
#[derive(Debug)]
pub struct ConsoleConsumer {
    process: Child,
    lines: Receiver<String>,
}

impl ConsoleConsumer {
    /// Starts one.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Self {
        let mut process = command("consumer.ConsoleConsumer", arguments).spawn().expect(SETUP);
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { process, lines }
    }

    /// The next line that it prints: none within this time, or none any more.
    pub fn line(&self, within: Duration) -> Option<String> {
        self.lines.recv_timeout(within).ok()
    }

    /// Ends it in order, and gives the lines that nobody has asked for.
    ///
    /// # Panics
    /// Where it is gone already, or does not end in time.
    pub fn stop(mut self) -> Vec<String> {
        // Not what Ctrl-C sends: programs of a shell's background ignore that.
        kill_process(self.pid(), Signal::TERM).expect("it is a child of ours");
        let mut rest = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => rest.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it has not ended within {PATIENCE:?}"),
            }
        }
        self.process.wait().expect("it is a child of ours");
        rest
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }
}

/// How long the end of one may take, and each line before it.
const PATIENCE: Duration = Duration::from_secs(60);

impl Drop for ConsoleConsumer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(class: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.arg(kafka_py()).args(["run", "tools", &format!("org.apache.kafka.tools.{class}")]);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

const SETUP: &str = "python3 is installed: run integration/setup";
