//! Where tokens come from, as the value of an option.

use std::{fmt, sync::Arc};

use super::TokenProvider;
use crate::options::{FromText, Refused, Setting};

/// The value of `sasl_oauth_token_provider`: a [`TokenProvider`].
#[derive(Clone)]
pub struct TokenSource(Arc<dyn TokenProvider>);

impl TokenSource {
    pub(crate) fn provider(&self) -> Arc<dyn TokenProvider> {
        self.0.clone()
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource")
    }
}

impl<P: TokenProvider> Setting<Option<TokenSource>> for P {
    fn into_value(self) -> Result<Option<TokenSource>, Refused> {
        Ok(Some(TokenSource(Arc::new(self))))
    }
}

impl Setting<Self> for Option<TokenSource> {
    fn into_value(self) -> Result<Self, Refused> {
        Ok(self)
    }
}

impl FromText for Option<TokenSource> {
    fn from_text(_text: &str) -> Result<Self, Refused> {
        // The text may be a token.
        Err(Refused::new("…", "it is code and no text: give the builder a TokenProvider"))
    }
}
