//! What the guard tells the launcher besides the profile, and how to tell a wrap from the command behind it.
//!
//! The NRI plugin writes the short form, the guard the one with flags:
//!
//! ```text
//! /nono/nono wrap --profile P -- ORIGINAL...
//! /nono/nono wrap --profile P --plan SHA256 --var NAME=VALUE... --mounted PATH... --preserve-fds N -- ORIGINAL...
//! ```

use kubefence_launch_plan::{LAUNCHER, PlanDigest, ProfileName};

const PLAN: &str = "--plan";
const VARIABLE: &str = "--var";
const MOUNTED: &str = "--mounted";
const PRESERVE_FDS: &str = "--preserve-fds";

/// What the guard adds to the launcher's command line. The default adds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags<'a> {
    /// The plan that counts, whatever the profile's name leads to by now.
    pub plan: Option<&'a PlanDigest>,
    /// The variables of the plan: name (without `$`) and value. With one, the launcher takes none from elsewhere.
    pub variables: &'a [(String, String)],
    /// Where the container has mounts. The launcher refuses one that was led elsewhere.
    pub mounted: &'a [String],
    /// How many descriptors from 3 on the workload keeps.
    pub preserve_fds: u32,
}

/// The launcher's part of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapping {
    /// The profile that it names.
    pub profile: ProfileName,
    /// How many leading elements it takes, `--` included. At least one follows.
    pub len: usize,
    /// The plan that it names.
    pub plan: Option<PlanDigest>,
    /// The variables that it states.
    pub variables: Vec<(String, String)>,
}

/// The elements that wrap a command when they stand in front of it, `--` included.
pub fn wrap_prefix(profile: &ProfileName, flags: &Flags<'_>) -> Vec<String> {
    let mut args = [LAUNCHER, "wrap", "--profile", profile.as_str()]
        .map(str::to_owned)
        .to_vec();
    let mut add = |option: &str, value: String| args.extend([option.to_owned(), value]);
    if let Some(plan) = flags.plan {
        add(PLAN, plan.to_string());
    }
    for (name, value) in flags.variables {
        add(VARIABLE, format!("{name}={value}"));
    }
    for path in flags.mounted {
        add(MOUNTED, path.clone());
    }
    if flags.preserve_fds > 0 {
        add(PRESERVE_FDS, flags.preserve_fds.to_string());
    }
    args.push("--".to_owned());
    args
}

/// The launcher's part of `args`, if they are what the plugin or the guard writes.
///
/// That the flags are well-formed does not make them the right ones: whoever wrote the args chose their values.
pub fn wrapping(args: &[impl AsRef<str>]) -> Option<Wrapping> {
    let mut args = args.iter().map(AsRef::as_ref).enumerate().peekable();
    let mut next = || args.next().map(|(_, arg)| arg);
    if [next()?, next()?, next()?] != [LAUNCHER, "wrap", "--profile"] {
        return None;
    }
    let mut found = Wrapping {
        profile: ProfileName::parse(next()?).ok()?,
        len: 0,
        plan: None,
        variables: Vec::new(),
    };
    // The order is that of `wrap_prefix`: an option may follow those of its own rank only if it can repeat.
    let mut last_rank = 0;
    loop {
        let (at, option) = args.next()?;
        let rank = match option {
            "--" => {
                found.len = at + 1;
                return args.next().map(|_| found);
            }
            PLAN => 1,
            VARIABLE => 2,
            MOUNTED => 3,
            PRESERVE_FDS => 4,
            _ => return None,
        };
        let (_, value) = args.next()?;
        let is_well_formed = match rank {
            1 => {
                found.plan = PlanDigest::parse(value).ok();
                found.plan.is_some()
            }
            2 => add_variable(value, &mut found.variables),
            3 => value.starts_with('/'),
            _ => is_count(value),
        };
        let is_in_order = rank > last_rank || (rank == last_rank && matches!(rank, 2 | 3));
        if !is_well_formed || !is_in_order {
            return None;
        }
        last_rank = rank;
    }
}

/// Adds a variable, if it is one and new.
fn add_variable(assignment: &str, variables: &mut Vec<(String, String)>) -> bool {
    let Some((name, value)) = assignment.split_once('=') else {
        return false;
    };
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    let is_new = is_name && variables.iter().all(|(known, _)| known != name);
    variables.push((name.to_owned(), value.to_owned()));
    is_new
}

/// Whether `value` is written as the guard writes a number: not zero, without zeros in front.
fn is_count(value: &str) -> bool {
    value
        .parse::<u32>()
        .is_ok_and(|n| n > 0 && n.to_string() == value)
}

#[cfg(test)]
mod tests;
