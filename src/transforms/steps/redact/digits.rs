//! Secrets made of digits. Lines are full of digits; what few lines have is thirteen of them close
//! together. That is looked for in sixty-four bytes at once.

use wide::u8x32;

use super::pattern::{Place, is_escape};

/// Bytes that are looked at together, and how many of them the next look skips: a number that begins in
/// the rest is seen whole from there.
const WINDOW: usize = 64;
const STRIDE: usize = WINDOW - 16;

/// Fewest and most digits of a card's number (ISO/IEC 7812).
const FEWEST: usize = 13;
const MOST: usize = 19;

/// Calls `look` with the offset of each window that may hold a number of at least `fewest` digits, until
/// it answers `false`.
fn windows(text: &[u8], fewest: u32, mut look: impl FnMut(usize, u64, &[u8; WINDOW]) -> bool) -> bool {
    let mut at = 0;
    while at + fewest as usize <= text.len() {
        let mut padded = [0; WINDOW];
        let window = match text[at..].first_chunk::<WINDOW>() {
            Some(window) => window,
            None => {
                padded[..text.len() - at].copy_from_slice(&text[at..]);
                &padded
            }
        };
        let digits = mask(window, |half| {
            let value = half ^ u8x32::splat(b'0');
            value.min(u8x32::splat(9)).simd_eq(value)
        });
        if digits.count_ones() >= fewest && !look(at, digits, window) {
            return false;
        }
        if at + WINDOW >= text.len() {
            break;
        }
        at += STRIDE;
    }
    true
}

#[inline]
fn mask(window: &[u8; WINDOW], test: impl Fn(u8x32) -> u8x32) -> u64 {
    let half = |at: usize| test(u8x32::new(std::array::from_fn(|n| window[at + n]))).to_bitmask();
    u64::from(half(0)) | u64::from(half(32)) << 32
}

fn is(window: &[u8; WINDOW], byte: u8) -> u64 {
    mask(window, |half| half.simd_eq(u8x32::splat(byte)))
}

/// Tells `found` of every card number, in order, until it answers `false`.
pub fn cards(text: &[u8], found: &mut dyn FnMut(Place) -> bool) -> bool {
    let mut done = 0;
    windows(text, FEWEST as u32, |at, digits, window| {
        let separators = (is(window, b' ') | is(window, b'-')) & digits << 1 & digits >> 1;
        let one = digits | separators;
        let two = one & one >> 1;
        let four = two & two >> 2;
        let eight = four & four >> 4;
        let mut thirteen = eight & four >> 8 & one >> 12;
        while thirteen != 0 {
            let place = at + thirteen.trailing_zeros() as usize;
            thirteen &= thirteen - 1;
            if place < done {
                continue;
            }
            match cards_of_run(text, run_start(text, place, done), found) {
                Some(end) => done = end,
                None => return false,
            }
        }
        true
    })
}

fn digit(text: &[u8], at: usize) -> bool {
    text.get(at).is_some_and(u8::is_ascii_digit)
}

/// Where the run of digits and single separators around `at` begins, not before `least`.
fn run_start(text: &[u8], at: usize, least: usize) -> usize {
    let mut start = at;
    while start > least {
        let before = start - 1;
        let joins =
            digit(text, before) || (matches!(text[before], b' ' | b'-') && before > least && digit(text, before - 1));
        if !joins {
            break;
        }
        start = before;
    }
    start
}

/// Looks at every group of digits in the run that begins at `start` as the first of a card number.
/// Returns the run's end; `None` where `found` had enough.
fn cards_of_run(text: &[u8], start: usize, found: &mut dyn FnMut(Place) -> bool) -> Option<usize> {
    let group_end = |from: usize| (from..).find(|&at| !digit(text, at)).unwrap_or(text.len());
    let next = |end: usize| (matches!(text.get(end), Some(b' ' | b'-')) && digit(text, end + 1)).then_some(end + 1);
    let mut from = if digit(text, start) { start } else { start + 1 };
    loop {
        let first_end = group_end(from);
        let (mut end, mut count, mut best) = (first_end, first_end - from, None);
        let mut group = count;
        loop {
            if (FEWEST..=MOST).contains(&count) && is_card(text, from, end) {
                best = Some(end);
            }
            let Some(more) = next(end).filter(|_| count < MOST && group >= 4) else { break };
            end = group_end(more);
            group = end - more;
            count += group;
            if count > MOST {
                break;
            }
        }
        let end = match best {
            Some(end) => {
                if !found((from, end)) {
                    return None;
                }
                end
            }
            None => first_end,
        };
        match next(end) {
            Some(more) => from = more,
            None => return Some(end),
        }
    }
}

fn is_card(text: &[u8], from: usize, to: usize) -> bool {
    let number = &text[from..to];
    let issuer = match number[0] {
        b'3'..=b'6' => true,
        b'2' => matches!(number[1], b'2'..=b'7'),
        b'8' => matches!(number[1], b'1' | b'2'),
        b'9' => number.starts_with(b"9792"),
        _ => false,
    };
    issuer && luhn(number) && !is_fraction(text, from) && !is_in_hex(text, from, to)
}

/// The checksum of ISO/IEC 7812-1, annex B.
fn luhn(number: &[u8]) -> bool {
    let digits = number.iter().rev().filter(|b| b.is_ascii_digit()).map(|b| u32::from(b - b'0'));
    let sum: u32 = digits.enumerate().map(|(n, d)| if n % 2 == 0 { d } else { d * 2 / 10 + d * 2 % 10 }).sum();
    sum.is_multiple_of(10)
}

/// Digits behind a decimal point.
fn is_fraction(text: &[u8], from: usize) -> bool {
    from >= 2 && text[from - 1] == b'.' && digit(text, from - 2)
}

/// Part of a longer word that is all hexadecimal digits: an id, a hash.
fn is_in_hex(text: &[u8], from: usize, to: usize) -> bool {
    let in_word = |&at: &usize| text[at].is_ascii_alphanumeric() && !is_escape(text, at);
    let before = (0..from).rev().take(LONGEST_ID).take_while(in_word);
    let behind = (to..text.len()).take(LONGEST_ID).take_while(in_word);
    let mut rest = before.chain(behind).map(|at| text[at]).peekable();
    rest.peek().is_some() && rest.all(|b| b.is_ascii_hexdigit())
}

/// Hexadecimal digits to either side of a number that are looked at.
const LONGEST_ID: usize = 64;

/// Tells `found` of every social security number, in order, until it answers `false`.
pub fn us_ssns(text: &[u8], found: &mut dyn FnMut(Place) -> bool) -> bool {
    let mut done = 0;
    windows(text, 9, |at, digits, window| {
        let dash = is(window, b'-');
        let three = digits & digits >> 1 & digits >> 2;
        let mut whole = three & dash >> 3 & digits >> 4 & digits >> 5 & dash >> 6 & three >> 7 & digits >> 10;
        while whole != 0 {
            let from = at + whole.trailing_zeros() as usize;
            whole &= whole - 1;
            if from >= done && is_us_ssn(text, from) {
                done = from + 11;
                if !found((from, done)) {
                    return false;
                }
            }
        }
        true
    })
}

fn is_us_ssn(text: &[u8], from: usize) -> bool {
    let number = &text[from..from + 11];
    let alone = |at: Option<usize>| {
        at.and_then(|at| text.get(at).map(|b| (at, b)))
            .is_none_or(|(at, b)| !(b.is_ascii_alphanumeric() || *b == b'-') || is_escape(text, at))
    };
    // Areas, groups and serials that are never given out.
    let given = !matches!(&number[..3], b"000" | b"666") && number[0] != b'9' && &number[4..6] != b"00";
    given && &number[7..] != b"0000" && alone(from.checked_sub(1)) && alone(Some(from + 11))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(search: fn(&[u8], &mut dyn FnMut(Place) -> bool) -> bool, text: &str) -> Vec<&str> {
        let mut places = Vec::new();
        search(text.as_bytes(), &mut |place| {
            places.push(place);
            true
        });
        places.into_iter().map(|(from, to)| &text[from..to]).collect()
    }

    #[test]
    fn card_numbers() {
        for (text, expected) in [
            ("4111111111111111", vec!["4111111111111111"]),
            ("pay 4111 1111 1111 1111.", vec!["4111 1111 1111 1111"]),
            ("5500-0000-0000-0004,378282246310005", vec!["5500-0000-0000-0004", "378282246310005"]),
            ("3782 822463 10005 30569309025904", vec!["3782 822463 10005", "30569309025904"]),
            ("order 12345 4111 1111 1111 1111 123", vec!["4111 1111 1111 1111"]),
            ("2026-11-24 4222222222222", vec!["4222222222222"]),
            ("PAN4111111111111111X", vec!["4111111111111111"]),
            (r"\f4111111111111111", vec!["4111111111111111"]),
            ("4111111111111111.00", vec!["4111111111111111"]),
            ("4111111111111112 1700000000000 1234567890123456", vec![]),
            ("0.30000000000000004 12.4111111111111111", vec![]),
            ("3f4111111111111111 4111111111111111e7a", vec![]),
            ("41111111111111110000000", vec![]),
            ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", vec![]),
        ] {
            assert_eq!(found(cards, text), expected, "{text}");
        }
    }

    #[test]
    fn social_security_numbers() {
        assert_eq!(found(us_ssns, "ssn 123-45-6789, (078-05-1120)"), ["123-45-6789", "078-05-1120"]);
        assert_eq!(
            found(us_ssns, "666-45-6789 923-45-6789 123-00-6789 123-45-0000 1123-45-6789 123-45-67890"),
            [""; 0]
        );
    }

    #[test]
    fn the_place_in_a_window_does_not_matter() {
        for before in 0..200 {
            for behind in [0, 1, 40, 90] {
                let text = format!("{}4111-1111-1111-1111{}", ".".repeat(before), "x ".repeat(behind));
                let text = text.replace(".4", " 4").replace("1x", "1 ");
                assert_eq!(found(cards, &text), ["4111-1111-1111-1111"], "{before} {behind}");
                let text = text.replace("4111-1111-1111-1111", "123-45-6789");
                assert_eq!(found(us_ssns, &text), ["123-45-6789"], "{before} {behind}");
            }
        }
    }

    #[test]
    fn a_long_row_of_numbers_takes_linear_time() {
        let text = "4111 1111 1111 1112 ".repeat(50_000);
        assert_eq!(found(cards, &text).len(), 0);
        let text = "1".repeat(1_000_000);
        assert_eq!(found(cards, &text).len(), 0);
    }
}
