//! What the shop's containers say, each in the manner of a logger that people really run. Customers' e-mail
//! addresses and card numbers are planted on purpose: they must not reach the output.

use crate::cli::demo::ledger::Fate;
use crate::data::UnixNanos;
use crate::formats::container::Stream;

use super::kubelet::FRAGMENT;
use super::request::Request;
use super::till::Event;

/// The domain of every e-mail address that the shop logs, and of nothing else.
pub const CUSTOMERS: &str = "customers.example";

/// Card numbers that the shop logs: the well-known ones for tests, with a valid check digit.
pub const CARDS: [&str; 3] = ["4111111111111111", "5555555555554444", "378282246310005"];

/// A container by how it talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// JSON with the level in words; a third of it is debug.
    Web,
    /// JSON as pino writes it, with the level as a number.
    Cart,
    /// JSON with card numbers; now and then a line of 40 KiB.
    Checkout,
    /// Plain text from Java, with stack traces.
    Search,
    /// Access log in the combined format.
    Ingress,
    /// klog.
    Proxy,
    /// Plain text of a job that lives one second.
    Migration,
}

/// One line of a container.
#[derive(Clone, Debug)]
pub struct Utterance {
    /// Where it is written.
    pub stream: Stream,
    /// The line.
    pub text: String,
    /// What the demo's configuration does with it.
    pub fate: Fate,
    /// E-mail addresses and card numbers in it.
    pub secrets: u64,
    /// What the application counts when it says this.
    pub event: Option<Event>,
    /// The request that it is about, as the application traces it.
    pub request: Option<Request>,
}

impl Utterance {
    fn new(stream: Stream, text: String) -> Self {
        Self { stream, text, fate: Fate::Kept, secrets: 0, event: None, request: None }
    }

    fn debug(text: String) -> Self {
        Self { fate: Fate::Dropped, ..Self::new(Stream::Stdout, text) }
    }

    fn counted(mut self, event: Event) -> Self {
        self.event = Some(event);
        self
    }

    fn about(mut self, request: Request) -> Self {
        self.request = Some(request);
        self
    }

    fn with_secrets(mut self, secrets: u64) -> Self {
        self.secrets = secrets;
        self
    }
}

impl Voice {
    /// Namespace, workload and container.
    pub const fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Web => ("shop", "web-6d4cf56db6", "web"),
            Self::Cart => ("shop", "cart-7f9c8b5d44", "cart"),
            Self::Checkout => ("shop", "checkout-5b6f7c9d88", "checkout"),
            Self::Search => ("shop", "search", "search"),
            Self::Ingress => ("ingress", "nginx-85b9d5c6f7", "nginx"),
            Self::Proxy => ("kube-system", "kube-proxy", "kube-proxy"),
            Self::Migration => ("shop", "migrate", "migrate"),
        }
    }

    /// The next lines: one, or all of a stack trace. `sequence` counts what the container said before.
    pub fn speak(self, now: UnixNanos, sequence: u64, rng: &mut fastrand::Rng) -> Vec<Utterance> {
        let line = match self {
            Self::Web => web(sequence, rng),
            Self::Cart => cart(now, sequence, rng),
            Self::Checkout => checkout(sequence, rng),
            Self::Search => return search(now, sequence, rng),
            Self::Ingress => ingress(sequence, rng),
            Self::Proxy => proxy(now, sequence, rng),
            Self::Migration => migration(sequence),
        };
        vec![line]
    }

    /// A line that stands in several lines of the log.
    pub fn speak_long(sequence: u64, rng: &mut fastrand::Rng) -> Utterance {
        let item = format!(r#"{{"sku":"A-{:05}","qty":{}}}"#, rng.u32(0..100_000), rng.u32(1..9));
        let items = vec![item; 5 * FRAGMENT / 2 / 26].join(",");
        let text = format!(r#"{{"level":"info","msg":"order exported","seq":{sequence},"items":[{items}]}}"#);
        Utterance::new(Stream::Stdout, text)
    }
}

const PATHS: [&str; 6] = ["/", "/search?q=teapot", "/item/1138", "/cart", "/checkout", "/assets/app.js"];

/// What spans of requests for them are called.
const ROUTES: [&str; 6] =
    ["GET /", "GET /search", "GET /item/{id}", "GET /cart", "GET /checkout", "GET /assets/{file}"];

const NAMES: [&str; 6] = ["ada", "grace", "edsger", "barbara", "tony", "radia"];

fn email(rng: &mut fastrand::Rng) -> String {
    format!("{}{}@{CUSTOMERS}", pick(&NAMES, rng), rng.u32(0..1000))
}

fn pick<'a>(list: &[&'a str], rng: &mut fastrand::Rng) -> &'a str {
    rng.choice(list).copied().unwrap_or_default()
}

/// The members by which a line says which span it belongs to.
fn ids(request: &Request) -> String {
    format!(r#""trace_id":"{}","span_id":"{}""#, request.trace, request.root().id)
}

fn web(sequence: u64, rng: &mut fastrand::Rng) -> Utterance {
    let page = rng.usize(0..PATHS.len());
    let (path, route, took) = (PATHS[page], ROUTES[page], rng.u32(1..180));
    match rng.u32(0..12) {
        0..4 => Utterance::debug(format!(
            r#"{{"level":"debug","msg":"cache lookup","seq":{sequence},"key":"page:{path}","hit":{}}}"#,
            rng.bool()
        )),
        4 => {
            let request = Request::page(route, path, (504, took), "", rng);
            let text = format!(
                r#"{{"level":"error","msg":"upstream timed out","seq":{sequence},"path":"{path}","status":504,"ms":{took},{}}}"#,
                ids(&request)
            );
            Utterance::new(Stream::Stderr, text).counted(Event::Request { code: 504 }).about(request)
        }
        5 | 6 => {
            // Escaped, as some encoders write it: the address is the same.
            let user = email(rng).replace('@', "\\u0040");
            let text = format!(
                r#"{{"level":"warn","msg":"login failed","seq":{sequence},"user":{{"email":"{user}","tries":{}}}}}"#,
                rng.u32(1..5)
            );
            Utterance::new(Stream::Stdout, text).with_secrets(1)
        }
        _ => {
            let user = email(rng);
            let request = Request::page(route, path, (200, took), &user, rng);
            let text = format!(
                r#"{{"level":"info","msg":"request served","seq":{sequence},"method":"GET","path":"{path}","status":200,"ms":{took},"user_email":"{user}",{}}}"#,
                ids(&request)
            );
            Utterance::new(Stream::Stdout, text).with_secrets(1).counted(Event::Request { code: 200 }).about(request)
        }
    }
}

fn cart(now: UnixNanos, sequence: u64, rng: &mut fastrand::Rng) -> Utterance {
    let millis = now.0 / 1_000_000;
    let item = rng.u32(1000..9999);
    match rng.u32(0..10) {
        0..3 => Utterance::debug(format!(
            r#"{{"level":20,"time":{millis},"pid":7,"seq":{sequence},"msg":"price of {item} read from cache"}}"#
        )),
        3 => Utterance::new(
            Stream::Stdout,
            format!(r#"{{"level":50,"time":{millis},"pid":7,"seq":{sequence},"msg":"item {item} is out of stock"}}"#),
        ),
        _ => Utterance::new(
            Stream::Stdout,
            format!(
                r#"{{"level":30,"time":{millis},"pid":7,"seq":{sequence},"msg":"item {item} added","items":{}}}"#,
                rng.u32(1..12)
            ),
        ),
    }
}

fn checkout(sequence: u64, rng: &mut fastrand::Rng) -> Utterance {
    if rng.u32(0..50) == 0 {
        return Voice::speak_long(sequence, rng);
    }
    let (amount, card) = (f64::from(rng.u32(100..50_000)) / 100.0, pick(&CARDS, rng));
    let accepted = rng.u32(0..8) > 0;
    let (level, msg) = if accepted { ("info", "payment accepted") } else { ("error", "payment declined") };
    let millis = rng.u32(20..400);
    let request = Request::payment((accepted, millis), card, rng);
    let text = format!(
        r#"{{"level":"{level}","msg":"{msg}","seq":{sequence},"ms":{millis},"amount":{amount:.2},"card":"{card}","customer":{{"email":"{}"}},{}}}"#,
        email(rng),
        ids(&request)
    );
    Utterance::new(Stream::Stdout, text).with_secrets(2).counted(Event::Payment { accepted, millis }).about(request)
}

fn search(now: UnixNanos, sequence: u64, rng: &mut fastrand::Rng) -> Vec<Utterance> {
    let clock = clock(now);
    if rng.u32(0..10) > 0 {
        let text = format!(
            "{clock},{:03} INFO  [http-{}] com.shop.search.Query - {} hits for \"teapot\" seq={sequence}",
            now.0 / 1_000_000 % 1000,
            rng.u32(1..9),
            rng.u32(0..400)
        );
        return vec![Utterance::new(Stream::Stdout, text)];
    }
    let frames = [
        format!("{clock},000 ERROR [http-1] com.shop.search.Query - query failed seq={sequence}"),
        "java.util.concurrent.TimeoutException: no answer from shard 3 within 2000 ms".to_owned(),
        "\tat com.shop.search.Shard.ask(Shard.java:118)".to_owned(),
        "\tat com.shop.search.Query.run(Query.java:64)".to_owned(),
        "\tat java.base/java.lang.Thread.run(Thread.java:840)".to_owned(),
        "Caused by: java.net.SocketTimeoutException: Read timed out".to_owned(),
        "\t... 3 more".to_owned(),
    ];
    frames.map(|frame| Utterance::new(Stream::Stderr, frame)).into()
}

fn ingress(sequence: u64, rng: &mut fastrand::Rng) -> Utterance {
    let text = format!(
        r#"10.244.{}.{} - - "GET {} HTTP/1.1" {} {} "https://shop.example/" "curl/8.5.0" seq={sequence}"#,
        rng.u32(0..8),
        rng.u32(2..250),
        pick(&PATHS, rng),
        rng.choice([200, 200, 200, 304, 404, 502]).unwrap_or(200),
        rng.u32(100..90_000),
    );
    Utterance::new(Stream::Stdout, text)
}

fn proxy(now: UnixNanos, sequence: u64, rng: &mut fastrand::Rng) -> Utterance {
    let clock = clock(now);
    let micros = now.0 / 1000 % 1_000_000;
    let (mark, text) = match rng.u32(0..6) {
        0 => ("W", r#"proxier.go:884] "Stale endpoint" service="shop/cart""#),
        _ => ("I", r#"proxier.go:796] "Syncing iptables rules" ipFamily="IPv4""#),
    };
    let text =
        format!("{mark}{}{} {}.{micros:06}       1 {text} seq={sequence}", &clock[5..7], &clock[8..10], &clock[11..]);
    Utterance::new(Stream::Stderr, text)
}

fn migration(sequence: u64) -> Utterance {
    let text = match sequence {
        0 => "starting migration".to_owned(),
        LAST_OF_MIGRATION => "migration done".to_owned(),
        step => format!("applied step {step} seq={sequence}"),
    };
    Utterance::new(Stream::Stdout, text)
}

/// What a migration says last.
pub const LAST_OF_MIGRATION: u64 = 9;

/// `2026-11-23 01:02:03`
fn clock(now: UnixNanos) -> String {
    let mut text = Vec::new();
    now.write_rfc3339(&mut text);
    text.truncate(19);
    String::from_utf8_lossy(&text).replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_valid_and_secrets_are_counted() {
        let mut rng = fastrand::Rng::with_seed(7);
        let now = UnixNanos(1_795_392_123_456_789_012);
        for sequence in 0..500 {
            for voice in [Voice::Web, Voice::Cart, Voice::Checkout] {
                for line in voice.speak(now, sequence, &mut rng) {
                    serde_json::from_str::<serde_json::Value>(&line.text).expect("valid JSON");
                    let emails = line.text.matches(CUSTOMERS).count();
                    let cards: usize = CARDS.iter().map(|card| line.text.matches(card).count()).sum();
                    assert_eq!(line.secrets, (emails + cards) as u64, "{}", line.text);
                    if let Some(request) = &line.request {
                        assert!(line.text.contains(&request.root().id.to_string()), "{}", line.text);
                    }
                    assert_eq!(
                        line.text.contains(r#""level":"debug""#) || line.text.contains(r#""level":20"#),
                        line.fate == Fate::Dropped
                    );
                }
            }
        }
        assert!(Voice::speak_long(1, &mut rng).text.len() > 2 * FRAGMENT);
    }
}
