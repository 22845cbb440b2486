//! How a run that goes wrong is told from one that does not: it panics, and what was found comes out.

use std::{
    cell::{Cell, RefCell},
    panic::{self, AssertUnwindSafe},
    sync::Once,
    time::Duration,
};

use crate::ledger::Failure;

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Gives what was found wrong, by the ledger or by an assertion anywhere; nothing of it is printed.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, Failure> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if WATCHED.get() {
                LAST.with_borrow_mut(|last| *last = info.to_string());
            } else {
                before(info);
            }
        }));
    });
    let before = WATCHED.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    WATCHED.set(before);
    result.map_err(|payload| match payload.downcast::<Failure>() {
        Ok(failure) => *failure,
        Err(_) => Failure { at: Duration::ZERO, wrong: LAST.take(), shown: String::new() },
    })
}
