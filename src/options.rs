//! How an option gets its value: the conversions of the setters, and the macro that makes builders of tables.

use std::{fmt, ops::RangeInclusive, time::Duration};

/// What the setter of an option takes: a value as the option's type `T`, or something that reads as one.
///
/// It is what makes a chain of setters read like Python's keyword arguments. Every option takes text, in the form that
/// stands in a configuration file; beside that
/// - times in milliseconds take a number or a [`Duration`],
/// - counts and sizes take any integer type,
/// - servers and topics take one string or a list of strings.
///
/// A value that does not fit is not lost: `build()` returns an error which names it.
/// The trait is sealed: only this crate implements it.
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

/// A time in milliseconds: the value of the options whose names end in `_ms`.
///
/// ```
/// use std::time::Duration;
/// use kafka_blocking::ConsumerBuilder;
///
/// let a = ConsumerBuilder::new().fetch_max_wait_ms(250);
/// let b = ConsumerBuilder::new().fetch_max_wait_ms(Duration::from_millis(250));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(Duration);

impl Millis {
    /// The time as a [`Duration`], which may be as long as [`Duration::MAX`].
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl From<Duration> for Millis {
    fn from(time: Duration) -> Self {
        Self(time)
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_millis())
    }
}

/// A type of option whose values can be written as text.
pub trait FromText: Sized {
    /// Reads the text; space around it is gone already.
    fn from_text(text: &str) -> Result<Self, Refused>;
}

impl<T: FromText> Setting<T> for &str {
    fn into_value(self) -> Result<T, Refused> {
        T::from_text(self.trim())
    }
}

impl<T: FromText> Setting<T> for String {
    fn into_value(self) -> Result<T, Refused> {
        T::from_text(self.trim())
    }
}

impl<T: FromText> Setting<T> for &String {
    fn into_value(self) -> Result<T, Refused> {
        T::from_text(self.trim())
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

/// Reads text as the number of a [`FromNumber`].
fn number_from_text<T: FromNumber>(text: &str, expected: &str) -> Result<T, Refused> {
    // Underscores separate thousands in Rust and in Python.
    let number = text.replace('_', "").parse().map_err(|_| Refused::new(text, expected))?;
    T::from_number(number)
}

macro_rules! counts {
    ($($count:ty)*) => {$(
        impl FromNumber for $count {
            fn from_number(number: i128) -> Result<Self, Refused> {
                Self::try_from(number).map_err(|_| {
                    Refused::new(number, format!("must be from {} to {}", Self::MIN, Self::MAX))
                })
            }
        }

        impl FromText for $count {
            fn from_text(text: &str) -> Result<Self, Refused> {
                number_from_text(text, "must be a whole number")
            }
        }

        impl FromNumber for Option<$count> {
            fn from_number(number: i128) -> Result<Self, Refused> {
                <$count>::from_number(number).map(Some)
            }
        }

        impl FromText for Option<$count> {
            fn from_text(text: &str) -> Result<Self, Refused> {
                if is_none(text) { Ok(None) } else { <$count>::from_text(text).map(Some) }
            }
        }

        impl Setting<Option<$count>> for Option<$count> {
            fn into_value(self) -> Result<Self, Refused> {
                Ok(self)
            }
        }
    )*};
}

counts! { i32 usize }

/// Whether the text says that an option has no value, as Python and configuration files do.
fn is_none(text: &str) -> bool {
    text.is_empty() || text.eq_ignore_ascii_case("none") || text.eq_ignore_ascii_case("null")
}

const MILLISECONDS: &str = "must be a number of milliseconds, 0 or more";

impl FromNumber for Millis {
    fn from_number(number: i128) -> Result<Self, Refused> {
        if number < 0 {
            return Err(Refused::new(number, MILLISECONDS));
        }
        // What is beyond u64 milliseconds, 584 million years, is as good as for ever.
        Ok(Self(u64::try_from(number).map_or(Duration::MAX, Duration::from_millis)))
    }
}

impl FromText for Millis {
    fn from_text(text: &str) -> Result<Self, Refused> {
        number_from_text(text, MILLISECONDS)
    }
}

impl Setting<Self> for Millis {
    fn into_value(self) -> Result<Self, Refused> {
        Ok(self)
    }
}

impl Setting<Millis> for Duration {
    fn into_value(self) -> Result<Millis, Refused> {
        Ok(Millis(self))
    }
}

// `None` is no limit, and so are kafka-python's `float('inf')` and its negative numbers.
impl FromNumber for Option<Millis> {
    fn from_number(number: i128) -> Result<Self, Refused> {
        if number < 0 { Ok(None) } else { Millis::from_number(number).map(Some) }
    }
}

impl FromText for Option<Millis> {
    fn from_text(text: &str) -> Result<Self, Refused> {
        if is_none(text) || ["inf", "infinity"].iter().any(|inf| text.eq_ignore_ascii_case(inf)) {
            return Ok(None);
        }
        number_from_text(text, "must be a number of milliseconds, or inf")
    }
}

impl Setting<Option<Millis>> for f64 {
    fn into_value(self) -> Result<Option<Millis>, Refused> {
        if self.is_nan() {
            return Err(Refused::new(self, "must be a number of milliseconds, or inf"));
        }
        if self < 0.0 || self.is_infinite() {
            return Ok(None);
        }
        let time = Duration::try_from_secs_f64(self / 1000.0).unwrap_or(Duration::MAX);
        Ok(Some(Millis(time)))
    }
}

impl Setting<Option<Millis>> for Duration {
    fn into_value(self) -> Result<Option<Millis>, Refused> {
        Ok(Some(Millis(self)))
    }
}

impl Setting<Option<Millis>> for Option<Duration> {
    fn into_value(self) -> Result<Option<Millis>, Refused> {
        Ok(self.map(Millis))
    }
}

impl Setting<Self> for bool {
    fn into_value(self) -> Result<Self, Refused> {
        Ok(self)
    }
}

impl FromText for bool {
    fn from_text(text: &str) -> Result<Self, Refused> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(Refused::new(text, "must be true or false")),
        }
    }
}

impl FromText for String {
    fn from_text(text: &str) -> Result<Self, Refused> {
        Ok(text.to_owned())
    }
}

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

/// Makes the setters of a builder from a table of options.
///
/// ```text
/// options! {
///     impl SomeBuilder { values: SomeValues }
///
///     /// What the option does.
///     fetch_min_bytes: i32 = 1, in 0..=i32::MAX;        // type, default, and the range where there is one
///     /// The same, with a default that reads better in words, and an older name.
///     client_id: String = CLIENT_ID, shown "`name-{version}`", alias old_name;
/// }
/// ```
///
/// gives `SomeValues`, a struct of the rows with `Default`, and on the builder a by-value setter per name, the constant
/// `NAMES`, and `set_by_name(self, name, value) -> Self`. Default and range stand in the setter's documentation, from the
/// same tokens that the code is made of. The builder is written by hand, with a field `values: SomeValues` and the methods
/// `refuse(&mut self, name, Refused)` and `set_unknown(self, name, value) -> Self`; so it has room for what is no table's row.
macro_rules! options {
    (
        impl $builder:ident { values: $values:ident }
        $(
            $(#[$doc:meta])*
            $name:ident: $type:ty = $default:expr
                $(, in $range:expr)? $(, shown $shown:literal)? $(, alias $alias:ident)?;
        )*
    ) => {
        /// The values of the options, as they were given; how they fit together is not checked yet.
        #[derive(Clone, Debug)]
        pub(crate) struct $values { $(pub(crate) $name: $type,)* }

        impl Default for $values {
            fn default() -> Self {
                Self { $($name: $crate::options::default_value($default),)* }
            }
        }

        impl $builder {
            /// The names of all options that this version serves, in the order of the documentation.
            pub const NAMES: &[&str] = &[$(stringify!($name), $(stringify!($alias),)?)*];

            $(
                $(#[$doc])*
                #[doc = ""]
                #[doc = concat!("Default: ", options!(@shown $default $(; $shown)?), ".")]
                $(#[doc = concat!("Allowed: `", stringify!($range), "`.")])?
                #[must_use]
                pub fn $name(self, value: impl $crate::options::Setting<$type>) -> Self {
                    self.assign(stringify!($name), value.into_value() $(.and_then(|value| $crate::options::within(value, &($range))))?, |values| &mut values.$name)
                }

                $(
                    #[doc = concat!("Another name of [`", stringify!($name), "`](Self::", stringify!($name), ").")]
                    #[must_use]
                    pub fn $alias(self, value: impl $crate::options::Setting<$type>) -> Self {
                        self.$name(value)
                    }
                )?
            )*

            /// Sets an option by name.
            fn set_by_name(self, name: &str, value: &str) -> Self {
                match name {
                    $(stringify!($name) $(| stringify!($alias))? => self.$name(value),)*
                    _ => self.set_unknown(name, value),
                }
            }

            /// Takes an option's value, or remembers why it is refused.
            fn assign<T>(
                mut self,
                name: &'static str,
                value: Result<T, $crate::options::Refused>,
                field: impl FnOnce(&mut $values) -> &mut T,
            ) -> Self {
                match value {
                    Ok(value) => *field(&mut self.values) = value,
                    Err(refused) => self.refuse(name, refused),
                }
                self
            }
        }
    };
    (@shown $default:expr) => { concat!("`", stringify!($default), "`") };
    (@shown $default:expr; $shown:literal) => { $shown };
}

pub(crate) use options;

/// The default that a table's row names, in the row's type.
pub(crate) fn default_value<T>(default: impl Setting<T>) -> T {
    default.into_value().unwrap_or_else(|refused| unreachable!("a default is allowed: {refused:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<T>(setting: impl Setting<T>) -> Result<T, Refused> {
        setting.into_value()
    }

    #[test]
    fn milliseconds_are_taken_as_a_number_a_duration_or_text() {
        let expected = Ok(Millis(Duration::from_millis(1500)));
        assert_eq!(value(1500), expected);
        assert_eq!(value(1500_u64), expected);
        assert_eq!(value(1500_usize), expected);
        assert_eq!(value(Duration::from_millis(1500)), expected);
        assert_eq!(value(" 1500 "), expected);
        assert_eq!(value("1_500".to_owned()), expected);
    }

    #[test]
    fn fault_242_the_longest_times_do_not_overflow() {
        assert_eq!(value::<Millis>(u64::MAX).unwrap().get(), Duration::from_millis(u64::MAX));
        assert_eq!(value::<Millis>(u128::MAX).unwrap().get(), Duration::MAX);
        assert_eq!(value::<Millis>("99999999999999999999999").unwrap().get(), Duration::MAX);
        assert_eq!(value::<Millis>(Duration::MAX).unwrap().get(), Duration::MAX);
        assert_eq!(value::<Option<Millis>>(1e300).unwrap().unwrap().get(), Duration::MAX);
    }

    #[test]
    fn a_negative_time_is_refused() {
        let refused = Refused::new(-1, "must be a number of milliseconds, 0 or more");
        assert_eq!(value::<Millis>(-1), Err(refused.clone()));
        assert_eq!(value::<Millis>("-1"), Err(refused));
    }

    #[test]
    fn a_time_that_may_be_endless_takes_none_infinity_and_negative_numbers_for_that() {
        assert_eq!(value::<Option<Millis>>(None), Ok(None));
        assert_eq!(value::<Option<Millis>>(f64::INFINITY), Ok(None));
        assert_eq!(value::<Option<Millis>>(-1), Ok(None));
        for text in ["inf", "Infinity", "None", "-1", ""] {
            assert_eq!(value::<Option<Millis>>(text), Ok(None), "{text}");
        }
        let second = Ok(Some(Millis(Duration::from_secs(1))));
        assert_eq!(value(1000), second);
        assert_eq!(value(1000.0), second);
        assert_eq!(value(Duration::from_secs(1)), second);
        assert_eq!(value(Some(Duration::from_secs(1))), second);
        assert!(value::<Option<Millis>>(f64::NAN).is_err());
        assert!(value::<Option<Millis>>("soon").is_err());
    }

    #[test]
    fn a_count_takes_every_integer_type_that_it_can_hold() {
        assert_eq!(value::<i32>(7_u64), Ok(7));
        assert_eq!(value::<usize>(7), Ok(7));
        assert_eq!(
            value::<i32>(1_u64 << 31),
            Err(Refused::new("2147483648", "must be from -2147483648 to 2147483647"))
        );
        assert!(value::<usize>(-1).is_err());
        assert_eq!(value::<i32>("abc"), Err(Refused::new("abc", "must be a whole number")));
    }

    #[test]
    fn a_count_that_may_be_missing_takes_none() {
        assert_eq!(value::<Option<i32>>(None), Ok(None));
        assert_eq!(value::<Option<i32>>("None"), Ok(None));
        assert_eq!(value::<Option<i32>>(Some(5)), Ok(Some(5)));
        assert_eq!(value::<Option<i32>>(5), Ok(Some(5)));
    }

    #[test]
    fn the_range_of_a_row_is_held_against_its_number() {
        assert_eq!(within(5, &(1..=9)), Ok(5));
        assert_eq!(within(10, &(1..=9)), Err(Refused::new(10, "must be from 1 to 9")));
        assert_eq!(within(None::<i32>, &(1..=9)), Ok(None));
    }

    #[test]
    fn a_switch_takes_the_words_of_python_and_of_configuration_files() {
        for text in ["True", "true", "1", "yes", "on"] {
            assert_eq!(value(text), Ok(true), "{text}");
        }
        for text in ["False", "false", "0", "no", "off"] {
            assert_eq!(value(text), Ok(false), "{text}");
        }
        assert_eq!(value::<bool>("maybe"), Err(Refused::new("maybe", "must be true or false")));
    }
}
