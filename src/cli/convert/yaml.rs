//! YAML as it is written out: what was read, with its quotes only where they are needed, and what is put in
//! between.

use crate::formats::yaml::{Node, Scalar, Value};

/// Longest list that stays in one line.
const LINE: usize = 100;

/// A value to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Yaml {
    /// A scalar, as it is written.
    Scalar(String),
    /// A list.
    List(Vec<Yaml>),
    /// A mapping.
    Map(Vec<(String, Yaml)>),
}

impl Yaml {
    /// What was read.
    pub fn of(node: &Node) -> Self {
        match &node.value {
            Value::Scalar(Scalar { text, plain: true }) => Self::plain(text),
            Value::Scalar(scalar) => Self::text(&scalar.text),
            Value::List(items) => Self::List(items.iter().map(|item| Self::of(item)).collect()),
            Value::Map(entries) => {
                Self::Map(entries.iter().map(|entry| (entry.key.to_string(), Self::of(&entry.node))).collect())
            }
        }
    }

    /// A scalar that means what it means without quotes: a number, a truth value, nothing.
    pub fn plain(text: &str) -> Self {
        let safe = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '+');
        match text {
            "" => Self::Scalar("null".into()),
            "~" => Self::Scalar("~".into()),
            _ if text.chars().all(safe) && !text.starts_with('-') || text.parse::<f64>().is_ok() => {
                Self::Scalar(text.into())
            }
            // Whatever else stood there without quotes was text.
            _ => Self::text(text),
        }
    }

    /// Text, in quotes: JSON's are YAML's.
    pub fn text(text: &str) -> Self {
        Self::Scalar(serde_json::Value::from(text).to_string())
    }

    /// The document.
    pub fn render(&self) -> String {
        let mut out = String::new();
        self.block(0, &mut out);
        out
    }

    /// In one line, if it fits.
    fn flow(&self) -> Option<String> {
        let line = match self {
            Self::Scalar(text) => text.clone(),
            Self::List(items) => {
                format!("[{}]", items.iter().map(Self::flow).collect::<Option<Vec<_>>>()?.join(", "))
            }
            Self::Map(entries) if entries.is_empty() => "{}".into(),
            Self::Map(entries) => {
                let entries: Option<Vec<_>> =
                    entries.iter().map(|(key, value)| Some(format!("{}: {}", quoted(key), value.flow()?))).collect();
                format!("{{ {} }}", entries?.join(", "))
            }
        };
        (line.len() <= LINE).then_some(line)
    }

    fn block(&self, indent: usize, out: &mut String) {
        let blanks = " ".repeat(indent);
        match self {
            Self::Map(entries) if !entries.is_empty() => {
                for (key, value) in entries {
                    out.push_str(&format!("{blanks}{}:", quoted(key)));
                    value.behind_key(indent, out);
                }
            }
            Self::List(items) if !items.is_empty() => {
                for item in items {
                    let mut text = String::new();
                    match item {
                        Self::Map(entries) if !entries.is_empty() => item.block(indent + 2, &mut text),
                        item => text = format!("{blanks}  {}\n", item.flow_or_long()),
                    }
                    text.replace_range(indent..indent + 1, "-");
                    out.push_str(&text);
                }
            }
            other => out.push_str(&format!("{blanks}{}\n", other.flow_or_long())),
        }
    }

    /// Small lists and mappings of scalars stay in the key's line.
    fn behind_key(&self, indent: usize, out: &mut String) {
        let small = match self {
            Self::Scalar(_) => true,
            Self::List(items) => items.iter().all(|item| matches!(item, Self::Scalar(_))),
            Self::Map(entries) => entries.is_empty(),
        };
        match self.flow() {
            Some(line) if small => out.push_str(&format!(" {line}\n")),
            _ if matches!(self, Self::Scalar(_)) => out.push_str(&format!(" {}\n", self.flow_or_long())),
            _ => {
                out.push('\n');
                self.block(indent + 2, out);
            }
        }
    }

    fn flow_or_long(&self) -> String {
        match self {
            Self::Scalar(text) => text.clone(),
            other => other.flow().unwrap_or_else(|| other.long()),
        }
    }

    /// In one line however long: a list within a list.
    fn long(&self) -> String {
        match self {
            Self::Scalar(text) => text.clone(),
            Self::List(items) => format!("[{}]", items.iter().map(Self::long).collect::<Vec<_>>().join(", ")),
            Self::Map(entries) => {
                let entries = entries.iter().map(|(key, value)| format!("{}: {}", quoted(key), value.long()));
                format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// A key, in quotes where it needs them.
fn quoted(key: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.');
    let word = matches!(key, "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n");
    if !key.is_empty() && !word && key.chars().all(safe) && !key.starts_with(['-', '.']) && key.parse::<f64>().is_err()
    {
        key.to_owned()
    } else {
        serde_json::Value::from(key).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(text: &str) -> String {
        let root = crate::formats::yaml::parse(1, text).expect("YAML").expect("something");
        let written = Yaml::of(&root).render();
        let read = crate::formats::yaml::parse(1, &written).unwrap_or_else(|_| panic!("{written}")).expect("something");
        assert_eq!(Yaml::of(&read), Yaml::of(&root), "{written}");
        written
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in [
            "a: 1\nb: [x, \"y z\", 'true', true, null, ~]\nc:\n- d: {e: f, g: []}\n  h: {}\n- - i\n  - j\n- k",
            "regex: 'a: b # c'\nplain: a,b]c\nurl: http://x/y?z\nempty:\nquoted: ''\n\"a b\": \"\\t\\u00e9\\\\\"\n\"12\": x",
            "text: |\n  one\n  two\nfolded: >-\n  one\n  two\nnegative: -5\nfloat: 1e3\ndash: -x\nstar: '*'\nduration: 1m30s",
            "[]",
            "- [a, [b, c]]",
        ] {
            again(text);
        }
    }

    #[test]
    fn lists_of_scalars_stay_in_a_line() {
        assert_eq!(again("a: [b, c]\nd: [{e: f}]"), "a: [b, c]\nd:\n  - e: f\n");
    }
}
