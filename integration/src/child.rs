//! How tests talk to a helper process: a line in, a line of JSON out, and its end at the latest with ours.
use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    path::PathBuf,
    process::{self, ChildStdin, Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A helper process that reads commands on its standard input and ends with it.
#[derive(Debug)]
pub(crate) struct Child {
    name: String,
    process: process::Child,
    input: Option<ChildStdin>,
    answers: Receiver<String>,
    last_words: Arc<Mutex<VecDeque<String>>>,
}

impl Child {
    /// Starts `kafka.py` with these arguments; `name` is what panics call it.
    pub(crate) fn kafka_py(name: &str, arguments: &[String]) -> Self {
        let mut process = Command::new("python3")
            .arg(kafka_py())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python3 is installed: run integration/setup");
        let last_words = Arc::new(Mutex::new(VecDeque::new()));
        let (sender, answers) = mpsc::channel();
        let output = process.stdout.take().expect("it is piped");
        for_each_line(output, move |line| drop(sender.send(line)));
        let errors = process.stderr.take().expect("it is piped");
        let words = Arc::clone(&last_words);
        for_each_line(errors, move |line| remember(&words, line));
        let input = process.stdin.take();
        Self { name: name.to_owned(), process, input, answers, last_words }
    }

    /// Sends a command and waits for its answer; an answer that is an error is a panic.
    pub(crate) fn ask(&mut self, command: &str, within: Duration) -> Value {
        let input = self.input.as_mut().expect("it is there until drop");
        if writeln!(input, "{command}").is_err() {
            panic!("{} is gone:\n{}", self.name, self.last_words());
        }
        self.answer(command, within)
    }

    /// Waits for an answer that needs no command, as the first one of a cluster.
    pub(crate) fn answer(&self, command: &str, within: Duration) -> Value {
        let Ok(line) = self.answers.recv_timeout(within) else {
            panic!(
                "{} gave no answer to `{}` within {within:?}:\n{}",
                self.name,
                shortened(command),
                self.last_words()
            );
        };
        let answer: Value = serde_json::from_str(&line).expect("helpers answer in JSON");
        if let Some(error) = answer.get("error") {
            panic!("{}: `{}`: {error}\n{}", self.name, shortened(command), self.last_words());
        }
        answer
    }

    /// The last lines that it wrote on standard error.
    pub(crate) fn last_words(&self) -> String {
        let lines = self.last_words.lock().unwrap_or_else(|poison| poison.into_inner());
        lines.iter().map(|line| format!("  {line}\n")).collect()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.input.take());
        let patience = Instant::now() + Duration::from_secs(20);
        while matches!(self.process.try_wait(), Ok(None)) {
            if Instant::now() > patience {
                let _ = self.process.kill();
                let _ = self.process.wait();
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The script beside this crate that knows how helpers are started.
pub(crate) fn kafka_py() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("kafka.py")
}

/// Waits for the end of a process that ends by itself, and gives what it printed.
///
/// # Panics
/// Where it has not ended in time; it is killed then.
pub(crate) fn output_of(name: &str, process: process::Child) -> Output {
    let pid = Pid::from_child(&process);
    let (sender, done) = mpsc::channel();
    thread::spawn(move || drop(sender.send(process.wait_with_output())));
    let Ok(output) = done.recv_timeout(PATIENCE) else {
        let _ = kill_process(pid, Signal::KILL);
        panic!("{name} has not ended within {PATIENCE:?}");
    };
    output.expect("it is a child of ours")
}

fn for_each_line(
    stream: impl Read + Send + 'static,
    mut each: impl FnMut(String) + Send + 'static,
) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            each(line);
        }
    });
}

fn remember(lines: &Mutex<VecDeque<String>>, line: String) {
    let mut lines = lines.lock().unwrap_or_else(|poison| poison.into_inner());
    if lines.len() == LAST_WORDS {
        lines.pop_front();
    }
    lines.push_back(line);
}

fn shortened(command: &str) -> String {
    command.chars().take(200).collect()
}

/// Far longer than any of them takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);
const LAST_WORDS: usize = 60;
