//! Templates that are called and are not there. Go says so only when it comes to the call, which for a page is too late.

use std::collections::BTreeSet;

use super::tree::{List, Node};
use super::{Definitions, Template, TemplateError};

impl Template {
    /// Whether every template that it calls is there, and every one that those call.
    ///
    /// # Errors
    /// With the first one that is not, and where it is called.
    pub fn is_complete(&self) -> Result<(), TemplateError> {
        let mut looked = BTreeSet::new();
        let mut open = vec![&self.root];
        while let Some(tree) = open.pop() {
            for (at, name) in calls(&tree.body) {
                let Some(called) = self.definitions.get(name) else {
                    let (place, known) = (tree.source.locate(at), known(&self.definitions, name));
                    return Err(TemplateError(format!("template: {place}: there is no template {name:?}{known}")));
                };
                if looked.insert(name) {
                    open.push(called);
                }
            }
        }
        Ok(())
    }
}

/// The known name that was probably meant.
fn known(definitions: &Definitions, name: &str) -> String {
    let near = crate::options::suggest::nearest(name, definitions.keys().map(|name| &**name));
    near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default()
}

fn calls(list: &List) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for node in list {
        let lists: Vec<&List> = match node {
            Node::Template(invocation) => {
                found.push((invocation.at, &*invocation.name));
                continue;
            }
            Node::If(choice) | Node::With(choice) => {
                choice.branches.iter().map(|(_, list)| list).chain(&choice.otherwise).collect()
            }
            Node::Range(each) => [&each.body].into_iter().chain(&each.otherwise).collect(),
            Node::Text(_) | Node::Action(_) | Node::Break | Node::Continue => continue,
        };
        found.extend(lists.into_iter().flat_map(calls));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::Templates;
    use super::super::functions::ALERTMANAGER;

    #[test]
    fn a_template_that_is_not_there_is_told_wherever_it_is_called() {
        let mut set = Templates::new(&ALERTMANAGER);
        set.add(
            "a.tmpl",
            r#"{{ define "good" }}x{{ template "good" }}{{ end }}{{ define "bad" }}{{ template "none" }}{{ end }}"#,
        )
        .expect("templates");
        let why = |text: &str| {
            let complete = set.template("", text).expect("a template").is_complete();
            complete.err().map(|error| error.to_string())
        };
        for good in [r#"{{ template "good" . }}"#, r#"{{ define "own" }}{{ end }}{{ template "own" }}"#, "{{ . }}"] {
            assert_eq!(why(good), None, "{good}");
        }
        for (bad, expected) in [
            (r#"{{ template "goo" . }}"#, "template: :1:12: there is no template \"goo\"; did you mean \"good\"?"),
            (
                r#"{{ if .A }}{{ else }}{{ range .B }}{{ with .C }}{{ template "bad" }}{{ end }}{{ end }}{{ end }}"#,
                "template: a.tmpl:1:80: there is no template \"none\"",
            ),
        ] {
            assert_eq!(why(bad).as_deref(), Some(expected));
        }
    }
}
