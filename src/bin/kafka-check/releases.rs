//! The releases of Kafka that a broker's API versions belong to.

use kafka_producer::probe::ProbedApi;

/// A range of releases, and the API version that came with the first of them.
struct ReleaseRange {
    first: &'static str,
    /// `None` for the newest range, which has no end yet.
    last: Option<&'static str>,
    api: &'static str,
    version: i16,
}

const fn range(
    first: &'static str,
    last: Option<&'static str>,
    api: &'static str,
    version: i16,
) -> ReleaseRange {
    ReleaseRange {
        first,
        last,
        api,
        version,
    }
}

/// Of several changes in one release one is enough. A release that changed no API of a producer belongs to the range
/// before it.
const RELEASES: [ReleaseRange; 17] = [
    range("0.10.0", Some("0.10.0"), "Produce", 2),
    range("0.10.1", Some("0.10.2"), "Metadata", 2),
    range("0.11", Some("0.11"), "Produce", 3),
    range("1.0", Some("1.1"), "Produce", 5),
    range("2.0", Some("2.0"), "Produce", 6),
    range("2.1", Some("2.3"), "Produce", 7),
    range("2.4", Some("2.4"), "Produce", 8),
    range("2.5", Some("2.6"), "InitProducerId", 3),
    range("2.7", Some("2.7"), "InitProducerId", 4),
    range("2.8", Some("2.8"), "Produce", 9),
    range("3.0", Some("3.0"), "FindCoordinator", 4),
    range("3.1", Some("3.5"), "Metadata", 12),
    range("3.6", Some("3.6"), "AddPartitionsToTxn", 4),
    range("3.7", Some("3.7"), "Produce", 10),
    range("3.8", Some("3.8"), "Produce", 11),
    range("3.9", Some("3.9"), "ApiVersions", 4),
    range("4.0", None, "Metadata", 13),
];

/// The oldest and the newest release with these versions, as `2.5 to 2.6`; `None` if they are older than the table.
pub(crate) fn of(apis: &[ProbedApi]) -> Option<String> {
    let newest = |name: &str| apis.iter().find(|api| api.name == name).map(|api| api.max);
    release_of(newest)
}

fn release_of(newest: impl Fn(&str) -> Option<i16>) -> Option<String> {
    let has = |range: &&ReleaseRange| newest(range.api).is_some_and(|max| max >= range.version);
    let range = RELEASES.iter().rev().find(has)?;
    let first = range.first;
    Some(match range.last {
        None => format!("{first} or newer"),
        Some(last) if last == first => first.to_owned(),
        Some(last) => format!("{first} to {last}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The newest versions of Produce, Metadata, FindCoordinator, ApiVersions, InitProducerId, AddPartitionsToTxn.
    #[test]
    fn the_release_is_found_by_its_newest_versions() {
        for (versions, release) in [
            ([2, 1, 0, 0, -1, -1], "0.10.0"),
            ([2, 2, 0, 0, -1, -1], "0.10.1 to 0.10.2"),
            ([5, 5, 1, 1, 0, 0], "1.0 to 1.1"),
            ([7, 7, 2, 2, 1, 1], "2.1 to 2.3"),
            ([8, 9, 3, 3, 2, 1], "2.4"),
            ([8, 9, 3, 3, 3, 1], "2.5 to 2.6"),
            ([9, 11, 3, 3, 4, 3], "2.8"),
            ([9, 11, 4, 3, 4, 3], "3.0"),
            ([9, 12, 4, 3, 4, 3], "3.1 to 3.5"),
            ([11, 12, 6, 4, 5, 5], "3.9"),
            ([13, 13, 6, 5, 5, 5], "4.0 or newer"),
        ] {
            let names = [
                "Produce",
                "Metadata",
                "FindCoordinator",
                "ApiVersions",
                "InitProducerId",
                "AddPartitionsToTxn",
            ];
            let newest = |name: &str| Some(versions[names.iter().position(|it| *it == name)?]);
            assert_eq!(release_of(newest).as_deref(), Some(release));
        }
        assert_eq!(release_of(|_| None), None);
    }
}
