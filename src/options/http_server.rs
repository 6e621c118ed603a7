//! How a component that receives data over HTTP listens, and whom it lets in. A component puts these keys
//! beside its own with [`Joined`](super::Joined). What they do is in `net::http_server`.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{ByteSize, Code, Listen, Problem, Secret, Spanned};

const LIMITS: Code = Code("TW0714");
const LOGINS: Code = Code("TW0715");

/// Options of a server that receives data.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpServerOptions {
    /// Address and port to listen on. Default: loopback at the port that the component's page names. With
    /// `0.0.0.0` other machines can send too: then give `tls` and `login`, or keep the port behind a policy of
    /// the network.
    pub listen: Option<Spanned<Listen>>,
    /// TLS. Default: none, HTTP in plain text.
    pub tls: Option<ServerTls>,
    /// What a client must know. Default: nothing.
    pub login: Option<Spanned<Login>>,
    /// Most bytes of a request's body as it is sent; a larger one is refused with 413. Default: `64MiB`.
    pub max_body: Spanned<ByteSize>,
    /// Most bytes of a request's body without its compression; a larger one is refused with 413. Default:
    /// `64MiB`.
    pub max_inflated: Spanned<ByteSize>,
    /// Most connections at one time; more wait. Default: `512`.
    pub max_connections: Spanned<u32>,
}

impl Default for HttpServerOptions {
    fn default() -> Self {
        Self {
            listen: None,
            tls: None,
            login: None,
            max_body: Spanned::unknown(ByteSize(64 << 20)),
            max_inflated: Spanned::unknown(ByteSize(64 << 20)),
            max_connections: Spanned::unknown(512),
        }
    }
}

/// TLS of a server.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    /// A PEM file with the server's certificate and its chain. Read again when it changes, as are the others.
    pub cert_file: PathBuf,
    /// A PEM file with the private key of the certificate.
    pub key_file: PathBuf,
    /// A PEM file with the authorities whose certificates clients must show. Default: clients show none.
    #[serde(default)]
    pub client_ca_file: Option<PathBuf>,
}

/// What a client must know: a bearer token, or a user and a password.
#[derive(Clone, Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Login {
    /// The token of `Authorization: Bearer …`.
    pub bearer_token: Option<Secret>,
    /// The user of `Authorization: Basic …`.
    pub username: Option<String>,
    /// The password of that user.
    pub password: Option<Secret>,
}

impl HttpServerOptions {
    /// The address to listen on, where `default` is the component's own; `None` where it is `off`.
    pub fn address(&self, default: Listen) -> Option<SocketAddr> {
        self.listener(default).map(|address| address.value)
    }

    /// The same, and where it was written.
    pub fn listener(&self, default: Listen) -> Option<Spanned<SocketAddr>> {
        self.listen.clone().unwrap_or_else(|| Spanned::unknown(default)).address()
    }

    /// What is wrong beyond the shape.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        for (name, size) in [("max_body", &self.max_body), ("max_inflated", &self.max_inflated)] {
            if !(1 << 10..=1 << 30).contains(&size.0) {
                let message = format!("`{name}` is {}", size.value);
                found.push(Problem::new(LIMITS, size.span, message).help("write a size from 1KiB to 1GiB"));
            }
        }
        if !(1..=65_536).contains(&self.max_connections.value) {
            let message = format!("`max_connections` is {}", self.max_connections.value);
            let problem = Problem::new(LIMITS, self.max_connections.span, message);
            found.push(problem.help("write a number from 1 to 65536"));
        }
        if let Some(login) = &self.login {
            let one = match (&login.bearer_token, &login.username, &login.password) {
                (Some(_), None, None) | (None, Some(_), Some(_)) => true,
                (Some(token), ..) => token.expose().is_empty(),
                _ => false,
            };
            if !one {
                let message = "`login` is neither a token nor a user with a password";
                let help = "give `bearer_token`, or `username` and `password`";
                found.push(Problem::new(LOGINS, login.span, message).help(help));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(options: serde_json::Value) -> Vec<&'static str> {
        let options: HttpServerOptions = serde_json::from_value(options).expect("the shape is right");
        options.problems().into_iter().map(|problem| problem.code.0).collect()
    }

    #[test]
    fn limits_and_logins_are_checked() {
        assert!(codes(serde_json::json!({})).is_empty());
        assert!(codes(serde_json::json!({ "login": { "bearer_token": "x" } })).is_empty());
        assert!(codes(serde_json::json!({ "login": { "username": "x", "password": "y" } })).is_empty());
        for login in [
            serde_json::json!({}),
            serde_json::json!({ "username": "x" }),
            serde_json::json!({ "bearer_token": "x", "username": "x", "password": "y" }),
        ] {
            assert_eq!(codes(serde_json::json!({ "login": login })), ["TW0715"], "{login}");
        }
        let bad = serde_json::json!({ "max_body": "1B", "max_inflated": "2GiB", "max_connections": 0 });
        assert_eq!(codes(bad), ["TW0714", "TW0714", "TW0714"]);
    }

    #[test]
    fn it_listens_on_loopback_unless_told() {
        let address = |options: serde_json::Value| {
            let options: HttpServerOptions = serde_json::from_value(options).expect("the shape is right");
            options.address(Listen::loopback(9411)).map(|address| address.to_string())
        };
        assert_eq!(address(serde_json::json!({})).as_deref(), Some("127.0.0.1:9411"));
        assert_eq!(address(serde_json::json!({ "listen": "0.0.0.0:80" })).as_deref(), Some("0.0.0.0:80"));
        assert_eq!(address(serde_json::json!({ "listen": "off" })), None);
    }
}
