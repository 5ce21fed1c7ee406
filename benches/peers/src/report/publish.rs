//! Publishes a run in the documentation.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::{TABLE, readme, table};
use crate::compact;
use crate::raw::Run;

const BEGIN: &str = "<!-- peers:begin -->";
const END: &str = "<!-- peers:end -->";

/// Copies the files in `folder` to docs/benchmarks, and replaces the marked blocks of docs/BENCHMARKS.md and README.md.
pub fn publish(run: &Run, folder: &Path, root: &Path) -> Result<()> {
    let files = [
        ("README.md", "docs/benchmarks/table.md", false),
        ("docs/BENCHMARKS.md", "benchmarks/table.md", true),
    ];
    // Missing marks are detected before anything is written.
    let mut changed = Vec::new();
    for (file, details, with_targets) in files {
        let path = root.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {file}"))?;
        let mut block = readme::render(run, details);
        if with_targets {
            block.push('\n');
            // Headings are one level deeper than in the table's own file.
            let mut targets = String::new();
            table::targets(&mut targets, run)?;
            block.push_str(&targets.replacen("## ", "### ", 1));
        }
        changed.push((
            path,
            replace_block(&text, [BEGIN, END], block.trim_end())
                .with_context(|| file.to_owned())?,
        ));
    }
    let to = root.join("docs/benchmarks");
    fs::create_dir_all(&to).with_context(|| format!("cannot make {}", to.display()))?;
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        let is_plot = path.extension().is_some_and(|extension| extension == "svg");
        if is_plot || name == TABLE || name == compact::FILE {
            fs::copy(&path, to.join(name))
                .with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    for (path, text) in changed {
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Replaces what stands between two marks.
pub fn replace_block(text: &str, [begin, end]: [&str; 2], block: &str) -> Result<String> {
    let parts = text.split_once(begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(end)?;
        Some((before, after))
    });
    let Some((before, after)) = parts else {
        bail!(
            "there is no block to write into: put the lines {begin} and {end} where the table belongs"
        );
    };
    Ok(format!("{before}{begin}\n{block}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::Client;
    use crate::summary::tests::{figures, measured, round};

    #[test]
    fn a_block_is_replaced_and_the_text_around_it_is_kept() {
        let text = "a\n<!-- peers:begin -->\nold\n<!-- peers:end -->\nb\n";
        let new = replace_block(text, [BEGIN, END], "new").unwrap();
        assert_eq!(new, "a\n<!-- peers:begin -->\nnew\n<!-- peers:end -->\nb\n");
        assert_eq!(
            replace_block(&new, [BEGIN, END], "new").unwrap(),
            new,
            "again changes nothing"
        );
    }

    #[test]
    fn a_published_run_is_in_both_documents_and_its_files_beside_them() {
        let folder = std::env::temp_dir().join(format!("peers-publish-{}", std::process::id()));
        let (out, root) = (folder.join("out"), folder.join("root"));
        fs::create_dir_all(&out).unwrap();
        fs::create_dir_all(root.join("docs")).unwrap();
        for file in ["README.md", "docs/BENCHMARKS.md"] {
            fs::write(
                root.join(file),
                format!("head\n{BEGIN}\nold\n{END}\nfoot\n"),
            )
            .unwrap();
        }
        let run = Run {
            machine: crate::machine::describe(),
            commit: "abc".into(),
            started: String::new(),
            seed: 1,
            command: Vec::new(),
            clients: vec![Client {
                name: "ours".into(),
                display: "Ours".into(),
                build_error: None,
            }],
            scenarios: vec![measured(
                "base",
                vec![("ours", figures(vec![round(10.0, 200)]))],
            )],
        };
        run.write(&out).unwrap();
        crate::report::write(&run, &out).unwrap();
        fs::write(out.join("other.txt"), "stays").unwrap();
        publish(&run, &out, &root).unwrap();

        let read = |file: &str| fs::read_to_string(root.join(file)).unwrap();
        let readme = read("README.md");
        assert!(
            readme.contains("| **Ours** | 0.200 µs, 100 k |"),
            "{readme}"
        );
        assert!(
            readme.starts_with("head\n") && readme.ends_with("\nfoot\n"),
            "{readme}"
        );
        assert!(readme.contains("(docs/benchmarks/table.md)") && !readme.contains("Targets"));
        let benchmarks = read("docs/BENCHMARKS.md");
        assert!(benchmarks.contains("(benchmarks/table.md)"), "{benchmarks}");
        assert!(benchmarks.contains("### Targets"), "{benchmarks}");
        let published = compact::read(&root.join("docs/benchmarks")).unwrap();
        assert_eq!(published.commit, "abc");
        let table = fs::read_to_string(root.join("docs/benchmarks/table.md")).unwrap();
        let again = table::render(&published, &["cpu.svg".into(), "throughput.svg".into()]);
        assert_eq!(again.unwrap(), table, "made again from what was published");
        assert!(!root.join("docs/benchmarks/raw.json").exists());
        assert!(root.join("docs/benchmarks/cpu.svg").exists());
        assert!(!root.join("docs/benchmarks/other.txt").exists());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_file_without_marks_is_an_error_that_names_the_marks() {
        let error = replace_block("<!-- peers:begin -->\n", [BEGIN, END], "new").unwrap_err();
        assert!(error.to_string().contains("<!-- peers:end -->"));
    }
}
