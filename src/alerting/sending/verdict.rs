//! What an answer of a receiver means for a page: whether the page itself is at fault, and is refused for good, or what stands
//! between it and whoever is to be told. A destination that is being exchanged, a proxy, a credential that is being
//! rotated: all that comes right without another page, and till then the page is tried again.

use std::time::Duration;

use crate::alerting::notifier::Refusal;

/// Errors of Slack's API that are about the message: <https://docs.slack.dev/reference/methods/chat.postMessage>.
const OF_SLACK: [&str; 19] = [
    "attachment_payload_limit_exceeded",
    "invalid_arg_name",
    "invalid_array_arg",
    "invalid_arguments",
    "invalid_attachments",
    "invalid_blocks",
    "invalid_blocks_format",
    "invalid_charset",
    "invalid_form_data",
    "invalid_json",
    "invalid_metadata_format",
    "invalid_payload",
    "invalid_post_type",
    "json_not_object",
    "markdown_text_conflict",
    "metadata_too_large",
    "msg_blocks_too_long",
    "msg_too_long",
    "no_text",
];

/// What an answer finds fault with, and with that who has to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The page: it would be refused again, however often it is sent.
    Page,
    /// Whatever stands between the page and whoever is to be told; with what to do about it, where that is known.
    Way(&'static str),
    /// The key that goes with every page; with what to do about it.
    Key(&'static str),
}

impl Fault {
    /// Of a status of HTTP (RFC 9110) that is none of success.
    pub const fn of_http(status: u16) -> Self {
        match status {
            400 | 411 | 413 | 415 | 422 => Self::Page,
            300..=399 => Self::Way("the address of the receiver leads elsewhere; write the one that it leads to"),
            401 | 403 => Self::Way("check the credentials of the receiver"),
            404 | 405 | 410 => Self::Way("check the address of the receiver, and that what stands there is up"),
            407 => Self::Way("the proxy on the way wants credentials; check those of `proxy_url`"),
            _ => Self::Way(""),
        }
    }

    /// Of a reply of SMTP (RFC 5321) that is none of success, whose text may begin with an enhanced code (RFC 3463).
    pub fn of_smtp(code: u16, text: &str) -> Self {
        let enhanced = text.split_whitespace().next().filter(|word| word.starts_with("5.") && word.len() > 4);
        match (code, enhanced) {
            // It is too long, or what it says cannot be taken.
            (500.., Some("5.2.3" | "5.3.4")) => Self::Page,
            (552, None) if is_too_long(text) => Self::Page,
            (500.., Some(enhanced)) if enhanced.starts_with("5.6.") => Self::Page,
            (530 | 534 | 535 | 538, _) => {
                Self::Way("check `auth_username` and `auth_password` of the receiver, and `require_tls`")
            }
            (550..=553, _) => {
                Self::Way("check `to` and `from` of the receiver, and whether its server may send for them")
            }
            (500.., _) => Self::Way("check `smarthost` of the receiver, and what its server says"),
            _ => Self::Way(""),
        }
    }

    /// Of an error of Slack's API, which is told with a status of success.
    pub fn of_slack(error: &str) -> Self {
        match error {
            error if OF_SLACK.contains(&error) => Self::Page,
            "ratelimited"
            | "rate_limited"
            | "internal_error"
            | "fatal_error"
            | "service_unavailable"
            | "request_timeout" => Self::Way(""),
            "channel_not_found" | "not_in_channel" | "is_archived" => {
                Self::Way("check `channel` of the receiver, and that its app is a member of it")
            }
            _ => Self::Way("check the app of the receiver, its token and what it may do"),
        }
    }

    /// The refusal: `why` are the receiver's words, `after` is how long it asks to wait.
    pub fn refusal(self, why: String, after: Option<Duration>) -> Refusal {
        match self {
            Self::Page => Refusal::ForGood(why),
            Self::Key(what_to_do) => Refusal::OfKey(format!("{why}; {what_to_do}")),
            Self::Way("") => Refusal::ForNow { why, after },
            Self::Way(what_to_do) => Refusal::ForNow { why: format!("{why}; {what_to_do}"), after },
        }
    }
}

/// Whether the text of a 552 is about the message. In RFC 5321 it means that there is no storage, as where a mailbox is full.
fn is_too_long(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    has(&["size", "large", "big", "long", "length"]) && !has(&["mailbox", "storage", "quota"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_finds_fault_with_the_page_is_for_good() {
        for status in 300..=599 {
            let is_for_good = matches!(Fault::of_http(status).refusal(String::new(), None), Refusal::ForGood(_));
            assert_eq!(is_for_good, [400, 411, 413, 415, 422].contains(&status), "{status}");
        }
        for status in [301, 401, 403, 404, 405, 407, 410] {
            assert_ne!(Fault::of_http(status), Fault::Way(""), "{status}: somebody has to do something");
        }
        for (code, text, is_for_good) in [
            (421, "4.3.2 closing", false),
            (451, "later", false),
            (535, "5.7.8 wrong password", false),
            (530, "5.7.0 log in first", false),
            (550, "5.1.1 no such user", false),
            (550, "5.7.1 relaying denied", false),
            (552, "5.2.2 the mailbox is full", false),
            (552, "message size exceeds fixed limit", true),
            (552, "Message too large", true),
            (552, "Requested mail action aborted: exceeded storage allocation", false),
            (552, "Mailbox size limit exceeded", false),
            (552, "over quota", false),
            (552, "5.3.4 message too big", true),
            (550, "5.2.3 too long", true),
            (554, "5.6.0 malformed", true),
            (554, "5.7.1 relay access denied", false),
            (554, "no SMTP service here", false),
            (503, "5.5.1 bad sequence", false),
        ] {
            assert_eq!(Fault::of_smtp(code, text) == Fault::Page, is_for_good, "{code} {text}");
        }
        for (error, is_for_good) in [
            ("msg_too_long", true),
            ("no_text", true),
            ("invalid_auth", false),
            ("token_revoked", false),
            ("channel_not_found", false),
            ("ratelimited", false),
            ("anything_new", false),
        ] {
            assert_eq!(Fault::of_slack(error) == Fault::Page, is_for_good, "{error}");
        }
    }

    #[test]
    fn a_refusal_for_now_says_what_to_do_and_when() {
        let after = Some(Duration::from_secs(7));
        let Refusal::ForNow { why, after: asked } = Fault::of_http(401).refusal("no".to_owned(), after) else {
            panic!("for now")
        };
        assert_eq!((why.as_str(), asked), ("no; check the credentials of the receiver", after));
        let refusal = Fault::of_http(503).refusal("no".to_owned(), None);
        assert!(matches!(refusal, Refusal::ForNow { why, after: None } if why == "no"));
        let refusal = Fault::Key("check the key").refusal("no".to_owned(), after);
        assert!(matches!(refusal, Refusal::OfKey(why) if why == "no; check the key"));
    }
}
