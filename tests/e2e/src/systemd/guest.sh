# Runs in the guest, as root. Each check is a function that prints why it fails.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH HOME=/root
report=/dev/ttyS1
# Everything takes its time on an emulated processor.
crictl="crictl --timeout 60s --runtime-endpoint unix:///run/containerd/containerd.sock"

check() {
    if reason=$("$2" 2>&1); then
        echo "ok $1" > $report
    else
        echo "failed $1: $(echo "$reason" | tail -n 12 | tr '\n' ' ')" > $report
    fi
}

fail() {
    echo "$*"
    exit 1
}

# `kubefence node …` as in a container from scratch: nothing but the programs, and the node's file system at /host.
node() {
    verb=$1
    shift
    unshare --mount sh -c '
        mount --make-rprivate / &&
        mount --rbind / /scratch/host &&
        mount -t proc proc /scratch/proc &&
        mount --bind /dev /scratch/dev &&
        exec chroot /scratch /usr/bin/kubefence node "$@"' sh "$verb" --root /host "$@"
}

process() {
    systemctl show --property MainPID --value containerd.service
}

files() {
    find /etc /opt /run/kubefence /var/lib/kubefence \
        \( -type l -printf '%p -> %l\n' \) -o \( -type f -printf '%p %m %U:%G %T@ ' -exec sha256sum {} \; \) 2> /dev/null | sort
}

prepare() {
    set -e
    cp /payload/bin/* /usr/local/bin/
    mkdir -p /scratch/usr/bin /scratch/dev /scratch/host /scratch/proc /etc/containerd
    cp /payload/source/* /scratch/usr/bin/
    cat > /etc/systemd/system/containerd.service << 'END'
[Service]
Type=notify
ExecStart=/usr/local/bin/containerd
Delegate=yes
KillMode=process
END
    containerd config default |
        sed -e "s|sandbox = .*pause.*|sandbox = '@PAUSE@'|" -e 's|SystemdCgroup = false|SystemdCgroup = true|' > /etc/containerd/config.toml
    grep -q 'SystemdCgroup = true' /etc/containerd/config.toml
    echo 127.0.0.1 localhost > /etc/hosts
    systemctl daemon-reload
    systemctl start containerd.service || fail "$(journalctl --no-pager --lines 5 --output cat -u containerd.service)"
    for image in /payload/images/*.tar; do
        ctr --namespace k8s.io images import --local "$image"
    done
}

# What a pod's process may do, its own and one that joins it.
probe() {
    handler=$1
    pod=/tmp/pod-$handler.json
    container=/tmp/container-$handler.json
    cat > "$pod" << END
{ "metadata": { "name": "$handler", "uid": "uid-$handler", "namespace": "e2e", "attempt": 0 },
  "log_directory": "/tmp",
  "linux": { "cgroup_parent": "kubefence.slice",
             "security_context": { "namespace_options": { "network": 2, "pid": 1 } } } }
END
    cat > "$container" << END
{ "metadata": { "name": "main" }, "image": { "image": "@BUSYBOX@" }, "log_path": "$handler.log",
  "command": ["/app/tool", "read", "/etc/passwd", "write", "/tmp/file", "trap", "0"],
  "linux": { "security_context": { "namespace_options": { "network": 2, "pid": 1 } } } }
END
    id=$($crictl runp --runtime "$handler" "$pod") || fail "$id"
    main=$($crictl create --no-pull "$id" "$container" "$pod") || fail "$main"
    $crictl start "$main" > /dev/null || fail "not started"
    for attempt in $(seq 100); do
        grep -q 'trap: ready' "/tmp/$handler.log" && break
        sleep 0.2
    done
    cut -d ' ' -f 4- "/tmp/$handler.log" | grep '^read'
    $crictl exec --sync "$main" /app/tool read /etc/passwd
    grep -q 'kubefence.slice' "/proc/$($crictl inspect --output go-template --template '{{.info.pid}}' "$main")/cgroup" ||
        fail "the container is not in systemd's slice"
    $crictl rmp --force "$id" > /dev/null || fail "not removed"
}

installs() {
    before=$(process)
    said=$(node install 2>&1) || fail "$said"
    echo "$said" | grep -q 'restarted the container runtime (containerd.service)' || fail "$said"
    [ "$before" != "$(process)" ] || fail "it is the same process as before"
    [ "$(systemctl is-active containerd.service)" = active ] || fail "it is not active"
    grep -q nono-runc -r /etc/containerd || fail "no handler in its configuration"
}

confines() {
    said=$(probe nono-runc) || fail "$said"
    [ "$(echo "$said" | grep -c 'read /etc/passwd: EACCES')" = 2 ] || fail "sandboxed: $said"
    said=$(probe runc) || fail "$said"
    [ "$(echo "$said" | grep -c 'read /etc/passwd: ok')" = 2 ] || fail "control: $said"
}

rests() {
    before=$(process)
    said=$(node install 2>&1) || fail "$said"
    echo "$said" | grep -q 'nothing to do' || fail "$said"
    [ "$before" = "$(process)" ] || fail "it was restarted"
    node status || fail "the status is not good"
}

uninstalls() {
    before=$(process)
    said=$(node uninstall 2>&1) || fail "$said"
    [ "$before" != "$(process)" ] || fail "it is the same process as before: $said"
    files > /tmp/after
    diff /tmp/before /tmp/after || fail "files differ"
    [ ! -e /opt/kubefence ] && [ ! -e /opt/nono-nri ] || fail "something is left in /opt"
}

rolls_back() {
    mkdir -p /run/systemd/system/containerd.service.d
    cat > /run/systemd/system/containerd.service.d/picky.conf << 'END'
[Service]
ExecStartPre=/bin/sh -c '! grep -qr nono-runc /etc/containerd'
END
    systemctl daemon-reload
    said=$(node install 2>&1) && fail "it succeeded: $said"
    echo "$said" | grep -q 'could not restart containerd.service (failed)' || fail "$said"
    echo "$said" | grep -q 'was put back, and the runtime restarted with it' || fail "$said"
    [ "$(systemctl is-active containerd.service)" = active ] || fail "it is not active: $said"
    node uninstall || fail "what was left cannot be undone"
    rm /run/systemd/system/containerd.service.d/picky.conf
    systemctl daemon-reload
    files > /tmp/after
    diff /tmp/before /tmp/after || fail "files differ"
}

names_units() {
    systemctl stop containerd.service
    said=$(node install --timeout 5 2>&1) && fail "it succeeded: $said"
    echo "$said" | grep -q 'none of the units' || fail "$said"
    echo "$said" | grep -q 'containerd.service' || fail "$said"
    systemctl start containerd.service
    node uninstall || fail "what was left cannot be undone"
}

stty -F $report raw -echo
if said=$(prepare 2>&1); then
    files > /tmp/before
    check 'node install restarts the active unit through D-Bus, from a container' installs
    check 'on a node whose cgroups are systemd'\''s, pods of the handler are confined; control: others are not' confines
    check 'installed again, nothing is restarted' rests
    check 'uninstalling restarts the unit and leaves every file as it was' uninstalls
    check 'a unit that does not start with the new configuration gets its old one, and starts' rolls_back
    check 'where no unit is active, the units that were looked for are named' names_units
else
    echo "failed the guest can be prepared: $(echo "$said" | tail -n 5 | tr '\n' ' ')" > $report
fi
echo end > $report
