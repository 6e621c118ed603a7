//! What is scraped: any number of targets in one process, each on a loopback address of its own, whose values move
//! with every scrape. Names and labels are made once; a scrape copies them and writes the numbers between.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use fastrand::Rng;

/// Where target `index` listens.
pub fn address(index: usize, port: u16) -> SocketAddr {
    let host = Ipv4Addr::new(127, 0, (1 + index / 250) as u8, (1 + index % 250) as u8);
    SocketAddr::V4(SocketAddrV4::new(host, port))
}

/// Serves until the process is killed: `count` targets with so many series each.
pub fn serve(port: u16, count: usize, series: usize, seed: u64) -> io::Result<()> {
    let listeners = (0..count).map(|index| TcpListener::bind(address(index, port))).collect::<io::Result<Vec<_>>>()?;
    for (index, listener) in listeners.into_iter().enumerate() {
        let target = Arc::new(Mutex::new(Target::new(index, series, seed)));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let target = target.clone();
                // A scraper that goes away ends its thread, and nothing else.
                std::thread::spawn(move || answer(stream, &target));
            }
        });
    }
    // The listener that says that all others are there.
    let ready = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let first = Arc::new(Mutex::new(Target::new(0, 1, seed)));
    for stream in ready.incoming() {
        let _ = answer(stream?, &first);
    }
    Ok(())
}

/// Bytes of exposition a sample, averaged over one scrape.
pub fn bytes_per_sample(series: usize, seed: u64) -> f64 {
    let mut body = Vec::new();
    Target::new(0, series, seed).expose(&mut body);
    body.len() as f64 / series as f64
}

fn answer(mut stream: TcpStream, target: &Mutex<Target>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut request, mut body) = (Vec::new(), Vec::new());
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&buffer[..read]);
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        let closes = request.starts_with(b"GET") && request.windows(8).any(|words| words == b"HTTP/1.0");
        request.clear();
        body.clear();
        target.lock().unwrap_or_else(PoisonError::into_inner).expose(&mut body);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(&body)?;
        if closes {
            return Ok(());
        }
    }
}

/// One target.
pub struct Target {
    lines: Vec<Line>,
    random: Rng,
}

struct Line {
    /// Everything before the value, metadata of the family included where it is the first.
    text: Vec<u8>,
    kind: Kind,
    value: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Bucket,
}

/// Series of one family.
const FAMILY: usize = 50;
const METHODS: [&str; 5] = ["GET", "PUT", "POST", "HEAD", "PATCH"];
const CODES: [&str; 5] = ["200", "204", "404", "429", "503"];
const BOUNDS: [&str; 10] = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf"];
const WORDS: [&str; 10] =
    ["cart", "order", "stock", "payment", "session", "price", "customer", "label", "upstream", "cache"];

impl Target {
    /// The target of this number.
    pub fn new(index: usize, series: usize, seed: u64) -> Self {
        let mut random = Rng::with_seed(seed ^ (index as u64) << 32);
        let lines = (0..series).map(|number| Line::new(index, number, &mut random)).collect();
        Self { lines, random }
    }

    /// Moves the values and appends the exposition.
    pub fn expose(&mut self, out: &mut Vec<u8>) {
        for line in &mut self.lines {
            line.expose(&mut self.random, out);
        }
    }
}

/// Name of a family, without `_bucket`.
pub fn family_name(family: usize) -> String {
    let word = WORDS[family % WORDS.len()];
    match kind(family) {
        Kind::Counter => format!("shop_{word}_{family:03}_requests_total"),
        Kind::Gauge => format!("shop_{word}_{family:03}_bytes_in_use"),
        Kind::Bucket => format!("shop_{word}_{family:03}_seconds"),
    }
}

/// What kind of metric a family is, as expositions say it.
pub fn family_kind(family: usize) -> &'static str {
    match kind(family) {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Bucket => "histogram",
    }
}

fn kind(family: usize) -> Kind {
    match family % 5 {
        0..3 => Kind::Counter,
        3 => Kind::Gauge,
        _ => Kind::Bucket,
    }
}

impl Line {
    fn new(index: usize, number: usize, random: &mut Rng) -> Self {
        let (family, place) = (number / FAMILY, number % FAMILY);
        let word = WORDS[family % WORDS.len()];
        let (kind, name, kind_name) = (kind(family), family_name(family), family_kind(family));
        let suffix = if kind == Kind::Bucket { "_bucket" } else { "" };
        let mut text = Vec::new();
        if place == 0 {
            text.extend_from_slice(format!("# HELP {name} What {word} did.\n# TYPE {name} {kind_name}\n").as_bytes());
        }
        let last = match kind {
            Kind::Bucket => format!("le=\"{}\"", BOUNDS[place % BOUNDS.len()]),
            Kind::Counter | Kind::Gauge => format!("part=\"{}\"", place % 10),
        };
        let (method, code) = (METHODS[place / 10], CODES[family % CODES.len()]);
        text.extend_from_slice(
            format!(
                "{name}{suffix}{{namespace=\"shop\",pod=\"web-{index:03}\",method=\"{method}\",code=\"{code}\",\
                 route=\"/{word}/{}\",zone=\"eu-1b\",{last}}} ",
                place % 7
            )
            .as_bytes(),
        );
        Self { text, kind, value: random.u64(..10_000_000) }
    }

    fn expose(&mut self, random: &mut Rng, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.text);
        match self.kind {
            // Some counters rest.
            Kind::Counter => self.value += random.u64(..150).saturating_sub(50),
            Kind::Bucket => self.value += random.u64(..20),
            Kind::Gauge => self.value = random.u64(..10_000_000),
        }
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = self.value;
        let mut push = |digit| {
            at -= 1;
            digits[at] = digit;
        };
        if self.kind == Kind::Gauge {
            for _ in 0..3 {
                push(b'0' + (rest % 10) as u8);
                rest /= 10;
            }
            push(b'.');
        }
        loop {
            push(b'0' + (rest % 10) as u8);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        out.extend_from_slice(&digits[at..]);
        out.push(b'\n');
    }
}
