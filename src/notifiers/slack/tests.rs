//! What is written, and where it goes; `tests/notifiers` sends it.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use super::*;
use crate::alerting::sending::tests::{NOW, alert, notification, speaker};
use crate::options::Span;

fn message(options: Json) -> Json {
    let options: Options = serde_json::from_value(options).expect("options");
    let slack = Slack::new(&options, &Global::default(), &speaker(), 0).expect("a receiver");
    let alerts = vec![alert(&[("alertname", "Down"), ("pod", "a-1")], NOW.0 - 1000, i64::MAX)];
    let pages = slack.write(&notification(alerts)).expect("a page");
    assert!(pages[0].body[..ID].iter().all(u8::is_ascii_hexdigit));
    serde_json::from_slice(&pages[0].body[ID..]).expect("JSON")
}

#[test]
fn a_message_has_one_attachment_in_slacks_words() {
    let url = "http://127.0.0.1/hook";
    assert_eq!(
        message(json!({ "api_url": url })),
        json!({
            "username": "Tailwater",
            "attachments": [{
                "title": "[FIRING:1] Down (a-1)",
                "title_link": "http://tailwater.example/alerts?receiver=page",
                "text": "",
                "fallback": "[FIRING:1] Down (a-1) http://tailwater.example/alerts?receiver=page",
                "callback_id": "",
                "footer": "",
                "color": "danger",
                "mrkdwn_in": ["fallback", "pretext", "text"]
            }]
        })
    );
    let full = message(json!({
        "api_url": url, "channel": "#{{ .CommonLabels.pod }}", "username": "", "icon_emoji": ":siren:", "link_names": true,
        "message_text": "look", "title": "x".repeat(2000), "short_fields": true, "mrkdwn_in": ["text"],
        "fields": [{ "title": "pod", "value": "{{ .CommonLabels.pod }}" }, { "title": "a", "value": "b", "short": false }],
        "actions": [
            { "type": "button", "text": "rule", "url": "{{ (index .Alerts 0).GeneratorURL }}", "name": "left out" },
            { "type": "button", "text": "silence", "name": "silence", "value": "1", "confirm": { "text": "sure?" } }
        ]
    }));
    assert_eq!((&full["channel"], &full["text"], &full["link_names"]), (&json!("#a-1"), &json!("look"), &json!(true)));
    assert_eq!(full.get("username"), None);
    let attachment = &full["attachments"][0];
    assert_eq!(attachment["title"].as_str().map(|title| title.chars().count()), Some(MOST_TITLE));
    assert_eq!(
        attachment["fields"],
        json!([{ "title": "pod", "value": "a-1", "short": true }, { "title": "a", "value": "b", "short": false }])
    );
    assert_eq!(
        attachment["actions"],
        json!([
            { "type": "button", "text": "rule", "url": "http://tailwater.example/graph?g0.expr=up" },
            { "type": "button", "text": "silence", "name": "silence", "value": "1", "confirm": { "text": "sure?" } }
        ])
    );
}

#[test]
fn an_answer_of_200_may_be_none_of_success() {
    let answer = |kind: &'static str, body: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        let retry_after = Some(Duration::from_secs(1));
        Answer { status: StatusCode::OK, headers, retry_after, body: body.into(), trailers: HeaderMap::new() }
    };
    let taken = |kind, body| fault(&answer(kind, body)).is_none();
    assert!(taken("text/html", "ok"));
    assert!(taken("application/json; charset=utf-8", r#"{"ok":true,"ts":"1.2"}"#));
    assert!(taken("application/json", r#"{"success":true}"#));
    let is_for_good = |kind, body| fault(&answer(kind, body)) == Some(Fault::Page);
    assert!(is_for_good("application/json", r#"{"ok":false,"error":"msg_too_long"}"#));
    for (kind, body) in [
        ("text/html", "no_service"),
        ("text/html", "<p>we are back soon</p>"),
        ("application/json", r#"{"ok":false,"error":"channel_not_found"}"#),
        ("application/json", r#"{"ok":false,"error":"ratelimited"}"#),
        ("application/json", r#"{"ok":false}"#),
        ("application/json", "{"),
    ] {
        assert!(!taken(kind, body) && !is_for_good(kind, body), "{body}");
    }
}

#[test]
fn a_webhook_of_its_own_goes_before_a_token_of_all() {
    let global: Global = serde_json::from_value(json!({ "slack_app_token_file": "/token" })).expect("options");
    let destination = |options: Json, global: &Global| {
        let options: Options = serde_json::from_value(options).expect("options");
        options.destination(global).map(|(to, http)| match to {
            options::Destination::Webhook(_) => "webhook".to_owned(),
            options::Destination::App(url) => {
                let file = http.authorization.as_ref().and_then(|login| login.credentials_file.clone());
                format!("{url} {}", file.map_or("a token".into(), |file| file.display().to_string()))
            }
        })
    };
    let app = "https://slack.com/api/chat.postMessage";
    assert_eq!(destination(json!({ "api_url": "http://a/b" }), &global).as_deref(), Ok("webhook"));
    assert_eq!(destination(json!({}), &global), Ok(format!("{app} /token")));
    let own = json!({ "app_token": "xoxb-1", "app_url": "http://127.0.0.1/post" });
    assert_eq!(destination(own, &global).as_deref(), Ok("http://127.0.0.1/post a token"));
    assert!(destination(json!({}), &Global::default()).is_err());
}

#[test]
fn options_that_reach_nobody_are_told() {
    let codes = |options: Json| {
        let options: Options = serde_json::from_value(options).expect("the shape is right");
        let problems = options.problems(Span::UNKNOWN, &Global::default(), &speaker());
        problems.into_iter().map(|problem| problem.code.0).collect::<Vec<_>>()
    };
    let url = "https://hooks.slack.com/services/x";
    assert!(codes(json!({ "api_url": url })).is_empty());
    for (code, bad) in [
        ("TW1041", json!({})),
        ("TW0705", json!({ "api_url": url, "api_url_file": "/url" })),
        ("TW0705", json!({ "api_url": url, "app_token": "t" })),
        ("TW1043", json!({ "api_url": "hooks.slack.com" })),
        ("TW1043", json!({ "api_url": "https://hooks.slack.com/{{ .CommonLabels.team }}" })),
        ("TW1042", json!({ "api_url": url, "update_message": true })),
        ("TW1041", json!({ "api_url": url, "fields": [{ "title": "a" }] })),
        ("TW1041", json!({ "api_url": url, "actions": [{ "type": "button", "text": "a" }] })),
        ("TW1044", json!({ "api_url": url, "title": "{{ if }}" })),
    ] {
        assert_eq!(codes(bad.clone()), [code], "{bad}");
    }
}
