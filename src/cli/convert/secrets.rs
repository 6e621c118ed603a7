//! Secrets that a prometheus.yml has inline: the result only says where they are, so that it can be printed, kept
//! in a repository and shown.

use std::path::{Path, PathBuf};

use super::{Conversion, Yaml, component, output, scalar};
use crate::formats::yaml::{Entry, Node, Value};

/// Ways to log in, of which there is one.
pub(super) const LOGINS: [&str; 5] = ["basic_auth", "authorization", "oauth2", "bearer_token", "bearer_token_file"];

/// Parts of the options of an HTTP client that secrets stand in.
const PARTS: [&str; 7] =
    ["basic_auth", "authorization", "oauth2", "tls_config", "endpoint_params", "http_headers", "proxy_connect_header"];

/// Keys below which everything is the user's own: a label called `password` is none.
const NOT_OURS: [&str; 6] =
    ["labels", "params", "relabel_configs", "metric_relabel_configs", "write_relabel_configs", "selectors"];

/// Whose secrets are met.
pub(super) struct Owner {
    /// The beginning of the names that they get.
    name: String,
    /// What the report calls it.
    said: String,
}

impl Owner {
    /// A job or a sink.
    pub fn new(kind: &str, name: &str) -> Self {
        Self { name: component(name), said: format!("the {kind} `{name}`") }
    }
}

impl Conversion<'_> {
    /// What stands behind `key`, with references instead of secrets; nothing where a secret is empty, which is
    /// the same as none.
    pub(super) fn without_secrets(&mut self, owner: &Owner, key: &str, node: &Node, value: Yaml) -> Option<Yaml> {
        self.apart(owner, "", key, node, value)
    }

    /// `part` is the innermost of [`PARTS`] that `key` is in.
    fn apart(&mut self, owner: &Owner, part: &str, key: &str, node: &Node, value: Yaml) -> Option<Yaml> {
        if NOT_OURS.contains(&key) {
            return Some(value);
        }
        let part = PARTS.iter().find(|known| **known == key).map_or(part, |known| *known);
        match (&node.value, value) {
            (Value::Map(entries), Yaml::Map(values)) => {
                let login = if key == "http_sd_configs" { self.login(owner, entries) } else { None };
                let mut kept = Vec::new();
                for (entry, (known, value)) in entries.iter().zip(values) {
                    let value = match &login {
                        Some(_) if LOGINS.contains(&&*entry.key) => None,
                        Some(login) if &*entry.key == "url" => Some(login.url.clone()),
                        // A secret of a header is known by the header's name.
                        _ if part == "http_headers" && &*entry.key == "secrets" => {
                            self.apart(owner, part, key, &entry.node, value)
                        }
                        _ => self.apart(owner, part, &entry.key, &entry.node, value),
                    };
                    kept.extend(value.map(|value| (known, value)));
                }
                kept.extend(login.map(|login| ("basic_auth".to_owned(), login.basic_auth)));
                Some(Yaml::Map(kept))
            }
            (Value::List(items), Yaml::List(values)) => {
                let values = items.iter().zip(values);
                Some(Yaml::List(values.filter_map(|(item, value)| self.apart(owner, part, key, item, value)).collect()))
            }
            (Value::Scalar(scalar), _) if is_secret(part, key, &scalar.text) => {
                let is_there = !scalar.text.is_empty() && !node.is_null();
                is_there.then(|| self.reference(owner, key, &scalar.text, node))
            }
            (_, value) => Some(value),
        }
    }

    /// The reference that stands for a secret, which is told.
    pub(super) fn reference(&mut self, owner: &Owner, key: &str, secret: &str, node: &Node) -> Yaml {
        let (reference, said) = self.secrets.refer(&format!("{}-{}", owner.name, component(key)), secret);
        self.changed(node.span, format!("`{key}` of {} {said}", owner.said));
        Yaml::text(&reference)
    }

    /// The login that stands in the `url` of an HTTP client. It goes before every other, as in Prometheus; those are
    /// told as left out.
    pub(super) fn login(&mut self, owner: &Owner, written: &[Entry]) -> Option<Login> {
        let entry = written.iter().find(|entry| &*entry.key == "url")?;
        let (before, user, password, behind) = login(scalar(&entry.node)?)?;
        let decoded = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
        let mut basic_auth = Vec::new();
        match password {
            // A user alone is a token, more often than not.
            None => basic_auth.push(("username", self.reference(owner, "username", &decoded(user), &entry.node))),
            Some(password) => {
                basic_auth.push(("username", Yaml::text(&decoded(user))));
                let password = decoded(password);
                if !password.is_empty() {
                    basic_auth.push(("password", self.reference(owner, "password", &password, &entry.node)));
                }
            }
        }
        for other in written.iter().filter(|entry| LOGINS.contains(&&*entry.key)) {
            let text = format!("`{}` of {} is left out: the user in `url` goes before it", other.key, owner.said);
            self.lost(other.key_span, text);
        }
        let basic_auth = basic_auth.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Some(Login { url: Yaml::text(&format!("{before}{behind}")), basic_auth: Yaml::Map(basic_auth) })
    }
}

/// What became of an address that had a user in it.
pub(super) struct Login {
    /// The address without it.
    pub url: Yaml,
    /// The login in its own words.
    pub basic_auth: Yaml,
}

/// Whether a header or a parameter of this name carries a secret, as far as a name can tell.
pub(super) fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["auth", "cookie", "credential", "assertion", "key", "passw", "secret", "token"]
        .iter()
        .any(|part| name.contains(part))
}

fn is_secret(part: &str, key: &str, text: &str) -> bool {
    match (part, key) {
        ("basic_auth", "password")
        | ("authorization", "credentials")
        | ("oauth2", "client_secret")
        | ("tls_config", "key")
        | ("proxy_connect_header", _)
        | (_, "bearer_token") => true,
        ("http_headers", key) => !matches!(key, "values" | "files"),
        ("endpoint_params", key) => sounds_secret(key),
        (_, "proxy_url" | "token_url") => login(text).is_some(),
        _ => false,
    }
}

/// What stands before the login of an address, its user, its password, and what stands behind it.
fn login(address: &str) -> Option<(&str, &str, Option<&str>, &str)> {
    let from = address.find("://")? + "://".len();
    let (before, rest) = address.split_at(from);
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let at = rest[..authority].rfind('@')?;
    let (user, password) = match rest[..at].split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (&rest[..at], None),
    };
    Some((before, user, password, &rest[at + 1..]))
}

/// Secrets that were met, to be written beside the result.
pub(super) struct Secrets {
    /// Where they are kept, if the result has a file.
    folder: Option<PathBuf>,
    /// Names, of files or of variables, and values.
    met: Vec<(String, String)>,
    names: Vec<String>,
}

impl Secrets {
    /// Those of a result in this file.
    pub fn new(output: Option<&Path>) -> Self {
        let folder = output.and_then(|output| {
            let mut name = output.file_name()?.to_owned();
            name.push(".secrets");
            std::path::absolute(output.with_file_name(name)).ok()
        });
        Self { folder, met: Vec::new(), names: Vec::new() }
    }

    /// The reference that stands for a secret, and what becomes of it.
    fn refer(&mut self, name: &str, value: &str) -> (String, String) {
        let same = self.names.iter().filter(|known| *known == name).count();
        self.names.push(name.to_owned());
        let name = if same == 0 { name.to_owned() } else { format!("{name}-{}", same + 1) };
        let (name, reference, said) = match &self.folder {
            Some(folder) => {
                let path = folder.join(&name).display().to_string();
                (name, format!("${{file:{path}}}"), format!("is written to {path}"))
            }
            None => {
                let digit = name.starts_with(|first: char| first.is_ascii_digit());
                let variable = format!("{}{name}", if digit { "_" } else { "" }).replace('-', "_").to_uppercase();
                let said = format!("is read from the variable {variable}: set it");
                (variable.clone(), format!("${{env:{variable}}}"), said)
            }
        };
        self.met.push((name, value.to_owned()));
        (reference, said)
    }

    /// What a variable holds once it is set as the report says.
    pub fn variable(&self, name: &str) -> Option<String> {
        let met = self.met.iter().find(|(known, _)| known == name && self.folder.is_none());
        met.map(|(_, value)| value.clone())
    }

    /// The files that they are written to.
    pub fn files(&self) -> Vec<PathBuf> {
        let Some(folder) = &self.folder else { return Vec::new() };
        self.met.iter().map(|(name, _)| folder.join(name)).collect()
    }

    /// Writes them, for their owner alone.
    pub fn write(&self) -> Result<(), String> {
        use std::os::unix::fs::DirBuilderExt;
        let (Some(folder), false) = (&self.folder, self.met.is_empty()) else { return Ok(()) };
        if let Err(error) = std::fs::DirBuilder::new().mode(0o700).create(folder)
            && !folder.is_dir()
        {
            return Err(format!("cannot make the folder {}: {error}", folder.display()));
        }
        self.met.iter().try_for_each(|(name, value)| output::write(&folder.join(name), value))
    }
}

#[cfg(test)]
mod tests {
    use super::login;

    #[test]
    fn the_login_of_an_address_is_found() {
        for (address, found) in [
            ("https://u:p@h:1/w?x=a@b", Some(("https://", "u", Some("p"), "h:1/w?x=a@b"))),
            ("http://u%40x:p:q@r@h", Some(("http://", "u%40x", Some("p:q@r"), "h"))),
            ("http://token@h/", Some(("http://", "token", None, "h/"))),
            ("http://h/a@b", None),
            ("no address: a@b", None),
        ] {
            assert_eq!(login(address), found, "{address}");
        }
    }
}
