//! Every kind of public item is read and written as it stands in the source.

use std::{fs, path::Path};

use api_guard::{Api, describe_file};

fn read(name: &str, source: &str) -> Api {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join(name).with_extension("rs");
    fs::write(&file, source).unwrap();
    Api::read(&describe_file(&file, folder))
}

/// Without the automatic traits.
fn text(name: &str, source: &str) -> String {
    let automatic = ["UnwindSafe for", "Send for", "Sync for", "Unpin for"];
    let text = read(name, source).text;
    let lines = text.lines().filter(|line| !automatic.iter().any(|name| line.contains(name)));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn functions_are_written_with_all_that_callers_notice() {
    let source = r#"
        pub const fn plain(a: u8, mut b: &mut [u8], (c, d): (i32, i32)) -> Option<u8> { None }
        pub async unsafe fn with<'a, T: Clone + 'a, const N: usize>(t: &'a [T; N]) -> Box<dyn Iterator<Item = T> + 'a>
        where Vec<T>: Into<String> { panic!() }
        pub extern "C" fn callback(f: fn(&str) -> bool, g: impl for<'b> Fn(&'b str) -> &'b str, p: *const u8) {}
        pub fn opaque<T: Iterator>(t: T) -> impl Iterator<Item = T::Item> + Send { t }
        pub fn qualified(x: <Vec<u8> as IntoIterator>::Item) -> Result<(), std::io::Error> { Ok(()) }
        fn private() {}
        #[doc(hidden)] pub fn hidden() {}
    "#;
    assert_eq!(
        text("functions", source),
        r#"extern "C" fn callback(f: fn(&str) -> bool, g: impl for<'b> Fn(&'b str) -> &'b str, p: *const u8)
fn opaque<T: Iterator>(t: T) -> impl Iterator<Item = T::Item> + Send
const fn plain(a: u8, b: &mut [u8], (c, d): (i32, i32)) -> Option<u8>
fn qualified(x: <Vec<u8> as IntoIterator>::Item) -> Result<(), std::io::Error>
async unsafe fn with<'a, T: Clone + 'a, const N: usize>(t: &'a [T; N]) -> Box<(dyn Iterator<Item = T> + 'a)> where Vec<T>: Into<String>
"#
    );
}

#[test]
fn types_are_written_with_their_methods_and_implementations() {
    let source = r#"
        #[derive(Clone)] #[non_exhaustive] pub struct Plain { pub a: u8, #[doc(hidden)] pub b: u8, c: u8 }
        pub struct Tuple<T>(pub T, u8);
        pub struct Unit;
        pub enum Choice { A, #[deprecated] B(u8), C { x: u8 } }
        impl Plain { pub const MAX: u8 = 1; pub fn open(&mut self) {} fn shut(self) {} }
        impl<T> Iterator for Tuple<T> { type Item = T; fn next(&mut self) -> Option<T> { None } }
        impl From<Unit> for String { fn from(_: Unit) -> String { String::new() } }
        struct Hidden;
        impl From<Hidden> for Unit { fn from(_: Hidden) -> Unit { Unit } }
        macro_rules! make { ($name:ident) => { impl Unit { pub fn $name(self) {} } } }
        make!(made);
    "#;
    assert_eq!(
        text("structures", source),
        "enum Choice
    A
    #[deprecated] B(u8)
    C { x: u8 }
#[non_exhaustive] struct Plain
    a: u8
    (private fields)
impl Plain
    const MAX: u8
    fn open(&mut self)
impl Clone for Plain
struct Tuple<T>(T, _)
impl<T> Iterator for Tuple<T>
    type Item = T
struct Unit
impl Unit
    fn made(self)
impl From<Unit> for String
"
    );
}

#[test]
fn automatic_traits_are_part_of_the_interface() {
    let source = "pub struct Shared(pub std::rc::Rc<u8>); pub struct Maybe<T>(T);";
    let text = read("automatic", source).text;
    assert!(
        text.contains("impl !Send + !Sync + RefUnwindSafe + Unpin + UnwindSafe for Shared"),
        "{text}"
    );
    assert!(text.contains("impl<T> Send for Maybe<T> where T: Send"), "{text}");
}

#[test]
fn a_trait_shows_what_is_required_and_whether_it_is_sealed() {
    let source = r#"
        pub trait Open<T = u8>: Send { const N: usize; type Of: Clone; fn must(&self, t: T); fn may(self) where Self: Sized {} }
        pub trait Sealed { #[doc(hidden)] fn secret(&self); }
        impl<T: Copy> Sealed for T { fn secret(&self) {} }
    "#;
    assert_eq!(
        text("traits", source),
        "trait Open<T = u8>: Send
    const N: usize
    type Of: Clone
    fn must(&self, t: T);
    fn may(self) where Self: Sized
trait Sealed
    (a hidden method, so nobody else implements it)
impl<T: Copy> Sealed for T
"
    );
}

#[test]
fn what_is_re_exported_from_a_hidden_module_counts() {
    let source = r#"
        #[doc(hidden)] pub mod inner { pub struct Shown; pub struct Unseen; pub mod values { pub const ONE: u8 = 1; } }
        pub use inner::{Shown, values};
        pub mod other { pub use super::Shown as Again; }
        pub type Alias = Shown;
        pub static WORD: &str = "";
    "#;
    assert_eq!(
        text("exports", source),
        "type Alias = Shown
struct Shown
static WORD: &str
mod other
use Shown as other::Again
mod values
const values::ONE: u8 = 1u8
"
    );
}

#[test]
fn names_of_other_crates_and_names_that_users_lack_are_told() {
    let source = r#"
        extern crate proc_macro;
        mod inner { pub struct Unnamed; }
        pub fn give(tokens: proc_macro::TokenStream) -> inner::Unnamed { inner::Unnamed }
        pub struct Own;
        impl From<Own> for proc_macro::Literal { fn from(_: Own) -> Self { panic!() } }
    "#;
    let api = read("foreign", source);
    assert_eq!(api.foreign, ["proc_macro::Literal", "proc_macro::TokenStream"]);
    assert_eq!(api.unnameable, ["crate::inner::Unnamed"]);
}
