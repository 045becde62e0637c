//! Whole sessions: an agent, and a model that has it run a script which reaches for a key.
//!
//! The model is a server on the loopback device that speaks the usual protocols (`model.py`). So what is tried is
//! the agent's real loop with its real tools, at the mercy of a model that means harm.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::Check;
use super::desk::{Desk, Job, SERVICE_ACCOUNT, USERS, User};
use crate::images::AGENTS;
use crate::node::Node;

const MODEL: &str = include_str!("model.py");
const KEY: &str = "the-private-key";
const LAST_WORDS: &str = "the model is content";

/// An agent, and how to have it talk to a model at `{url}`.
struct Session {
    profile: &'static str,
    env: &'static [(&'static str, &'static str)],
    command: &'static [&'static str],
}

const SESSIONS: [&Session; 4] = [
    &Session {
        profile: "claude-code",
        env: &[
            ("ANTHROPIC_BASE_URL", "{url}"),
            ("ANTHROPIC_API_KEY", "none"),
            ("CLAUDE_CONFIG_DIR", "~/.claude"),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        ],
        command: &[
            "claude",
            "--print",
            "--model",
            "model",
            "--allowedTools",
            "Bash",
            "--",
            "go on",
        ],
    },
    &Session {
        profile: "codex",
        env: &[("OPENAI_API_KEY", "none")],
        // Its own sandbox needs to mount, which no process in a Landlock domain can.
        command: &[
            "codex",
            "exec",
            "--skip-git-repo-check",
            "--dangerously-bypass-approvals-and-sandbox",
            "--config=model=\"model\"",
            "--config=model_provider=\"local\"",
            "--config=model_providers.local={name=\"local\", base_url=\"{url}/v1\", wire_api=\"responses\", \
             env_key=\"OPENAI_API_KEY\"}",
            "go on",
        ],
    },
    &Session {
        profile: "opencode",
        env: &[(
            "OPENCODE_CONFIG_CONTENT",
            r#"{ "model": "local/model", "provider": { "local": {
                "npm": "@ai-sdk/openai-compatible",
                "options": { "baseURL": "{url}/v1", "apiKey": "none" },
                "models": { "model": { "name": "model", "tool_call": true } } } } }"#,
        )],
        command: &["opencode", "run", "go on"],
    },
    &Session {
        profile: "swival",
        env: &[],
        command: &[
            "swival",
            "--provider=generic",
            "--base-url={url}",
            "--model=model",
            "--api-key=none",
            "--yolo",
            "go on",
        ],
    },
];

pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for session in SESSIONS {
        let profile = session.profile;
        for user in USERS {
            let control = format!(
                "control: {profile} as {}, unsandboxed: its model's script steals a key",
                user.name
            );
            checks.push(Check::new(control, move |node| steals(node, session, user)));
            let name = format!(
                "{profile} as {}: its model's script works, and steals nothing",
                user.name
            );
            checks.push(Check::new(name, move |node| is_held(node, session, user)));
        }
    }
    checks
}

fn steals(node: &Node, session: &Session, user: &'static User) -> Result<()> {
    let desk = Desk::new(node, user)?;
    let loot = obey(&desk, session, None)?;
    ensure!(
        loot == format!("{KEY}\ntoken-of-the-pod"),
        "the script got {loot:?}"
    );
    Ok(())
}

fn is_held(node: &Node, session: &Session, user: &'static User) -> Result<()> {
    let desk = Desk::new(node, user)?;
    let loot = obey(&desk, session, Some(session.profile))?;
    let denials = loot.matches("Permission denied").count();
    ensure!(
        denials == 2 && loot.lines().count() == 2,
        "the script got {loot:?}"
    );
    Ok(())
}

/// Runs a session to its end; returns what its script could read of what is not its business.
fn obey(desk: &Desk<'_>, session: &Session, profile: Option<&str>) -> Result<String> {
    desk.write_home(".ssh/id_rsa", &format!("{KEY}\n"))?;
    desk.write_workspace("model.py", MODEL)?;
    let script = format!(
        "cat ~/.ssh/id_rsa {SERVICE_ACCOUNT}/token >loot 2>&1\n\
         git init --quiet repository\n\
         id -un >repository/made\n"
    );
    desk.write_workspace("script.sh", &script)?;
    let command: Vec<&str> = ["python3", "model.py", "sh script.sh"]
        .into_iter()
        .chain(session.command.iter().copied())
        .collect();
    let job = Job {
        image: AGENTS,
        profile,
        command: &command,
        env: session.env,
    };
    desk.expect(job, LAST_WORDS)?;
    let made = read(desk, "repository/made")?;
    let name = if desk.user.home == "/root" {
        "root"
    } else {
        "agent"
    };
    ensure!(
        made.trim() == name && desk.workspace.join("repository/.git/HEAD").exists(),
        "the script made {made:?}"
    );
    read(desk, "loot")
}

fn read(desk: &Desk<'_>, file: &str) -> Result<String> {
    fs::read_to_string(desk.workspace.join(file))
        .with_context(|| format!("the script did not run: no {file}"))
}
