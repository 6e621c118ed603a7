//! Texts of an alerting rule, expanded for one element of its result.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::fmt::Display;

use super::{Evaluating, Text};
use crate::alerting::bug::{Bug, caught};
use crate::alerting::template::functions::prometheus::{alert_data, alert_template};
use crate::alerting::template::{Context, Limits, Template, TemplateError, Value};
use crate::data::{LabelSet, UnixMillis};
use crate::promql::{Point, Query};

/// Expands the texts of a rule for one element.
pub(super) struct Expander<'a> {
    cx: &'a Evaluating<'a>,
    alert: &'a str,
    element: &'a LabelSet,
    point: &'a Point,
    /// What templates are given; made for the first one.
    data: OnceCell<Value>,
    bug: RefCell<Option<Bug>>,
}

impl Text {
    /// A label or an annotation of an alert.
    pub fn new(alert: &str, text: &str) -> Self {
        if text.contains("{{") { Self::Template(alert_template(alert, text)) } else { Self::Plain(text.into()) }
    }
}

impl<'a> Expander<'a> {
    /// For an element of the result of the rule `alert`.
    pub fn new(cx: &'a Evaluating<'a>, alert: &'a str, element: &'a LabelSet, point: &'a Point) -> Self {
        Self { cx, alert, element, point, data: OnceCell::new(), bug: RefCell::default() }
    }

    /// What a text panicked with that was expanded.
    pub fn bug(&self) -> Option<Bug> {
        self.bug.borrow().clone()
    }

    /// What the text is for it. What cannot be expanded says so, as in Prometheus: an alert that says little is better than
    /// none.
    pub fn expand<'t>(&self, text: &'t Text) -> Cow<'t, str> {
        let template = match text {
            Text::Plain(text) => return Cow::Borrowed(text),
            Text::Template(template) => template,
        };
        let failed = |what: &str, error: &dyn Display| {
            format!("<error expanding template: error {what} template __alert_{}: {error}>", self.alert)
        };
        Cow::Owned(match template {
            Ok(template) => match caught(|| self.execute(template)) {
                Ok(written) => written.unwrap_or_else(|error| failed("executing", &error)),
                Err(bug) => {
                    let text = failed("executing", &bug);
                    self.bug.replace(Some(bug));
                    text
                }
            },
            Err(error) => failed("parsing", error),
        })
    }

    fn execute(&self, template: &Template) -> Result<String, TemplateError> {
        let settings = self.cx.settings;
        let data = self
            .data
            .get_or_init(|| alert_data(self.element, &settings.external_labels, &settings.external_url, self.point));
        let now = UnixMillis::from(self.cx.at);
        let query = |text: &str| {
            let query = Query::parse(text).map_err(|error| error.to_string())?;
            self.cx.vector_at(&query, now).map_err(|error| error.to_string())
        };
        let context = Context {
            now,
            external_url: &settings.external_url,
            query: Some(&query),
            route_label: None,
            html: false,
            limits: Limits::default(),
        };
        template.execute(data, &context)
    }
}
