//! Types, bounds, generics and functions as text, and which paths they name.

use std::{cell::RefCell, collections::BTreeSet};

use serde_json::Value;

use crate::{
    crate_doc::{CrateDoc, Id, field, flag, list, number, only, text},
    reach::Reach,
};

/// What needs no path, as in source: Rust's prelude and what is derived.
const PRELUDE: &[&str] = &[
    "AsMut",
    "AsRef",
    "Box",
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "DoubleEndedIterator",
    "Drop",
    "Eq",
    "ExactSizeIterator",
    "Extend",
    "Fn",
    "FnMut",
    "FnOnce",
    "From",
    "FromIterator",
    "Hash",
    "Into",
    "IntoIterator",
    "Iterator",
    "Option",
    "Ord",
    "PartialEq",
    "PartialOrd",
    "RefUnwindSafe",
    "Result",
    "Send",
    "Sized",
    "String",
    "Sync",
    "ToOwned",
    "ToString",
    "TryFrom",
    "TryInto",
    "Unpin",
    "UnwindSafe",
    "Vec",
];

/// Writes signatures, and remembers what they name.
pub(crate) struct Printer<'a> {
    doc: &'a CrateDoc<'a>,
    reach: &'a Reach,
    foreign: RefCell<BTreeSet<String>>,
    unnameable: RefCell<BTreeSet<String>>,
    named: RefCell<Vec<Id>>,
}

impl<'a> Printer<'a> {
    pub(crate) fn new(doc: &'a CrateDoc<'a>, reach: &'a Reach) -> Self {
        Self {
            doc,
            reach,
            foreign: RefCell::default(),
            unnameable: RefCell::default(),
            named: RefCell::default(),
        }
    }

    /// The items that the text names which `print` writes.
    pub(crate) fn named_by(&self, print: impl FnOnce(&Self)) -> Vec<Id> {
        let trial = Self::new(self.doc, self.reach);
        print(&trial);
        trial.named.take()
    }

    /// What was named of other crates, and of this one without being public.
    pub(crate) fn into_named(self) -> (Vec<String>, Vec<String>) {
        (self.foreign.take().into_iter().collect(), self.unnameable.take().into_iter().collect())
    }

    /// A path with its arguments.
    pub(crate) fn path(&self, path: &Value) -> String {
        let id = number(field(path, "id"));
        self.name(id, text(field(path, "path"))) + &self.arguments(&path["args"])
    }

    /// The path of an item, as short as it is clear.
    pub(crate) fn name(&self, id: Id, written: &str) -> String {
        self.named.borrow_mut().push(id);
        if let Some(public) = self.reach.path(id) {
            return public.to_owned();
        }
        let Some(home) = self.doc.home(id) else { return written.to_owned() };
        let inner = home.path.join("::");
        if home.own {
            let full = format!("crate::{inner}");
            self.unnameable.borrow_mut().insert(full.clone());
            return full;
        }
        if !["std", "core", "alloc"].contains(&home.krate) {
            let full = format!("{}::{inner}", home.krate);
            self.foreign.borrow_mut().insert(full.clone());
            return full;
        }
        // The modules between are the compiler's own: std::io::error::Error is written std::io::Error.
        match (home.path.first(), home.path.last()) {
            (_, Some(last)) if PRELUDE.contains(last) && !self.reach.names.contains_key(*last) => {
                (*last).to_owned()
            }
            (Some(first), Some(last)) if first != last => format!("std::{first}::{last}"),
            _ => format!("std::{inner}"),
        }
    }

    pub(crate) fn ty(&self, ty: &Value) -> String {
        let (kind, of) = only(ty);
        match kind {
            "resolved_path" => self.path(of),
            "generic" | "primitive" => text(of).to_owned(),
            "tuple" => match list(of) {
                [one] => format!("({},)", self.ty(one)),
                all => format!("({})", self.joined(all, ", ", Self::ty)),
            },
            "slice" => format!("[{}]", self.ty(of)),
            "array" => format!("[{}; {}]", self.ty(field(of, "type")), text(field(of, "len"))),
            "borrowed_ref" => format!("&{}{}", reference(of), self.ty(field(of, "type"))),
            "raw_pointer" => {
                let mutable = if flag(of, "is_mutable") { "mut" } else { "const" };
                format!("*{mutable} {}", self.ty(field(of, "type")))
            }
            "impl_trait" => format!("impl {}", self.bounds(of)),
            "dyn_trait" => self.dyn_trait(of),
            "function_pointer" => {
                let function = field(of, "sig");
                let forall = self.forall(of);
                format!(
                    "{forall}{}fn{}",
                    header(field(of, "header")),
                    self.call(function, Self::ty)
                )
            }
            "qualified_path" => self.qualified(of),
            "infer" => "_".to_owned(),
            other => panic!("api-guard cannot write a type of kind {other}: {ty}"),
        }
    }

    /// `fn name<…>(…) -> … where …`
    pub(crate) fn function(&self, name: &str, function: &Value) -> String {
        let generics = field(function, "generics");
        format!(
            "{}fn {name}{}{}{}",
            header(field(function, "header")),
            self.parameters(generics),
            self.call(field(function, "sig"), Self::ty),
            self.conditions(generics)
        )
    }

    /// `<'a, T: Bound = Default>`, or nothing.
    pub(crate) fn parameters(&self, generics: &Value) -> String {
        let written: Vec<_> = list(field(generics, "params"))
            .iter()
            .filter_map(|parameter| self.parameter(parameter))
            .collect();
        if written.is_empty() { String::new() } else { format!("<{}>", written.join(", ")) }
    }

    /// ` where …`, or nothing.
    pub(crate) fn conditions(&self, generics: &Value) -> String {
        let conditions = list(field(generics, "where_predicates"));
        if conditions.is_empty() {
            return String::new();
        }
        format!(" where {}", self.joined(conditions, ", ", Self::condition))
    }

    /// `A + 'b + ?Sized`
    pub(crate) fn bounds(&self, bounds: &Value) -> String {
        self.joined(list(bounds), " + ", Self::bound)
    }

    fn joined(
        &self,
        all: &[Value],
        between: &str,
        print: impl Fn(&Self, &Value) -> String,
    ) -> String {
        all.iter().map(|one| print(self, one)).collect::<Vec<_>>().join(between)
    }

    fn parameter(&self, parameter: &Value) -> Option<String> {
        let name = text(field(parameter, "name"));
        let (kind, of) = only(field(parameter, "kind"));
        match kind {
            // The parameter that `impl Trait` of an argument stands for.
            "type" if flag(of, "is_synthetic") => None,
            "type" => {
                let bounds = self.bounds(field(of, "bounds"));
                let colon = if bounds.is_empty() { "" } else { ": " };
                let default = match &of["default"] {
                    Value::Null => String::new(),
                    default => format!(" = {}", self.ty(default)),
                };
                Some(format!("{name}{colon}{bounds}{default}"))
            }
            "lifetime" => {
                let outlives = lifetimes(field(of, "outlives"));
                let colon = if outlives.is_empty() { "" } else { ": " };
                Some(format!("{name}{colon}{outlives}"))
            }
            "const" => Some(format!("const {name}: {}", self.ty(field(of, "type")))),
            other => panic!("api-guard cannot write a parameter of kind {other}: {parameter}"),
        }
    }

    fn condition(&self, condition: &Value) -> String {
        let (kind, of) = only(condition);
        match kind {
            "bound_predicate" => format!(
                "{}{}: {}",
                self.forall(of),
                self.ty(field(of, "type")),
                self.bounds(field(of, "bounds"))
            ),
            "lifetime_predicate" => {
                format!("{}: {}", text(field(of, "lifetime")), lifetimes(field(of, "outlives")))
            }
            "eq_predicate" => {
                format!("{} == {}", self.ty(field(of, "lhs")), self.term(field(of, "rhs")))
            }
            other => panic!("api-guard cannot write a condition of kind {other}: {condition}"),
        }
    }

    fn bound(&self, bound: &Value) -> String {
        let (kind, of) = only(bound);
        match kind {
            "outlives" => text(of).to_owned(),
            "use" => format!(
                "use<{}>",
                self.joined(list(of), ", ", |_, one| text(only(one).1).to_owned())
            ),
            "trait_bound" => {
                let maybe = if of["modifier"] == "maybe" { "?" } else { "" };
                format!("{maybe}{}{}", self.forall(of), self.path(field(of, "trait")))
            }
            other => panic!("api-guard cannot write a bound of kind {other}: {bound}"),
        }
    }

    fn dyn_trait(&self, of: &Value) -> String {
        let traits = self.joined(list(field(of, "traits")), " + ", |this, one| {
            this.forall(one) + &this.path(field(one, "trait"))
        });
        match of["lifetime"].as_str() {
            Some(lifetime) => format!("(dyn {traits} + {lifetime})"),
            None if traits.contains(" + ") => format!("(dyn {traits})"),
            None => format!("dyn {traits}"),
        }
    }

    fn qualified(&self, of: &Value) -> String {
        let owner = field(of, "self_type");
        let name = text(field(of, "name"));
        let arguments = self.arguments(&of["args"]);
        let written = self.ty(owner);
        match &of["trait"] {
            Value::Object(_) if only(owner).0 != "generic" => {
                format!("<{written} as {}>::{name}{arguments}", self.path(&of["trait"]))
            }
            _ => format!("{written}::{name}{arguments}"),
        }
    }

    fn arguments(&self, arguments: &Value) -> String {
        if arguments.is_null() {
            return String::new();
        }
        let (kind, of) = only(arguments);
        match kind {
            "angle_bracketed" => {
                let mut all: Vec<_> =
                    list(field(of, "args")).iter().map(|one| self.argument(one)).collect();
                all.extend(list(field(of, "constraints")).iter().map(|one| self.constraint(one)));
                if all.is_empty() { String::new() } else { format!("<{}>", all.join(", ")) }
            }
            "parenthesized" => {
                let inputs = self.joined(list(field(of, "inputs")), ", ", Self::ty);
                format!("({inputs}){}", self.output(&of["output"]))
            }
            other => panic!("api-guard cannot write arguments of kind {other}: {arguments}"),
        }
    }

    fn argument(&self, argument: &Value) -> String {
        let (kind, of) = only(argument);
        match kind {
            "lifetime" => text(of).to_owned(),
            "type" => self.ty(of),
            "const" => text(field(of, "expr")).to_owned(),
            "infer" => "_".to_owned(),
            other => panic!("api-guard cannot write an argument of kind {other}: {argument}"),
        }
    }

    fn constraint(&self, constraint: &Value) -> String {
        let name =
            text(field(constraint, "name")).to_owned() + &self.arguments(&constraint["args"]);
        let (kind, of) = only(field(constraint, "binding"));
        match kind {
            "equality" => format!("{name} = {}", self.term(of)),
            "constraint" => format!("{name}: {}", self.bounds(of)),
            other => panic!("api-guard cannot write a constraint of kind {other}: {constraint}"),
        }
    }

    fn term(&self, term: &Value) -> String {
        match only(term) {
            ("type", ty) => self.ty(ty),
            (_, constant) => text(field(constant, "expr")).to_owned(),
        }
    }

    /// `(name: Type) -> Type`
    fn call(&self, call: &Value, print: impl Fn(&Self, &Value) -> String) -> String {
        let inputs: Vec<_> = list(field(call, "inputs"))
            .iter()
            .map(|input| match (text(&input[0]), &input[1]) {
                ("self", ty) => {
                    receiver(ty).unwrap_or_else(|| format!("self: {}", print(self, ty)))
                }
                ("" | "_", ty) => print(self, ty),
                (name, ty) => format!("{name}: {}", print(self, ty)),
            })
            .collect();
        format!("({}){}", inputs.join(", "), self.output(&call["output"]))
    }

    fn output(&self, output: &Value) -> String {
        if output.is_null() { String::new() } else { format!(" -> {}", self.ty(output)) }
    }

    /// `for<'a> `, or nothing.
    fn forall(&self, of: &Value) -> String {
        let mut names = Vec::new();
        for parameter in list(field(of, "generic_params")) {
            names.extend(self.parameter(parameter));
        }
        if names.is_empty() { String::new() } else { format!("for<{}> ", names.join(", ")) }
    }
}

/// `self`, `&self`, `&mut self`, where the type is one of these.
fn receiver(ty: &Value) -> Option<String> {
    match only(ty) {
        ("generic", name) if name == "Self" => Some("self".to_owned()),
        ("borrowed_ref", of) if of["type"]["generic"] == "Self" => {
            Some(format!("&{}self", reference(of)))
        }
        _ => None,
    }
}

/// What stands between `&` and the type.
fn reference(of: &Value) -> String {
    let lifetime = of["lifetime"].as_str().map_or_else(String::new, |name| format!("{name} "));
    lifetime + if flag(of, "is_mutable") { "mut " } else { "" }
}

fn lifetimes(all: &Value) -> String {
    list(all).iter().map(text).collect::<Vec<_>>().join(" + ")
}

fn header(header: &Value) -> String {
    let mut words = String::new();
    for (name, word) in [("is_const", "const "), ("is_async", "async "), ("is_unsafe", "unsafe ")] {
        if flag(header, name) {
            words.push_str(word);
        }
    }
    match &header["abi"] {
        Value::String(rust) if rust == "Rust" => {}
        other => words.push_str(&format!("extern {:?} ", only(other).0)),
    }
    words
}
