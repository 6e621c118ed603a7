//! OTLP, the OpenTelemetry Protocol: <https://opentelemetry.io/docs/specs/otlp/> 1.10, messages of
//! <https://github.com/open-telemetry/opentelemetry-proto> 1.11.

pub mod json;

#[cfg(test)]
mod random;
