//! What users write: values of options as text, and patterns of topics.

use kafka_blocking::{ConsumerBuilder, client::pattern::TopicPattern};

use crate::input::Input;

/// Lines of an option's number and its value.
pub(crate) fn options(bytes: &[u8]) {
    let mut builder = ConsumerBuilder::new();
    for line in bytes.split(|byte| *byte == b'\n').take(20) {
        let mut input = Input(line);
        let name = ConsumerBuilder::NAMES[input.below(ConsumerBuilder::NAMES.len())];
        builder = builder.set(name, &String::from_utf8_lossy(input.0));
    }
    let Ok(resolved) = builder.resolve() else { return };
    assert!(!resolved.servers.is_empty());
    for server in &resolved.servers {
        let again = ConsumerBuilder::new().bootstrap_servers(server.to_string()).resolve();
        let again = again.unwrap_or_else(|error| panic!("{server:?}: {error}"));
        assert_eq!(again.servers, std::slice::from_ref(server));
    }
}

pub(crate) fn option_seeds() -> Vec<Vec<u8>> {
    let values = [
        "a.example:9092,[::1]:9093,fe80::1%eth0",
        "PLAINTEXT://h",
        "10",
        "-1",
        "0.5",
        "true",
        "None",
        "earliest",
        "read_committed",
        "range,sticky",
        "cooperative-sticky",
        "[('SOL_SOCKET', 'SO_KEEPALIVE', 1)]",
        "1e9",
        "",
    ];
    let of_all = (0..ConsumerBuilder::NAMES.len())
        .flat_map(|n| values.iter().map(move |value| [&[n as u8], value.as_bytes()].concat()));
    of_all.collect()
}

/// A pattern, a line's end, and a name to match.
pub(crate) fn patterns(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (pattern, name) = text.split_once('\n').unwrap_or((&text, "a-topic"));
    // Users bound the length of what they write themselves.
    let Ok(compiled) = TopicPattern::new(pattern.get(..200).unwrap_or(pattern), true) else {
        return;
    };
    let matches = compiled.matches(name, false);
    assert_eq!(compiled.clone().matches(name, false), matches);
    assert!(!compiled.matches("__consumer_offsets", false) && !compiled.matches(name, true));
    // What stands before a name never lets a pattern match that asks for the name's first character.
    if let Some(literal) = pattern.strip_prefix("L") {
        let escaped: String = literal.chars().filter(char::is_ascii_alphanumeric).collect();
        if let Ok(literal) = TopicPattern::new(&escaped, false) {
            assert_eq!(literal.matches(name, false), name.starts_with(&escaped));
        }
    }
}

pub(crate) fn pattern_seeds() -> Vec<Vec<u8>> {
    let seeds = [
        "foo\nfoobar",
        "b|foo\nfoo-b",
        "(?i)FOO\nfoo",
        r"\w+-\d{2}\b",
        "^t[0-9]{1,3}$",
        "(a*)*b",
        "Labc\nabcd",
    ];
    seeds.map(|seed| seed.as_bytes().to_vec()).into()
}
