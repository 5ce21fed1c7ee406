use super::super::allowed_paths::AllowedPaths;
use super::super::directory::DirectoryConfigProvider;
use super::*;

/// The files of Kafka's test, whose contents are their names in upper case.
fn files(name: &str) -> TestFolder {
    let folder = TestFolder::new(name);
    for path in [
        "dir/foo",
        "dir/bar",
        "dir/subdir/subdirFile",
        "siblingDir/siblingDirFile",
        "siblingFile",
    ] {
        let (_, name) = path.rsplit_once('/').unwrap_or(("", path));
        folder.file(path, &name.to_ascii_uppercase());
    }
    folder
}

fn limited_to(allowed: &str) -> DirectoryConfigProvider {
    let key = "config.providers.directory.param.allowed.paths";
    DirectoryConfigProvider::new(AllowedPaths::parse(key, allowed).unwrap())
}

fn failed(provider: &DirectoryConfigProvider, path: &str, key: &str) -> String {
    let failure = provider.get(path, &[key]).unwrap_err();
    format!("{}. {}.", failure.problem, failure.remedy)
}

/// Java: DirectoryConfigProviderTest#testGetAllKeysAtPath, #testGetSetOfKeysAtPath
#[test]
fn the_contents_of_the_files_with_the_names_of_the_keys_are_read() {
    let folder = files("directory");
    let provider = limited_to("");
    let all = provider.get(&folder.path("dir"), &["foo", "bar"]);
    assert_eq!(answered(all), [pair("bar", "BAR"), pair("foo", "FOO")]);
    let some = provider.get(&folder.path("dir"), &["foo", "baz"]);
    assert_eq!(answered(some), [pair("foo", "FOO")]);
    folder.file("dir/lines", "a\nb\n");
    let lines = provider.get(&folder.path("dir"), &["lines"]);
    assert_eq!(answered(lines), [pair("lines", "a\nb\n")]);
}

/// Java: DirectoryConfigProviderTest#testNoSubdirs, #testNoTraversal
#[test]
fn a_key_is_no_path() {
    let folder = files("directory-keys");
    let keys = [
        "subdir",
        "subdir/subdirFile",
        "../siblingFile",
        "../siblingDir",
        "../siblingDir/siblingDirFile",
        "..",
        ".",
        "",
        "/",
        "foo/",
        "./foo",
        "foo\0",
        &folder.path("dir/foo"),
    ];
    let none = limited_to("").get(&folder.path("dir"), &keys);
    assert!(answered(none).is_empty());
}

/// Java: DirectoryConfigProviderTest#testEmptyPath, #testEmptyPathWithKey, #testNullPath, #testNullPathWithKey
#[test]
fn an_empty_path_is_refused_with_the_form_of_a_variable() {
    let text = failed(&limited_to(""), "", "foo");
    assert!(text.contains("${provider:path:key}"), "{text}");
}

/// Java: DirectoryConfigProviderTest#testAllowedPath, #testMultipleAllowedPaths, #testNotAllowedPath,
/// #testNoTraversalAllowedPath
#[test]
fn a_directory_is_read_only_if_its_path_is_allowed() {
    let folder = files("directory-allowed");
    let (dir, sibling) = (folder.path("dir"), folder.path("siblingDir"));
    let both = format!("{dir},{sibling}");
    for (allowed, path, key) in [
        (folder.path(""), dir.clone(), "foo"),
        (both.clone(), folder.path("dir/subdir"), "subdirFile"),
        (both, sibling.clone(), "siblingDirFile"),
    ] {
        let one = limited_to(&allowed).get(&path, &[key]);
        assert_eq!(answered(one), [pair(key, &key.to_ascii_uppercase())]);
    }
    for path in [sibling, format!("{dir}/../siblingDir")] {
        let text = failed(&limited_to(&dir), &path, "siblingDirFile");
        assert!(text.contains("may not read"), "{text}");
        assert!(text.contains("param.allowed.paths"), "{text}");
    }
}

#[test]
fn a_path_that_is_no_directory_and_a_file_that_is_no_text_are_errors() {
    let folder = files("directory-bad");
    let provider = limited_to("");
    let text = failed(&provider, &folder.path("dir/foo"), "x");
    assert!(text.contains("not a directory"), "{text}");
    let text = failed(&provider, &folder.path("missing"), "x");
    assert!(text.contains("missing"), "{text}");
    fs::write(folder.path("dir/latin"), b"hunter2\xe4").unwrap();
    let text = failed(&provider, &folder.path("dir"), "latin");
    assert!(text.contains("latin: it is not valid UTF-8"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    let large = fs::File::create(folder.path("dir/large")).unwrap();
    large.set_len(16 * 1024 * 1024 + 1).unwrap();
    let text = failed(&provider, &folder.path("dir"), "large");
    assert!(text.contains("more than 16777216 bytes"), "{text}");
}

/// A Kubernetes secret is a directory of links to files in a directory that is replaced as a whole.
#[test]
#[cfg(unix)]
fn links_are_followed_and_pipes_are_left_out() {
    use std::os::unix::fs::symlink;

    let folder = TestFolder::new("directory-links");
    folder.file("secret/..2026_11_30/password", "hunter2");
    symlink("..2026_11_30", folder.path("secret/..data")).unwrap();
    symlink("..data/password", folder.path("secret/password")).unwrap();
    symlink("nowhere", folder.path("secret/broken")).unwrap();
    make_pipe(Path::new(&folder.path("secret/pipe")));
    let provider = limited_to(&folder.path("secret"));
    let keys = ["password", "pipe", "broken", "..data"];
    let values = provider.get(&folder.path("secret"), &keys);
    assert_eq!(answered(values), [pair("password", "hunter2")]);
}
