//! The history that queries read: 10,000 counters, as many gauges in two metrics, and 1,000 classic histograms of ten
//! buckets, a sample every 15 s, written by remote write 1.0.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::TcpStream;

use fastrand::Rng;

/// Seconds between samples.
pub const STEP: i64 = 15;
/// Samples of each series: 100 steps, and five minutes before them.
pub const SAMPLES: i64 = 120;
/// Series of a metric.
pub const SERIES: usize = 10_000;

/// Upper bounds of the buckets.
const BOUNDS: [&str; 10] = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf"];

struct Series {
    labels: Vec<u8>,
    value: f64,
    is_counter: bool,
}

/// Writes the history, whose last sample is at `end` (seconds since 1970), to each of these receivers.
pub fn write(receivers: &[&str], end: i64, seed: u64) -> Result<(), Box<dyn Error>> {
    let mut random = Rng::with_seed(seed);
    let mut all = series();
    let begin = end - (SAMPLES - 1) * STEP;
    for sample in 0..SAMPLES {
        for part in all.chunks_mut(5_000) {
            let mut body = Vec::new();
            for series in part {
                series.value = match series.is_counter {
                    true => series.value + random.u32(..100) as f64,
                    false => random.u32(..1_000_000) as f64 / 1e3,
                };
                let mut one = series.labels.clone();
                let mut point = vec![0x09];
                point.extend_from_slice(&series.value.to_le_bytes());
                point.push(0x10);
                varint(((begin + sample * STEP) * 1000) as u64, &mut point);
                field(0x12, &point, &mut one);
                field(0x0a, &one, &mut body);
            }
            let packed = snap::raw::Encoder::new().compress_vec(&body)?;
            for receiver in receivers {
                post(receiver, &packed)?;
            }
        }
    }
    Ok(())
}

fn series() -> Vec<Series> {
    let mut all = Vec::new();
    let mut add = |labels: &[(&str, &str)], is_counter| {
        let mut encoded = Vec::new();
        for (name, value) in labels {
            let mut label = Vec::new();
            field(0x0a, name.as_bytes(), &mut label);
            field(0x12, value.as_bytes(), &mut label);
            field(0x0a, &label, &mut encoded);
        }
        all.push(Series { labels: encoded, value: 0.0, is_counter });
    };
    for number in 0..SERIES {
        let (l, group) = (number.to_string(), (number % 100).to_string());
        add(&[("__name__", "a_total"), ("group", &group), ("l", &l)], true);
        add(&[("__name__", "b"), ("group", &group), ("l", &l)], false);
        add(&[("__name__", "c"), ("group", &group), ("l", &l)], false);
    }
    for number in 0..SERIES / BOUNDS.len() {
        let l = number.to_string();
        for bound in BOUNDS {
            add(&[("__name__", "h_bucket"), ("l", &l), ("le", bound)], true);
        }
    }
    all
}

fn field(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Posts a body of remote write 1.0.
fn post(receiver: &str, body: &[u8]) -> io::Result<()> {
    let (address, path) = receiver.split_once('/').unwrap_or((receiver, ""));
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "POST /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/x-protobuf\r\n\
         content-encoding: snappy\r\nx-prometheus-remote-write-version: 0.1.0\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_ascii_whitespace().nth(1) {
        Some(code) if code.starts_with('2') => Ok(()),
        _ => Err(io::Error::other(format!("{receiver} answered: {answer}"))),
    }
}
