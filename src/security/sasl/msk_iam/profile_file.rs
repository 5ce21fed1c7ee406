//! Parser of AWS' profile files (`~/.aws/config` and `~/.aws/credentials`): sections with properties.
//!
//! Values are secrets, and in a malformed file any part may belong to one: errors name the line, and never quote it.

use std::collections::BTreeMap;

use crate::config::Password;

/// The properties of a profile; their names are in lower case.
pub(super) type ProfileProperties = BTreeMap<String, Password>;
/// The profiles of a file, or of both files together.
pub(super) type Profiles = BTreeMap<String, ProfileProperties>;

/// Which of the two files is parsed: they name their sections differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProfileFileKind {
    /// `[default]`, and `[profile NAME]` for other profiles.
    Config,
    /// `[NAME]`.
    Credentials,
}

/// The section that a line belongs to.
enum ProfileSection {
    /// Before the first section.
    None,
    /// A section that is not a profile, such as `[sso-session NAME]`: its properties are ignored.
    Other,
    Profile(String),
}

/// Parses a file, and adds its profiles to those of a file before it, whose properties it replaces.
///
/// # Errors
/// The number of the malformed line.
pub(super) fn parse_into(
    profiles: &mut Profiles,
    text: &str,
    kind: ProfileFileKind,
) -> Result<(), String> {
    let mut section = ProfileSection::None;
    // The indent of the section's last property. A line with a larger one continues that property, as in `s3 =`
    // followed by nested settings. None of the properties that are read here has such lines.
    let mut last_indent: Option<usize> = None;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (line, number) in text.lines().zip(1_u32..) {
        let line = line.trim_end();
        let content = line.trim_start();
        let indent = line.len() - content.len();
        if content.is_empty()
            || content.starts_with(['#', ';'])
            || last_indent.is_some_and(|last| indent > last)
        {
            continue;
        }
        if let Some(header) = content.strip_prefix('[') {
            let Some((name, _)) = header.split_once(']') else {
                return Err(format!("line {number} begins with '[' and has no ']'"));
            };
            section = match profile_name(name, kind) {
                Some(name) => {
                    profiles.entry(name.to_owned()).or_default();
                    ProfileSection::Profile(name.to_owned())
                }
                None => ProfileSection::Other,
            };
            last_indent = None;
            continue;
        }
        let Some((name, value)) = content.split_once('=') else {
            return Err(format!("line {number} is neither NAME=VALUE nor [SECTION]"));
        };
        match &section {
            ProfileSection::None => {
                return Err(format!("line {number} comes before the first [SECTION]"));
            }
            ProfileSection::Other => {}
            ProfileSection::Profile(profile) => {
                let name = name.trim_end().to_ascii_lowercase();
                let value = Password::new(without_comment(value).trim());
                profiles
                    .entry(profile.clone())
                    .or_default()
                    .insert(name, value);
            }
        }
        last_indent = Some(indent);
    }
    Ok(())
}

/// The profile that a section belongs to; `None` if it is no profile.
fn profile_name(section: &str, kind: ProfileFileKind) -> Option<&str> {
    let section = section.trim();
    let name = match kind {
        ProfileFileKind::Credentials => section,
        ProfileFileKind::Config if section == "default" => section,
        ProfileFileKind::Config => {
            let rest = section.strip_prefix("profile")?;
            let name = rest.trim_start();
            // `[profiles]` is something else.
            (name.len() < rest.len()).then_some(name)?
        }
    };
    let bare = name.strip_prefix('"').and_then(|n| n.strip_suffix('"'));
    Some(bare.unwrap_or(name)).filter(|name| !name.is_empty())
}

/// A value ends at a '#' or ';' after a blank.
fn without_comment(value: &str) -> &str {
    let is_blank = |c: char| c == ' ' || c == '\t';
    let mut marks = value.match_indices(['#', ';']);
    let comment = marks.find(|(at, _)| value[..*at].ends_with(is_blank));
    comment.map_or(value, |(at, _)| &value[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, kind: ProfileFileKind) -> Vec<(String, String, String)> {
        let mut profiles = Profiles::new();
        parse_into(&mut profiles, text, kind).unwrap();
        let flat = |(profile, properties): (String, ProfileProperties)| {
            let of = move |(name, value): (String, Password)| {
                (profile.clone(), name, value.expose().to_owned())
            };
            properties.into_iter().map(of).collect::<Vec<_>>()
        };
        profiles.into_iter().flat_map(flat).collect()
    }

    fn entry(profile: &str, name: &str, value: &str) -> (String, String, String) {
        (profile.to_owned(), name.to_owned(), value.to_owned())
    }

    #[test]
    fn the_credentials_file_has_bare_names_comments_and_blanks() {
        let text = "\u{feff}# a comment\r\n[default]\r\naws_access_key_id = AKID\r\n\
            AWS_Secret_Access_Key=a/b+c=d # not part of it\n\n; another\n[ other ] # here too\n\
            \taws_session_token =x#y;z\t; no\n  empty =\n";
        assert_eq!(
            parsed(text, ProfileFileKind::Credentials),
            [
                entry("default", "aws_access_key_id", "AKID"),
                entry("default", "aws_secret_access_key", "a/b+c=d"),
                entry("other", "aws_session_token", "x#y;z"),
            ]
        );
    }

    #[test]
    fn the_config_file_has_named_profiles_and_other_sections() {
        let text = "[default]\nregion=eu-west-1\ns3 =\n  max_concurrent_requests = 20\n  region = no\n\
            output = json\n[profile a b]\nregion = us-east-1\n[profile \"c\"]\nregion = us-east-2\n\
            [sso-session d]\nregion = no\n[profiles]\nregion = no\n[profile]\nregion = no\n[e]\nregion = no\n";
        assert_eq!(
            parsed(text, ProfileFileKind::Config),
            [
                entry("a b", "region", "us-east-1"),
                entry("c", "region", "us-east-2"),
                entry("default", "output", "json"),
                entry("default", "region", "eu-west-1"),
                entry("default", "s3", ""),
            ]
        );
    }

    #[test]
    fn the_second_file_replaces_single_properties_of_a_profile() {
        let mut profiles = Profiles::new();
        let config = "[default]\nregion = eu-west-1\naws_access_key_id = old\n";
        parse_into(&mut profiles, config, ProfileFileKind::Config).unwrap();
        let credentials = "[default]\naws_access_key_id = new\n[default]\nx = y\n";
        parse_into(&mut profiles, credentials, ProfileFileKind::Credentials).unwrap();
        let default = &profiles["default"];
        assert_eq!(default["region"].expose(), "eu-west-1");
        assert_eq!(default["aws_access_key_id"].expose(), "new");
        assert_eq!(default["x"].expose(), "y");
    }

    #[test]
    fn a_malformed_line_is_named_by_its_number_and_not_quoted() {
        for (text, line) in [
            ("hunter2=x\n", "line 1"),
            ("[default]\n\nhunter2\n", "line 3"),
            ("[default\nhunter2=x\n", "line 1"),
            ("# c\n[default] \nx=hunter2\n[hunter2\n", "line 4"),
        ] {
            let mut profiles = Profiles::new();
            let why = parse_into(&mut profiles, text, ProfileFileKind::Credentials).unwrap_err();
            assert!(why.contains(line) && !why.contains("hunter2"), "{why}");
        }
    }
}
