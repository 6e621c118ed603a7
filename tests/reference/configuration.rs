//! `docs/reference/configuration.md`, written from the JSON Schema of the whole configuration.

use std::fmt::Write;

use serde_json::{Map, Value as Json};

use super::schema::schema;

const INTRO: &str = "# Configuration reference

Made from the option types by `cargo test --test reference`; do not edit it by hand. How the parts fit together is in
[the quickstart](../quickstart.md); `tailwater validate` checks a configuration, `tailwater schema` prints the JSON
Schema that editors complete with ([config/tailwater.schema.json](../../config/tailwater.schema.json)).

A configuration is YAML 1.2: one file, or a folder whose `*.yaml` and `*.yml` are read as one. Every component is called
`type/name`. Where a value is expected, `${env:NAME}`, `${env:NAME:-default}` or `${file:/path}` may stand; `$${env:` is
the text itself, and any other `$` is nothing special. Options that have no default and are not marked *required* may be
left out.

";

/// The page.
pub fn page() -> String {
    let schema = schema();
    let mut page = Page {
        definitions: schema["definitions"].as_object().expect("definitions"),
        open: Vec::new(),
        out: INTRO.into(),
    };
    let root = schema["properties"].as_object().expect("root keys");
    page.heading("Root keys");
    let groups = ["sources", "transforms", "sinks"];
    for (key, schema) in root {
        let text = page.text(schema);
        let link = if groups.contains(&key.as_str()) { format!(" See [{key}](#{key}).") } else { String::new() };
        page.line(&format!("- `{key}` · {text}{link}"));
    }
    page.line("");
    for (key, schema) in root.iter().filter(|(key, _)| !groups.contains(&key.as_str())) {
        page.part(key, schema);
    }
    for group in groups {
        let title = group[..1].to_uppercase() + &group[1..];
        page.heading(&title);
        let patterns = root[group]["patternProperties"].as_object().expect("components by type");
        for (pattern, schema) in patterns {
            let name = pattern.trim_start_matches('^').split('/').next().expect("a type");
            page.component(name, group, schema);
        }
    }
    page.shared(&root["sinks"]);
    page.values();
    page.out
}

struct Page<'a> {
    definitions: &'a Map<String, Json>,
    /// Definitions whose options are being told: one within itself is told once.
    open: Vec<&'a str>,
    out: String,
}

impl<'a> Page<'a> {
    fn line(&mut self, text: &str) {
        writeln!(self.out, "{text}").expect("memory");
    }

    fn heading(&mut self, text: &str) {
        self.line(&format!("## {text}\n"));
    }

    /// A root key that is no group: its options, if it has any.
    fn part(&mut self, key: &str, schema: &'a Json) {
        let (core, _) = self.core(schema);
        if core.get("properties").is_none() && core.get("items").is_none() {
            return;
        }
        self.line(&format!("### `{key}`\n\n{}\n", self.text(schema)));
        self.options("", schema);
        self.line("");
    }

    fn component(&mut self, name: &str, group: &str, schema: &'a Json) {
        self.line(&format!("### {} `{name}`\n\n{}\n", group.trim_end_matches('s'), self.text(schema)));
        if group != "sources" {
            self.line("Beside what is below it has [`inputs` and `buffer`](#inputs-and-buffer).\n");
        }
        self.options("", schema);
        self.line("");
        let steps = schema["properties"]["steps"]["items"].as_object();
        if let (true, Some(step)) = (steps.is_some(), self.definitions.get("Step")) {
            self.line(
                "Every step may have an `if:`, a condition; it then sees only the records for which that holds.\n",
            );
            for entry in step["oneOf"].as_array().expect("steps") {
                let properties = entry["properties"].as_object().expect("a step");
                let (name, options) = properties.iter().find(|(key, _)| *key != "if").expect("its name");
                self.line(&format!("#### step `{name}`\n\n{}\n", self.text(options)));
                self.options("", options);
                self.line("");
            }
        }
    }

    /// The options under a schema, each with its dotted name; those that must be given come first.
    fn options(&mut self, prefix: &str, schema: &'a Json) {
        let (core, name) = self.core(schema);
        if name.is_some_and(|name| self.open.contains(&name)) {
            return;
        }
        self.open.extend(name);
        self.options_of(prefix, core);
        self.open.truncate(self.open.len() - usize::from(name.is_some()));
    }

    fn options_of(&mut self, prefix: &str, core: &'a Json) {
        let Some(properties) = core.get("properties").and_then(Json::as_object) else {
            if let Some(items) = core.get("items") {
                self.options(prefix, items);
            }
            return;
        };
        let required = |name: &str| {
            core.get("required").and_then(Json::as_array).is_some_and(|names| names.iter().any(|known| known == name))
        };
        let mut sorted: Vec<_> =
            properties.iter().filter(|(name, _)| !matches!(name.as_str(), "inputs" | "buffer")).collect();
        sorted.sort_by_key(|(name, _)| !required(name));
        for (name, schema) in sorted {
            self.option(&format!("{prefix}{name}"), schema, required(name));
        }
    }

    fn option(&mut self, name: &str, schema: &'a Json, required: bool) {
        let (core, _) = self.core(schema);
        let mut text = self.text(schema);
        let mut about = vec![format!("**`{name}`**"), self.kind(schema)];
        match text.find("Default: ") {
            Some(at) if !required => {
                let end = text[at..].find(". ").map_or(text.len(), |end| at + end + 1);
                about.push(format!("default: {}", text[at + "Default: ".len()..end].trim_end_matches('.')));
                text = format!("{}{}", &text[..at], text.get(end + 1..).unwrap_or_default());
            }
            _ if required => about.push("*required*".into()),
            _ => {}
        }
        self.line(&format!("- {}  \n  {}", about.join(" · "), text.trim()));
        for word in self.words(core) {
            self.line(&format!("  - {word}"));
        }
        // Where a mapping may stand in place of a list of such mappings, its options are told once.
        let alternative = core["oneOf"].as_array().into_iter().flatten().find(|choice| choice["$ref"].is_string());
        let alternative = alternative.filter(|choice| self.core(choice).0.get("properties").is_some());
        if let Some(choice) = alternative {
            self.options(&format!("{name}."), choice);
        }
        let nested = core.get("properties").is_some();
        let listed = core.get("items").is_some_and(|items| self.core(items).0.get("properties").is_some());
        let recurse = !core.get("items").is_some_and(|items| items["$ref"] == "#/definitions/Step");
        if nested {
            self.options(&format!("{name}."), schema);
        } else if listed && recurse {
            self.options(&format!("{name}[]."), &core["items"]);
        }
    }

    /// Follows references, and the choices that only add null or a `${…}`; the schema that says what stands
    /// there, and the name of its definition.
    fn core(&self, schema: &'a Json) -> (&'a Json, Option<&'a str>) {
        let (mut at, mut name) = (schema, None);
        loop {
            if let Some(target) = at["$ref"].as_str() {
                let target = target.trim_start_matches("#/definitions/");
                name = Some(target);
                at = &self.definitions[target];
                continue;
            }
            let meant = |choices: &'a Json| {
                let real = |choice: &&Json| choice["type"] != "null" && choice["$ref"] != "#/definitions/Reference";
                let mut real = choices.as_array()?.iter().filter(real);
                let first = real.next()?;
                real.next().is_none().then_some(first)
            };
            match meant(&at["allOf"]).or_else(|| meant(&at["anyOf"])).or_else(|| meant(&at["oneOf"])) {
                Some(one) => at = one,
                None => return (at, name),
            }
        }
    }

    /// What the docstring says, in one line: the option's own words, else those of its type.
    fn text(&self, schema: &'a Json) -> String {
        let own = schema["description"].as_str();
        let words = own.or_else(|| self.core(schema).0["description"].as_str()).unwrap_or_default();
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn kind(&self, schema: &'a Json) -> String {
        let (core, name) = self.core(schema);
        match name {
            Some("ByteSize") => return "size".into(),
            Some("Duration") => return "duration".into(),
            Some("Secret") => return "secret".into(),
            Some("Listen") => return "address, or `off`".into(),
            Some("Step") => return "step".into(),
            _ => {}
        }
        let kinds = core["type"].as_array().map_or_else(|| vec![&core["type"]], |kinds| kinds.iter().collect());
        let kind = kinds.iter().filter_map(|kind| kind.as_str()).find(|kind| *kind != "null");
        let bound = |key: &str| core[key].as_f64();
        match kind {
            Some("integer" | "number") => match (bound("minimum"), bound("maximum")) {
                (Some(from), Some(to)) => format!("number from {from} to {to}"),
                (Some(from), None) if from > 0.0 => format!("number, at least {from}"),
                _ => "number".into(),
            },
            Some("boolean") => "`true` or `false`".into(),
            Some("array") => format!("list of {}", plural(&self.kind(&core["items"]))),
            Some("object") => match core.get("additionalProperties") {
                Some(values) if values.is_object() => format!("mapping of names to {}", plural(&self.kind(values))),
                _ => "mapping".into(),
            },
            Some("string") if core["enum"].is_array() => "word".into(),
            Some(_) => "text".into(),
            None => {
                let choices = core["oneOf"].as_array().or_else(|| core["anyOf"].as_array());
                let words = choices.is_some_and(|choices| {
                    choices.iter().all(|choice| choice["const"].is_string() || choice["enum"].is_array())
                });
                match choices {
                    Some(_) if words => "word".into(),
                    Some(choices) => {
                        let real =
                            choices.iter().filter(|c| c["$ref"] != "#/definitions/Reference" && c["type"] != "null");
                        real.map(|choice| self.kind(choice)).collect::<Vec<_>>().join(", or ")
                    }
                    None if core["const"].is_string() => format!("`{}`", core["const"].as_str().unwrap_or_default()),
                    None => "any value".into(),
                }
            }
        }
    }

    /// The words that may stand there, with what they mean.
    fn words(&self, core: &Json) -> Vec<String> {
        let mut found: Vec<String> = core["enum"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|w| w.as_str())
            .map(|w| format!("`{w}`"))
            .collect();
        for choice in core["oneOf"].as_array().or_else(|| core["anyOf"].as_array()).into_iter().flatten() {
            let about =
                choice["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
            let words = choice["const"].as_str().into_iter();
            let words = words.chain(choice["enum"].as_array().into_iter().flatten().filter_map(|word| word.as_str()));
            found.extend(
                words.map(|word| if about.is_empty() { format!("`{word}`") } else { format!("`{word}`: {about}") }),
            );
        }
        found
    }

    fn shared(&mut self, sinks: &'a Json) {
        self.heading("Inputs and buffer");
        self.line("Every transform and every sink has these.\n");
        let patterns = sinks["patternProperties"].as_object().expect("sinks");
        let any = &patterns.values().next().expect("a sink")["properties"];
        for name in ["inputs", "buffer"] {
            self.option(name, &any[name], name == "inputs");
        }
        self.line("");
    }

    fn values(&mut self) {
        self.heading("Values");
        for (title, name) in
            [("size", "ByteSize"), ("duration", "Duration"), ("secret", "Secret"), ("address", "Listen")]
        {
            let text = self.text(&self.definitions[name]);
            self.line(&format!("- *{title}*: {text}"));
        }
    }
}

fn plural(kind: &str) -> String {
    match kind {
        "text" => "texts".into(),
        "mapping" => "mappings".into(),
        "any value" => "any values".into(),
        "number" | "size" | "duration" | "word" | "step" => format!("{kind}s"),
        other => other.into(),
    }
}
