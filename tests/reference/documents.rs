//! The configurations that the project ships and shows, and YAML as plain JSON.

use std::path::{Path, PathBuf};

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value as Json};

/// Configurations that must load: name and text.
pub fn documents() -> Vec<(String, String)> {
    let mut paths = vec![PathBuf::from("config/tailwater.yaml"), "deploy/kubernetes/base/tailwater.yaml".into()];
    for folder in ["config/examples", "tests/config/good"] {
        let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
        paths.extend(entries.map(|entry| entry.expect("readable").path()));
    }
    let text =
        |path: &Path| std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let good: Vec<_> = paths.iter().map(|path| (path.display().to_string(), text(path))).collect();
    // The sources that only tests/config knows.
    good.into_iter().filter(|(_, text)| !text.contains("test_")).collect()
}

/// YAML as JSON: enough for configurations, aliases included.
pub fn read(text: &str) -> Json {
    let mut build = Build { stack: vec![Open { value: Json::Null, key: None, anchor: 0 }], anchors: Vec::new() };
    for event in Parser::new_from_str(text) {
        match event.unwrap_or_else(|error| panic!("{error}\n{text}")).0 {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let value = if plain { resolve(&text) } else { Json::String(text.into_owned()) };
                build.put(value, anchor);
            }
            Event::SequenceStart(_, anchor, _) => build.open(Json::Array(Vec::new()), anchor),
            Event::MappingStart(_, anchor, _) => build.open(Json::Object(Map::new()), anchor),
            Event::SequenceEnd | Event::MappingEnd => {
                let Open { value, anchor, .. } = build.stack.pop().expect("open");
                build.put(value, anchor);
            }
            Event::Alias(anchor) => {
                let value = build.anchors.iter().find(|(known, _)| *known == anchor).expect("anchored").1.clone();
                build.put(value, 0);
            }
            _ => {}
        }
    }
    build.stack.pop().expect("the root").value
}

fn resolve(text: &str) -> Json {
    match text {
        "" | "~" | "null" => Json::Null,
        "true" => true.into(),
        "false" => false.into(),
        _ if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
            serde_json::from_str(text).unwrap_or_else(|_| text.into())
        }
        _ => text.into(),
    }
}

struct Build {
    stack: Vec<Open>,
    anchors: Vec<(usize, Json)>,
}

struct Open {
    value: Json,
    key: Option<String>,
    anchor: usize,
}

impl Build {
    fn open(&mut self, value: Json, anchor: usize) {
        self.stack.push(Open { value, key: None, anchor });
    }

    fn put(&mut self, value: Json, anchor: usize) {
        if anchor > 0 {
            self.anchors.push((anchor, value.clone()));
        }
        let open = self.stack.last_mut().expect("the root");
        match (&mut open.value, open.key.take()) {
            (Json::Array(list), _) => list.push(value),
            (Json::Object(map), Some(key)) => {
                map.insert(key, value);
            }
            (Json::Object(_), None) => {
                open.key = Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            }
            (root, _) => *root = value,
        }
    }
}
