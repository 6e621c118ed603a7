//! Where a part of the agent listens: `listen: "127.0.0.1:7780"`, or `off`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

use super::Spanned;

/// An address to listen on, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Nothing listens.
    Off,
    /// This address and port; port 0 takes a free one.
    On(SocketAddr),
}

impl Listen {
    /// Loopback at this port.
    pub const fn loopback(port: u16) -> Self {
        Self::On(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }

    /// Reads `127.0.0.1:7780`, `[::1]:7780`, `localhost:7780` or `off`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "off" {
            return Some(Self::Off);
        }
        let numeric =
            text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
        numeric.parse().ok().map(Self::On)
    }

    /// The address; `None` for `off`.
    pub const fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::On(address) => Some(address),
        }
    }

    /// Whether other machines can reach it.
    pub const fn is_exposed(&self) -> bool {
        match self {
            Self::Off => false,
            Self::On(address) => !address.ip().is_loopback(),
        }
    }
}

impl Spanned<Listen> {
    /// The address, and where it was written; `None` for `off`.
    pub fn address(&self) -> Option<Spanned<SocketAddr>> {
        self.value.address().map(|value| Spanned { span: self.span, value })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::On(address) => address.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;

        impl Visitor<'_> for Visit {
            type Value = Listen;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address and a port, such as \"127.0.0.1:7780\" or \"0.0.0.0:7780\", or `off`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Listen, E> {
                Listen::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }

            fn visit_bool<E: Error>(self, on: bool) -> Result<Listen, E> {
                if on { Err(E::invalid_value(Unexpected::Bool(on), &self)) } else { Ok(Listen::Off) }
            }
        }

        deserializer.deserialize_any(Visit)
    }
}

impl schemars::JsonSchema for Listen {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Listen".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "An address and a port, `127.0.0.1:7780`, or `off`.",
            "oneOf": [{ "const": false }, { "type": "string", "pattern": r"^(off|.+:[0-9]{1,5})$" }]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses_and_off() {
        let read = |text| serde_json::from_str::<Listen>(text).ok();
        assert_eq!(read("\"localhost:7780\""), Some(Listen::loopback(7780)));
        assert_eq!(read("\"off\""), Some(Listen::Off));
        assert_eq!(read("false"), Some(Listen::Off));
        assert!(read("\"0.0.0.0:1\"").is_some_and(|listen| listen.is_exposed()));
        assert!(read("\"[::1]:1\"").is_some_and(|listen| !listen.is_exposed()));
        for bad in ["\"7780\"", "true", "\"example.org:80\"", "\"127.0.0.1:99999\""] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
