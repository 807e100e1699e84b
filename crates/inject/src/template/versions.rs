//! Semantic versions and constraints on them, as `Masterminds/semver` has them: `v1.2` is a version, `>=1.2, <2 || 3.x` a constraint.

use std::cmp::Ordering;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::value::Version;

const VERSION: &str =
    r"v?([0-9]+)(\.[0-9]+)?(\.[0-9]+)?(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?";
const WILD: &str = r"v?([0-9|xX\*]+)(\.[0-9|xX\*]+)?(\.[0-9|xX\*]+)?(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?";
const OPERATORS: &str = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";

fn compiled(pattern: &str) -> Option<Regex> {
    Regex::new(pattern).ok()
}

static VERSIONS: LazyLock<Option<Regex>> = LazyLock::new(|| compiled(&format!("^{VERSION}$")));
static ONE: LazyLock<Option<Regex>> = LazyLock::new(|| compiled(&format!(r"^\s*({OPERATORS})\s*({WILD})\s*$")));
static EACH: LazyLock<Option<Regex>> = LazyLock::new(|| compiled(&format!(r"({OPERATORS})\s*({WILD})")));
static ALL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compiled(&format!(r"^(\s*({OPERATORS})\s*({WILD})\s*)((?:\s+|,\s*)({OPERATORS})\s*({WILD})\s*)*$"))
});
static BETWEEN: LazyLock<Option<Regex>> = LazyLock::new(|| compiled(&format!(r"\s*({WILD})\s+-\s+({WILD})\s*")));

/// A version; minor and patch may be missing, and a `v` may stand before it.
pub(crate) fn parse(text: &str) -> Result<Version, String> {
    let found = VERSIONS.as_ref().and_then(|versions| versions.captures(text)).ok_or("Invalid Semantic Version")?;
    let number = |index: usize| -> Result<u64, String> {
        let digits = found.get(index).map_or("", |found| found.as_str().trim_start_matches('.'));
        if digits.is_empty() {
            return Ok(0);
        }
        digits.parse().map_err(|_| {
            let quoted = super::quote::quote(digits);
            format!("Error parsing version segment: strconv.ParseUint: parsing {quoted}: value out of range")
        })
    };
    let numbers = [number(1)?, number(2)?, number(3)?];
    let part = |index: usize| found.get(index).map_or("", |found| found.as_str()).to_owned();
    let (pre, metadata) = (part(5), part(8));
    let leading_zero =
        |part: &str| part.len() > 1 && part.starts_with('0') && part.bytes().all(|byte| byte.is_ascii_digit());
    if pre.split('.').any(leading_zero) {
        return Err("Version segment starts with 0".to_owned());
    }
    Ok(Version { numbers, pre, metadata, original: text.to_owned() })
}

/// Without a leading `v`, with all three numbers.
pub(crate) fn written(version: &Version) -> String {
    let [major, minor, patch] = version.numbers;
    let pre = if version.pre.is_empty() { String::new() } else { format!("-{}", version.pre) };
    let metadata = if version.metadata.is_empty() { String::new() } else { format!("+{}", version.metadata) };
    format!("{major}.{minor}.{patch}{pre}{metadata}")
}

/// The order of versions; metadata does not count.
pub(crate) fn compare(a: &Version, b: &Version) -> Ordering {
    let pre = || match (a.pre.is_empty(), b.pre.is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => compare_pre(&a.pre, &b.pre),
    };
    a.numbers.cmp(&b.numbers).then_with(pre)
}

fn compare_pre(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Whether a version meets a constraint: one of the groups between `||`, all of what stands in it.
pub(crate) fn meets(constraint: &str, version: &str) -> Result<bool, String> {
    let rewritten = match BETWEEN.as_ref() {
        Some(between) => between.replace_all(constraint, |found: &Captures<'_>| {
            let end = |index: usize| found.get(index).map_or("", |found| found.as_str());
            format!(">= {}, <= {} ", end(1), end(11))
        }),
        None => constraint.into(),
    };
    let mut groups = Vec::new();
    for group in rewritten.split("||") {
        if !ALL.as_ref().is_some_and(|all| all.is_match(group)) {
            return Err(format!("improper constraint: {group}"));
        }
        let parts = EACH.iter().flat_map(|each| each.find_iter(group)).map(|found| Constraint::parse(found.as_str()));
        groups.push(parts.collect::<Result<Vec<_>, _>>()?);
    }
    let version = parse(version)?;
    Ok(groups.iter().any(|group| group.iter().all(|constraint| constraint.is_met(&version))))
}

/// `>=1.2`, and which of the numbers are not given or `x`.
struct Constraint {
    operator: String,
    bound: Version,
    any_major: bool,
    any_minor: bool,
    any_patch: bool,
}

impl Constraint {
    fn parse(text: &str) -> Result<Self, String> {
        let improper = || format!("improper constraint: {text}");
        let found = ONE.as_ref().and_then(|one| one.captures(text)).ok_or_else(improper)?;
        let part = |index: usize| found.get(index).map_or("", |found| found.as_str());
        let is_any = |part: &str| matches!(part.trim_start_matches('.'), "" | "x" | "X" | "*");
        let (major, minor, patch, pre) = (part(3), part(4), part(5), part(6));
        let any_major = is_any(major);
        let any_minor = !any_major && is_any(minor);
        let any_patch = !any_major && !any_minor && is_any(patch);
        let bound = match (any_major, any_minor, any_patch) {
            (true, _, _) => format!("0.0.0{pre}"),
            (_, true, _) => format!("{major}.0.0{pre}"),
            (_, _, true) => format!("{major}{minor}.0{pre}"),
            _ => part(2).to_owned(),
        };
        let bound = parse(&bound).map_err(|_| "constraint Parser Error".to_owned())?;
        Ok(Self { operator: part(1).to_owned(), bound, any_major, any_minor, any_patch })
    }

    fn is_dirty(&self) -> bool {
        self.any_major || self.any_minor || self.any_patch
    }

    fn is_met(&self, version: &Version) -> bool {
        // pre-releases are only met by who asks for one
        let unasked = !version.pre.is_empty() && self.bound.pre.is_empty();
        let order = compare(version, &self.bound);
        match self.operator.as_str() {
            "!=" if !self.is_dirty() => order != Ordering::Equal,
            _ if unasked => false,
            "!=" => self.differs(version),
            ">" => self.exceeds(version, order),
            "<" => order == Ordering::Less,
            ">=" | "=>" => order != Ordering::Less,
            "<=" | "=<" => self.reaches(version, order),
            "~" | "~>" => self.is_near(version, order),
            "^" => self.is_compatible(version, order),
            _ if self.is_dirty() => self.is_near(version, order),
            _ => order == Ordering::Equal,
        }
    }

    fn differs(&self, version: &Version) -> bool {
        let [major, minor, patch] = self.bound.numbers;
        if major != version.numbers[0] {
            return true;
        }
        if minor != version.numbers[1] && !self.any_minor {
            return true;
        }
        if self.any_minor {
            return false;
        }
        if patch != version.numbers[2] && !self.any_patch {
            return true;
        }
        if self.any_patch {
            let pre = !version.pre.is_empty() || !self.bound.pre.is_empty();
            return pre && compare_pre(&version.pre, &self.bound.pre) != Ordering::Equal;
        }
        compare(version, &self.bound) != Ordering::Equal
    }

    fn exceeds(&self, version: &Version, order: Ordering) -> bool {
        if !self.is_dirty() {
            return order == Ordering::Greater;
        }
        match version.numbers[0].cmp(&self.bound.numbers[0]) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal if self.any_minor => false,
            Ordering::Equal if self.any_patch => version.numbers[1] > self.bound.numbers[1],
            Ordering::Equal => order == Ordering::Greater,
        }
    }

    fn reaches(&self, version: &Version, order: Ordering) -> bool {
        if !self.is_dirty() {
            return order != Ordering::Greater;
        }
        let ([major, minor, _], [own, own_minor, _]) = (version.numbers, self.bound.numbers);
        major < own || major == own && (minor <= own_minor || self.any_minor)
    }

    /// The same major and minor.
    fn is_near(&self, version: &Version, order: Ordering) -> bool {
        if order == Ordering::Less {
            return false;
        }
        if self.bound.numbers == [0, 0, 0] && !self.any_minor && !self.any_patch {
            return true;
        }
        let ([major, minor, _], [own, own_minor, _]) = (version.numbers, self.bound.numbers);
        major == own && (minor == own_minor || self.any_minor)
    }

    /// Nothing to the left of it changes: the first number that is not zero.
    fn is_compatible(&self, version: &Version, order: Ordering) -> bool {
        let ([major, minor, patch], [own, own_minor, own_patch]) = (version.numbers, self.bound.numbers);
        if order == Ordering::Less {
            return false;
        }
        if own > 0 || self.any_minor {
            return major == own;
        }
        if major > 0 {
            return false;
        }
        if own_minor > 0 || self.any_patch {
            return minor == own_minor;
        }
        minor == 0 && patch == own_patch
    }
}
