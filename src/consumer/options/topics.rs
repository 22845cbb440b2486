//! The list of topics that a builder takes.

use crate::{
    options::{FromList, FromText, Refused},
    types::topic_name,
};

/// The value of `topics`: the names of topics, each once.
///
/// Given as one string, with commas between the names, or as a list of strings.
///
/// ```
/// use kafka_blocking::ConsumerBuilder;
///
/// let builder = ConsumerBuilder::new().topics(["orders", "returns"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics(Vec<String>);

impl Topics {
    /// The names in the order in which they were given.
    pub(crate) fn into_vec(self) -> Vec<String> {
        self.0
    }

    fn checked<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, Refused> {
        let mut topics: Vec<String> = Vec::new();
        for name in names {
            Self::check_name(name)?;
            if !topics.iter().any(|topic| topic == name) {
                topics.push(name.to_owned());
            }
        }
        Ok(Self(topics))
    }

    /// Whether brokers allow the name for a topic.
    pub(crate) fn check_name(name: &str) -> Result<(), Refused> {
        topic_name::check(name)
    }
}

impl FromText for Topics {
    fn from_text(text: &str) -> Result<Self, Refused> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        Self::checked(text.split(',').map(str::trim))
    }
}

impl FromList for Topics {
    fn from_list<'a>(entries: impl Iterator<Item = &'a str>) -> Result<Self, Refused> {
        Self::checked(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Setting;

    #[test]
    fn topics_are_taken_as_text_or_as_a_list_each_once() {
        let expected = Ok(Topics(vec!["b".to_owned(), "a".to_owned()]));
        assert_eq!("b, a,b".into_value(), expected);
        assert_eq!(["b", "a", "b"].into_value(), expected);
        assert_eq!(vec!["b".to_owned(), "a".to_owned()].into_value(), expected);
        assert_eq!((&["b", "a"]).into_value(), expected);
        assert_eq!((&["b", "a"][..]).into_value(), expected);
        assert_eq!("".into_value(), Ok(Topics(vec![])));
    }

    #[test]
    fn an_empty_name_in_a_list_is_refused() {
        let topics: Result<Topics, Refused> = "a,,b".into_value();
        assert!(topics.unwrap_err().allowed.contains("empty"));
        let topics: Result<Topics, Refused> = [""].into_value();
        assert!(topics.unwrap_err().allowed.contains("empty"));
    }
}
