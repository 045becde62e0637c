//! What somebody may have meant.

/// The candidate that is closest to `word`, if one is close.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    const CLOSE: f64 = 0.8;
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness > CLOSE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn only_what_is_close_is_suggested() {
        let keys = ["filesystem", "network", "workdir"];
        assert_eq!(did_you_mean("filesytem", keys), Some("filesystem"));
        assert_eq!(did_you_mean("work_dir", keys), Some("workdir"));
        assert_eq!(did_you_mean("xyz", keys), None);
    }
}
