//! Templates: whatever the text, it parses or says why not; what parses executes within its bounds or says why not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailwater::alerting::template::functions::alertmanager::{self, AlertFields, DataFields};
use tailwater::alerting::template::functions::prometheus::{alert_data, alert_template};
use tailwater::alerting::template::functions::ALERTMANAGER;
use tailwater::alerting::template::{Context, Limits, Template};
use tailwater::data::labels::LabelSet;
use tailwater::data::UnixMillis;
use tailwater::promql::Point;

fuzz_target!(|text: &str| {
    let now = UnixMillis(1_700_000_000_000);
    let limits = Limits { bytes: 1 << 16, steps: 20_000 };
    let context = Context { limits, external_url: "http://a.example/b", ..Context::at(now) };
    let labels: LabelSet = [("alertname", "Down"), ("instance", "a.example:80"), ("job", "api")].into_iter().collect();
    if let Ok(template) = alert_template("A", text) {
        let data = alert_data(&labels, &labels, context.external_url, &Point::Float(1234.5));
        if let Ok(written) = template.execute(&data, &context) {
            assert!(written.len() <= limits.bytes);
        }
    }
    if let Ok(template) = Template::parse("t", text, &ALERTMANAGER) {
        let alert = alertmanager::alert(&AlertFields {
            status: "firing",
            labels: &labels,
            annotations: &labels,
            starts_at: now,
            ends_at: None,
            generator_url: "",
            fingerprint: "00ff",
        });
        let fields = DataFields {
            receiver: "team",
            status: "firing",
            reason: "",
            group_labels: &labels,
            common_labels: &labels,
            common_annotations: &labels,
            route_labels: &labels,
            external_url: "",
        };
        let html = Context { html: true, ..context };
        let _ = template.execute(&alertmanager::data(&fields, vec![alert]), &html);
    }
});
