//! Dates and times of day, UTC.

/// A moment on the calendar, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// From 1.
    pub(crate) month: i64,
    /// From 1.
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    /// Days since 1970-01-01.
    days: i64,
}

impl Civil {
    /// From seconds since 1970-01-01T00:00:00Z. (Days to dates: Howard Hinnant, `chrono`-compatible low-level date
    /// algorithms.)
    pub(crate) fn from_seconds(seconds: i64) -> Self {
        let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        Civil {
            year: era * 400 + year_of_era + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
            hour: rest / 3600,
            minute: rest % 3600 / 60,
            second: rest % 60,
            days,
        }
    }

    fn is_leap_year(self) -> bool {
        self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0)
    }

    fn day_of_year(self) -> i64 {
        const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        let leap_day = i64::from(self.month > 2 && self.is_leap_year());
        BEFORE[(self.month - 1) as usize] + leap_day + self.day
    }

    fn days_in_month(self) -> i64 {
        match self.month {
            2 if self.is_leap_year() => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }
}

/// What is asked of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatePart {
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    DaysInMonth,
    Hour,
    Minute,
    Month,
    Year,
}

impl DatePart {
    /// This part of the date that lies `seconds` after 1970-01-01T00:00:00Z; fractions of a second do not count.
    pub(crate) fn of(self, seconds: f64) -> f64 {
        let civil = Civil::from_seconds(seconds as i64);
        let part = match self {
            DatePart::DayOfMonth => civil.day,
            // 1970-01-01 was a Thursday.
            DatePart::DayOfWeek => (civil.days + 4).rem_euclid(7),
            DatePart::DayOfYear => civil.day_of_year(),
            DatePart::DaysInMonth => civil.days_in_month(),
            DatePart::Hour => civil.hour,
            DatePart::Minute => civil.minute,
            DatePart::Month => civil.month,
            DatePart::Year => civil.year,
        };
        part as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_date() {
        #[track_caller]
        fn check(part: DatePart, seconds: f64, expected: f64) {
            assert_eq!(part.of(seconds), expected);
        }
        check(DatePart::Year, 1_136_239_445.0, 2006.0);
        check(DatePart::DayOfYear, 1_672_493_820.0, 365.0);
        check(DatePart::DaysInMonth, 1_454_284_800.0, 29.0);
        check(DatePart::DayOfWeek, 0.0, 4.0);
        check(DatePart::DayOfWeek, -86_400.0, 3.0);
        check(DatePart::Month, 1_456_790_400.0, 3.0);
        check(DatePart::Year, f64::NAN, 1970.0);
    }
}
