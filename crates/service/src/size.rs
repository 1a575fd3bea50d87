//! Sizes as people write and read them.

/// Units, largest first.
const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Reads a size: `256MiB`, `1GiB`, `64K`, or bytes without a unit. For clap's `value_parser`.
///
/// # Errors
/// What is wrong with it, for people.
pub fn size(text: &str) -> Result<u64, String> {
    let wrong = || "is not a size such as 256MiB, 1GiB or 0".to_owned();
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text[digits.len()..].trim();
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let known = UNITS.into_iter().find(|(name, _)| {
        name.eq_ignore_ascii_case(unit)
            || name[..1].eq_ignore_ascii_case(unit)
            || name.replace('i', "").eq_ignore_ascii_case(unit)
    });
    let factor = match known {
        Some((_, factor)) => factor,
        None if unit.is_empty() || unit.eq_ignore_ascii_case("b") => 1,
        None => return Err(wrong()),
    };
    number.checked_mul(factor).ok_or_else(|| "is more than any disk has".to_owned())
}

/// A size for people: `256 MiB`, `1.5 GiB`, `12 B`.
pub fn show_size(bytes: u64) -> String {
    match UNITS.into_iter().find(|(_, factor)| bytes >= *factor) {
        None => format!("{bytes} B"),
        Some((name, factor)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(factor);
            let (whole, tenth) = (tenths / 10, tenths % 10);
            if tenth == 0 || whole >= 100 { format!("{whole} {name}") } else { format!("{whole}.{tenth} {name}") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_units_and_shown_short() {
        let table =
            [("0", 0), ("12", 12), ("64K", 65_536), ("256MiB", 256 << 20), ("1 gib", 1 << 30), ("2MB", 2 << 20)];
        for (text, bytes) in table {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "MiB", "-1", "1.5GiB", "12 parsecs", "99999999TiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        let shown = [(12, "12 B"), (256 << 20, "256 MiB"), (3 << 29, "1.5 GiB"), (1_023, "1023 B")];
        for (bytes, text) in shown {
            assert_eq!(show_size(bytes), text);
        }
    }
}
