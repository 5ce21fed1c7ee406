//! The known name that a misspelled one probably stands for.

/// `None` if no name is similar enough.
pub(crate) fn nearest<'n>(
    unknown: &str,
    known: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    let unknown = unknown.to_ascii_lowercase();
    let (distance, name) = known
        .into_iter()
        .map(|name| (distance(&unknown, name), name))
        .min()?;
    // With more than a third of the letters wrong, some name is mostly as near by chance.
    (distance <= name.len().div_ceil(3)).then_some(name)
}

/// The number of edits, and 1 for a name that begins with the whole unknown word, or ends with it.
fn distance(unknown: &str, name: &str) -> usize {
    let is_part = unknown.len() > 2 && (name.starts_with(unknown) || name.ends_with(unknown));
    if is_part && unknown != name {
        return 1;
    }
    strsim::osa_distance(unknown, name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const NAMES: [&str; 5] = [
        "topic",
        "bootstrap-server",
        "sync",
        "producer.config",
        "property",
    ];

    #[test]
    fn the_name_that_was_meant_is_found() {
        for (misspelled, meant) in [
            ("topics", Some("topic")),
            ("bootstrap-servers", Some("bootstrap-server")),
            ("bootstrap", Some("bootstrap-server")),
            ("producer-config", Some("producer.config")),
            ("properties", Some("property")),
            ("Sync", Some("sync")),
            ("max-messages", None),
            ("", None),
        ] {
            assert_eq!(nearest(misspelled, NAMES), meant, "{misspelled}");
        }
    }
}
