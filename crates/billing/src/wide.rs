//! Whole numbers of 256 bits, and divisions that keep their remainder.
//!
//! A quantity times a price is beyond 128 bits long before either is; their quotient is not.

use std::cmp::Ordering;
use std::fmt;

/// A whole number from 0 to 2²⁵⁶ − 1: its limbs of 64 bits, the least first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Wide([u64; 4]);

/// A number does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the number is too great")]
pub struct TooGreat;

impl From<u128> for Wide {
    fn from(number: u128) -> Self {
        Self([low(number), high(number), 0, 0])
    }
}

impl Wide {
    /// The product of whole numbers.
    ///
    /// # Errors
    /// If it has more than 256 bits.
    pub fn product(factors: &[u128]) -> Result<Self, TooGreat> {
        factors.iter().try_fold(Self::from(1), |product, factor| product.times(*factor))
    }

    fn times(self, factor: u128) -> Result<Self, TooGreat> {
        let by_low = self.times_limb(low(factor))?;
        let by_high = self.times_limb(high(factor))?;
        let [a, b, c, over] = by_high.0;
        if over != 0 {
            return Err(TooGreat);
        }
        by_low.plus(Self([0, a, b, c]))
    }

    fn times_limb(self, factor: u64) -> Result<Self, TooGreat> {
        let mut carry = 0;
        let limbs = self.0.map(|limb| {
            let product = u128::from(limb) * u128::from(factor) + carry;
            carry = product >> 64;
            low(product)
        });
        if carry == 0 { Ok(Self(limbs)) } else { Err(TooGreat) }
    }

    fn plus(self, other: Self) -> Result<Self, TooGreat> {
        let mut carry = 0;
        let mut limbs = [0; 4];
        for (limb, (one, other)) in limbs.iter_mut().zip(self.0.into_iter().zip(other.0)) {
            let sum = u128::from(one) + u128::from(other) + carry;
            (*limb, carry) = (low(sum), sum >> 64);
        }
        if carry == 0 { Ok(Self(limbs)) } else { Err(TooGreat) }
    }

    /// The difference; `other` is at most this number.
    fn minus(self, other: Self) -> Self {
        let mut borrow = false;
        let mut limbs = [0; 4];
        for (limb, (one, other)) in limbs.iter_mut().zip(self.0.into_iter().zip(other.0)) {
            let (rest, first) = one.overflowing_sub(other);
            let (rest, second) = rest.overflowing_sub(u64::from(borrow));
            (*limb, borrow) = (rest, first || second);
        }
        Self(limbs)
    }

    fn doubled(self) -> Self {
        let [a, b, c, d] = self.0;
        Self([a << 1, b << 1 | a >> 63, c << 1 | b >> 63, d << 1 | c >> 63])
    }

    fn bit(self, index: u32) -> u64 {
        self.0.get((index / 64) as usize).map_or(0, |limb| limb >> (index % 64) & 1)
    }

    /// How many bits the number has, without leading zeros.
    fn bits(self) -> u32 {
        let limbs = (1..).zip(self.0).filter(|(_, limb)| *limb != 0);
        limbs.last().map_or(0, |(count, limb): (u32, u64)| 64 * count - limb.leading_zeros())
    }

    fn to_u128(self) -> Option<u128> {
        let [a, b, c, d] = self.0;
        (c == 0 && d == 0).then_some(u128::from(b) << 64 | u128::from(a))
    }

    /// The whole quotient and the remainder.
    fn divided(self, by: Self) -> Option<(Self, Self)> {
        if by == Self::default() {
            return None;
        }
        if let (Some(number), Some(by)) = (self.to_u128(), by.to_u128()) {
            return Some((Self::from(number / by), Self::from(number % by)));
        }
        // One bit of the quotient after the other, as on paper.
        let (mut quotient, mut rest) = (Self::default(), Self::default());
        for index in (0..self.bits()).rev() {
            // A divisor beyond 2²⁵⁵ would need one bit more here.
            if rest.bit(255) == 1 {
                return None;
            }
            rest = rest.doubled();
            rest.0[0] |= self.bit(index);
            quotient = quotient.doubled();
            if rest >= by {
                rest = rest.minus(by);
                quotient.0[0] |= 1;
            }
        }
        Some((quotient, rest))
    }
}

impl PartialOrd for Wide {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Wide {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }
}

/// Writes the number in decimal digits.
impl fmt::Display for Wide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const GROUP: u128 = 10_u128.pow(18);
        let mut groups = Vec::new();
        let mut rest = *self;
        while rest != Self::default() {
            let Some((quotient, group)) = rest.divided(Self::from(GROUP)) else { break };
            groups.push(group.to_u128().unwrap_or_default());
            rest = quotient;
        }
        write!(f, "{}", groups.pop().unwrap_or(0))?;
        groups.iter().rev().try_for_each(|group| write!(f, "{group:018}"))
    }
}

/// The lower 64 bits.
fn low(number: u128) -> u64 {
    u64::try_from(number & u128::from(u64::MAX)).unwrap_or_default()
}

fn high(number: u128) -> u64 {
    low(number >> 64)
}

/// A division of whole numbers, with its quotient rounded half away from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Division {
    /// Whether the quotient is less than 0.
    pub negative: bool,
    /// What is divided, without its sign.
    pub numerator: Wide,
    /// What it is divided by.
    pub denominator: Wide,
    /// What the whole quotient, not yet rounded, leaves of the numerator.
    pub remainder: Wide,
    /// The quotient, rounded, with its sign.
    pub rounded: i128,
}

impl Division {
    /// `first × others ÷ denominators`.
    ///
    /// # Errors
    /// If a product has more than 256 bits or the quotient more than 127, or if a denominator is 0.
    pub fn new(first: i128, others: &[u128], denominators: &[u128]) -> Result<Self, TooGreat> {
        let numerator = Wide::product(others)?.times(first.unsigned_abs())?;
        let denominator = Wide::product(denominators)?;
        let (quotient, remainder) = numerator.divided(denominator).ok_or(TooGreat)?;
        let is_half = remainder >= denominator.minus(remainder);
        let quotient = quotient.to_u128().and_then(|quotient| quotient.checked_add(u128::from(is_half)));
        let rounded = i128::try_from(quotient.ok_or(TooGreat)?).map_err(|_| TooGreat)?;
        let rounded = if first < 0 { -rounded } else { rounded };
        Ok(Self { negative: first < 0, numerator, denominator, remainder, rounded })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2²⁵⁶ − 1, the greatest value of the type that programs of Ethereum call `uint256`.
    const GREATEST: &str = "115792089237316195423570985008687907853269984665640564039457584007913129639935";

    #[test]
    fn products_are_exact_up_to_256_bits() {
        let greatest = Wide([u64::MAX; 4]);
        assert_eq!(greatest.to_string(), GREATEST);
        assert_eq!(Wide::product(&[u128::MAX, u128::MAX]).unwrap().0, [1, 0, u64::MAX - 1, u64::MAX]);
        assert_eq!(Wide::product(&[u128::MAX, u128::MAX, 2]), Err(TooGreat));
        assert_eq!(Wide::product(&[1 << 127, 1 << 127, 4]), Err(TooGreat));
        assert_eq!(Wide::product(&[1 << 127, 1 << 127, 2]).unwrap().0, [0, 0, 0, 1 << 63]);
        assert_eq!(Wide::default().to_string(), "0");
        assert_eq!(Wide::from(10_u128.pow(18)).to_string(), "1000000000000000000");
    }

    #[test]
    fn a_quotient_is_rounded_half_away_from_zero() {
        for (number, by, rounded) in [
            (5, 10, 1),
            (-5, 10, -1),
            (4, 10, 0),
            (15, 10, 2),
            (25, 10, 3),
            (-25, 10, -3),
            (7, 7, 1),
            (0, 3, 0),
            (1, 3, 0),
            (2, 3, 1),
        ] {
            assert_eq!(Division::new(number, &[], &[by]).unwrap().rounded, rounded, "{number} / {by}");
        }
        assert_eq!(Division::new(1, &[], &[0]), Err(TooGreat));
        assert_eq!(Division::new(i128::MIN, &[], &[1]), Err(TooGreat));
        assert_eq!(Division::new(i128::MAX, &[2], &[1]), Err(TooGreat));
        assert_eq!(Division::new(i128::MAX, &[u128::MAX], &[u128::MAX]).unwrap().rounded, i128::MAX);
    }

    proptest! {
        /// A quotient times its divisor plus the remainder is the number again.
        #[test]
        fn a_division_is_the_inverse_of_a_product(
            number in any::<[u64; 4]>(), by in any::<[u64; 3]>(), shifts in (0_u32..192, 0_u32..192),
        ) {
            let narrow = |mut wide: Wide, bits: u32| {
                for _ in 0..bits {
                    let [a, b, c, d] = wide.0;
                    wide = Wide([a >> 1 | b << 63, b >> 1 | c << 63, c >> 1 | d << 63, d >> 1]);
                }
                wide
            };
            let number = narrow(Wide(number), shifts.0);
            let [a, b, c] = by;
            let by = narrow(Wide([a | 1, b, c, 0]), shifts.1);
            prop_assume!(by != Wide::default());
            let (quotient, rest) = number.divided(by).unwrap();
            prop_assert!(rest < by);
            // Multiply limb by limb.
            let mut product = Wide::default();
            for (place, limb) in quotient.0.into_iter().enumerate() {
                let mut part = by.times_limb(limb).unwrap_or_default();
                for _ in 0..place {
                    let [a, b, c, _] = part.0;
                    part = Wide([0, a, b, c]);
                }
                product = product.plus(part).unwrap();
            }
            prop_assert_eq!(product.plus(rest).unwrap(), number);
        }
    }
}
