//! Storage of scenarios as JSON files. A seed draws another scenario after each change of the generator. Therefore not
//! the seed but the scenario that found a bug is stored, in `tests/sim/regressions`, with its story.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::scenario::Scenario;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// The bug that the scenario found, described for a maintainer who reads this years later.
    pub(crate) story: String,
    pub(crate) scenario: Scenario,
}

pub(crate) fn save(path: &Path, stored: &Stored) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut text = serde_json::to_string_pretty(stored)?;
    text.push('\n');
    fs::write(path, text)
}

pub(crate) fn load(path: &Path) -> Result<Stored, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// All stored regressions, in the order of their names.
pub(crate) fn regressions() -> Result<Vec<(PathBuf, Stored)>, String> {
    all_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sim/regressions"))
}

fn all_in(folder: &Path) -> Result<Vec<(PathBuf, Stored)>, String> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{}: {error}", folder.display())),
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| load(&path).map(|stored| (path, stored)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw;

    fn folder(name: &str) -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sim-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_stored_scenario_is_loaded_unchanged() {
        let folder = folder("store");
        for seed in 0..300 {
            let stored = Stored {
                story: "The last batch \"expires\".\nThen nothing.".to_owned(),
                scenario: draw::scenario(seed),
            };
            let path = folder.join("one.json");
            save(&path, &stored).unwrap();
            assert_eq!(load(&path).unwrap(), stored);
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_folder_of_scenarios_is_read_in_the_order_of_names() {
        let folder = folder("folder");
        for (name, seed) in [("b", 2), ("a", 1)] {
            let stored = Stored {
                story: name.to_owned(),
                scenario: draw::scenario(seed),
            };
            save(&folder.join(name).with_extension("json"), &stored).unwrap();
        }
        fs::write(folder.join("README.md"), "what they are").unwrap();
        let stories: Vec<_> = all_in(&folder)
            .unwrap()
            .into_iter()
            .map(|(_, one)| one.story)
            .collect();
        assert_eq!(stories, ["a", "b"]);

        fs::write(folder.join("c.json"), "{}").unwrap();
        let error = all_in(&folder).unwrap_err();
        assert!(error.contains("c.json"), "{error}");
        fs::remove_dir_all(&folder).unwrap();
        assert!(all_in(&folder).unwrap().is_empty());
    }

    #[test]
    fn every_regression_can_be_loaded_and_has_a_story() {
        for (path, stored) in regressions().unwrap() {
            assert!(!stored.story.trim().is_empty(), "{}", path.display());
        }
    }
}
