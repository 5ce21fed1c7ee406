//! The patterns of `allowlist.pattern`: regular expressions that match a whole name, in linear time.
//!
//! A pattern is parsed into a tree, and the tree compiled into steps. The steps are followed for all positions in the
//! pattern at once (a simulation of a non-deterministic automaton), so no pattern backtracks.

use std::iter::Peekable;
use std::str::Chars;

/// Longest pattern, in bytes.
const MAX_BYTES: usize = 4096;

/// Deepest nesting of groups.
const MAX_DEPTH: usize = 32;

/// The syntax, for errors.
pub(super) const SYNTAX: &str = "Use characters, ., [...], \\d, \\w, (...), |, *, + and ?, and a backslash before any \
                                 other sign";

/// A regular expression for names of environment variables: characters, `.`, classes like `[A-Z_]` and `[^0-9]`, `\d`,
/// `\w`, groups, `|`, the repetitions `*`, `+` and `?`, and a backslash before a sign. The rest of Java's syntax is
/// refused: counted, possessive and lazy repetitions, look-around, references, flags.
#[derive(Debug)]
pub(super) struct Pattern {
    steps: Vec<PatternStep>,
}

/// A set of characters.
#[derive(Clone, Debug)]
struct CharSet {
    is_negated: bool,
    ranges: Vec<(char, char)>,
}

/// A node of the parsed pattern.
#[derive(Debug)]
enum PatternNode {
    One(CharSet),
    Sequence(Vec<PatternNode>),
    Either(Vec<PatternNode>),
    Repeat {
        node: Box<PatternNode>,
        may_be_absent: bool,
        may_repeat: bool,
    },
}

#[derive(Debug)]
enum PatternStep {
    /// Matches a character, and goes on with the next step.
    One(CharSet),
    /// Goes on with both steps.
    Fork(usize, usize),
    Jump(usize),
    End,
}

impl CharSet {
    fn of(ranges: &[(char, char)]) -> Self {
        Self {
            is_negated: false,
            ranges: ranges.to_vec(),
        }
    }

    fn contains(&self, c: char) -> bool {
        let is_listed = self
            .ranges
            .iter()
            .any(|&(from, to)| (from..=to).contains(&c));
        is_listed != self.is_negated
    }
}

impl Pattern {
    /// Parses a pattern. The error says what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > MAX_BYTES {
            return Err("the pattern is too long");
        }
        let mut parser = Parser {
            rest: text.chars().peekable(),
            depth: 0,
        };
        let node = parser.alternatives()?;
        if parser.rest.next().is_some() {
            return Err("a group is closed that was not opened");
        }
        let mut steps = Vec::new();
        compile(&node, &mut steps);
        steps.push(PatternStep::End);
        Ok(Self { steps })
    }

    /// Whether the pattern matches the whole text.
    pub(super) fn matches(&self, text: &str) -> bool {
        let mut current = Vec::new();
        let mut seen = vec![false; self.steps.len()];
        self.follow(0, &mut current, &mut seen);
        for c in text.chars() {
            let mut next = Vec::new();
            seen.fill(false);
            for at in current {
                if let PatternStep::One(set) = &self.steps[at] {
                    if set.contains(c) {
                        self.follow(at + 1, &mut next, &mut seen);
                    }
                }
            }
            current = next;
        }
        let mut current = current.into_iter();
        current.any(|at| matches!(self.steps[at], PatternStep::End))
    }

    /// Adds the steps that are reached from a step without a character.
    fn follow(&self, from: usize, reached: &mut Vec<usize>, seen: &mut [bool]) {
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            match self.steps[at] {
                PatternStep::Fork(one, other) => open.extend([one, other]),
                PatternStep::Jump(to) => open.push(to),
                PatternStep::One(_) | PatternStep::End => reached.push(at),
            }
        }
    }
}

struct Parser<'p> {
    rest: Peekable<Chars<'p>>,
    /// The number of open groups.
    depth: usize,
}

impl Parser<'_> {
    /// Parses up to the end of the group or the pattern.
    fn alternatives(&mut self) -> Result<PatternNode, &'static str> {
        let mut all = vec![self.sequence()?];
        while self.rest.next_if_eq(&'|').is_some() {
            all.push(self.sequence()?);
        }
        Ok(PatternNode::Either(all))
    }

    fn sequence(&mut self) -> Result<PatternNode, &'static str> {
        let mut nodes = Vec::new();
        while let Some(c) = self.rest.next_if(|c| !"|)".contains(*c)) {
            let node = self.node(c)?;
            nodes.push(self.repeated(node)?);
        }
        Ok(PatternNode::Sequence(nodes))
    }

    fn node(&mut self, c: char) -> Result<PatternNode, &'static str> {
        let set = match c {
            '(' => return self.group(),
            '[' => self.class()?,
            // Java's `.` matches no line end.
            '.' => CharSet {
                is_negated: true,
                ranges: vec![
                    ('\n', '\n'),
                    ('\r', '\r'),
                    ('\u{85}', '\u{85}'),
                    ('\u{2028}', '\u{2029}'),
                ],
            },
            '\\' => CharSet::of(&self.escape()?),
            '*' | '+' | '?' => return Err("a repetition has nothing before it"),
            '{' => return Err("counted repetitions are not supported"),
            '^' | '$' => return Err("the pattern matches whole names, and has no ^ and $"),
            c => CharSet::of(&[(c, c)]),
        };
        Ok(PatternNode::One(set))
    }

    fn group(&mut self) -> Result<PatternNode, &'static str> {
        if self.depth == MAX_DEPTH {
            return Err("the groups are nested too deeply");
        }
        if self.rest.next_if_eq(&'?').is_some() && self.rest.next() != Some(':') {
            return Err("groups with flags, names or look-around are not supported");
        }
        self.depth += 1;
        let node = self.alternatives()?;
        self.depth -= 1;
        match self.rest.next() {
            Some(')') => Ok(node),
            _ => Err("a group is not closed"),
        }
    }

    fn repeated(&mut self, node: PatternNode) -> Result<PatternNode, &'static str> {
        let Some(mark) = self.rest.next_if(|c| "*+?".contains(*c)) else {
            return Ok(node);
        };
        if self.rest.next_if(|c| "*+?".contains(*c)).is_some() {
            return Err("lazy and possessive repetitions are not supported");
        }
        Ok(PatternNode::Repeat {
            node: Box::new(node),
            may_be_absent: mark != '+',
            may_repeat: mark != '?',
        })
    }

    /// Parses a class after its opening bracket.
    fn class(&mut self) -> Result<CharSet, &'static str> {
        const OPEN: &str = "a class is not closed";
        let is_negated = self.rest.next_if_eq(&'^').is_some();
        let mut ranges = Vec::new();
        loop {
            let from = match self.rest.next().ok_or(OPEN)? {
                ']' if ranges.is_empty() => return Err("a class is empty"),
                ']' => return Ok(CharSet { is_negated, ranges }),
                '[' | '&' => return Err("classes inside classes are not supported"),
                '\\' => {
                    ranges.extend(self.escape()?);
                    continue;
                }
                from => from,
            };
            if self.rest.next_if_eq(&'-').is_none() {
                ranges.push((from, from));
                continue;
            }
            match self.rest.next().ok_or(OPEN)? {
                // A dash at the end is one.
                ']' => {
                    ranges.extend([(from, from), ('-', '-')]);
                    return Ok(CharSet { is_negated, ranges });
                }
                to if to < from || "[\\&".contains(to) => return Err("a range is not valid"),
                to => ranges.push((from, to)),
            }
        }
    }

    /// Parses the character after a backslash.
    fn escape(&mut self) -> Result<Vec<(char, char)>, &'static str> {
        match self.rest.next().ok_or("a backslash has nothing after it")? {
            'd' => Ok(vec![('0', '9')]),
            'w' => Ok(vec![('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')]),
            c if c.is_alphanumeric() => Err("only \\d and \\w are supported"),
            c => Ok(vec![(c, c)]),
        }
    }
}

/// Appends the steps of a node, which end where the next node's begin.
fn compile(node: &PatternNode, steps: &mut Vec<PatternStep>) {
    match node {
        PatternNode::One(set) => steps.push(PatternStep::One(set.clone())),
        PatternNode::Sequence(nodes) => nodes.iter().for_each(|node| compile(node, steps)),
        PatternNode::Either(nodes) => {
            let mut jumps = Vec::new();
            for (index, node) in nodes.iter().enumerate() {
                if index + 1 == nodes.len() {
                    compile(node, steps);
                    continue;
                }
                let fork = steps.len();
                steps.push(PatternStep::End);
                compile(node, steps);
                jumps.push(steps.len());
                steps.push(PatternStep::End);
                steps[fork] = PatternStep::Fork(fork + 1, steps.len());
            }
            for jump in jumps {
                steps[jump] = PatternStep::Jump(steps.len());
            }
        }
        PatternNode::Repeat {
            node,
            may_be_absent,
            may_repeat,
        } => {
            let begin = steps.len();
            if *may_be_absent {
                steps.push(PatternStep::End);
            }
            compile(node, steps);
            if *may_repeat {
                steps.push(PatternStep::Fork(begin, steps.len() + 1));
            }
            if *may_be_absent {
                steps[begin] = PatternStep::Fork(begin + 1, steps.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            (
                "secret_.*",
                &["secret_", "secret_var2"],
                &["not_so_secret_var4", "secret"],
            ),
            (".*", &["", "X", "A_B"], &["a\nb"]),
            ("", &[""], &["a"]),
            ("A|BC|", &["A", "BC", ""], &["ABC", "B"]),
            ("(A|B)+_?", &["A", "ABBA", "B_"], &["", "_", "A__"]),
            (
                "(?:KAFKA|APP)_[A-Z0-9_]+",
                &["KAFKA_A_1", "APP__"],
                &["KAFKA_", "APP_a"],
            ),
            ("[^0-9]\\d\\w-", &["a1_-"], &["11_-", "aa_-"]),
            ("[a-]", &["a", "-"], &["b"]),
            ("[\\d_]*", &["1_2", ""], &["a"]),
            ("a\\.b", &["a.b"], &["axb"]),
            ("(a*)*", &["", "aaaa"], &["b"]),
            ("((a|b)?c)*", &["", "ac", "cbcc"], &["ab"]),
            ("\u{e4}+", &["\u{e4}\u{e4}"], &[""]),
            ("a]}", &["a]}"], &[]),
        ];
        for (pattern, matching, other) in cases {
            let compiled = Pattern::parse(pattern).expect(pattern);
            for name in *matching {
                assert!(compiled.matches(name), "{pattern} and {name}");
            }
            for name in *other {
                assert!(!compiled.matches(name), "{pattern} and {name}");
            }
        }
    }

    #[test]
    fn what_is_not_supported_or_malformed_is_refused() {
        for pattern in [
            "(", ")", "a)", "(a", "[", "[]", "[a", "[a-", "[b-a]", "[[a]]", "[a&&b]", "*", "|*",
            "(*)", "a**", "a+?", "a*+", "a{2}", "^a", "a$", "\\", "\\s", "\\bA", "(?i)a", "(?=a)",
            "(?<n>a)",
        ] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
        assert!(Pattern::parse(&"(".repeat(1000)).is_err());
        assert!(Pattern::parse(&"a".repeat(MAX_BYTES + 1)).is_err());
    }

    /// A backtracking matcher would need more than 2^1000 steps.
    #[test]
    fn no_pattern_takes_more_than_linear_time() {
        let name = format!("{}b", "a".repeat(1000));
        for pattern in ["(a*)*", "(a|a)*", "(a|aa)+", "(.*)(.*)(.*)(.*)c"] {
            assert!(
                !Pattern::parse(pattern).unwrap().matches(&name),
                "{pattern}"
            );
        }
    }
}
