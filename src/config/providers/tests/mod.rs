//! Tests of config providers, after those of Kafka. The null paths of Java's tests are empty ones here.

mod allowed_paths;
mod configuration;
mod directory;
mod env_var;
mod file;
#[cfg(feature = "tls-no-provider")]
mod recipe;
mod secrets;
mod transformer;

use std::collections::BTreeMap;
use std::fs;
#[cfg(unix)]
use std::path::Path;
use std::path::PathBuf;

use super::source::ProviderFailure;
use crate::config::ProducerConfig;
use crate::error::ConfigError;

const CLASSES: &str = "org.apache.kafka.common.config.provider";

/// A temporary directory, removed with all its files when dropped.
struct TestFolder(PathBuf);

impl TestFolder {
    fn new(name: &str) -> Self {
        let name = format!("kafka-producer-providers-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The path of a file or directory in this one.
    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file, and returns its path.
    fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        self.path(name)
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Keys and values of a provider's answer.
fn answered(answer: Result<BTreeMap<String, String>, ProviderFailure>) -> Vec<(String, String)> {
    answer.unwrap().into_iter().collect()
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

/// A configuration of entries in lines.
fn config_of(lines: &[&str]) -> Result<ProducerConfig, ConfigError> {
    ProducerConfig::from_properties_str(&lines.join("\n"))
}

/// Creates a pipe that nobody writes to.
#[cfg(unix)]
fn make_pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}
