//! The baseline: the checked-in instruction counts, and the comparison with new counts.

use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;

/// Maximum increase of a count above its baseline.
pub(crate) const LIMIT_PERCENT: f64 = 5.0;

/// The parts of the platform that counts depend on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Platform {
    /// The version that rustc prints.
    pub(crate) rustc: String,
    pub(crate) target: String,
    /// The C library, whose functions allocate and copy memory.
    pub(crate) libc: String,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rustc {}, {}, {}", self.rustc, self.target, self.libc)
    }
}

/// The instruction count of a case, per unit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Count {
    pub(crate) name: String,
    pub(crate) value: f64,
    /// The unit, such as `record`.
    pub(crate) unit: String,
}

impl Count {
    pub(crate) fn new(name: &str, value: f64, unit: &str) -> Self {
        Self {
            name: name.to_owned(),
            value,
            unit: unit.to_owned(),
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, unit } = self;
        write!(f, "{name:<20} {value:>9.1} per {unit}")
    }
}

/// A count compared with its baseline. `percent` is the difference; for `Faster` it is the decrease, as a positive
/// number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    Within { baseline: f64, percent: f64 },
    Slower { baseline: f64, percent: f64 },
    Faster { baseline: f64, percent: f64 },
    Unknown,
}

impl Verdict {
    fn of(value: f64, baseline: f64) -> Self {
        let percent = (value - baseline) / baseline * 100.0;
        if percent > LIMIT_PERCENT {
            Self::Slower { baseline, percent }
        } else if percent < -LIMIT_PERCENT {
            let percent = -percent;
            Self::Faster { baseline, percent }
        } else {
            Self::Within { baseline, percent }
        }
    }

    /// Whether the check passes. An improvement passes; a count without a baseline does not.
    pub(crate) fn passes(self) -> bool {
        matches!(self, Self::Within { .. } | Self::Faster { .. })
    }

    /// The output line: the count, the baseline and the difference.
    pub(crate) fn line(self, count: &Count) -> String {
        let (baseline, percent) = match self {
            Self::Within { baseline, percent } | Self::Slower { baseline, percent } => {
                (baseline, percent)
            }
            Self::Faster { baseline, percent } => (baseline, -percent),
            Self::Unknown => return format!("{count}, no baseline"),
        };
        format!("{count:<42} baseline {baseline:>9.1}  {percent:>+6.2} %")
    }
}

/// The content of the baseline file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Baseline {
    pub(crate) platform: Platform,
    counts: Vec<Count>,
}

impl Baseline {
    pub(crate) fn new(platform: Platform, counts: Vec<Count>) -> Self {
        Self { platform, counts }
    }

    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let wrap = |error: String| {
            let again = "write it again: cargo bench --bench instructions -- --update";
            format!("{}: {error}; {again}", path.display())
        };
        let text = fs::read_to_string(path).map_err(|error| wrap(error.to_string()))?;
        Self::parse(&text).map_err(wrap)
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), String> {
        fs::write(path, self.to_text()).map_err(|error| format!("{}: {error}", path.display()))
    }

    pub(crate) fn judge(&self, count: &Count) -> Verdict {
        let known = self
            .counts
            .iter()
            .find(|known| known.name == count.name && known.unit == count.unit);
        known.map_or(Verdict::Unknown, |known| {
            Verdict::of(count.value, known.value)
        })
    }

    /// Names in the file that are not in `counts`.
    pub(crate) fn not_among<'a>(&'a self, counts: &'a [Count]) -> impl Iterator<Item = &'a str> {
        let names = self.counts.iter().map(|known| known.name.as_str());
        names.filter(|name| counts.iter().all(|count| count.name != *name))
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut baseline = Self::new(Platform::default(), Vec::new());
        for (at, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bad = || format!("line {}: {line:?} is not a name, = and a value", at + 1);
            let (name, value) = line.split_once(" = ").ok_or_else(bad)?;
            match name {
                "rustc" => value.clone_into(&mut baseline.platform.rustc),
                "target" => value.clone_into(&mut baseline.platform.target),
                "libc" => value.clone_into(&mut baseline.platform.libc),
                case => {
                    let (value, unit) = value.split_once(" per ").ok_or_else(bad)?;
                    let value: f64 = value.parse().map_err(|_| bad())?;
                    if !value.is_normal() || value < 0.0 {
                        return Err(bad());
                    }
                    baseline.counts.push(Count::new(case, value, unit));
                }
            }
        }
        let Platform {
            rustc,
            target,
            libc,
        } = &baseline.platform;
        if [rustc, target, libc].iter().any(|value| value.is_empty()) {
            return Err("it does not name rustc, target and libc".to_owned());
        }
        Ok(baseline)
    }

    pub(crate) fn to_text(&self) -> String {
        let Platform {
            rustc,
            target,
            libc,
        } = &self.platform;
        let mut text = format!(
            "# Instructions, counted by callgrind. Written by `cargo bench --bench instructions -- --update`;\n\
             # a change of this file is a commit of its own that gives the reason.\n\
             rustc = {rustc}\ntarget = {target}\nlibc = {libc}\n\n"
        );
        for Count { name, value, unit } in &self.counts {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name} = {value:.1} per {unit}");
        }
        text
    }
}
