//! The front page, for people: what flows, what is wrong, what is behind.

use std::fmt::Write;

use super::status::{Component, Status};

const COLUMNS: [&str; 8] = ["component", "in/s", "out/s", "in B/s", "out B/s", "queue", "lag", "state"];

/// As text, for `curl`.
pub(super) fn text(status: &Status) -> String {
    let rows: Vec<_> = status.components.iter().map(cells).collect();
    let widths: Vec<usize> = (0..COLUMNS.len() - 1)
        .map(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0).max(COLUMNS[i].len()))
        .collect();
    let mut out = format!("{}\n\n", headline(status));
    for row in std::iter::once(COLUMNS.map(str::to_owned)).chain(rows) {
        for (i, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let _ = if i == 0 { write!(out, "{cell:<width$}  ") } else { write!(out, "{cell:>width$}  ") };
        }
        let _ = writeln!(out, "{}", row[COLUMNS.len() - 1]);
    }
    for line in held_back(status) {
        let _ = writeln!(out, "\nalerting: {line}");
    }
    out
}

/// As a page that renews itself, without script.
pub(super) fn html(status: &Status) -> String {
    let mut out = String::from(
        "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=2><title>Tailwater</title>\
         <style>body{font:14px system-ui,sans-serif;margin:2em}table{border-collapse:collapse}\
         th,td{padding:.3em .9em;text-align:right;border-bottom:1px solid #ddd}\
         th:first-child,td:first-child,th:last-child,td:last-child{text-align:left}.bad{color:#b00}</style>",
    );
    let _ = write!(out, "<h1>Tailwater</h1><p>{}</p><table><tr>", Escaped(&headline(status)));
    for column in COLUMNS {
        let _ = write!(out, "<th>{column}</th>");
    }
    out.push_str("</tr>");
    for component in &status.components {
        out.push_str(if component.healthy { "<tr>" } else { "<tr class=bad>" });
        for cell in cells(component) {
            let _ = write!(out, "<td>{}</td>", Escaped(&cell));
        }
        out.push_str("</tr>");
    }
    out.push_str("</table>");
    for line in held_back(status) {
        let _ = write!(out, "<p>alerting: {}</p>", Escaped(line));
    }
    out.push_str("<p><a href=/api/v1/status>status</a> <a href=/api/v1/targets>targets</a> <a href=/api/v1/config>configuration</a></p></html>");
    out
}

/// What is not told yet that people may wait for.
fn held_back(status: &Status) -> impl Iterator<Item = &str> {
    status.alerting.iter().flat_map(|alerting| &alerting.held_back).map(String::as_str)
}

fn headline(status: &Status) -> String {
    let mut line = format!(
        "Tailwater {}, {} for {} s, configuration {}, memory {} of {}",
        status.version,
        status.phase,
        status.uptime_seconds,
        status.config.hash,
        short(status.memory.used_bytes as f64),
        short(status.memory.limit_bytes as f64),
    );
    if status.series.active > 0 || status.series.refused > 0 {
        let (active, limit) = (short(status.series.active as f64), short(status.series.limit as f64));
        let _ = write!(line, ", series {active} of {limit}");
    }
    if let Some(full) = &status.series.full {
        let _ = write!(line, "; {full}");
    }
    if let Some(reason) = status.config.last_reload.as_ref().and_then(|reload| reload.reason.as_ref()) {
        let _ = write!(line, "; the last reload was rejected: {reason}");
    }
    line
}

fn cells(component: &Component) -> [String; COLUMNS.len()] {
    let rates = &component.rates;
    let state = match (&component.unhealthy, &component.last_error) {
        (Some(reason), _) => format!("unhealthy: {reason}"),
        (None, Some(error)) => format!("ok; last error {}: {}", error.time, error.message),
        (None, None) => "ok".to_owned(),
    };
    let state = match &component.targets {
        Some(targets) => {
            let all = targets.up + targets.down + targets.unknown;
            format!("{} of {all} targets up; {state}", targets.up)
        }
        None => state,
    };
    [
        component.node.name.clone(),
        short(rates.records_in),
        short(rates.records_out),
        short(rates.bytes_in),
        short(rates.bytes_out),
        component.queue.as_ref().map_or_else(|| "-".to_owned(), |queue| format!("{:.0} %", queue.fill * 100.0)),
        if component.lag.bytes > 0 { short(component.lag.bytes as f64) } else { "-".to_owned() },
        state,
    ]
}

/// A number in at most five characters.
fn short(number: f64) -> String {
    const UNITS: [&str; 5] = ["", "k", "M", "G", "T"];
    let (mut number, mut unit) = (number, 0);
    while number >= 999.5 && unit + 1 < UNITS.len() {
        number /= 1000.0;
        unit += 1;
    }
    let decimals = usize::from(number < 9.95 && number.fract() > 0.0);
    format!("{number:.decimals$}{}", UNITS[unit])
}

/// Text inside HTML.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_short() {
        let shown = [0.0, 0.25, 3.0, 42.4, 999.0, 999.6, 12_345.0, 3.2e9].map(short);
        assert_eq!(shown, ["0", "0.2", "3", "42", "999", "1.0k", "12k", "3.2G"]);
    }

    #[test]
    fn words_of_servers_are_not_markup() {
        assert_eq!(Escaped("<b>&\"'").to_string(), "&lt;b&gt;&amp;&quot;&#39;");
    }
}
