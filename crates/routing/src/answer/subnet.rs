//! The Client Subnet option (RFC 7871), read strictly from the bytes of a query.

use std::net::IpAddr;

use spillway_events::Prefix;

const OPTION_CODE: u16 = 8;
const OPT_TYPE: u16 = 41;
const HEADER_BYTES: usize = 12;
const FAMILY_V4: u16 = 1;
const FAMILY_V6: u16 = 2;

/// The network of a client, as its resolver reports it: the first `source_bits` bits of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subnet {
    /// The address; all bits beyond `source_bits` are 0.
    pub address: IpAddr,
    /// The source prefix length.
    pub source_bits: u8,
}

/// The option does not follow RFC 7871, section 6; the answer is FORMERR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the Client Subnet option is malformed")]
pub struct MalformedSubnet;

impl Subnet {
    /// Reads the option's data: family, source and scope prefix length, address.
    ///
    /// # Errors
    /// When the family is unknown, the scope is not 0, the address has too few or too many octets for its source
    /// prefix length, or bits are set beyond it.
    pub fn from_option(data: &[u8]) -> Result<Self, MalformedSubnet> {
        let [family_high, family_low, source_bits, scope_bits, octets @ ..] = data else {
            return Err(MalformedSubnet);
        };
        let address = match u16::from_be_bytes([*family_high, *family_low]) {
            FAMILY_V4 => IpAddr::from(padded::<4>(octets)?),
            FAMILY_V6 => IpAddr::from(padded::<16>(octets)?),
            _ => return Err(MalformedSubnet),
        };
        let prefix = Prefix::containing(address, *source_bits);
        let exact = prefix.length() == *source_bits && prefix.address() == address;
        if *scope_bits != 0 || !exact || octets.len() != usize::from(source_bits.div_ceil(8)) {
            return Err(MalformedSubnet);
        }
        Ok(Self { address, source_bits: *source_bits })
    }

    /// Finds the option in a whole query. The decoder of the DNS library accepts surplus octets; this one does not.
    pub(super) fn in_message(message: &[u8]) -> Result<Option<Self>, MalformedSubnet> {
        let mut reader = Reader { message, at: HEADER_BYTES };
        let count = |at: usize| message.get(at..at + 2).map_or(0, |two| u16::from_be_bytes([two[0], two[1]]));
        for _ in 0..count(4) {
            reader.skip_name()?;
            reader.take(4)?;
        }
        for _ in 0..u32::from(count(6)) + u32::from(count(8)) + u32::from(count(10)) {
            reader.skip_name()?;
            let kind = reader.u16()?;
            reader.take(6)?;
            let length = reader.u16()?;
            let data = reader.take(usize::from(length))?;
            if kind == OPT_TYPE {
                return Self::in_options(data);
            }
        }
        Ok(None)
    }

    fn in_options(options: &[u8]) -> Result<Option<Self>, MalformedSubnet> {
        let mut reader = Reader { message: options, at: 0 };
        let mut found = None;
        while reader.at < options.len() {
            let code = reader.u16()?;
            let length = reader.u16()?;
            let data = reader.take(usize::from(length))?;
            if code == OPTION_CODE && found.replace(Self::from_option(data)?).is_some() {
                return Err(MalformedSubnet);
            }
        }
        Ok(found)
    }
}

fn padded<const N: usize>(octets: &[u8]) -> Result<[u8; N], MalformedSubnet> {
    let mut address = [0; N];
    address.get_mut(..octets.len()).ok_or(MalformedSubnet)?.copy_from_slice(octets);
    Ok(address)
}

struct Reader<'m> {
    message: &'m [u8],
    at: usize,
}

impl<'m> Reader<'m> {
    fn take(&mut self, length: usize) -> Result<&'m [u8], MalformedSubnet> {
        let end = self.at.checked_add(length).ok_or(MalformedSubnet)?;
        let taken = self.message.get(self.at..end).ok_or(MalformedSubnet)?;
        self.at = end;
        Ok(taken)
    }

    fn u16(&mut self) -> Result<u16, MalformedSubnet> {
        let two = self.take(2)?;
        Ok(u16::from_be_bytes([two[0], two[1]]))
    }

    fn skip_name(&mut self) -> Result<(), MalformedSubnet> {
        loop {
            let length = self.take(1)?[0];
            match length {
                0 => return Ok(()),
                // A pointer ends a name (RFC 1035, section 4.1.4).
                0xC0.. => return self.take(1).map(|_| ()),
                0x40.. => return Err(MalformedSubnet),
                _ => self.take(usize::from(length))?,
            };
        }
    }
}
