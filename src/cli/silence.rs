//! `tailwater silence`: silences of a running agent, in the forms of amtool.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use http::Method;

use super::Format;
use super::agent::AgentArgs;
use super::login;
use super::run::Failed;
use super::table::table;
use crate::alerting::matcher::{self, Matcher, Op};
use crate::alerting::silence::{MatcherJson, PostableSilence, SilenceJson, StateJson};
use crate::data::labels::ALERT_NAME;
use crate::options::prometheus_duration;

/// What is to be done with silences.
#[derive(Debug, Subcommand)]
pub(super) enum Silence {
    /// Make a silence; prints its id
    #[command(after_help = "Examples:
  tailwater silence add alertname=Down instance=~'web-.*' --duration 2h --comment 'new disks'
  tailwater silence add Down --start 2026-05-05T22:00:00Z --end 2026-05-06T02:00:00Z --comment 'works'

Exit codes: 0 made, 1 the agent does not answer, or does not take it, 2 it makes no sense")]
    Add(AddArgs),
    /// List silences that are in force or to come
    #[command(after_help = "Examples:
  tailwater silence list
  tailwater silence list alertname=Down --within 8h
  tailwater silence list --expired --within 2h

Exit codes: 0 shown, 1 the agent does not answer, 2 the question makes no sense")]
    List(ListArgs),
    /// End silences now
    #[command(after_help = "Exit codes: 0 ended, 1 the agent does not answer, or has no such silence")]
    Expire(ExpireArgs),
}

/// The silence that is wanted.
#[derive(Debug, Args)]
pub(super) struct AddArgs {
    #[command(flatten)]
    agent: AgentArgs,
    /// What labels of alerts have to fulfil, such as severity=page or 'instance=~web-.*'; the first may be the name of
    /// an alert alone
    #[arg(required = true, value_name = "MATCHER")]
    matchers: Vec<String>,
    /// Who wants it; whoever runs this where nothing is said
    #[arg(long, short)]
    author: Option<String>,
    /// Why
    #[arg(long, short)]
    comment: String,
    /// For how long
    #[arg(long, short, default_value = "1h", value_parser = duration, allow_hyphen_values = true)]
    duration: std::time::Duration,
    /// When it begins, as in 2026-05-05T22:00:00Z; now where nothing is said
    #[arg(long, value_name = "TIME")]
    start: Option<jiff::Timestamp>,
    /// When it ends, instead of how long it lasts
    #[arg(long, value_name = "TIME", conflicts_with = "duration")]
    end: Option<jiff::Timestamp>,
    /// Something else that is to be known of it: name=value
    #[arg(long, value_name = "NAME=VALUE")]
    annotation: Vec<String>,
}

/// Which silences are shown.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    agent: AgentArgs,
    /// Only silences that have these matchers; the first may be the name of an alert alone
    #[arg(value_name = "MATCHER")]
    matchers: Vec<String>,
    /// Those that ended instead
    #[arg(long)]
    expired: bool,
    /// Only those that end, or ended, within this time
    #[arg(long, value_name = "DURATION", value_parser = duration, allow_hyphen_values = true)]
    within: Option<std::time::Duration>,
    /// Only those that this person made
    #[arg(long, value_name = "AUTHOR")]
    created_by: Option<String>,
    /// Only ids
    #[arg(long, short)]
    quiet: bool,
    /// What is printed: a table, or Alertmanager's JSON
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Which silences end.
#[derive(Debug, Args)]
pub(super) struct ExpireArgs {
    #[command(flatten)]
    agent: AgentArgs,
    /// Their ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

/// Does what is asked; returns what to print.
pub(super) fn silence(what: &Silence) -> Result<String, Failed> {
    match what {
        Silence::Add(args) => add(args),
        Silence::List(args) => list(args),
        Silence::Expire(args) => expire(args),
    }
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    let magnitude = prometheus_duration::parse(text.strip_prefix('-').unwrap_or(text));
    let duration = magnitude.map_err(|error| error.to_string())?;
    if duration.is_zero() || text.starts_with('-') {
        return Err("a duration is above zero; write one such as 2h".into());
    }
    Ok(duration)
}

fn add(args: &AddArgs) -> Result<String, Failed> {
    let matchers = matchers(&args.matchers)?;
    if args.comment.trim().is_empty() {
        return Err(Failed::Usage("--comment is empty: write why the alerts are silenced".into()));
    }
    let author = args.author.clone().or_else(login::name).filter(|author| !author.trim().is_empty());
    let author = author.ok_or_else(|| Failed::Usage("nobody knows who you are: write --author NAME".into()))?;
    let starts_at = args.start.unwrap_or_else(jiff::Timestamp::now);
    let ends_at = match args.end {
        Some(end) => end,
        None => starts_at
            .checked_add(args.duration)
            .map_err(|_| Failed::Usage("the silence would end when no calendar reaches".into()))?,
    };
    if starts_at >= ends_at {
        return Err(Failed::Usage("the silence would end before it begins".into()));
    }
    let mut annotations = BTreeMap::new();
    for text in &args.annotation {
        let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Failed::Usage(format!("--annotation {text}: write name=value")));
        };
        annotations.insert(name.to_owned(), value.to_owned());
    }
    let wanted = PostableSilence {
        id: String::new(),
        matchers: matchers.iter().map(MatcherJson::from).collect(),
        starts_at,
        ends_at,
        created_by: author,
        comment: args.comment.clone(),
        annotations,
    };
    let json = serde_json::to_vec(&wanted).map_err(|error| args.agent.failed(error))?;
    let answer = args.agent.success(args.agent.send(Method::POST, "api/v2/silences", Some(json))?)?;
    let made: Made = serde_json::from_slice(&answer).map_err(|error| args.agent.failed(error))?;
    Ok(format!("{}\n", made.silence_id))
}

#[derive(serde::Deserialize)]
struct Made {
    #[serde(rename = "silenceID")]
    silence_id: String,
}

fn list(args: &ListArgs) -> Result<String, Failed> {
    let filter: Vec<String> = matchers(&args.matchers)?.iter().map(ToString::to_string).collect();
    let mut query: Vec<(&str, &str)> = filter.iter().map(|matcher| ("filter", &**matcher)).collect();
    let (active, expired) = if args.expired { ("false", "true") } else { ("true", "false") };
    query.extend([("active", active), ("pending", active), ("expired", expired)]);
    let answer = args.agent.get("api/v2/silences", &query)?;
    let mut silences: Vec<SilenceJson> = serde_json::from_slice(&answer).map_err(|error| args.agent.failed(error))?;
    let now = jiff::Timestamp::now();
    silences.retain(|silence| {
        let end: Option<jiff::Timestamp> = silence.ends_at.parse().ok();
        let near = |within: std::time::Duration| {
            let distance = end.map(|end| end.duration_since(now).unsigned_abs());
            distance.is_some_and(|distance| distance <= within)
        };
        args.within.is_none_or(near) && args.created_by.as_ref().is_none_or(|author| silence.created_by == *author)
    });
    if args.quiet {
        return Ok(silences.iter().map(|silence| format!("{}\n", silence.id)).collect());
    }
    match args.format {
        Format::Text => Ok(shown(&silences)),
        Format::Json => {
            let json = serde_json::to_string(&silences).map_err(|error| args.agent.failed(error))?;
            Ok(format!("{json}\n"))
        }
    }
}

fn expire(args: &ExpireArgs) -> Result<String, Failed> {
    for id in &args.ids {
        let encoded = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC);
        let answer = args.agent.send(Method::DELETE, &format!("api/v2/silence/{encoded}"), None)?;
        if answer.0 == http::StatusCode::NOT_FOUND {
            return Err(args.agent.failed(format!("there is no silence {id}")));
        }
        args.agent.success(answer)?;
    }
    Ok(String::new())
}

/// Matchers of the command line; a first one without an operator is the name of an alert.
pub(super) fn matchers(texts: &[String]) -> Result<Vec<Matcher>, Failed> {
    let read = |(index, text): (usize, &String)| match matcher::parse_one(text) {
        Ok(matcher) => Ok(matcher),
        Err(_) if index == 0 && !text.contains(['=', '!']) => {
            Matcher::new(Op::Equal, ALERT_NAME, text).map_err(|error| error.to_string())
        }
        Err(error) => Err(format!("`{text}` is no matcher: {error}")),
    };
    texts.iter().enumerate().map(read).collect::<Result<_, _>>().map_err(Failed::Usage)
}

const COLUMNS: [&str; 6] = ["id", "state", "matchers", "ends at", "created by", "comment"];

fn shown(silences: &[SilenceJson]) -> String {
    table(COLUMNS, silences.iter().map(cells))
}

fn cells(silence: &SilenceJson) -> [String; COLUMNS.len()] {
    let matchers = silence.matchers.iter().map(|json| match Matcher::try_from(json) {
        Ok(matcher) => matcher.to_string(),
        Err(_) => format!("{}: {}", json.name, json.value),
    });
    let state = match silence.status.state {
        StateJson::Active => "active",
        StateJson::Pending => "pending",
        StateJson::Expired => "expired",
    };
    [
        silence.id.clone(),
        state.to_owned(),
        matchers.collect::<Vec<_>>().join(" "),
        silence.ends_at.clone(),
        silence.created_by.clone(),
        silence.comment.replace('\n', " "),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone_is_that_of_an_alert() {
        let read = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            matchers(&texts).map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(read(&["Down", "a=~b|c"]).ok().as_deref(), Some(r#"alertname="Down" a=~"b|c""#));
        assert_eq!(read(&["a!=b"]).ok().as_deref(), Some(r#"a!="b""#));
        assert!(read(&["a=b", "Down"]).is_err() && read(&["a=~("]).is_err());
    }

    #[test]
    fn a_duration_is_above_zero() {
        assert_eq!(duration("1h30m"), Ok(std::time::Duration::from_secs(5400)));
        for text in ["-1h", "0", "0s"] {
            assert!(duration(text).is_err_and(|why| why.contains("above zero")), "{text}");
        }
        for text in ["", "-", "--comment", "1"] {
            assert!(duration(text).is_err_and(|why| !why.contains("above zero")), "{text}");
        }
    }

    #[test]
    fn silences_are_a_table() {
        let silence = |id: &str, comment: &str| -> SilenceJson {
            serde_json::from_value(serde_json::json!({
                "id": id, "status": { "state": "active" }, "updatedAt": "", "comment": comment, "createdBy": "me",
                "startsAt": "", "endsAt": "2026-05-05T12:00:00.000Z",
                "matchers": [ { "name": "a", "value": "b", "isRegex": true, "isEqual": false } ],
            }))
            .expect("a silence")
        };
        assert_eq!(
            shown(&[silence("1", "why\nnot"), silence("22", "")]),
            "id  state   matchers  ends at                   created by  comment\n\
             1   active  a!~\"b\"    2026-05-05T12:00:00.000Z  me          why not\n\
             22  active  a!~\"b\"    2026-05-05T12:00:00.000Z  me\n"
        );
    }
}
