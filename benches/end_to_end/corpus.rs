//! The corpus: container logs as the kubelet lays them out, made from a seed, so that every run on every
//! machine reads the same bytes.
//!
//! About 340 bytes a record in CRI's format, 8 to 12 keys, 50 shapes interleaved, 1 % split into `P` and `F`,
//! some stack traces, and 5 % decoys that a careless parser gets wrong. Every record carries its number once,
//! as `~00000123~`, so that whoever receives it can tell which ones arrived, and how often.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use fastrand::Rng;

/// Raise when the bytes change: a corpus that exists is used again.
const VERSION: u32 = 1;

/// What to make.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Bytes of all files together, at least.
    pub bytes: u64,
    /// Number of containers, one file each.
    pub files: usize,
    /// The seed.
    pub seed: u64,
}

/// Log files on disk.
#[derive(Debug)]
pub struct Corpus {
    /// The folder with the links that a container runtime makes: `*.log`.
    pub containers: PathBuf,
    /// The files behind the links.
    pub files: Vec<PathBuf>,
    /// Bytes of all files.
    pub bytes: u64,
}

/// The corpus of `spec` below `root`, made if it is not there yet.
pub fn corpus(root: &Path, spec: Spec) -> io::Result<Corpus> {
    let folder = root.join(format!("corpus-v{VERSION}-{}-{}-{}", spec.bytes, spec.files, spec.seed));
    let layout = Layout::new(&folder);
    let complete = folder.join("complete");
    if !complete.exists() {
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let mut records = Records::new(spec.seed);
        for index in 0..spec.files {
            let mut file = BufWriter::with_capacity(1 << 20, File::create(layout.add_container(index)?)?);
            let (mut written, mut buffer) = (0, Vec::new());
            while written < spec.bytes / spec.files as u64 {
                buffer.clear();
                records.push(&mut buffer);
                file.write_all(&buffer)?;
                written += buffer.len() as u64;
            }
            file.into_inner().map_err(io::IntoInnerError::into_error)?;
        }
        File::create(complete)?;
    }
    let files: Vec<_> = (0..spec.files).map(|index| layout.log(index)).collect();
    let bytes = files.iter().map(|file| file.metadata().map(|meta| meta.len())).sum::<io::Result<u64>>()?;
    Ok(Corpus { containers: layout.containers, files, bytes })
}

/// Where the kubelet and the runtime put a container's log.
#[derive(Debug)]
pub struct Layout {
    pods: PathBuf,
    /// The folder of the links.
    pub containers: PathBuf,
}

impl Layout {
    /// The layout below `root`.
    pub fn new(root: &Path) -> Self {
        Self { pods: root.join("pods"), containers: root.join("containers") }
    }

    /// The file that container `index` writes.
    pub fn log(&self, index: usize) -> PathBuf {
        self.pods.join(format!("shop_web-{index}_00000000-0000-4000-8000-{index:012}/app/0.log"))
    }

    /// Makes the folders and the link of a container; returns the path of its log.
    pub fn add_container(&self, index: usize) -> io::Result<PathBuf> {
        let log = self.log(index);
        fs::create_dir_all(log.parent().expect("a log has a folder"))?;
        fs::create_dir_all(&self.containers)?;
        symlink(&log, self.containers.join(format!("web-{index}_shop_app-{index:064x}.log")))?;
        Ok(log)
    }
}

/// Writes records one after the other.
#[derive(Debug)]
pub struct Records {
    random: Rng,
    shapes: Vec<Vec<Key>>,
    next: u32,
    nanos: u64,
    object: Vec<u8>,
}

/// 2026-11-23T00:00:00Z.
const EPOCH: i64 = 1_795_392_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Level,
    Message,
    Number,
    Text(&'static str),
    Integer(&'static str),
    Fraction(&'static str),
    Identity(&'static str),
    Email,
    Address,
}

const OPTIONAL: [Key; 17] = [
    Key::Email,
    Key::Text("logger"),
    Key::Text("method"),
    Key::Text("path"),
    Key::Text("user_agent"),
    Key::Text("region"),
    Key::Text("handler"),
    Key::Integer("status"),
    Key::Integer("bytes"),
    Key::Integer("attempt"),
    Key::Integer("pid"),
    Key::Fraction("duration_ms"),
    Key::Fraction("queue_ms"),
    Key::Identity("trace"),
    Key::Identity("request_id"),
    Key::Identity("session"),
    Key::Address,
];

const WORDS: [&str; 24] = [
    "order", "accepted", "cart", "payment", "stock", "reserved", "customer", "shipping", "label", "printed", "cache",
    "miss", "retry", "after", "timeout", "upstream", "answered", "slowly", "price", "updated", "for", "with",
    "session", "expired",
];

const NUMBER: &[u8] = b"~00000000~";

impl Records {
    /// A writer that always writes the same.
    pub fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let shapes = (0..50).map(|_| shape(&mut random)).collect();
        Self { random, shapes, next: 0, nanos: 0, object: Vec::new() }
    }

    /// Appends a record: usually one line.
    pub fn push(&mut self, out: &mut Vec<u8>) {
        self.nanos += self.random.u64(1_000..2_000_000);
        if self.random.f32() < 0.002 {
            return self.push_stack_trace(out);
        }
        let mut object = std::mem::take(&mut self.object);
        object.clear();
        if self.random.f32() < 0.05 {
            self.push_decoy(&mut object);
        } else {
            let shape = self.random.usize(..self.shapes.len());
            let level = self.level();
            self.push_object(&mut object, shape, level, false);
        }
        self.push_lines(out, &object);
        self.object = object;
    }

    /// Appends one line that holds `text` and the record's number.
    pub fn push_text(&mut self, out: &mut Vec<u8>, text: &str) {
        self.push_header(out, "stderr", "F");
        out.extend_from_slice(text.as_bytes());
        self.push_number(out);
        out.push(b'\n');
    }

    fn push_lines(&mut self, out: &mut Vec<u8>, object: &[u8]) {
        let stream = if self.random.f32() < 0.1 { "stderr" } else { "stdout" };
        let mut rest = object;
        if self.random.f32() < 0.01 {
            let (first, second) = object.split_at(self.random.usize(1..object.len()));
            self.push_header(out, stream, "P");
            out.extend_from_slice(first);
            out.push(b'\n');
            rest = second;
        }
        self.push_header(out, stream, "F");
        out.extend_from_slice(rest);
        out.push(b'\n');
    }

    fn push_header(&self, out: &mut Vec<u8>, stream: &str, tag: &str) {
        let day = self.nanos / 1_000_000_000;
        let date = jiff::Timestamp::from_second(EPOCH + day as i64).expect("the corpus spans hours, not millennia");
        let nanos = self.nanos % 1_000_000_000;
        let date = date.strftime("%Y-%m-%dT%H:%M:%S");
        write!(out, "{date}.{nanos:09}Z {stream} {tag} ").expect("a vector takes everything");
    }

    fn push_number(&mut self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(NUMBER);
        let mut rest = self.next;
        for place in (start + 1..start + 9).rev() {
            out[place] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.next += 1;
    }

    fn push_stack_trace(&mut self, out: &mut Vec<u8>) {
        self.push_text(out, "java.lang.IllegalStateException: stock of 3 is below the 4 ordered ");
        for line in 0..self.random.usize(3..9) {
            self.push_text(out, &format!("\tat com.example.shop.Cart.checkout(Cart.java:{}) ", 100 + line * 17));
        }
    }

    fn level(&mut self) -> &'static str {
        match self.random.u32(..100) {
            0..30 => "debug",
            30..85 => "info",
            85..95 => "warn",
            _ => "error",
        }
    }

    fn push_object(&mut self, out: &mut Vec<u8>, shape: usize, level: &str, spaces: bool) {
        out.push(b'{');
        for index in 0..self.shapes[shape].len() {
            let key = self.shapes[shape][index];
            out.extend_from_slice(match (index, spaces) {
                (0, false) => b"",
                (0, true) => b" ",
                (_, false) => b",",
                (_, true) => b" , ",
            });
            self.push_member(out, key, level, if spaces { " : " } else { ":" });
        }
        out.extend_from_slice(if spaces { b" }" } else { b"}" });
    }

    fn push_member(&mut self, out: &mut Vec<u8>, key: Key, level: &str, colon: &str) {
        const FULL: &str = "a vector takes everything";
        match key {
            Key::Level => write!(out, "\"level\"{colon}\"{level}\"").expect(FULL),
            Key::Number => {
                write!(out, "\"number\"{colon}\"").expect(FULL);
                self.push_number(out);
                out.push(b'"');
            }
            Key::Message => {
                write!(out, "\"msg\"{colon}\"").expect(FULL);
                for word in 0..self.random.usize(9..16) {
                    let space = if word == 0 { "" } else { " " };
                    write!(out, "{space}{}", WORDS[self.random.usize(..WORDS.len())]).expect(FULL);
                }
                out.push(b'"');
            }
            Key::Text(name) => {
                let (one, other) = (self.random.usize(..WORDS.len()), self.random.usize(..WORDS.len()));
                write!(out, "\"{name}\"{colon}\"{}/{}\"", WORDS[one], WORDS[other]).expect(FULL);
            }
            Key::Integer(name) => write!(out, "\"{name}\"{colon}{}", self.random.u32(..100_000)).expect(FULL),
            Key::Fraction(name) => {
                let (whole, part) = (self.random.u32(..900), self.random.u32(..1000));
                write!(out, "\"{name}\"{colon}{whole}.{part:03}").expect(FULL);
            }
            Key::Identity(name) => write!(out, "\"{name}\"{colon}\"{:016x}\"", self.random.u64(..)).expect(FULL),
            Key::Email => {
                write!(out, "\"user_email\"{colon}\"anna.k{}@example.com\"", self.random.u32(..9999)).expect(FULL);
            }
            Key::Address => {
                let [a, b] = [self.random.u8(..), self.random.u8(..)];
                write!(out, "\"client\"{colon}\"10.20.{a}.{b}\"").expect(FULL);
            }
        }
    }

    /// An object whose level a careless parser gets wrong.
    fn push_decoy(&mut self, out: &mut Vec<u8>) {
        const FULL: &str = "a vector takes everything";
        let shape = self.random.usize(..self.shapes.len());
        let level = self.level();
        let kind = self.random.u32(..8);
        match kind {
            0 => self.push_object(out, shape, level, true),
            1 => {
                let mut shuffled = self.shapes[shape].clone();
                self.random.shuffle(&mut shuffled);
                self.shapes.push(shuffled);
                self.push_object(out, self.shapes.len() - 1, level, false);
                self.shapes.pop();
            }
            7 => self.push_object(out, shape, r"d\u0065bug", false),
            _ => {
                let extra = match kind {
                    2 => r#""context":{"level":"debug","id":7}"#,
                    3 => r#""text":"{\"level\":\"debug\"}""#,
                    4 => r#""\u006cevel":"debug""#,
                    5 => r#""text":"a\\\",\"level\":\"debug""#,
                    _ => r#""level":"debug""#,
                };
                self.push_object(out, shape, level, false);
                // Of a key given twice, also in escapes, a reader sees the last.
                if self.random.bool() {
                    out.pop();
                    write!(out, ",{extra}}}").expect(FULL);
                } else {
                    let members = out.split_off(1);
                    write!(out, "{extra},").expect(FULL);
                    out.extend_from_slice(&members);
                }
            }
        }
    }
}

/// 8 to 12 keys in an order of their own.
fn shape(random: &mut Rng) -> Vec<Key> {
    let mut keys = OPTIONAL.to_vec();
    random.shuffle(&mut keys);
    keys.truncate(random.usize(5..10));
    keys.extend([Key::Level, Key::Message, Key::Number]);
    random.shuffle(&mut keys);
    keys
}
