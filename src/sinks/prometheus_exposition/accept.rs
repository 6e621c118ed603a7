//! Which format a scraper gets, by its header `Accept` (RFC 9110, 12.5.1): of what it takes, what it weighs
//! most, and of equals the richest.

use crate::formats::prometheus::{Escaping, ScrapeProtocol};

/// What is offered, the richest first.
const OFFERED: [ScrapeProtocol; 4] = [
    ScrapeProtocol::OpenMetricsText1_0_0,
    ScrapeProtocol::OpenMetricsText0_0_1,
    ScrapeProtocol::PrometheusText1_0_0,
    ScrapeProtocol::PrometheusText0_0_4,
];

/// The format of an answer, and what becomes of names that it cannot quote. Who asks for nothing that is
/// offered gets the oldest format, as Prometheus's clients do.
pub(super) fn negotiate(accept: Option<&str>) -> (ScrapeProtocol, Escaping) {
    let mut best: Option<(u32, ScrapeProtocol, Escaping)> = None;
    for item in accept.unwrap_or_default().split(',') {
        let mut parts = item.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut weight, mut version, mut escaping) = (1000, None, Escaping::Underscores);
        for part in parts {
            let Some((name, value)) = part.split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            match &*name.trim().to_ascii_lowercase() {
                "q" => weight = value.parse::<f32>().map_or(0, |q| (q.clamp(0.0, 1.0) * 1000.0) as u32),
                "version" => version = Some(value.to_owned()),
                "escaping" => escaping = named(value),
                _ => {}
            }
        }
        let Some(protocol) = offered(&media, version.as_deref()).filter(|_| weight > 0) else { continue };
        if best.is_none_or(|(most, ..)| weight > most) {
            best = Some((weight, protocol, escaping));
        }
    }
    best.map_or((ScrapeProtocol::PrometheusText0_0_4, Escaping::Underscores), |(_, protocol, escaping)| {
        (protocol, escaping)
    })
}

/// The first that is offered of this type and version; the oldest of a type where no version is asked for.
fn offered(media: &str, version: Option<&str>) -> Option<ScrapeProtocol> {
    let of_type = |protocol: &ScrapeProtocol| protocol.media_type().split(';').next() == Some(media);
    match (media, version) {
        ("*/*" | "text/*", _) => Some(ScrapeProtocol::PrometheusText0_0_4),
        (_, None) => OFFERED.into_iter().rfind(of_type),
        (_, Some(version)) => OFFERED
            .into_iter()
            .filter(of_type)
            .find(|protocol| protocol.media_type().rsplit_once("version=").is_some_and(|(_, of)| of == version)),
    }
}

fn named(escaping: &str) -> Escaping {
    let all = [Escaping::AllowUtf8, Escaping::Underscores, Escaping::Dots, Escaping::Values];
    all.into_iter().find(|known| known.name() == escaping).unwrap_or(Escaping::Underscores)
}

/// The header `Content-Type` of an answer.
pub(super) fn content_type((protocol, escaping): (ScrapeProtocol, Escaping)) -> String {
    let escapes = matches!(protocol, ScrapeProtocol::OpenMetricsText1_0_0 | ScrapeProtocol::PrometheusText1_0_0);
    let media = protocol.media_type().replace(';', "; ");
    match escapes {
        true => format!("{media}; charset=utf-8; escaping={}", escaping.name()),
        false => format!("{media}; charset=utf-8"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::prometheus::negotiate::{DEFAULT_PROTOCOLS, PROTO_FIRST_PROTOCOLS, accept};

    #[test]
    fn a_scraper_gets_what_it_likes_best_of_what_is_offered() {
        let text = |header: &str| content_type(negotiate(Some(header)));
        let best = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8";
        assert_eq!(text(&accept(DEFAULT_PROTOCOLS, Escaping::AllowUtf8)), best);
        assert_eq!(text(&accept(PROTO_FIRST_PROTOCOLS, Escaping::AllowUtf8)), best, "protobuf is not offered");
        let older = "text/plain; version=0.0.4; charset=utf-8";
        for header in ["*/*", "text/html,*/*;q=0.8", "application/json", "text/plain", "text/plain;version=0.0.4;q=0.5"]
        {
            assert_eq!(text(header), older, "{header}");
        }
        assert_eq!(content_type(negotiate(None)), older);
        let weighed = "application/openmetrics-text;version=1.0.0;q=0.2, text/plain;version=1.0.0;escaping=dots;q=0.9";
        assert_eq!(text(weighed), "text/plain; version=1.0.0; charset=utf-8; escaping=dots");
        assert_eq!(text("application/openmetrics-text;version=1.0.0;q=0"), older);
        assert_eq!(text("application/openmetrics-text"), "application/openmetrics-text; version=0.0.1; charset=utf-8");
    }
}
