//! A place in an exposition, and the small things that both text formats are made of.

use memchr::{memchr, memchr2, memchr3};

use super::error::Fault;

/// A place in a body.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    pub body: &'a [u8],
    pub at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0 }
    }

    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.body.get(self.at..).unwrap_or_default()
    }

    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    pub fn eat(&mut self, byte: u8) -> bool {
        let eaten = self.peek() == Some(byte);
        self.at += usize::from(eaten);
        eaten
    }

    pub fn eat_all(&mut self, text: &[u8]) -> bool {
        let eaten = self.rest().starts_with(text);
        self.at += if eaten { text.len() } else { 0 };
        eaten
    }

    pub fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Bytes up to one that `ends`.
    pub fn until(&mut self, ends: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|byte| ends(*byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// The rest of the line, without its newline, which is passed.
    pub fn line(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let length = memchr(b'\n', rest).unwrap_or(rest.len());
        self.at += (length + 1).min(rest.len());
        &rest[..length]
    }

    /// A metric's name as it may stand outside quotes; empty where there is none.
    pub fn metric_name(&mut self) -> &'a [u8] {
        if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return &[];
        }
        self.until(|byte| !(byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':'))
    }

    /// A label's name as it may stand outside quotes; empty where there is none.
    pub fn label_name(&mut self) -> &'a [u8] {
        if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return &[];
        }
        self.until(|byte| !(byte.is_ascii_alphanumeric() || byte == b'_'))
    }

    /// What stands between double quotes, still escaped.
    pub fn quoted(&mut self, newlines: bool) -> Result<&'a [u8], Fault> {
        if !self.eat(b'"') {
            return Err(Fault::Quote);
        }
        let start = self.at;
        loop {
            let rest = self.rest();
            let found = if newlines { memchr2(b'"', b'\\', rest) } else { memchr3(b'"', b'\\', b'\n', rest) };
            self.at += found.ok_or(Fault::Unclosed)?;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(&self.body[start..self.at - 1]);
                }
                Some(b'\\') if !matches!(self.body.get(self.at + 1), None | Some(b'\n')) => self.at += 2,
                _ => return Err(Fault::Unclosed),
            }
        }
    }
}
