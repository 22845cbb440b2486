//! A member of a group as a process: what it said so far, and how it is told to quit, frozen and killed.
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{self, ChildStdin, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    event::{Event, What},
    settings::{Client, Kind, MemberSettings},
};
use crate::child::kafka_py;

/// What happened to a member from its start to its end.
#[derive(Clone, Debug)]
pub struct MemberHistory {
    /// What the test calls it.
    pub name: String,
    /// Whose consumer it was.
    pub kind: Kind,
    /// In the order in which it said them.
    pub events: Vec<Event>,
}

/// A running member; it is killed when this is dropped.
#[derive(Debug)]
pub struct Member {
    name: String,
    kind: Kind,
    process: process::Child,
    input: Option<ChildStdin>,
    said: Arc<Said>,
    reader: Option<JoinHandle<()>>,
    log: PathBuf,
}

#[derive(Debug, Default)]
struct Said {
    events: Mutex<Vec<Event>>,
    more: Condvar,
}

impl Member {
    /// Starts a member; what it writes on standard error goes into a file of this folder.
    pub fn start(name: &str, client: &Client, settings: &MemberSettings, logs: &Path) -> Self {
        let mut command = match client {
            Client::Ours(program, _) => Command::new(program),
            Client::Java => kafka_py_member("java"),
            Client::KafkaPython => kafka_py_member("kafka-python"),
        };
        command.arg(settings.to_json().to_string());
        if let Client::Ours(_, arguments) = client {
            command.args(arguments);
        }
        let log = logs.join(format!("{name}.log"));
        let errors =
            File::create(&log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{client:?}: {error}"));
        let said = Arc::new(Said::default());
        let output = process.stdout.take().expect("it is piped");
        let listener = Arc::clone(&said);
        let reader = thread::spawn(move || {
            // The last line of a killed process may be half a one; then nobody was told.
            let mut lines = BufReader::new(output);
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|_| line.ends_with('\n')) {
                listener.push(Event::parse(&line));
                line.clear();
            }
        });
        let input = process.stdin.take();
        let (name, kind) = (name.to_owned(), client.kind());
        Self { name, kind, process, input, said, reader: Some(reader), log }
    }

    /// What the test calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whose consumer it has.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Lets a function look at what it said so far.
    pub fn look<T>(&self, at: impl FnOnce(&[Event]) -> T) -> T {
        at(&self.said.lock())
    }

    /// What happened to it so far.
    pub fn history(&self) -> MemberHistory {
        let events = self.look(<[Event]>::to_vec);
        MemberHistory { name: self.name.clone(), kind: self.kind, events }
    }

    /// Waits until what it said is enough; `what` says for what a panic that it is not.
    pub fn wait_for(&self, what: &str, within: Duration, enough: impl Fn(&[Event]) -> bool) {
        let until = Instant::now() + within;
        let mut events = self.said.lock();
        while !enough(&events) {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what} within {within:?}, but {}", self.last_words(&events));
            let waited = self.said.more.wait_timeout(events, left);
            events = waited.unwrap_or_else(|poison| poison.into_inner()).0;
        }
    }

    /// Tells it `quit`, `pause` or `resume`; one that is gone hears nothing.
    pub fn say(&mut self, command: &str) {
        if let Some(input) = &mut self.input {
            let _ = writeln!(input, "{command}");
        }
    }

    /// Stops its process without its knowledge.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a frozen process go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(mut self) -> MemberHistory {
        self.process.kill().expect("it is a child of ours");
        self.process.wait().expect("it is a child of ours");
        self.read_to_the_end();
        self.said.push(Event::now(What::Killed));
        self.history()
    }

    /// Waits for the end of one that was told to quit, or that ends by itself.
    pub fn finish(mut self, within: Duration) -> MemberHistory {
        let until = Instant::now() + within;
        let status = loop {
            match self.process.try_wait().expect("it is a child of ours") {
                Some(status) => break status,
                None => assert!(
                    Instant::now() < until,
                    "it was to end within {within:?}, but {}",
                    self.last_words(&self.said.lock())
                ),
            }
            thread::sleep(Duration::from_millis(5));
        };
        self.read_to_the_end();
        self.said.push(Event::now(What::Ended { well: status.success() }));
        self.history()
    }

    fn read_to_the_end(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("members say events");
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("it is running"), signal).expect("it is a child of ours");
    }

    fn last_words(&self, events: &[Event]) -> String {
        let lines = |lines: Vec<String>| {
            let last = lines.len().saturating_sub(12);
            lines[last..].iter().map(|line| format!("\n  {line}")).collect::<String>()
        };
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        format!(
            "{} said last:{}\nand logged:{}",
            self.name,
            lines(events.iter().map(Event::line).collect()),
            lines(log.lines().map(str::to_owned).collect())
        )
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Said {
    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    fn push(&self, event: Event) {
        self.lock().push(event);
        self.more.notify_all();
    }
}

fn kafka_py_member(client: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg(kafka_py()).args(["member", client]);
    command
}
