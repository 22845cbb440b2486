//! What can be reached from the root of a crate, and by which path.

use std::collections::{BTreeMap, BTreeSet};

use crate::crate_doc::{CrateDoc, Id, Item, field, flag, list, number, text};

/// The items that users can name, and those of other crates that are re-exported.
pub(crate) struct Reach {
    paths: BTreeMap<Id, String>,
    /// Every path, with the item that it names; an item may have several.
    pub(crate) names: BTreeMap<String, Id>,
    /// Paths of re-exported items of other crates.
    pub(crate) foreign: BTreeMap<String, Id>,
}

impl Reach {
    pub(crate) fn of(doc: &CrateDoc<'_>) -> Self {
        let mut reach =
            Self { paths: BTreeMap::new(), names: BTreeMap::new(), foreign: BTreeMap::new() };
        let root = doc.item(doc.root()).expect("the root is described");
        reach.enter(doc, root, "", &mut BTreeSet::new());
        for (path, &id) in &reach.names {
            let best = reach.paths.entry(id).or_insert_with(|| path.clone());
            if path.split("::").count() < best.split("::").count() {
                best.clone_from(path);
            }
        }
        reach
    }

    /// The path by which users name the item.
    pub(crate) fn path(&self, id: Id) -> Option<&str> {
        self.paths.get(&id).map(String::as_str)
    }

    fn enter(
        &mut self,
        doc: &CrateDoc<'_>,
        module: Item<'_>,
        path: &str,
        above: &mut BTreeSet<Id>,
    ) {
        if !above.insert(module.id()) {
            return;
        }
        for id in list(field(module.inner().1, "items")) {
            if let Some(item) = doc.item(number(id)).filter(|item| !item.is_hidden()) {
                self.add(doc, item, path, above);
            }
        }
        above.remove(&module.id());
    }

    fn add(&mut self, doc: &CrateDoc<'_>, item: Item<'_>, path: &str, above: &mut BTreeSet<Id>) {
        match item.inner() {
            ("use", target) => self.follow(doc, target, path, above),
            ("impl", _) => {}
            _ => self.name(doc, item, join(path, item.name()), above),
        }
    }

    fn follow(
        &mut self,
        doc: &CrateDoc<'_>,
        target: &serde_json::Value,
        path: &str,
        above: &mut BTreeSet<Id>,
    ) {
        let Some(id) = target["id"].as_u64() else { return };
        let item = doc.item(id);
        if flag(target, "is_glob") {
            let item = item.unwrap_or_else(|| panic!("{path}: a glob of another crate: {target}"));
            return self.enter(doc, item, path, above);
        }
        let name = join(path, text(field(target, "name")));
        match item {
            Some(item) if item.is_hidden() => {}
            Some(item) => self.name(doc, item, name, above),
            None => _ = self.foreign.insert(name, id),
        }
    }

    fn name(&mut self, doc: &CrateDoc<'_>, item: Item<'_>, path: String, above: &mut BTreeSet<Id>) {
        if item.inner().0 == "module" {
            self.enter(doc, item, &path, above);
        }
        self.names.insert(path, item.id());
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}::{name}") }
}
