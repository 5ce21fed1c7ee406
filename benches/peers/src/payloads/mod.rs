//! Files of records and keys, the same for all clients.

mod json;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fastrand::Rng;

use crate::scenario::{PayloadKind, Scenario};

/// The size of a file of values. A file that is larger than the processor's caches would slow down all clients equally.
const VALUES_BYTES: usize = 1 << 20;
const FEWEST_VALUES: usize = 16;
const FEWEST_KEYS: usize = 10_000;
/// So that keys reach every partition, and none is reached by many more of them than another.
const KEYS_FOR_PARTITION: usize = 16;

/// The files of scenarios; each is created once.
pub struct Payloads {
    folder: PathBuf,
    seed: u64,
}

impl Payloads {
    pub fn new(folder: &Path, seed: u64) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self {
            folder: folder.to_owned(),
            seed,
        })
    }

    pub fn values(&self, scenario: &Scenario) -> Result<String> {
        let size = scenario.payload_bytes;
        let count = (VALUES_BYTES / size).max(FEWEST_VALUES);
        match scenario.payload_kind {
            PayloadKind::Random => self.file("values", size, |rng| random(rng, size * count)),
            PayloadKind::Json => self.file("json", size, |rng| json::records(rng, size, count)),
        }
    }

    pub fn keys(&self, scenario: &Scenario) -> Result<Option<String>> {
        match scenario.key_bytes {
            0 => Ok(None),
            size => {
                let partitions = usize::try_from(scenario.partitions)?;
                let count = FEWEST_KEYS.max(partitions * KEYS_FOR_PARTITION);
                let what = format!("keys-{count}");
                self.file(&what, size, |rng| random(rng, size * count))
                    .map(Some)
            }
        }
    }

    fn file(
        &self,
        what: &str,
        size: usize,
        make: impl FnOnce(&mut Rng) -> Vec<u8>,
    ) -> Result<String> {
        let path = self.folder.join(format!("{what}-{size}-{}", self.seed));
        if !path.exists() {
            let bytes = make(&mut Rng::with_seed(self.seed));
            fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(path.display().to_string())
    }
}

fn random(rng: &mut Rng, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    rng.fill(&mut bytes);
    bytes
}
