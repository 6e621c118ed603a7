//! Texts that are written by template: options of receivers, in Go's template language over the data that Alertmanager gives.

use std::sync::{Arc, OnceLock};

use super::facts::Facts;
use crate::alerting::bug::caught;
use crate::alerting::notifier::WriteError;
use crate::alerting::template::functions::ALERTMANAGER;
use crate::alerting::template::{Context, Template, TemplateError, Templates};

/// The texts that receivers have unless told.
const DEFAULTS: &str = include_str!("default.tmpl");

/// What errors call a template that an option holds.
const NAME: &str = "";

/// The text of an option, read.
#[derive(Clone, Debug)]
pub enum Text {
    /// Text without actions, which most options are.
    Plain(Box<str>),
    /// A template.
    Template(Template),
}

impl Text {
    /// Reads a text that may use the templates of a set.
    ///
    /// # Errors
    /// Where it is no template, or calls one that is not there: says why.
    pub fn compile(written: &str, set: &Templates) -> Result<Self, String> {
        if !written.contains("{{") {
            return Ok(Self::Plain(written.into()));
        }
        let read = |template: Template| template.is_complete().map(|()| Self::Template(template));
        set.template(NAME, written).and_then(read).map_err(|error| error.to_string())
    }

    /// The text of a notification.
    ///
    /// # Errors
    /// Where the template fails.
    pub fn write(&self, facts: &Facts<'_>) -> Result<String, WriteError> {
        self.execute(facts, false)
    }

    /// The same as HTML: what its actions write is escaped.
    ///
    /// # Errors
    /// Where the template fails.
    pub fn write_html(&self, facts: &Facts<'_>) -> Result<String, WriteError> {
        self.execute(facts, true)
    }

    fn execute(&self, facts: &Facts<'_>, html: bool) -> Result<String, WriteError> {
        let template = match self {
            Self::Plain(text) => return Ok(text.to_string()),
            Self::Template(template) => template,
        };
        let (now, external_url) = (facts.notification.now, &facts.speaker.external_url);
        let context = Context { external_url, html, ..Context::at(now) };
        match caught(|| template.execute(facts.value(), &context)) {
            Ok(written) => written.map_err(|error| WriteError(error.to_string())),
            Err(bug) => Err(WriteError(bug.to_string())),
        }
    }
}

/// The templates that there are unless told.
pub fn default_templates() -> Arc<Templates> {
    static DEFAULT: OnceLock<Arc<Templates>> = OnceLock::new();
    let read = || {
        let mut set = Templates::new(&ALERTMANAGER);
        set.add("default.tmpl", DEFAULTS).expect("it is held to be a template by a test");
        Arc::new(set)
    };
    DEFAULT.get_or_init(read).clone()
}

/// The templates that there are, and those of files by their names and texts. A file that defines a template that there is
/// replaces it.
///
/// # Errors
/// Where a file holds no templates.
pub fn templates_with<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Arc<Templates>, TemplateError> {
    let mut set = (*default_templates()).clone();
    for (name, text) in files {
        set.add(name, text)?;
    }
    Ok(Arc::new(set))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerting::Occurrence;
    use crate::alerting::sending::Speaker;
    use crate::alerting::sending::tests::{NOW, alert, notification, speaker};

    fn written(text: &str, speaker: &Speaker) -> String {
        let over = alert(&[("alertname", "Down"), ("job", "b&b")], NOW.0 - 90_000, NOW.0 - 1);
        let alerts = vec![alert(&[("alertname", "Down"), ("job", "a")], NOW.0 - 60_000, i64::MAX), over];
        let notification = notification(alerts);
        let facts = Facts::of(&notification, &notification.alerts, speaker);
        let text = Text::compile(text, &speaker.templates).expect("a template");
        text.write(&facts).expect("it writes")
    }

    #[test]
    fn every_template_that_an_option_names_is_there() {
        let speaker = speaker();
        let names: Vec<_> = speaker.templates.names().collect();
        for kind in ["slack.default.title", "slack.default.color", "pagerduty.default.client", "email.default.html"] {
            assert!(names.contains(&kind), "{names:?}");
        }
        for name in names {
            let data = match name {
                "__email_alert" => "(index .Alerts 0)",
                "__slack_escaped" => ".Status",
                "__text_alert_list" | "__text_alert_list_markdown" | "pagerduty.default.instances" => ".Alerts",
                _ => ".",
            };
            written(&format!("{{{{ template {name:?} {data} }}}}"), &speaker);
        }
    }

    #[test]
    fn texts_of_receivers_that_there_are_not_are_there_to_build_on() {
        let speaker = speaker();
        let text = |name: &str| written(&format!("{{{{ template {name:?} . }}}}"), &speaker);
        let says_all = [
            "opsgenie.default.description",
            "victorops.default.state_message",
            "pushover.default.message",
            "sns.default.message",
            "telegram.default.message",
            "discord.default.message",
            "webex.default.message",
            "msteams.default.text",
            "msteamsv2.default.text",
            "wechat.default.message",
            "jira.default.description",
            "rocketchat.default.text",
        ];
        for name in says_all {
            let text = text(name);
            assert!(
                ["Firing", "job: a", "Resolved", "job: b&b"].iter().all(|word| text.contains(word)),
                "{name}: {text}"
            );
        }
        let subjects = ["opsgenie", "pushover", "sns", "discord", "msteams", "msteamsv2", "jira", "rocketchat"];
        for (kind, of) in
            subjects.iter().zip(["message", "title", "subject", "title", "title", "title", "summary", "title"])
        {
            assert_eq!(text(&format!("{kind}.default.{of}")), "[FIRING:1] Down");
        }
        assert_eq!(text("victorops.default.entity_display_name"), "[FIRING:1] Down");
        assert_eq!(text("msteams.default.summary"), "[FIRING:1] Down");
        assert_eq!(text("__single_message_title"), "Down, Down");
        for name in ["victorops.default.monitoring_tool", "rocketchat.default.alias"] {
            assert_eq!(text(name), "Tailwater");
        }
        for name in ["opsgenie.default.source", "pushover.default.url", "rocketchat.default.titlelink"] {
            assert!(text(name).starts_with("http://tailwater.example/"), "{name}");
        }
        let empty =
            ["opsgenie.default.tags", "wechat.default.to_user", "discord.default.content", "jira.default.priority"];
        assert_eq!(empty.map(text), [""; 4]);
    }

    #[test]
    fn a_text_knows_what_alertmanager_tells() {
        let speaker = speaker();
        assert!(Text::compile("{{ not a template", &speaker.templates).is_err());
        assert_eq!(written("} no {action", &speaker), "} no {action");
        let all = "{{ .Status }} {{ .Receiver }} {{ len .Alerts.Firing }}/{{ len .Alerts.Resolved }} {{ .GroupLabels.alertname }} \
                   {{ .CommonAnnotations.summary }} {{ .CommonLabels.job }}|{{ range .Alerts }}{{ .Labels.job }},{{ end }}";
        assert_eq!(written(all, &speaker), "firing page 1/1 Down it is down |a,b&b,");
        assert_eq!(written("{{ (index .Alerts 0).EndsAt.IsZero }}", &speaker), "true");
        assert_eq!(written("{{ template \"__subject\" . }}", &speaker), "[FIRING:1] Down");
        assert_eq!(
            written("{{ template \"__text_alert_list\" .Alerts.Resolved }}", &speaker),
            "Down since 2026-11-29 07:58:30 UTC\n  alertname: Down\n  job: b&b\n  summary: it is down\n  from \
             http://tailwater.example/graph?g0.expr=up\n"
        );
    }

    #[test]
    fn default_texts_show_what_was_counted_and_nothing_in_it_is_markup() {
        let speaker = speaker();
        let mut counted = alert(&[("alertname", "Down")], NOW.0 - 60_000, i64::MAX);
        let one =
            |trace: &str, line: &str| Occurrence { trace_id: trace.into(), line: line.into(), ..Occurrence::default() };
        counted.occurrences =
            vec![one("ab12", "<!channel> &\n\"<b>\""), one("", "second"), one("cd", ""), one("ef", "")];
        let notification = notification(vec![counted]);
        let facts = Facts::of(&notification, &notification.alerts, &speaker);
        let text = |name: &str| {
            Text::compile(&format!("{{{{ template {name:?} . }}}}"), &speaker.templates).expect("a template")
        };
        let plain = text("email.default.text").write(&facts).expect("it writes");
        let lines = "  trace: ab12\n  line: <!channel> &\n\"<b>\"\n  line: second\n  trace: cd\n  trace: ef\n";
        assert!(plain.contains(lines), "{plain}");
        let html = text("email.default.html").write_html(&facts).expect("it writes");
        assert!(html.contains("<td><code>ab12</code></td>") && html.contains("<pre>second</pre>"), "{html}");
        assert!(
            html.contains("&lt;!channel&gt; &amp;") && !html.contains("<!channel") && !html.contains("<b>\""),
            "{html}"
        );
        assert_eq!(
            text("slack.default.text").write(&facts).expect("it writes"),
            "trace ab12\n> &lt;!channel&gt; &amp; \"&lt;b&gt;\"\n> second\ntrace cd\n",
            "the latest three"
        );
    }

    #[test]
    fn files_add_templates_and_replace_those_that_there_are() {
        let files = [
            ("a.tmpl", r#"{{ define "mine" }}mine of {{ template "__alertmanager" . }}{{ end }}"#),
            ("b.tmpl", r#"{{ define "__alertmanager" }}ours{{ end }}"#),
        ];
        let speaker = Speaker { templates: templates_with(files).expect("templates"), ..speaker() };
        assert_eq!(written(r#"{{ template "mine" . }}"#, &speaker), "mine of ours");
        assert!(templates_with([("c.tmpl", "{{ end }}")]).is_err_and(|error| error.to_string().contains("c.tmpl")));
    }
}
