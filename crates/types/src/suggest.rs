//! "Did you mean …?": the nearest of the names that exist.

/// The name among `known` that a user who typed `typed` probably meant, if any is near enough.
pub fn did_you_mean<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let upper = typed.to_uppercase();
    let length = upper.chars().count();
    let far = |name: &str| 1 + name.chars().count().min(length) / 4;
    known
        .into_iter()
        // Each letter more is a step: most names are too far away at once, however much was typed.
        .filter(|name| name.chars().count().abs_diff(length) <= far(name))
        .map(|name| (strsim::damerau_levenshtein(&upper, &name.to_uppercase()), name))
        .filter(|(distance, name)| *distance <= far(name))
        .min_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(b.1)))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn suggests_only_what_is_near() {
        let known = ["PAGEVIEWS", "USERS", "ORDERS"];
        assert_eq!(did_you_mean("pageview", known), Some("PAGEVIEWS"));
        assert_eq!(did_you_mean("ODRERS", known), Some("ORDERS"));
        assert_eq!(did_you_mean("shipments", known), None);
        assert_eq!(did_you_mean(&"ORDERS".repeat(1 << 20), known), None);
    }
}
