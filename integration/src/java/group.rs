//! What Kafka's own admin client sees of consumer groups.
use std::collections::BTreeMap;

use kafka_blocking::TopicPartition;
use serde_json::{Value, json};

use super::{JavaTool, array, int, long};

/// A group as its coordinator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupState {
    /// The node that coordinates it, if one does.
    pub coordinator: Option<i32>,
    /// `Stable`, `Empty`, `PreparingRebalance`, …
    pub state: String,
    /// The assignor that the members agreed on.
    pub assignor: String,
    /// The members.
    pub members: Vec<GroupMember>,
}

/// A member as its coordinator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// What the coordinator calls it.
    pub id: String,
    /// The `client_id`.
    pub client: String,
    /// The `group_instance_id`.
    pub instance: Option<String>,
    /// What it was assigned.
    pub partitions: Vec<TopicPartition>,
}

impl JavaTool {
    /// Describes a group.
    pub fn group(&self, group: &str) -> GroupState {
        let answer = self.ask(json!({"do": "describe-group", "group": group}));
        GroupState {
            coordinator: Some(int(&answer["coordinator"])).filter(|node| *node >= 0),
            state: text(&answer["state"]),
            assignor: text(&answer["assignor"]),
            members: array(&answer["members"]).iter().map(member).collect(),
        }
    }

    /// What a group has committed.
    pub fn committed(&self, group: &str) -> BTreeMap<TopicPartition, i64> {
        let answer = self.ask(json!({"do": "group-offsets", "group": group}));
        let one = |triple: &Value| (partition(triple), long(&triple[2]));
        array(&answer["offsets"]).iter().map(one).collect()
    }
}

fn member(told: &Value) -> GroupMember {
    GroupMember {
        id: text(&told["id"]),
        client: text(&told["client"]),
        instance: told["instance"].as_str().map(str::to_owned),
        partitions: array(&told["partitions"]).iter().map(partition).collect(),
    }
}

fn partition(pair: &Value) -> TopicPartition {
    TopicPartition::new(text(&pair[0]), int(&pair[1]))
}

fn text(value: &Value) -> String {
    value.as_str().expect("the Java tool says so").to_owned()
}
