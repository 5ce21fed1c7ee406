//! The machine of a run: processor, memory, operating system. Systems other than Linux report only a part of it.

use std::fs;
use std::thread::available_parallelism;

/// Facts about the machine; `None` for those that the system does not report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) cpu_model: Option<String>,
    /// The number of processors that this process may use.
    pub(crate) usable_processors: Option<usize>,
    /// The number of all processors.
    pub(crate) processors: Option<usize>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) system: String,
}

impl Machine {
    pub(crate) fn read() -> Self {
        let file = |path| fs::read_to_string(path).unwrap_or_default();
        let cpu_info = file("/proc/cpuinfo");
        Self {
            cpu_model: field(&cpu_info, ':', &["model name", "Model", "cpu model"]),
            usable_processors: available_parallelism().ok().map(usize::from),
            processors: processors(&cpu_info),
            memory_bytes: memory(&file("/proc/meminfo")),
            system: system(
                &file("/etc/os-release"),
                &file("/proc/sys/kernel/osrelease"),
            ),
        }
    }
}

/// The value of the first line with one of the names, of lines with a name and a value.
fn field(text: &str, separator: char, names: &[&str]) -> Option<String> {
    names.iter().find_map(|wanted| {
        text.lines().find_map(|line| {
            let (name, value) = line.split_once(separator)?;
            (name.trim() == *wanted).then(|| value.trim().to_owned())
        })
    })
}

fn processors(cpu_info: &str) -> Option<usize> {
    let is_processor = |line: &&str| line.split(':').next().map(str::trim) == Some("processor");
    let count = cpu_info.lines().filter(is_processor).count();
    (count > 0).then_some(count)
}

/// The line `MemTotal: <number> kB` of `/proc/meminfo`.
fn memory(info: &str) -> Option<u64> {
    let total = field(info, ':', &["MemTotal"])?;
    let kb: u64 = total.strip_suffix("kB")?.trim().parse().ok()?;
    kb.checked_mul(1024)
}

/// The name of the distribution, the version of the kernel, and the architecture.
fn system(os_release: &str, kernel: &str) -> String {
    let name = field(os_release, '=', &["PRETTY_NAME"]);
    let name = name.as_deref().map(|name| name.trim_matches('"'));
    let kernel = match kernel.trim() {
        "" => String::new(),
        kernel => format!("{} {kernel}, ", std::env::consts::OS),
    };
    let name = name.filter(|name| !name.is_empty());
    format!(
        "{}, {kernel}{}",
        name.unwrap_or(std::env::consts::OS),
        std::env::consts::ARCH
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_linux_are_parsed() {
        let cpu_info = "processor\t: 0\nmodel name\t: A CPU @ 3 GHz\n\nprocessor\t: 1\nmodel name\t: A CPU @ 3 GHz\n";
        let model = field(cpu_info, ':', &["model name"]);
        assert_eq!(model.as_deref(), Some("A CPU @ 3 GHz"));
        assert_eq!(processors(cpu_info), Some(2));
        assert_eq!(memory("MemTotal:   2048 kB\nMemFree: 1 kB"), Some(2 << 20));
        let text = system("NAME=\"x\"\nPRETTY_NAME=\"A Linux 12\"\n", "6.1.0\n");
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        assert_eq!(text, format!("A Linux 12, {os} 6.1.0, {arch}"));
    }

    #[test]
    fn missing_files_leave_gaps() {
        assert_eq!(field("", ':', &["model name"]), None);
        assert_eq!((processors(""), memory("MemTotal: x")), (None, None));
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        assert_eq!(system("", ""), format!("{os}, {arch}"));
        assert!(!Machine::read().system.is_empty());
    }
}
