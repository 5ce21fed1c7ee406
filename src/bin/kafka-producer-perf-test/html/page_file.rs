//! The file of the page: checked before the run, and written as a whole at its end.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(crate) struct PageFile {
    path: PathBuf,
    /// In the same folder, so that it can be renamed.
    temporary: PathBuf,
}

impl PageFile {
    /// Fails if the page cannot be written there. A temporary file is created and deleted: no other check covers
    /// missing folders, permissions, and read-only file systems.
    pub(crate) fn check(path: &Path) -> Result<Self, String> {
        let wrong = |why: &dyn std::fmt::Display| {
            format!("the page {} cannot be written: {why}", path.display())
        };
        let target = link_target(path).map_err(|error| wrong(&error))?;
        if let Ok(metadata) = fs::metadata(&target) {
            if !metadata.is_file() {
                return Err(wrong(&"it is not a regular file"));
            }
            if metadata.permissions().readonly() {
                return Err(wrong(&"it is read-only"));
            }
        }
        let Some(name) = target.file_name() else {
            return Err(wrong(&"it has no file name"));
        };
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.tmp", std::process::id()));
        let file = Self {
            temporary: target.with_file_name(hidden),
            path: target,
        };
        file.create()
            .and_then(|created| {
                drop(created);
                fs::remove_file(&file.temporary)
            })
            .map_err(|error| wrong(&error))?;
        Ok(file)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the file, and keeps its permissions if possible. If writing fails, an older page is still there, and no
    /// temporary file is left.
    pub(crate) fn write(&self, page: &str) -> io::Result<()> {
        let written = self.create().and_then(|mut file| {
            if let Ok(replaced) = fs::metadata(&self.path) {
                // Before the first byte is written: others may not be allowed to read the page. Some file systems
                // have no permissions; the page is written all the same.
                let _ = file.set_permissions(replaced.permissions());
            }
            file.write_all(page.as_bytes())?;
            file.sync_all()
        });
        let replaced = written.and_then(|()| fs::rename(&self.temporary, &self.path));
        if replaced.is_err() {
            // The first error is reported.
            let _ = fs::remove_file(&self.temporary);
        }
        replaced
    }

    fn create(&self) -> io::Result<fs::File> {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&self.temporary)
    }
}

/// Follows symbolic links, so that a link stays a link and the file that it names is replaced. That file may not exist.
fn link_target(path: &Path) -> io::Result<PathBuf> {
    let mut target = path.to_owned();
    for _ in 0..MAX_LINKS {
        if !fs::symlink_metadata(&target).is_ok_and(|metadata| metadata.is_symlink()) {
            return Ok(target);
        }
        let link = fs::read_link(&target)?;
        // An absolute link replaces the whole path.
        target = target.parent().unwrap_or_else(|| Path::new("")).join(link);
    }
    Err(io::Error::other("too many symbolic links"))
}

/// Maximum number of links to follow, as on Linux.
const MAX_LINKS: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    /// An empty folder that is deleted with this value.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("perf-test-page-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
            entries
                .map(|entry| name(entry).into_string().unwrap())
                .collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_page_replaces_an_older_one_and_leaves_no_other_file() {
        let folder = Folder::new("replaced");
        let path = folder.0.join("page.html");
        let file = PageFile::check(&path).unwrap();
        assert!(folder.names().is_empty(), "the check leaves nothing");
        for text in ["one", "two"] {
            file.write(text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(folder.names(), ["page.html"]);
    }

    #[test]
    fn paths_that_cannot_be_written_are_rejected_with_their_name() {
        let folder = Folder::new("rejected");
        let inside = folder.0.join("no-such-folder").join("page.html");
        for path in [inside.as_path(), &folder.0, Path::new("")] {
            let error = PageFile::check(path).unwrap_err();
            let shown = path.display().to_string();
            assert!(
                error.contains(&shown) && error.contains("cannot be written"),
                "{error}"
            );
        }
        let path = folder.0.join("page.html");
        fs::write(&path, "old").unwrap();
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions).unwrap();
        assert!(PageFile::check(&path).unwrap_err().contains("read-only"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let folder = Folder::new("link");
        let (target, link) = (folder.0.join("target"), folder.0.join("link"));
        fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        PageFile::check(&link).unwrap().write("new").unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_file_that_does_not_exist_stays_a_link() {
        use std::os::unix::fs::symlink;

        let folder = Folder::new("dangling");
        let (first, second) = (folder.0.join("first"), folder.0.join("second"));
        symlink("second", &first).unwrap();
        symlink(folder.0.join("target"), &second).unwrap();
        PageFile::check(&first).unwrap().write("new").unwrap();
        let target = folder.0.join("target");
        assert!(!fs::symlink_metadata(&target).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&first).unwrap(), "new");
        let round = folder.0.join("round");
        symlink("round", &round).unwrap();
        assert!(PageFile::check(&round).unwrap_err().contains("links"));
    }

    #[cfg(unix)]
    #[test]
    fn the_permissions_of_a_replaced_page_are_kept() {
        use std::os::unix::fs::PermissionsExt;

        let folder = Folder::new("permissions");
        let path = folder.0.join("page.html");
        fs::write(&path, "old").unwrap();
        for mode in [0o600, 0o664] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            PageFile::check(&path).unwrap().write("new").unwrap();
            let kept = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(kept & 0o777, mode, "{mode:o}");
        }
    }
}
