//! What of a run that fails is needed for that.

use crate::{
    chaos::{self, Recipe},
    ledger::Failure,
};

/// So many runs are tried at most.
const MOST_TRIES: usize = 3_000;

/// The shortest run that is found to fail in the same way, and how it does.
pub(crate) fn shrink(recipe: Recipe, failure: Failure) -> (Recipe, Failure) {
    let (kind, mut last) = (failure.kind(), failure);
    let seed = recipe.clone();
    let operations = reduce(recipe.operations.clone(), MOST_TRIES, |operations| {
        let tried = Recipe { operations: operations.to_vec(), ..seed.clone() };
        let failure = chaos::play(&tried).err().filter(|failure| failure.kind() == kind);
        failure.map(|failure| last = failure).is_some()
    });
    (Recipe { operations, ..recipe }, last)
}

/// Leaves out what is not needed: halves first, then ever smaller parts, until nothing can be left out any more.
fn reduce<T: Clone>(
    mut all: Vec<T>,
    most_tries: usize,
    mut fails: impl FnMut(&[T]) -> bool,
) -> Vec<T> {
    let (mut size, mut tries) = (all.len().div_ceil(2), 0);
    while size > 0 && tries < most_tries {
        let (mut at, before) = (0, all.len());
        // From the end: what comes last leads to nothing but the failure itself.
        while at < all.len() && tries < most_tries {
            let end = all.len() - at;
            let begin = end.saturating_sub(size);
            let less = [&all[..begin], &all[end..]].concat();
            tries += 1;
            if fails(&less) { all = less } else { at += size }
        }
        if size > 1 {
            size = size.div_ceil(2);
        } else if all.len() == before {
            break;
        }
    }
    all
}

impl Failure {
    /// What kind of failure it is: which invariant does not hold, or what was said but for its numbers.
    pub(crate) fn kind(&self) -> String {
        if let Some(at) = self.wrong.rfind("(I") {
            return self.wrong[at..].to_owned();
        }
        let last = self.wrong.lines().last().unwrap_or_default();
        let words = last.split(": ").next().unwrap_or_default();
        words.chars().filter(|c| !c.is_ascii_digit()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_reduced_to_the_operations_that_it_needs() {
        for needed in [&[7][..], &[0, 99], &[3, 4, 58], &[]] {
            let fails = |some: &[u32]| needed.iter().all(|n| some.contains(n));
            assert_eq!(reduce((0..100).collect(), 1_000, fails), needed);
        }
    }

    #[test]
    fn what_needs_all_of_it_stays_as_it_is() {
        let mut tries = 0;
        let all = |some: &[u32]| {
            tries += 1;
            some.len() == 40
        };
        assert_eq!(reduce((0..40).collect(), 50, all).len(), 40);
        assert_eq!(tries, 50, "and is not tried for ever");
    }
}
