//! Units of measure, and the exact conversion of their texts.
//!
//! Decimal text converts exactly and what is finer than the unit is dropped; no floating point is involved.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The greatest response time: 3,600 s.
pub const RESPONSE_TIME_MAX: Micros = Micros(3_600_000_000);
/// The greatest throughput: 10¹⁵ bit/s.
pub const THROUGHPUT_MAX: BitsPerSecond = BitsPerSecond(1_000_000_000_000_000);

/// A length of time in whole microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(transparent)]
pub struct Micros(pub u64);

/// A point in time: whole microseconds since 1970-01-01T00:00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(transparent)]
pub struct TimeMicros(pub i64);

/// A throughput in whole bits a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(transparent)]
pub struct BitsPerSecond(pub u64);

/// The metric of an objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Connect start to last byte of the test object; less is better; whole microseconds.
    ResponseTime,
    /// Throughput of a large test object; more is better; whole bit/s.
    AvailableBandwidth,
}

impl Metric {
    /// The metric's name as written in records and documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ResponseTime => "response_time",
            Self::AvailableBandwidth => "available_bandwidth",
        }
    }

    /// Writes a number of the metric's unit for people.
    #[must_use]
    pub fn format(self, number: u64) -> String {
        match self {
            Self::ResponseTime => format_duration(Micros(number)),
            Self::AvailableBandwidth => format_throughput(BitsPerSecond(number)),
        }
    }
}

/// A performance value: a number in the metric's unit, or a failure, which is worse than any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Value {
    /// The bucket's number: microseconds or bit/s.
    Number(u64),
    /// The measurement that decides failed.
    Failed,
}

/// Why a text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// The text is not a decimal number.
    #[error("`{0}` is not a decimal number")]
    NotANumber(String),
    /// The number is too great.
    #[error("`{0}` is too great")]
    TooGreat(String),
    /// The unit is missing or unknown.
    #[error("`{text}` needs a unit: one of {units}")]
    Unit {
        /// The text as given.
        text: String,
        /// The units that are accepted.
        units: &'static str,
    },
    /// The text is not a time.
    #[error("`{0}` is not a time such as 2021-10-15T20:58:02 or 2021-10-15T20:58:02.5+02:00")]
    NotATime(String),
}

/// Multiplies a decimal text by `scale` exactly and drops what remains after the point.
///
/// # Errors
/// When the text is not a non-negative decimal number (an exponent such as `1.5e3` is accepted), or the product
/// exceeds 2⁶³ − 1.
pub fn scaled_decimal(text: &str, scale: u64) -> Result<u64, UnitError> {
    let not_a_number = || UnitError::NotANumber(shorten(text));
    let too_great = || UnitError::TooGreat(shorten(text));
    if text.len() > 64 {
        return Err(not_a_number());
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| not_a_number())?),
        None => (text, 0),
    };
    let mantissa = mantissa.strip_prefix('+').unwrap_or(mantissa);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !is_digits(whole) || !is_digits(fraction) {
        return Err(not_a_number());
    }
    if exponent.unsigned_abs() > 64 {
        return Err(not_a_number());
    }
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0').collect();
    let point = i64::try_from(whole.len()).map_err(|_| too_great())? + i64::from(exponent);
    let scale = u128::from(scale);
    // The whole part times the scale, then each fraction digit's exact share: value = digits / 10^places.
    let mut number: u128 = 0;
    let mut divisor: u128 = 1;
    for place in 0..point.max(i64::try_from(digits.len()).map_err(|_| too_great())?).max(0) {
        let digit = usize::try_from(place).ok().and_then(|place| digits.get(place)).copied().unwrap_or(0);
        if place >= point {
            // Digits below 10^-18 do not change the result, because no scale exceeds 10^15.
            if divisor >= 1_000_000_000_000_000_000 {
                break;
            }
            divisor *= 10;
        }
        number = number * 10 + u128::from(digit);
        if number / divisor > 1_u128 << 63 {
            return Err(too_great());
        }
    }
    // The point is left of all digits, with that many zeros in between.
    let zeros = u32::try_from((-point).max(0)).map_err(|_| too_great())?;
    let shift = 10_u128.checked_pow(zeros.min(18)).ok_or_else(too_great)?;
    let whole = number / divisor;
    let product = if zeros > 18 { 0 } else { (whole * scale + number % divisor * scale / divisor) / shift };
    u64::try_from(product).ok().filter(|product| i64::try_from(*product).is_ok()).ok_or_else(too_great)
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn with_unit(
    text: &str,
    units: &'static [(&'static str, u64)],
    names: &'static str,
) -> Result<u64, UnitError> {
    let text = text.trim();
    let start = text.find(|c: char| c.is_alphabetic() || c == 'µ').unwrap_or(text.len());
    let (number, unit) = text.split_at(start);
    let Some((_, scale)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(UnitError::Unit { text: shorten(text), units: names });
    };
    scaled_decimal(number.trim(), *scale)
}

/// Reads a length of time such as `600s`, `150ms`, `10min`, `1h`.
///
/// # Errors
/// When the number or the unit is missing or not understood, or the time does not fit.
pub fn parse_duration(text: &str) -> Result<Micros, UnitError> {
    const UNITS: &[(&str, u64)] = &[
        ("us", 1),
        ("µs", 1),
        ("ms", 1_000),
        ("s", 1_000_000),
        ("m", 60_000_000),
        ("min", 60_000_000),
        ("h", 3_600_000_000),
        ("d", 86_400_000_000),
    ];
    with_unit(text, UNITS, "us, ms, s, min, h, d").map(Micros)
}

/// Reads a throughput such as `20Mbit/s`.
///
/// # Errors
/// When the number or the unit is missing or not understood, or the throughput does not fit.
pub fn parse_throughput(text: &str) -> Result<BitsPerSecond, UnitError> {
    const UNITS: &[(&str, u64)] = &[
        ("bit/s", 1),
        ("kbit/s", 1_000),
        ("Mbit/s", 1_000_000),
        ("Gbit/s", 1_000_000_000),
        ("Tbit/s", 1_000_000_000_000),
    ];
    with_unit(text, UNITS, "bit/s, kbit/s, Mbit/s, Gbit/s, Tbit/s").map(BitsPerSecond)
}

fn largest_unit(number: u64, units: &[(&str, u64)]) -> String {
    let (name, scale) =
        units.iter().find(|(_, scale)| number >= *scale).or_else(|| units.last()).copied().unwrap_or(("", 1));
    let whole = number / scale;
    let rest = number % scale;
    if rest == 0 {
        return format!("{whole}{name}");
    }
    let width = scale.ilog10() as usize;
    let fraction = format!("{rest:0width$}");
    format!("{whole}.{}{name}", fraction.trim_end_matches('0'))
}

/// Writes a length of time, exactly, in the greatest fitting unit of s, ms, us.
#[must_use]
pub fn format_duration(time: Micros) -> String {
    largest_unit(time.0, &[("s", 1_000_000), ("ms", 1_000), ("us", 1)])
}

/// Writes a throughput, exactly, in the greatest fitting decimal unit.
#[must_use]
pub fn format_throughput(throughput: BitsPerSecond) -> String {
    const UNITS: &[(&str, u64)] = &[
        ("Tbit/s", 1_000_000_000_000),
        ("Gbit/s", 1_000_000_000),
        ("Mbit/s", 1_000_000),
        ("kbit/s", 1_000),
        ("bit/s", 1),
    ];
    largest_unit(throughput.0, UNITS)
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar.
///
/// The count of days before a March-based year, as in Hinnant, "chrono-compatible low-level date algorithms".
fn days_from_date(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn date_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Reads a point in time: RFC 3339, with `T` or a space, seconds and offset optional; UTC without an offset. A whole or
/// decimal number of 9 to 11 whole digits is seconds since 1970.
///
/// # Errors
/// When the text is not such a time.
pub fn parse_time(text: &str) -> Result<TimeMicros, UnitError> {
    let error = || UnitError::NotATime(shorten(text));
    let text = text.trim();
    if !text.is_ascii() {
        return Err(error());
    }
    let whole_digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if (9..=11).contains(&whole_digits) && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        let micros = scaled_decimal(text, 1_000_000).map_err(|_| error())?;
        return i64::try_from(micros).map(TimeMicros).map_err(|_| error());
    }
    let number = |part: Option<&str>| -> Result<i64, UnitError> {
        let part = part.filter(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
        part.ok_or_else(error)?.parse::<i64>().map_err(|_| error())
    };
    let (date, rest) = text.split_at_checked(10).ok_or_else(error)?;
    let separators = (date.get(4..5), date.get(7..8));
    if separators != (Some("-"), Some("-")) {
        return Err(error());
    }
    let (year, month, day) = (number(date.get(0..4))?, number(date.get(5..7))?, number(date.get(8..10))?);
    let last_day = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return Err(error()),
    };
    if !(1..=last_day).contains(&day) {
        return Err(error());
    }
    let days = days_from_date(year, month, day);
    if rest.is_empty() {
        return Ok(TimeMicros(days * 86_400_000_000));
    }
    let clock = rest.strip_prefix(['T', 't', ' ']).ok_or_else(error)?;
    let (clock, offset_secs) = split_offset(clock).ok_or_else(error)?;
    let (hour, minute) = (number(clock.get(0..2))?, number(clock.get(3..5))?);
    if clock.get(2..3) != Some(":") {
        return Err(error());
    }
    let seconds_micros = match clock.get(5..) {
        None | Some("") => 0,
        Some(seconds) => {
            let seconds = seconds.strip_prefix(':').ok_or_else(error)?;
            let whole = seconds.split('.').next().unwrap_or(seconds);
            if whole.len() != 2 || seconds.contains(['e', 'E', '+']) || seconds.ends_with('.') {
                return Err(error());
            }
            scaled_decimal(seconds, 1_000_000).map_err(|_| error())?
        }
    };
    if hour > 23 || minute > 59 || seconds_micros >= 60_000_000 {
        return Err(error());
    }
    let seconds_micros = i64::try_from(seconds_micros).map_err(|_| error())?;
    let minutes = hour * 60 + minute;
    Ok(TimeMicros(days * 86_400_000_000 + minutes * 60_000_000 + seconds_micros - offset_secs * 1_000_000))
}

/// Splits `12:00:00+02:00` into the clock and its offset east of UTC in seconds.
fn split_offset(clock: &str) -> Option<(&str, i64)> {
    if let Some(clock) = clock.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let Some(at) = clock.find(['+', '-']) else { return Some((clock, 0)) };
    let (clock, offset) = clock.split_at(at);
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let digits: String = offset.get(1..)?.chars().filter(|c| *c != ':').collect();
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = (digits.get(0..2)?.parse::<i64>().ok()?, digits.get(2..4)?.parse::<i64>().ok()?);
    (hours <= 23 && minutes <= 59).then_some((clock, sign * (hours * 3_600 + minutes * 60)))
}

/// Writes a point in time as RFC 3339 in UTC, with a fraction only where there is one.
#[must_use]
pub fn format_time(time: TimeMicros) -> String {
    let (year, month, day) = date_from_days(time.0.div_euclid(86_400_000_000));
    let micros = time.0.rem_euclid(86_400_000_000);
    let secs = micros / 1_000_000;
    let (hour, minute, second) = (secs / 3_600, secs / 60 % 60, secs % 60);
    let fraction = match micros % 1_000_000 {
        0 => String::new(),
        fraction => format!(".{fraction:06}").trim_end_matches('0').to_owned(),
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

impl fmt::Display for TimeMicros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_time(*self))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimal_text_converts_exactly_and_drops_what_is_finer() {
        let cases = [
            ("435.504266", 1_000, 435_504),
            ("0.0009999", 1_000, 0),
            ("0.001", 1_000, 1),
            ("1.5e3", 1, 1_500),
            ("1e-3", 1_000_000, 1_000),
            ("123456e-9", 1_000_000, 123),
            (".5", 10, 5),
            ("7.", 1, 7),
            ("1707879480", 1, 1_707_879_480),
            ("0.00000000000000000000001", 1_000, 0),
        ];
        for (text, scale, expected) in cases {
            assert_eq!(scaled_decimal(text, scale), Ok(expected), "{text}");
        }
        for text in ["", ".", "-1", "1.2.3", "NaN", "inf", "1e", "0x10", "1_000", "99999999999999999999"] {
            assert!(scaled_decimal(text, 1_000).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_read_with_and_without_offset() {
        let cases = [
            ("1970-01-01T00:00:00Z", 0),
            ("2021-10-15T20:58:02", 1_634_331_482_000_000),
            ("2021-10-15 20:58:02.25", 1_634_331_482_250_000),
            ("2021-10-15T22:58:02+02:00", 1_634_331_482_000_000),
            ("2021-10-15T20:58", 1_634_331_480_000_000),
            ("1634331482", 1_634_331_482_000_000),
            ("1969-12-31T23:59:59.999999Z", -1),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_time(text), Ok(TimeMicros(expected)), "{text}");
        }
        for text in ["", "yesterday", "2021-02-29", "2021-13-01", "2021-10-15T25:00:00", "2021-10-15T20:58:2"]
        {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_and_throughputs_need_a_unit() {
        assert_eq!(parse_duration("600s"), Ok(Micros(600_000_000)));
        assert_eq!(parse_duration("1.5 ms"), Ok(Micros(1_500)));
        assert_eq!(parse_throughput("20Mbit/s"), Ok(BitsPerSecond(20_000_000)));
        assert!(parse_duration("600").is_err());
        assert!(parse_throughput("20MB").is_err());
        assert_eq!(format_duration(Micros(1_500)), "1.5ms");
        assert_eq!(format_duration(Micros(600_000_000)), "600s");
        assert_eq!(format_throughput(BitsPerSecond(20_000_000)), "20Mbit/s");
        assert_eq!(format_throughput(BitsPerSecond(0)), "0bit/s");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = scaled_decimal(&text, 1_000_000);
            let _ = parse_time(&text);
            let _ = parse_duration(&text);
        }

        #[test]
        fn a_written_time_reads_back(micros in -60_000_000_000_000_000_i64..250_000_000_000_000_000) {
            prop_assert_eq!(parse_time(&format_time(TimeMicros(micros))), Ok(TimeMicros(micros)));
        }

        #[test]
        fn a_decimal_is_its_digits_shifted(number in 0_u64..1_000_000_000_000, places in 0_u32..9) {
            let text = format!("{}.{:0width$}", number / 10_u64.pow(places), number % 10_u64.pow(places),
                width = places as usize);
            prop_assert_eq!(scaled_decimal(&text, 10_u64.pow(places)), Ok(number));
        }

        #[test]
        fn a_written_duration_reads_back(micros in 0_u64..4_000_000_000_000) {
            prop_assert_eq!(parse_duration(&format_duration(Micros(micros))), Ok(Micros(micros)));
        }
    }
}
