//! Subscriptions by pattern, and the names of topics that match.
//!
//! Members of a group, and of many groups, tend to have the same pattern; each is compiled once and looks at the
//! topics once a second, however many heartbeats ask. Patterns are those of the `regex` crate, as Kafka's are RE2's:
//! linear in time, without backward references. A pattern matches whole names. The engine's own topics match none;
//! they can be subscribed to by name.

use std::{collections::HashMap, sync::Arc};

use kafka_protocol::error::ResponseError;
use parking_lot::Mutex;
use regex::{Regex, RegexBuilder};

use crate::{broker::is_internal_topic, error::Failure};

/// Longest pattern, bytes.
const PATTERN_BYTES_MAX: usize = 1_000;
/// Most memory of one compiled pattern, and as much again to match with, bytes.
const COMPILED_BYTES_MAX: usize = 256 << 10;
/// Most patterns that are kept compiled.
const PATTERNS_MAX: usize = 200;
/// How often a pattern looks at the topics, ms.
const LOOK_MS: i64 = 1_000;

/// Patterns that were asked for lately.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    known: Mutex<HashMap<String, Known>>,
}

#[derive(Debug)]
struct Known {
    regex: Regex,
    matched: Arc<[String]>,
    looked_ms: i64,
}

impl Patterns {
    /// The names that match; the same list as long as nothing changes. `names` are all there are.
    pub fn matching(
        &self,
        pattern: &str,
        now_ms: i64,
        names: impl FnOnce() -> Vec<Arc<str>>,
    ) -> Result<Arc<[String]>, Failure> {
        let mut known = self.known.lock();
        if let Some(found) = known.get(pattern).filter(|found| now_ms.saturating_sub(found.looked_ms) < LOOK_MS) {
            return Ok(Arc::clone(&found.matched));
        }
        let (regex, before) = match known.get(pattern) {
            Some(found) => (found.regex.clone(), Arc::clone(&found.matched)),
            None => (compile(pattern)?, Arc::default()),
        };
        let fits = |name: &Arc<str>| !is_internal_topic(name) && regex.is_match(name);
        let mut matched: Vec<String> = names().iter().filter(|name| fits(name)).map(ToString::to_string).collect();
        matched.sort_unstable();
        let matched = if *matched == *before { before } else { Arc::from(matched) };
        if known.len() >= PATTERNS_MAX && !known.contains_key(pattern) {
            // Those that nobody has asked for since they could look again, or all.
            known.retain(|_, found| now_ms.saturating_sub(found.looked_ms) < LOOK_MS);
            if known.len() >= PATTERNS_MAX {
                known.clear();
            }
        }
        known.insert(pattern.to_owned(), Known { regex, matched: Arc::clone(&matched), looked_ms: now_ms });
        Ok(matched)
    }
}

fn compile(pattern: &str) -> Result<Regex, Failure> {
    let invalid = |why: String| {
        Failure::new(ResponseError::InvalidRegularExpression, format!("the pattern of the subscription: {why}"))
    };
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(invalid(format!("it is longer than {PATTERN_BYTES_MAX} bytes")));
    }
    let build = |pattern: &str| {
        let mut builder = RegexBuilder::new(pattern);
        builder.size_limit(COMPILED_BYTES_MAX).dfa_size_limit(COMPILED_BYTES_MAX).build()
    };
    // Alone first: what closes a group that it has not opened is no pattern, whatever stands around it.
    let whole = build(pattern).and_then(|_| build(&format!("^(?:{pattern})$")));
    whole.map_err(|error| invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, expect: Result<&[&str], &str>) {
        let names = || ["orders-1", "orders-2", "orders", "xorders", "_millstream-kafka"].map(Arc::from).to_vec();
        let matched = Patterns::default().matching(pattern, 0, names);
        match (matched, expect) {
            (Ok(matched), Ok(expect)) => assert_eq!(*matched, *expect),
            (Err(failure), Err(words)) => {
                assert_eq!(failure.error, ResponseError::InvalidRegularExpression);
                assert!(failure.message.contains(words), "{}", failure.message);
            }
            (got, _) => panic!("{pattern}: {got:?}"),
        }
    }

    #[test]
    fn whole_names_match() {
        check("orders", Ok(&["orders"]));
        check("orders-.*", Ok(&["orders-1", "orders-2"]));
        check("orders|nothing", Ok(&["orders"]));
        check(".*(kafka|rs)", Ok(&["orders", "xorders"]));
        check("(", Err("unclosed group"));
        check("a)(b", Err("unopened group"));
        check(r"(a)\1", Err("backreferences"));
        check(&"a".repeat(PATTERN_BYTES_MAX + 1), Err("longer"));
        check(r"\w{1000}{1000}", Err("size limit"));
    }

    #[test]
    fn topics_are_looked_at_once_a_second() {
        let patterns = Patterns::default();
        let names = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect::<Vec<Arc<str>>>();
        let first = patterns.matching("a.*", 0, || names(&["a", "b"])).unwrap();
        let same = patterns.matching("a.*", LOOK_MS - 1, || panic!("it need not look")).unwrap();
        let again = patterns.matching("a.*", LOOK_MS, || names(&["c", "a"])).unwrap();
        assert!(Arc::ptr_eq(&first, &same) && Arc::ptr_eq(&same, &again));
        let more = patterns.matching("a.*", 2 * LOOK_MS, || names(&["ab", "a"])).unwrap();
        assert_eq!(*more, ["a", "ab"]);
        for number in 0..2 * PATTERNS_MAX {
            patterns.matching(&number.to_string(), 0, Vec::new).unwrap();
        }
        assert!(patterns.known.lock().len() <= PATTERNS_MAX);
    }
}
