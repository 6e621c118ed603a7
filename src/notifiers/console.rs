//! The receiver `console`: prints pages for a person who looks on: the demo's, or somebody who tries rules. It is a display,
//! not a delivery: it never refuses a page, for what is behind standard output cannot be asked.

use std::io::Write;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::alerting::sending::{Facts, Speaker, Target, Text, notification_key, rfc3339, templates};
use crate::alerting::{Alert, Notification, Notifier, Page, PageKind, Refusal, WriteError};
use crate::options::{Problem, Span, Spanned};

/// The kind's name.
const KIND: &str = "console";

/// Options of a receiver `console`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ConsoleReceiver")]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Whether it prints what resolved. Default: `true`.
    pub send_resolved: bool,
    /// Where it prints. Default: `stdout`.
    pub to: To,
    /// What it prints: a template. Default: a line for the group and some for each alert.
    pub text: Option<Spanned<String>>,
}

/// Where pages are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ConsoleReceiverTo")]
#[serde(rename_all = "lowercase")]
pub enum To {
    /// Standard output.
    #[default]
    Stdout,
    /// The agent's own log: a warning for what fires, a line of information for what resolved.
    Log,
}

impl Default for Options {
    fn default() -> Self {
        Self { send_resolved: true, to: To::Stdout, text: None }
    }
}

impl Options {
    /// Everything that is wrong. `whole` is the place of what has none of its own.
    pub fn problems(&self, whole: Span, speaker: &Speaker) -> Vec<Problem> {
        let mut found = Vec::new();
        templates(self.text.as_ref().map(|text| ("text", text)), &speaker.templates, &mut found);
        found.into_iter().map(|problem| problem.at_least(whole)).collect()
    }
}

/// A receiver.
#[derive(Debug)]
pub(super) struct Console {
    send_resolved: bool,
    to: To,
    text: Option<Text>,
    speaker: Speaker,
}

impl Console {
    /// One as the options say.
    pub fn new(options: &Options, speaker: &Speaker) -> Result<Self, String> {
        let text = options.text.as_ref().map(|text| Text::compile(text, &speaker.templates)).transpose()?;
        Ok(Self { send_resolved: options.send_resolved, to: options.to, text, speaker: speaker.clone() })
    }
}

impl Notifier for Console {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn target(&self) -> Target {
        Target::of(KIND, [if self.to == To::Log { "log" } else { "stdout" }])
    }

    fn send_resolved(&self) -> bool {
        self.send_resolved
    }

    fn write(&self, notification: &Notification) -> Result<Vec<Page>, WriteError> {
        let now = notification.now;
        let wanted = notification.alerts.iter().filter(|alert| self.send_resolved || !alert.is_resolved(now));
        let alerts: Vec<_> = wanted.cloned().collect();
        if alerts.is_empty() {
            return Ok(Vec::new());
        }
        let firing = alerts.iter().filter(|alert| !alert.is_resolved(now)).count();
        let text = match &self.text {
            Some(text) => printable(&text.write(&Facts::of(notification, &alerts, &self.speaker))?),
            None => readable(notification, &alerts, firing),
        };
        let kind = if firing > 0 { PageKind::Trigger } else { PageKind::Resolve };
        let body = text.into_bytes().into();
        Ok(vec![Page { key: notification_key(notification, &self.speaker), kind, about: notification.names(), body }])
    }

    fn send<'a>(&'a self, page: &'a Page) -> BoxFuture<'a, Result<(), Refusal>> {
        let (to, kind, text) = (self.to, page.kind, page.body.clone());
        async move {
            match to {
                To::Stdout => {
                    // A pipe that nobody reads blocks, and then only this thread.
                    let printing = tokio::task::spawn_blocking(move || {
                        let mut out = std::io::stdout().lock();
                        out.write_all(&text).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush())
                    });
                    if let Ok(Err(error)) = printing.await {
                        tracing::warn!(%error, "a page cannot be printed");
                    }
                }
                To::Log => {
                    let text = String::from_utf8_lossy(&text);
                    if kind == PageKind::Resolve { tracing::info!(page = %text) } else { tracing::warn!(page = %text) }
                }
            }
            Ok(())
        }
        .boxed()
    }
}

fn readable(notification: &Notification, alerts: &[Alert], firing: usize) -> String {
    let resolved = alerts.len() - firing;
    let group: Vec<_> = notification.group_labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut lines =
        vec![format!("PAGE {}  {firing} firing, {resolved} resolved  {}", notification.receiver, group.join(" "))];
    for alert in alerts {
        let word = if alert.is_resolved(notification.now) { "resolved" } else { "FIRING" };
        let labels = alert.labels.iter().filter(|(name, _)| *name != "alertname");
        let labels: Vec<_> = labels.map(|(name, value)| format!("{name}={value:?}")).collect();
        lines.push(format!("  {word:<8} {}{{{}}} = {}", alert.name(), labels.join(", "), alert.value));
        lines.push(format!("           since {}", rfc3339(alert.starts_at)));
        for (name, value) in alert.annotations.iter() {
            lines.push(format!("           {name}: {}", value.replace('\n', "\n             ")));
        }
        for of in &alert.occurrences {
            if !of.trace_id.is_empty() {
                lines.push(format!("           trace {}", of.trace_id));
            }
            if !of.line.is_empty() {
                lines.push(format!("           line  {}", of.line));
            }
        }
    }
    printable(&lines.join("\n"))
}

/// Without what a terminal would obey: texts come from whoever writes logs and labels.
fn printable(text: &str) -> String {
    let escaped = |letter: char| {
        if letter.is_control() && letter != '\n' { letter.escape_default().collect() } else { letter.to_string() }
    };
    text.chars().map(escaped).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerting::Occurrence;
    use crate::alerting::sending::tests::{NOW, alert, notification, speaker};

    fn page(options: serde_json::Value, alerts: Vec<Alert>) -> Vec<Page> {
        let options: Options = serde_json::from_value(options).expect("options");
        assert!(options.problems(Span::UNKNOWN, &speaker()).is_empty());
        Console::new(&options, &speaker()).expect("a receiver").write(&notification(alerts)).expect("pages")
    }

    #[test]
    fn a_page_is_readable_and_cannot_drive_a_terminal() {
        let mut fires = alert(&[("alertname", "Down"), ("pod", "a \"1\"")], NOW.0 - 60_000, i64::MAX);
        fires.annotations.set("note", "red \u{1b}[31m\nsecond");
        let seen = Occurrence { trace_id: "ab12".into(), line: "lost\u{7}".into(), ..Occurrence::default() };
        fires.occurrences = vec![seen];
        let over = alert(&[("alertname", "Down"), ("pod", "b")], NOW.0 - 60_000, NOW.0 - 1);
        let pages = page(serde_json::json!({}), vec![fires, over.clone()]);
        assert_eq!(pages[0].kind, PageKind::Trigger);
        let text = String::from_utf8(pages[0].body.to_vec()).expect("text");
        let expected = [
            "PAGE page  1 firing, 1 resolved  alertname=Down",
            "  FIRING   Down{pod=\"a \\\"1\\\"\"} = 1",
            "           since 2026-11-29T07:59:00Z",
            "           note: red \\u{1b}[31m",
            "             second",
            "           summary: it is down",
            "           trace ab12",
            "           line  lost\\u{7}",
            "  resolved Down{pod=\"b\"} = 1",
            "           since 2026-11-29T07:59:00Z",
            "           summary: it is down",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
        assert_eq!(page(serde_json::json!({}), vec![over.clone()])[0].kind, PageKind::Resolve);
        assert!(page(serde_json::json!({ "send_resolved": false }), vec![over]).is_empty());
    }

    #[tokio::test]
    async fn a_template_says_what_is_printed_and_nothing_is_refused() {
        let alerts = vec![alert(&[("alertname", "Down")], NOW.0, i64::MAX)];
        let options = serde_json::json!({ "to": "log", "text": "{{ .Status }} {{ .CommonLabels.alertname }}" });
        let pages = page(options.clone(), alerts);
        assert_eq!(&pages[0].body[..], b"firing Down");
        let console = Console::new(&serde_json::from_value(options).expect("options"), &speaker()).expect("a receiver");
        assert!(console.send(&pages[0]).await.is_ok());
    }
}
