//! The wire format of Protocol Buffers, read without copying: <https://protobuf.dev/programming-guides/encoding/>.
//!
//! A message is an iterator over its fields. Lengths are checked against what is there before anything is
//! looked at; messages in messages are read by the caller, so depth is the caller's. Groups are refused.

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// It ends within a field.
    #[error("it ends within a field")]
    Short,
    /// A varint has more than 64 bits.
    #[error("a varint is longer than 64 bits")]
    Varint,
    /// A field number of 0 or above the limit, or a wire type that is not known.
    #[error("a field's tag is wrong")]
    Tag,
    /// A field has another wire type than its message says.
    #[error("a field has the wrong type")]
    Type,
    /// A string is not UTF-8.
    #[error("a string is not valid UTF-8")]
    Utf8,
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// `int32`, `int64`, `uint32`, `uint64`, `sint32`, `sint64`, `bool`, enumerations.
    Varint(u64),
    /// `fixed64`, `sfixed64`, `double`.
    Fixed64(u64),
    /// `fixed32`, `sfixed32`, `float`.
    Fixed32(u32),
    /// `string`, `bytes`, messages, packed fields.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// A varint.
    pub fn varint(self) -> Result<u64, WireError> {
        if let Self::Varint(value) = self { Ok(value) } else { Err(WireError::Type) }
    }

    /// A `sint64` or `sint32`: zigzag.
    pub fn zigzag(self) -> Result<i64, WireError> {
        self.varint().map(zigzag)
    }

    /// A `double`.
    pub fn double(self) -> Result<f64, WireError> {
        if let Self::Fixed64(bits) = self { Ok(f64::from_bits(bits)) } else { Err(WireError::Type) }
    }

    /// A `fixed64`, or the bits of an `sfixed64`.
    pub fn fixed64(self) -> Result<u64, WireError> {
        if let Self::Fixed64(bits) = self { Ok(bits) } else { Err(WireError::Type) }
    }

    /// A `fixed32`, or the bits of an `sfixed32`.
    pub fn fixed32(self) -> Result<u32, WireError> {
        if let Self::Fixed32(bits) = self { Ok(bits) } else { Err(WireError::Type) }
    }

    /// Bytes or a message.
    pub fn bytes(self) -> Result<&'a [u8], WireError> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(WireError::Type) }
    }

    /// A string.
    pub fn text(self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| WireError::Utf8)
    }

    /// Values of a `repeated` field of varints, packed or not, handed to `each`.
    pub fn each_varint(self, mut each: impl FnMut(u64)) -> Result<(), WireError> {
        match self {
            Self::Varint(value) => each(value),
            Self::Bytes(mut packed) => {
                while !packed.is_empty() {
                    each(take_varint(&mut packed)?);
                }
            }
            _ => return Err(WireError::Type),
        }
        Ok(())
    }

    /// Values of a `repeated fixed64`, packed or not, handed to `each`.
    pub fn each_fixed64(self, mut each: impl FnMut(u64)) -> Result<(), WireError> {
        match self {
            Self::Fixed64(bits) => each(bits),
            Self::Bytes(packed) => {
                let (numbers, rest) = packed.as_chunks::<8>();
                if !rest.is_empty() {
                    return Err(WireError::Short);
                }
                numbers.iter().for_each(|bytes| each(u64::from_le_bytes(*bytes)));
            }
            _ => return Err(WireError::Type),
        }
        Ok(())
    }

    /// Values of a `repeated double`, packed or not, handed to `each`.
    pub fn each_double(self, mut each: impl FnMut(f64)) -> Result<(), WireError> {
        self.each_fixed64(|bits| each(f64::from_bits(bits)))
    }
}

/// The number that a zigzag varint stands for.
pub const fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// The zigzag varint that stands for a number.
pub const fn to_zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

/// The fields of a message in the order in which they stand. Ends at the first error.
#[derive(Clone, Debug)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The fields of `message`.
    pub const fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// What has not been read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The next field: its number and value; `None` at the end.
    #[inline(always)]
    pub fn field(&mut self) -> Result<Option<(u32, Value<'a>)>, WireError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = take_varint(&mut self.0)?;
        let number = tag >> 3;
        if number == 0 || number >= 1 << 29 {
            return Err(WireError::Tag);
        }
        let value = match tag & 7 {
            0 => Value::Varint(take_varint(&mut self.0)?),
            1 => Value::Fixed64(u64::from_le_bytes(take_array(&mut self.0)?)),
            2 => Value::Bytes(take_delimited(&mut self.0)?),
            5 => Value::Fixed32(u32::from_le_bytes(take_array(&mut self.0)?)),
            _ => return Err(WireError::Tag),
        };
        Ok(Some((number as u32, value)))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        field.transpose()
    }
}

/// Takes a varint from the front.
#[inline(always)]
pub fn take_varint(bytes: &mut &[u8]) -> Result<u64, WireError> {
    let (value, rest) = match *bytes {
        [first, rest @ ..] if *first < 0x80 => (u64::from(*first), rest),
        // Lengths of most messages.
        [first, second, rest @ ..] if *second < 0x80 => (u64::from(first & 0x7f) | u64::from(*second) << 7, rest),
        longer => long_varint(longer)?,
    };
    *bytes = rest;
    Ok(value)
}

#[cold]
fn long_varint(bytes: &[u8]) -> Result<(u64, &[u8]), WireError> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        if index == 9 && *byte > 1 {
            return Err(WireError::Varint);
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((value, &bytes[index + 1..]));
        }
    }
    Err(if bytes.len() >= 10 { WireError::Varint } else { WireError::Short })
}

/// Takes a length and as many bytes from the front.
#[inline(always)]
pub fn take_delimited<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], WireError> {
    let length = take_varint(bytes)?;
    let length = usize::try_from(length).map_err(|_| WireError::Short)?;
    let (taken, rest) = bytes.split_at_checked(length).ok_or(WireError::Short)?;
    *bytes = rest;
    Ok(taken)
}

#[inline(always)]
fn take_array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], WireError> {
    let (taken, rest) = bytes.split_first_chunk::<N>().ok_or(WireError::Short)?;
    *bytes = rest;
    Ok(*taken)
}

/// Appends a varint.
#[inline]
pub fn push_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes that a varint takes.
#[inline]
pub const fn varint_len(value: u64) -> usize {
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// Appends a field of bytes, a string or a message.
pub fn push_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    push_varint(u64::from(number) << 3 | 2, out);
    push_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends a varint field.
pub fn push_uint(number: u32, value: u64, out: &mut Vec<u8>) {
    push_varint(u64::from(number) << 3, out);
    push_varint(value, out);
}

/// Appends a `fixed64` or `sfixed64` field.
pub fn push_fixed64(number: u32, value: u64, out: &mut Vec<u8>) {
    push_varint(u64::from(number) << 3 | 1, out);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a `fixed32` or `sfixed32` field.
pub fn push_fixed32(number: u32, value: u32, out: &mut Vec<u8>) {
    push_varint(u64::from(number) << 3 | 5, out);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a field that is a message, as `write` appends its content.
pub fn push_message(number: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let open = open_message(number, out);
    write(out);
    open.close(out);
}

/// Appends what stands before a field of `length` bytes that the caller appends.
pub fn push_header(number: u32, length: usize, out: &mut Vec<u8>) {
    push_varint(u64::from(number) << 3 | 2, out);
    push_varint(length as u64, out);
}

/// Bytes of a field of `length` bytes with what stands before it.
pub const fn delimited_len(number: u32, length: usize) -> usize {
    varint_len((number as u64) << 3) + varint_len(length as u64) + length
}

/// A message that is being appended and whose length is not known yet.
#[derive(Clone, Copy, Debug)]
pub struct Open {
    /// Where its tag begins.
    tag: usize,
    /// Where its length begins.
    length: usize,
    /// Where its content begins.
    content: usize,
}

/// Begins a field that is a message: what is appended until [`Open::close`] is its content.
#[inline]
pub fn open_message(number: u32, out: &mut Vec<u8>) -> Open {
    // Most messages are short, so one byte is kept free for the length; the content of others moves once.
    open_message_of(number, 0, out)
}

/// The same for a message that will be about so long: it need not move.
#[inline]
pub fn open_message_of(number: u32, about: usize, out: &mut Vec<u8>) -> Open {
    let tag = out.len();
    push_varint(u64::from(number) << 3 | 2, out);
    let length = out.len();
    push_varint(about as u64, out);
    Open { tag, length, content: out.len() }
}

impl Open {
    /// Ends the message.
    #[inline]
    pub fn close(self, out: &mut Vec<u8>) {
        let length = out.len() - self.content;
        let (kept, needed) = (self.content - self.length, varint_len(length as u64));
        if kept != needed {
            if kept < needed {
                out.resize(out.len() + needed - kept, 0);
            }
            out.copy_within(self.content..self.content + length, self.length + needed);
            out.truncate(self.length + needed + length);
        }
        let mut rest = length;
        let (last, more) = out[self.length..self.length + needed].split_last_mut().expect("a varint has a byte");
        for place in more {
            *place = rest as u8 | 0x80;
            rest >>= 7;
        }
        *last = rest as u8;
    }

    /// Where the message's tag stands.
    pub const fn start(self) -> usize {
        self.tag
    }

    /// What was appended to the message so far.
    pub fn content(self, out: &[u8]) -> &[u8] {
        &out[self.content..]
    }

    /// Makes the message empty again.
    pub fn clear(self, out: &mut Vec<u8>) {
        out.truncate(self.content);
    }

    /// Whether nothing was appended yet.
    pub fn is_empty(self, out: &[u8]) -> bool {
        out.len() == self.content
    }

    /// Takes the message back, with what was appended since.
    pub fn cancel(self, out: &mut Vec<u8>) {
        out.truncate(self.tag);
    }
}

/// Appends a `double` field.
pub fn push_double(number: u32, value: f64, out: &mut Vec<u8>) {
    push_fixed64(number, value.to_bits(), out);
}

#[cfg(test)]
mod tests;
