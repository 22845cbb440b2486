//! What differs between two texts, to be read by a person.

/// The lines that differ, each with the unindented line above it; none if the texts are equal.
#[must_use]
pub fn difference(before: &str, now: &str) -> Option<String> {
    let (before, now): (Vec<_>, Vec<_>) = (before.lines().collect(), now.lines().collect());
    let common = common(&before, &now);
    let mut out = String::new();
    let mut head = "";
    let (mut b, mut n) = (0, 0);
    while b < before.len() || n < now.len() {
        if b < before.len() && n < now.len() && before[b] == now[n] {
            if !before[b].starts_with(' ') {
                head = before[b];
            }
            (b, n) = (b + 1, n + 1);
            continue;
        }
        let removed = b < before.len() && (n == now.len() || common[b + 1][n] >= common[b][n + 1]);
        let (sign, line) = if removed { ('-', before[b]) } else { ('+', now[n]) };
        if line.starts_with(' ') && !head.is_empty() {
            out.push_str(&format!("  {head}\n"));
        }
        head = ""; // it is told, or this line is another block's head
        out.push_str(&format!("{sign} {line}\n"));
        (b, n) = if removed { (b + 1, n) } else { (b, n + 1) };
    }
    (!out.is_empty()).then_some(out)
}

/// How many lines are common to what follows each pair of places.
fn common(before: &[&str], now: &[&str]) -> Vec<Vec<usize>> {
    let mut common = vec![vec![0; now.len() + 1]; before.len() + 1];
    for b in (0..before.len()).rev() {
        for n in (0..now.len()).rev() {
            common[b][n] = if before[b] == now[n] {
                common[b + 1][n + 1] + 1
            } else {
                common[b + 1][n].max(common[b][n + 1])
            };
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_do_not_differ() {
        assert_eq!(difference("a\n    b\n", "a\n    b\n"), None);
    }

    #[test]
    fn a_line_that_differs_is_shown_below_its_block() {
        let before = "struct A\n    x: i32\n    y: i32\nstruct B\n    z: i32\n";
        let now = "struct A\n    x: i64\n    y: i32\nstruct B\nstruct C\n    w: i32\n";
        assert_eq!(
            difference(before, now).unwrap(),
            "  struct A\n-     x: i32\n+     x: i64\n  struct B\n-     z: i32\n+ struct C\n+     w: i32\n"
        );
    }
}
