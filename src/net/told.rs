//! How what a peer says is shown: on one line, not long, and without what it was told as a secret.

/// The most characters that are shown.
const LONGEST: usize = 400;

/// A broker's text, in which a secret that it repeats is left out.
pub(in crate::net) fn told(said: &[u8], secret: &str) -> String {
    let text = String::from_utf8_lossy(said);
    let text = if secret.is_empty() { text } else { text.replace(secret, "…").into() };
    let mut shown = String::new();
    for (number, character) in text.chars().enumerate() {
        if number == LONGEST {
            shown.push('…');
            break;
        }
        match character {
            // Of JSON.
            '"' | '\'' | '\\' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_broker_says_is_shown_on_one_short_line_and_without_the_secret() {
        let cases: [(&[u8], &str); 5] = [
            (br#"{"status":"invalid_token"}"#, r#"{"status":"invalid_token"}"#),
            (b"a\r\nb\x1b[2J\0", r"a\r\nb\u{1b}[2J\0"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
            (b"no s3cret, s3cret!", "no …, …!"),
            (b"", ""),
        ];
        for (said, shown) in cases {
            assert_eq!(told(said, "s3cret"), shown);
        }
        assert_eq!(told(b"abc", ""), "abc");
        let long = told(&[b'x'; 100_000], "s3cret");
        assert_eq!(long, format!("{}…", "x".repeat(LONGEST)));
    }
}
