//! Which numbers, times and words are taken for the plain types of options.

use std::{fmt, time::Duration};

use super::{FromNumber, FromText, Refused, Setting};

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

// Text is always a value, so that something may be called `none`.
impl FromText for Option<String> {
    fn from_text(text: &str) -> Result<Self, Refused> {
        Ok(Some(text.to_owned()))
    }
}

impl Setting<Self> for Option<String> {
    fn into_value(self) -> Result<Self, Refused> {
        Ok(self.map(|text| text.trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<T>(setting: impl Setting<T>) -> Result<T, Refused> {
        setting.into_value()
    }

    #[test]
    fn an_optional_text_is_none_only_where_none_is_given() {
        let text = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(value(" none "), text("none"));
        assert_eq!(value(Some(" a ".to_owned())), text("a"));
        assert_eq!(value(""), text(""));
        assert_eq!(value(None::<String>), Ok(None));
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
