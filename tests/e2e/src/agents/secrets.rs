//! What an agent must not reach: credentials of other tools and of other agents, and the service-account token.

use anyhow::{Result, ensure};

use super::Check;
use super::desk::{Desk, Job, SERVICE_ACCOUNT, USERS, User, WORKSPACE};
use crate::images::AGENTS;
use crate::node::Node;

/// Files of other tools, below the home.
const CREDENTIALS: [&str; 12] = [
    ".ssh/id_rsa",
    ".aws/credentials",
    ".kube/config",
    ".azure/token",
    ".config/gcloud/credentials.db",
    ".docker/config.json",
    ".gnupg/secring.gpg",
    ".git-credentials",
    ".config/git/credentials",
    ".netrc",
    ".npmrc",
    ".bashrc",
];

/// A file of each profile's own, below the home.
const OWN: [(&str, &str); 5] = [
    ("claude-code", ".claude/.credentials.json"),
    ("codex", ".codex/auth.json"),
    ("opencode", ".local/share/opencode/auth.json"),
    ("swival", ".config/swival/config.toml"),
    ("openclaw", ".openclaw/openclaw.json"),
];

/// What every agent reads below the home.
const SHARED: [&str; 3] = [
    ".gitconfig",
    ".config/git/config",
    ".agents/skills/x/SKILL.md",
];

/// Reads and appends to each argument, and prints what came of both.
const REACH: &str = r#"
for file; do
    if [ "$(cat "$file" 2>/dev/null)" = content ]; then read=read; else read=closed; fi
    if true 2>/dev/null >>"$file"; then write=written; else write=closed; fi
    echo "$file: $read, $write"
done
"#;

/// Makes a file in each argument, and prints what came of it.
const MAKE: &str = r#"
for directory; do
    if true 2>/dev/null >"$directory/new"; then echo "$directory: made"; else echo "$directory: closed"; fi
done
"#;

pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for user in USERS {
        let control = format!(
            "control: unsandboxed, {} reaches all credentials",
            user.name
        );
        checks.push(Check::new(control, move |node| {
            reach_all(node, user, None, "")
        }));
        for (profile, own) in OWN {
            let name = format!(
                "{profile} as {}: credentials of others stay shut, its own are open",
                user.name
            );
            checks.push(Check::new(name, move |node| {
                reach_all(node, user, Some(profile), own)
            }));
            let name = format!(
                "{profile} as {}: it makes files where it works, and not in the home",
                user.name
            );
            checks.push(Check::new(name, move |node| make(node, user, profile, own)));
        }
    }
    checks
}

fn reach_all(
    node: &Node,
    user: &'static User,
    profile: Option<&'static str>,
    own: &str,
) -> Result<()> {
    let desk = Desk::new(node, user)?;
    let others = OWN.map(|(_, file)| file);
    let names: Vec<&str> = [&CREDENTIALS[..], &others, &SHARED].concat();
    for name in &names {
        desk.write_home(name, "content")?;
    }
    let files: Vec<String> = names
        .iter()
        .map(|name| format!("{}/{name}", user.home))
        .collect();
    let command: Vec<&str> = ["sh", "-c", REACH, "sh"]
        .into_iter()
        .chain(files.iter().map(String::as_str))
        .collect();
    let output = desk.run(job(profile, &command))?.success()?;
    let expected: String = names
        .iter()
        .zip(&files)
        .map(|(name, file)| {
            let everything = profile.is_none() || *name == own;
            format!("{file}: {}\n", outcome(name, everything))
        })
        .collect();
    ensure!(output == expected, "it printed {output}");
    reach_token(&desk, profile)
}

/// What [`REACH`] is to say of a file.
fn outcome(name: &str, everything: bool) -> &'static str {
    match (everything, SHARED.contains(&name)) {
        (true, _) => "read, written",
        (false, true) => "read, closed",
        (false, false) => "closed, closed",
    }
}

fn reach_token(desk: &Desk<'_>, profile: Option<&str>) -> Result<()> {
    let token = format!("{SERVICE_ACCOUNT}/token");
    let exit = desk.run(job(profile, &["cat", &token]))?;
    let expected = match profile {
        None => exit.code == 0 && exit.output.trim() == "token-of-the-pod",
        Some(_) => exit.code == 1 && exit.output.contains("Permission denied"),
    };
    ensure!(expected, "the token: {exit:?}");
    Ok(())
}

fn make(node: &Node, user: &'static User, profile: &'static str, own: &str) -> Result<()> {
    let desk = Desk::new(node, user)?;
    let home = user.home;
    let (state, _) = own.rsplit_once('/').unwrap_or_default();
    let open = [
        format!("{home}/{state}"),
        WORKSPACE.to_owned(),
        "/tmp".to_owned(),
    ];
    let shut = [
        home.to_owned(),
        format!("{home}/.config"),
        "/etc".to_owned(),
        "/usr/local/bin".to_owned(),
    ];
    let command: Vec<&str> = ["sh", "-c", MAKE, "sh"]
        .into_iter()
        .chain(open.iter().chain(&shut).map(String::as_str))
        .collect();
    let output = desk.run(job(Some(profile), &command))?.success()?;
    let made = open.iter().map(|directory| format!("{directory}: made\n"));
    let closed = shut
        .iter()
        .map(|directory| format!("{directory}: closed\n"));
    let expected: String = made.chain(closed).collect();
    ensure!(output == expected, "it printed {output}");
    Ok(())
}

fn job<'a>(profile: Option<&'a str>, command: &'a [&'a str]) -> Job<'a> {
    Job {
        image: AGENTS,
        profile,
        command,
        env: &[],
    }
}
