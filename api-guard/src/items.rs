//! Items and implementations as text, in blocks that each belong to one path.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    crate_doc::{CrateDoc, Id, Item, field, flag, list, number, only},
    reach::Reach,
    signature::Printer,
};

/// Automatic traits that users rely on; the compiler has more, for itself.
const AUTO_TRAITS: &[&str] = &["Send", "Sync", "Unpin", "UnwindSafe", "RefUnwindSafe"];

/// Traits that the compiler implements for itself.
const INTERNAL_TRAITS: &[&str] = &["StructuralPartialEq"];

/// Everything public, sorted by path.
pub(crate) fn text(doc: &CrateDoc<'_>, reach: &Reach, printer: &Printer<'_>) -> String {
    let writer = Writer { doc, reach, printer };
    let mut implementations = writer.implementations();
    let mut blocks = Vec::new();
    for (path, &id) in &reach.names {
        let item = doc.item(id).expect("what can be named is described");
        if reach.path(id) != Some(path) {
            blocks.push(format!("use {} as {path}\n", reach.path(id).unwrap_or_default()));
            continue;
        }
        blocks.push(writer.definition(path, item));
        blocks.extend(implementations.remove(&id).unwrap_or_default().into_blocks());
    }
    for (path, &id) in &reach.foreign {
        blocks.push(format!("use {} as {path}\n", printer.name(id, path)));
    }
    assert!(implementations.is_empty(), "implementations of nothing public");
    blocks.concat()
}

/// The implementations that belong to one item.
#[derive(Default)]
struct Implementations {
    /// The lines of each block of methods, by its first line.
    inherent: BTreeMap<String, Vec<String>>,
    traits: BTreeSet<String>,
    /// Automatic traits, by what stands before and behind their names.
    auto: BTreeMap<(String, String), Vec<String>>,
}

impl Implementations {
    fn into_blocks(self) -> impl Iterator<Item = String> {
        let inherent = self.inherent.into_iter().map(|(header, mut lines)| {
            lines.sort_by_cached_key(|line| line.split('(').next().map(str::to_owned));
            block(&header, &lines)
        });
        let auto = self.auto.into_iter().map(|((before, behind), mut names)| {
            names.sort();
            block(&format!("{before}{}{behind}", names.join(" + ")), &[])
        });
        inherent.chain(self.traits).chain(auto)
    }
}

struct Writer<'a> {
    doc: &'a CrateDoc<'a>,
    reach: &'a Reach,
    printer: &'a Printer<'a>,
}

impl Writer<'_> {
    fn definition(&self, path: &str, item: Item<'_>) -> String {
        let (kind, of) = item.inner();
        let marks = item.marks();
        match kind {
            "module" => format!("{marks}mod {path}\n"),
            "struct" => self.structure(&format!("{marks}struct {path}"), of),
            "enum" => self.enumeration(&format!("{marks}enum {path}"), of),
            "trait" => self.interface(&format!("{marks}trait {path}"), of),
            "function" => format!("{marks}{}\n", self.printer.function(path, of)),
            "constant" => {
                let ty = self.printer.ty(field(of, "type"));
                format!("{marks}const {path}: {ty}{}\n", value(field(of, "const")))
            }
            "static" => format!("{marks}static {path}: {}\n", self.printer.ty(field(of, "type"))),
            "type_alias" => {
                let parameters = self.printer.parameters(field(of, "generics"));
                format!("{marks}type {path}{parameters} = {}\n", self.printer.ty(field(of, "type")))
            }
            "macro" => format!("{marks}macro {path}\n"),
            other => panic!("{path}: api-guard cannot write an item of kind {other}"),
        }
    }

    fn structure(&self, head: &str, of: &Value) -> String {
        let generics = field(of, "generics");
        let conditions = self.printer.conditions(generics);
        let head = format!("{head}{}", self.printer.parameters(generics));
        match only(field(of, "kind")) {
            ("unit", _) => format!("{head}{conditions}\n"),
            ("tuple", fields) => format!("{head}({}){conditions}\n", self.tuple(fields)),
            (_, plain) => block(&format!("{head}{conditions}"), &self.fields(plain)),
        }
    }

    fn enumeration(&self, head: &str, of: &Value) -> String {
        let generics = field(of, "generics");
        let head = format!(
            "{head}{}{}",
            self.printer.parameters(generics),
            self.printer.conditions(generics)
        );
        let variants: Vec<_> =
            self.visible(field(of, "variants")).map(|item| self.variant(item)).collect();
        block(&head, &variants)
    }

    fn variant(&self, item: Item<'_>) -> String {
        let name = format!("{}{}", item.marks(), item.name());
        match only(field(item.inner().1, "kind")) {
            ("plain", _) => name,
            ("tuple", fields) => format!("{name}({})", self.tuple(fields)),
            (_, fields) => format!("{name} {{ {} }}", self.fields(fields).join(", ")),
        }
    }

    /// The fields of a tuple; those that users do not see are `_`.
    fn tuple(&self, fields: &Value) -> String {
        let fields = list(fields).iter().map(|id| {
            let item =
                id.as_u64().and_then(|id| self.doc.item(id)).filter(|item| !item.is_hidden());
            item.map_or_else(|| "_".to_owned(), |item| self.printer.ty(item.inner().1))
        });
        fields.collect::<Vec<_>>().join(", ")
    }

    fn fields(&self, of: &Value) -> Vec<String> {
        let all = list(field(of, "fields")).len();
        let mut lines: Vec<_> = self
            .visible(field(of, "fields"))
            .map(|item| {
                format!("{}{}: {}", item.marks(), item.name(), self.printer.ty(item.inner().1))
            })
            .collect();
        if lines.len() < all || flag(of, "has_stripped_fields") {
            lines.push("(private fields)".to_owned());
        }
        lines
    }

    fn interface(&self, head: &str, of: &Value) -> String {
        let generics = field(of, "generics");
        let bounds = self.printer.bounds(field(of, "bounds"));
        let colon = if bounds.is_empty() { "" } else { ": " };
        let head = format!(
            "{}{head}{}{colon}{bounds}{}",
            if flag(of, "is_unsafe") { "unsafe " } else { "" },
            self.printer.parameters(generics),
            self.printer.conditions(generics)
        );
        let mut lines: Vec<_> =
            self.visible(field(of, "items")).map(|item| self.associated(item)).collect();
        let required =
            |item: Item<'_>| item.inner().0 == "function" && !flag(item.inner().1, "has_body");
        if self.all(field(of, "items")).any(|item| item.is_hidden() && required(item)) {
            lines.push("(a hidden method, so nobody else implements it)".to_owned());
        }
        block(&head, &lines)
    }

    /// An item of a trait or of a block of methods.
    fn associated(&self, item: Item<'_>) -> String {
        let (kind, of) = item.inner();
        let (marks, name) = (item.marks(), item.name());
        match kind {
            "function" => {
                let provided = if flag(of, "has_body") { "" } else { ";" };
                format!("{marks}{}{provided}", self.printer.function(name, of))
            }
            "assoc_const" => format!("{marks}const {name}: {}", self.printer.ty(field(of, "type"))),
            "assoc_type" => {
                let bounds = self.printer.bounds(field(of, "bounds"));
                let colon = if bounds.is_empty() { "" } else { ": " };
                let parameters = self.printer.parameters(field(of, "generics"));
                let default = match &of["type"] {
                    Value::Null => String::new(),
                    ty => format!(" = {}", self.printer.ty(ty)),
                };
                format!("{marks}type {name}{parameters}{colon}{bounds}{default}")
            }
            other => panic!("{name}: api-guard cannot write an associated item of kind {other}"),
        }
    }

    fn implementations(&self) -> BTreeMap<Id, Implementations> {
        let mut all = BTreeMap::<Id, Implementations>::new();
        for item in self.doc.items() {
            let (kind, of) = item.inner();
            // A blanket implementation is repeated for each type; it counts once, where it stands.
            if kind != "impl" || item.is_hidden() || !of["blanket_impl"].is_null() {
                continue;
            }
            if let Some(owner) = self.owner(of) {
                self.add(all.entry(owner).or_default(), of);
            }
        }
        all
    }

    /// The public item that an implementation belongs to; none if it names something that is not public.
    fn owner(&self, of: &Value) -> Option<Id> {
        let mut named = self.printer.named_by(|printer| _ = printer.ty(field(of, "for")));
        if of["trait"].is_object() {
            named.extend(self.printer.named_by(|printer| _ = printer.path(&of["trait"])));
        }
        let own = |&id: &Id| self.doc.home(id).is_some_and(|home| home.own);
        let private = |id: &Id| own(id) && self.reach.path(*id).is_none();
        if named.iter().any(private) {
            return None;
        }
        named.into_iter().find(|id| self.reach.path(*id).is_some())
    }

    fn add(&self, to: &mut Implementations, of: &Value) {
        let (before, name, behind) = self.header(of);
        let items = self.visible(field(of, "items"));
        if name.is_empty() {
            let lines: Vec<_> = items.map(|item| self.associated(item)).collect();
            if !lines.is_empty() {
                to.inherent.entry(before + &behind).or_default().extend(lines);
            }
        } else if flag(of, "is_synthetic") {
            if AUTO_TRAITS.contains(&name.trim_start_matches('!')) {
                to.auto.entry((before, behind)).or_default().push(name);
            }
        } else if !INTERNAL_TRAITS.iter().any(|internal| name.ends_with(internal)) {
            let types: Vec<_> = items
                .filter(|item| item.inner().0 != "function")
                .map(|item| self.associated(item))
                .collect();
            to.traits.insert(block(&format!("{before}{name}{behind}"), &types));
        }
    }

    /// `impl<…> `, the trait's name where there is one, and ` for Type where …`
    fn header(&self, of: &Value) -> (String, String, String) {
        let generics = field(of, "generics");
        let not = if flag(of, "is_negative") { "!" } else { "" };
        let (name, before_type) = match &of["trait"] {
            Value::Null => (String::new(), ""),
            name => (format!("{not}{}", self.printer.path(name)), " for "),
        };
        let for_whom = self.printer.ty(field(of, "for"));
        (
            format!(
                "{}impl{} ",
                if flag(of, "is_unsafe") { "unsafe " } else { "" },
                self.printer.parameters(generics)
            ),
            name,
            format!("{before_type}{for_whom}{}", self.printer.conditions(generics)),
        )
    }

    fn visible<'a>(&'a self, ids: &'a Value) -> impl Iterator<Item = Item<'a>> {
        self.all(ids).filter(|item| !item.is_hidden())
    }

    fn all<'a>(&'a self, ids: &'a Value) -> impl Iterator<Item = Item<'a>> {
        list(ids).iter().filter_map(|id| self.doc.item(number(id)))
    }
}

/// ` = value`, where it is a plain one.
fn value(constant: &Value) -> String {
    match (flag(constant, "is_literal"), constant["value"].as_str()) {
        (true, Some(value)) => format!(" = {value}"),
        _ => String::new(),
    }
}

fn block(head: &str, lines: &[String]) -> String {
    let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    format!("{head}\n{lines}")
}
