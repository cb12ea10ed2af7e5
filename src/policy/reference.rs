//! The names that a script may use, as text: for people, for luau-lsp and for LuaLS. Made from the descriptions alone.

mod luals;
mod luau;
mod markdown;

use std::fmt;

use super::description::{Function, Hook, Name, Namespace, Parameter, Type};
use super::facts::classes;
use super::hooks::HOOKS;
use super::relay::RELAY;
use super::{library, outside, prompt, spelling, testing};

/// Every namespace that scripts see: policies, then their tests, then who tries them out.
fn namespaces() -> impl Iterator<Item = &'static Namespace> {
    let of_policies = [&RELAY].into_iter().chain(library::NAMESPACES).chain(outside::NAMESPACES);
    of_policies.chain(testing::NAMESPACES).chain(prompt::NAMESPACES)
}

/// A form of the whole reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A page for people.
    Markdown,
    /// Definitions for luau-lsp.
    Luau,
    /// Definitions for LuaLS.
    LuaLs,
}

/// There is no such name; the text says which was meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no name \"{name}\" in the reference{hint}")]
pub struct Unknown {
    name: String,
    hint: String,
}

/// What is said of one name.
struct Entry {
    name: String,
    /// As it is written in a script, with its types.
    usage: String,
    about: &'static str,
    details: String,
}

/// The whole reference.
pub fn whole(form: Form) -> String {
    match form {
        Form::Markdown => markdown::page(),
        Form::Luau => luau::definitions(),
        Form::LuaLs => luals::definitions(),
    }
}

/// Every name, with one sentence about each.
pub fn list() -> String {
    let entries = entries();
    let widest = entries.iter().map(|entry| entry.name.len()).max().unwrap_or_default();
    entries.iter().map(|Entry { name, about, .. }| format!("{name:widest$}  {about}\n")).collect()
}

/// All that is said of `name`, such as `relay.via`, `Build` or `Build.worker`; hooks also by `policy.route` and the
/// like.
///
/// # Errors
/// If there is no such name.
pub fn of(name: &str) -> Result<String, Unknown> {
    let entries = entries();
    let hook = name.strip_prefix("policy.").filter(|hook| HOOKS.iter().any(|known| known.name == *hook));
    let found = entries.iter().find(|entry| entry.name == hook.unwrap_or(name));
    let unknown = || Unknown { name: name.to_owned(), hint: hint(name, &entries) };
    found.map(ToString::to_string).ok_or_else(unknown)
}

/// Every name that [`of`] knows.
pub fn names() -> Vec<String> {
    entries().into_iter().map(|entry| entry.name).collect()
}

/// The names of one namespace and of those within it.
pub(super) fn names_of(namespace: &Namespace) -> impl Iterator<Item = String> {
    Entry::of_namespace(namespace).into_iter().map(|entry| entry.name)
}

/// What was meant, or where to look: the list of all names is long.
fn hint(name: &str, entries: &[Entry]) -> String {
    if library::names().any(|known| known == name) {
        return ": it is of Luau's own library, for which see https://luau.org/library".to_owned();
    }
    let known = || entries.iter().map(|entry| entry.name.as_str());
    let last = known().find(|known| known.rsplit_once('.').is_some_and(|(_, last)| last == name));
    match (last, spelling::nearest(name, known())) {
        (Some(meant), _) | (None, Some(meant)) => format!("; did you mean \"{meant}\"?"),
        (None, None) => "; without a name, all of them are listed".to_owned(),
    }
}

fn entries() -> Vec<Entry> {
    let hooks = HOOKS.iter().map(Entry::of_hook);
    let namespaces = namespaces().flat_map(Entry::of_namespace);
    let classes = classes().into_iter().flat_map(|class| {
        let head = Entry {
            name: class.name.to_owned(),
            usage: class.name.to_owned(),
            about: class.about,
            details: class.fields.iter().map(field).collect(),
        };
        let fields = class.fields.into_iter().map(move |of| Entry::of_name(class.name, &of));
        [head].into_iter().chain(fields)
    });
    hooks.chain(namespaces).chain(classes).collect()
}

impl Entry {
    fn of_hook(hook: &Hook) -> Self {
        Self {
            name: hook.name.to_owned(),
            usage: format!("function policy.{}{}", hook.name, signature(hook.parameters, hook.returns)),
            about: hook.about,
            details: hook.parameters.iter().map(argument).collect(),
        }
    }

    fn of_namespace(namespace: &Namespace) -> Vec<Self> {
        let head = Self {
            name: namespace.name.to_owned(),
            usage: namespace.name.to_owned(),
            about: namespace.about,
            details: String::new(),
        };
        let constants = namespace.constants.iter().map(|constant| Self::of_name(namespace.name, &constant.name));
        let functions = namespace.functions.iter().map(|function| Self::of_function(namespace, function));
        let inner = namespace.inner.iter().flat_map(Self::of_namespace);
        [head].into_iter().chain(constants).chain(functions).chain(inner).collect()
    }

    fn of_function(namespace: &Namespace, function: &Function) -> Self {
        let name = format!("{}.{}", namespace.name, function.name);
        let arguments: String = function.parameters.iter().map(argument).collect();
        Self {
            usage: format!("{name}{}", signature(function.parameters, function.returns)),
            about: function.about,
            details: format!("{arguments}It may be called {}.\n", function.phases.words()),
            name,
        }
    }

    fn of_name(owner: &str, of: &Name) -> Self {
        let name = format!("{owner}.{}", of.name);
        Self { usage: format!("{name}: {}", of.of.luau()), name, about: of.about, details: String::new() }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n\n{}", self.usage, self.about)?;
        if self.details.is_empty() { Ok(()) } else { write!(f, "\n{}", self.details) }
    }
}

/// The parameters in parentheses, and what comes of them.
fn signature(parameters: &[Parameter], returns: Type) -> String {
    let parameters: Vec<_> = parameters.iter().map(|of| format!("{}: {}", of.name, of.of.luau())).collect();
    format!("({}): {}", parameters.join(", "), returns.luau())
}

fn argument(parameter: &Parameter) -> String {
    let options = parameter.of.options().iter();
    let options = options.map(|of| format!("    {}: {}. {}\n", of.name, of.of.luau(), of.about));
    format!("  {}: {}\n{}", parameter.name, parameter.expects, options.collect::<String>())
}

fn field(of: &Name) -> String {
    format!("  {}: {}\n      {}\n", of.name, of.of.luau(), of.about)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_explained_with_its_types() {
        let text = of("relay.via").unwrap();
        assert!(text.starts_with("relay.via(gateways: Gateway | { Gateway }, options: "), "{text}");
        assert!(text.contains("    connect_timeout: number?. Longest wait"), "{text}");
        assert!(text.contains("gateways: a gateway or a list of gateways"), "{text}");
        assert!(of("Build").unwrap().contains("worker: Worker?"));
        assert_eq!(of("Worker.log_port").unwrap().lines().next(), Some("Worker.log_port: number?"));
        assert!(of("route").unwrap().starts_with("function policy.route(request: Request): Route | { Route }\n"));
    }

    #[test]
    fn an_unknown_name_is_an_error_that_knows_better() {
        let error = of("relay.gateway").unwrap_err().to_string();
        assert!(error.ends_with("did you mean \"relay.gateways\"?"), "{error}");
    }

    #[test]
    fn an_unknown_name_is_answered_in_one_line_that_helps() {
        let said = |name: &str| of(name).unwrap_err().to_string().split_off(name.len() + 36);
        for (name, help) in [
            ("connect", "; did you mean \"relay.connect\"?"),
            ("string.rep", ": it is of Luau's own library, for which see https://luau.org/library"),
            ("nonsense", "; without a name, all of them are listed"),
            ("policy.relay", "; without a name, all of them are listed"),
            ("", "; without a name, all of them are listed"),
        ] {
            assert_eq!(said(name), help, "{name}");
        }
        assert_eq!(of("policy.route"), of("route"));
    }

    #[test]
    fn the_list_has_every_name_once() {
        let list = list();
        let mut names: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "{list}");
        assert!(names.contains(&"relay.gateways") && names.contains(&"Identity.names"), "{list}");
    }

    #[test]
    fn every_description_is_a_sentence() {
        for entry in entries() {
            assert!(entry.about.ends_with('.') && !entry.about.contains("  "), "{}: {}", entry.name, entry.about);
        }
    }
}
