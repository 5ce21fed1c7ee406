//! Check that a page is well-formed: elements are closed in order, attributes are quoted and unique, and text has no
//! bare `<` or `&`.

/// The entities of the page.
const ENTITIES: [&str; 5] = ["lt;", "gt;", "amp;", "quot;", "#39;"];

/// Panics with the place if the page is not well-formed. Returns the names of all elements, in order.
pub(super) fn elements(page: &str) -> Vec<&str> {
    let mut rest = page.strip_prefix("<!DOCTYPE html>\n").expect("a doctype");
    let mut names = Vec::new();
    let mut open = Vec::new();
    while let Some(start) = rest.find('<') {
        check_text(&rest[..start]);
        let after = &rest[start + 1..];
        let (tag, after) = after
            .split_once('>')
            .unwrap_or_else(|| panic!("no end: {after}"));
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed in order, before {rest}");
            continue;
        }
        let (tag, is_closed) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric()),
            "{tag}"
        );
        check_attributes(attributes);
        names.push(name);
        if !is_closed {
            open.push(name);
        }
    }
    assert_eq!(rest.trim(), "");
    assert!(open.is_empty(), "not closed: {open:?}");
    names
}

fn check_text(text: &str) {
    for (at, _) in text.match_indices('&') {
        let after = &text[at + 1..];
        let is_known = ENTITIES.iter().any(|entity| after.starts_with(entity));
        assert!(is_known, "a bare & in {text}");
    }
    let is_odd = |c: char| c.is_control() && c != '\n' && c != '\t';
    assert!(!text.contains(is_odd), "{text:?}");
}

fn check_attributes(mut rest: &str) {
    let mut names = Vec::new();
    while !rest.trim().is_empty() {
        let (name, after) = rest
            .trim_start()
            .split_once("=\"")
            .unwrap_or_else(|| panic!("{rest}"));
        let (value, after) = after.split_once('"').unwrap_or_else(|| panic!("{rest}"));
        check_text(value);
        assert!(
            !value.contains('<') && !names.contains(&name),
            "{name}: {rest}"
        );
        names.push(name);
        assert!(after.is_empty() || after.starts_with(' '), "{rest}");
        rest = after;
    }
}

#[test]
fn the_check_finds_what_is_not_well_formed() {
    let page = |body: &str| format!("<!DOCTYPE html>\n{body}");
    assert_eq!(
        elements(&page("<a b=\"1\" c=\"&lt;\">x &amp; y<d/></a>\n")),
        ["a", "d"]
    );
    for bad in [
        "<a>",
        "<a></b>",
        "<a><b></a></b>",
        "<a>&</a>",
        "<a b=1/>",
        "<a b=\"\" b=\"\"/>",
        "<a/>x",
    ] {
        let page = page(bad);
        let checked = std::panic::catch_unwind(|| elements(&page).len());
        assert!(checked.is_err(), "{bad}");
    }
}
