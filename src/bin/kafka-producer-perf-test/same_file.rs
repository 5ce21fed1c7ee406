//! Refuses a page whose file the run reads or writes in another way: it would be replaced at the end.

use std::path::Path;

use crate::options::{PayloadSource, PerfTestOptions};

/// Fails if the file of the page is standard output or error, or a file that the options name.
pub(crate) fn refuse(page: &Path, options: &PerfTestOptions) -> Result<(), String> {
    let Some(of_page) = FileIdentity::of(page) else {
        // It does not exist yet.
        return Ok(());
    };
    let payload = match &options.payload {
        PayloadSource::File { path, .. } => Some(path.as_path()),
        PayloadSource::Random { .. } | PayloadSource::Monotonic => None,
    };
    let inputs = [
        (
            "the file of --producer.config",
            options.config_file.as_deref(),
        ),
        ("the file of --payload-file", payload),
    ];
    let inputs = inputs.map(|(name, path)| (name, path.and_then(FileIdentity::of)));
    let mut others = FileIdentity::of_outputs().into_iter().chain(inputs);
    match others.find(|(_, other)| other.as_ref() == Some(&of_page)) {
        None => Ok(()),
        Some((name, _)) => Err(format!(
            "the page {} cannot be written: it is {name}",
            page.display()
        )),
    }
}

/// Equal for two names of one file.
#[derive(Debug, PartialEq, Eq)]
struct FileIdentity {
    /// Device and inode.
    #[cfg(unix)]
    numbers: (u64, u64),
    #[cfg(not(unix))]
    path: std::path::PathBuf,
}

#[cfg(unix)]
impl FileIdentity {
    fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path)
            .ok()
            .as_ref()
            .map(Self::from_metadata)
    }

    fn from_metadata(metadata: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;

        Self {
            numbers: (metadata.dev(), metadata.ino()),
        }
    }

    fn of_outputs() -> Vec<(&'static str, Option<Self>)> {
        use std::os::fd::AsFd;

        let (out, err) = (std::io::stdout(), std::io::stderr());
        let streams = [
            ("standard output", out.as_fd()),
            ("standard error", err.as_fd()),
        ];
        let identity = |stream: std::os::fd::BorrowedFd<'_>| {
            let file = std::fs::File::from(stream.try_clone_to_owned().ok()?);
            file.metadata().ok().as_ref().map(Self::from_metadata)
        };
        let streams = streams.into_iter();
        streams
            .map(|(name, stream)| (name, identity(stream)))
            .collect()
    }
}

#[cfg(not(unix))]
impl FileIdentity {
    fn of(path: &Path) -> Option<Self> {
        let path = std::fs::canonicalize(path).ok()?;
        Some(Self { path })
    }

    fn of_outputs() -> Vec<(&'static str, Option<Self>)> {
        Vec::new()
    }
}
