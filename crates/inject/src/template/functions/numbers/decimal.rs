//! Decimals of any length, as `shopspring/decimal` has them: division stops at sixteen places.

use num_bigint::BigInt;

use super::Fault;

/// Places behind the point to which is divided.
const PLACES: i32 = 16;

/// A whole number of tenths, hundredths and so on.
pub(super) struct Decimal {
    digits: BigInt,
    exponent: i32,
}

impl Decimal {
    /// The shortest decimal that is read as the number.
    pub(super) fn of(number: f64) -> Result<Self, Fault> {
        if !number.is_finite() {
            let written = crate::template::format::float::format(number, 'g', None);
            return Fault::said(format!("Cannot create a Decimal from {written}"));
        }
        let text = crate::template::format::float::shortest(number);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let fraction = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len() as i32);
        let digits = mantissa.replace('.', "").parse().unwrap_or_default();
        Ok(Self { digits, exponent: exponent.parse::<i32>().unwrap_or(0) - fraction })
    }

    /// The nearest number.
    pub(super) fn nearest(&self) -> f64 {
        format!("{}e{}", self.digits, self.exponent).parse().unwrap_or(f64::NAN)
    }

    pub(super) fn size(&self) -> usize {
        usize::try_from(self.digits.bits() / 8).unwrap_or(usize::MAX)
    }

    /// As a whole number of units of a smaller exponent.
    fn scaled(&self, exponent: i32) -> BigInt {
        &self.digits * ten(self.exponent.abs_diff(exponent))
    }
}

fn ten(power: u32) -> BigInt {
    BigInt::from(10).pow(power)
}

pub(super) fn add(a: &Decimal, b: &Decimal) -> Result<Decimal, Fault> {
    let exponent = a.exponent.min(b.exponent);
    Ok(Decimal { digits: a.scaled(exponent) + b.scaled(exponent), exponent })
}

pub(super) fn sub(a: &Decimal, b: &Decimal) -> Result<Decimal, Fault> {
    let exponent = a.exponent.min(b.exponent);
    Ok(Decimal { digits: a.scaled(exponent) - b.scaled(exponent), exponent })
}

pub(super) fn mul(a: &Decimal, b: &Decimal) -> Result<Decimal, Fault> {
    Ok(Decimal { digits: &a.digits * &b.digits, exponent: a.exponent.saturating_add(b.exponent) })
}

/// Half a unit is rounded away from zero.
pub(super) fn div(a: &Decimal, b: &Decimal) -> Result<Decimal, Fault> {
    if b.digits == BigInt::ZERO {
        return Fault::said("decimal division by 0");
    }
    let shift = a.exponent - b.exponent + PLACES;
    let (over, under) = if shift < 0 {
        (a.digits.clone(), &b.digits * ten(shift.unsigned_abs()))
    } else {
        (&a.digits * ten(shift.unsigned_abs()), b.digits.clone())
    };
    let (mut quotient, rest) = (&over / &under, &over % &under);
    if rest.magnitude() * 2_u32 >= *under.magnitude() {
        quotient += if (over < BigInt::ZERO) == (under < BigInt::ZERO) { 1 } else { -1 };
    }
    Ok(Decimal { digits: quotient, exponent: -PLACES })
}
