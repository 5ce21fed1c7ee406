//! The releases of Kafka that a broker's API versions belong to.

use kafka_producer::probe::ProbedApi;

/// A release, and the API version that came with it: API, newest version. Of several changes in one release one is
/// enough. Releases that changed no API of a producer are missing.
const RELEASES: [(&str, &str, i16); 17] = [
    ("0.10.0", "Produce", 2),
    ("0.10.1", "Metadata", 2),
    ("0.11", "Produce", 3),
    ("1.0", "Produce", 5),
    ("2.0", "Produce", 6),
    ("2.1", "Produce", 7),
    ("2.4", "Produce", 8),
    ("2.5", "InitProducerId", 3),
    ("2.7", "InitProducerId", 4),
    ("2.8", "Produce", 9),
    ("3.0", "FindCoordinator", 4),
    ("3.1", "Metadata", 12),
    ("3.6", "AddPartitionsToTxn", 4),
    ("3.7", "Produce", 10),
    ("3.8", "Produce", 11),
    ("3.9", "ApiVersions", 4),
    ("4.0", "Metadata", 13),
];

/// The oldest and the newest release with these versions, as `2.5 to 2.6`; `None` if they are older than the table.
pub(crate) fn of(apis: &[ProbedApi]) -> Option<String> {
    let newest = |name: &str| apis.iter().find(|api| api.name == name).map(|api| api.max);
    release_of(newest)
}

fn release_of(newest: impl Fn(&str) -> Option<i16>) -> Option<String> {
    let has =
        |(_, api, version): &(&str, &str, i16)| newest(api).is_some_and(|max| max >= *version);
    let last = RELEASES.iter().rposition(has)?;
    let (since, ..) = RELEASES[last];
    Some(match last_before(last) {
        None => format!("{since} or newer"),
        Some(until) if until == since => since.to_owned(),
        Some(until) => format!("{since} to {until}"),
    })
}

/// The last release before the next row of the table; `None` for the last row.
fn last_before(row: usize) -> Option<&'static str> {
    Some(match RELEASES.get(row + 1)?.0 {
        "0.11" => "0.10.2",
        "2.0" => "1.1",
        "2.4" => "2.3",
        "2.7" => "2.6",
        "3.6" => "3.5",
        _ => RELEASES[row].0,
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
