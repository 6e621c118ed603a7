//! Which format a target answers in: what a scrape asks for, and what the answer says it is. The words and the
//! weights are Prometheus 3's.

use std::fmt::Write;

use super::names::Escaping;

/// A version of an exposition format, under the name that `scrape_protocols` has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub enum ScrapeProtocol {
    /// Protobuf messages, the only format with native histograms.
    PrometheusProto,
    /// OpenMetrics 1.0.0.
    #[serde(rename = "OpenMetricsText1.0.0")]
    OpenMetricsText1_0_0,
    /// OpenMetrics 0.0.1.
    #[serde(rename = "OpenMetricsText0.0.1")]
    OpenMetricsText0_0_1,
    /// Prometheus's text format 1.0.0, which has quoted names.
    #[serde(rename = "PrometheusText1.0.0")]
    PrometheusText1_0_0,
    /// Prometheus's text format 0.0.4.
    #[serde(rename = "PrometheusText0.0.4")]
    PrometheusText0_0_4,
}

/// What a scrape asks for unless it is told otherwise, best first.
pub const DEFAULT_PROTOCOLS: &[ScrapeProtocol] = &[
    ScrapeProtocol::OpenMetricsText1_0_0,
    ScrapeProtocol::OpenMetricsText0_0_1,
    ScrapeProtocol::PrometheusText1_0_0,
    ScrapeProtocol::PrometheusText0_0_4,
];

/// What a scrape that reads native histograms asks for unless it is told otherwise, best first.
pub const PROTO_FIRST_PROTOCOLS: &[ScrapeProtocol] = &[
    ScrapeProtocol::PrometheusProto,
    ScrapeProtocol::OpenMetricsText1_0_0,
    ScrapeProtocol::OpenMetricsText0_0_1,
    ScrapeProtocol::PrometheusText1_0_0,
    ScrapeProtocol::PrometheusText0_0_4,
];

/// Weight of the first protocol in tenths; each further one has a tenth less.
const FIRST_WEIGHT: usize = 7;

impl ScrapeProtocol {
    /// The media type, with its parameters, as it stands in `Accept` and `Content-Type`.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::PrometheusProto => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
            Self::OpenMetricsText1_0_0 => "application/openmetrics-text;version=1.0.0",
            Self::OpenMetricsText0_0_1 => "application/openmetrics-text;version=0.0.1",
            Self::PrometheusText1_0_0 => "text/plain;version=1.0.0",
            Self::PrometheusText0_0_4 => "text/plain;version=0.0.4",
        }
    }

    /// The format that it is a version of.
    pub const fn format(self) -> Format {
        match self {
            Self::PrometheusProto => Format::Protobuf,
            Self::OpenMetricsText1_0_0 | Self::OpenMetricsText0_0_1 => Format::OpenMetrics,
            Self::PrometheusText1_0_0 | Self::PrometheusText0_0_4 => Format::Text,
        }
    }
}

/// An exposition format, by the parser that reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// [`super::TextParser`].
    Text,
    /// [`super::OpenMetricsParser`].
    OpenMetrics,
    /// [`super::ProtobufParser`].
    Protobuf,
}

/// The header `Accept` of a scrape that reads `protocols`, best first, at most six of them.
pub fn accept(protocols: &[ScrapeProtocol], escaping: Escaping) -> String {
    let mut header = String::new();
    let mut weight = FIRST_WEIGHT;
    for protocol in protocols.iter().take(FIRST_WEIGHT - 1) {
        header.push_str(protocol.media_type());
        // Older versions have no names to escape.
        if matches!(protocol, ScrapeProtocol::OpenMetricsText1_0_0 | ScrapeProtocol::PrometheusText1_0_0) {
            let _ = write!(header, ";escaping={}", escaping.name());
        }
        let _ = write!(header, ";q=0.{weight},");
        weight -= 1;
    }
    let _ = write!(header, "*/*;q=0.{weight}");
    header
}

/// An answer whose format is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownFormat {
    /// The header `Content-Type` is missing or empty.
    #[error("the target sent no Content-Type, and the job has no fallback_scrape_protocol")]
    None,
    /// It names something else, or nothing at all.
    #[error("the target sent the unsupported Content-Type `{0}`, and the job has no fallback_scrape_protocol")]
    Unsupported(String),
}

/// The format that an answer's `Content-Type` names, or else that of the fallback.
pub fn format(content_type: Option<&str>, fallback: Option<ScrapeProtocol>) -> Result<Format, UnknownFormat> {
    if let Some(format) = content_type.and_then(named_format) {
        return Ok(format);
    }
    fallback.map(ScrapeProtocol::format).ok_or_else(|| match content_type.map(str::trim) {
        None | Some("") => UnknownFormat::None,
        Some(other) => UnknownFormat::Unsupported(other.chars().take(100).collect()),
    })
}

fn named_format(content_type: &str) -> Option<Format> {
    let (media_type, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let mut version = "";
    for parameter in parameters.split(';').map(str::trim) {
        // A last `;` with nothing behind it is usual; a parameter without a value is not a header that can be read.
        let (name, value) = parameter.split_once('=').or(parameter.is_empty().then_some(("", "")))?;
        if name.trim().eq_ignore_ascii_case("version") {
            version = value.trim().trim_matches('"');
        }
    }
    match media_type.trim().to_ascii_lowercase().as_str() {
        // OpenMetrics 2.0 is another format under the same name; nobody asked for it.
        "application/openmetrics-text" if version.starts_with("2.") => None,
        "application/openmetrics-text" => Some(Format::OpenMetrics),
        "application/vnd.google.protobuf" => Some(Format::Protobuf),
        "text/plain" => Some(Format::Text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_asks_as_prometheus_asks() {
        assert_eq!(
            accept(DEFAULT_PROTOCOLS, Escaping::AllowUtf8),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.7,\
             application/openmetrics-text;version=0.0.1;q=0.6,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3"
        );
        let proto = accept(&PROTO_FIRST_PROTOCOLS[..2], Escaping::Underscores);
        assert_eq!(
            proto,
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,\
             application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.6,*/*;q=0.5"
        );
    }

    #[test]
    fn an_answer_is_what_its_content_type_says_or_the_fallback() {
        let of = |content_type| format(Some(content_type), None);
        assert_eq!(of("text/plain; version=0.0.4; charset=utf-8"), Ok(Format::Text));
        assert_eq!(of("Text/Plain;"), Ok(Format::Text));
        assert_eq!(
            of("application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=dots"),
            Ok(Format::OpenMetrics)
        );
        assert_eq!(of(ScrapeProtocol::PrometheusProto.media_type()), Ok(Format::Protobuf));
        assert_eq!(of("text/html"), Err(UnknownFormat::Unsupported("text/html".into())));
        assert_eq!(of("text/plain; charset"), Err(UnknownFormat::Unsupported("text/plain; charset".into())));
        assert!(of("application/openmetrics-text; version=\"2.0.0\"").is_err());
        assert_eq!(of(" "), Err(UnknownFormat::None));
        assert_eq!(format(None, None), Err(UnknownFormat::None));
        let fallback = Some(ScrapeProtocol::OpenMetricsText0_0_1);
        assert_eq!(format(None, fallback), Ok(Format::OpenMetrics));
        assert_eq!(format(Some("text/html"), fallback), Ok(Format::OpenMetrics));
        assert_eq!(format(Some("text/plain"), fallback), Ok(Format::Text));
    }

    #[test]
    fn protocols_have_prometheus_names() {
        let names: Vec<_> = PROTO_FIRST_PROTOCOLS.iter().map(|protocol| serde_json::json!(protocol)).collect();
        let expected = [
            "PrometheusProto",
            "OpenMetricsText1.0.0",
            "OpenMetricsText0.0.1",
            "PrometheusText1.0.0",
            "PrometheusText0.0.4",
        ];
        assert_eq!(names, expected);
    }
}
