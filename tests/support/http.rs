//! HTTP/1.1 (RFC 9112) as far as tests need it: reading a message off a connection, writing one, and one
//! whole exchange with a server. It knows nothing of the agent's own client, which is what is under test.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The head and the body of a request or an answer.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Request line or status line.
    pub first_line: String,
    /// Header fields, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body as it was sent.
    pub body: Vec<u8>,
}

impl Message {
    /// The status of an answer.
    pub fn status(&self) -> u16 {
        self.first_line.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_default()
    }

    /// The body without its compression.
    pub fn inflated(&self) -> Vec<u8> {
        if self.headers.get("content-encoding").is_none_or(|encoding| encoding != "gzip") {
            return self.body.clone();
        }
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(self.body.as_slice()).read_to_end(&mut text).expect("the agent sends valid gzip");
        text
    }

    /// The message as it goes over a connection; the body's length is always given.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = format!("{}\r\n", self.first_line).into_bytes();
        for (name, value) in &self.headers {
            if name != "transfer-encoding" && name != "content-length" {
                out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
            }
        }
        out.extend_from_slice(format!("content-length: {}\r\n\r\n", self.body.len()).as_bytes());
        out.extend_from_slice(&self.body);
        out
    }
}

/// Reads one message; `None` where the connection ended before or within it. `left` holds what was read
/// beyond it. A body without a length goes on until the connection ends, which only an answer may do.
pub async fn read<S: AsyncRead + Unpin>(stream: &mut S, left: &mut Vec<u8>, is_answer: bool) -> Option<Message> {
    let head = loop {
        if let Some(end) = left.windows(4).position(|window| window == b"\r\n\r\n") {
            break left.drain(..end + 4).collect::<Vec<u8>>();
        }
        more(stream, left).await?;
    };
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let first_line = lines.next()?.to_owned();
    let fields = lines.filter_map(|line| line.split_once(':'));
    let headers: BTreeMap<String, String> =
        fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let mut message = Message { first_line, headers, body: Vec::new() };
    if message.headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        message.body = read_chunks(stream, left).await?;
    } else if let Some(length) = message.headers.get("content-length") {
        let length: usize = length.parse().ok()?;
        while left.len() < length {
            more(stream, left).await?;
        }
        message.body = left.drain(..length).collect();
    } else if is_answer {
        while more(stream, left).await.is_some() {}
        message.body = std::mem::take(left);
    }
    Some(message)
}

async fn read_chunks<S: AsyncRead + Unpin>(stream: &mut S, left: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = loop {
            if let Some(end) = left.windows(2).position(|window| window == b"\r\n") {
                break left.drain(..end + 2).collect::<Vec<u8>>();
            }
            more(stream, left).await?;
        };
        let size = std::str::from_utf8(&line).ok()?.trim().split(';').next()?.to_owned();
        let size = usize::from_str_radix(&size, 16).ok()?;
        while left.len() < size + 2 {
            more(stream, left).await?;
        }
        body.extend(left.drain(..size));
        left.drain(..2);
        if size == 0 {
            return Some(body);
        }
    }
}

async fn more<S: AsyncRead + Unpin>(stream: &mut S, left: &mut Vec<u8>) -> Option<()> {
    let mut buffer = vec![0; 64 * 1024];
    match stream.read(&mut buffer).await {
        Ok(0) | Err(_) => None,
        Ok(read) => {
            left.extend_from_slice(&buffer[..read]);
            Some(())
        }
    }
}

/// Sends one request over a connection of its own; `None` where no whole answer came.
pub async fn exchange(to: SocketAddr, mut request: Message) -> Option<Message> {
    request.headers.insert("connection".into(), "close".into());
    request.headers.entry("host".into()).or_insert_with(|| to.to_string());
    let (mut reader, mut writer) = TcpStream::connect(to).await.ok()?.into_split();
    // A server may answer before it has read everything, and then read no further.
    let write = async {
        let written = writer.write_all(&request.bytes()).await;
        (written, writer)
    };
    let mut left = Vec::new();
    let (answer, _written) = tokio::join!(read(&mut reader, &mut left, true), write);
    answer
}
