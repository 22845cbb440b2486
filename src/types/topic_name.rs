//! What a topic may be called.

use crate::options::Refused;

/// Whether brokers allow the name for a topic.
pub(crate) fn check(name: &str) -> Result<(), Refused> {
    check_as("a topic's name", name)
}

/// Whether brokers allow the name for something that has the same rules as a topic, such as an instance of a group.
pub(crate) fn check_as(what: &str, name: &str) -> Result<(), Refused> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let wrong = if name.is_empty() {
        "must not be empty"
    } else if name.len() > 249 {
        "has at most 249 characters"
    } else if name == "." || name == ".." {
        "must be neither . nor .."
    } else if !name.chars().all(allowed) {
        "has only the characters A-Z a-z 0-9 . _ -"
    } else {
        return Ok(());
    };
    Err(Refused::new(name, format!("{what} {wrong}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_239_a_topic_name_follows_the_rules_of_brokers() {
        for name in ["a", "A.b_c-9", "...", &"x".repeat(249)] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", "a b", "ä", "a/b", "a,b", "a\n", &"x".repeat(250)] {
            assert_eq!(check(name).unwrap_err().value, name);
        }
    }
}
