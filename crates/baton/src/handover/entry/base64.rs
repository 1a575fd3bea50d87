//! Bytes in JSON: base64, as RFC 4648 has it, with its padding or without.

/// The bytes that a text stands for.
pub fn decode(text: &str) -> Result<Vec<u8>, String> {
    let bad = || "is not base64".to_owned();
    let digits = text.trim_end_matches('=').as_bytes();
    if digits.len() % 4 == 1 || text.len() - digits.len() > 2 {
        return Err(bad());
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 3);
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            bits = bits << 6 | value(*digit).ok_or_else(bad)?;
        }
        // Two digits are one byte, three are two, four are three.
        bits <<= 6 * (4 - group.len());
        bytes.extend_from_slice(bits.to_be_bytes().get(1..group.len()).unwrap_or_default());
    }
    Ok(bytes)
}

fn value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_the_standard_has_it() {
        let table: [(&str, &[u8]); 6] = [
            ("", b""),
            ("Zg==", b"f"),
            ("Zm8=", b"fo"),
            ("Zm9v", b"foo"),
            ("Zm9vYg", b"foob"),
            ("AP+_", &[0, 255, 191]),
        ];
        for (text, bytes) in table {
            assert_eq!(decode(text).as_deref(), Ok(bytes), "{text}");
        }
        for bad in ["Z", "Zg===", "Z g=", "é"] {
            assert!(decode(bad).is_err(), "{bad}");
        }
    }
}
