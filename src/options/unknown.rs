//! Why an option by some name cannot be set: it is not served yet, never will be, or does not exist.

use super::Refused;

/// Names of options that cannot be set, each known for a reason.
pub(crate) struct Unserved {
    /// Options of kafka-python that this version does not serve.
    pub(crate) not_served: &'static [&'static str],
    /// Options that have no meaning here, with the reason.
    pub(crate) never: &'static [(&'static str, &'static str)],
}

/// Where an option was looked for.
pub(crate) struct Known {
    /// ` of …`, where that needs to be said.
    pub(crate) place: &'static str,
    /// The names of the options that can be set.
    pub(crate) served: &'static [&'static str],
    pub(crate) unserved: &'static [&'static Unserved],
}

/// Why there is nothing to set under this name; the value is repeated only where it is no secret.
pub(crate) fn reason(name: &str, value: &str, known: &Known) -> Refused {
    let shown = if may_be_secret(name) { "…" } else { value.trim() };
    if not_served(known).any(|other| other == name) {
        return Refused::new(shown, "not served by this version of kafka-blocking");
    }
    let mut never = known.unserved.iter().flat_map(|unserved| unserved.never);
    if let Some((_, reason)) = never.find(|(never, _)| *never == name) {
        return Refused::new(shown, *reason);
    }
    let place = known.place;
    match closest(name, known) {
        Some(close) => Refused::new(shown, format!("no such option{place}; is it {close}?")),
        None if name.is_empty() => Refused::new(shown, "an option without a name"),
        None => Refused::new(shown, format!("no such option{place}")),
    }
}

fn not_served(known: &Known) -> impl Iterator<Item = &'static str> {
    known.unserved.iter().flat_map(|unserved| unserved.not_served).copied()
}

/// Also for names that are misspelt, and for the address of a proxy, which may have a password in it.
fn may_be_secret(name: &str) -> bool {
    ["pass", "pwd", "secret", "token", "key", "cred", "proxy", "sasl"]
        .iter()
        .any(|sign| name.to_ascii_lowercase().contains(sign))
}

/// The option whose name differs least, if it differs by less than a third.
///
/// Java's names, with dots, and those of command lines, with hyphens, are near by that.
fn closest(name: &str, known: &Known) -> Option<&'static str> {
    // A name much longer than any option's is near to none; this bounds the work as well.
    if name.len() > 100 {
        return None;
    }
    let name = name.trim().to_ascii_lowercase().replace(['.', '-'], "_");
    let names = known.served.iter().copied().chain(not_served(known));
    names
        .map(|other| (distance(&name, other), other))
        .min()
        .filter(|(distance, other)| distance * 3 < other.len())
        .map(|(_, other)| other)
}

/// How many bytes have to be changed, put in or taken out to make the one of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_changes() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest_one() {
        const KNOWN: Known = Known {
            place: "",
            served: &[
                "fetch_min_bytes",
                "fetch_max_bytes",
                "max_poll_records",
                "bootstrap_servers",
            ],
            unserved: &[&Unserved { not_served: &["group_id"], never: &[("net", "no")] }],
        };
        for (name, meant) in [
            ("fetch_min_byte", "fetch_min_bytes"),
            ("fetch.min.bytes", "fetch_min_bytes"),
            ("max-poll-records", "max_poll_records"),
            ("bootstrap_server", "bootstrap_servers"),
            ("Group_ID", "group_id"),
        ] {
            assert_eq!(closest(name, &KNOWN), Some(meant), "{name}");
        }
        assert_eq!(closest("acks", &KNOWN), None);
        assert_eq!(closest(&"x".repeat(1000), &KNOWN), None);
    }
}
