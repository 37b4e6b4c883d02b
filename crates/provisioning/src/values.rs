//! Types of field values that several kinds use. Each reads its text strictly and writes it back in one form.

use std::fmt;
use std::net::IpAddr;

use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};
use serde::{Deserialize as DeriveDeserialize, Serialize};
use spillway_events::{Address, AgreementName, NAME_BYTES_MAX, Prefix, TimeMicros, format_time, parse_time};
use url::{Host, Url};

use crate::fault::shorten;
use crate::limits::{
    COMMAND_TEXT_BYTES_MAX, HOST_BYTES_MAX, LABEL_BYTES_MAX, TITLE_BYTES_MAX, URL_BYTES_MAX,
};

/// Makes a type that is text in documents, with a check of the text.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident($value:ty) = $read:path;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, DeriveDeserialize, Serialize)]
        #[serde(try_from = "String", into = "String")]
        pub(crate) struct $name(pub(crate) $value);

        impl TryFrom<String> for $name {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                $read(&text).map(Self)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0.to_string()
            }
        }
    )+};
}

texts! {
    /// A name for people, in any language.
    Title(String) = read_title;
    /// A host name, in lower case, without the trailing dot (RFC 1123, section 2.1; underscores are allowed too).
    HostName(String) = read_host_name;
    /// A URL that probes request, in the normal form of the URL Standard.
    ProbeUrl(String) = read_probe_url;
    /// An IP address.
    AddressText(Address) = read_address;
    /// An IP prefix.
    PrefixText(Prefix) = read_prefix;
    /// Why something is done.
    ReasonText(String) = read_reason;
    /// The name of an item of a rate card, or the code of a tax.
    ItemName(String) = read_item_name;
    /// A rate card and its version, `NAME/VERSION`.
    RateCardId(String) = read_rate_card_id;
    /// The code of a currency (ISO 4217).
    CurrencyCode(String) = read_currency;
    /// The name of a time zone, such as `Europe/Berlin`.
    ZoneName(String) = read_zone;
}

/// A time; written in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, DeriveDeserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct TimeText(pub(crate) TimeMicros);

impl TryFrom<String> for TimeText {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        parse_time(&text).map(Self).map_err(|error| error.to_string())
    }
}

impl From<TimeText> for String {
    fn from(TimeText(time): TimeText) -> Self {
        format_time(time)
    }
}

fn read_reason(text: &str) -> Result<String, String> {
    if !(1..=COMMAND_TEXT_BYTES_MAX).contains(&text.len()) {
        return Err(format!("a reason has 1 to {COMMAND_TEXT_BYTES_MAX} bytes, this one has {}", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err(String::from("a reason has no control characters, such as line breaks"));
    }
    Ok(text.to_owned())
}

fn read_item_name(text: &str) -> Result<String, String> {
    // An item's name keeps the rule of names, as those of objects do.
    AgreementName::new(text).map(String::from).map_err(|error| error.to_string())
}

fn read_rate_card_id(text: &str) -> Result<String, String> {
    let wrong = || format!("`{}` is not a rate card and its version, such as standard/1", shorten(text));
    let (name, version) = text.split_once('/').ok_or_else(wrong)?;
    let number: u32 = version.parse().map_err(|_| wrong())?;
    if number == 0 || number.to_string() != version || read_item_name(name).is_err() {
        return Err(wrong());
    }
    Ok(text.to_owned())
}

fn read_currency(text: &str) -> Result<String, String> {
    if text.len() != 3 || !text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(format!("`{}` is not the code of a currency, such as EUR", shorten(text)));
    }
    Ok(text.to_owned())
}

fn read_zone(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+');
    let is_part = |part: &str| !part.is_empty() && part.chars().all(is_allowed);
    if text.len() > NAME_BYTES_MAX || !text.split('/').all(is_part) {
        return Err(format!("`{}` is not the name of a time zone, such as Europe/Berlin", shorten(text)));
    }
    Ok(text.to_owned())
}

fn read_title(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > TITLE_BYTES_MAX {
        return Err(format!("a title has 1 to {TITLE_BYTES_MAX} bytes, this one has {}", text.len()));
    }
    if text.chars().any(char::is_control) || text.trim() != text {
        return Err(String::from("a title has no control characters and no white space at its ends"));
    }
    Ok(text.to_owned())
}

fn read_host_name(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.is_empty() {
        return Err(String::from("a host name must not be empty"));
    }
    if name.len() > HOST_BYTES_MAX {
        return Err(format!("a host name has at most {HOST_BYTES_MAX} bytes, this one has {}", name.len()));
    }
    let shown = shorten(name);
    if !name.is_ascii() {
        return Err(format!(
            "`{shown}` has characters other than letters, digits, hyphens and underscores; write it as xn--…"
        ));
    }
    for label in name.split('.') {
        check_label(label).map_err(|reason| format!("`{shown}` {reason}"))?;
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("`{shown}` is an address or ends in a number; a host name is needed"));
    }
    Ok(name.to_ascii_lowercase())
}

fn check_label(label: &str) -> Result<(), String> {
    if label.is_empty() {
        return Err(String::from("has an empty label: it begins with a dot or has two dots in a row"));
    }
    if label.len() > LABEL_BYTES_MAX {
        return Err(format!(
            "has a label of {} bytes; a label has at most {LABEL_BYTES_MAX} bytes",
            label.len()
        ));
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if let Some(character) = label.chars().find(|c| !is_allowed(*c)) {
        return Err(format!(
            "has the character {character:?}; letters, digits, hyphens and underscores are allowed"
        ));
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(format!("has the label `{label}`, which begins or ends with a hyphen"));
    }
    Ok(())
}

fn read_probe_url(text: &str) -> Result<String, String> {
    let shown = shorten(text);
    if text.len() > URL_BYTES_MAX {
        return Err(format!("a URL has at most {URL_BYTES_MAX} bytes, this one has {}", text.len()));
    }
    // The URL Standard reads `http:a` and `http:///a` as `http://a/`; here both are mistakes.
    let scheme_end = text.find("://").filter(|end| !text[end + 3..].starts_with(['/', '\\']));
    let url = Url::parse(text).map_err(|error| format!("`{shown}` is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || scheme_end.is_none() {
        return Err(format!("`{shown}` must begin with http:// or https:// and a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("`{shown}` must not contain a user or a password"));
    }
    match url.host() {
        Some(Host::Domain(name)) => {
            read_host_name(name).map_err(|reason| format!("`{shown}` has no usable host: {reason}"))?;
        }
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => {}
        None => return Err(format!("`{shown}` has no host")),
    }
    if url.port() == Some(0) {
        return Err(format!("`{shown}` has no usable port; ports are 1 to 65535"));
    }
    if url.as_str().len() > URL_BYTES_MAX {
        return Err(format!(
            "a URL has at most {URL_BYTES_MAX} bytes, this one has {} when its special characters are written as %XX",
            url.as_str().len()
        ));
    }
    Ok(url.into())
}

fn read_address(text: &str) -> Result<Address, String> {
    let not_an_address =
        |_| format!("`{}` is not an IP address such as 192.0.2.1 or 2001:db8::1", shorten(text));
    text.parse::<IpAddr>().map(Address).map_err(not_an_address)
}

fn read_prefix(text: &str) -> Result<Prefix, String> {
    text.parse().map_err(|error| format!("`{}`: {error}", shorten(text)))
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Integer<const MIN: u32, const MAX: u32>(pub(crate) u32);

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Integer<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IntegerVisitor<const MIN: u32, const MAX: u32>;
        impl<const MIN: u32, const MAX: u32> Visitor<'_> for IntegerVisitor<MIN, MAX> {
            type Value = Integer<MIN, MAX>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from {MIN} to {MAX}")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                let within = u32::try_from(number).ok().filter(|number| (MIN..=MAX).contains(number));
                within.map(Integer).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
            }
        }
        deserializer.deserialize_u32(IntegerVisitor)
    }
}

/// A number with its unit, such as `150ms`: text that its field reads. A number without a unit is read as its text, so that
/// the field can say which unit is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Quantity(pub(crate) String);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct QuantityVisitor;
        impl Visitor<'_> for QuantityVisitor {
            type Value = Quantity;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number with its unit")
            }
            fn visit_str<E>(self, text: &str) -> Result<Quantity, E> {
                Ok(Quantity(text.to_owned()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }
        }
        deserializer.deserialize_any(QuantityVisitor)
    }
}
