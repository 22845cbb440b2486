//! How an option gets its value: the conversions of the setters, and the macro that makes builders of tables.

use std::{fmt, ops::RangeInclusive};

pub(crate) mod checks;
mod closed_set;
mod numbers;
mod pem;
mod secret;
pub(crate) mod unknown;

pub(crate) use closed_set::closed_set;
pub use numbers::Millis;
pub use pem::Pem;
pub use secret::Secret;

/// What the setter of an option takes: a value as the option's type `T`, or something that reads as one.
///
/// It is what makes a chain of setters read like Python's keyword arguments. Every option takes text, in the form that
/// stands in a configuration file; beside that
/// - times in milliseconds take a number or a [`Duration`](std::time::Duration),
/// - counts and sizes take any integer type,
/// - servers and topics take one string or a list of strings.
///
/// A value that does not fit is not lost: `build()` returns an error which names it.
/// The trait is sealed: only this crate implements it.
///
/// ```
/// use std::time::Duration;
/// use kafka_blocking::{ConsumerBuilder, OffsetReset};
///
/// let builder = ConsumerBuilder::new()
///     .fetch_max_wait_ms(250)
///     .fetch_max_wait_ms(Duration::from_millis(250))
///     .fetch_max_wait_ms("250")
///     .auto_offset_reset("earliest")
///     .auto_offset_reset(OffsetReset::Earliest);
/// ```
pub trait Setting<T> {
    /// The value, or what is wrong with it.
    #[doc(hidden)]
    fn into_value(self) -> Result<T, Refused>;
}

/// A value that an option cannot have; the option's name is added where it is known.
///
/// Not reachable from outside, which is what seals [`Setting`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The value, as text.
    pub value: String,
    /// What is allowed instead.
    pub allowed: String,
}

impl Refused {
    /// Refuses `value`, because only `allowed` will do.
    pub fn new(value: impl fmt::Display, allowed: impl Into<String>) -> Self {
        Self { value: value.to_string(), allowed: allowed.into() }
    }
}

/// A type of option whose values can be written as text.
pub trait FromText: Sized {
    /// Whether space around the text belongs to the value.
    const VERBATIM: bool = false;

    /// Reads the text; space around it is gone already, unless it belongs to the value.
    fn from_text(text: &str) -> Result<Self, Refused>;
}

impl<T: FromText> Setting<T> for &str {
    fn into_value(self) -> Result<T, Refused> {
        T::from_text(if T::VERBATIM { self } else { self.trim() })
    }
}

impl<T: FromText> Setting<T> for String {
    fn into_value(self) -> Result<T, Refused> {
        self.as_str().into_value()
    }
}

impl<T: FromText> Setting<T> for &String {
    fn into_value(self) -> Result<T, Refused> {
        self.as_str().into_value()
    }
}

/// A type of option whose values can be written as a list of texts.
pub trait FromList: Sized {
    /// Reads the entries.
    fn from_list<'a>(entries: impl Iterator<Item = &'a str>) -> Result<Self, Refused>;
}

impl<T: FromList, S: AsRef<str>> Setting<T> for &[S] {
    fn into_value(self) -> Result<T, Refused> {
        T::from_list(self.iter().map(AsRef::as_ref))
    }
}

impl<T: FromList, S: AsRef<str>, const N: usize> Setting<T> for [S; N] {
    fn into_value(self) -> Result<T, Refused> {
        self.as_slice().into_value()
    }
}

impl<T: FromList, S: AsRef<str>, const N: usize> Setting<T> for &[S; N] {
    fn into_value(self) -> Result<T, Refused> {
        self.as_slice().into_value()
    }
}

impl<T: FromList, S: AsRef<str>> Setting<T> for Vec<S> {
    fn into_value(self) -> Result<T, Refused> {
        self.as_slice().into_value()
    }
}

impl<T: FromList, S: AsRef<str>> Setting<T> for &Vec<S> {
    fn into_value(self) -> Result<T, Refused> {
        self.as_slice().into_value()
    }
}

/// A type of option whose values can be written as a whole number.
pub trait FromNumber: Sized {
    /// Takes the number where it fits.
    fn from_number(number: i128) -> Result<Self, Refused>;
}

macro_rules! whole_numbers {
    ($($int:ty)*) => {$(
        impl<T: FromNumber> Setting<T> for $int {
            fn into_value(self) -> Result<T, Refused> {
                // A u128 beyond i128 is beyond every option's range as well.
                T::from_number(i128::try_from(self).unwrap_or(i128::MAX))
            }
        }
    )*};
}

whole_numbers! { i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize }

/// The number in a value that has one: what the range in a table's row is held against.
pub(crate) trait Counted {
    type Number: PartialOrd + fmt::Display;
    fn number(&self) -> Option<Self::Number>;
}

macro_rules! counted {
    ($($count:ty)*) => {$(
        impl Counted for $count {
            type Number = Self;
            fn number(&self) -> Option<Self> {
                Some(*self)
            }
        }

        impl Counted for Option<$count> {
            type Number = $count;
            fn number(&self) -> Self {
                *self
            }
        }
    )*};
}

counted! { i32 usize }

/// The value, if its number is in the range or if it has none.
pub(crate) fn within<T: Counted>(
    value: T,
    range: &RangeInclusive<T::Number>,
) -> Result<T, Refused> {
    match value.number() {
        Some(number) if !range.contains(&number) => {
            Err(Refused::new(number, format!("must be from {} to {}", range.start(), range.end())))
        }
        _ => Ok(value),
    }
}

/// What the setters of a builder were given.
pub(crate) trait Given: Default {
    /// A value for each option.
    type Values;

    /// Takes over what was given there, and keeps the rest.
    fn override_with(&mut self, later: &Self);

    /// The values, with the default of each option that was not set.
    fn complete(self) -> Self::Values;
}

/// Makes the setters of a builder from a table of options.
///
/// ```text
/// options! {
///     impl SomeBuilder { given: SomeGiven, values: SomeValues }
///
///     /// What the option does.
///     fetch_min_bytes: i32 = 1, in 0..=i32::MAX;        // type, default, and the range where there is one
///     /// The same, with a default that reads better in words, and an older name.
///     client_id: String = CLIENT_ID, shown "`name-{version}`", alias old_name;
///
///     ..shared {
///         /// An option of another builder, which stands in the field `shared`.
///         request_timeout_ms: Millis = 30_000;
///     }
/// }
/// ```
///
/// gives `SomeGiven`, what the setters were given; `SomeValues`, the same with defaults for what was not given; and on the builder a by-value setter per name, the constant `NAMES`, and
/// `set_by_name(self, name, value) -> Self`. Default and range stand in the setter's documentation, from the same tokens
/// that the code is made of. The builder is written by hand, with a field `given: SomeGiven` and the methods
/// `refuse(&mut self, name, Refused)` and `set_unknown(self, name, value) -> Self`; so it has room for what is no table's row.
/// A builder with type parameters names them in brackets: `impl[K: Bound] SomeBuilder[K]`.
macro_rules! options {
    (
        impl $([$($generics:tt)*])? $builder:ident $([$($arguments:tt)*])? { given: $given:ident, values: $values:ident }
        $(
            $(#[$doc:meta])*
            $name:ident: $type:ty = $default:expr
                $(, in $range:expr)? $(, shown $shown:literal)? $(, alias $alias:ident)?;
        )*
        $(..$shared:ident {
            $(
                $(#[$shared_doc:meta])*
                $shared_name:ident: $shared_type:ty = $shared_default:expr
                    $(, in $shared_range:expr)? $(, shown $shared_shown:literal)? $(, alias $shared_alias:ident)?;
            )*
        })?
    ) => {
        /// What the setters were given; `None` for an option that was not set.
        #[derive(Clone, Debug, Default)]
        pub(crate) struct $given { $($name: Option<$type>,)* }

        /// The values of the options; how they fit together is not checked yet.
        #[derive(Clone, Debug)]
        pub(crate) struct $values { $(pub(crate) $name: $type,)* }

        impl $crate::options::Given for $given {
            type Values = $values;

            fn override_with(&mut self, later: &Self) {
                $(if later.$name.is_some() {
                    self.$name.clone_from(&later.$name);
                })*
            }

            fn complete(self) -> $values {
                $values {
                    $($name: self.$name.unwrap_or_else(|| $crate::options::default_value($default)),)*
                }
            }
        }

        impl $builder {
            /// The names of all options that this version serves, in the order of the documentation.
            pub const NAMES: &[&str] = &[
                $(stringify!($name), $(stringify!($alias),)?)*
                $($(stringify!($shared_name), $(stringify!($shared_alias),)?)*)?
            ];
        }

        impl $(<$($generics)*>)? $builder $(<$($arguments)*>)? {
            $(
                $(#[$doc])*
                #[doc = ""]
                #[doc = concat!("Default: ", $crate::options::options!(@shown $default $(; $shown)?), ".")]
                $(#[doc = concat!("Allowed: `", stringify!($range), "`.")])?
                #[must_use]
                pub fn $name(mut self, value: impl $crate::options::Setting<$type>) -> Self {
                    let value = value.into_value() $(.and_then(|value| $crate::options::within(value, &($range))))?;
                    match value {
                        Ok(value) => self.given.$name = Some(value),
                        Err(refused) => self.refuse(stringify!($name), refused),
                    }
                    self
                }

                $crate::options::options! { @alias $name: $type $(, $alias)? }
            )*

            $($(
                $(#[$shared_doc])*
                #[doc = ""]
                #[doc = concat!("Default: ", $crate::options::options!(@shown $shared_default $(; $shared_shown)?), ".")]
                $(#[doc = concat!("Allowed: `", stringify!($shared_range), "`.")])?
                #[must_use]
                pub fn $shared_name(mut self, value: impl $crate::options::Setting<$shared_type>) -> Self {
                    self.$shared = self.$shared.$shared_name(value);
                    self
                }

                $crate::options::options! { @alias $shared_name: $shared_type $(, $shared_alias)? }
            )*)?

            /// Sets an option by name.
            fn set_by_name(self, name: &str, value: &str) -> Self {
                match name {
                    $(stringify!($name) $(| stringify!($alias))? => self.$name(value),)*
                    $($(stringify!($shared_name) $(| stringify!($shared_alias))? => self.$shared_name(value),)*)?
                    _ => self.set_unknown(name, value),
                }
            }
        }
    };
    (@alias $name:ident: $type:ty) => {};
    (@alias $name:ident: $type:ty, $alias:ident) => {
        #[doc = concat!("Another name of [`", stringify!($name), "`](Self::", stringify!($name), ").")]
        #[must_use]
        pub fn $alias(self, value: impl $crate::options::Setting<$type>) -> Self {
            self.$name(value)
        }
    };
    (@shown $default:expr) => { concat!("`", stringify!($default), "`") };
    (@shown $default:expr; $shown:literal) => { $shown };
    // The rows of a table that stands in a macro of its own.
    (impl $([$($generics:tt)*])? $builder:ident $([$($arguments:tt)*])? { $($fields:tt)* } { $($rows:tt)* }) => {
        $crate::options::options! {
            impl $([$($generics)*])? $builder $([$($arguments)*])? { $($fields)* } $($rows)*
        }
    };
}

pub(crate) use options;

/// The default that a table's row names, in the row's type.
pub(crate) fn default_value<T>(default: impl Setting<T>) -> T {
    default.into_value().unwrap_or_else(|refused| unreachable!("a default is allowed: {refused:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_a_row_is_held_against_its_number() {
        assert_eq!(within(5, &(1..=9)), Ok(5));
        assert_eq!(within(10, &(1..=9)), Err(Refused::new(10, "must be from 1 to 9")));
        assert_eq!(within(None::<i32>, &(1..=9)), Ok(None));
    }
}
