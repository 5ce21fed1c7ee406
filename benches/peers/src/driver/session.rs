//! A driver that runs: from its setup to its end.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use driver_kit::{About, Produce, RoundResult, Setup};
use serde::Serialize;
use serde_json::Value;

use super::Description;
use crate::measure::Processes;
use crate::process::{Talker, check_interrupted};

/// Why a driver has no figures.
#[derive(Debug)]
pub enum Failure {
    /// The client cannot do what is asked.
    Unable(String),
    /// Something went wrong.
    Broken(anyhow::Error),
}

impl Failure {
    /// For the table's cell.
    pub fn reason(&self) -> String {
        match self {
            Self::Unable(reason) => reason.clone(),
            Self::Broken(error) => format!("{error:#}"),
        }
    }
}

pub struct Session {
    talker: Talker,
    pub about: About,
    pub processes: Processes,
}

impl Session {
    /// Starts the driver and lets it make its producer.
    ///
    /// # Errors
    /// Outer: this program was interrupted. Inner: the driver's own failure.
    pub fn start(
        driver: &Description,
        prefix: &[String],
        setup: &Setup,
        log: &Path,
    ) -> Result<std::result::Result<Self, Failure>> {
        let outcome = Self::try_start(driver, prefix, setup, log);
        check_interrupted()?;
        Ok(outcome)
    }

    fn try_start(
        driver: &Description,
        prefix: &[String],
        setup: &Setup,
        log: &Path,
    ) -> std::result::Result<Self, Failure> {
        let mut words = prefix.iter().chain(&driver.run);
        let mut command = Command::new(words.next().expect("run is not empty"));
        command.args(words).current_dir(&driver.folder);
        let mut talker =
            Talker::start(&driver.name, command, log, LONGEST_END).map_err(Failure::Broken)?;
        let answer =
            ask(&mut talker, &tagged("setup", setup), LONGEST_SETUP).map_err(Failure::Broken)?;
        if let Some(reason) = answer["unable"].as_str() {
            return Err(Failure::Unable(reason.to_owned()));
        }
        let about = understood(answer).map_err(Failure::Broken)?;
        let processes = Processes::of(talker.id());
        Ok(Self {
            talker,
            about,
            processes,
        })
    }

    /// Runs one round; it should take about `expected`.
    pub fn produce(&mut self, produce: &Produce, expected: Duration) -> Result<RoundResult> {
        let answer = ask(
            &mut self.talker,
            &tagged("produce", produce),
            expected + LONGEST_ROUND,
        )?;
        understood(answer)
    }

    pub fn id(&self) -> u32 {
        self.talker.id()
    }
}

/// Java and others may have a lot to load.
const LONGEST_SETUP: Duration = Duration::from_secs(60);
/// Beyond what a round should take.
const LONGEST_ROUND: Duration = Duration::from_secs(45);
const LONGEST_END: Duration = Duration::from_secs(4);

fn tagged(command: &str, fields: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(fields).expect("plain fields");
    value["cmd"] = command.into();
    value
}

fn ask(talker: &mut Talker, command: &Value, limit: Duration) -> Result<Value> {
    talker.tell(&command.to_string())?;
    let line = talker.hear(limit)?;
    serde_json::from_str(&line).with_context(|| format!("it answered {line:?}"))
}

fn understood<T: serde::de::DeserializeOwned>(answer: Value) -> Result<T> {
    if answer["ok"] == Value::Bool(true) {
        return Ok(serde_json::from_value(answer)?);
    }
    match answer["error"].as_str() {
        Some(error) => Err(anyhow!("{error}")),
        None => Err(anyhow!("it answered {answer}")),
    }
}
