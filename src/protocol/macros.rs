//! The language in which messages are declared: one table for struct, defaults, encoding and decoding.
//!
//! ```text
//! api! {
//!     FetchRequest(key 1, versions 0..=18, flexible 12..) -> FetchResponse;
//!
//!     struct FetchRequest {
//!         0..=14 => replica_id: i32 where ignorable = -1,
//!         0..    => max_wait_ms: i32,
//!         ...
//!     } tags {
//!         (0, 12..) => cluster_id: Option<String>,
//!     }
//! }
//! ```
//!
//! - A line is `versions => name: Type [where ...] [= default],`, in the order of the wire. A range of versions is a
//!   Rust pattern, as in a `match` on the version; a tagged field is like a `match` on `(tag, version)`.
//! - An `Option` is null on the wire; `where null in 1..` says from when on null is allowed, if that is later than the
//!   field; `where empty for null in 0` says where an empty value stands for null.
//! - A tagged field is written only where it differs from its default; unknown tags are skipped.
//! - A value other than the default, in a version that lacks the field, is an error unless it is `where ignorable`.
//! - `message!` declares what is no request: the header is then `Name(versions 0..=3);`.

use crate::wire::{EncodeError, Sampler, Wire, Writer};

/// Declares a request, its response and the structs inside.
macro_rules! api {
    (
        $request:ident(
            key $key:literal, versions $low:literal..=$high:literal $(, flexible $flexible:literal..)?
        ) -> $response:ident;
        $($structs:tt)*
    ) => {
        impl $crate::protocol::Request for $request {
            const KEY: i16 = $key;
            const NAME: &'static str = $crate::protocol::macros::api_name(stringify!($request));
            const VERSIONS: std::ops::RangeInclusive<i16> = $low..=$high;
            const FLEXIBLE: i16 = $crate::protocol::macros::first(&[$($flexible)?]);
            type Response = $response;
        }

        structs! {
            SCHEMA = {
                name: <$request as $crate::protocol::Request>::NAME,
                key: Some($key),
                versions: $low..=$high,
                flexible: <$request as $crate::protocol::Request>::FLEXIBLE,
            };
            $($structs)*
        }
    };
}

/// Declares a message that is no request, such as those inside the `bytes` of others.
macro_rules! message {
    ($name:ident(versions $low:literal..=$high:literal); $($structs:tt)*) => {
        structs! {
            SCHEMA = { name: stringify!($name), key: None, versions: $low..=$high, flexible: i16::MAX, };
            $($structs)*
        }
    };
}

/// Declares structs, and the description of them all that tests compare with Kafka's own.
macro_rules! structs {
    (
        SCHEMA = { $($property:ident: $value:expr,)* };
        $($(#[$doc:meta])* struct $name:ident { $($fields:tt)* } $(tags { $($tags:tt)* })?)*
    ) => {
        #[doc(hidden)]
        pub const SCHEMA: $crate::protocol::macros::Schema = $crate::protocol::macros::Schema {
            $($property: $value,)*
            structs: &[$((stringify!($name), $name::FIELDS)),*],
        };

        $(wire_struct! {
            $(#[$doc])* struct $name { $($fields)* } tags { $($($tags)*)? }
        })*
    };
}

/// Declares one struct.
///
/// `$([$ignorable:ident])?` matches nothing that anybody writes: a repetition needs a variable of its own to be
/// repeated by, and `true $($ignorable)?` becomes `true` where `where ignorable` stands.
macro_rules! wire_struct {
    (
        $(#[$doc:meta])*
        struct $name:ident {$(
            $(#[$field_doc:meta])*
            $versions:pat => $field:ident: $type:ty
                $(where ignorable $([$ignorable:ident])?)?
                $(where empty for null in $empty:literal)?
                $(where null in $null:pat)?
                $(= $default:expr)?,
        )*}
        tags {$(
            $(#[$tag_doc:meta])*
            ($tag:literal, $tag_versions:pat) => $tag_field:ident: $tag_type:ty
                $(where ignorable $([$tag_ignorable:ident])?)?
                $(= $tag_default:expr)?,
        )*}
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
            $($(#[$tag_doc])* pub $tag_field: $tag_type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($field: wire_struct!(@default $($default)?),)*
                    $($tag_field: wire_struct!(@default $($tag_default)?),)*
                }
            }
        }

        impl $name {
            #[doc(hidden)]
            pub const FIELDS: &'static [$crate::protocol::macros::Field] = &[
                $($crate::protocol::macros::Field {
                    name: stringify!($field),
                    type_name: stringify!($type),
                    tag: None,
                    versions: |version| matches!(version, $versions),
                    nullable: |version| wire_struct!(@nullable version, $(null $null)? $(empty $empty)?),
                    ignorable: false $(|| true $($ignorable)?)?,
                    default: || format!("{:?}", Self::default().$field),
                },)*
                $($crate::protocol::macros::Field {
                    name: stringify!($tag_field),
                    type_name: stringify!($tag_type),
                    tag: Some($tag),
                    versions: |version| matches!(version, $tag_versions),
                    nullable: |_| true,
                    ignorable: false $(|| true $($tag_ignorable)?)?,
                    default: || format!("{:?}", Self::default().$tag_field),
                },)*
            ];

            /// Reads all fields but the tagged ones: what stands before a field that is streamed.
            pub fn decode_fields(
                r: &mut $crate::wire::Reader<'_>,
            ) -> Result<Self, $crate::wire::DecodeError> {
                let mut this = Self::default();
                $(if matches!(r.version(), $versions) {
                    this.$field = wire_struct!(@decode r, $(null $null)? $(empty $empty)?)
                        .map_err(|error| error.within(concat!(stringify!($name), ".", stringify!($field))))?;
                })*
                Ok(this)
            }

            /// Reads the tagged fields, where the version has them: what stands behind a field that is streamed.
            pub fn decode_tags(
                &mut self,
                r: &mut $crate::wire::Reader<'_>,
            ) -> Result<(), $crate::wire::DecodeError> {
                r.tags(|r, tag| match (tag, r.version()) {
                    $(($tag, $tag_versions) => {
                        self.$tag_field = $crate::wire::Wire::decode(r)
                            .map_err(|error| error.within(concat!(stringify!($name), ".", stringify!($tag_field))))?;
                        Ok(())
                    })*
                    _ => Ok(()),
                })
            }
        }

        impl $crate::wire::Wire for $name {
            fn encode(&self, w: &mut $crate::wire::Writer<'_>) -> Result<(), $crate::wire::EncodeError> {
                let version = w.version();
                $(
                    let place = concat!(stringify!($name), ".", stringify!($field));
                    if matches!(version, $versions) {
                        wire_struct!(@encode &self.$field, w, place, $(null $null)? $(empty $empty)?)?;
                    } else if !(false $(|| true $($ignorable)?)?) {
                        $crate::protocol::macros::must_be(
                            &self.$field, &wire_struct!(@default $($default)?), place, version,
                        )?;
                    }
                )*
                $(
                    let default: $tag_type = wire_struct!(@default $($tag_default)?);
                    let $tag_field = self.$tag_field != default;
                    let in_version = matches!(version, $tag_versions);
                    if $tag_field && !in_version && !(false $(|| true $($tag_ignorable)?)?) {
                        let field = concat!(stringify!($name), ".", stringify!($tag_field));
                        return Err($crate::wire::EncodeError::NotInVersion { field, version });
                    }
                    let $tag_field = $tag_field && in_version;
                )*
                if w.is_flexible() {
                    w.unsigned_varint(0 $(+ u32::from($tag_field))*);
                    $(if $tag_field {
                        w.tag($tag, |w| $crate::wire::Wire::encode(&self.$tag_field, w))?;
                    })*
                }
                Ok(())
            }

            fn decode(r: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::DecodeError> {
                let mut this = Self::decode_fields(r)?;
                this.decode_tags(r)?;
                Ok(this)
            }

            fn min_size(version: i16, flexible: bool) -> usize {
                let mut size = usize::from(flexible);
                $(if matches!(version, $versions) {
                    size += <$type as $crate::wire::Wire>::min_size(version, flexible);
                })*
                size
            }

            fn sample(s: &mut $crate::wire::Sampler) -> Self {
                let mut this = Self::default();
                let version = s.version;
                $(if matches!(version, $versions) {
                    let nullable = wire_struct!(@nullable version, $(null $null)? $(empty $empty)?);
                    this.$field = $crate::protocol::macros::sample(s, &this.$field, nullable);
                })*
                $(if matches!(version, $tag_versions) {
                    this.$tag_field = $crate::protocol::macros::sample(s, &this.$tag_field, true);
                })*
                this
            }
        }

        impl $crate::wire::Nullable for $name {
            fn encode_nullable(
                value: Option<&Self>,
                w: &mut $crate::wire::Writer<'_>,
            ) -> Result<(), $crate::wire::EncodeError> {
                w.put(if value.is_some() { &[1] } else { &[0xff] });
                value.map_or(Ok(()), |value| $crate::wire::Wire::encode(value, w))
            }

            fn decode_nullable(
                r: &mut $crate::wire::Reader<'_>,
            ) -> Result<Option<Self>, $crate::wire::DecodeError> {
                match r.array()? {
                    [0x80..=0xff] => Ok(None),
                    [_] => $crate::wire::Wire::decode(r).map(Some),
                }
            }

            fn min_size_nullable(_: i16, _: bool) -> usize {
                1
            }
        }
    };

    (@default) => { Default::default() };
    (@default $default:expr) => { $default };

    (@nullable $version:ident,) => {{
        let _ = $version;
        true
    }};
    (@nullable $version:ident, null $null:pat) => { matches!($version, $null) };
    (@nullable $version:ident, empty $empty:literal) => { !matches!($version, $empty) };

    (@decode $r:ident,) => { $crate::wire::Wire::decode($r) };
    (@decode $r:ident, null $null:pat) => {
        if matches!($r.version(), $null) { $crate::wire::Wire::decode($r) } else { $crate::wire::Wire::decode($r).map(Some) }
    };
    (@decode $r:ident, empty $empty:literal) => {
        if matches!($r.version(), $empty) { $crate::wire::Wire::decode($r).map(Some) } else { $crate::wire::Wire::decode($r) }
    };

    (@encode $value:expr, $w:ident, $place:ident,) => { $crate::wire::Wire::encode($value, $w) };
    (@encode $value:expr, $w:ident, $place:ident, null $null:pat) => {
        if matches!($w.version(), $null) {
            $crate::wire::Wire::encode($value, $w)
        } else {
            $crate::protocol::macros::encode_not_null($value, $w, $place)
        }
    };
    (@encode $value:expr, $w:ident, $place:ident, empty $empty:literal) => {
        if matches!($w.version(), $empty) {
            $crate::protocol::macros::encode_or_empty($value, $w)
        } else {
            $crate::wire::Wire::encode($value, $w)
        }
    };
}

/// A message as it is declared, for the comparison with Kafka's schemas.
#[derive(Clone, Debug)]
pub struct Schema {
    /// The API, without `Request`; or the message that is no request.
    pub name: &'static str,
    /// The number of the API.
    pub key: Option<i16>,
    /// The versions that are declared.
    pub versions: std::ops::RangeInclusive<i16>,
    /// The first flexible version; `i16::MAX` where there is none.
    pub flexible: i16,
    /// The structs, by name.
    pub structs: &'static [(&'static str, &'static [Field])],
}

/// A field as it is declared.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The name.
    pub name: &'static str,
    /// The type, as Rust spells it.
    pub type_name: &'static str,
    /// The tag of a tagged field.
    pub tag: Option<u32>,
    /// Whether a version has the field.
    pub versions: fn(i16) -> bool,
    /// Whether the field can be null in a version, if its type is an `Option`.
    pub nullable: fn(i16) -> bool,
    /// Whether a value is dropped in silence in versions that lack the field.
    pub ignorable: bool,
    /// The default, as `Debug` shows it.
    pub default: fn() -> String,
}

/// `Fetch` of `FetchRequest`.
pub(super) const fn api_name(request: &'static str) -> &'static str {
    request.split_at(request.len() - "Request".len()).0
}

/// The first flexible version of those that the declaration names: one or none.
pub(super) const fn first(flexible: &[i16]) -> i16 {
    if flexible.is_empty() { i16::MAX } else { flexible[0] }
}

pub(super) fn must_be<T: PartialEq>(
    value: &T,
    default: &T,
    field: &'static str,
    version: i16,
) -> Result<(), EncodeError> {
    if value == default { Ok(()) } else { Err(EncodeError::NotInVersion { field, version }) }
}

pub(super) fn encode_not_null<T: Wire>(
    value: &Option<T>,
    w: &mut Writer<'_>,
    field: &'static str,
) -> Result<(), EncodeError> {
    let version = w.version();
    value.as_ref().ok_or(EncodeError::NullInVersion { field, version })?.encode(w)
}

pub(super) fn encode_or_empty<T: Wire + Default>(
    value: &Option<T>,
    w: &mut Writer<'_>,
) -> Result<(), EncodeError> {
    match value {
        Some(value) => value.encode(w),
        None => T::default().encode(w),
    }
}

/// A value of the field that is not its default.
pub(super) fn sample<T: Wire + PartialEq>(s: &mut Sampler, default: &T, nullable: bool) -> T {
    let nulls = s.nulls;
    s.nulls = nulls && nullable;
    let value = T::sample(s);
    // There are two bools; the next number makes the other one.
    let value = if value == *default { T::sample(s) } else { value };
    s.nulls = nulls;
    value
}
