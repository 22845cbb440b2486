//! Values that are a file, or what would stand in one.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::{FromText, Refused, Secret, Setting};

/// Certificates or keys: the path of a file in PEM format, or its text.
///
/// Text that has `-----BEGIN` in it is taken for the latter, which is shown nowhere: there may be a key in it.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// The file is read when a consumer is built.
    Path(PathBuf),
    /// The text itself.
    Text(Secret),
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Text(_) => f.write_str("-----BEGIN …"),
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromText for Option<Pem> {
    fn from_text(text: &str) -> Result<Self, Refused> {
        Ok(match text {
            "" => None,
            _ if text.contains("-----BEGIN") => Some(Pem::Text(Secret::new(text))),
            _ => Some(Pem::Path(text.into())),
        })
    }
}

impl Setting<Self> for Option<Pem> {
    fn into_value(self) -> Result<Self, Refused> {
        Ok(self)
    }
}

impl Setting<Option<Pem>> for &Path {
    fn into_value(self) -> Result<Option<Pem>, Refused> {
        Ok(Some(Pem::Path(self.to_owned())))
    }
}

impl Setting<Option<Pem>> for PathBuf {
    fn into_value(self) -> Result<Option<Pem>, Refused> {
        Ok(Some(Pem::Path(self)))
    }
}

impl Setting<Option<Pem>> for &PathBuf {
    fn into_value(self) -> Result<Option<Pem>, Refused> {
        self.as_path().into_value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_from_a_path_by_its_first_line_and_not_shown() {
        let path: Option<Pem> = "ca.pem".into_value().unwrap();
        assert_eq!(path, Some(Pem::Path("ca.pem".into())));
        let text: Option<Pem> = "-----BEGIN PRIVATE KEY-----\nMII".into_value().unwrap();
        assert!(matches!(text, Some(Pem::Text(_))));
        assert_eq!(format!("{text:?}"), "Some(-----BEGIN …)");
    }
}
