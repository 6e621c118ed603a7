//! The index template that makes teams' fields live together: installed before the first document, for
//! exactly the names that this sink writes.

use http::Method;
use serde_json::{Value, json};

use super::server::{Call, Trouble};
use super::shared::Shared;
use crate::delivery::sender::Attempted;
use crate::formats::document::Layout;
use crate::formats::elasticsearch::answer::whole_error;

/// Raised with every change of a template below: a newer agent brings an older one's up to date.
const VERSION: u64 = 2;

/// Above Elasticsearch's own templates (100), below what an operator would use to override (500).
const PRIORITY: u64 = 200;

/// In `_meta`: templates without it are somebody else's.
const MANAGED_BY: &str = "tailwater";

/// The template for `target`.
pub(super) fn template(layout: Layout, target: &str, is_stream: bool) -> Value {
    let (name, mappings) = match layout {
        Layout::Otel => ("otel", otel()),
        Layout::Ecs => ("ecs", ecs()),
    };
    let mut template = json!({
        "index_patterns": [target],
        "priority": PRIORITY,
        "_meta": { "managed_by": MANAGED_BY, "version": VERSION, "mapping": name },
        "template": {
            "settings": {
                "index.mapping.ignore_malformed": true,
                "index.mapping.total_fields.ignore_dynamic_beyond_limit": true,
            },
            "mappings": mappings,
        },
    });
    if is_stream {
        template["data_stream"] = json!({});
    }
    template
}

/// Strings are exact words unless a field says otherwise; a long one is kept and not searched.
fn strings_are_keywords() -> Value {
    json!([{ "strings": { "match_mapping_type": "string", "mapping": { "type": "keyword", "ignore_above": 1024 } } }])
}

fn keyword() -> Value {
    json!({ "type": "keyword", "ignore_above": 1024 })
}

fn data_stream() -> Value {
    json!({ "properties": { "type": keyword(), "dataset": keyword(), "namespace": keyword() } })
}

/// Under `subobjects: false` a key is a field as it is written: `a` and `a.b` can both be values. Records and spans may
/// share an index, where two sinks write to it: it has the fields of both.
fn otel() -> Value {
    let flat = json!({ "type": "object", "dynamic": true, "subobjects": false });
    let count = json!({ "type": "long" });
    json!({
        "date_detection": false,
        "dynamic_templates": strings_are_keywords(),
        "properties": {
            "@timestamp": { "type": "date_nanos", "ignore_malformed": false },
            "observed_timestamp": { "type": "date_nanos" },
            "data_stream": data_stream(),
            "severity_text": keyword(),
            "severity_number": { "type": "byte" },
            "trace_id": keyword(),
            "span_id": keyword(),
            "event_name": keyword(),
            "parent_span_id": keyword(),
            "trace_state": keyword(),
            "name": keyword(),
            "kind": keyword(),
            "duration": { "type": "long", "meta": { "unit": "nanos" } },
            "status": { "properties": { "code": keyword(), "message": keyword() } },
            "events": { "properties": {
                "name": keyword(),
                "timestamp": { "type": "date_nanos" },
                "attributes": flat,
                "dropped_attributes_count": count,
            } },
            "links": { "properties": {
                "trace_id": keyword(),
                "span_id": keyword(),
                "trace_state": keyword(),
                "attributes": flat,
                "dropped_attributes_count": count,
            } },
            "dropped_attributes_count": count,
            "dropped_events_count": count,
            "dropped_links_count": count,
            "attributes": flat,
            "resource": { "properties": { "attributes": flat } },
            "scope": { "properties": { "name": keyword(), "version": keyword() } },
            "body": { "properties": { "text": { "type": "text" } } },
        },
    })
}

fn ecs() -> Value {
    json!({
        "date_detection": false,
        "dynamic_templates": strings_are_keywords(),
        "properties": {
            "@timestamp": { "type": "date", "ignore_malformed": false },
            "data_stream": data_stream(),
            "message": { "type": "text" },
            "log": { "properties": {
                "level": keyword(),
                "iostream": keyword(),
                "file": { "properties": { "path": keyword() } },
            } },
            "kubernetes": { "properties": {
                "namespace": keyword(),
                "pod": { "properties": { "name": keyword(), "uid": keyword() } },
                "container": { "properties": { "name": keyword(), "restart_count": { "type": "long" } } },
                "node": { "properties": { "name": keyword() } },
                "cluster": { "properties": { "name": keyword() } },
            } },
            "container": { "properties": { "id": keyword(), "labels": { "type": "object", "dynamic": true } } },
            "host": { "properties": { "name": keyword() } },
        },
    })
}

impl Shared {
    /// Installs the template, once; whatever keeps it from being installed for good is told once and does
    /// not stop documents.
    pub async fn install_template(&self) -> Result<(), Attempted> {
        let mut wanted = self.template.lock().await;
        let Some(template) = wanted.as_ref() else { return Ok(()) };
        let name = self.template_name();
        let path = ["_index_template", &name];
        let (answer, endpoint) = self.server.call(Call::get(&path)).await.map_err(|trouble| trouble.attempted)?;
        let install = match answer.status.as_u16() {
            200 => self.is_outdated(&answer.body, template),
            404 => true,
            403 => {
                self.without_template("these credentials may not read index templates");
                false
            }
            _ => return Err(self.server.trouble(&answer, endpoint).await.attempted),
        };
        if install {
            let call = Call::get(&path).json(Method::PUT, template.to_string().into_bytes());
            let (answer, endpoint) = self.server.call(call).await.map_err(|trouble| trouble.attempted)?;
            match answer.status.as_u16() {
                200..=299 => tracing::info!(component = %self.name, template = %name, "installed the index template"),
                403 => self.without_template("these credentials may not install index templates"),
                status @ 400 => self.without_template(&whole_error(&answer.body).words(status)),
                _ => {
                    let Trouble { attempted, .. } = self.server.trouble(&answer, endpoint).await;
                    return Err(attempted);
                }
            }
        }
        *wanted = None;
        Ok(())
    }

    /// `tailwater-<name of the sink>`.
    fn template_name(&self) -> String {
        let name = self.name.split_once('/').map_or(&*self.name, |(_, name)| name);
        format!("tailwater-{name}")
    }

    /// Whether an existing template is this agent's and differs from what is wanted.
    fn is_outdated(&self, body: &[u8], wanted: &Value) -> bool {
        let found: Value = serde_json::from_slice(body).unwrap_or_default();
        let found = &found["index_templates"][0]["index_template"];
        if found["_meta"]["managed_by"] != MANAGED_BY {
            self.without_template("a template of that name exists and is not this agent's");
            return false;
        }
        let newer = found["_meta"]["version"].as_u64() > Some(VERSION);
        let same = |key: &str| found[key] == wanted[key];
        let same_kind = found["data_stream"].is_object() == wanted["data_stream"].is_object();
        let wanted_already = same("_meta") && same("index_patterns") && same_kind;
        !(newer || wanted_already)
    }

    fn without_template(&self, why: &str) {
        let name = self.template_name();
        tracing::warn!(
            component = %self.name,
            "the index template {name} is not installed: {why}; install it by hand, or write `template: off`"
        );
        self.metrics.error(format!("the index template {name} is not installed: {why}"));
    }
}
