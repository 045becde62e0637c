//! Language runtimes in the Debian image keep working.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Check, shared_once};
use crate::images::DEBIAN;
use crate::node::Node;

const LIMIT: Duration = Duration::from_secs(120);

pub(super) const CHECKS: &[Check] = &[
    shared_once(
        "python: multiprocessing, subprocess and a temporary file work",
        python,
    ),
    shared_once("node: child_process and a temporary file work", node_js),
    shared_once("go: `go run` of a program in /tmp works", go),
    shared_once("bash: pipes, here documents and job control work", bash),
];

const PYTHON: &str = "
import multiprocessing, subprocess, tempfile
def square(number): return number * number
if __name__ == '__main__':
    for method in 'fork', 'spawn':
        context = multiprocessing.get_context(method)
        lock = context.Lock()
        queue = context.Queue()
        queue.put(6); assert queue.get() == 6
    with multiprocessing.Pool(2) as pool:
        assert pool.map(square, [2, 3]) == [4, 9]
    assert subprocess.run(['sh', '-c', 'exit 3']).returncode == 3
    with tempfile.NamedTemporaryFile() as file:
        file.write(b'x'); file.flush(); assert open(file.name, 'rb').read() == b'x'
    print('works')
";

const NODE: &str = "
const { execFileSync, spawnSync } = require('child_process');
const fs = require('fs'), os = require('os'), path = require('path');
const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'n-')), 'x');
fs.writeFileSync(file, 'x');
if (fs.readFileSync(file, 'utf8') !== 'x') throw new Error('temporary file');
if (spawnSync('sh', ['-c', 'exit 3']).status !== 3) throw new Error('status');
let denied = ''; try { fs.readFileSync('/etc/shadow'); } catch (error) { denied = error.code; }
if (denied !== 'EACCES') throw new Error('shadow: ' + denied);
console.log(execFileSync(process.execPath, ['-e', 'console.log(\"works\")'], { encoding: 'utf8' }).trim());
";

const GO: &str = "set -e; mkdir /tmp/hello; cd /tmp/hello
cat > main.go <<'END'
package main

import \"fmt\"

func main() { fmt.Println(\"works\") }
END
HOME=/tmp GOFLAGS=-mod=mod go run main.go";

const BASH: &str = "set -e; sleep 0.1 & wait $!; cat <<END | tr a-z A-Z | grep -q HERE
here
END
diff <(echo 1) <(echo 1); echo works > /dev/stderr; exec 3< <(echo fd); read -u 3 line; [ $line = fd ]; echo x > /dev/null";

fn python(node: &Node) -> Result<()> {
    // From a file, because spawned children read the main module again.
    let script = format!("cat > /tmp/main.py <<'END'\n{PYTHON}\nEND\nexec python3 /tmp/main.py");
    works(node, &["sh", "-c", &script])
}

fn node_js(node: &Node) -> Result<()> {
    works(node, &["node", "-e", NODE])
}

fn go(node: &Node) -> Result<()> {
    works(node, &["sh", "-c", GO])
}

fn bash(node: &Node) -> Result<()> {
    works(node, &["bash", "-c", BASH])
}

fn works(node: &Node, command: &[&str]) -> Result<()> {
    let pod = node.pod("language").run()?;
    let output = pod
        .container(DEBIAN, command)
        .finish(LIMIT)?
        .success()
        .context(command[0].to_owned())?;
    ensure!(
        output.lines().any(|line| line == "works"),
        "it printed {output:?}"
    );
    Ok(())
}
