//! The secrets that `redact` knows by name: where they may begin, and what proves one.
//!
//! Every pattern has an anchor that a line without the secret seldom has: an `@`, the `eyJ` with which the
//! base64 of `{"` begins, a run of thirteen digits. Anchors are searched with SIMD; only where one stands
//! are bytes looked at one by one. Each search is linear in the text.

use std::sync::LazyLock;

use memchr::memchr_iter;
use memchr::memmem::Finder;

use super::digits;

/// A known kind of secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// Payment cards: 13 to 19 digits that begin as issuers' numbers do (3 to 6, 22 to 27, 81, 82, 9792)
    /// and pass the Luhn check, in one run or in groups of at least four (the last may be shorter) with a
    /// space or a dash between them. What stands in a longer word of hexadecimal digits or behind a decimal
    /// point is none.
    CardNumber,
    /// E-mail addresses: a local part, `@` and a host with a dot whose last label is no number.
    Email,
    /// JSON Web Tokens: `eyJ…` followed by at least two more parts behind dots, signed, encrypted or neither.
    Jwt,
    /// What follows `Bearer` and a space: at least 8 characters that HTTP allows in a token.
    BearerToken,
    /// Access keys of AWS: `AKIA` or `ASIA` and 16 capital letters or digits.
    AwsAccessKey,
    /// Addresses of IPv4: four numbers from 0 to 255 with dots between them.
    Ipv4,
    /// Social security numbers of the United States, written with dashes: `123-45-6789`.
    UsSsn,
}

/// Where a secret stands.
pub type Place = (usize, usize);

impl Pattern {
    /// Its name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CardNumber => "card_number",
            Self::Email => "email",
            Self::Jwt => "jwt",
            Self::BearerToken => "bearer_token",
            Self::AwsAccessKey => "aws_access_key",
            Self::Ipv4 => "ipv4",
            Self::UsSsn => "us_ssn",
        }
    }

    /// Whether an escape next to a digit can hide one.
    pub const fn is_of_digits(self) -> bool {
        matches!(self, Self::CardNumber | Self::Ipv4 | Self::UsSsn)
    }

    /// Tells `found` of every one in `text`, in order, until it answers `false`; returns whether it never did.
    pub fn each(self, text: &[u8], found: &mut dyn FnMut(Place) -> bool) -> bool {
        match self {
            Self::CardNumber => digits::cards(text, found),
            Self::UsSsn => digits::us_ssns(text, found),
            Self::Email => anchored(text, memchr_iter(b'@', text), email, found),
            Self::Ipv4 => anchored(text, memchr_iter(b'.', text), ipv4, found),
            Self::Jwt => anchored(text, JWT.find_iter(text), jwt, found),
            Self::BearerToken => {
                anchored(text, BEARER[0].find_iter(text), bearer_token, found)
                    && anchored(text, BEARER[1].find_iter(text), bearer_token, found)
            }
            Self::AwsAccessKey => anchored(text, AWS.find_iter(text), aws_access_key, found),
        }
    }
}

// Searchers made once: making one costs more than searching a short text.
static JWT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"eyJ"));
static BEARER: LazyLock<[Finder<'static>; 2]> = LazyLock::new(|| [Finder::new(b"earer "), Finder::new(b"EARER ")]);
static AWS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"IA"));

fn anchored(
    text: &[u8],
    anchors: impl Iterator<Item = usize>,
    at: fn(&[u8], usize) -> Option<Place>,
    found: &mut dyn FnMut(Place) -> bool,
) -> bool {
    let mut done = 0;
    for anchor in anchors {
        if anchor < done {
            continue;
        }
        if let Some(place) = at(text, anchor) {
            done = place.1;
            if !found(place) {
                return false;
            }
        }
    }
    true
}

/// Length of the bytes from `at` on that are `allowed`.
fn run(text: &[u8], at: usize, allowed: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.iter().position(|&b| !allowed(b)).unwrap_or(rest.len())
}

/// Whether the letter at `at` ends an escape such as `\n` and so belongs to no word.
pub fn is_escape(text: &[u8], at: usize) -> bool {
    at > 0 && text[at - 1] == b'\\' && matches!(text[at], b'n' | b't' | b'r' | b'b' | b'f')
}

/// No local part and no host is longer (RFC 5321, 4.5.3.1): it bounds the way back from an `@`.
const MOST_LOCAL: usize = 320;

/// Whether there is an `@` that may be an address's, be its host written with escapes.
pub fn has_address(text: &[u8]) -> bool {
    memchr_iter(b'@', text).any(|at| {
        let before = |n: usize| at.checked_sub(n).map(|at| text[at]);
        let quoted = before(1) == Some(b'"') && before(2) == Some(b'\\');
        let host = |&b: &u8| b.is_ascii_alphanumeric() || b >= 0x80 || b == b'\\';
        (quoted || before(1).is_some_and(local)) && text.get(at + 1).is_some_and(host)
    })
}

/// What a local part is made of, but for what hardly any has and texts have around addresses.
fn local(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b >= 0x80 || b"._%+-'!#$*^~".contains(&b)
}

fn email(text: &[u8], at: usize) -> Option<Place> {
    // Most of an `@` that is no address is told by its neighbours: `"@timestamp"`, `@ `.
    let (before, behind) = (*text.get(at.checked_sub(1)?)?, *text.get(at + 1)?);
    if !(behind.is_ascii_alphanumeric() || behind >= 0x80) {
        return None;
    }
    let mut from = at;
    let least = at.saturating_sub(MOST_LOCAL);
    if before == b'"' {
        // A quoted local part: `"john doe"@example.org`, its quotes perhaps escaped.
        let inner = &text[least..at - 1];
        from = memchr::memrchr(b'"', inner).map_or(at - 1, |quote| least + quote);
    } else {
        while from > least && local(text[from - 1]) && !is_escape(text, from - 1) {
            from -= 1;
        }
        // Quotes and bullets around an address are not its own.
        from += run(&text[..at], from, |b| b"'.*#!~".contains(&b));
        if from == at && local(before) {
            from = at - 1;
        }
    }
    let to = host(text, at + 1)?;
    (from < at).then_some((from, to))
}

/// Behind the host that begins at `at`: labels with dots, the last of at least two letters or an
/// internationalised one.
fn host(text: &[u8], at: usize) -> Option<usize> {
    let of_label = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b >= 0x80;
    let (mut from, mut end) = (at, None);
    loop {
        let len = run(text, from, of_label);
        let label = &text[from..from + len];
        if from > at {
            // A last label may be followed by what is no part of a name: `a@b.com-` is an address and a dash.
            let letters = run(label, 0, |b| b.is_ascii_alphabetic() || b >= 0x80);
            if label.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"xn--")) {
                end = Some(from + len);
            } else if letters >= 2 {
                let whole = run(label, letters, |b| b.is_ascii_alphanumeric()) == 0;
                end = if whole { Some(from + letters) } else { Some(from + len) };
            }
        }
        if len == 0 || text.get(from + len) != Some(&b'.') {
            return end;
        }
        from += len + 1;
    }
}

/// The alphabet of base64url (RFC 4648, section 5).
fn base64url(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'-' || b == b'_'
}

fn jwt(text: &[u8], at: usize) -> Option<Place> {
    let begins = at == 0 || !base64url(text[at - 1]) || is_escape(text, at - 1);
    if !begins {
        return None;
    }
    let header = run(text, at, base64url);
    if header < 8 {
        return None;
    }
    let (mut end, mut parts) = (at + header, 1);
    while parts < 5 && text.get(end) == Some(&b'.') {
        end += 1 + run(text, end + 1, base64url);
        parts += 1;
    }
    (parts >= 3).then_some((at, end))
}

fn bearer_token(text: &[u8], at: usize) -> Option<Place> {
    if at == 0 || !text[at - 1].eq_ignore_ascii_case(&b'b') {
        return None;
    }
    let from = at + 6 + run(text, at + 6, |b| b == b' ');
    // `token68` of RFC 9110, section 11.2.
    let len = run(text, from, |b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b));
    (len >= 8).then_some((from, from + len))
}

fn aws_access_key(text: &[u8], at: usize) -> Option<Place> {
    let from = at.checked_sub(2)?;
    let (begins, key) =
        (from == 0 || !text[from - 1].is_ascii_alphanumeric() || is_escape(text, from - 1), &text[from..]);
    let len = run(key, 0, |b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let ends = key.get(len).is_none_or(|b| !b.is_ascii_alphanumeric());
    (begins && ends && len == 20 && matches!(&key[..4], b"AKIA" | b"ASIA")).then_some((from, from + len))
}

fn ipv4(text: &[u8], at: usize) -> Option<Place> {
    let digits = text[..at].iter().rev().take(4).take_while(|b| b.is_ascii_digit()).count();
    let from = at - digits;
    let inside = |b: u8| b.is_ascii_alphanumeric() || b == b'.';
    if digits == 0 || digits > 3 || (from > 0 && inside(text[from - 1]) && !is_escape(text, from - 1)) {
        return None;
    }
    let mut end = from;
    for part in 0..4 {
        if part > 0 {
            if text.get(end) != Some(&b'.') {
                return None;
            }
            end += 1;
        }
        let len = run(text, end, |b| b.is_ascii_digit());
        let number = text[end..end + len].iter().take(4).fold(0, |n, b| n * 10 + u32::from(b - b'0'));
        if !(1..=3).contains(&len) || number > 255 {
            return None;
        }
        end += len;
    }
    let more = match text.get(end) {
        Some(b'.') => text.get(end + 1).is_some_and(u8::is_ascii_digit),
        Some(b) => b.is_ascii_alphanumeric() || *b == b'_',
        None => false,
    };
    (!more).then_some((from, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: Pattern, text: &str) -> Vec<&str> {
        let mut places = Vec::new();
        pattern.each(text.as_bytes(), &mut |place| {
            places.push(place);
            true
        });
        places.into_iter().map(|(from, to)| &text[from..to]).collect()
    }

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("mail bob@example.com.", vec!["bob@example.com"]),
            ("<a.b+c@mail.example.co.uk>,x_y@d.io", vec!["a.b+c@mail.example.co.uk", "x_y@d.io"]),
            ("user=o'neil@example.com&x=1", vec!["o'neil@example.com"]),
            ("jürgen@exämple.de", vec!["jürgen@exämple.de"]),
            ("\"john doe\"@example.com", vec!["\"john doe\"@example.com"]),
            ("bob@example.xn--p1ai", vec!["bob@example.xn--p1ai"]),
            (r"one\nbob@example.com", vec!["bob@example.com"]),
            (r"DOMAIN\n@example.com", vec!["n@example.com"]),
            ("bob@example.com-tail", vec!["bob@example.com"]),
            ("bob@example.com2", vec!["bob@example.com2"]),
            ("\"@timestamp\":1 @here a@ root@localhost x@10.0.0.1 lib@1.2.3 img@sha256:ab", vec![]),
        ] {
            assert_eq!(found(Pattern::Email, text), expected, "{text}");
        }
    }

    #[test]
    fn tokens_and_keys() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(found(Pattern::Jwt, &format!("token={jwt};")), [jwt]);
        assert_eq!(
            found(Pattern::Jwt, "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."),
            ["eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."]
        );
        assert_eq!(found(Pattern::Jwt, "eyJhbGciOiJub25lIn0.eyJz keyJhbGciOiJub25lIn0.a.b"), [""; 0]);
        assert_eq!(found(Pattern::BearerToken, "authorization: bearer abcdef.123=="), ["abcdef.123=="]);
        assert_eq!(found(Pattern::BearerToken, "a BEARER  abcdefgh, bearer of news"), ["abcdefgh"]);
        assert_eq!(found(Pattern::AwsAccessKey, "id AKIAIOSFODNN7EXAMPLE!"), ["AKIAIOSFODNN7EXAMPLE"]);
        assert_eq!(found(Pattern::AwsAccessKey, "AKIAIOSFODNN7EXAMPLEX xAKIAIOSFODNN7EXAMPLE"), [""; 0]);
    }

    #[test]
    fn addresses_of_ipv4() {
        assert_eq!(found(Pattern::Ipv4, "from 10.0.0.1:80, 255.255.255.255."), ["10.0.0.1", "255.255.255.255"]);
        assert_eq!(found(Pattern::Ipv4, "v1.2.3.4 1.2.3 1.2.3.4.5 256.1.1.1 1.2.3.400 2024.1.1.1"), [""; 0]);
    }
}
