use std::collections::BTreeSet;

use super::*;

/// Java: ErrorsTest#testUniqueErrorCodes
#[test]
fn there_are_the_107_codes_of_kafka_3_0_and_one_of_later_brokers() {
    let codes: Vec<i16> = ErrorCode::ALL.iter().map(|error| error.code()).collect();
    assert_eq!(codes, (-1..=105).chain([120]).collect::<Vec<i16>>());
}

#[test]
fn codes_and_errors_convert_both_ways() {
    for &error in ErrorCode::ALL {
        assert_eq!(ErrorCode::from_code(error.code()), error);
    }
}

/// Java: ErrorsTest#testForExceptionDefault
#[test]
fn an_unknown_code_becomes_unknown_server_error() {
    for code in [i16::MIN, -2, 106, 1000, i16::MAX] {
        assert_eq!(
            ErrorCode::from_code(code),
            ErrorCode::UnknownServerError,
            "{code}"
        );
    }
}

#[test]
fn names_are_kafkas_and_match_the_variants() {
    for &error in ErrorCode::ALL {
        let camel: String = error
            .name()
            .split('_')
            .map(|word| word[..1].to_owned() + &word[1..].to_ascii_lowercase())
            .collect();
        let expected = if error == ErrorCode::NoError {
            "None".to_owned()
        } else {
            format!("{error:?}")
        };
        assert_eq!(camel, expected);
    }
    let names: BTreeSet<&str> = ErrorCode::ALL.iter().map(|error| error.name()).collect();
    assert_eq!(names.len(), 108);
}

#[test]
fn every_error_has_a_sentence_of_its_own() {
    let messages: BTreeSet<&str> = ErrorCode::ALL.iter().map(|error| error.message()).collect();
    assert_eq!(messages.len(), 108);
    for message in messages {
        assert!(
            message.ends_with('.') && message.starts_with(char::is_uppercase),
            "{message}"
        );
    }
}

fn codes(which: impl Fn(ErrorCode) -> bool) -> Vec<i16> {
    ErrorCode::ALL
        .iter()
        .filter(|&&error| which(error))
        .map(|error| error.code())
        .collect()
}

/// Java: the class of each error's exception
#[test]
fn the_retriable_errors_are_kafkas() {
    assert_eq!(
        codes(ErrorCode::is_retriable),
        [
            2, 3, 5, 6, 7, 9, 13, 14, 15, 16, 19, 20, 41, 56, 70, 71, 72, 74, 75, 78, 80, 83, 84,
            88, 89, 100, 103
        ]
    );
}

/// Java: the class of each error's exception
#[test]
fn the_errors_that_require_a_metadata_refresh_are_kafkas() {
    assert_eq!(
        codes(ErrorCode::is_invalid_metadata),
        [3, 5, 6, 9, 13, 56, 72, 74, 80, 83, 84, 100, 103]
    );
}

#[test]
fn an_error_prints_its_name_code_and_message() {
    assert_eq!(
        ErrorCode::NotLeaderOrFollower.to_string(),
        "NOT_LEADER_OR_FOLLOWER (6): The broker no longer leads, or no longer holds, this partition."
    );
}
