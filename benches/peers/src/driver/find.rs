//! Finds the clients, which are listed in `drivers/*/driver.json`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

/// A client.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Description {
    /// The name on the command line and in `raw.json`.
    pub name: String,
    /// The name in tables and plots.
    pub display: String,
    /// The command that builds it, in its folder.
    pub build: Vec<String>,
    /// The command that starts it, in its folder.
    pub run: Vec<String>,
    /// Whether it takes part only in scenarios with compression.
    #[serde(default)]
    pub only_compressed: bool,
    /// Whether it takes part only in scenarios with TLS.
    #[serde(default)]
    pub only_sealed: bool,
    /// Whether it takes part only in scenarios with transactions.
    #[serde(default)]
    pub only_transactional: bool,
    /// The folder of the driver.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// The content of a `driver.json`: one client or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum File {
    One(Description),
    Several(Vec<Description>),
}

/// This project's own driver.
pub const OURS: &str = "ours";

/// All clients in the subfolders of these folders: ours first, then the floors, then the others by name. If a name
/// occurs twice, the client in the first of these folders is used, so a user's folder can replace a client of the
/// repository.
pub fn find(folders: &[PathBuf]) -> Result<Vec<Description>> {
    let mut found = Vec::<Description>::new();
    for folder in folders {
        let entries =
            fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let mut inside: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        inside.sort();
        for driver in inside {
            let file = driver.join("driver.json");
            if file.is_file() {
                let several =
                    read(&file).with_context(|| format!("cannot use {}", file.display()))?;
                for one in several {
                    if found.iter().all(|known| known.name != one.name) {
                        found.push(one);
                    }
                }
            }
        }
    }
    found.sort_by_key(|one| {
        let rank = if one.name == OURS {
            0
        } else {
            1 + u8::from(!is_floor(&one.name))
        };
        (rank, one.name.clone())
    });
    Ok(found)
}

fn read(file: &Path) -> Result<Vec<Description>> {
    let folder = file
        .parent()
        .context("a file is in a folder")?
        .canonicalize()?;
    let mut several = match serde_json::from_str(&fs::read_to_string(file)?)? {
        File::One(one) => vec![one],
        File::Several(several) => several,
    };
    for one in &mut several {
        ensure!(!one.run.is_empty(), "{}: \"run\" is empty", one.name);
        ensure!(!one.build.is_empty(), "{}: \"build\" is empty", one.name);
        one.folder.clone_from(&folder);
    }
    Ok(several)
}

/// Whether the client is a floor: it is not a producer, and so not a peer.
pub fn is_floor(name: &str) -> bool {
    name.starts_with("floor") || name.ends_with("-alone")
}

/// The suffix of the name of a client that flushes where the client without the suffix commits a transaction.
pub const FLUSH: &str = "-flush";

/// Whether the client is a producer of another project.
pub fn is_peer(name: &str) -> bool {
    name != OURS && !is_floor(name) && !name.ends_with(FLUSH)
}

/// The named clients, in the order of `all`.
pub fn only(all: Vec<Description>, names: &[String]) -> Result<Vec<Description>> {
    for name in names {
        if !all.iter().any(|one| one.name == *name) {
            let known: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
            bail!(
                "there is no client {name:?}; there are {}",
                known.join(", ")
            );
        }
    }
    Ok(all
        .into_iter()
        .filter(|one| names.contains(&one.name))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repositorys_drivers_are_found_with_ours_first() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("drivers");
        let names: Vec<String> = find(&[folder])
            .unwrap()
            .into_iter()
            .map(|one| one.name)
            .collect();
        assert_eq!(names[..4], ["ours", "cipher-alone", "codec-alone", "floor"]);
        assert!(names.contains(&format!("{OURS}{FLUSH}")));
        assert!(names[5..].is_sorted());
    }

    #[test]
    fn floors_and_ours_are_no_peers() {
        assert!(is_peer("java-3.0.0") && !is_peer("ours"));
        assert!(!is_peer("floor-full") && !is_peer("codec-alone") && !is_peer("cipher-alone"));
        assert!(!is_peer("ours-flush") && !is_peer("java-3.0.0-flush"));
    }
}
