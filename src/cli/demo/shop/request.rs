//! A request that the shop serves, as its application traces it: the span of the server, and below it one for each call
//! that it makes. The ids stand in the request's line of the log as well.

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanId, SpanKind, Status, TraceId};

/// A request served.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The trace of its spans.
    pub trace: TraceId,
    /// Its spans; the first is the server's and the parent of the others.
    pub spans: Vec<Part>,
    /// E-mail addresses and card numbers in them.
    pub secrets: u64,
}

/// One span of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its id.
    pub id: SpanId,
    /// What it is called.
    pub name: &'static str,
    /// Which end of a call it is.
    pub kind: SpanKind,
    /// Microseconds before the end of the request at which it began, and ended.
    pub micros: (u64, u64),
    /// What is told of it.
    pub attributes: Vec<KeyValue>,
    /// Whether it failed.
    pub status: Status,
}

impl Request {
    /// A page of the web server that was read from the database, or for which the search did not answer in time.
    pub fn page(
        route: &'static str,
        path: &str,
        (code, millis): (u16, u32),
        user: &str,
        rng: &mut fastrand::Rng,
    ) -> Self {
        let mut request = Self::served("GET", route, path, (code, millis), rng);
        if code == 504 {
            let ask = [("http.request.method", "GET"), ("server.address", "search.shop"), ("error.type", "timeout")];
            request.call("GET search", text(&ask), failed("no answer in time"), rng);
        } else {
            request.call(
                "SELECT items",
                text(&[("db.system.name", "postgresql"), ("db.operation.name", "SELECT")]),
                Status::Unset,
                rng,
            );
            request.say(KeyValue::new("user.email", user.to_owned()));
        }
        request
    }

    /// A payment at the checkout: the order is stored, then the card is charged.
    pub fn payment((accepted, millis): (bool, u32), card: &str, rng: &mut fastrand::Rng) -> Self {
        let code = if accepted { 201 } else { 402 };
        let mut request = Self::served("POST", "POST /orders", "/orders", (code, millis), rng);
        request.call(
            "INSERT orders",
            text(&[("db.system.name", "postgresql"), ("db.operation.name", "INSERT")]),
            Status::Unset,
            rng,
        );
        let url = format!("https://payments.example/v1/charges?card={card}");
        let mut charge =
            text(&[("http.request.method", "POST"), ("server.address", "payments.example"), ("url.full", &url)]);
        charge.push(KeyValue::new("http.response.status_code", i64::from(code)));
        let status = if accepted { Status::Unset } else { failed("declined") };
        request.call("POST payments", charge, status, rng);
        request.secrets += 1;
        request
    }

    /// The span of the server.
    pub fn root(&self) -> &Part {
        &self.spans[0]
    }

    fn served(
        method: &str,
        name: &'static str,
        path: &str,
        (code, millis): (u16, u32),
        rng: &mut fastrand::Rng,
    ) -> Self {
        let route = name.split_once(' ').map_or(name, |(_, route)| route);
        let mut attributes = text(&[("http.request.method", method), ("http.route", route), ("url.path", path)]);
        attributes.push(KeyValue::new("http.response.status_code", i64::from(code)));
        let status = if code >= 500 { failed("upstream timed out") } else { Status::Unset };
        let micros = (u64::from(millis) * 1000, 0);
        let root = Part { id: span_id(rng), name, kind: SpanKind::Server, micros, attributes, status };
        // An id of zeros is none.
        Self { trace: TraceId::from(rng.u128(1..)), spans: vec![root], secrets: 0 }
    }

    /// Adds a call that the request waited for, behind those before it.
    fn call(&mut self, name: &'static str, attributes: Vec<KeyValue>, status: Status, rng: &mut fastrand::Rng) {
        let (begun, _) = self.root().micros;
        let free = if self.spans.len() == 1 { begun } else { self.spans[self.spans.len() - 1].micros.1 };
        let end = free / 4;
        let part =
            Part { id: span_id(rng), name, kind: SpanKind::Client, micros: (free - free / 8, end), attributes, status };
        self.spans.push(part);
    }

    /// Tells of the customer, who must not be known outside.
    fn say(&mut self, secret: KeyValue) {
        self.spans[0].attributes.push(secret);
        self.secrets += 1;
    }
}

fn span_id(rng: &mut fastrand::Rng) -> SpanId {
    SpanId::from(rng.u64(1..))
}

fn failed(why: &'static str) -> Status {
    Status::error(why)
}

fn text(pairs: &[(&'static str, &str)]) -> Vec<KeyValue> {
    pairs.iter().map(|(key, value)| KeyValue::new(*key, (*value).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_lie_within_their_request_one_behind_the_other() {
        let mut rng = fastrand::Rng::with_seed(3);
        let page = Request::page("GET /search", "/search", (504, 40), "", &mut rng);
        assert_eq!((page.spans.len(), page.secrets), (2, 0));
        assert!(matches!(page.spans[1].status, Status::Error { .. }));
        let payment = Request::payment((true, 200), "4111", &mut rng);
        let mut free = payment.root().micros.0;
        for call in &payment.spans[1..] {
            assert!(free >= call.micros.0 && call.micros.0 >= call.micros.1, "{payment:?}");
            free = call.micros.1;
        }
        assert_eq!((payment.spans.len(), payment.secrets), (3, 1));
    }
}
