use super::super::allowed_paths::AllowedPaths;
use super::super::file::FileConfigProvider;
use super::*;

const CONTENT: &str = "testKey=testResult\ntestKey2=testResult2";

fn limited_to(allowed: &str) -> FileConfigProvider {
    let key = "config.providers.file.param.allowed.paths";
    FileConfigProvider::new(AllowedPaths::parse(key, allowed).unwrap())
}

fn failed(provider: &FileConfigProvider, path: &str) -> String {
    let failure = provider.get(path, &["testKey"]).unwrap_err();
    format!("{}. {}.", failure.problem, failure.remedy)
}

/// Java: FileConfigProviderTest#testGetAllKeysAtPath, #testGetOneKeyAtPath
#[test]
fn the_keys_of_a_properties_file_are_read() {
    let folder = TestFolder::new("file");
    let file = folder.file("dirFile", CONTENT);
    let provider = limited_to("");
    let all = provider.get(&file, &["testKey", "testKey2", "missing"]);
    let expected = [
        pair("testKey", "testResult"),
        pair("testKey2", "testResult2"),
    ];
    assert_eq!(answered(all), expected);
    let one = provider.get(&file, &["testKey"]);
    assert_eq!(answered(one), [pair("testKey", "testResult")]);
}

/// Java: FileConfigProviderTest#testEmptyPath, #testEmptyPathWithKey, #testNullPath, #testNullPathWithKey
#[test]
fn an_empty_path_is_refused_with_the_form_of_a_variable() {
    let text = failed(&limited_to(""), "");
    assert!(text.contains("${provider:path:key}"), "{text}");
}

/// Java: FileConfigProviderTest#testAllowedDirPath, #testAllowedFilePath, #testMultipleAllowedPaths,
/// #testNotAllowedDirPath, #testNotAllowedFilePath, #testNoTraversal
#[test]
fn a_file_is_read_only_if_its_path_is_allowed() {
    let folder = TestFolder::new("file-allowed");
    let file = folder.file("dir/dirFile", CONTENT);
    let second = folder.file("dir/dirFile2", CONTENT);
    let sibling = folder.file("siblingDir/siblingDirFile", CONTENT);
    let (dir, sibling_dir) = (folder.path("dir"), folder.path("siblingDir"));
    let both = format!("{dir},{sibling_dir}");
    for (allowed, path) in [
        (&dir, &file),
        (&file, &file),
        (&both, &file),
        (&both, &sibling),
    ] {
        let one = limited_to(allowed).get(path, &["testKey"]);
        assert_eq!(answered(one), [pair("testKey", "testResult")]);
    }
    let traversal = format!("{file}/../../siblingDir/siblingDirFile");
    for (allowed, path) in [(&dir, &sibling), (&file, &second), (&file, &traversal)] {
        let text = failed(&limited_to(allowed), path);
        assert!(text.contains("may not read"), "{text}");
        assert!(text.contains("param.allowed.paths"), "{text}");
    }
}

#[test]
fn a_file_that_is_missing_malformed_or_too_large_is_an_error_without_its_content() {
    let folder = TestFolder::new("file-bad");
    let provider = limited_to("");
    let large = folder.path("large");
    let file = fs::File::create(&large).unwrap();
    file.set_len(16 * 1024 * 1024 + 1).unwrap();
    for (path, problem) in [
        (folder.path("missing"), "cannot read"),
        (folder.path(""), "not a regular file"),
        (large, "more than 16777216 bytes"),
        (folder.file("malformed", "testKey=hunter2\\u12"), "line 1"),
        (
            folder.file("pem", "testKey=-----BEGIN X-----\nhunter2"),
            "PEM",
        ),
    ] {
        let text = failed(&provider, &path);
        assert!(text.contains(problem) && text.contains(&path), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    let utf_16: Vec<u8> = "\u{feff}testKey=x"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    fs::write(folder.path("utf-16"), utf_16).unwrap();
    let text = failed(&provider, &folder.path("utf-16"));
    assert!(text.contains("UTF-16") && text.contains("UTF-8"), "{text}");
}

#[test]
#[cfg(unix)]
fn pipes_and_devices_are_refused_without_blocking() {
    let folder = TestFolder::new("file-pipe");
    let pipe = folder.path("pipe");
    make_pipe(Path::new(&pipe));
    for path in [&*pipe, "/dev/zero"] {
        let text = failed(&limited_to(""), path);
        assert!(text.contains("not a regular file"), "{text}");
    }
}
