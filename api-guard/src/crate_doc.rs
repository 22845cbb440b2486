//! Reading rustdoc's JSON: items by their ids, and fields that must be there.

use serde_json::Value;

/// A number that rustdoc gives an item; it means something within one output only.
pub(crate) type Id = u64;

/// What rustdoc wrote about a crate.
pub(crate) struct CrateDoc<'a> {
    json: &'a Value,
}

/// Where an item is defined.
pub(crate) struct Home<'a> {
    pub(crate) krate: &'a str,
    pub(crate) own: bool,
    /// The path within the crate.
    pub(crate) path: Vec<&'a str>,
}

impl<'a> CrateDoc<'a> {
    pub(crate) fn new(json: &'a Value) -> Self {
        Self { json }
    }

    pub(crate) fn format(&self) -> u64 {
        number(field(self.json, "format_version"))
    }

    pub(crate) fn root(&self) -> Id {
        number(field(self.json, "root"))
    }

    /// The item, if rustdoc describes it: those of other crates it mostly does not.
    pub(crate) fn item(&self, id: Id) -> Option<Item<'a>> {
        self.json["index"].get(id.to_string()).map(|json| Item { json })
    }

    /// Every item of the crate, in the order in which they stand in the source as far as that is known.
    pub(crate) fn items(&self) -> Vec<Item<'a>> {
        let index = field(self.json, "index").as_object().expect("an index is an object");
        let mut items: Vec<_> = index.values().map(|json| Item { json }).collect();
        items.sort_by_key(Item::place);
        items
    }

    /// Where the item is defined, if rustdoc says so.
    pub(crate) fn home(&self, id: Id) -> Option<Home<'a>> {
        let summary = self.json["paths"].get(id.to_string())?;
        let mut path = list(field(summary, "path")).iter().map(text);
        Some(Home {
            krate: path.next()?,
            own: number(field(summary, "crate_id")) == 0,
            path: path.collect(),
        })
    }
}

/// An item: something with a name, or an implementation.
#[derive(Clone, Copy)]
pub(crate) struct Item<'a> {
    json: &'a Value,
}

impl<'a> Item<'a> {
    pub(crate) fn id(self) -> Id {
        number(field(self.json, "id"))
    }

    pub(crate) fn name(self) -> &'a str {
        text(field(self.json, "name"))
    }

    /// Its kind, and what rustdoc says about an item of that kind.
    pub(crate) fn inner(self) -> (&'a str, &'a Value) {
        only(field(self.json, "inner"))
    }

    pub(crate) fn is_hidden(self) -> bool {
        self.has_attribute("#[doc(hidden)]")
    }

    /// The attributes that users notice, each with a space behind it.
    pub(crate) fn marks(self) -> String {
        let mut marks = String::new();
        if self.has_attribute("non_exhaustive") {
            marks.push_str("#[non_exhaustive] ");
        }
        if !self.json["deprecation"].is_null() {
            marks.push_str("#[deprecated] ");
        }
        marks
    }

    fn has_attribute(self, wanted: &str) -> bool {
        let attributes = list(field(self.json, "attrs"));
        attributes.iter().any(|a| a.as_str().or_else(|| a["other"].as_str()) == Some(wanted))
    }

    fn place(&self) -> (&'a str, u64, u64, Id) {
        let span = &self.json["span"];
        let begin = |n: usize| span["begin"][n].as_u64().unwrap_or(0);
        (span["filename"].as_str().unwrap_or(""), begin(0), begin(1), self.id())
    }
}

/// The field, which must be there.
pub(crate) fn field<'a>(json: &'a Value, name: &str) -> &'a Value {
    json.get(name).unwrap_or_else(|| {
        panic!(
            "rustdoc's JSON has no `{name}` here; its format has changed, so api-guard must: {json}"
        )
    })
}

/// The only entry of an object: how the JSON writes an enum's variant. One without fields is plain text.
pub(crate) fn only(json: &Value) -> (&str, &Value) {
    match json {
        Value::String(name) => (name, &Value::Null),
        Value::Object(entries) if entries.len() == 1 => {
            entries.iter().next().map(|(name, value)| (name.as_str(), value)).expect("one entry")
        }
        other => panic!("rustdoc's JSON has no variant here; its format has changed: {other}"),
    }
}

pub(crate) fn list(json: &Value) -> &[Value] {
    json.as_array().unwrap_or_else(|| panic!("rustdoc's JSON has no list here: {json}"))
}

pub(crate) fn text(json: &Value) -> &str {
    json.as_str().unwrap_or_else(|| panic!("rustdoc's JSON has no text here: {json}"))
}

pub(crate) fn number(json: &Value) -> u64 {
    json.as_u64().unwrap_or_else(|| panic!("rustdoc's JSON has no number here: {json}"))
}

pub(crate) fn flag(json: &Value, name: &str) -> bool {
    json[name].as_bool().unwrap_or(false)
}
