//! The texts of options whose values are a closed set.

/// Gives an enum its texts: reading them in any case and with `-` for `_`, displaying the first of each, and the error that
/// lists them.
macro_rules! closed_set {
    ($type:ident, $option:literal { $($variant:ident: $text:literal $(| $other:literal)*),* }, $allowed:literal) => {
        $crate::options::closed_set! { $type, $option { $($variant: $text $(| $other)*),* }, $allowed, str::to_owned }
    };
    // The texts are displayed as this makes them.
    ($type:ident, $option:literal { $($variant:ident: $text:literal $(| $other:literal)*),* }, $allowed:literal, $shown:path) => {
        impl $crate::options::FromText for $type {
            fn from_text(text: &str) -> Result<Self, $crate::options::Refused> {
                match text.to_ascii_lowercase().replace('-', "_").as_str() {
                    $($text $(| $other)* => Ok(Self::$variant),)*
                    _ => Err($crate::options::Refused::new(text, $allowed)),
                }
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::error::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::options::FromText::from_text(text).map_err(|refused| {
                    $crate::error::Error::configuration($option, refused.value, refused.allowed)
                })
            }
        }

        impl $crate::options::Setting<Self> for $type {
            fn into_value(self) -> Result<Self, $crate::options::Refused> {
                Ok(self)
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&$shown(match self {
                    $(Self::$variant => $text,)*
                }))
            }
        }
    };
}

pub(crate) use closed_set;
