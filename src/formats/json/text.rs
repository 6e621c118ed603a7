//! The content of JSON strings: escaped, unescaped and compared, and the few other scalars that are
//! written by hand. Text is bytes until here: an invalid sequence becomes U+FFFD at this edge.

use base64::Engine;

/// Length of the escape that begins at the front of `text` (a backslash), if it is one of JSON's.
pub fn valid_escape(text: &[u8]) -> Option<usize> {
    match text.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => text.get(2..6)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

/// Appends `text` as the content of a JSON string, without the quotes.
pub fn escape(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len());
    for part in text.utf8_chunks() {
        escape_str(part.valid().as_bytes(), out);
        if !part.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// Appends `text` as a JSON string with its quotes.
pub fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text, out);
    out.push(b'"');
}

/// What stands for a byte in a JSON string: 0 the byte itself, `u` a `\u00XX`, else the letter behind
/// the backslash.
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = b'u';
        control += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

fn escape_str(text: &[u8], out: &mut Vec<u8>) {
    let mut clean = 0;
    for (at, &byte) in text.iter().enumerate() {
        let letter = ESCAPES[usize::from(byte)];
        if letter == 0 {
            continue;
        }
        out.extend_from_slice(&text[clean..at]);
        clean = at + 1;
        out.extend_from_slice(&[b'\\', letter]);
        if letter == b'u' {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.extend_from_slice(&[b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
    out.extend_from_slice(&text[clean..]);
}

/// Appends the text that `content` (of a JSON string, without its quotes) stands for. A lone surrogate
/// becomes U+FFFD; a backslash that begins no escape stands for itself.
pub fn unescape(content: &[u8], out: &mut Vec<u8>) {
    let mut rest = content;
    while let Some(clean) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..clean]);
        let (char, len) = escaped_char(&rest[clean..]);
        out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &rest[clean + len..];
    }
    out.extend_from_slice(rest);
}

/// Whether `content` (of a JSON string, without its quotes) stands for `text`.
pub fn unescaped_eq(content: &[u8], text: &[u8]) -> bool {
    unescaped_prefix(content, text) == Some(&[])
}

/// Whether `content` (of a JSON string, without its quotes) stands for text that begins with `prefix`:
/// then what follows it, still escaped.
pub fn unescaped_prefix<'a>(content: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (mut content, mut prefix) = (content, prefix);
    while let Some((&wanted, prefix_rest)) = prefix.split_first() {
        let (&byte, content_rest) = content.split_first()?;
        if byte == b'\\' {
            let (char, len) = escaped_char(content);
            prefix = prefix.strip_prefix(char.encode_utf8(&mut [0; 4]).as_bytes())?;
            content = &content[len..];
        } else if byte == wanted {
            (content, prefix) = (content_rest, prefix_rest);
        } else {
            return None;
        }
    }
    Some(content)
}

/// The character that the escape at the front of `text` stands for, and the escape's length.
pub fn escaped_char(text: &[u8]) -> (char, usize) {
    let plain = |char| (char, 2);
    match text.get(1) {
        Some(b'"') => plain('"'),
        Some(b'\\') => plain('\\'),
        Some(b'/') => plain('/'),
        Some(b'b') => plain('\u{8}'),
        Some(b'f') => plain('\u{c}'),
        Some(b'n') => plain('\n'),
        Some(b'r') => plain('\r'),
        Some(b't') => plain('\t'),
        Some(b'u') => match (code_unit(text), text.get(6..).and_then(code_unit)) {
            (Some(high @ 0xd800..0xdc00), Some(low @ 0xdc00..0xe000)) => {
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
            }
            (Some(unit), _) => (char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
            (None, _) => ('\\', 1),
        },
        _ => ('\\', 1),
    }
}

/// The UTF-16 code unit of the `\uXXXX` at the front of `text`.
fn code_unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.first_chunk::<4>()?;
    digits.iter().try_fold(0, |code, &digit| Some(code << 4 | char::from(digit).to_digit(16)?))
}

/// Appends an integer.
pub fn write_int(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    write_uint(value.unsigned_abs(), out);
}

/// Appends an integer without sign.
pub fn write_uint(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a double as the shortest number that reads back the same. One that is not finite becomes the
/// string that protobuf's JSON mapping gives it: `"NaN"`, `"Infinity"` or `"-Infinity"`.
pub fn write_double(value: f64, out: &mut Vec<u8>) {
    use std::io::Write;
    // Writing into a vector cannot fail.
    let _ = if value.is_nan() {
        out.write_all(b"\"NaN\"")
    } else if value.is_infinite() {
        out.write_all(if value > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" })
    } else {
        serde_json::to_writer(&mut *out, &value).map_err(Into::into)
    };
}

/// Appends bytes in hexadecimal, lower case, without quotes.
pub fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.extend(bytes.iter().flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]));
}

/// The bytes that hexadecimal digits, of either case, stand for; `None` in place of what are none.
pub fn hex_digits(text: &[u8]) -> impl Iterator<Item = Option<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.chunks(2).map(move |pair| match *pair {
        [high, low] => Some((digit(high)? << 4 | digit(low)?) as u8),
        _ => None,
    })
}

/// Appends bytes as a JSON string in base64 (RFC 4648, with padding), the way OTLP's JSON shows them.
pub fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let room = "four bytes of room for every three";
    base64::engine::general_purpose::STANDARD.encode_slice(bytes, &mut out[start..]).expect(room);
    out.push(b'"');
}
