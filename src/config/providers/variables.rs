//! The variables in a value: `${provider:path:key}` and `${provider:key}`.

use std::ops::Range;

/// A variable in a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConfigVariable<'v> {
    pub(super) provider: &'v str,
    /// Empty if the variable has none.
    pub(super) path: &'v str,
    pub(super) key: &'v str,
    /// The bytes of the variable in the value, from `${` to `}`.
    pub(super) range: Range<usize>,
}

/// The variables of a value, in their order.
///
/// A variable begins with `${` and ends with the first `}`. The first colon in it ends the provider. If there is a
/// second colon it ends the path; all further text is the key, colons included. A text without a colon is no variable.
///
/// The time is linear in the length of the value: each byte is searched at most once for each of the three marks.
///
/// # Kafka
/// `ConfigTransformer`, whose pattern is `\$\{([^}]*?):(([^}]*?):)?([^}]*?)\}`.
pub(super) fn variables(value: &str) -> impl Iterator<Item = ConfigVariable<'_>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let begin = from + value[from..].find("${")?;
            let inner = begin + "${".len();
            let Some(length) = value[inner..].find('}') else {
                // No later variable can end either.
                from = value.len();
                return None;
            };
            let end = inner + length;
            from = end + 1;
            // Without a colon up to the brace, no later `${` before it begins a variable.
            if let Some((provider, rest)) = value[inner..end].split_once(':') {
                let (path, key) = rest.split_once(':').unwrap_or(("", rest));
                return Some(ConfigVariable {
                    provider,
                    path,
                    key,
                    range: begin..from,
                });
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Provider, path, key and text of each variable.
    fn found(value: &str) -> Vec<(&str, &str, &str, &str)> {
        variables(value)
            .map(|it| (it.provider, it.path, it.key, &value[it.range]))
            .collect()
    }

    #[test]
    fn a_variable_has_a_provider_a_key_and_possibly_a_path() {
        for (value, variable) in [
            ("${a:b:c}", ("a", "b", "c", "${a:b:c}")),
            ("${a:c}", ("a", "", "c", "${a:c}")),
            ("x${a:c}y", ("a", "", "c", "${a:c}")),
            ("${a::c}", ("a", "", "c", "${a::c}")),
            ("${a:b:}", ("a", "b", "", "${a:b:}")),
            ("${:}", ("", "", "", "${:}")),
            ("${a:b:c:d}", ("a", "b", "c:d", "${a:b:c:d}")),
            ("${a:C:\\x:k}", ("a", "C", "\\x:k", "${a:C:\\x:k}")),
            ("${a${b:c}", ("a${b", "", "c", "${a${b:c}")),
            ("${${a:c}", ("${a", "", "c", "${${a:c}")),
            ("${x}${a:c}", ("a", "", "c", "${a:c}")),
            ("$${a:c}}", ("a", "", "c", "${a:c}")),
            (
                "${a:b\nc:d\u{e4}}",
                ("a", "b\nc", "d\u{e4}", "${a:b\nc:d\u{e4}}"),
            ),
            ("\u{e4}${ a : c }", (" a ", "", " c ", "${ a : c }")),
        ] {
            assert_eq!(found(value), [variable], "{value}");
        }
    }

    #[test]
    fn a_text_without_a_colon_or_a_brace_is_no_variable() {
        for value in [
            "", "$", "${", "${}", "${a}", "{a:b}", "$a:b}", "${a:b", "}${a:b", "$ {a:b}",
        ] {
            assert!(found(value).is_empty(), "{value}");
        }
    }

    /// A search that begins again at each `${` would take hours.
    #[test]
    fn variables_that_do_not_end_take_linear_time() {
        for unit in ["${", "${a", "${:", "$", "${a:b}", "${a}"] {
            let value = unit.repeat((1 << 20) / unit.len());
            let expected = if unit == "${a:b}" {
                value.len() / unit.len()
            } else {
                0
            };
            assert_eq!(variables(&value).count(), expected, "{unit}");
        }
        let nested = format!("{}}}", "${a:".repeat(1 << 18));
        assert_eq!(variables(&nested).count(), 1);
    }

    /// Kafka's pattern, tried at every position as a backtracking matcher does: the lazy groups grow from the left.
    fn by_backtracking(value: &str) -> Vec<(&str, &str, &str, &str)> {
        let (mut all, mut from) = (Vec::new(), 0);
        while from < value.len() {
            match value.get(from..).and_then(matched_at_start) {
                Some((provider, path, key, length)) => {
                    all.push((provider, path, key, &value[from..from + length]));
                    from += length;
                }
                None => from += 1,
            }
        }
        all
    }

    fn matched_at_start(text: &str) -> Option<(&str, &str, &str, usize)> {
        let inner = text.strip_prefix("${")?;
        for (colon, _) in inner.match_indices(':') {
            let provider = &inner[..colon];
            let rest = &inner[colon + 1..];
            if provider.contains('}') {
                return None;
            }
            for (second, _) in rest.match_indices(':') {
                let path = &rest[..second];
                if let (false, Some(end)) = (path.contains('}'), rest[second + 1..].find('}')) {
                    let key = &rest[second + 1..second + 1 + end];
                    return Some((provider, path, key, 2 + colon + 1 + second + 1 + end + 1));
                }
            }
            if let Some(end) = rest.find('}') {
                return Some((provider, "", &rest[..end], 2 + colon + 1 + end + 1));
            }
        }
        None
    }

    proptest! {
        #[test]
        fn the_variables_are_those_of_kafkas_pattern(value in r"([$]\{|[a:}{$\u{e4}\n])*") {
            prop_assert_eq!(found(&value), by_backtracking(&value));
        }

        #[test]
        fn any_text_has_variables_in_order_and_without_overlap(value in any::<String>()) {
            let mut end = 0;
            for variable in variables(&value) {
                prop_assert!(variable.range.start >= end);
                end = variable.range.end;
            }
        }
    }
}
