//! What each agent does alone: say its version, help, list, and remember.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::Check;
use super::desk::{Desk, Job, USERS, User, expect};
use crate::images::AGENTS;
use crate::node::Node;
use crate::repository::Versions;

/// An agent, the profile of the same purpose, and what it is asked to do.
struct Agent {
    profile: &'static str,
    program: &'static str,
    /// Its name in tools/versions.toml.
    package: &'static str,
    actions: &'static [Action],
    memory: Memory,
}

/// One command.
struct Action {
    arguments: &'static [&'static str],
    /// Exit status.
    code: i64,
    /// Part of the output.
    prints: &'static str,
}

/// What one container writes and another one, with the same home, knows.
struct Memory {
    env: &'static [(&'static str, &'static str)],
    write: &'static [&'static str],
    read: &'static [&'static str],
    /// Part of the output of `read`.
    prints: &'static str,
    /// Files below the home that exist afterwards.
    files: &'static [&'static str],
}

const fn action(arguments: &'static [&'static str], prints: &'static str) -> Action {
    let code = 0;
    Action {
        arguments,
        code,
        prints,
    }
}

const AGENTS_UNDER_TEST: [&Agent; 5] = [&CLAUDE_CODE, &CODEX, &OPENCODE, &SWIVAL, &OPENCLAW];

const CLAUDE_CODE: Agent = Agent {
    profile: "claude-code",
    program: "claude",
    package: "@anthropic-ai/claude-code",
    actions: &[
        action(&["--help"], "Usage: claude"),
        action(&["mcp", "list"], "No MCP servers configured"),
        action(&["doctor"], "Claude Code doctor"),
    ],
    memory: Memory {
        env: &[("CLAUDE_CONFIG_DIR", "~/.claude")],
        write: &[
            "mcp",
            "add",
            "--scope",
            "user",
            "kept",
            "--",
            "/bin/true",
            "x",
        ],
        read: &["mcp", "get", "kept"],
        prints: "/bin/true",
        files: &[".claude/.claude.json"],
    },
};

const CODEX: Agent = Agent {
    profile: "codex",
    program: "codex",
    package: "@openai/codex",
    actions: &[
        action(&["--help"], "Codex CLI"),
        Action {
            arguments: &["login", "status"],
            code: 1,
            prints: "Not logged in",
        },
        action(&["mcp", "list"], "No MCP servers configured"),
        action(&["features", "list"], "stable"),
        action(&["completion", "bash"], "_codex()"),
    ],
    memory: Memory {
        env: &[],
        write: &["mcp", "add", "kept", "--", "/bin/true"],
        read: &["mcp", "list"],
        prints: "kept",
        files: &[".codex/config.toml"],
    },
};

const OPENCODE: Agent = Agent {
    profile: "opencode",
    program: "opencode",
    package: "opencode-ai",
    actions: &[
        action(&["--help"], "opencode run"),
        action(&["debug", "paths"], "/.local/share/opencode"),
        action(&["agent", "list"], "build (primary)"),
        action(&["auth", "list"], "0 credentials"),
        action(&["mcp", "list"], "No MCP servers configured"),
    ],
    memory: Memory {
        env: &[],
        write: &["agent", "list"],
        read: &["stats"],
        prints: "OVERVIEW",
        files: &[
            ".config/opencode/opencode.jsonc",
            ".local/share/opencode/opencode.db",
            ".local/state/opencode/locks",
        ],
    },
};

const SWIVAL: Agent = Agent {
    profile: "swival",
    program: "swival",
    package: "swival",
    actions: &[
        action(&["--help"], "usage: swival"),
        action(
            &["--init-config", "--project"],
            "Created /workspace/swival.toml",
        ),
        // A whole session, whose model repeats what it is told.
        action(
            &["--provider", "command", "--model", "/bin/cat", "a question"],
            "a question",
        ),
    ],
    memory: Memory {
        env: &[],
        write: &["--init-config"],
        read: &["--init-config"],
        prints: "preserving settings from",
        files: &[".config/swival/config.toml"],
    },
};

const OPENCLAW: Agent = Agent {
    profile: "openclaw",
    program: "openclaw",
    package: "openclaw",
    actions: &[
        action(&["--help"], "Usage: openclaw"),
        action(&["agents", "list"], "main (default)"),
        action(&["skills", "list"], "Skills"),
    ],
    memory: Memory {
        env: &[],
        write: &["config", "set", "gateway.mode", "local"],
        read: &["config", "get", "gateway.mode"],
        prints: "local",
        files: &[".openclaw/openclaw.json"],
    },
};

pub(super) fn checks() -> Result<Vec<Check>> {
    let versions = Versions::read()?.agents;
    let mut checks = Vec::new();
    for agent in AGENTS_UNDER_TEST {
        let version = versions.version_of(agent.package)?.to_owned();
        for user in USERS {
            let version = version.clone();
            checks.push(Check::new(line(agent, user, &["--version"]), move |node| {
                act(node, agent, user, &action(&["--version"], ""), &version)
            }));
            for action in agent.actions {
                checks.push(Check::new(
                    line(agent, user, action.arguments),
                    move |node| act(node, agent, user, action, action.prints),
                ));
            }
            checks.push(Check::new(
                format!(
                    "{} as {}: what one pod stores, the next one finds",
                    agent.profile, user.name
                ),
                move |node| remember(node, agent, user),
            ));
        }
    }
    Ok(checks)
}

fn line(agent: &Agent, user: &User, arguments: &[&str]) -> String {
    format!(
        "{} as {}: `{} {}`",
        agent.profile,
        user.name,
        agent.program,
        arguments.join(" ")
    )
}

fn act(
    node: &Node,
    agent: &Agent,
    user: &'static User,
    action: &Action,
    prints: &str,
) -> Result<()> {
    let desk = Desk::new(node, user)?;
    let command = command(agent, action.arguments);
    let exit = desk.run(job(agent, &command, &[]))?;
    expect(exit, action.code, prints)
}

fn remember(node: &Node, agent: &Agent, user: &'static User) -> Result<()> {
    let memory = &agent.memory;
    let desk = Desk::new(node, user)?;
    let write = command(agent, memory.write);
    desk.expect(job(agent, &write, memory.env), "")?;
    for file in memory.files {
        let path = desk.home.join(file);
        fs::symlink_metadata(&path).with_context(|| format!("~/{file} was not stored"))?;
    }
    let read = command(agent, memory.read);
    desk.expect(job(agent, &read, memory.env), memory.prints)?;
    ensure_private(&desk)
}

/// Whatever the launcher and the agent made is the user's, and closed to others at the top.
fn ensure_private(desk: &Desk<'_>) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let owner = fs::metadata(&desk.home)?.uid();
    for entry in fs::read_dir(&desk.home)? {
        let entry = entry?;
        let metadata = fs::symlink_metadata(entry.path())?;
        ensure!(
            metadata.uid() == owner && metadata.mode() & 0o077 == 0,
            "{} belongs to {} with mode {:o}",
            entry.path().display(),
            metadata.uid(),
            metadata.mode()
        );
    }
    Ok(())
}

fn command<'a>(agent: &Agent, arguments: &[&'a str]) -> Vec<&'a str> {
    std::iter::once(agent.program)
        .chain(arguments.iter().copied())
        .collect()
}

fn job<'a>(agent: &Agent, command: &'a [&'a str], env: &'a [(&'a str, &'a str)]) -> Job<'a> {
    Job {
        image: AGENTS,
        profile: Some(agent.profile),
        command,
        env,
    }
}
