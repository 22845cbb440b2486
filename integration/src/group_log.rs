//! What the brokers themselves say of a group: its coordinator logs every rebalance, with the reason.
use std::fs;

use crate::cluster::Cluster;

/// A rebalance that came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rebalance {
    /// The generation that it led to.
    pub generation: i32,
    /// How many members joined.
    pub members: usize,
}

impl Cluster {
    /// The rebalances of a group, in the order of their generations.
    pub fn rebalances(&self, group: &str) -> Vec<Rebalance> {
        let mut found: Vec<Rebalance> =
            self.group_log(group).iter().filter_map(|line| rebalance(line)).collect();
        found.sort_unstable();
        found
    }

    /// The lines of all nodes' logs that name a group.
    pub fn group_log(&self, group: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for node in self.nodes() {
            let file = self.home().join(node.to_string()).join("server.log");
            let text =
                fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let text = String::from_utf8_lossy(&text);
            let about = text.lines().filter(|line| names(line, group));
            // The group's coordinator is told after a dash, the class before it.
            lines.extend(about.map(|line| line.rsplit(" - ").next().unwrap_or(line).to_owned()));
        }
        lines
    }
}

/// Whether a line names this group, and not one whose name begins like it.
fn names(line: &str, group: &str) -> bool {
    line.split([' ', ']', ',', '.']).any(|word| word == group)
}

fn rebalance(line: &str) -> Option<Rebalance> {
    let (_, rest) = line.split_once("Stabilized group ")?;
    let mut words = rest.split(' ').skip_while(|word| *word != "generation").skip(1);
    let generation = words.next()?.parse().ok()?;
    Some(Rebalance { generation, members: words.nth(1)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "[GroupCoordinator id=1 topic=__consumer_offsets partition=0] Stabilized group g-1 generation 4 with 2 members.";

    #[test]
    fn a_rebalance_is_found_in_what_a_coordinator_logs() {
        assert_eq!(rebalance(LINE), Some(Rebalance { generation: 4, members: 2 }));
        assert_eq!(rebalance("Group g-1 with generation 5 is now empty."), None);
    }

    #[test]
    fn groups_whose_names_begin_alike_are_told_apart() {
        assert!(names(LINE, "g-1") && names("[Group g-1] Member m", "g-1"));
        assert!(!names(LINE, "g") && !names(LINE, "g-11"));
    }
}
