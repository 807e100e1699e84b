//! Moments as Go's package `time` writes and reads them by a layout such as `2006-01-02`. The local zone is UTC: what a template renders
//! must not depend on where it is rendered.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::meter::Fault;
use super::value::Time;

mod layout;
mod read;

pub(crate) use read::parse;

const LONG_MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const LONG_DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl Time {
    /// A moment in UTC.
    pub(crate) fn utc(seconds: i64) -> Self {
        Self { seconds, nanos: 0, offset: 0, zone: "UTC".to_owned() }
    }

    /// Date and clock in its zone.
    pub(crate) fn civil(&self) -> Result<DateTime, Fault> {
        let shown = Timestamp::new(self.seconds.saturating_add(i64::from(self.offset)), self.nanos);
        match shown {
            Ok(shown) => Ok(Offset::UTC.to_datetime(shown)),
            Err(_) => Fault::said("the date is not between the years -9999 and 9999"),
        }
    }
}

/// The seconds since 1970 of a date and clock in UTC.
fn seconds_of(shown: DateTime) -> Option<i64> {
    Some(Offset::UTC.to_timestamp(shown).ok()?.as_second())
}

/// A moment by a layout.
pub(crate) fn format(time: &Time, layout: &str) -> Result<String, Fault> {
    layout::format(time, layout)
}

/// As Go prints a moment.
pub(crate) fn written(time: &Time) -> String {
    layout::format(time, "2006-01-02 15:04:05.999999999 -0700 MST").unwrap_or_else(|_| "a date out of range".to_owned())
}
