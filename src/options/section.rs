//! Root sections of the configuration that belong to one part of the agent: `admin`, `health`, …

use std::any::Any;
use std::net::SocketAddr;

use super::{Problem, Spanned};

/// A section, read: of the type that its owner downcasts to.
pub type Value = Box<dyn Any + Send + Sync>;

/// How the registry knows a root section: one constant beside the part that it configures.
pub struct Section {
    /// The root key.
    pub name: &'static str,
    /// One sentence for the reference.
    pub summary: &'static str,
    /// Reads the section; the value is of the type that the section's owner downcasts to.
    pub plan: fn(&mut dyn erased_serde::Deserializer<'_>) -> Result<Value, erased_serde::Error>,
    /// The value when the section is absent.
    pub default: fn() -> Value,
    /// Everything that is wrong with the value beyond its shape, each with its place.
    pub problems: fn(&(dyn Any + Send + Sync)) -> Vec<Problem>,
    /// The addresses that the section's owner listens on, each with its place.
    pub listeners: fn(&(dyn Any + Send + Sync)) -> Vec<Spanned<SocketAddr>>,
    /// The JSON Schema of the section.
    pub schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
}
