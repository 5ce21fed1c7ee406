use super::super::allowed_paths::AllowedPaths;
use super::*;

const KEY: &str = "config.providers.file.param.allowed.paths";

/// Two directories, the first with a file.
fn folders(name: &str) -> (TestFolder, String, String, String) {
    let folder = TestFolder::new(name);
    let file = folder.file("dir/myFile", "");
    fs::create_dir_all(folder.path("dir2")).unwrap();
    let (dir, dir2) = (folder.path("dir"), folder.path("dir2"));
    (folder, dir, dir2, file)
}

fn checked(allowed: &str, path: &str) -> Option<String> {
    let allowed = AllowedPaths::parse(KEY, allowed).unwrap();
    let path = allowed.checked(path).ok()?;
    Some(path.to_str().unwrap().to_owned())
}

/// Java: AllowedPathsTest#testAllowedPath, #testNotAllowedPath, #testNullAllowedPaths, #testNullAllowedPathsTraversal
#[test]
fn a_path_is_allowed_inside_the_listed_ones_and_anywhere_if_none_is_listed() {
    let (_folder, dir, dir2, file) = folders("allowed");
    let both = format!("{dir},{dir2}");
    assert_eq!(checked(&both, &file).as_ref(), Some(&file));
    assert_eq!(checked(&dir, &dir2), None);
    // `dir2` begins with the letters of `dir`.
    assert_eq!(checked(&dir, &format!("{dir2}/x")), None);
    assert_eq!(checked(&dir, "dir/myFile"), None);
    assert_eq!(checked(" ", &file).as_ref(), Some(&file));
    let traversed = format!("{dir}/../dir2");
    assert_eq!(checked("", &traversed).as_ref(), Some(&traversed));
}

/// Java: AllowedPathsTest#testNoTraversal, #testAllowedTraversal
#[test]
fn a_path_with_dots_is_normalized_before_it_is_checked() {
    let (_folder, dir, dir2, _) = folders("traversal");
    let traversed = format!("{dir}/../dir2");
    assert_eq!(checked(&dir, &traversed), None);
    assert_eq!(checked(&format!("{dir} , {dir2}"), &traversed), Some(dir2));
    assert_eq!(
        checked(&dir, &format!("{dir}/./a/../b")),
        Some(format!("{dir}/b"))
    );
    assert_eq!(checked(&dir, "/../../etc/passwd"), None);
}

/// Java: AllowedPathsTest#testAllowedPathDoesNotExist, #testAllowedPathIsNotAbsolute
#[test]
fn an_allowed_path_that_is_relative_or_does_not_exist_is_refused() {
    for (value, problem) in [
        ("/no/such/path", "does not exist"),
        ("foo bar ", "is not absolute"),
        ("/,", "is not absolute"),
    ] {
        let error = AllowedPaths::parse(KEY, value).unwrap_err();
        assert_eq!((error.key(), error.value()), (Some(KEY), Some(value)));
        assert!(error.problem().contains(problem), "{error}");
    }
}
