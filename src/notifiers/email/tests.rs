//! What a mail says; `tests/notifiers` sends it.

use serde_json::{Value as Json, json};

use super::*;
use crate::alerting::sending::tests::{NOW, alert, notification, speaker};
use crate::options::Span;

fn receiver(more: Json) -> Email {
    let mut options = json!({ "to": "on-call@example.com, Second <second@example.com>", "from": "Tailwater <tw@example.com>",
        "smarthost": "mail.example.com:587" });
    options.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    let options: Options = serde_json::from_value(options).expect("options");
    Email::new(&options, &Global::default(), &speaker(), 0).expect("a receiver")
}

fn written(receiver: &Email) -> Vec<u8> {
    let alerts = vec![alert(&[("alertname", "Down"), ("pod", "<a&b>")], NOW.0 - 1000, i64::MAX)];
    let mut pages = receiver.write(&notification(alerts)).expect("a page");
    pages.remove(0).body.to_vec()
}

#[test]
fn a_mail_is_the_same_bytes_however_often_it_is_written() {
    let receiver = receiver(json!({ "text": r#"{{ template "email.default.text" . }}"# }));
    let body = written(&receiver);
    assert_eq!(body, written(&receiver));
    let (envelope, mail) = Envelope::split(&body).expect("a mail");
    let envelope = envelope.lettre().expect("addresses");
    assert_eq!(envelope.from().map(ToString::to_string).as_deref(), Some("tw@example.com"));
    let to: Vec<_> = envelope.to().iter().map(ToString::to_string).collect();
    assert_eq!(to, ["on-call@example.com", "second@example.com"]);
    let mail = String::from_utf8(mail.to_vec()).expect("text");
    for line in [
        "From: Tailwater <tw@example.com>\r\n",
        "To: on-call@example.com, Second <second@example.com>\r\n",
        "Subject: [FIRING:1] Down (<a&b>)\r\n",
        "Date: Sun, 29 Nov 2026 08:00:00 +0000\r\n",
        "MIME-Version: 1.0\r\n",
        "Content-Type: text/plain; charset=utf-8\r\n",
        "Content-Type: text/html; charset=utf-8\r\n",
        "  pod: <a&b>\r\n",
        "<td>&lt;a&amp;b&gt;</td>",
    ] {
        assert!(mail.contains(line), "{line:?} is not in {mail}");
    }
    let id = notification_id(&notification(vec![]), &speaker(), 0);
    assert!(mail.contains(&format!("Message-ID: <{id}@")), "{mail}");
}

#[test]
fn headers_are_templates_and_cannot_end_a_header() {
    let receiver = receiver(json!({
        "headers": { "Subject": "{{ .Status }}\r\nBcc: everybody@example.com", "To": "undisclosed-recipients:;",
            "X-Team": "Müller", "message-id": "<own@example.com>" },
        "threading": { "enabled": true }
    }));
    let body = written(&receiver);
    let mail = String::from_utf8_lossy(&body);
    assert!(mail.contains("Subject: firing  Bcc: everybody@example.com\r\n"), "{mail}");
    assert!(mail.contains("To: undisclosed-recipients:;\r\n"), "{mail}");
    assert!(mail.contains("X-Team: =?utf-8?"), "{mail}");
    assert_eq!(mail.matches("<own@example.com>").count(), 1);
    assert!(!mail.contains("Message-ID: <0") && mail.contains("-2026-11-29@"), "{mail}");
    assert_eq!(mail.matches("<alert-").count(), 2, "References and In-Reply-To: {mail}");
}

#[test]
fn what_is_no_address_fails_as_a_template_does() {
    let receiver = receiver(json!({ "to": "{{ .CommonLabels.team }}" }));
    let alerts = vec![alert(&[("alertname", "Down")], NOW.0 - 1000, i64::MAX)];
    assert!(receiver.write(&notification(alerts)).is_err());
}

#[test]
fn options_that_reach_nobody_are_told() {
    let codes = |options: Json, global: Json| {
        let options: Options = serde_json::from_value(options).expect("the shape is right");
        let global: Global = serde_json::from_value(global).expect("the shape is right");
        let problems = options.problems(Span::UNKNOWN, &global, &speaker());
        problems.into_iter().map(|problem| problem.code.0).collect::<Vec<_>>()
    };
    let all = json!({ "smtp_smarthost": "mail:25", "smtp_from": "a@example.com" });
    assert!(codes(json!({ "to": "b@example.com" }), all.clone()).is_empty());
    for (code, bad) in [
        ("TW1041", json!({})),
        ("TW1043", json!({ "to": "b@example.com", "smarthost": "mail" })),
        ("TW0705", json!({ "to": "b@example.com", "auth_password": "x", "auth_password_file": "/x" })),
        ("TW1042", json!({ "to": "b@example.com", "auth_secret": "x" })),
        ("TW1045", json!({ "to": "b@example.com", "headers": { "A B": "x" } })),
        ("TW1045", json!({ "to": "b@example.com", "headers": { "X": "x", "x": "y" } })),
        (
            "TW1045",
            json!({ "to": "b@example.com", "headers": { "References": "x" }, "threading": { "enabled": true } }),
        ),
        ("TW1044", json!({ "to": "b@example.com", "html": "{{ end }}" })),
        ("TW1045", json!({ "to": "b@example.com", "timeout": "0" })),
    ] {
        assert_eq!(codes(bad.clone(), all.clone()), [code], "{bad}");
    }
    assert_eq!(codes(json!({ "to": "b@example.com" }), json!({})), ["TW1041", "TW1041"]);
}
