//! The options of the receiver, as Alertmanager names them, and what is wrong with them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration as StdDuration;

use crate::alerting::sending::{ADDRESS, Credential, Global, LIMIT, Speaker, either, missing, not_here, templates};
use crate::options::http_client::NotSupported;
use crate::options::{Duration, Problem, Secret, Span, Spanned, TlsConfig};

/// The port on which TLS begins with the connection (RFC 8314).
const SUBMISSIONS: u16 = 465;

/// Options of a receiver `email`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "EmailReceiver")]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Whether it is told of what resolved. Default: `false`.
    pub send_resolved: bool,
    /// Whom it is sent to, separated by commas: a template. Required.
    pub to: Spanned<String>,
    /// Whom it comes from: a template. Default: `global.smtp_from`.
    pub from: Option<Spanned<String>>,
    /// How this agent names itself. Default: `global.smtp_hello`, else `localhost`.
    pub hello: Option<Spanned<String>>,
    /// The server that takes the mail: `host:port`. Default: `global.smtp_smarthost`.
    pub smarthost: Option<Spanned<String>>,
    /// The user. Default: `global.smtp_auth_username`; without any, nobody logs in.
    pub auth_username: Option<Spanned<String>>,
    /// The password, by PLAIN or LOGIN. Default: `global.smtp_auth_password`.
    pub auth_password: Option<Spanned<Secret>>,
    /// A file with the password, read again before each mail. Default: `global.smtp_auth_password_file`.
    pub auth_password_file: Option<Spanned<PathBuf>>,
    /// Not supported: the secret of CRAM-MD5. Give `auth_password`.
    pub auth_secret: Option<Spanned<NotSupported>>,
    /// Not supported: the secret of CRAM-MD5. Give `auth_password_file`.
    pub auth_secret_file: Option<Spanned<NotSupported>>,
    /// Not supported: to act for somebody else.
    pub auth_identity: Option<Spanned<NotSupported>>,
    /// Headers by name: templates. `Subject`, `To` and `From` are there unless they are given.
    pub headers: BTreeMap<String, Spanned<String>>,
    /// The mail as HTML: a template whose values are escaped. Default: `{{ template "email.default.html" . }}`.
    pub html: Spanned<String>,
    /// The mail as text: a template. Default: none.
    pub text: Spanned<String>,
    /// Whether it is sent through TLS only. Default: `global.smtp_require_tls`.
    pub require_tls: Option<bool>,
    /// TLS. Default: `global.smtp_tls_config`.
    pub tls_config: Option<Spanned<TlsConfig>>,
    /// Whether TLS begins with the connection, not by STARTTLS. Default: `global.smtp_force_implicit_tls`, else with port
    /// 465.
    pub force_implicit_tls: Option<bool>,
    /// Mails of one group as one thread.
    pub threading: Threading,
    /// Time for one mail. Default: `30s`.
    pub timeout: Spanned<Duration>,
}

/// Mails of one group as one thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "EmailReceiverThreading")]
#[serde(deny_unknown_fields, default)]
pub struct Threading {
    /// Whether they are. Default: `false`.
    pub enabled: bool,
    /// When another thread begins: `daily`, or `none` for never. Default: `daily`.
    pub thread_by_date: ThreadByDate,
}

/// When another thread begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "EmailReceiverThreadByDate")]
#[serde(rename_all = "lowercase")]
pub enum ThreadByDate {
    /// With every day of UTC.
    #[default]
    Daily,
    /// Never.
    None,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            send_resolved: false,
            to: Spanned::default(),
            from: None,
            hello: None,
            smarthost: None,
            auth_username: None,
            auth_password: None,
            auth_password_file: None,
            auth_secret: None,
            auth_secret_file: None,
            auth_identity: None,
            headers: BTreeMap::new(),
            html: Spanned::unknown(r#"{{ template "email.default.html" . }}"#.into()),
            text: Spanned::default(),
            require_tls: None,
            tls_config: None,
            force_implicit_tls: None,
            threading: Threading::default(),
            timeout: Spanned::unknown(Duration(StdDuration::from_secs(30))),
        }
    }
}

/// How mails leave: the receiver's own options, and those of all receivers where it has none.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub host: String,
    pub port: u16,
    pub from: String,
    pub hello: String,
    pub username: Option<String>,
    pub password: Option<Credential>,
    pub require_tls: bool,
    pub implicit_tls: bool,
    pub tls: TlsConfig,
    pub timeout: StdDuration,
}

impl Options {
    /// How mails leave.
    pub(super) fn settings(&self, global: &Global) -> Result<Settings, String> {
        let smarthost = self.smarthost.as_ref().or(global.smtp_smarthost.as_ref());
        let smarthost = smarthost.ok_or("email: `smarthost` is missing")?;
        let (host, port) = host_port(smarthost).ok_or("email: `smarthost` is not host:port")?;
        let given = |own: &Option<Spanned<String>>, of_all: &Option<Spanned<String>>| {
            let text = own.as_ref().or(of_all.as_ref()).map(|text| text.value.clone());
            text.filter(|text| !text.is_empty())
        };
        let password = Credential::of(self.auth_password.as_ref(), self.auth_password_file.as_ref())
            .or_else(|| Credential::of(global.smtp_auth_password.as_ref(), global.smtp_auth_password_file.as_ref()));
        let implicit = self.force_implicit_tls.or(global.smtp_force_implicit_tls);
        let tls = self.tls_config.as_ref().or(global.smtp_tls_config.as_ref());
        Ok(Settings {
            from: given(&self.from, &global.smtp_from).ok_or("email: `from` is missing")?,
            hello: given(&self.hello, &global.smtp_hello).unwrap_or_else(|| "localhost".into()),
            username: given(&self.auth_username, &global.smtp_auth_username),
            password,
            require_tls: self.require_tls.unwrap_or(global.smtp_require_tls),
            implicit_tls: implicit.unwrap_or(port == SUBMISSIONS),
            tls: tls.map(|tls| tls.value.clone()).unwrap_or_default(),
            timeout: self.timeout.0,
            host,
            port,
        })
    }

    /// Everything that is wrong. `whole` is the place of what has none of its own.
    pub fn problems(&self, whole: Span, global: &Global, speaker: &Speaker) -> Vec<Problem> {
        let mut found = Vec::new();
        if self.to.is_empty() {
            missing("`to`", whole, &mut found);
        }
        match self.smarthost.as_ref().or(global.smtp_smarthost.as_ref()) {
            None => missing("`smarthost`, here or as `smtp_smarthost` of `global`,", whole, &mut found),
            Some(written) if host_port(written).is_none() => {
                let message = format!("`{}` is not a host and a port", written.value);
                found.push(Problem::new(ADDRESS, written.span, message).help("write it as mail.example.com:587"));
            }
            Some(_) => {}
        }
        if self.from.as_ref().or(global.smtp_from.as_ref()).is_none_or(|from| from.is_empty()) {
            missing("`from`, here or as `smtp_from` of `global`,", whole, &mut found);
        }
        let file = self.auth_password_file.as_ref();
        let place = file.map_or(whole, |file| file.span);
        either("auth_password", self.auth_password.is_some(), "auth_password_file", file.is_some(), place, &mut found);
        let instead = "give `auth_username` and `auth_password`, by PLAIN or LOGIN through TLS";
        let secrets = [&self.auth_secret, &global.smtp_auth_secret];
        not_here("auth_secret", secrets.into_iter().flatten().next(), instead, &mut found);
        let files = [&self.auth_secret_file, &global.smtp_auth_secret_file];
        not_here("auth_secret_file", files.into_iter().flatten().next(), instead, &mut found);
        let identities = [&self.auth_identity, &global.smtp_auth_identity];
        not_here("auth_identity", identities.into_iter().flatten().next(), "leave it out", &mut found);
        let tls = self.tls_config.as_ref().or(global.smtp_tls_config.as_ref());
        if let Some(newest) = tls.and_then(|tls| tls.max_version.as_ref()) {
            not_here("max_version", Some(newest), "leave it out: the newest that both sides know is taken", &mut found);
        }
        let mut known = Vec::new();
        for (name, value) in &self.headers {
            let lower = name.to_ascii_lowercase();
            let token = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
            let threaded = self.threading.enabled && matches!(lower.as_str(), "references" | "in-reply-to");
            if !token {
                let message = format!("`{name}` is not the name of a header");
                found.push(Problem::new(LIMIT, value.span, message).help("see RFC 5322, 2.2"));
            } else if known.contains(&lower) {
                let message = format!("the header `{name}` is given twice");
                found.push(Problem::new(LIMIT, value.span, message).help("names are the same in any case of letters"));
            } else if threaded {
                let message = format!("the header `{name}` is what `threading` sets");
                found.push(Problem::new(LIMIT, value.span, message).help("leave out one of both"));
            }
            known.push(lower);
        }
        if !(StdDuration::from_secs(1)..=StdDuration::from_secs(600)).contains(&self.timeout.0) {
            let message = format!("`timeout` is {}", self.timeout.value);
            found
                .push(Problem::new(LIMIT, self.timeout.span, message).help("write a time from 1s to 10m, such as 30s"));
        }
        let headers = self.headers.iter().map(|(name, text)| (name.as_str(), text));
        let texts = [("to", &self.to), ("html", &self.html), ("text", &self.text)];
        let from = self.from.as_ref().map(|from| ("from", from));
        templates(headers.chain(texts).chain(from), &speaker.templates, &mut found);
        found.into_iter().map(|problem| problem.at_least(whole)).collect()
    }
}

/// `mail.example.com:587`, `[2001:db8::25]:25`.
fn host_port(written: &str) -> Option<(String, u16)> {
    let (host, port) = written.trim().rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = match bare {
        Some(bare) => bare,
        None if host.contains(':') => return None,
        None => host,
    };
    let port = port.parse().ok().filter(|port| *port != 0)?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smarthost_is_a_host_and_a_port() {
        let read = |text| host_port(text).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(read("mail.example.com:587").as_deref(), Some("mail.example.com 587"));
        assert_eq!(read("[2001:db8::25]:25").as_deref(), Some("2001:db8::25 25"));
        for bad in ["mail.example.com", ":25", "a:0", "a:smtp", "2001:db8::25:25", ""] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
