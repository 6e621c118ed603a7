//! Keys: the bytes that tell a series from others. They hold the number of its metric, then for each label the length of
//! its value and the value, 0 bytes where it is absent. A key is written into a buffer that is kept, and looked up by its
//! bytes, so that counting for a known series allocates nothing.

/// Bytes at which a label's value is cut.
const LONGEST_VALUE: usize = 1024;

/// Begins the key of a series of metric `number`.
pub fn begin(number: usize, key: &mut Vec<u8>) {
    key.clear();
    key.extend_from_slice(&(number as u16).to_le_bytes());
}

/// Makes a key that of the same labels of another metric.
pub fn turn_to(number: usize, key: &mut [u8]) {
    key[..2].copy_from_slice(&(number as u16).to_le_bytes());
}

/// Appends the value of the next label, which `write` appends; nothing where the label is absent.
pub fn push(key: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = key.len();
    key.extend_from_slice(&[0; 2]);
    write(key);
    cut(key, at + 2);
    let length = (key.len() - at - 2) as u16;
    key[at..at + 2].copy_from_slice(&length.to_le_bytes());
}

/// Cuts a value that is too long, between characters, and replaces what is no UTF-8.
fn cut(key: &mut Vec<u8>, start: usize) {
    if std::str::from_utf8(&key[start..]).is_err() {
        let text = String::from_utf8_lossy(&key[start..]).into_owned();
        key.truncate(start);
        key.extend_from_slice(text.as_bytes());
    }
    if key.len() - start > LONGEST_VALUE {
        let mut end = start + LONGEST_VALUE;
        while key[end] & 0xc0 == 0x80 {
            end -= 1;
        }
        key.truncate(end);
    }
}

/// The values of the labels of a key, in the order of the metric's labels.
pub fn values(key: &[u8]) -> impl Iterator<Item = &str> {
    let mut rest = key.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, tail) = rest.split_first_chunk::<2>()?;
        let (value, tail) = tail.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        rest = tail;
        std::str::from_utf8(value).ok()
    })
}

/// The metric of a key.
pub fn metric_of(key: &[u8]) -> usize {
    key.first_chunk::<2>().map_or(0, |number| usize::from(u16::from_le_bytes(*number)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_key_gives_back_its_values(number in 0usize..9, texts in proptest::collection::vec("\\PC{0,40}", 0..6)) {
            let mut key = Vec::new();
            begin(number + 1, &mut key);
            texts.iter().for_each(|text| push(&mut key, |key| key.extend_from_slice(text.as_bytes())));
            turn_to(number, &mut key);
            prop_assert_eq!(metric_of(&key), number);
            prop_assert_eq!(values(&key).collect::<Vec<_>>(), texts);
        }

        #[test]
        fn whatever_bytes_come_a_value_is_short_text(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            let mut key = Vec::new();
            begin(0, &mut key);
            push(&mut key, |key| key.extend_from_slice(&bytes));
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let value = values(&key).next().expect("a text");
            prop_assert!(text.starts_with(value) && value.len() <= LONGEST_VALUE);
            prop_assert!(value.len() + 3 >= text.len().min(LONGEST_VALUE));
        }
    }
}
