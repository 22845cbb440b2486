//! Which topics a pattern matches.

use regex::bytes::{Regex, RegexBuilder};

use crate::{Error, Result};

/// Topics that brokers keep for themselves. Before version 1 of their answers they do not say so.
const INTERNAL: [&str; 2] = ["__consumer_offsets", "__transaction_state"];

/// A regular expression over the names of topics, as Python's `re.match` takes it: a name has to match from its first
/// character on, but not to its last.
#[derive(Clone, Debug)]
pub struct TopicPattern {
    regex: Regex,
    exclude_internal: bool,
}

impl TopicPattern {
    /// A pattern; `exclude_internal` is whether it leaves out internal topics.
    ///
    /// # Errors
    /// [`Error::IllegalArgument`] where it is no regular expression.
    pub fn new(pattern: &str, exclude_internal: bool) -> Result<Self> {
        if pattern.is_empty() {
            return Err(Error::IllegalArgument(
                "an empty pattern would match every topic: `.*` says so".into(),
            ));
        }
        // Names of topics are ASCII: without Unicode the classes mean the same for them, and need no tables.
        let regex = RegexBuilder::new(pattern).unicode(false).build().map_err(|error| {
            Error::IllegalArgument(format!("the pattern {pattern:?}: {error}").into())
        })?;
        Ok(Self { regex, exclude_internal })
    }

    /// Whether a topic matches.
    #[must_use]
    pub fn matches(&self, name: &str, internal: bool) -> bool {
        // The leftmost match begins with the name exactly if any match does.
        let from_the_start =
            |name: &str| self.regex.find(name.as_bytes()).is_some_and(|found| found.start() == 0);
        !(self.exclude_internal && is_internal(name, internal)) && from_the_start(name)
    }
}

impl PartialEq for TopicPattern {
    fn eq(&self, other: &Self) -> bool {
        (self.regex.as_str(), self.exclude_internal)
            == (other.regex.as_str(), other.exclude_internal)
    }
}

impl Eq for TopicPattern {}

/// Whether a topic is one that brokers keep for themselves: by what they say, or by its name.
#[must_use]
pub fn is_internal(name: &str, said: bool) -> bool {
    said || INTERNAL.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        TopicPattern::new(pattern, true).unwrap().matches(name, false)
    }

    #[test]
    fn a_pattern_is_anchored_at_the_start_and_not_at_the_end() {
        assert!(matches("foo", "foobar"));
        assert!(!matches("foo", "a-foo"));
        assert!(!matches("foo$", "foobar"));
        assert!(matches("b|foo", "foo-b"), "the second alternative, at the start");
        assert!(!matches("b|x", "a-b"));
        assert!(matches("(?i)FOO", "foo"));
        assert!(matches("(?x) foo # a comment", "foo"));
        assert!(matches(r"\w+-\d{2}\b", "t-12"));
        assert!(!matches(r"\w+-\d{2}\b", "t-123"));
        assert!(matches(".*", "a"));
    }

    #[test]
    fn a_pattern_that_is_none_is_an_error_with_the_pattern_and_what_is_wrong_with_it() {
        for (pattern, reason) in [("a(b", "unclosed group"), ("(?!a)b", "look-around"), ("", "")] {
            let error = TopicPattern::new(pattern, true).unwrap_err();
            assert!(matches!(error, Error::IllegalArgument(_)), "{error:?}");
            let text = error.to_string();
            assert!(text.contains(pattern) && text.contains(reason), "{text}");
        }
    }

    #[test]
    fn behaviour_79_internal_topics_match_only_where_they_are_not_excluded() {
        for (exclude, expected) in [(true, false), (false, true)] {
            let pattern = TopicPattern::new(".*", exclude).unwrap();
            assert_eq!(pattern.matches("__consumer_offsets", false), expected);
            assert_eq!(pattern.matches("__transaction_state", false), expected);
            assert_eq!(pattern.matches("my-own-state", true), expected);
            assert!(pattern.matches("__mine", false));
        }
    }
}
