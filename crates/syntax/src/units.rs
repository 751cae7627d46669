//! Units of time, and durations made of them.

use types::{Error, Result};

use crate::{lexer::Tok, parser::Parser};

/// A unit of time. A month has 30 days and a year 365, because a window's size cannot depend on where it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeUnit {
    plural: &'static str,
    ms: i64,
}

const UNITS: &[TimeUnit] = &[
    TimeUnit { plural: "DAYS", ms: 86_400_000 },
    TimeUnit { plural: "HOURS", ms: 3_600_000 },
    TimeUnit { plural: "MILLISECONDS", ms: 1 },
    TimeUnit { plural: "MINUTES", ms: 60_000 },
    TimeUnit { plural: "MONTHS", ms: 30 * 86_400_000 },
    TimeUnit { plural: "SECONDS", ms: 1_000 },
    TimeUnit { plural: "WEEKS", ms: 7 * 86_400_000 },
    TimeUnit { plural: "YEARS", ms: 365 * 86_400_000 },
];

/// From the largest to the smallest, those in which a duration is written again.
const WRITTEN_IN: &[&str] = &["DAYS", "HOURS", "MINUTES", "SECONDS", "MILLISECONDS"];

impl TimeUnit {
    /// The unit that the upper-case `word` names, in singular or plural.
    pub(crate) fn of(word: &str) -> Option<TimeUnit> {
        let named = |unit: &&TimeUnit| word == unit.plural || Some(word) == unit.plural.strip_suffix('S');
        UNITS.iter().find(named).copied()
    }

    /// `SECONDS`.
    pub(crate) fn plural(self) -> &'static str {
        self.plural
    }
}

/// `ms` as a number and the largest unit that divides it.
pub(crate) fn written(ms: i64) -> String {
    let units = WRITTEN_IN.iter().filter_map(|word| TimeUnit::of(word));
    let unit = units.into_iter().find(|unit| ms != 0 && ms % unit.ms == 0);
    match unit {
        Some(unit) => format!("{} {}", ms / unit.ms, unit.plural),
        None => format!("{ms} MILLISECONDS"),
    }
}

impl Parser<'_> {
    /// `10 SECONDS`, in milliseconds; zero only where `zero` says that it makes sense.
    pub(crate) fn duration_ms(&mut self, zero: bool) -> Result<i64> {
        let mark = self.mark();
        if self.is_symbol(0, "-") {
            self.advance();
            let span = self.span_from(mark);
            return Err(Error::syntax("a duration cannot be negative").at(span));
        }
        let count = self.whole_number("a number")?;
        self.note("a unit of time");
        let unit = match self.tok(0) {
            Tok::Word(word) => TimeUnit::of(word),
            _ => None,
        };
        let Some(unit) = unit else {
            let error = self.unexpected();
            let known = UNITS.iter().map(|u| u.plural);
            let near = match self.tok(0) {
                Tok::Word(word) => types::did_you_mean(word, known),
                _ => None,
            };
            return Err(match near {
                Some(near) => error.with_hint(format!("did you mean {near}?")),
                None => error,
            });
        };
        self.advance();
        let span = self.span_from(mark);
        if count == 0 && !zero {
            return Err(Error::syntax("this duration must be longer than zero").at(span));
        }
        let ms = i64::try_from(count).ok().and_then(|count| count.checked_mul(unit.ms));
        ms.ok_or_else(|| Error::syntax(format!("{count} {} are too long", unit.plural)).at(span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_units_and_writes_durations() {
        assert!(UNITS.is_sorted_by_key(|u| u.plural));
        assert_eq!(TimeUnit::of("SECOND"), TimeUnit::of("SECONDS"));
        assert_eq!(TimeUnit::of("BOBS"), None);
        for (ms, want) in [(0, "0 MILLISECONDS"), (90_000, "90 SECONDS"), (86_400_000, "1 DAYS"), (1, "1 MILLISECONDS")]
        {
            assert_eq!(written(ms), want);
        }
    }
}
