//! What is wrong with a message, and that what is written is read again.

use proptest::prelude::*;

use super::*;

#[test]
fn what_is_wrong_is_told_and_ends_the_message() {
    let all = |bytes| Fields::of(bytes).collect::<Vec<_>>();
    assert_eq!(all(b""), []);
    assert_eq!(all(b"\x08\x96\x01"), [Ok((1, Value::Varint(150)))]);
    assert_eq!(all(b"\x08"), [Err(WireError::Short)]);
    assert_eq!(all(b"\x00\x00"), [Err(WireError::Tag)]);
    assert_eq!(all(b"\x0b\x0c"), [Err(WireError::Tag)]);
    assert_eq!(all(b"\x0a\x05abc"), [Err(WireError::Short)]);
    assert_eq!(all(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), [Err(WireError::Short)]);
    assert_eq!(all(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), [Err(WireError::Varint)]);
    assert_eq!(all(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), [Ok((1, Value::Varint(u64::MAX)))]);
    assert_eq!(Value::Bytes(b"\xff").text(), Err(WireError::Utf8));
    assert_eq!(Value::Varint(1).double(), Err(WireError::Type));
    assert_eq!(Value::Bytes(&[0; 9]).each_double(drop), Err(WireError::Short));
}

proptest! {
    #[test]
    fn what_is_pushed_is_read(number in 1_u32..1 << 29, int in any::<u64>(), double in any::<u64>(), bytes in ".*") {
        let mut out = Vec::new();
        push_uint(number, int, &mut out);
        push_double(number, f64::from_bits(double), &mut out);
        push_bytes(number, bytes.as_bytes(), &mut out);
        let read: Result<Vec<_>, _> = Fields::of(&out).collect();
        let expected = [Value::Varint(int), Value::Fixed64(double), Value::Bytes(bytes.as_bytes())];
        let mut varint = Vec::new();
        push_varint(int, &mut varint);
        prop_assert_eq!(varint.len(), varint_len(int));
        prop_assert_eq!(read, Ok(expected.map(|value| (number, value)).to_vec()));
    }

    #[test]
    fn a_message_of_any_length_is_closed(length in prop_oneof![0_usize..300, 16_000_usize..17_000, 2_097_000_usize..2_098_000]) {
        let mut out = vec![7];
        let open = open_message(3, &mut out);
        prop_assert!(open.is_empty(&out));
        out.extend((0..length).map(|at| at as u8));
        open.close(&mut out);
        let mut expected = vec![7];
        push_bytes(3, &(0..length).map(|at| at as u8).collect::<Vec<_>>(), &mut expected);
        prop_assert!(out == expected);
        open_message(4, &mut out).cancel(&mut out);
        prop_assert!(out == expected);
        push_message(5, &mut out, |out| out.extend_from_slice(&expected));
        let mut header = Vec::new();
        push_header(5, expected.len(), &mut header);
        let all = [&expected[..], &header, &expected].concat();
        prop_assert!(out == all);
        prop_assert_eq!(delimited_len(5, expected.len()), all.len() - expected.len());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        for (_, value) in Fields::of(&bytes).flatten() {
            let _ = (value.text(), value.each_varint(drop), value.each_double(drop));
        }
    }
}
