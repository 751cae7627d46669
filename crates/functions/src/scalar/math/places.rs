//! What `ROUND`, `TRUNC`, `CEIL` and `FLOOR` share: cutting DECIMALs and DOUBLEs at a decimal place.

use types::{Result, SqlType};

use crate::{javanum, overload::Resolved};

/// Which neighbour is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// The nearest; of two equally near the greater.
    Round,
    /// The one toward zero.
    Trunc,
    /// The one above.
    Ceil,
    /// The one below.
    Floor,
}

/// `unscaled` of `scale` with `places` digits behind the point (before it, if negative), still of that scale; `None`
/// if it does not fit into 128 bits.
pub(super) fn at_place(unscaled: i128, scale: u8, places: i32, mode: Mode) -> Option<i128> {
    let surplus = i64::from(scale) - i64::from(places);
    if surplus <= 0 {
        return Some(unscaled);
    }
    let Some(unit) = u32::try_from(surplus).ok().and_then(javanum::power_of_ten) else {
        // The unit is beyond all DECIMALs, so the value is nearly zero beside it.
        let away = (mode == Mode::Ceil && unscaled > 0) || (mode == Mode::Floor && unscaled < 0);
        return if away { None } else { Some(0) };
    };
    let below = unscaled.div_euclid(unit);
    let rest = unscaled.rem_euclid(unit);
    let quotient = match mode {
        Mode::Floor => below,
        Mode::Trunc => unscaled / unit,
        Mode::Ceil => below + i128::from(rest > 0),
        Mode::Round => below + i128::from(rest >= unit - rest),
    };
    quotient.checked_mul(unit)
}

/// The same for a DOUBLE, by the decimal digits that it is written with.
pub(super) fn double_at_place(value: f64, places: i32, mode: Mode) -> f64 {
    if !value.is_finite() || value == 0.0 {
        return value;
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = mantissa.replace(['.', '-'], "");
    let count = i32::try_from(digits.len()).unwrap_or(0);
    // The value is digits × 10^scale_exponent.
    let scale_exponent = exponent.parse::<i32>().unwrap_or(0) - (count - 1);
    let Ok(unscaled) = digits.parse::<i128>() else { return value };
    let unscaled = if value < 0.0 { -unscaled } else { unscaled };
    let surplus = i64::from(scale_exponent) + i64::from(places);
    if surplus >= 0 {
        return value;
    }
    let cut = u8::try_from(-surplus).ok().and_then(|scale| at_place(unscaled, scale, 0, mode));
    let Some(cut) = cut else {
        return match mode {
            Mode::Ceil if value > 0.0 => format!("1e{}", -i64::from(places)).parse().unwrap_or(value),
            Mode::Floor if value < 0.0 => format!("-1e{}", -i64::from(places)).parse().unwrap_or(value),
            _ => 0.0,
        };
    };
    format!("{cut}e{scale_exponent}").parse().unwrap_or(value)
}

/// DECIMAL(p, s) becomes DECIMAL(p - s, 0).
pub(super) fn whole_decimal(call: &Resolved) -> Result<SqlType> {
    let (precision, scale) = call.value(0).as_decimal().unwrap_or((10, 0));
    Ok(SqlType::Decimal { precision: precision.saturating_sub(scale).max(1), scale: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let check = |value: f64, places, mode, expect: f64| {
            assert_eq!(double_at_place(value, places, mode), expect, "{value} at {places}, {mode:?}");
        };
        check(1.25, 1, Mode::Round, 1.3);
        check(-1.25, 1, Mode::Round, -1.2);
        check(-1.35, 1, Mode::Round, -1.3);
        check(12345.67, -3, Mode::Trunc, 12000.0);
        check(1.005, 2, Mode::Round, 1.01);
        check(1e-300, 2, Mode::Round, 0.0);
        check(1e300, -2, Mode::Round, 1e300);
        check(f64::MAX, i32::MIN, Mode::Round, 0.0);
        check(1.5, i32::MAX, Mode::Round, 1.5);
        assert_eq!(at_place(-150, 2, 0, Mode::Round), Some(-100));
        assert_eq!(at_place(150, 2, 0, Mode::Round), Some(200));
        assert_eq!(at_place(-101, 2, 0, Mode::Ceil), Some(-100));
        assert_eq!(at_place(-101, 2, 0, Mode::Floor), Some(-200));
        assert_eq!(at_place(i128::MAX, 0, -38, Mode::Round), None);
    }
}
