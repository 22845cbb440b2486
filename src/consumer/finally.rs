//! What is done in any case, also where user code panics.

/// Gives a value to a function when it is dropped.
pub(super) struct Finally<T, F: FnOnce(T)> {
    value: Option<(T, F)>,
}

impl<T, F: FnOnce(T)> Finally<T, F> {
    pub(super) fn new(value: T, last: F) -> Self {
        Self { value: Some((value, last)) }
    }

    /// The value, until then.
    pub(super) fn get(&mut self) -> &mut T {
        &mut self.value.as_mut().expect("it is taken only when this is dropped").0
    }
}

impl<T, F: FnOnce(T)> Drop for Finally<T, F> {
    fn drop(&mut self) {
        if let Some((value, last)) = self.value.take() {
            last(value);
        }
    }
}
