//! How runc, crun and youki read a command line, each by the rules of its own parser: Go's `flag` with urfave's reordering,
//! GNU argp in order, and clap. Written from their behaviour, independently of the guard's reader.

/// What a runtime makes of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) command: String,
    pub(super) root: Option<String>,
    pub(super) bundle: Option<String>,
    pub(super) process: Option<String>,
    pub(super) preserve_fds: u64,
    /// The ID, and for exec without a file the command.
    pub(super) words: Vec<String>,
}

impl Reading {
    pub(super) fn of(command: &str) -> Self {
        Self {
            command: command.to_owned(),
            ..Self::default()
        }
    }
}

/// `None` if the runtime rejects the line, or only prints help.
type Model = fn(&[&str]) -> Option<Reading>;

pub(super) const RUNTIMES: [(&str, Model); 3] = [("runc", runc), ("crun", crun), ("youki", youki)];

/// A flag: its names, first the one it is known by, and what follows: `0` nothing, `1` a value, `?` perhaps one, `*` values.
type Flag = (&'static str, char);

const RUNC: [&[Flag]; 4] = [
    &[
        ("debug", '0'),
        ("log", '1'),
        ("log-format", '1'),
        ("root", '1'),
        ("criu", '1'),
        ("systemd-cgroup", '0'),
        ("rootless", '1'),
        ("help h", '0'),
        ("version v", '0'),
    ],
    &[
        ("bundle b", '1'),
        ("console-socket", '1'),
        ("pidfd-socket", '1'),
        ("pid-file", '1'),
        ("no-pivot", '0'),
        ("no-new-keyring", '0'),
        ("preserve-fds", '1'),
        ("help h", '0'),
    ],
    &[
        ("bundle b", '1'),
        ("console-socket", '1'),
        ("pidfd-socket", '1'),
        ("detach d", '0'),
        ("keep", '0'),
        ("pid-file", '1'),
        ("no-subreaper", '0'),
        ("no-pivot", '0'),
        ("no-new-keyring", '0'),
        ("preserve-fds", '1'),
        ("help h", '0'),
    ],
    &[
        ("console-socket", '1'),
        ("pidfd-socket", '1'),
        ("cwd", '1'),
        ("env e", '*'),
        ("tty t", '0'),
        ("user u", '1'),
        ("additional-gids g", '*'),
        ("process p", '1'),
        ("detach d", '0'),
        ("pid-file", '1'),
        ("process-label", '1'),
        ("apparmor", '1'),
        ("no-new-privs", '0'),
        ("cap c", '*'),
        ("preserve-fds", '1'),
        ("cgroup", '*'),
        ("ignore-paused", '0'),
        ("help h", '0'),
    ],
];

const CRUN: [&[Flag]; 4] = [
    &[
        ("debug", '0'),
        ("cgroup-manager", '1'),
        ("systemd-cgroup", '0'),
        ("log", '1'),
        ("log-format", '1'),
        ("log-level", '1'),
        ("root", '1'),
        ("rootless", '1'),
        ("version v V", '0'),
        ("help ?", '0'),
        ("usage", '0'),
        ("program-name", '1'),
    ],
    &[
        ("bundle b", '1'),
        ("config f", '1'),
        ("console-socket", '1'),
        ("preserve-fds", '1'),
        ("no-pivot", '0'),
        ("pid-file", '1'),
        ("no-subreaper", '0'),
        ("no-new-keyring", '0'),
        ("help ?", '0'),
        ("usage", '0'),
        ("program-name", '1'),
    ],
    &[
        ("bundle b", '1'),
        ("config f", '1'),
        ("detach d", '0'),
        ("console-socket", '1'),
        ("preserve-fds", '1'),
        ("pid-file", '1'),
        ("keep", '0'),
        ("no-subreaper", '0'),
        ("no-new-keyring", '0'),
        ("no-pivot", '0'),
        ("help ?", '0'),
        ("usage", '0'),
        ("program-name", '1'),
    ],
    &[
        ("console-socket", '1'),
        ("tty t", '?'),
        ("process p", '1'),
        ("cwd", '1'),
        ("cgroup", '1'),
        ("detach d", '0'),
        ("user u", '1'),
        ("env e", '*'),
        ("cap c", '*'),
        ("pid-file", '1'),
        ("preserve-fds", '1'),
        ("no-new-privs", '0'),
        ("process-label", '1'),
        ("apparmor", '1'),
        ("help ?", '0'),
        ("usage", '0'),
        ("program-name", '1'),
    ],
];

const YOUKI: [&[Flag]; 4] = [
    &[
        ("log l", '1'),
        ("debug", '0'),
        ("log-format", '1'),
        ("root r", '1'),
        ("systemd-cgroup s", '0'),
        ("systemd-log", '0'),
        ("log-level", '1'),
        ("version v", '0'),
        ("help h", '0'),
    ],
    &[
        ("bundle b", '1'),
        ("console-socket c", '1'),
        ("pid-file p", '1'),
        ("no-pivot", '0'),
        ("no-new-keyring", '0'),
        ("preserve-fds", '1'),
        ("help h", '0'),
    ],
    &[
        ("bundle b", '1'),
        ("console-socket c", '1'),
        ("pid-file p", '1'),
        ("no-subreaper", '0'),
        ("no-pivot", '0'),
        ("no-new-keyring", '0'),
        ("preserve-fds", '1'),
        ("keep", '0'),
        ("detach d", '0'),
        ("help h", '0'),
    ],
    &[
        ("console-socket", '1'),
        ("cwd", '1'),
        ("env e", '*'),
        ("tty t", '0'),
        ("user u", '1'),
        ("additional-gids g", '*'),
        ("process p", '1'),
        ("detach d", '0'),
        ("pid-file", '1'),
        ("process-label", '1'),
        ("apparmor", '1'),
        ("no-new-privs", '0'),
        ("cap", '*'),
        ("preserve-fds", '1'),
        ("ignore-paused", '0'),
        ("cgroup", '1'),
        ("help h", '0'),
    ],
];

/// Flags with their values, and the words that are none.
type Parsed = (Vec<(&'static str, String)>, Vec<String>);

fn known(flag: &Flag, name: &str) -> bool {
    flag.0.split(' ').any(|known| known == name)
}

fn name(flag: &Flag) -> &'static str {
    flag.0.split(' ').next().unwrap_or(flag.0)
}

/// Reads globals, then the flags of the command by the same rules.
fn read(
    words: &[&str],
    tables: [&'static [Flag]; 4],
    parse: impl Fn(&[&str], &'static [Flag], usize) -> Option<Parsed>,
) -> Option<Reading> {
    let (globals, rest) = parse(words, tables[0], 0)?;
    let mut reading = Reading::of(rest.first()?);
    let rest: Vec<&str> = rest[1..].iter().map(String::as_str).collect();
    let index = match reading.command.as_str() {
        "create" => 1,
        "run" => 2,
        "exec" => 3,
        _ => return Some(reading),
    };
    let (flags, words) = parse(&rest, tables[index], index)?;
    if globals
        .iter()
        .chain(&flags)
        .any(|(flag, _)| ["help", "usage", "version"].contains(flag))
    {
        return None;
    }
    let last = |of: &[(&str, String)], name: &str| {
        of.iter()
            .rev()
            .find(|(flag, _)| *flag == name)
            .map(|(_, v)| v.clone())
    };
    reading.root = last(&globals, "root");
    (reading.bundle, reading.process) = (last(&flags, "bundle"), last(&flags, "process"));
    // Shows as a bundle that the guard never reads.
    reading.bundle = last(&flags, "config")
        .map(|file| format!("config {file}"))
        .or(reading.bundle);
    let number = |fds: String| fds.parse().ok();
    reading.preserve_fds = last(&flags, "preserve-fds").map_or(Some(0), number)?;
    let enough = if index < 3 {
        words.len() == 1
    } else {
        words.len() >= if reading.process.is_some() { 1 } else { 2 }
    };
    reading.words = words;
    enough.then_some(reading)
}

pub(super) fn runc(words: &[&str]) -> Option<Reading> {
    read(words, RUNC, |words, table, index| {
        let reordered = if matches!(index, 1 | 2) {
            reorder(words, table)
        } else {
            words.to_vec()
        };
        let (mut flags, rest) = go(&reordered, table)?;
        for (flag, value) in &mut flags {
            if *flag == "preserve-fds" {
                *value = go_number(value)?.to_string();
            }
        }
        Some((flags, rest))
    })
}

/// urfave moves what looks like one of the command's flags, and the word behind it, to the front.
fn reorder<'a>(words: &[&'a str], table: &[Flag]) -> Vec<&'a str> {
    let is_flag = |word: &str| {
        let bare = word
            .strip_prefix("--")
            .or(word.strip_prefix('-'))
            .unwrap_or("");
        let bare = bare.split('=').next().unwrap_or("");
        word != "--" && table.iter().any(|flag| known(flag, bare))
    };
    let (mut front, mut back, mut value_may_follow) = (Vec::new(), Vec::new(), false);
    for (at, &word) in words.iter().enumerate() {
        if value_may_follow && !is_flag(word) {
            value_may_follow = false;
            front.push(word);
        } else if word == "--" {
            back.insert(0, "--");
            back.extend(&words[at + 1..]);
            break;
        } else if is_flag(word) {
            front.push(word);
            value_may_follow = !word.contains('=');
        } else {
            back.push(word);
        }
    }
    front.extend(back);
    front
}

/// Go's flag package: one dash or two, a value always taken as it stands, the end at the first word that is no flag.
fn go(words: &[&str], table: &'static [Flag]) -> Option<Parsed> {
    let (mut flags, mut at, mut spelled) = (Vec::new(), 0, Vec::new());
    while let Some(word) = words.get(at) {
        if word.len() < 2 || !word.starts_with('-') {
            break;
        }
        at += 1;
        if *word == "--" {
            break;
        }
        let bare = word.strip_prefix("--").or(word.strip_prefix('-'))?;
        let (given, joined) = bare
            .split_once('=')
            .map_or((bare, None), |(name, value)| (name, Some(value)));
        let flag = table.iter().find(|flag| known(flag, given))?;
        let value = match (flag.1, joined) {
            ('0', None) => "true",
            ('0', Some(value)) => ["1", "t", "true", "0", "f", "false"]
                .contains(&value)
                .then_some(value)?,
            (_, Some(value)) => value,
            (_, None) => {
                at += 1;
                words.get(at - 1)?
            }
        };
        // Two names of one flag are an error, the same name twice is not.
        spelled.push((name(flag), given));
        if spelled
            .iter()
            .any(|(flag, other)| *flag == spelled[spelled.len() - 1].0 && *other != given)
        {
            return None;
        }
        flags.push((name(flag), value.to_owned()));
    }
    Some((
        flags,
        words[at..].iter().map(|word| (*word).to_owned()).collect(),
    ))
}

fn go_number(value: &str) -> Option<u64> {
    match value.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None if value.len() > 1 && value.starts_with('0') => {
            u64::from_str_radix(&value[1..], 8).ok()
        }
        None => value.parse().ok(),
    }
}

pub(super) fn crun(words: &[&str]) -> Option<Reading> {
    read(words, CRUN, |words, table, _| argp(words, table))
}

/// GNU argp in order: unambiguous abbreviations, clusters, and the end at the first word that is no flag.
fn argp(words: &[&str], table: &'static [Flag]) -> Option<Parsed> {
    let (mut flags, mut at) = (Vec::new(), 0);
    while let Some(word) = words.get(at) {
        if word.len() < 2 || !word.starts_with('-') {
            break;
        }
        at += 1;
        if *word == "--" {
            break;
        }
        if let Some(long) = word.strip_prefix("--") {
            let (given, joined) = long
                .split_once('=')
                .map_or((long, None), |(name, value)| (name, Some(value)));
            let mut candidates = table.iter().filter(|flag| name(flag).starts_with(given));
            let flag = match (
                table.iter().find(|flag| name(flag) == given),
                candidates.next(),
                candidates.next(),
            ) {
                (Some(exact), ..) => exact,
                (None, Some(only), None) => only,
                _ => return None,
            };
            let value = match (flag.1, joined) {
                ('0', Some(_)) => return None,
                ('0' | '?', None) => "",
                (_, Some(value)) => value,
                (_, None) => {
                    at += 1;
                    words.get(at - 1)?
                }
            };
            flags.push((name(flag), value.to_owned()));
            continue;
        }
        let mut letters = word[1..].chars();
        while let Some(letter) = letters.next() {
            let flag = table.iter().find(|flag| {
                flag.0
                    .split(' ')
                    .skip(1)
                    .any(|short| short == letter.to_string())
            })?;
            let behind = letters.as_str();
            let value = match flag.1 {
                '0' => "",
                _ if !behind.is_empty() || flag.1 == '?' => {
                    letters = "".chars();
                    behind
                }
                _ => {
                    at += 1;
                    words.get(at - 1)?
                }
            };
            flags.push((name(flag), value.to_owned()));
        }
    }
    Some((
        flags,
        words[at..].iter().map(|word| (*word).to_owned()).collect(),
    ))
}

pub(super) fn youki(words: &[&str]) -> Option<Reading> {
    read(words, YOUKI, clap)
}

/// clap: flags also behind the ID until the command of exec begins, clusters, values that begin with a dash only when joined.
fn clap(words: &[&str], table: &'static [Flag], index: usize) -> Option<Parsed> {
    let (mut flags, mut rest, mut at, mut escaped) =
        (Vec::<(&'static str, String)>::new(), Vec::new(), 0, false);
    while let Some(&word) = words.get(at) {
        at += 1;
        let only_words = escaped || (index == 3 && rest.len() >= 2);
        if only_words || word == "-" || !word.starts_with('-') {
            rest.push(word.to_owned());
            if index == 0 {
                // The subcommand: the rest is its own.
                rest.extend(words[at..].iter().map(|word| (*word).to_owned()));
                break;
            }
            continue;
        }
        if word == "--" {
            escaped = true;
            continue;
        }
        let mut take = |flag: &Flag, joined: Option<&str>| -> Option<()> {
            let value = match (flag.1, joined) {
                ('0', Some(_)) => return None,
                ('0', None) => "",
                (_, Some(value)) => value,
                (_, None) => {
                    at += 1;
                    words
                        .get(at - 1)
                        .filter(|value| **value == "-" || !value.starts_with('-'))?
                }
            };
            let again = flag.1 != '*'
                && name(flag) != "log"
                && flags.iter().any(|(given, _)| *given == name(flag));
            flags.push((name(flag), value.to_owned()));
            (!again).then_some(())
        };
        if let Some(long) = word.strip_prefix("--") {
            let (given, joined) = long
                .split_once('=')
                .map_or((long, None), |(name, value)| (name, Some(value)));
            take(table.iter().find(|flag| name(flag) == given)?, joined)?;
            continue;
        }
        let mut letters = word[1..].chars();
        while let Some(letter) = letters.next() {
            let flag = table.iter().find(|flag| {
                flag.0
                    .split(' ')
                    .skip(1)
                    .any(|short| short == letter.to_string())
            })?;
            let behind = letters.as_str();
            if flag.1 == '0' {
                take(flag, None)?;
                continue;
            }
            take(
                flag,
                (!behind.is_empty()).then(|| behind.strip_prefix('=').unwrap_or(behind)),
            )?;
            break;
        }
    }
    Some((flags, rest))
}
