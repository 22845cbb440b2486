//! What a member is to do, as its program is told.
use std::{str::FromStr, time::Duration};

/// What a member is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The brokers.
    pub servers: String,
    /// The group of the stage.
    pub group: String,
    /// The topic that it reads.
    pub from: String,
    /// The topic that it writes.
    pub to: String,
    /// How the group shares the partitions.
    pub assignor: String,
    /// After how many polls with records it leaves.
    pub rounds: u32,
    /// With no rounds: how long it looks.
    pub glance: Duration,
    /// In which the group notices that it was killed.
    pub session: Duration,
    /// How many records a poll gives at most.
    pub batch: usize,
    /// Whether it may be taken for dead; otherwise that is an error.
    pub lenient: bool,
}

impl Settings {
    /// As the program gets them.
    pub fn arguments(&self) -> Vec<String> {
        let [glance, session] =
            [self.glance, self.session].map(|time| time.as_millis().to_string());
        vec![
            self.servers.clone(),
            self.group.clone(),
            self.from.clone(),
            self.to.clone(),
            self.assignor.clone(),
            self.rounds.to_string(),
            glance,
            session,
            self.batch.to_string(),
            self.lenient.to_string(),
        ]
    }

    /// What the program got; anything else is a panic.
    pub fn from_arguments(arguments: &[String]) -> Self {
        let [servers, group, from, to, assignor, rounds, glance, session, batch, lenient] =
            arguments
        else {
            panic!("ten arguments are needed: {arguments:?}");
        };
        Self {
            servers: servers.clone(),
            group: group.clone(),
            from: from.clone(),
            to: to.clone(),
            assignor: assignor.clone(),
            rounds: parse(rounds),
            glance: Duration::from_millis(parse(glance)),
            session: Duration::from_millis(parse(session)),
            batch: parse(batch),
            lenient: parse(lenient),
        }
    }
}

fn parse<T: FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is not what is wanted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_told_what_was_set() {
        let settings = Settings {
            servers: "s".to_owned(),
            group: "g".to_owned(),
            from: "a".to_owned(),
            to: "b".to_owned(),
            assignor: "range".to_owned(),
            rounds: 2,
            glance: Duration::from_millis(70),
            session: Duration::from_secs(6),
            batch: 500,
            lenient: true,
        };
        assert_eq!(Settings::from_arguments(&settings.arguments()), settings);
    }
}
