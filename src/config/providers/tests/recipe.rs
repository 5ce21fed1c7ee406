use super::*;

/// The `.properties` block that follows a heading of `docs/SECURITY.md`.
fn block_after(heading: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/SECURITY.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once(heading).expect(heading);
    let (_, block) = section.split_once("```properties\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    block.to_owned()
}

/// The recipe with the directory of this test in place of the mounted one.
#[test]
fn the_recipe_for_secrets_in_files_works_as_written() {
    const MOUNTED: &str = "/etc/kafka/secrets";
    let block = block_after("### Secrets in files and environment variables\n");
    let folder = TestFolder::new("recipe");
    folder.file("username", "orders");
    folder.file("password", "hunter2");
    assert!(block.contains(MOUNTED), "{block}");
    let text = block.replace(MOUNTED, folder.0.to_str().unwrap());
    // Environment variables cannot be set in a test of a process with threads.
    let text = text.replace("${env:POD_NAME}", "${env:PATH}");
    let text = text.replace("allowlist.pattern=POD_NAME", "allowlist.pattern=PATH");
    let config = ProducerConfig::from_properties_str(&text).unwrap();
    let login = &config.originals()["sasl.jaas.config"];
    assert!(login.contains("username=\"orders\""), "{login}");
    assert!(login.contains("password=\"hunter2\";"), "{login}");
    assert_eq!(config.client_id(), std::env::var("PATH").unwrap());
    let shown = format!("{config:?} {:?}", config.effective());
    assert!(!shown.contains("hunter2"), "{shown}");
}
