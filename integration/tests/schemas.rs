//! The messages that src/protocol declares are those of Kafka's own schemas, in three releases.
//!
//! The schemas lie in the jar of kafka-clients, which Maven fetches into target/kafka/schemas.

use std::{fs::File, io::Read, ops::RangeInclusive, path::PathBuf, process::Command};

use kafka_blocking::protocol::{
    SCHEMAS,
    macros::{Field, Schema},
};
use serde_json::Value;

#[test]
fn kafka_4_4_has_the_same_messages_up_to_its_newest_versions() {
    let kafka = Kafka::release(NEWEST);
    let compared = kafka.compare_all();
    assert_eq!(compared.messages, SCHEMAS.len() * 2 - 2, "two messages have no response");
    assert_eq!(compared.newest, SCHEMAS.len() * 2 - 2, "newest versions that we declare, too");
}

#[test]
fn kafka_3_9_has_the_same_messages() {
    assert_eq!(Kafka::release("3.9.2").compare_all().messages, SCHEMAS.len() * 2 - 2);
}

#[test]
fn kafka_2_8_has_the_same_messages() {
    // No ConsumerGroupHeartbeat yet: its request and its response.
    assert_eq!(Kafka::release("2.8.2").compare_all().messages, SCHEMAS.len() * 2 - 4);
}

/// The release whose names and defaults are ours.
const NEWEST: &str = "4.4.0";

/// What fields were called in older releases, and are called now.
const RENAMED: &[(&str, &str, &str)] = &[
    ("FetchableTopicResponse", "partition_responses", "partitions"),
    ("OffsetCommitRequest", "generation_id", "generation_id_or_member_epoch"),
    ("PartitionData", "partition", "partition_index"),
    ("PartitionData", "record_set", "records"),
    ("TxnOffsetCommitRequest", "generation_id", "generation_id_or_member_epoch"),
    ("AddPartitionsToTxnRequest", "transactional_id", "v3_and_below_transactional_id"),
    ("AddPartitionsToTxnRequest", "producer_id", "v3_and_below_producer_id"),
    ("AddPartitionsToTxnRequest", "producer_epoch", "v3_and_below_producer_epoch"),
    ("AddPartitionsToTxnRequest", "topics", "v3_and_below_topics"),
    ("AddPartitionsToTxnResponse", "results", "results_by_topic_v3_and_below"),
    ("AddPartitionsToTxnTopicResult", "results", "results_by_partition"),
    ("AddPartitionsToTxnPartitionResult", "error_code", "partition_error_code"),
];

/// A field of all fetches that had no default in 2.8.
const NEW_DEFAULT: &str = "FetchRequest.replica_id";

/// The schemas of one release.
struct Kafka {
    release: &'static str,
    jar: zip::ZipArchive<File>,
}

/// How many messages were compared.
#[derive(Default)]
struct Compared {
    messages: usize,
    /// Those whose newest version is our newest version.
    newest: usize,
}

impl Kafka {
    fn release(release: &'static str) -> Self {
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/kafka/schemas"));
        let jar = folder.join(format!("kafka-clients-{release}.jar"));
        if !jar.exists() {
            let fetched = Command::new("mvn")
                .args(["-q", "-B", "dependency:copy"])
                .arg(format!("-Dartifact=org.apache.kafka:kafka-clients:{release}"))
                .arg(format!("-DoutputDirectory={}", folder.display()))
                .status()
                .expect("Maven (mvn) starts");
            assert!(fetched.success(), "mvn fetches kafka-clients {release}");
        }
        let jar = File::open(jar).expect("Maven made the jar");
        Self { release, jar: zip::ZipArchive::new(jar).expect("a jar is a zip archive") }
    }

    fn compare_all(mut self) -> Compared {
        let mut compared = Compared::default();
        for schema in SCHEMAS {
            let halves: &[_] = if schema.key.is_some() { &["Request", "Response"] } else { &[""] };
            for half in halves {
                let name = format!("{}{half}", schema.name);
                if let Some(theirs) = self.schema(&name) {
                    let newest = self.compare(schema, &name, &theirs);
                    compared.messages += 1;
                    compared.newest += usize::from(newest == *schema.versions.end());
                }
            }
        }
        compared
    }

    fn schema(&mut self, name: &str) -> Option<Value> {
        let mut text = String::new();
        let mut file = self.jar.by_name(&format!("common/message/{name}.json")).ok()?;
        file.read_to_string(&mut text).expect("the schema is text");
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}")))
    }

    /// Compares every version of a message; returns the newest.
    fn compare(&self, ours: &Schema, name: &str, theirs: &Value) -> i16 {
        if let Some(key) = theirs["apiKey"].as_i64() {
            assert_eq!(ours.key.map(i64::from), Some(key), "{name}");
        }
        let flexible = versions(&theirs["flexibleVersions"]);
        let valid = versions(&theirs["validVersions"]);
        for version in valid.clone() {
            assert!(ours.versions.contains(&version), "{name} v{version} is not declared");
            let is_flexible = version >= ours.flexible;
            assert_eq!(is_flexible, flexible.contains(&version), "{name} v{version}: flexible");
            let comparison = Comparison { release: self.release, version, ours, theirs };
            comparison.structs(name, &theirs["fields"]);
        }
        *valid.end()
    }
}

/// The comparison of one version of a message.
struct Comparison<'a> {
    release: &'static str,
    version: i16,
    ours: &'a Schema,
    theirs: &'a Value,
}

impl Comparison<'_> {
    fn structs(&self, name: &str, fields: &Value) {
        let (_, ours) = self
            .ours
            .structs
            .iter()
            .find(|(ours, _)| *ours == name)
            .unwrap_or_else(|| panic!("{} has no struct {name}", self.ours.name));
        let mut ours: Vec<_> = ours.iter().filter(|field| (field.versions)(self.version)).collect();
        let theirs = fields.as_array().expect("fields are an array");
        let is_present = |field: &&Value| versions(&field["versions"]).contains(&self.version);
        // Tagged fields may stand anywhere in Kafka's schemas; on the wire they come last, in the order of their tags.
        let mut theirs: Vec<_> = theirs.iter().filter(is_present).collect();
        theirs.sort_by_key(|field| self.tag(field).map_or(-1, i64::from));
        if self.release != NEWEST {
            // A tagged field may come without a new version.
            let tags: Vec<_> = theirs.iter().map(|field| self.tag(field)).collect();
            ours.retain(|field| field.tag.is_none() || tags.contains(&field.tag));
        }
        let names = |fields: &[&Field]| fields.iter().map(|field| field.name.to_owned()).collect();
        let our_names: Vec<String> = names(&ours);
        let their_names: Vec<_> = theirs.iter().map(|field| self.name(name, field)).collect();
        assert_eq!(our_names, their_names, "{}", self.place(name));
        for (ours, theirs) in ours.into_iter().zip(theirs) {
            self.fields(&format!("{name}.{}", ours.name), ours, theirs);
        }
    }

    fn fields(&self, name: &str, ours: &Field, theirs: &Value) {
        let place = self.place(name);
        assert_eq!(ours.tag, self.tag(theirs), "{place}: tag");
        let type_name = ours.type_name.replace(' ', "");
        let (value, is_option) = match inside(&type_name, "Option") {
            Some(value) => (value, true),
            None => (&*type_name, type_name == "RecordBytes"),
        };
        let nullable = versions(&theirs["nullableVersions"]).contains(&self.version);
        assert_eq!(is_option && (ours.nullable)(self.version), nullable, "{place}: nullable");
        self.types(&place, value, theirs["type"].as_str().expect("a type is a string"), theirs);
        if self.release == NEWEST {
            let ignorable = theirs["ignorable"].as_bool().unwrap_or(false);
            assert_eq!(ours.ignorable, ignorable, "{place}: ignorable");
        }
        if self.release == "2.8.2" && name == NEW_DEFAULT {
            return;
        }
        let defaults = defaults(theirs);
        let default = (ours.default)();
        assert!(
            defaults.is_empty() || defaults.contains(&default),
            "{place}: our default is {default}, theirs {defaults:?}"
        );
    }

    fn types(&self, place: &str, ours: &str, theirs: &str, field: &Value) {
        if let Some(item) = theirs.strip_prefix("[]") {
            let ours = inside(ours, "Vec").or_else(|| inside(ours, "Streamed"));
            let ours = ours.unwrap_or_else(|| panic!("{place}: theirs is an array"));
            return self.types(place, ours, item, field);
        }
        let expected = match theirs {
            "bool" => "bool",
            "bytes" if ours == "SecretBytes" => ours,
            "bytes" => "Vec<u8>",
            "int16" => "i16",
            "int32" => "i32",
            "int64" => "i64",
            "int8" => "i8",
            "records" => "RecordBytes",
            "string" => "String",
            "uuid" => "Uuid",
            name => {
                let common = self.theirs["commonStructs"].as_array();
                let common = common.and_then(|structs| structs.iter().find(|s| s["name"] == name));
                return self.structs(ours, &common.unwrap_or(field)["fields"]);
            }
        };
        assert_eq!(ours, expected, "{place}: type");
    }

    fn tag(&self, field: &Value) -> Option<u32> {
        let is_tagged = versions(&field["taggedVersions"]).contains(&self.version);
        let tag = field["tag"].as_u64().filter(|_| is_tagged)?;
        Some(u32::try_from(tag).expect("tags are small"))
    }

    /// The name of a field in Rust's spelling, as the newest release has it.
    fn name(&self, place: &str, field: &Value) -> String {
        let name = snake(field["name"].as_str().expect("a name is a string"));
        let was_renamed = |renamed: &&(&str, &str, &str)| (renamed.0, renamed.1) == (place, &name);
        match RENAMED.iter().find(was_renamed) {
            Some((_, _, now)) if self.release != NEWEST => (*now).to_owned(),
            _ => name,
        }
    }

    fn place(&self, name: &str) -> String {
        format!("{name} v{} of {}", self.version, self.release)
    }
}

/// What our default may be, as `Debug` shows it; nothing where the type is a struct, whose fields have defaults.
fn defaults(field: &Value) -> Vec<String> {
    let kind = field["type"].as_str().expect("a type is a string");
    let text = match &field["default"] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let text = text.as_str();
    let empty = match kind {
        "bool" => return vec![if text.is_empty() { "false" } else { text }.to_owned()],
        "int8" | "int16" | "int32" | "int64" => return vec![number(text).to_string()],
        "uuid" => return vec!["0".repeat(32)],
        "string" => "\"\"",
        "bytes" => "[]",
        "records" => return vec!["RecordBytes(None)".to_owned()],
        _ if kind.starts_with("[]") => "[]",
        _ => return vec![],
    };
    if text == "null" {
        return vec!["None".to_owned()];
    }
    assert_eq!(text, "", "no string has another default");
    match field["nullableVersions"] {
        Value::Null if kind == "bytes" => vec![empty.to_owned(), "<0 bytes>".to_owned()],
        Value::Null => vec![
            empty.to_owned(),
            format!("Streamed({empty})"),
            // Null came with a later version.
            format!("Some({empty})"),
        ],
        // Kafka's is empty here; null is the better default of an `Option`, where no version forbids it.
        _ => vec![format!("Some({empty})"), "None".to_owned()],
    }
}

fn number(text: &str) -> i64 {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16),
        None if text.is_empty() => Ok(0),
        None => text.parse(),
    };
    parsed.unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// `T` of `Outer<T>`.
fn inside<'a>(type_name: &'a str, outer: &str) -> Option<&'a str> {
    type_name.strip_prefix(outer)?.strip_prefix('<')?.strip_suffix('>')
}

/// `4-18`, `12+`, `3` or `none`.
fn versions(text: &Value) -> RangeInclusive<i16> {
    #[expect(clippy::reversed_empty_ranges, reason = "it is empty")]
    let none = 1..=0;
    let Some(text) = text.as_str().filter(|text| *text != "none") else { return none };
    let number = |text: &str| text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    match (text.strip_suffix('+'), text.split_once('-')) {
        (Some(low), _) => number(low)..=i16::MAX,
        (None, Some((low, high))) => number(low)..=number(high),
        (None, None) => number(text)..=number(text),
    }
}

/// `throttle_time_ms` of `ThrottleTimeMs`.
fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let starts_word = at > 0
            && letter.is_uppercase()
            && (!letters[at - 1].is_uppercase()
                || letters.get(at + 1).is_some_and(|next| next.is_lowercase()));
        if starts_word {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}
