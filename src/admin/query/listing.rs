//! Which series, labels, metrics and exemplars there are.

use super::answer::{Answered, Fault};
use super::form::Form;
use super::{Api, json};
use crate::data::metrics::Family;
use crate::promql::{self, ParseError, Query};
use crate::series::{Listed, Listing, Matcher};

/// Most exemplars that are shown, the latest.
const MOST_EXEMPLARS: usize = 10_000;

/// What every listing is asked for.
struct Asked {
    selectors: Vec<Vec<Matcher>>,
    from: i64,
    until: i64,
    limit: usize,
}

impl Asked {
    fn read(form: &Form) -> Result<Self, Fault> {
        let limit = form.limit()?;
        let (from, until) = (form.time_or("start", i64::MIN)?, form.time_or("end", i64::MAX)?);
        Ok(Self { selectors: selectors(form)?, from, until, limit })
    }

    fn listing(&self) -> Listing<'_> {
        Listing { selectors: &self.selectors, from: self.from, until: self.until, limit: self.limit }
    }
}

/// The selectors of `match[]`.
pub(super) fn selectors(form: &Form) -> Result<Vec<Vec<Matcher>>, Fault> {
    let refused = |text, error: &ParseError| match &*error.message {
        // There Prometheus's API is more exact than its language.
        "vector selector must contain at least one non-empty matcher" => {
            Fault::bad_data("match[] must contain at least one non-empty matcher")
        }
        _ => Fault::bad_data(error.in_text(text)),
    };
    promql::selectors(form.all("match[]")).map_err(|(text, error)| refused(text, &error))
}

pub(super) fn series(api: &Api, form: &Form) -> Result<Answered, Fault> {
    if form.all("match[]").next().is_none() {
        return Err(Fault::bad_data("no match[] parameter provided"));
    }
    // What names the parameter here and not elsewhere is Prometheus.
    let asked = Asked::read(form).map_err(|fault| fault.of_parameter("match[]"))?;
    // As in Prometheus, a span that ends before it begins has nothing, not even what was there all along.
    if asked.until < asked.from {
        return Ok(listed(&[], json::label_set));
    }
    let Listed { items, more } = api.samples()?.series(asked.listing())?;
    Ok(listed(&items, json::label_set).truncated(more))
}

pub(super) fn labels(api: &Api, form: &Form) -> Result<Answered, Fault> {
    let Listed { items, more } = api.samples()?.label_names(Asked::read(form)?.listing())?;
    Ok(listed(&items, |name, out| json::text(name, out)).truncated(more))
}

pub(super) fn values(api: &Api, name: &str, form: &Form) -> Result<Answered, Fault> {
    let name = unescaped(name);
    if name.is_empty() {
        return Err(Fault::bad_data("invalid label name: \"\""));
    }
    let Listed { items, more } = api.samples()?.label_values(&name, Asked::read(form)?.listing())?;
    Ok(listed(&items, |value, out| json::text(value, out)).truncated(more))
}

/// A label's name as the address writes one that is no identifier: `U__`, then `__` for `_` and `_263a_` for a character.
fn unescaped(name: &str) -> String {
    let Some(mut rest) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut plain = String::new();
    while let Some(at) = rest.find('_') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('_') {
            plain.push('_');
            rest = after;
            continue;
        }
        let code = rest.split_once('_').filter(|(code, _)| code.len() <= 6);
        let read = code.and_then(|(code, after)| Some((char::from_u32(u32::from_str_radix(code, 16).ok()?)?, after)));
        // What is not escaped as it should be is meant as it is written.
        let Some((c, after)) = read else { return name.to_owned() };
        plain.push(c);
        rest = after;
    }
    plain + rest
}

pub(super) fn exemplars(api: &Api, form: &Form) -> Result<Answered, Fault> {
    let (from, until) = (form.time_or("start", i64::MIN)?, form.time_or("end", i64::MAX)?);
    if until < from {
        return Err(Fault::bad_data("end timestamp must not be before start timestamp"));
    }
    let text = form.get("query");
    let query = Query::parse(text).map_err(|error| Fault::bad_data(error.in_text(text)))?;
    let selectors: Vec<_> = query.selectors().map(|selector| selector.matchers.to_vec()).collect();
    if selectors.is_empty() {
        return Ok(Answered::default());
    }
    let which = Listing { selectors: &selectors, from, until, limit: MOST_EXEMPLARS };
    let Listed { mut items, more } = api.samples()?.exemplars(which)?;
    // Lines are for pages; whoever may ask for samples may not see what was logged.
    items.iter_mut().for_each(|series| series.exemplars.retain(|one| !one.labels.is_empty() || one.line.is_empty()));
    items.retain(|series| !series.exemplars.is_empty());
    let answered = listed(&items, |series, out| {
        out.extend_from_slice(b"{\"seriesLabels\":");
        json::label_set(&series.labels, out);
        out.extend_from_slice(b",\"exemplars\":[");
        json::list(&series.exemplars, out, |exemplar, out| {
            out.extend_from_slice(b"{\"labels\":");
            json::label_set(&exemplar.labels, out);
            out.extend_from_slice(b",\"value\":");
            json::float(exemplar.value, out);
            out.extend_from_slice(b",\"timestamp\":");
            json::timestamp(exemplar.time, out);
            out.push(b'}');
        });
        out.extend_from_slice(b"]}");
    });
    Ok(answered.truncated(more))
}

pub(super) fn metadata(api: &Api, form: &Form) -> Result<Answered, Fault> {
    let number = |name: &str| match form.get(name) {
        "" => Ok(None),
        text => text.parse::<i64>().map(Some).map_err(|_| Fault::bad_data(format!("{name} must be a number"))),
    };
    let most = number("limit")?.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let each = number("limit_per_metric")?.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    let families = api.samples()?.metadata(Some(form.get("metric")).filter(|metric| !metric.is_empty()))?;
    let mut data = vec![b'{'];
    let metrics = families.chunk_by(|a, b| a.name == b.name).take(most);
    json::list(metrics, &mut data, |families: &[Family], out| {
        let Some(first) = families.first() else { return };
        json::text(&first.name, out);
        out.extend_from_slice(b":[");
        json::list(families.iter().take(each.unwrap_or(usize::MAX)), out, |family, out| {
            for (before, text) in
                [("{\"type\":", family.kind.name()), (",\"unit\":", &family.unit), (",\"help\":", &family.help)]
            {
                out.extend_from_slice(before.as_bytes());
                json::text(text, out);
            }
            out.push(b'}');
        });
        out.push(b']');
    });
    data.push(b'}');
    Ok(Answered::of(&data))
}

fn listed<T>(items: &[T], write: impl Fn(&T, &mut Vec<u8>)) -> Answered {
    let mut data = vec![b'['];
    json::list(items, &mut data, write);
    data.push(b']');
    Answered::of(&data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_identifiers_are_escaped_in_addresses() {
        for (written, meant) in [
            ("job", "job"),
            ("U__http_2e_status", "http.status"),
            ("U__a__b", "a_b"),
            ("U___263a_", "☺"),
            ("U__a_zz_", "U__a_zz_"),
            ("U__a_", "U__a_"),
            ("U__", ""),
        ] {
            assert_eq!(unescaped(written), meant);
        }
    }
}
