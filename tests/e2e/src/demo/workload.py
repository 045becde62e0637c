"""What a workload may do: tries each operation for real and prints one line of JSON for each."""
import errno, json, site, subprocess, sys


def report(probe, operation):
    try:
        operation()
        outcome = "allowed"
    except OSError as error:
        outcome = errno.errorcode.get(error.errno, str(error.errno))
    print(json.dumps({"probe": probe, "outcome": outcome}), flush=True)


def append(path):
    with open(path, "a") as file:
        file.write("# 203.0.113.7 evil.example\n")


def read(path):
    with open(path, "rb") as file:
        file.read()


def run_python():
    answer = subprocess.run([sys.executable, "-c", "print(6 * 7)"], stdout=subprocess.PIPE)
    if answer.stdout.strip() != b"42":
        raise OSError(errno.ENOEXEC, "python3 does not run")


def round_trip(path):
    append(path)
    read(path)


report("write-etc", lambda: append("/etc/hosts"))
report("write-usr-local-bin", lambda: append("/usr/local/bin/backdoor"))
report("read-shadow", lambda: read("/etc/shadow"))
report("read-passwd", lambda: read("/etc/passwd"))
report("write-site-packages", lambda: append(site.getsitepackages()[0] + "/injected.py"))
report("python", run_python)
report("write-tmp", lambda: round_trip("/tmp/workfile"))
