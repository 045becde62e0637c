//! What agents and other workloads run: languages, git and shells.

use anyhow::{Result, ensure};

use super::Check;
use super::desk::{Desk, Job, USERS, User};
use crate::images::{AGENTS, DEBIAN};
use crate::node::Node;

/// Agents' profiles grant the same to tools, so one of them stands for all.
const AGENT: &str = "claude-code";

/// What works under which profiles. Scripts work in a temporary directory, which every profile may write to, and
/// print `works` in the end.
struct Topic {
    what: &'static str,
    image: &'static str,
    script: &'static str,
    profiles: &'static [&'static str],
}

const fn topic(what: &'static str, image: &'static str, script: &'static str) -> Topic {
    Topic {
        what,
        image,
        script,
        profiles: &["default", AGENT],
    }
}

const TOPICS: &[Topic] = &[
    topic(
        "python: venv, multiprocessing, subprocess and TLS contexts",
        AGENTS,
        PYTHON,
    ),
    topic(
        "python: pip install of a local wheel into a venv",
        AGENTS,
        PIP,
    ),
    topic(
        "node: npm run, worker threads and child processes",
        AGENTS,
        NODE,
    ),
    topic(
        "go: go build with a local cache, and the program it makes",
        DEBIAN,
        GO,
    ),
    topic(
        "git: init, commit, clone of a local repository",
        AGENTS,
        GIT,
    ),
    topic(
        "bash: job control, process substitution and coprocesses",
        AGENTS,
        BASH,
    ),
    topic(
        "a terminal of its own: `script` runs an interactive shell",
        AGENTS,
        TERMINAL,
    ),
];

const PYTHON: &str = r#"
cat > main.py <<'END'
import multiprocessing, ssl, subprocess, sys
def square(number): return number * number
if __name__ == "__main__":
    assert sys.prefix != sys.base_prefix
    for method in "fork", "spawn":
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(square, [2, 3]) == [4, 9]
    assert subprocess.run(["sh", "-c", "exit 3"]).returncode == 3
    assert ssl.create_default_context().cert_store_stats()["x509_ca"] > 50
    print("works")
END
python3 -m venv --without-pip venv
venv/bin/python main.py
"#;

/// A wheel is a zip file with a fixed layout, so it is made here rather than downloaded.
const PIP: &str = r#"
cat > wheel.py <<'END'
import zipfile
info = "local_thing-1.0.dist-info/"
with zipfile.ZipFile("local_thing-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("local_thing.py", "def answer():\n    return 42\n")
    wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: local-thing\nVersion: 1.0\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(info + "RECORD", "".join(f"{name},,\n" for name in [*wheel.namelist(), info + "RECORD"]))
END
python3 wheel.py
python3 -m venv venv
venv/bin/pip install --quiet --no-index --disable-pip-version-check local_thing-1.0-py3-none-any.whl
venv/bin/python -c 'import local_thing; assert local_thing.answer() == 42; print("works")'
"#;

const NODE: &str = r#"
cat > package.json <<'END'
{ "name": "x", "version": "1.0.0", "scripts": { "start": "node main.js" } }
END
cat > main.js <<'END'
const { Worker, isMainThread, parentPort } = require('worker_threads');
const { execFileSync, fork } = require('child_process');
if (process.argv[2] === 'child') { process.send('child'); process.disconnect(); }
else if (isMainThread) {
  if (execFileSync('echo', ['x'], { encoding: 'utf8' }) !== 'x\n') throw new Error('echo');
  new Worker(__filename).on('message', () =>
    fork(__filename, ['child']).on('message', () => console.log('works')));
} else parentPort.postMessage('worker');
END
npm_config_cache=$PWD/cache npm run --silent --update-notifier=false start
"#;

const GO: &str = r#"
cat > go.mod <<'END'
module example.test/x
go 1.19
END
cat > main.go <<'END'
package main

import "fmt"

func main() { fmt.Println("works") }
END
GOCACHE=$PWD/cache GOPATH=$PWD/path GOFLAGS=-mod=mod GOPROXY=off go build -o program
./program
"#;

const GIT: &str = r#"
export GIT_CONFIG_GLOBAL=/dev/null
git init --quiet --initial-branch=main origin
cd origin
git config user.name x; git config user.email x@example.test
echo content > file
git add file
git commit --quiet --message first
git switch --quiet --create other
git stash list
cd ..
git clone --quiet origin copy
[ "$(cat copy/file)" = content ]
git -C copy log --format=%s | grep -q first
git -C copy gc --quiet
echo works
"#;

const BASH: &str = r#"
cat > main.sh <<'END'
set -euo pipefail
set -m
sleep 60 & job=$!
jobs -p | grep -q "$job"
kill -STOP "$job"; kill -CONT "$job"; kill "$job"
# Until it ends: with job control, wait returns also when it stops.
wait -f "$job" || [ $? -eq 143 ]
diff <(echo 1) <(echo 1)
coproc cat
echo word >&"${COPROC[1]}"
read -r word <&"${COPROC[0]}"
[ "$word" = word ]
trap 'echo works' EXIT
END
bash main.sh
"#;

const TERMINAL: &str = r#"
script --quiet --return --command 'bash -ic "tty && stty size >/dev/null && echo works"' /dev/null </dev/null |
    tr -d '\r' | tail -n 1
"#;

pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for topic in TOPICS {
        for profile in topic.profiles {
            for user in USERS {
                let name = format!("{profile} as {}: {}", user.name, topic.what);
                checks.push(Check::new(name, move |node| {
                    works(node, user, profile, topic)
                }));
            }
        }
    }
    checks
}

fn works(node: &Node, user: &'static User, profile: &str, topic: &Topic) -> Result<()> {
    let script = format!("set -eu; cd \"$(mktemp -d)\"\n{}", topic.script);
    let desk = Desk::new(node, user)?;
    let job = Job {
        image: topic.image,
        profile: Some(profile),
        command: &["sh", "-c", &script],
        env: &[],
    };
    let output = desk.run(job)?.success()?;
    ensure!(
        output.lines().any(|line| line == "works"),
        "it printed {output:?}"
    );
    Ok(())
}
