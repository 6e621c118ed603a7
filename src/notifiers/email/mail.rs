//! A mail as it is journalled and sent: who it is from and for (RFC 5321), and its text (RFC 5322, MIME).

use std::time::{Duration, UNIX_EPOCH};

use lettre::address::Envelope as LettreEnvelope;
use lettre::message::header::{ContentType, From, HeaderName, HeaderValue, To};
use lettre::message::{Mailboxes, Message, MultiPart, SinglePart};
use serde::{Deserialize, Serialize};

use super::KIND;
use super::options::{Options, ThreadByDate};
use crate::alerting::WriteError;
use crate::alerting::sending::{Facts, Text};
use crate::alerting::template::Templates;
use crate::data::UnixMillis;

/// The subject unless told.
const SUBJECT: &str = r#"{{ template "email.default.subject" . }}"#;

/// What stands behind the `@` of ids: the mail's own, and those of threads.
const DOMAIN: &str = "tailwater.invalid";

/// Headers that are made here.
const OWN: [&str; 4] = ["date", "mime-version", "content-type", "content-transfer-encoding"];

/// Whom a mail is from and for. In the journal, one line of JSON before the mail.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Envelope {
    from: String,
    to: Vec<String>,
}

impl Envelope {
    /// The envelope and the mail of what was journalled.
    pub fn split(body: &[u8]) -> Option<(Self, &[u8])> {
        let line = body.iter().position(|byte| *byte == b'\n')?;
        Some((serde_json::from_slice(&body[..line]).ok()?, &body[line + 1..]))
    }

    pub fn lettre(&self) -> Option<LettreEnvelope> {
        let to = self.to.iter().map(|to| to.parse().ok()).collect::<Option<Vec<_>>>()?;
        LettreEnvelope::new(Some(self.from.parse().ok()?), to).ok()
    }
}

/// The options that are templates, read.
#[derive(Debug)]
pub(super) struct Texts {
    from: Text,
    to: Text,
    html: Option<Text>,
    text: Option<Text>,
    /// Headers by name, `Subject`, `To` and `From` among them.
    headers: Vec<(String, Text)>,
    threads: Option<ThreadByDate>,
}

impl Texts {
    pub fn compile(options: &Options, from: &str, set: &Templates) -> Result<Self, String> {
        let text = |written: &str| Text::compile(written, set);
        let mut headers = Vec::new();
        for (name, value) in &options.headers {
            if !OWN.contains(&&*name.to_ascii_lowercase()) {
                headers.push((name.clone(), text(&value.value)?));
            }
        }
        for (name, value) in [("Subject", SUBJECT), ("To", &options.to.value), ("From", from)] {
            if !headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                headers.push((name.to_owned(), text(value)?));
            }
        }
        let given = |written: &str| (!written.is_empty()).then(|| text(written)).transpose();
        Ok(Self {
            from: text(from)?,
            to: text(&options.to.value)?,
            html: given(&options.html.value)?,
            text: given(&options.text.value)?,
            headers,
            threads: options.threading.enabled.then_some(options.threading.thread_by_date),
        })
    }

    /// The envelope and the mail, as they are journalled. Nothing of it is left to chance: the same notification makes the
    /// same bytes.
    pub fn mail(&self, facts: &Facts<'_>, now: UnixMillis, key: &str, id: &str) -> Result<Vec<u8>, WriteError> {
        let wrong = |what: &str, why: &dyn std::fmt::Display| WriteError(format!("{KIND}: {what}: {why}"));
        let addresses = |name: &str, text: &Text| {
            let written = text.write(facts)?;
            let read: Mailboxes =
                written.parse().map_err(|error| wrong(&format!("`{name}` is {written:?}"), &error))?;
            Ok::<_, WriteError>(read.into_iter().map(|mailbox| mailbox.email.to_string()).collect::<Vec<_>>())
        };
        let from = addresses("from", &self.from)?;
        let [from] = &from[..] else { return Err(wrong("`from`", &format!("{} addresses, not one", from.len()))) };
        let envelope = Envelope { from: from.clone(), to: addresses("to", &self.to)? };
        if envelope.to.is_empty() {
            return Err(wrong("`to`", &"nobody"));
        }
        let lettre = envelope.lettre().ok_or_else(|| wrong("`to`", &"no addresses"))?;
        let sent = UNIX_EPOCH + Duration::from_millis(u64::try_from(now.0).unwrap_or(0));
        let mut builder = Message::builder().envelope(lettre).date(sent);
        let mut identified = false;
        for (name, text) in &self.headers {
            let value = text.write(facts)?.replace(['\r', '\n'], " ");
            let lower = name.to_ascii_lowercase();
            identified |= lower == "message-id";
            let mailboxes = || value.parse::<Mailboxes>();
            builder = match lower.as_str() {
                "from" => builder.mailbox(From::from(mailboxes().map_err(|error| wrong("`From`", &error))?)),
                // `To` may also be words, such as `undisclosed-recipients:;`.
                "to" if mailboxes().is_ok() => builder.mailbox(To::from(mailboxes().unwrap_or_default())),
                _ => {
                    let known = HeaderName::new_from_ascii(name.clone()).map_err(|error| wrong(name, &error))?;
                    builder.raw_header(HeaderValue::new(known, value.trim().to_owned()))
                }
            };
        }
        if !identified {
            builder = builder.message_id(Some(format!("<{id}@{DOMAIN}>")));
        }
        if let Some(thread) = self.thread(now, key) {
            builder = builder.references(thread.clone()).in_reply_to(thread);
        }
        // Made of the id, so that it is the same however often it is written.
        let boundary = format!("{KIND}-{}", &id[..32]);
        let mut parts = MultiPart::alternative().boundary(boundary).build();
        if let Some(text) = &self.text {
            parts = parts.singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text.write(facts)?));
        }
        if let Some(html) = &self.html {
            parts =
                parts.singlepart(SinglePart::builder().header(ContentType::TEXT_HTML).body(html.write_html(facts)?));
        }
        let message = builder.multipart(parts).map_err(|error| wrong("the mail", &error))?;
        let mut written = serde_json::to_vec(&envelope).map_err(|error| wrong("the envelope", &error))?;
        written.push(b'\n');
        written.extend(message.formatted());
        Ok(written)
    }

    /// The id of a mail that is never sent, to which all of one thread reply.
    fn thread(&self, now: UnixMillis, key: &str) -> Option<String> {
        let day = match self.threads? {
            ThreadByDate::None => String::new(),
            ThreadByDate::Daily => {
                let time = jiff::Timestamp::from_millisecond(now.0).unwrap_or_default();
                format!("-{}", time.strftime("%Y-%m-%d"))
            }
        };
        Some(format!("<alert-{}{day}@{DOMAIN}>", &key[..16]))
    }
}
